//! Exact patching of every layer, part and token group of every twin.

use super::layer::{Job, Place};
use super::pairs::{Pairs, shape};
use super::prefix::{Prefix, kept};
use super::{Direction, Part, PartKind};
use crate::engine::Tape;
use crate::intervene::Tokens as Group;
use crate::model::{ModelConfig, Towers};
use crate::progress::Progress;
use crate::{Error, Result, random};
use rand::RngExt;

/// Numbers that are kept of whole forwards at a time.
const KEPT: usize = 1 << 26;

/// The most twins whose forwards are kept at a time.
const TWINS: usize = 16;

/// Which patches are made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of each layer.
    pub parts: Vec<PartKind>,
    /// Of each part.
    pub groups: Vec<Group>,
    /// Which of the twins is patched.
    pub direction: Direction,
    /// The first twins, beside whose patches stand the same from another scene; at least two have to be there.
    pub nulls: usize,
    /// Of the other scenes.
    pub seed: u64,
}

/// One patch, of all twins.
#[derive(Clone, Debug, PartialEq)]
pub struct Patched {
    /// The layer.
    pub layer: usize,
    /// What of it.
    pub part: Part,
    /// Of which tokens.
    pub group: Group,
    /// The change of each twin's margin; `None` of a twin in which the group is empty.
    pub effects: Vec<Option<f64>>,
    /// The same of the patch from another scene; `None` where none was made.
    pub nulls: Vec<Option<f64>>,
    /// How many values the twins' patches changed, all together.
    pub changed: usize,
    /// Whether the embedding can depend on it at all: behind the last attention only the token counts that is read.
    pub matters: bool,
}

/// All patches, and the margins of the twins as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Swept {
    /// Of the clean inputs.
    pub clean: Vec<f64>,
    /// Of the corrupt ones.
    pub corrupt: Vec<f64>,
    /// By layer, part and group, the last fastest.
    pub patches: Vec<Patched>,
}

impl Swept {
    /// Adds what was found of further twins by the same plan.
    pub(super) fn extend(&mut self, more: Self) {
        self.clean.extend(more.clean);
        self.corrupt.extend(more.corrupt);
        for (patched, more) in self.patches.iter_mut().zip(more.patches) {
            patched.effects.extend(more.effects);
            patched.nulls.extend(more.nulls);
            patched.changed += more.changed;
            patched.matters |= more.matters;
        }
    }
}

impl Plan {
    fn patches(&self, (layers, heads): (usize, usize), twins: usize) -> Vec<Patched> {
        let parts: Vec<Part> = self.parts.iter().flat_map(|kind| kind.parts(heads)).collect();
        let mut patches = Vec::with_capacity(layers * parts.len() * self.groups.len());
        for layer in 0..layers {
            for part in &parts {
                patches.extend(self.groups.iter().map(|group| Patched {
                    layer,
                    part: *part,
                    group: *group,
                    effects: vec![None; twins],
                    nulls: vec![None; twins],
                    changed: 0,
                    matters: false,
                }));
            }
        }
        patches
    }
}

/// Makes every patch of `plan` by itself, exactly: the forward goes on from it to the embedding.
///
/// # Errors
/// When twins don't belong together, a margin is not a number, and [`Error::Interrupted`].
pub fn sweep(
    towers: &Towers<f32>,
    config: &ModelConfig,
    pairs: &Pairs,
    plan: &Plan,
    progress: &dyn Progress,
) -> Result<Swept> {
    pairs.check(config)?;
    let tower = shape(config, pairs.input.tower())?;
    let (layers, heads, n) = (tower.layers, tower.heads, pairs.len());
    let mut swept = Swept { clean: vec![0.0; n], corrupt: vec![0.0; n], patches: plan.patches((layers, heads), n) };
    let tokens = pairs.tokens(config);
    let together = (KEPT / (2 * kept(layers, tokens, tower.width))).clamp(2, TWINS);
    let mut tape = Tape::off();
    progress.advance(0, n);
    for twins in parts(n, together) {
        let rows: Vec<usize> = (2 * twins.start..2 * twins.end).collect();
        let input = pairs.input.rows(&rows);
        let prefix = Prefix::of(&input, towers, layers, &mut tape)?;
        for i in twins.clone() {
            let of = |row: usize| pairs.margin(i, prefix.embedding(row - rows[0]));
            (swept.clean[i], swept.corrupt[i]) = (of(2 * i), of(2 * i + 1));
            if !swept.clean[i].is_finite() || !swept.corrupt[i].is_finite() {
                return Err(Error::mismatch(format!("twin {i}: its margin"), "a number", swept.clean[i]));
            }
            if progress.is_cancelled() {
                return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
            }
            let one = Twin { towers, config, pairs, plan, prefix: &prefix, i, twins: (twins.start, twins.end) };
            one.patch((layers, heads), &mut tape, &mut swept)?;
            progress.advance(i + 1, n);
        }
    }
    Ok(swept)
}

/// `0..n` in parts of two at least and, but for that, `most` at most, as equal as can be.
pub(super) fn parts(n: usize, most: usize) -> Vec<std::ops::Range<usize>> {
    let count = n.div_ceil(most).min(n / 2).max(1);
    (0..count).map(|k| k * n / count..(k + 1) * n / count).collect()
}

/// One twin among those whose forwards are kept.
struct Twin<'a> {
    towers: &'a Towers<f32>,
    config: &'a ModelConfig,
    pairs: &'a Pairs,
    plan: &'a Plan,
    prefix: &'a Prefix,
    i: usize,
    twins: (usize, usize),
}

impl Twin<'_> {
    /// The twin whose clean scene the null is taken from.
    fn other(&self) -> Option<usize> {
        let (first, end) = self.twins;
        if self.i >= self.plan.nulls || end - first < 2 {
            return None;
        }
        let drawn = random::stream(self.plan.seed, "other scene", self.i as u64).random_range(first..end - 1);
        Some(if drawn < self.i { drawn } else { drawn + 1 })
    }

    /// Where each group stands here, and whence the null takes it.
    fn positions(&self) -> Vec<(Vec<usize>, Option<(usize, Vec<usize>)>)> {
        let other = self.other();
        let of = |group: &Group| {
            let at = self.pairs.positions(self.config, self.i, *group);
            let from = other.and_then(|other| {
                let there = self.pairs.positions(self.config, other, *group);
                // Token after token of its own group, from the first again where it has fewer.
                let turn = || there.iter().cycle().take(at.len()).copied().collect();
                (!there.is_empty()).then(|| (2 * (other - self.twins.0), turn()))
            });
            (at, from)
        };
        self.plan.groups.iter().map(of).collect()
    }

    fn patch(&self, (layers, heads): (usize, usize), tape: &mut Tape<f32>, swept: &mut Swept) -> Result<()> {
        let input = &self.pairs.input;
        let [base, source] = Pairs::roles(self.i, self.plan.direction);
        let before = match self.plan.direction {
            Direction::Denoise => swept.corrupt[self.i],
            Direction::Noise => swept.clean[self.i],
        };
        let (positions, read) = (self.positions(), input.reads(self.config, base));
        let (row, source) = (base - 2 * self.twins.0, source - 2 * self.twins.0);
        let per_layer = swept.patches.len() / layers.max(1);
        for layer in 0..layers {
            let (towers, prefix) = (self.towers, self.prefix);
            let place = Place { towers, tower: input.tower(), prefix, layer, heads, row };
            let read = read.filter(|_| layer + 1 == layers);
            let (mut jobs, mut whose) = (Vec::new(), Vec::new());
            for (k, patched) in swept.patches[layer * per_layer..][..per_layer].iter_mut().enumerate() {
                let (at, null) = &positions[k % self.plan.groups.len()];
                // Behind the last attention nothing but the token that is read goes on.
                let counts = |token: usize| read.is_none_or(|read| token == read);
                let kept: Vec<usize> = (0..at.len()).filter(|k| counts(at[*k])).collect();
                patched.matters |= !kept.is_empty();
                if at.is_empty() {
                    continue;
                }
                let of = |tokens: &[usize]| -> Vec<usize> { kept.iter().map(|k| tokens[*k]).collect() };
                let twin = Job { part: patched.part, at: of(at), from: (source, of(at)) };
                let changed = place.changes(&twin);
                patched.changed += changed;
                patched.effects[self.i] = Some(0.0);
                if changed > 0 {
                    jobs.push(twin);
                    whose.push((layer * per_layer + k, false));
                }
                if let Some((row, tokens)) = null.as_ref().filter(|_| !kept.is_empty()) {
                    patched.nulls[self.i] = Some(0.0);
                    let other = Job { part: patched.part, at: of(at), from: (*row, of(tokens)) };
                    if place.changes(&other) > 0 {
                        jobs.push(other);
                        whose.push((layer * per_layer + k, true));
                    }
                }
            }
            let embeds = place.patched(tape, &jobs, &|count| input.around(base, count))?;
            for ((entry, null), embed) in whose.into_iter().zip(embeds) {
                let effect = self.pairs.margin(self.i, &embed) - before;
                if !effect.is_finite() {
                    let patched = &swept.patches[entry];
                    let place = format!("twin {}, layer {layer}, {}, {}", self.i, patched.part, patched.group);
                    return Err(Error::mismatch(place, "a margin that is a number", effect));
                }
                let patched = &mut swept.patches[entry];
                let effects = if null { &mut patched.nulls } else { &mut patched.effects };
                effects[self.i] = Some(effect);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn parts_hold_two_at_least() {
        assert_eq!(parts(5, 2), [0..2, 2..5]);
        assert_eq!(parts(1, 16), std::slice::from_ref(&(0..1)));
        assert_eq!(parts(17, 16), [0..8, 8..17]);
        assert_eq!(parts(3, 16), std::slice::from_ref(&(0..3)));
    }
}
