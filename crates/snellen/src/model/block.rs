//! The transformer block that both towers are made of (pre-norm, arXiv 2010.11929).

use super::checkpoint::Parameters;
use super::hook::{Hook, visit};
use super::{BlockPoint, Point, Site, Tower, TowerConfig};
use crate::Result;
use crate::engine::{Activation, Real, Tape, Tensor, ops};

/// A layer norm's parameters.
pub(super) struct Norm<F> {
    pub(super) gain: Tensor<F>,
    pub(super) bias: Tensor<F>,
    eps: f64,
}

impl<F: Real> Norm<F> {
    pub(super) fn new(p: &mut dyn Parameters<F>, name: &str, width: usize, eps: f64) -> Result<Self> {
        Ok(Self {
            gain: p.get(&format!("{name}.weight"), &[width])?,
            bias: p.get(&format!("{name}.bias"), &[width])?,
            eps,
        })
    }

    pub(super) fn forward(&self, tape: &mut Tape<F>, x: &Tensor<F>) -> Tensor<F> {
        ops::layer_norm(tape, x, &self.gain, &self.bias, self.eps)
    }
}

/// An affine map's parameters.
pub(super) struct Linear<F> {
    pub(super) weight: Tensor<F>,
    pub(super) bias: Option<Tensor<F>>,
}

impl<F: Real> Linear<F> {
    /// `[to, from]`, and `[to]` where there is a bias.
    pub(super) fn new(p: &mut dyn Parameters<F>, name: &str, (from, to): (usize, usize), bias: bool) -> Result<Self> {
        Ok(Self {
            weight: p.get(&format!("{name}.weight"), &[to, from])?,
            bias: bias.then(|| p.get(&format!("{name}.bias"), &[to])).transpose()?,
        })
    }

    pub(super) fn forward(&self, tape: &mut Tape<F>, x: &Tensor<F>) -> Tensor<F> {
        ops::linear(tape, x, &self.weight, self.bias.as_ref())
    }
}

/// From the residual stream through hidden units and back.
pub(super) struct Mlp<F> {
    gate: Option<Linear<F>>,
    up: Linear<F>,
    pub(super) down: Linear<F>,
    activation: Activation,
}

impl<F: Real> Mlp<F> {
    pub(super) fn new(p: &mut dyn Parameters<F>, name: &str, config: &TowerConfig) -> Result<Self> {
        let (inward, outward) = ((config.width, config.mlp), (config.mlp, config.width));
        let (gate, up, down) = if config.gated { ("gate", "up", "down") } else { ("", "fc1", "fc2") };
        let gate = config.gated.then(|| Linear::new(p, &format!("{name}.{gate}"), inward, true)).transpose()?;
        Ok(Self {
            gate,
            up: Linear::new(p, &format!("{name}.{up}"), inward, true)?,
            down: Linear::new(p, &format!("{name}.{down}"), outward, true)?,
            activation: config.activation,
        })
    }

    /// The maps that read the MLP's input.
    pub(super) fn readers(&mut self) -> Vec<&mut Linear<F>> {
        self.gate.iter_mut().chain([&mut self.up]).collect()
    }

    /// `x [.., unit]` -> the same shape; `site` names the points inside.
    pub(super) fn forward(
        &self,
        tape: &mut Tape<F>,
        x: &Tensor<F>,
        site: &dyn Fn(BlockPoint) -> Site,
        hook: &mut dyn Hook,
    ) -> Result<Tensor<F>> {
        let mut pre = self.gate.as_ref().unwrap_or(&self.up).forward(tape, x);
        visit(hook, site(BlockPoint::MlpPre), &mut pre)?;
        let mut post = ops::activate(tape, &pre, self.activation);
        if self.gate.is_some() {
            let mut linear = self.up.forward(tape, x);
            visit(hook, site(BlockPoint::MlpPreLinear), &mut linear)?;
            post = ops::multiply(tape, &post, &linear);
        }
        visit(hook, site(BlockPoint::MlpPost), &mut post)?;
        Ok(self.down.forward(tape, &post))
    }
}

/// Attention from one sequence to another, or to itself.
pub(super) struct Attention<F> {
    pub(super) q: Linear<F>,
    pub(super) k: Linear<F>,
    pub(super) v: Linear<F>,
    pub(super) out: Linear<F>,
    heads: usize,
}

impl<F: Real> Attention<F> {
    pub(super) fn new(p: &mut dyn Parameters<F>, name: &str, config: &TowerConfig) -> Result<Self> {
        let square = (config.width, config.width);
        let mut map = |letter: &str, bias| Linear::new(p, &format!("{name}.{letter}"), square, bias);
        Ok(Self {
            q: map("q_proj", config.qkv_bias)?,
            k: map("k_proj", config.qkv_bias)?,
            v: map("v_proj", config.qkv_bias)?,
            out: map("out_proj", true)?,
            heads: config.heads,
        })
    }

    /// `from [row, query, unit]`, `to [row, key, unit]` -> `[row, query, unit]`; `site` names the points inside.
    pub(super) fn forward(
        &self,
        tape: &mut Tape<F>,
        (from, to): (&Tensor<F>, &Tensor<F>),
        causal: bool,
        site: &dyn Fn(BlockPoint) -> Site,
        hook: &mut dyn Hook,
    ) -> Result<Tensor<F>> {
        let mut project = |map: &Linear<F>, x: &Tensor<F>, point, tape: &mut Tape<F>| -> Result<Tensor<F>> {
            let by_head = [x.dim(0), x.dim(1), self.heads, x.dim(2) / self.heads];
            let mut y = map.forward(tape, x).reshape(by_head);
            visit(hook, site(point), &mut y)?;
            Ok(y)
        };
        let q = project(&self.q, from, BlockPoint::Q, tape)?;
        let k = project(&self.k, to, BlockPoint::K, tape)?;
        let v = project(&self.v, to, BlockPoint::V, tape)?;
        let mut scores = ops::scores(tape, &q, &k, causal);
        visit(hook, site(BlockPoint::AttnScores), &mut scores)?;
        let mut pattern = ops::softmax(tape, &scores);
        visit(hook, site(BlockPoint::Pattern), &mut pattern)?;
        let mut z = ops::mix(tape, &pattern, &v);
        visit(hook, site(BlockPoint::Z), &mut z)?;
        Ok(self.out.forward(tape, &z.reshape(from.shape())))
    }
}

/// Attention and MLP, each on a normalised copy of the residual stream and added to it.
pub(super) struct Block<F> {
    pub(super) ln1: Norm<F>,
    pub(super) attention: Attention<F>,
    pub(super) scale1: Option<Tensor<F>>,
    pub(super) ln2: Norm<F>,
    pub(super) mlp: Mlp<F>,
    pub(super) scale2: Option<Tensor<F>>,
}

impl<F: Real> Block<F> {
    pub(super) fn new(p: &mut dyn Parameters<F>, name: &str, config: &TowerConfig) -> Result<Self> {
        let (d, eps) = (config.width, config.eps);
        let scale = |p: &mut dyn Parameters<F>, number: usize| {
            config.layer_scale.then(|| p.get(&format!("{name}.layer_scale{number}"), &[d])).transpose()
        };
        Ok(Self {
            ln1: Norm::new(p, &format!("{name}.layer_norm1"), d, eps)?,
            attention: Attention::new(p, &format!("{name}.self_attn"), config)?,
            scale1: scale(p, 1)?,
            ln2: Norm::new(p, &format!("{name}.layer_norm2"), d, eps)?,
            mlp: Mlp::new(p, &format!("{name}.mlp"), config)?,
            scale2: scale(p, 2)?,
        })
    }

    /// `x [row, token, unit]` -> the same shape.
    pub(super) fn forward(
        &self,
        tape: &mut Tape<F>,
        mut x: Tensor<F>,
        (tower, layer, causal): (Tower, usize, bool),
        hook: &mut dyn Hook,
    ) -> Result<Tensor<F>> {
        let site = |point| Site { tower, point: Point::Block(layer, point) };
        let scaled = |tape: &mut Tape<F>, x: Tensor<F>, scale: &Option<Tensor<F>>| match scale {
            Some(scale) => ops::scale(tape, &x, scale),
            None => x,
        };
        visit(hook, site(BlockPoint::ResidPre), &mut x)?;
        let normal = self.ln1.forward(tape, &x);
        let attn_out = self.attention.forward(tape, (&normal, &normal), causal, &site, hook)?;
        let mut attn_out = scaled(tape, attn_out, &self.scale1);
        visit(hook, site(BlockPoint::AttnOut), &mut attn_out)?;
        let mut x = ops::add(tape, &x, &attn_out);
        visit(hook, site(BlockPoint::ResidMid), &mut x)?;

        let normal = self.ln2.forward(tape, &x);
        let mlp_out = self.mlp.forward(tape, &normal, &site, hook)?;
        let mut mlp_out = scaled(tape, mlp_out, &self.scale2);
        visit(hook, site(BlockPoint::MlpOut), &mut mlp_out)?;
        let mut x = ops::add(tape, &x, &mlp_out);
        visit(hook, site(BlockPoint::ResidPost), &mut x)?;
        Ok(x)
    }
}
