//! The transformer block that both towers are made of (pre-norm, arXiv 2010.11929).

use super::checkpoint::Parameters;
use super::hook::{Hook, visit};
use super::{BlockPoint, Point, Site, Tower, TowerConfig};
use crate::Result;
use crate::engine::{Activation, Real, Tape, Tensor, ops};

/// A layer norm's parameters.
pub(super) struct Norm<F> {
    gain: Tensor<F>,
    bias: Tensor<F>,
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
struct Linear<F> {
    weight: Tensor<F>,
    bias: Tensor<F>,
}

impl<F: Real> Linear<F> {
    fn new(p: &mut dyn Parameters<F>, name: &str, from: usize, to: usize) -> Result<Self> {
        Ok(Self {
            weight: p.get(&format!("{name}.weight"), &[to, from])?,
            bias: p.get(&format!("{name}.bias"), &[to])?,
        })
    }

    fn forward(&self, tape: &mut Tape<F>, x: &Tensor<F>) -> Tensor<F> {
        ops::linear(tape, x, &self.weight, Some(&self.bias))
    }
}

/// Attention and MLP, each on a normalised copy of the residual stream and added to it.
pub(super) struct Block<F> {
    ln1: Norm<F>,
    q: Linear<F>,
    k: Linear<F>,
    v: Linear<F>,
    out: Linear<F>,
    ln2: Norm<F>,
    fc1: Linear<F>,
    fc2: Linear<F>,
    heads: usize,
    activation: Activation,
}

impl<F: Real> Block<F> {
    pub(super) fn new(p: &mut dyn Parameters<F>, name: &str, config: &TowerConfig) -> Result<Self> {
        let (d, mlp) = (config.width, config.mlp);
        Ok(Self {
            ln1: Norm::new(p, &format!("{name}.layer_norm1"), d, config.eps)?,
            q: Linear::new(p, &format!("{name}.self_attn.q_proj"), d, d)?,
            k: Linear::new(p, &format!("{name}.self_attn.k_proj"), d, d)?,
            v: Linear::new(p, &format!("{name}.self_attn.v_proj"), d, d)?,
            out: Linear::new(p, &format!("{name}.self_attn.out_proj"), d, d)?,
            ln2: Norm::new(p, &format!("{name}.layer_norm2"), d, config.eps)?,
            fc1: Linear::new(p, &format!("{name}.mlp.fc1"), d, mlp)?,
            fc2: Linear::new(p, &format!("{name}.mlp.fc2"), mlp, d)?,
            heads: config.heads,
            activation: config.activation,
        })
    }

    /// `x [row, token, unit]` -> the same shape; the text tower's attention is causal.
    pub(super) fn forward(
        &self,
        tape: &mut Tape<F>,
        mut x: Tensor<F>,
        (tower, layer): (Tower, usize),
        hook: &mut dyn Hook,
    ) -> Result<Tensor<F>> {
        let site = |point| Site { tower, point: Point::Block(layer, point) };
        let shape = x.shape().to_vec();
        let by_head = [shape[0], shape[1], self.heads, shape[2] / self.heads];

        visit(hook, site(BlockPoint::ResidPre), &mut x)?;
        let normal = self.ln1.forward(tape, &x);
        let mut project = |map: &Linear<F>, point, tape: &mut Tape<F>| -> Result<Tensor<F>> {
            let mut y = map.forward(tape, &normal).reshape(by_head);
            visit(hook, site(point), &mut y)?;
            Ok(y)
        };
        let q = project(&self.q, BlockPoint::Q, tape)?;
        let k = project(&self.k, BlockPoint::K, tape)?;
        let v = project(&self.v, BlockPoint::V, tape)?;
        let mut scores = ops::scores(tape, &q, &k, tower == Tower::Text);
        visit(hook, site(BlockPoint::AttnScores), &mut scores)?;
        let mut pattern = ops::softmax(tape, &scores);
        visit(hook, site(BlockPoint::Pattern), &mut pattern)?;
        let mut z = ops::mix(tape, &pattern, &v);
        visit(hook, site(BlockPoint::Z), &mut z)?;
        let mut attn_out = self.out.forward(tape, &z.reshape(shape));
        visit(hook, site(BlockPoint::AttnOut), &mut attn_out)?;
        let mut x = ops::add(tape, &x, &attn_out);
        visit(hook, site(BlockPoint::ResidMid), &mut x)?;

        let normal = self.ln2.forward(tape, &x);
        let mut pre = self.fc1.forward(tape, &normal);
        visit(hook, site(BlockPoint::MlpPre), &mut pre)?;
        let mut post = ops::activate(tape, &pre, self.activation);
        visit(hook, site(BlockPoint::MlpPost), &mut post)?;
        let mut mlp_out = self.fc2.forward(tape, &post);
        visit(hook, site(BlockPoint::MlpOut), &mut mlp_out)?;
        let mut x = ops::add(tape, &x, &mlp_out);
        visit(hook, site(BlockPoint::ResidPost), &mut x)?;
        Ok(x)
    }
}
