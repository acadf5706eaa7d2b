//! Attribution patching: what every unit's patch would do, by the gradient of the margin, with two forwards and a backward for all.
//!
//! ```text
//! estimate of a unit   = sum over tokens of (a_source - a_base) dm/da
//! estimate of queries  = sum over queries and keys of (softmax(q_source k_base) - softmax(q_base k_base)) dm/dpattern
//! ```
//!
//! Gradients are those of the run that is patched. The first is linear in the change (Syed et al. 2023, arXiv 2310.10348). Where
//! attention is saturated a gradient through the softmax says nothing of what another query would do; so for queries and keys the softmax
//! is made again, and only what follows it is taken as linear (`AtP*`, arXiv 2403.00745).

use super::Direction;
use super::node::Node;
use super::pairs::{Pairs, shape};
use super::seen::Seen;
use crate::engine::{Tape, Tensor, ops};
use crate::model::{BlockPoint, ModelConfig, Point, Site, SiteGradients, Tower, Towers};
use crate::progress::Progress;
use crate::{Error, Result};
use rayon::prelude::*;

/// Numbers that a chunk of twins may keep.
const KEPT: usize = 1 << 27;

/// The most twins of a chunk.
const TWINS: usize = 16;

/// What a node's patch is estimated to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The layer.
    pub layer: usize,
    /// The node, at all tokens.
    pub node: Node,
    /// The mean over twins of the estimated change of the margin.
    pub estimate: f64,
    /// The same by the gradient at the node itself; of units it is `estimate`.
    pub plain: f64,
}

/// Estimates of all hidden units of all layers, and of the queries and keys of all heads: by layer, units, queries, keys.
///
/// # Errors
/// When twins don't belong together, and [`Error::Interrupted`].
pub fn screen(
    towers: &Towers<f32>,
    config: &ModelConfig,
    pairs: &Pairs,
    direction: Direction,
    progress: &dyn Progress,
) -> Result<Vec<Estimate>> {
    pairs.check(config)?;
    let tower = shape(config, pairs.input.tower())?;
    let (layers, heads, n, tokens) = (tower.layers, tower.heads, pairs.len(), pairs.tokens(config));
    let each = layers * tokens * (12 * tower.width + 5 * tower.mlp + 4 * heads * tokens);
    let together = (KEPT / each).clamp(1, TWINS);
    let mut sums = vec![[0.0; 2]; layers * (tower.mlp + 2 * heads)];
    progress.advance(0, n);
    for first in (0..n).step_by(together) {
        if progress.is_cancelled() {
            return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
        }
        let twins: Vec<usize> = (first..(first + together).min(n)).collect();
        let chunk = Chunk::of(towers, pairs, &twins, (direction, layers))?;
        sums.par_chunks_mut(tower.mlp + 2 * heads).enumerate().for_each(|(layer, sums)| {
            for row in 0..twins.len() {
                let (units, by_head) = sums.split_at_mut(tower.mlp);
                chunk.units(layer, row, units);
                chunk.queries_and_keys(layer, row, heads, by_head);
            }
        });
        progress.advance(first + twins.len(), n);
    }
    let nodes = || {
        let units = (0..tower.mlp).map(Node::Unit);
        units.chain((0..heads).map(Node::Query)).chain((0..heads).map(Node::Key))
    };
    let all = (0..layers).flat_map(|layer| nodes().map(move |node| (layer, node)));
    let of = |((layer, node), [estimate, plain]): ((usize, Node), [f64; 2])| Estimate {
        layer,
        node,
        estimate: estimate / n as f64,
        plain: plain / n as f64,
    };
    Ok(all.zip(sums).map(of).collect())
}

/// Some twins: what the sources have, and what the patched runs have, with gradients.
struct Chunk {
    tower: Tower,
    source: Seen,
    base: Seen,
    gradients: Vec<[Vec<f32>; 4]>,
}

/// Where gradients are taken.
const POINTS: [BlockPoint; 4] = [BlockPoint::MlpPost, BlockPoint::Pattern, BlockPoint::Q, BlockPoint::K];

impl Chunk {
    fn of(
        towers: &Towers<f32>,
        pairs: &Pairs,
        twins: &[usize],
        (direction, layers): (Direction, usize),
    ) -> Result<Self> {
        let tower = pairs.input.tower();
        let sites = |points: &[BlockPoint]| -> Vec<Site> {
            let of = |layer| points.iter().map(move |point| Site { tower, point: Point::Block(layer, *point) });
            (0..layers).flat_map(of).collect()
        };
        let roles: Vec<[usize; 2]> = twins.iter().map(|i| Pairs::roles(*i, direction)).collect();
        let rows = |k: usize| pairs.input.rows(&roles.iter().map(|roles| roles[k]).collect::<Vec<_>>());
        // Rotary positions turn queries and keys before they meet.
        let turned = [BlockPoint::RotQ, BlockPoint::RotK];
        let mut source = Seen::at(sites(&[&POINTS[..1], &POINTS[2..], &turned].concat()));
        rows(1).embed(towers, &mut Tape::off(), &mut source)?;
        let mut base = Seen::at(sites(&[&POINTS[..], &turned, &[BlockPoint::AttnScores]].concat()));
        let mut kept = SiteGradients::new(sites(&POINTS));
        let mut tape = Tape::on();
        let embeds = rows(0).embed(towers, &mut tape, &mut (&mut base, &mut kept))?;
        let unit = ops::unit_rows(&mut tape, &embeds);
        let readout = twins.iter().flat_map(|i| &pairs.readout[*i]).map(|x| *x as f32).collect();
        let values = unit.data().len();
        let margins = Tensor::new([1, values], readout).into();
        let sum = ops::linear(&unit.reshape([1, values]), &margins, None).make(&mut tape);
        let gradients = tape.backward(&sum);
        let at = |layer: usize, point| {
            kept.at(&gradients, Site { tower, point: Point::Block(layer, point) }).map(<[f32]>::to_vec)
        };
        let of = |layer: usize| POINTS.map(|point| at(layer, point).unwrap_or_default());
        let gradients = (0..layers).map(of).collect();
        Ok(Self { tower, source, base, gradients })
    }

    fn site(&self, layer: usize, point: BlockPoint) -> Site {
        Site { tower: self.tower, point: Point::Block(layer, point) }
    }

    /// The gradient of row `row` at one of [`POINTS`], as long as what the row has there; nothing where nothing depends on it.
    fn gradient(&self, layer: usize, point: usize, row: usize) -> &[f32] {
        let long = self.base.row(self.site(layer, POINTS[point]), row).len();
        self.gradients[layer][point].get(row * long..(row + 1) * long).unwrap_or_default()
    }

    /// Adds the estimates of a row's units.
    fn units(&self, layer: usize, row: usize, sums: &mut [[f64; 2]]) {
        let site = self.site(layer, BlockPoint::MlpPost);
        let tokens = self.source.row(site, row).chunks(sums.len()).zip(self.base.row(site, row).chunks(sums.len()));
        for ((source, base), gradient) in tokens.zip(self.gradient(layer, 0, row).chunks(sums.len())) {
            for (sum, ((source, base), gradient)) in sums.iter_mut().zip(source.iter().zip(base).zip(gradient)) {
                let by = f64::from(source - base) * f64::from(*gradient);
                sum[0] += by;
                sum[1] += by;
            }
        }
    }

    /// Adds those of a row's queries, then of its keys, head by head.
    fn queries_and_keys(&self, layer: usize, row: usize, heads: usize, sums: &mut [[f64; 2]]) {
        let turned = |seen: &Seen, turned, point| {
            let of = |point| self.site(layer, point);
            if seen.row(of(turned), row).is_empty() { of(point) } else { of(turned) }
        };
        let q = turned(&self.base, BlockPoint::RotQ, BlockPoint::Q);
        let k = turned(&self.base, BlockPoint::RotK, BlockPoint::K);
        let scores = self.base.row(self.site(layer, BlockPoint::AttnScores), row);
        let pattern = self.base.row(self.site(layer, BlockPoint::Pattern), row);
        let gradient = self.gradient(layer, 1, row);
        let (n, d) = (self.base.shape(q)[0], self.base.shape(q)[2]);
        if gradient.is_empty() {
            return;
        }
        for head in 0..heads {
            let square = head * n * n..(head + 1) * n * n;
            let of = |q: &[f32], k: &[f32]| {
                let made = softmax_of((q, k), (head, heads, d), &scores[square.clone()]);
                let change = made.iter().zip(&pattern[square.clone()]).zip(&gradient[square.clone()]);
                change.map(|((new, old), g)| (new - f64::from(*old)) * f64::from(*g)).sum::<f64>()
            };
            sums[head][0] += of(self.source.row(q, row), self.base.row(k, row));
            sums[heads + head][0] += of(self.base.row(q, row), self.source.row(k, row));
            for (which, point) in [(0, BlockPoint::Q), (1, BlockPoint::K)] {
                let site = self.site(layer, point);
                let (source, base) = (self.source.row(site, row), self.base.row(site, row));
                let gradient = self.gradient(layer, 2 + which, row);
                let unit = |at: &usize| at / d % heads == head;
                let by = |at: usize| f64::from(source[at] - base[at]) * f64::from(gradient[at]);
                sums[which * heads + head][1] += (0..gradient.len()).filter(unit).map(by).sum::<f64>();
            }
        }
    }
}

/// The pattern `[query, key]` of one head of `heads` with `d` units each; where `scores` are minus infinity nothing is seen.
fn softmax_of((q, k): (&[f32], &[f32]), (head, heads, d): (usize, usize, usize), scores: &[f32]) -> Vec<f64> {
    let n = k.len() / (heads * d);
    let factor = 1.0 / (d as f64).sqrt();
    let token = |x: &[f32], t: usize| -> Vec<f32> { x[(t * heads + head) * d..][..d].to_vec() };
    let keys: Vec<Vec<f32>> = (0..n).map(|t| token(k, t)).collect();
    let mut pattern = Vec::with_capacity(scores.len());
    for (query, scores) in scores.chunks(n).enumerate() {
        let query = token(q, query);
        let score = |(key, old): (&Vec<f32>, &f32)| {
            let sum: f32 = query.iter().zip(key).map(|(a, b)| a * b).sum();
            if *old == f32::NEG_INFINITY { f64::NEG_INFINITY } else { f64::from(sum) * factor }
        };
        let row: Vec<f64> = keys.iter().zip(scores).map(score).collect();
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = row.iter().map(|x| (x - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        pattern.extend(powers.iter().map(|x| x / sum));
    }
    pattern
}
