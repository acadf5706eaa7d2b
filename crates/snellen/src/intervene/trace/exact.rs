//! Some nodes patched exactly: the forward goes on from each.

use super::node::Node;
use super::pairs::{Pairs, shape};
use super::seen::Seen;
use super::{Direction, TOKENS};
use crate::engine::{Tape, Tensor};
use crate::model::{ActivationMut, BlockPoint, Hook, Inside, ModelConfig, Point, Site, Tower, TowerConfig, Towers};
use crate::progress::Progress;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Twins whose forwards are kept at a time.
const TWINS: usize = 4;

/// What a node's patch does.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// The layer.
    pub layer: usize,
    /// The node, at all tokens.
    pub node: Node,
    /// The change of each twin's margin.
    pub effects: Vec<f64>,
    /// How many values the patches changed, all together.
    pub changed: usize,
}

/// Patches each of `nodes` by itself, in its layer, at all tokens.
///
/// # Errors
/// When twins don't belong together, the tower has no such node, and [`Error::Interrupted`].
pub fn exact(
    towers: &Towers<f32>,
    config: &ModelConfig,
    pairs: &Pairs,
    (nodes, direction): (&[(usize, Node)], Direction),
    progress: &dyn Progress,
) -> Result<Vec<Exact>> {
    pairs.check(config)?;
    let tower = shape(config, pairs.input.tower())?;
    nodes.iter().try_for_each(|(layer, node)| check(tower, *layer, *node))?;
    let mut found: Vec<Exact> = nodes
        .iter()
        .map(|(layer, node)| Exact { layer: *layer, node: *node, effects: vec![0.0; pairs.len()], changed: 0 })
        .collect();
    let mut by_layer: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (k, (layer, _)) in nodes.iter().enumerate() {
        by_layer.entry(*layer).or_default().push(k);
    }
    let mut tape = Tape::off();
    progress.advance(0, pairs.len());
    for first in (0..pairs.len()).step_by(TWINS) {
        let twins: Vec<usize> = (first..(first + TWINS).min(pairs.len())).collect();
        let rows: Vec<usize> = twins.iter().flat_map(|i| Pairs::roles(*i, direction)).collect();
        let mut seen = Seen::at(sites(pairs.input.tower(), by_layer.keys().copied()));
        let embeds = pairs.input.rows(&rows).embed(towers, &mut tape, &mut seen)?;
        for (k, i) in twins.iter().enumerate() {
            if progress.is_cancelled() {
                return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
            }
            let before = pairs.margin(*i, &embeds.data()[2 * k * embeds.width()..][..embeds.width()]);
            for (layer, which) in &by_layer {
                let layer = Run {
                    towers,
                    pairs,
                    tower,
                    seen: &seen,
                    layer: *layer,
                    rows: [2 * k, 2 * k + 1],
                    row: rows[2 * k],
                };
                let those: Vec<Node> = which.iter().map(|k| nodes[*k].1).collect();
                let done = layer.units(&mut tape, &those)?.into_iter().chain(layer.heads(&mut tape, &those)?);
                for (at, changed, embedding) in done {
                    let found = &mut found[which[at]];
                    found.changed += changed;
                    found.effects[*i] = pairs.margin(*i, &embedding) - before;
                }
            }
            progress.advance(i + 1, pairs.len());
        }
    }
    Ok(found)
}

/// Refuses a node that the tower lacks.
fn check(tower: &TowerConfig, layer: usize, node: Node) -> Result<()> {
    let (number, count) = match node {
        Node::Unit(unit) => (unit, tower.mlp),
        Node::Query(head) | Node::Key(head) => (head, tower.heads),
    };
    if layer < tower.layers && number < count {
        return Ok(());
    }
    let expected = format!("layers below {} and numbers below {count}", tower.layers);
    Err(Error::mismatch(format!("layer {layer}, {node}"), expected, "beyond"))
}

fn sites(tower: Tower, layers: impl Iterator<Item = usize>) -> Vec<Site> {
    let points = [
        BlockPoint::ResidPre,
        BlockPoint::Q,
        BlockPoint::K,
        BlockPoint::ResidMid,
        BlockPoint::MlpPost,
        BlockPoint::ResidPost,
    ];
    layers.flat_map(|layer| points.map(|point| Site { tower, point: Point::Block(layer, point) })).collect()
}

/// A layer of the two rows of one twin: the patched one and the source.
struct Run<'a> {
    towers: &'a Towers<f32>,
    pairs: &'a Pairs,
    tower: &'a TowerConfig,
    seen: &'a Seen,
    layer: usize,
    rows: [usize; 2],
    /// The patched one among all twins'.
    row: usize,
}

/// Which node, how many values it changed, and the embedding with it.
type Done = (usize, usize, Vec<f32>);

impl Run<'_> {
    fn values(&self, point: BlockPoint) -> [&[f32]; 2] {
        let site = Site { tower: self.pairs.input.tower(), point: Point::Block(self.layer, point) };
        self.rows.map(|row| self.seen.row(site, row))
    }

    /// Those of `nodes` that are units and change something.
    fn units(&self, tape: &mut Tape<f32>, nodes: &[Node]) -> Result<Vec<Done>> {
        let (mlp, width) = (self.tower.mlp, self.tower.width);
        let [post, source] = self.values(BlockPoint::MlpPost);
        let ([mid, _], [end, _]) = (self.values(BlockPoint::ResidMid), self.values(BlockPoint::ResidPost));
        let tokens = end.len() / width;
        let changes =
            |unit: usize, token: &usize| post[token * mlp + unit].to_bits() != source[token * mlp + unit].to_bits();
        let mut jobs: Vec<(usize, usize, Vec<usize>)> = Vec::new();
        for (k, node) in nodes.iter().enumerate() {
            if let Node::Unit(unit) = node {
                let at: Vec<usize> = (0..tokens).filter(|token| changes(*unit, token)).collect();
                if !at.is_empty() {
                    jobs.push((k, *unit, at));
                }
            }
        }
        let mut done = Vec::with_capacity(jobs.len());
        for jobs in jobs.chunks((TOKENS / tokens).max(1)) {
            let count: usize = jobs.iter().map(|(.., at)| at.len()).sum();
            let (mut hidden, mut middle) = (Vec::with_capacity(count * mlp), Vec::with_capacity(count * width));
            for (_, unit, at) in jobs {
                for token in at {
                    let start = hidden.len();
                    hidden.extend_from_slice(&post[token * mlp..][..mlp]);
                    hidden[start + unit] = source[token * mlp + unit];
                    middle.extend_from_slice(&mid[token * width..][..width]);
                }
            }
            let inside = Inside::Post {
                post: Tensor::new([1, count, mlp], hidden),
                mid: Tensor::new([1, count, width], middle),
            };
            let place = (self.pairs.input.tower(), self.layer);
            let ends = self.towers.finish_block(tape, place, inside, &mut ())?;
            let mut streams: Vec<f32> = jobs.iter().flat_map(|_| end).copied().collect();
            let places =
                jobs.iter().enumerate().flat_map(|(k, (.., at))| at.iter().map(move |t| (k * tokens + t) * width));
            for (place, token) in places.zip(ends.data().chunks(width)) {
                streams[place..][..width].copy_from_slice(token);
            }
            let from = (self.layer + 1, Tensor::new([jobs.len(), tokens, width], streams));
            let around = self.pairs.input.around(self.row, jobs.len());
            let embeds = around.resume(self.towers, tape, from, &mut ())?;
            let each = jobs.iter().zip(embeds.data().chunks(embeds.width()));
            done.extend(each.map(|((k, _, at), embedding)| (*k, at.len(), embedding.to_vec())));
        }
        Ok(done)
    }

    /// Those of `nodes` that are queries or keys.
    fn heads(&self, tape: &mut Tape<f32>, nodes: &[Node]) -> Result<Vec<Done>> {
        let width = self.tower.width;
        let which: Vec<usize> = (0..nodes.len()).filter(|k| !matches!(nodes[*k], Node::Unit(_))).collect();
        let [entry, _] = self.values(BlockPoint::ResidPre);
        let tokens = entry.len() / width;
        let mut done = Vec::with_capacity(which.len());
        for which in which.chunks((TOKENS / tokens).max(1)) {
            let streams = which.iter().flat_map(|_| entry).copied().collect();
            let from = (self.layer, Tensor::new([which.len(), tokens, width], streams));
            let mut hook = Heads {
                layer: self.layer,
                rows: which.iter().map(|k| nodes[*k]).collect(),
                sources: [self.values(BlockPoint::Q)[1], self.values(BlockPoint::K)[1]],
                changed: vec![0; which.len()],
            };
            let around = self.pairs.input.around(self.row, which.len());
            let embeds = around.resume(self.towers, tape, from, &mut hook)?;
            let each = which.iter().zip(hook.changed).zip(embeds.data().chunks(embeds.width()));
            done.extend(each.map(|((k, changed), embedding)| (*k, changed, embedding.to_vec())));
        }
        Ok(done)
    }
}

/// Puts a source's queries or keys of one head into each row.
struct Heads<'a> {
    layer: usize,
    rows: Vec<Node>,
    sources: [&'a [f32]; 2],
    changed: Vec<usize>,
}

impl Hook for Heads<'_> {
    fn wants(&self, site: Site) -> bool {
        matches!(site.point, Point::Block(layer, BlockPoint::Q | BlockPoint::K) if layer == self.layer)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let is_query = matches!(site.point, Point::Block(_, BlockPoint::Q));
        let (heads, d) = (x.shape[2], x.shape[3]);
        let source = self.sources[usize::from(!is_query)];
        for (row, values) in x.data.chunks_mut(source.len()).enumerate() {
            let head = match self.rows[row] {
                Node::Query(head) if is_query => head,
                Node::Key(head) if !is_query => head,
                _ => continue,
            };
            let units = values.chunks_mut(d).zip(source.chunks(d)).enumerate().filter(|(k, _)| k % heads == head);
            for (old, new) in units.flat_map(|(_, (old, new))| old.iter_mut().zip(new)) {
                self.changed[row] += usize::from(old.to_bits() != new.to_bits());
                *old = *new;
            }
        }
        Ok(())
    }
}
