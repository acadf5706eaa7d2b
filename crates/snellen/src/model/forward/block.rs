//! The transformer block that both towers are made of (pre-norm, arXiv 2010.11929).

use crate::Result;
use crate::engine::ops::{Angles, Pending};
use crate::engine::{Activation, Precision, Real, Tape, Tensor, Weight, ops};
use crate::model::checkpoint::Parameters;
use crate::model::hook::{Step, Watch};
use crate::model::{BlockPoint, Point, Site, Tower, TowerConfig};

/// A layer norm's parameters.
pub(in crate::model) struct Norm<F> {
    pub(in crate::model) gain: Tensor<F>,
    pub(in crate::model) bias: Tensor<F>,
    eps: f64,
}

impl<F: Real> Norm<F> {
    pub(in crate::model) fn new(p: &mut dyn Parameters<F>, name: &str, width: usize, eps: f64) -> Result<Self> {
        Ok(Self {
            gain: p.get(&format!("{name}.weight"), &[width])?,
            bias: p.get(&format!("{name}.bias"), &[width])?,
            eps,
        })
    }

    pub(in crate::model) fn forward(&self, tape: &mut Tape<F>, x: &Tensor<F>) -> Tensor<F> {
        ops::layer_norm(tape, x, &self.gain, &self.bias, self.eps)
    }
}

/// An affine map's parameters.
pub(in crate::model) struct Linear<F: Real> {
    pub(in crate::model) weight: Weight<F>,
    pub(in crate::model) bias: Option<Tensor<F>>,
}

impl<F: Real> Linear<F> {
    /// `[to, from]`, and `[to]` where there is a bias.
    pub(in crate::model) fn new(
        p: &mut dyn Parameters<F>,
        name: &str,
        (from, to): (usize, usize),
        bias: bool,
    ) -> Result<Self> {
        Ok(Self {
            weight: p.get(&format!("{name}.weight"), &[to, from])?.into(),
            bias: bias.then(|| p.get(&format!("{name}.bias"), &[to])).transpose()?,
        })
    }

    /// This map of `x`, for [`ops::linears`].
    fn on<'a>(&'a self, x: &'a Tensor<F>) -> ops::Affine<'a, F> {
        (x, &self.weight, self.bias.as_ref())
    }

    pub(in crate::model) fn of(&self, x: &Tensor<F>) -> Pending<'_, F> {
        ops::linear(x, &self.weight, self.bias.as_ref())
    }
}

/// From the residual stream through hidden units and back.
pub(in crate::model) struct Mlp<F: Real> {
    gate: Option<Linear<F>>,
    up: Linear<F>,
    norm: Option<Norm<F>>,
    pub(in crate::model) down: Linear<F>,
    activation: Activation,
}

impl<F: Real> Mlp<F> {
    pub(in crate::model) fn new(p: &mut dyn Parameters<F>, name: &str, config: &TowerConfig) -> Result<Self> {
        let (inward, outward) = ((config.width, config.mlp), (config.mlp, config.width));
        let (gate, up, down) = if config.gated { ("gate", "up", "down") } else { ("", "fc1", "fc2") };
        let bias = config.biases.mlp;
        let gate = config.gated.then(|| Linear::new(p, &format!("{name}.{gate}"), inward, bias)).transpose()?;
        Ok(Self {
            gate,
            up: Linear::new(p, &format!("{name}.{up}"), inward, bias)?,
            norm: config.mlp_norm.then(|| Norm::new(p, &format!("{name}.norm"), config.mlp, config.eps)).transpose()?,
            down: Linear::new(p, &format!("{name}.{down}"), outward, bias)?,
            activation: config.activation,
        })
    }

    /// The maps that read the MLP's input.
    pub(in crate::model) fn readers(&mut self) -> Vec<&mut Linear<F>> {
        self.gate.iter_mut().chain([&mut self.up]).collect()
    }

    /// All of its maps.
    pub(in crate::model) fn linears(&mut self) -> Vec<&mut Linear<F>> {
        self.gate.iter_mut().chain([&mut self.up, &mut self.down]).collect()
    }

    /// `x [.., unit]` -> the same shape; `site` names the points inside.
    pub(in crate::model) fn forward(
        &self,
        tape: &mut Tape<F>,
        x: &Tensor<F>,
        site: &dyn Fn(BlockPoint) -> Site,
        watch: &mut Watch<'_>,
    ) -> Step<Pending<'_, F>> {
        let post = self.hidden(tape, x, site, watch)?;
        Ok(self.down.of(&post))
    }

    /// `x [.., unit]` -> the hidden units, `[.., unit]`.
    fn hidden(
        &self,
        tape: &mut Tape<F>,
        x: &Tensor<F>,
        site: &dyn Fn(BlockPoint) -> Site,
        watch: &mut Watch<'_>,
    ) -> Step<Tensor<F>> {
        let pre = self.gate.as_ref().unwrap_or(&self.up).of(x);
        let pre = watch.pass(tape, site(BlockPoint::MlpPre), pre)?;
        let mut post = pre.activate(tape, self.activation).make(tape);
        if self.gate.is_some() {
            let mut linear = self.up.of(x).make(tape);
            watch.visit(tape, site(BlockPoint::MlpPreLinear), &mut linear)?;
            post = ops::multiply(tape, &post, &linear);
        }
        if let Some(norm) = &self.norm {
            post = norm.forward(tape, &post);
        }
        watch.visit(tape, site(BlockPoint::MlpPost), &mut post)?;
        Ok(post)
    }
}

/// Which tokens a token attends to.
#[derive(Clone, Copy)]
pub(in crate::model) enum Sees<'a> {
    /// All of its sequence.
    All,
    /// Those before it, and itself.
    Earlier,
    /// Those that are true, `[row, key]`.
    Only(&'a [bool]),
}

/// What attention knows of its tokens beside their values.
#[derive(Clone, Copy)]
pub(in crate::model) struct Around<'a, F> {
    pub(in crate::model) sees: Sees<'a>,
    /// What queries and keys are turned by.
    pub(in crate::model) angles: Option<&'a Angles<F>>,
    /// One token of every row that goes on alone from here: behind the last attention no other is read.
    pub(in crate::model) only: Option<&'a [usize]>,
}

impl<'a, F> From<Sees<'a>> for Around<'a, F> {
    fn from(sees: Sees<'a>) -> Self {
        Self { sees, angles: None, only: None }
    }
}

/// Attention from one sequence to another, or to itself.
pub(in crate::model) struct Attention<F: Real> {
    pub(in crate::model) q: Linear<F>,
    pub(in crate::model) k: Linear<F>,
    pub(in crate::model) v: Linear<F>,
    norm: Option<Norm<F>>,
    pub(in crate::model) out: Linear<F>,
    heads: usize,
    precision: Precision,
}

impl<F: Real> Attention<F> {
    pub(in crate::model) fn new(p: &mut dyn Parameters<F>, name: &str, config: &TowerConfig) -> Result<Self> {
        let square = (config.width, config.width);
        let norm = |p: &mut dyn Parameters<F>| Norm::new(p, &format!("{name}.norm"), config.width, config.eps);
        let norm = config.attention_norm.then(|| norm(p)).transpose()?;
        let mut map = |letter: &str, bias| Linear::new(p, &format!("{name}.{letter}"), square, bias);
        Ok(Self {
            norm,
            q: map("q_proj", config.biases.query)?,
            k: map("k_proj", config.biases.key)?,
            v: map("v_proj", config.biases.value)?,
            out: map("out_proj", config.biases.out)?,
            heads: config.heads,
            precision: Precision::F32,
        })
    }

    /// Packs its maps, and makes its own products in `precision`.
    pub(in crate::model) fn pack(&mut self, precision: Precision) {
        self.precision = precision;
        [&mut self.q, &mut self.k, &mut self.v, &mut self.out].into_iter().for_each(|map| map.weight.pack(precision));
    }

    /// `from [row, query, unit]`, `to [row, key, unit]` -> `[row, query, unit]`; `site` names the points inside.
    pub(in crate::model) fn forward(
        &self,
        tape: &mut Tape<F>,
        of: (&Tensor<F>, &Tensor<F>),
        around: Around<'_, F>,
        site: &dyn Fn(BlockPoint) -> Site,
        watch: &mut Watch<'_>,
    ) -> Step<Pending<'_, F>> {
        let z = self.mixed(tape, of, around, site, watch)?;
        Ok(self.out(tape, z))
    }

    /// What every head makes of the values, `[row, query, head, unit]`.
    fn mixed(
        &self,
        tape: &mut Tape<F>,
        (from, to): (&Tensor<F>, &Tensor<F>),
        Around { sees, angles, .. }: Around<'_, F>,
        site: &dyn Fn(BlockPoint) -> Site,
        watch: &mut Watch<'_>,
    ) -> Step<Tensor<F>> {
        let [q, k, v] = ops::linears(tape, [self.q.on(from), self.k.on(to), self.v.on(to)]);
        let mut by_head = |x: Tensor<F>, point| -> Step<Tensor<F>> {
            let shape = [x.dim(0), x.dim(1), self.heads, x.dim(2) / self.heads];
            let mut x = x.reshape(shape);
            watch.visit(tape, site(point), &mut x)?;
            Ok(x)
        };
        let (mut q, mut k, v) = (by_head(q, BlockPoint::Q)?, by_head(k, BlockPoint::K)?, by_head(v, BlockPoint::V)?);
        if let Some(angles) = angles {
            (q, k) = (ops::rotate(tape, &q, angles), ops::rotate(tape, &k, angles));
            watch.visit(tape, site(BlockPoint::RotQ), &mut q)?;
            watch.visit(tape, site(BlockPoint::RotK), &mut k)?;
        }
        let looked_at = [BlockPoint::AttnScores, BlockPoint::Pattern].into_iter().any(|point| watch.wants(site(point)));
        let causal = matches!(sees, Sees::Earlier);
        let mut z = if looked_at || tape.records() || matches!(sees, Sees::Only(_)) {
            let mut scores = ops::scores(tape, &q, &k, causal, self.precision);
            if let Sees::Only(seen) = sees {
                scores = ops::hide(tape, &scores, seen);
            }
            watch.visit(tape, site(BlockPoint::AttnScores), &mut scores)?;
            let mut pattern = ops::softmax(tape, &scores);
            watch.visit(tape, site(BlockPoint::Pattern), &mut pattern)?;
            ops::mix(tape, &pattern, &v, self.precision)
        } else {
            ops::attention(tape, (&q, &k, &v), causal, self.precision)
        };
        watch.visit(tape, site(BlockPoint::Z), &mut z)?;
        Ok(z)
    }

    /// `z [row, query, head, unit]` -> `[row, query, unit]`.
    fn out(&self, tape: &mut Tape<F>, z: Tensor<F>) -> Pending<'_, F> {
        let shape = [z.dim(0), z.dim(1), z.dim(2) * z.dim(3)];
        let z = z.reshape(shape);
        match &self.norm {
            Some(norm) => self.out.of(&norm.forward(tape, &z)),
            None => self.out.of(&z),
        }
    }
}

/// Attention and MLP, each on a normalised copy of the residual stream and added to it.
pub(in crate::model) struct Block<F: Real> {
    pub(in crate::model) ln1: Norm<F>,
    pub(in crate::model) attention: Attention<F>,
    pub(in crate::model) scale1: Option<Tensor<F>>,
    pub(in crate::model) ln2: Norm<F>,
    pub(in crate::model) mlp: Mlp<F>,
    pub(in crate::model) scale2: Option<Tensor<F>>,
}

impl<F: Real> Block<F> {
    /// The blocks of a tower; `done` is shown each before the next is asked for.
    pub(in crate::model) fn all(
        p: &mut dyn Parameters<F>,
        name: &str,
        config: &TowerConfig,
        done: &dyn Fn(&mut Self),
    ) -> Result<Vec<Self>> {
        let one = |layer| {
            let mut block = Self::new(p, &format!("{name}.{layer}"), config)?;
            done(&mut block);
            Ok(block)
        };
        (0..config.layers).map(one).collect()
    }

    fn new(p: &mut dyn Parameters<F>, name: &str, config: &TowerConfig) -> Result<Self> {
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

    /// Whether nobody sees what the last of `layers` blocks of `tower` and the norm behind it make of tokens that are not read.
    pub(in crate::model) fn is_unseen(tape: &Tape<F>, watch: &Watch<'_>, tower: Tower, layers: usize) -> bool {
        let inside = |point| watch.wants(Site { tower, point: Point::Block(layers - 1, point) });
        let behind = watch.wants(Site { tower, point: Point::LnFinal });
        layers > 0 && !tape.records() && !behind && !BlockPoint::ALL.into_iter().any(inside)
    }

    /// Packs its maps for `precision`.
    pub(in crate::model) fn pack(&mut self, precision: Precision) {
        self.attention.pack(precision);
        self.mlp.linears().into_iter().for_each(|map| map.weight.pack(precision));
    }

    /// `x [row, token, unit]` -> the same shape; one token of every row, where only that goes on.
    pub(in crate::model) fn forward(
        &self,
        tape: &mut Tape<F>,
        mut x: Tensor<F>,
        (tower, layer, around): (Tower, usize, Around<'_, F>),
        watch: &mut Watch<'_>,
    ) -> Step<Tensor<F>> {
        let site = |point| Site { tower, point: Point::Block(layer, point) };
        watch.visit(tape, site(BlockPoint::ResidPre), &mut x)?;
        let normal = self.ln1.forward(tape, &x);
        let mut queries = normal.clone();
        if let Some(only) = around.only {
            let one = [x.dim(0), 1, x.dim(2)];
            queries = ops::select(tape, &normal, only).reshape(one);
            x = ops::select(tape, &x, only).reshape(one);
        }
        let z = self.attention.mixed(tape, (&queries, &normal), around, &site, watch)?;
        drop((queries, normal));
        self.rest(tape, Inside::Z { z, pre: x }, &site, watch)
    }

    /// From inside the block to the residual stream on exit, `[row, token, unit]`.
    pub(in crate::model) fn rest(
        &self,
        tape: &mut Tape<F>,
        from: Inside<F>,
        site: &dyn Fn(BlockPoint) -> Site,
        watch: &mut Watch<'_>,
    ) -> Step<Tensor<F>> {
        let hidden = |tape: &mut Tape<F>, mid: Tensor<F>, watch: &mut Watch<'_>| {
            let normal = self.ln2.forward(tape, &mid);
            self.mlp.hidden(tape, &normal, site, watch).map(|post| (post, mid))
        };
        let (post, mid) = match from {
            Inside::Z { z, pre } => {
                let out = self.attention.out(tape, z);
                let out = scaled(tape, out, self.scale1.as_ref());
                let mut mid = watch.pass(tape, site(BlockPoint::AttnOut), out)?.add(tape, &pre).make(tape);
                drop(pre);
                watch.visit(tape, site(BlockPoint::ResidMid), &mut mid)?;
                hidden(tape, mid, watch)?
            }
            Inside::Mid(mid) => hidden(tape, mid, watch)?,
            Inside::Post { post, mid } => (post, mid),
        };
        let out = scaled(tape, self.mlp.down.of(&post), self.scale2.as_ref());
        drop(post);
        let mut x = watch.pass(tape, site(BlockPoint::MlpOut), out)?.add(tape, &mid).make(tape);
        watch.visit(tape, site(BlockPoint::ResidPost), &mut x)?;
        Ok(x)
    }
}

/// What was computed inside a block: from there on a token's values don't depend on other tokens', so any tokens may stand in a row.
#[derive(Clone, Debug)]
pub enum Inside<F> {
    /// Behind the heads.
    Z {
        /// [`BlockPoint::Z`], `[row, token, head, unit]`.
        z: Tensor<F>,
        /// [`BlockPoint::ResidPre`], `[row, token, unit]`.
        pre: Tensor<F>,
    },
    /// Between attention and MLP: [`BlockPoint::ResidMid`], `[row, token, unit]`.
    Mid(Tensor<F>),
    /// Behind the hidden units.
    Post {
        /// [`BlockPoint::MlpPost`], `[row, token, unit]`.
        post: Tensor<F>,
        /// [`BlockPoint::ResidMid`], `[row, token, unit]`.
        mid: Tensor<F>,
    },
}

fn scaled<'a, F: Real>(tape: &mut Tape<F>, x: Pending<'a, F>, scale: Option<&'a Tensor<F>>) -> Pending<'a, F> {
    match scale {
        Some(scale) => x.scale(tape, scale),
        None => x,
    }
}
