//! The concepts of a site together: directions, linear readers, dimensions, and how alike concepts are spread over units.
//!
//! Every measure here compares images with one another, and its cost grows with the square of their number and more: of more than
//! [`MOST_IMAGES`] that many are drawn, the same for all sites. Units that are constant or not finite are left out. Concepts that
//! fewer than [`LEAST`] images of a half show, or don't, have no numbers; nor have factors with so many values that
//! they would take more than a quarter of a half's images as columns, alone or with the factors before them.

use crate::measure::Interval;
use crate::measure::auroc::{Auroc, EXACT_BELOW, auroc};
use crate::measure::dimension::{leading, participation_ratio};
use crate::measure::directions::Directions;
use crate::measure::encodes::Criterion;
use crate::measure::factorisation::factorisation;
use crate::measure::fdr::benjamini_hochberg;
use crate::measure::gram::{Components, Gram, Images, eigenvalues};
use crate::measure::half::Half;
use crate::measure::interference::{Factors, Probed, interference};
use crate::measure::overlap::{Overlap, Overlaps, SiteOverlaps};
use crate::measure::probes::probe_scores;
use crate::measure::terms::{FEWEST, LEAST, Terms};
use crate::measure::{Design, Matrix};
use crate::scene::labels::LabelTable;
use crate::{Error, Result, random};
use faer::Mat;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

/// Images, at most.
pub const MOST_IMAGES: usize = 2048;
/// The share of a half's images that concepts may take as columns.
const MOST_COLUMNS: f64 = 0.25;
/// Principal components below this share of the largest are taken for rounding.
const RANK: f64 = 1e-10;

/// The concepts of one site.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteGeometry {
    /// All of them together.
    pub together: Together,
    /// `[concept]`.
    pub concepts: Vec<ConceptGeometry>,
    /// Every pair of concepts a < b, in order.
    pub pairs: Vec<PairGeometry>,
}

/// What the concepts of one site make together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// Images that it was measured on.
    pub images: usize,
    /// (tr S)^2 / tr S^2 of the covariance beyond the number of objects; `None` where nothing varies.
    pub participation_ratio: Option<f64>,
    /// Principal components that hold 95 % of that covariance.
    pub k95: Option<usize>,
    /// Concepts that a linear probe tells in images that it was not trained on.
    pub decodable: usize,
    /// The same with labels permuted within strata.
    pub decodable_by_chance: usize,
    /// Share of the variance that the number of objects explains.
    pub count_r2: Option<Interval>,
    /// That it and a sum of concepts explain.
    pub linear_r2: Option<Interval>,
    /// The same of the leading principal components (95 % of the variance), all made equally long.
    pub linear_r2_white: Option<Interval>,
    /// What the best conjunction of two factors adds to `linear_r2`.
    pub conjunction_gain: Option<Interval>,
    /// Which two factors.
    pub conjunction_factors: Option<[String; 2]>,
}

/// One concept at a site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConceptGeometry {
    /// How well a linear probe tells it, within strata, with interval and p; `None` where there are too few images.
    pub probe: Option<Auroc>,
    /// p adjusted over the concepts of the site.
    pub q: Option<f64>,
    /// Whether it is decodable: q small and effect large enough by the criterion.
    pub decodable: bool,
    /// The d' of the probe.
    pub d_prime: Option<Interval>,
    /// The sum of squared cosines with concepts of other factors; `None` without a direction.
    pub interference: Option<f64>,
    /// What random directions of the site's covariance would give.
    pub interference_null: Option<f64>,
    /// The share of a dimension that the concept has to itself.
    pub dimensionality: Option<f64>,
}

/// Two concepts at a site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairGeometry {
    /// The first concept, by index.
    pub a: usize,
    /// The second.
    pub b: usize,
    /// Of their effects over units.
    pub overlap: Option<Overlap>,
    /// Of their directions.
    pub cos_cv: Option<Interval>,
    /// How far b moves the probe of a.
    pub interference_ab: Option<Interval>,
    /// How far a moves the probe of b.
    pub interference_ba: Option<Interval>,
}

/// What the sites of one table of labels share.
pub struct Superposition {
    criterion: Criterion,
    /// Images of the table.
    images: usize,
    /// Rows of it that are looked at.
    rows: Vec<usize>,
    design: Design,
    permuted: Design,
    terms: Terms,
    factors: Factors,
    halves: [Half; 2],
    /// Concepts with enough images in both halves.
    used: Vec<bool>,
    overlaps: Overlaps,
}

impl Superposition {
    /// Of `labels`, in halves drawn from the criterion's seed; `None` where there are fewer than [`FEWEST`] images.
    ///
    /// # Errors
    /// When the labels have no concept.
    pub fn of(labels: &LabelTable, criterion: &Criterion) -> Result<Option<Self>> {
        if labels.rows.len() < FEWEST {
            return Ok(None);
        }
        let design = Design::from_labels(labels)?;
        let parts = labels.rows.len().div_ceil(MOST_IMAGES);
        let rows = design.parts(parts, random::seed(criterion.seed, "superposition: images", 0)).swap_remove(0);
        let halves = design.subset(&rows)?.halves(criterion.seed);
        Self::in_halves(labels, rows, halves, criterion).map(Some)
    }

    /// Of the images `rows` of `labels`, in the `halves` that are given as places in `rows`.
    ///
    /// # Errors
    /// When there are fewer than [`FEWEST`] images, a half is empty, or a row or place is out of range.
    pub fn in_halves(
        labels: &LabelTable,
        rows: Vec<usize>,
        halves: [Vec<usize>; 2],
        criterion: &Criterion,
    ) -> Result<Self> {
        if rows.iter().any(|row| *row >= labels.rows.len()) {
            return Err(Error::mismatch("superposition: rows", format!("rows below {}", labels.rows.len()), "others"));
        }
        if halves.iter().any(|half| half.is_empty() || half.iter().any(|i| *i >= rows.len())) {
            return Err(Error::mismatch("superposition: halves", format!("images below {}", rows.len()), "others"));
        }
        let images = labels.rows.len();
        let picked = rows.iter().map(|row| labels.rows[*row].clone()).collect();
        let labels = LabelTable { factors: labels.factors.clone(), rows: picked };
        let design = Design::from_labels(&labels)?;
        let factors = factors(&labels, &design);
        let columns = columns(&design, &factors, &halves);
        let enough = |c: usize| {
            halves.iter().all(|half| {
                let with = half.iter().filter(|i| design.present(c)[**i]).count();
                (LEAST..=half.len().saturating_sub(LEAST)).contains(&with)
            })
        };
        let used = (0..columns.len()).map(|c| columns[c] && enough(c)).collect();
        let [first, second] = halves.map(|half| Half::of(&design, &columns, &half));
        Ok(Self {
            criterion: *criterion,
            images,
            permuted: design.permuted(criterion.seed),
            terms: Terms::of(&labels)?,
            used,
            halves: [first?, second?],
            overlaps: Overlaps::of(&rows, &design, criterion.seed, criterion.confidence),
            rows,
            design,
            factors,
        })
    }

    /// The concepts of each factor whose values always add up to the number of objects, so that their directions are told from
    /// the mean of them.
    pub fn adding_up(&self) -> Vec<Vec<usize>> {
        let Factors { of, adds_up, .. } = &self.factors;
        let concepts = |f: usize| (0..of.len()).filter(|c| of[*c] == f).collect();
        (0..adds_up.len()).filter(|f| adds_up[*f]).map(concepts).collect()
    }

    /// Of a site of `units` units, whose matrix is cut into `blocks` of neighbouring ones. The same bytes at any number of
    /// threads.
    ///
    /// # Errors
    /// The first error among the blocks; when their images are not those of the labels, or too large to be multiplied.
    pub fn measure<M: Borrow<Matrix>>(
        &self,
        units: usize,
        blocks: impl IntoIterator<Item = Result<M>>,
    ) -> Result<SiteGeometry> {
        let mut site = self.site(units, true);
        for block in blocks {
            site.add(block?.borrow())?;
        }
        site.finish()
    }

    /// A site of `units` units, of which none was added yet; with `pairs` or without what is said of pairs of concepts, which takes longest.
    pub(crate) fn site(&self, units: usize, pairs: bool) -> SiteProducts<'_> {
        let overlaps = pairs.then(|| self.overlaps.site(units));
        SiteProducts { of: self, gram: Gram::new(self.rows.clone(), units), overlaps }
    }

    /// How far each concept moves the linear reader of each other at a site of the activations `x`, `[read, moved by]`: what
    /// [`PairGeometry::interference_ab`] is of every pair, without what else [`measure`](Self::measure) gives.
    ///
    /// # Errors
    /// When its images are not those of the labels, or products are too large to be decomposed.
    pub fn interference(&self, x: &Matrix) -> Result<Vec<Vec<Option<Interval>>>> {
        let mut site = self.site(x.units(), false);
        site.add(x)?;
        let halves = self.decode(&self.parts(&site.gram.finish()?.x))?.halves;
        let confidence = self.criterion.confidence;
        let moves = |a, b| interference(&halves, [a, b], &self.factors, &self.used, confidence);
        let concepts = self.design.concepts().len();
        Ok((0..concepts).map(|a| (0..concepts).map(|b| moves(a, b)).collect()).collect())
    }

    /// The activations `x` of the images of each half.
    fn parts(&self, x: &Mat<f64>) -> [Mat<f64>; 2] {
        let part = |half: &Half| Mat::from_fn(half.images.len(), x.ncols(), |i, j| x[(half.images[i], j)]);
        self.halves.each_ref().map(part)
    }

    fn finish(&self, gram: Gram, overlaps: Option<SiteOverlaps<'_>>) -> Result<SiteGeometry> {
        let Images { x, components } = gram.finish()?;
        let parts = self.parts(&x);
        let (read, spectrum) = rayon::join(|| self.decode(&parts), || self.spectrum(&x, &components));
        let Readers { probes, halves } = read?;
        let moves = |pair| interference(&halves, pair, &self.factors, &self.used, self.criterion.confidence);
        let Spectrum { scaled, white, k95 } = spectrum?;
        let concepts = self.design.concepts().len();
        let pairs: Vec<[usize; 2]> = (0..concepts).flat_map(|a| (a + 1..concepts).map(move |b| [a, b])).collect();
        let overlaps = overlaps.map(|overlaps| overlaps.finish(&scaled, &pairs)).unwrap_or_default();
        let directions = Directions::of(&self.halves, &parts);
        let ratio = participation_ratio(&self.halves, &parts);
        let confidence = self.criterion.confidence;
        let linear = factorisation(x.as_ref(), &self.terms, confidence);
        let gain = linear.as_ref().and_then(|linear| linear.gain);
        let of_concept = |(f, probe): (usize, &Probe)| {
            let other = |g: &usize| self.factors.of[*g] != self.factors.of[f];
            let others: Vec<usize> = (0..concepts).filter(other).collect();
            let interference = directions.interference(f, &others);
            ConceptGeometry {
                probe: probe.auroc,
                q: probe.q,
                decodable: probe.decodable,
                d_prime: moves([f, f]),
                interference: interference.map(|(sum, _)| sum),
                interference_null: interference.zip(ratio).map(|((_, others), ratio)| others as f64 / ratio),
                dimensionality: directions.dimensionality(f),
            }
        };
        let of_pair = |(&[a, b], overlap): (&[usize; 2], Option<Overlap>)| PairGeometry {
            a,
            b,
            overlap,
            cos_cv: directions.cosine(a, b, confidence),
            interference_ab: moves([a, b]),
            interference_ba: moves([b, a]),
        };
        let together = Together {
            images: self.rows.len(),
            participation_ratio: ratio,
            k95,
            decodable: probes[0].iter().filter(|probe| probe.decodable).count(),
            decodable_by_chance: probes[1].iter().filter(|probe| probe.decodable).count(),
            count_r2: linear.as_ref().map(|linear| linear.count),
            linear_r2: linear.as_ref().map(|linear| linear.linear),
            linear_r2_white: factorisation(white.as_ref(), &self.terms, confidence).map(|white| white.linear),
            conjunction_gain: gain.map(|(gain, _)| gain),
            conjunction_factors: gain.map(|(_, pair)| pair.map(|f| self.factors.names[f].clone())),
        };
        Ok(SiteGeometry {
            together,
            concepts: probes[0].iter().enumerate().map(of_concept).collect(),
            pairs: pairs.iter().zip(overlaps).map(of_pair).collect(),
        })
    }

    fn decode(&self, x: &[Mat<f64>; 2]) -> Result<Readers<'_>> {
        let concepts = self.design.concepts().len();
        let flag = |yes: bool| f64::from(u8::from(yes));
        let present = |half: usize, designs: &[&Design]| {
            let images = &self.halves[half].images;
            Mat::from_fn(images.len(), designs.len() * concepts, |i, t| {
                flag(designs[t / concepts].present(t % concepts)[images[i]])
            })
        };
        let both = [&self.design, &self.permuted];
        let asked = |half: usize| {
            let trained = 1 - half;
            probe_scores(&self.halves[trained], present(trained, &both), &x[trained], &x[half])
        };
        let (first, second) = rayon::join(|| asked(0), || asked(1));
        let scores = [first?, second?];
        // Scores of the two probes are not on one scale: they are compared within halves.
        let mut strata = Vec::new();
        for (h, half) in self.halves.iter().enumerate() {
            strata.extend(half.images.iter().map(|i| 2 * self.design.strata()[*i] + h));
        }
        let judged = |d: usize| -> Result<Vec<Probe>> {
            let mut probes = Vec::new();
            for c in 0..concepts {
                let column = |h: usize| scores[h].col(d * concepts + c).iter().copied().collect::<Vec<f64>>();
                let scaled = |values: Vec<f64>| {
                    let largest = values.iter().fold(0.0, |a: f64, x| a.max(x.abs())).max(f64::MIN_POSITIVE);
                    values.into_iter().map(move |x| (x / largest) as f32)
                };
                let values: Vec<f32> = [0, 1].into_iter().flat_map(|h| scaled(column(h))).collect();
                let held = self.halves.iter().flat_map(|half| half.images.iter().map(|i| both[d].present(c)[*i]));
                let held: Vec<bool> = held.collect();
                let found = auroc(&values, &held, &strata, EXACT_BELOW, self.criterion.confidence)?;
                probes.push(Probe { auroc: found.filter(|_| self.used[c]), q: None, decodable: false });
            }
            let q = benjamini_hochberg(&probes.iter().map(|probe| probe.auroc.map(|a| a.p)).collect::<Vec<_>>())?;
            for (probe, q) in probes.iter_mut().zip(q) {
                let effect = probe.auroc.map_or(0.0, |found| 2.0 * found.auroc - 1.0);
                probe.q = q;
                probe.decodable = q.is_some_and(|q| q <= self.criterion.q) && effect >= self.criterion.min_effect;
            }
            Ok(probes)
        };
        let halves = [0, 1]
            .map(|h: usize| Probed::of(&self.halves[h], scores[h].subcols(0, concepts), present(h, &[&self.design])));
        Ok(Readers { probes: [judged(0)?, judged(1)?], halves })
    }

    fn spectrum(&self, x: &Mat<f64>, components: &Components) -> Result<Spectrum> {
        let Components { u, values } = components;
        let least = RANK * values.last().copied().unwrap_or_default();
        let scaled = components.scaled(values.iter().filter(|value| **value > least).count());
        let leading_count = leading(values, 0.95).unwrap_or(0);
        let white = u.subcols(values.len() - leading_count, leading_count).to_owned();
        let count = &self.terms.count.basis;
        let beyond = x - count * (count.transpose() * x);
        Ok(Spectrum { scaled, white, k95: leading(&eigenvalues(beyond.as_ref())?, 0.95) })
    }
}

/// The units of a site so far: inner products of images, and overlaps of concepts.
pub(crate) struct SiteProducts<'a> {
    of: &'a Superposition,
    gram: Gram,
    /// `None` where nothing is asked of pairs.
    overlaps: Option<SiteOverlaps<'a>>,
}

impl SiteProducts<'_> {
    /// Adds the units of `matrix` behind those that were added.
    ///
    /// # Errors
    /// When its images are not those of the labels.
    pub(crate) fn add(&mut self, matrix: &Matrix) -> Result<()> {
        if matrix.images() != self.of.images {
            let expected = format!("{} images, as the labels have", self.of.images);
            return Err(Error::mismatch("activations", expected, matrix.images()));
        }
        self.gram.add(matrix);
        if let Some(overlaps) = &mut self.overlaps {
            overlaps.add(matrix);
        }
        Ok(())
    }

    /// The concepts of the site.
    ///
    /// # Errors
    /// When the products are too large to be decomposed.
    pub(crate) fn finish(self) -> Result<SiteGeometry> {
        self.of.finish(self.gram, self.overlaps)
    }
}

/// What comes of the principal components of a site.
struct Spectrum {
    /// `[image, component]`, each as long as its deviation.
    scaled: Mat<f64>,
    /// The leading components, `[image, component]`, equally long.
    white: Mat<f64>,
    k95: Option<usize>,
}

/// Linear readers of all concepts.
struct Readers<'a> {
    /// With the true labels, and with permuted ones.
    probes: [Vec<Probe>; 2],
    /// What the scores with the true labels are made of, in each half.
    halves: [Probed<'a>; 2],
}

#[derive(Clone, Copy)]
struct Probe {
    auroc: Option<Auroc>,
    q: Option<f64>,
    decodable: bool,
}

fn factors(labels: &LabelTable, design: &Design) -> Factors {
    let of = labels.concept_factors();
    let adds_up = |f: usize| {
        let mut sums: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (i, stratum) in design.strata().iter().enumerate() {
            let sum = (0..of.len()).filter(|c| of[*c] == f && design.present(*c)[i]).count();
            sums.entry(*stratum).or_default().insert(sum);
        }
        sums.values().all(|sums| sums.len() == 1)
    };
    let adds_up = (0..labels.factors.len()).map(adds_up).collect();
    Factors { names: labels.factors.iter().map(|factor| factor.name.clone()).collect(), of, adds_up }
}

/// Concepts that are regressed on: those that some image of a half shows, of factors for which there are images enough.
fn columns(design: &Design, factors: &Factors, halves: &[Vec<usize>; 2]) -> Vec<bool> {
    let shown = |c: usize| halves.iter().any(|half| half.iter().any(|i| design.present(c)[*i]));
    let mut columns: Vec<bool> = (0..design.concepts().len()).map(shown).collect();
    let room = MOST_COLUMNS * halves.iter().map(Vec::len).min().unwrap_or(0) as f64;
    let mut taken = 0;
    for f in 0..factors.adds_up.len() {
        let of_factor: Vec<usize> = (0..columns.len()).filter(|c| factors.of[*c] == f && columns[*c]).collect();
        if (taken + of_factor.len()) as f64 > room {
            of_factor.into_iter().for_each(|c| columns[c] = false);
        } else {
            taken += of_factor.len();
        }
    }
    columns
}
