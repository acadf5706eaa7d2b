//! The hook that makes rows of a batch of texts: a number per unit of each text's own tokens, or all of its tokens in as many places
//! as the longest text has.

use super::lengths::{Length, Lengths};
use crate::engine::Level;
use crate::model::{ActivationMut, BlockPoint, Hook, ModelConfig, Point, Site, TokenAxis};
use crate::record::basis::{self, Basis, BasisSites};
use crate::record::{Selected, StoreWriter, TokenPolicy};
use crate::{Error, Result};
use rayon::prelude::*;
use snellen_cpu::rows;
use std::ops::Range;

/// What stands in an array `all` where there is no token: no activation at all, and in an attention pattern no attention.
const NOTHING: f32 = 0.0;
/// What stands in attention scores where nothing is attended to, in place of minus infinity: what `transformers` masks with.
const HIDDEN: f32 = f32::MIN;

/// Records one batch: wants exactly the selected sites and changes nothing.
pub(super) struct TextRecorder<'a> {
    pub config: &'a ModelConfig,
    pub selected: &'a [Selected],
    pub bases: &'a [BasisSites],
    pub store: &'a mut StoreWriter,
    pub lengths: &'a Lengths,
    /// The rows of the batch among all texts.
    pub rows: Range<usize>,
    /// Where a text stands, for errors.
    pub place: &'a dyn Fn(usize) -> String,
}

impl Hook for TextRecorder<'_> {
    fn wants(&self, site: Site) -> bool {
        self.selected.iter().any(|selected| selected.site == site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let seen = Seen::of(self.config, site, x, self.lengths, self.rows.start);
        self.check(&seen, 0, &site.to_string())?;
        for selected in self.selected.iter().filter(|selected| selected.site == site) {
            match &selected.basis {
                None => self.keep(selected, &seen)?,
                Some(id) => self.latents(selected, basis::find(self.bases, id)?, &seen)?,
            }
        }
        Ok(())
    }
}

impl TextRecorder<'_> {
    /// Refuses what is not finite; `seen` begins with text `first` of the batch.
    fn check(&self, seen: &Seen<'_>, first: usize, site: &str) -> Result<()> {
        seen.check().map_err(|(row, at, value)| {
            let text = (self.place)(self.rows.start + first + row);
            Error::mismatch(format!("site `{site}`, text {text}, {}", seen.name(at)), "finite activations", value)
        })
    }

    fn keep(&mut self, selected: &Selected, seen: &Seen<'_>) -> Result<()> {
        selected
            .policies
            .iter()
            .try_for_each(|&policy| self.store.append(&selected.array(policy), &seen.reduce(policy)))
    }

    /// Text by text, so that the latents of one are in memory at a time; where there is no token there are none.
    fn latents(&mut self, selected: &Selected, basis: &dyn Basis, seen: &Seen<'_>) -> Result<()> {
        let (units, latents) = (seen.units, basis.latents(seen.units)?);
        let text = seen.values.len() / seen.shape[0];
        let shape = [1, text / units, latents];
        for (row, values) in seen.values.chunks_exact(text.max(1)).enumerate() {
            let mut own = vec![NOTHING; text / units * latents];
            for stretch in seen.stretches(row) {
                let there = stretch.start / units * latents..stretch.end / units * latents;
                basis.encode(&values[stretch], &mut own[there])?;
            }
            let (lengths, kept) = (&seen.lengths[row..=row], vec![seen.kept[row].clone()]);
            let own = Seen {
                values: &own,
                shape: &shape,
                units: latents,
                lengths,
                kept,
                fill: NOTHING,
                axis: seen.axis,
                tokens: seen.tokens,
            };
            self.check(&own, row, &selected.array(TokenPolicy::All).units())?;
            self.keep(selected, &own)?;
        }
        Ok(())
    }
}

/// The values of a batch at a site.
struct Seen<'a> {
    values: &'a [f32],
    axis: TokenAxis,
    /// `[row, token, unit]`, `[row, unit]`, or `[row, head, query, key]`.
    shape: &'a [usize],
    /// Units of a token, or keys.
    units: usize,
    lengths: &'a [Length],
    kept: Vec<Range<usize>>,
    /// Tokens under the policy `all`.
    tokens: usize,
    /// What stands there where there is no token.
    fill: f32,
}

impl<'a> Seen<'a> {
    fn of(config: &ModelConfig, site: Site, x: &'a ActivationMut<'_>, lengths: &'a Lengths, first: usize) -> Self {
        let axis = site.tokens(config);
        let units = match axis {
            TokenAxis::One => x.shape[1..].iter().product(),
            TokenAxis::Attention => x.shape[3],
            _ => x.shape[2..].iter().product(),
        };
        let rows = first..first + x.shape[0];
        let scores = matches!(site.point, Point::Block(_, BlockPoint::AttnScores));
        Self {
            values: x.data,
            axis,
            shape: x.shape,
            units,
            kept: rows.clone().map(|row| lengths.kept(row)).collect(),
            lengths: &lengths.rows[rows],
            tokens: lengths.tokens,
            fill: if scores { HIDDEN } else { NOTHING },
        }
    }

    /// The values of each text.
    fn each(&self) -> rayon::slice::ChunksExact<'a, f32> {
        self.values.par_chunks_exact((self.values.len() / self.shape[0]).max(1))
    }

    /// What of a text's values is looked at, in stretches.
    fn stretches(&self, row: usize) -> Vec<Range<usize>> {
        let (kept, units) = (&self.kept[row], self.units);
        match self.axis {
            TokenAxis::One => std::iter::once(0..units).collect(),
            TokenAxis::Attention => {
                let (heads, queries) = (self.shape[1], self.shape[2]);
                let lines = (0..heads).flat_map(|head| kept.clone().map(move |query| head * queries + query));
                lines.map(|line| line * units + kept.start..line * units + kept.end).collect()
            }
            _ => std::iter::once(kept.start * units..kept.end * units).collect(),
        }
    }

    /// Whether a value may be stored: a score is minus infinity where it is hidden.
    fn is_sound(&self, value: f32) -> bool {
        value.is_finite() || (self.fill < NOTHING && value == f32::NEG_INFINITY)
    }

    /// Refuses what is not finite.
    ///
    /// # Errors
    /// With the first text, the place in it, and the value.
    fn check(&self) -> Result<(), (usize, usize, f32)> {
        let unsound = |(row, values): (usize, &[f32])| {
            let unclean = |stretch: &Range<usize>| !rows::are_finite(Level::current(), &values[stretch.clone()]);
            let at = self.stretches(row).into_iter().filter(unclean).flatten().find(|at| !self.is_sound(values[*at]));
            at.map(|at| (row, at, values[at]))
        };
        self.each().enumerate().find_map_first(unsound).map_or(Ok(()), Err)
    }

    /// The place of value `at` of a text.
    fn name(&self, at: usize) -> String {
        match self.axis {
            TokenAxis::One => format!("unit {at}"),
            TokenAxis::Attention => {
                let line = at / self.units;
                format!("head {}, query {}, key {}", line / self.shape[2], line % self.shape[2], at % self.units)
            }
            _ => format!("unit {} of token {}", at % self.units, at / self.units),
        }
    }

    /// What `policy` makes of it, `[text, ...]`.
    fn reduce(&self, policy: TokenPolicy) -> Vec<f32> {
        let units = self.units;
        let own = |row: usize, values: &'a [f32]| {
            let own = &self.lengths[row].own;
            &values[own.start * units..own.end * units]
        };
        let values = self.each().enumerate();
        let rows: Vec<Vec<f32>> = match (policy, self.axis) {
            (TokenPolicy::All, TokenAxis::Attention) => values.map(|(row, values)| self.square(row, values)).collect(),
            (TokenPolicy::All, TokenAxis::Text) => values.map(|(row, values)| self.long(row, values)).collect(),
            (TokenPolicy::Eos, _) => {
                values.map(|(row, values)| values[self.lengths[row].end * units..][..units].to_vec()).collect()
            }
            (TokenPolicy::Mean, _) => values.map(|(row, values)| mean(own(row, values), units)).collect(),
            (TokenPolicy::Max, _) => values.map(|(row, values)| sums(own(row, values), units).1).collect(),
            _ => values.map(|(_, values)| values.to_vec()).collect(),
        };
        rows.concat()
    }

    /// `[token, unit]` of text `row`, as long as the longest text.
    fn long(&self, row: usize, values: &[f32]) -> Vec<f32> {
        let kept = &self.kept[row];
        let mut out = vec![self.fill; self.tokens * self.units];
        let stretch = kept.start * self.units..kept.end * self.units;
        out[stretch.clone()].copy_from_slice(&values[stretch]);
        out
    }

    /// `[head, query, key]` of text `row`, as long as the longest text.
    fn square(&self, row: usize, values: &[f32]) -> Vec<f32> {
        let (heads, kept, tokens) = (self.shape[1], &self.kept[row], self.tokens);
        let mut out = vec![self.fill; heads * tokens * tokens];
        for (head, query) in (0..heads).flat_map(|head| kept.clone().map(move |query| (head, query))) {
            let from = &values[(head * self.shape[2] + query) * self.units..];
            let to = &mut out[(head * tokens + query) * tokens..];
            for key in kept.clone().filter(|key| from[*key].is_finite()) {
                to[key] = from[key];
            }
        }
        out
    }
}

/// Sums in f64 and largest values over tokens, `[unit]`.
fn sums(tokens: &[f32], units: usize) -> (Vec<f64>, Vec<f32>) {
    let (mut sums, mut most) = (vec![0.0; units], vec![f32::NEG_INFINITY; units]);
    rows::sums_and_largest(Level::current(), tokens, units, &mut sums, &mut most);
    (sums, most)
}

fn mean(tokens: &[f32], units: usize) -> Vec<f32> {
    let count = (tokens.len() / units.max(1)) as f64;
    sums(tokens, units).0.iter().map(|sum| (sum / count) as f32).collect()
}
