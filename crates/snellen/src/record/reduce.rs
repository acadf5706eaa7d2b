//! One number per unit of the tokens of every image, while they are still in the processor's cache.
//!
//! The forward waits for this, and a layer of a large model has a million values per image. So mean, largest and whether all
//! is finite come out of one pass, in blocks of columns that all threads share; what is rarely asked for takes a pass of its own.

use super::policy::TokenPolicy;
use crate::engine::Level;
use rayon::prelude::*;
use snellen_cpu::rows;

/// Columns that are reduced together: their sums stay in the first cache.
const BLOCK: usize = 512;

/// The tokens of a batch of images.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// `[image, token, unit]`, row-major.
    pub values: &'a [f32],
    /// Number of images.
    pub images: usize,
    /// Units per token.
    pub units: usize,
    /// Whether the first token is the class token.
    pub class: bool,
    /// Registers after it; the others are patches in reading order.
    pub registers: usize,
    /// The share of each patch that objects cover, 0 to 1, image by image; empty where it is not known.
    pub covers: &'a [Vec<f64>],
    /// Patches of each image that are no padding, which only [`TokenPolicy::All`] shows; empty where all are.
    pub counts: &'a [usize],
}

/// Why tokens were not reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A value is infinite or not a number.
    NotFinite,
    /// A policy has nothing to go by in an image: no class token, no cover, or a cover whose weights add up to nothing.
    Nothing {
        /// The policy.
        policy: TokenPolicy,
        /// The image.
        image: usize,
    },
}

/// What each of `policies` makes of `tokens`, `[image, unit]`; [`TokenPolicy::All`] and [`TokenPolicy::Pooled`] leave them as they
/// are, `[image, token, unit]`.
///
/// # Errors
/// The first [`Refusal`].
pub fn reduce(tokens: Tokens<'_>, policies: &[TokenPolicy]) -> Result<Vec<Vec<f32>>, Refusal> {
    let both = policies.iter().any(|policy| matches!(policy, TokenPolicy::Mean | TokenPolicy::Max));
    let (sums, most) = if both { tokens.sums_and_largest(tokens.prefix()) } else { Default::default() };
    let prefix = tokens.prefix() * tokens.units;
    let summed = both && tokens.counts.is_empty();
    let rest = |image: &[f32]| rows::are_finite(Level::current(), if summed { &image[..prefix] } else { image });
    if !sums.iter().all(|sum| sum.is_finite()) || !tokens.each().all(rest) {
        return Err(Refusal::NotFinite);
    }
    let mut reduced = Vec::with_capacity(policies.len());
    for &policy in policies {
        let nothing = |image| Refusal::Nothing { policy, image };
        reduced.push(match policy {
            TokenPolicy::Cls if tokens.class => tokens.each().flat_map_iter(|x| x[..tokens.units].to_vec()).collect(),
            TokenPolicy::Mean => {
                let mut means = Vec::with_capacity(sums.len());
                for (image, sums) in sums.chunks(tokens.units.max(1)).enumerate() {
                    let patches = tokens.patches(image) as f64;
                    means.extend(sums.iter().map(|sum| (sum / patches) as f32));
                }
                means
            }
            TokenPolicy::MeanAll if prefix > 0 => {
                let (sums, _) = tokens.sums_and_largest(0);
                sums.iter().map(|sum| (sum / tokens.tokens() as f64) as f32).collect()
            }
            TokenPolicy::Max => most.clone(),
            TokenPolicy::MaxAll if prefix > 0 => tokens.sums_and_largest(0).1,
            TokenPolicy::Cls | TokenPolicy::Eos | TokenPolicy::MeanAll | TokenPolicy::MaxAll => return Err(nothing(0)),
            TokenPolicy::Object => tokens.weighted(|share| share).map_err(nothing)?,
            TokenPolicy::Background => tokens.weighted(|share| 1.0 - share).map_err(nothing)?,
            TokenPolicy::All | TokenPolicy::Pooled => tokens.values.to_vec(),
        });
    }
    Ok(reduced)
}

impl Tokens<'_> {
    /// Tokens per image.
    fn tokens(&self) -> usize {
        self.values.len() / (self.images * self.units).max(1)
    }

    /// Tokens that are no patches.
    fn prefix(&self) -> usize {
        usize::from(self.class) + self.registers
    }

    /// Patches of an image that are no padding.
    fn patches(&self, image: usize) -> usize {
        self.counts.get(image).copied().unwrap_or(self.tokens() - self.prefix())
    }

    /// The images.
    fn each(&self) -> rayon::slice::ChunksExact<'_, f32> {
        self.values.par_chunks_exact((self.tokens() * self.units).max(1))
    }

    /// Sums and largest values over the tokens from `first` on, `[image, unit]`.
    fn sums_and_largest(&self, first: usize) -> (Vec<f64>, Vec<f32>) {
        let (level, units) = (Level::current(), self.units);
        let mut sums = vec![0.0; self.images * units];
        let mut most = vec![f32::NEG_INFINITY; self.images * units];
        let outputs = sums.par_chunks_mut(units).zip(most.par_chunks_mut(units));
        outputs.zip(self.each()).enumerate().for_each(|(number, ((sums, most), image))| {
            let image = &image[..(self.prefix() + self.patches(number)) * units];
            let blocks = sums.par_chunks_mut(BLOCK).zip(most.par_chunks_mut(BLOCK)).enumerate();
            blocks.for_each(|(block, (sums, most))| {
                rows::sums_and_largest(level, &image[first * units + block * BLOCK..], units, sums, most);
            });
        });
        (sums, most)
    }

    /// Means over patches, each weighted by what `weight` makes of its cover.
    ///
    /// # Errors
    /// With the first image that has no cover or whose weights add up to nothing.
    fn weighted(&self, weight: impl Fn(f64) -> f64) -> Result<Vec<f32>, usize> {
        let (level, units) = (Level::current(), self.units);
        let weights = |cover: &Vec<f64>| cover.iter().map(|share| weight(*share)).collect::<Vec<f64>>();
        let weights: Vec<Vec<f64>> = self.covers.iter().map(weights).collect();
        let total = |image: usize| weights.get(image).map_or(0.0, |weights| weights.iter().sum::<f64>());
        let totals: Vec<f64> = (0..self.images).map(total).collect();
        if let Some(image) = totals.iter().position(|total| *total <= 0.0) {
            return Err(image);
        }
        let mut means = vec![0.0; self.images * units];
        let inputs = self.each().zip(&weights).zip(&totals);
        means.par_chunks_mut(units).zip(inputs).for_each(|(means, ((image, weights), total))| {
            means.par_chunks_mut(BLOCK).enumerate().for_each(|(block, means)| {
                let mut sums = [0.0; BLOCK];
                let sums = &mut sums[..means.len()];
                let patches = &image[self.prefix() * units + block * BLOCK..];
                rows::weighted_sums(level, patches, units, weights, sums);
                means.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = (*sum / total) as f32);
            });
        });
        Ok(means)
    }
}
