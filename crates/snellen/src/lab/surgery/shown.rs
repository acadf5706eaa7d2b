//! What a projection is given for single objects and for swap twins: pictures, or captions.

use super::algebra::{leading, power};
use super::bag::identity;
use crate::engine::{Precision, Tape};
use crate::lab::Recipe;
use crate::measure::least_squares::least_squares;
use crate::model::checkpoint::Weights;
use crate::model::{Model, Towers};
use crate::scene::caption::{Wording, caption};
use crate::scene::generate::{factorial, swap_twins};
use crate::scene::{Canvas, Combinations, Scene, World, render};
use crate::{Error, Result, random};
use faer::Mat;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Swap twins.
const TWINS: usize = 9000;
/// Pictures or captions of a forward.
const BATCH: usize = 64;
/// Attribute directions shorter than this share of the longest are left out.
const SHORT: f64 = 0.02;

/// A side of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Image,
    Text,
}

impl Side {
    /// The weight that makes its embeddings.
    pub(super) fn projection(self) -> &'static str {
        match self {
            Self::Image => "visual_projection.weight",
            Self::Text => "text_projection.weight",
        }
    }
}

/// Two factors that captions say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// The one that twins exchange.
    pub(super) swapped: usize,
    /// Another.
    pub(super) other: usize,
}

impl Pair {
    pub(super) fn of(world: &World) -> Result<Self> {
        let swapped = world.swapped_factor();
        let other = world.said().into_iter().find(|f| Some(*f) != swapped);
        let both = swapped.zip(other).map(|(swapped, other)| Self { swapped, other });
        both.ok_or_else(|| Error::mismatch("world", "two factors that captions say", "fewer"))
    }
}

/// Rows of twins side by side, and of single objects.
pub(super) struct Shown {
    world: World,
    twins: Vec<Scene>,
    rows: Mat<f64>,
    singles: Vec<Scene>,
    single_rows: Mat<f64>,
    factors: [usize; 2],
}

impl Shown {
    pub(super) fn of(bare: &Bare<'_>, pair: Pair, seed: u64) -> Result<Self> {
        let world = bare.recipe.world.clone();
        let all = Combinations::all(&world);
        let twins = swap_twins(&world, pair.swapped, &all, &all, TWINS, seed)?;
        let twins: Vec<Scene> = twins.into_iter().flat_map(|twin| [twin.scene, twin.twin]).collect();
        let singles = factorial(&world, &all, 2, seed)?;
        let [rows, single_rows] = [bare.rows(&twins, 2, seed)?, bare.rows(&singles, 1, seed)?];
        Ok(Self { world, twins, rows, singles, single_rows, factors: [pair.swapped, pair.other] })
    }

    /// `[row, width]`: the mean of both twins, for every pair, and then single objects.
    pub(super) fn averages(&self) -> Mat<f64> {
        let (rows, twins) = (&self.rows, self.rows.nrows() / 2);
        Mat::from_fn(twins + self.single_rows.nrows(), rows.ncols(), |i, j| {
            if i < twins {
                f64::midpoint(rows[(2 * i, j)], rows[(2 * i + 1, j)])
            } else {
                self.single_rows[(i - twins, j)]
            }
        })
    }

    /// `[twin, width]`: first less second.
    pub(super) fn differences(&self) -> Mat<f64> {
        Mat::from_fn(self.rows.nrows() / 2, self.rows.ncols(), |i, j| self.rows[(2 * i, j)] - self.rows[(2 * i + 1, j)])
    }

    /// `[row, embedding]` of the twins by `map`, less their mean.
    pub(super) fn beyond_mean(&self, map: &Mat<f64>) -> Mat<f64> {
        let rows = &self.rows * map.transpose();
        let n = rows.nrows().max(1) as f64;
        let means: Vec<f64> = rows.col_iter().map(|column| column.iter().sum::<f64>() / n).collect();
        Mat::from_fn(rows.nrows(), rows.ncols(), |i, j| rows[(i, j)] - means[j])
    }

    /// `[width, column]`: what each value of what captions say adds, alone and in pairs, and the directions of the means.
    pub(super) fn effects(&self) -> Result<Mat<f64>> {
        let mut columns = Vec::new();
        for (scenes, rows) in [(&self.singles, &self.single_rows), (&self.twins, &self.rows)] {
            let counts = centred(&self.counts(scenes, &self.factors));
            let n = rows.nrows().max(1) as f64;
            let effects = least_squares(&counts, &centred(rows)).ok_or_else(not_finite)?;
            columns.extend(effects.row_iter().map(|row| row.iter().copied().collect::<Vec<f64>>()));
            // A mean is far longer than what values add, and would make all of that look short.
            let mean: Vec<f64> = rows.col_iter().map(|column| column.iter().sum::<f64>() / n).collect();
            let longest = effects.row_iter().map(|row| row.norm_l2()).fold(0.0, f64::max);
            let length = mean.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            columns.push(mean.iter().map(|x| x * longest / length).collect());
        }
        Ok(Mat::from_fn(self.rows.ncols(), columns.len(), |i, j| columns[j][i]))
    }

    /// How many directions values can differ in: one less than there are of each factor; and the mean.
    pub(super) fn freedom(&self) -> usize {
        1 + self.factors.map(|f| self.world.factors[f].values.len() - 1).iter().sum::<usize>()
    }

    /// An orthonormal basis `[width, k]` of the effects.
    pub(super) fn attributes(&self) -> Result<Mat<f64>> {
        spanned(&self.effects()?, SHORT)
    }

    /// `[width, k]`, `most` of them: in what twins differ on average by which value of the one factor belongs to which of the other,
    /// whatever else the other objects are; the largest first, in units of `differences`.
    pub(super) fn said(&self, differences: &Mat<f64>, ridge: f64, most: usize) -> Result<Mat<f64>> {
        let [swapped, other] = self.factors;
        let all = self.differences();
        let mut sums: BTreeMap<(u32, u32, u32), (usize, Vec<f64>)> = BTreeMap::new();
        for (i, scene) in self.twins.iter().step_by(2).enumerate() {
            for (own, rest) in [(0, 1), (1, 0)] {
                let [own, rest] = [own, rest].map(|k| &scene.objects[k].values);
                let (value, rival) = (own[swapped], rest[swapped]);
                let sign = if value > rival { 1.0 } else { -1.0 };
                let (count, sum) = sums
                    .entry((own[other], value.max(rival), value.min(rival)))
                    .or_insert_with(|| (0, vec![0.0; all.ncols()]));
                *count += 1;
                sum.iter_mut().zip(all.row(i).iter()).for_each(|(sum, x)| *sum += sign * x);
            }
        }
        let sums: Vec<(usize, Vec<f64>)> = sums.into_values().collect();
        let means = Mat::from_fn(all.ncols(), sums.len(), |i, j| sums[j].1[i] / (sums[j].0 as f64).sqrt());
        let (directions, _) = leading(&(power(differences, ridge, -0.5)? * means), most)?;
        let own = power(differences, ridge, 0.5)? * directions;
        let length = |j: usize| own.col(j).norm_l2().max(f64::MIN_POSITIVE);
        Ok(Mat::from_fn(own.nrows(), own.ncols(), |i, j| own[(i, j)] / length(j)))
    }

    /// `[row, width]` of the twins, less what the numbers of objects with each value explain.
    pub(super) fn beyond_counts(&self) -> Result<Mat<f64>> {
        self.beyond(&self.rows)
    }

    fn beyond(&self, columns: &Mat<f64>) -> Result<Mat<f64>> {
        let counts = centred(&self.counts(&self.twins, &self.factors));
        let columns = centred(columns);
        let fit = &counts * least_squares(&counts, &columns).ok_or_else(not_finite)?;
        Ok(columns - fit)
    }

    /// `[k, width]`: what of `kept` says which place has which value, each direction with variance 1 over the twins; the largest first.
    pub(super) fn code(&self, kept: &Mat<f64>, most: usize) -> Result<Mat<f64>> {
        let places = self.places();
        let rows = self.beyond_counts()? * kept.transpose();
        let fit = least_squares(&rows, &self.beyond(&places)?).ok_or_else(not_finite)?;
        let read = &rows * &fit;
        let svd = read.thin_svd().map_err(|_| not_finite())?;
        let (s, v) = (svd.S().column_vector(), svd.V());
        let rank = (0..s.nrows()).filter(|k| s[*k] > SHORT * s[0]).count().min(most);
        let each = (read.nrows() as f64).sqrt();
        let scaled = Mat::from_fn(v.nrows(), rank, |i, k| v[(i, k)] * each / s[k]);
        Ok((&fit * scaled).transpose() * kept)
    }

    /// `[row, place and value]`: which place has which value, of both factors.
    fn places(&self) -> Mat<f64> {
        let cell = |x: f64| ((x * 4.0) as usize).min(3);
        let sizes = self.factors.map(|f| self.world.factors[f].values.len());
        let at = |object: &crate::scene::Object, k: usize| {
            let place = 4 * cell(object.y) + cell(object.x);
            16 * sizes[..k].iter().sum::<usize>() + place * sizes[k] + object.values[self.factors[k]] as usize
        };
        let mut of = Mat::zeros(self.twins.len(), 16 * sizes.iter().sum::<usize>());
        for (i, scene) in self.twins.iter().enumerate() {
            for object in &scene.objects {
                (0..2).for_each(|k| of[(i, at(object, k))] += 1.0);
            }
        }
        of
    }

    fn counts(&self, scenes: &[Scene], factors: &[usize]) -> Mat<f64> {
        let columns: Vec<(usize, u32)> = factors
            .iter()
            .flat_map(|f| (0..self.world.factors[*f].values.len() as u32).map(move |value| (*f, value)))
            .collect();
        Mat::from_fn(scenes.len(), columns.len(), |i, j| {
            let (factor, value) = columns[j];
            scenes[i].objects.iter().filter(|object| object.values[factor] == value).count() as f64
        })
    }
}

/// An orthonormal basis of columns, less directions shorter than `share` of the longest.
pub(super) fn spanned(columns: &Mat<f64>, share: f64) -> Result<Mat<f64>> {
    let (basis, sizes) = leading(columns, usize::MAX)?;
    let long = sizes.iter().filter(|size| **size > share * sizes[0]).count();
    Ok(basis.subcols(0, long).to_owned())
}

fn centred(rows: &Mat<f64>) -> Mat<f64> {
    let n = rows.nrows().max(1) as f64;
    let means: Vec<f64> = rows.col_iter().map(|column| column.iter().sum::<f64>() / n).collect();
    Mat::from_fn(rows.nrows(), rows.ncols(), |i, j| rows[(i, j)] - means[j])
}

fn not_finite() -> Error {
    Error::mismatch("operation", "finite activations", "others")
}

/// A model one of whose projections gives what it is given.
pub(super) struct Bare<'a> {
    model: Model,
    recipe: &'a Recipe,
    side: Side,
}

impl<'a> Bare<'a> {
    pub(super) fn of(from: &Path, weights: &Weights, recipe: &'a Recipe, side: Side) -> Result<Self> {
        let mut model = Model::load(from)?;
        let width = recipe.model.width;
        let mut weights = weights.clone();
        match side {
            Side::Image => model.config.vision.projection = Some(width),
            Side::Text => model.config.text.iter_mut().for_each(|text| text.projection = width),
        }
        weights.insert(side.projection().to_owned(), identity(width));
        model.towers = Towers::packed(&model.config, &mut weights, &[], Precision::F32)?;
        Ok(Self { model, recipe, side })
    }

    /// What it was shown.
    pub(super) fn world(&self) -> &'a World {
        &self.recipe.world
    }

    /// `[scene, width]`; those of a group of neighbours are worded alike.
    pub(super) fn rows(&self, scenes: &[Scene], group: usize, seed: u64) -> Result<Mat<f64>> {
        let templates: Vec<&str> = self.recipe.scenes.templates.iter().map(String::as_str).collect();
        let (world, side) = (&self.recipe.world, self.recipe.model.image as u32);
        let said = |i: usize| {
            let rng = &mut random::stream(seed, "operation: wording", (i / group) as u64);
            caption(&scenes[i], world, &Wording::draw(scenes[i].objects.len(), &templates, rng))
        };
        let mut values = Vec::new();
        for first in (0..scenes.len()).step_by(BATCH) {
            let batch = first..(first + BATCH).min(scenes.len());
            let tape = &mut Tape::off();
            let tensor = match self.side {
                Side::Image => {
                    let draw = |i: usize| render(&scenes[i], world, &Canvas::plain(side, side));
                    let pictures: Vec<_> = batch.into_par_iter().map(draw).collect();
                    self.model.towers.embed_images(tape, &self.model.pixels(&pictures)?, &mut ())?
                }
                Side::Text => {
                    let captions: Vec<String> = batch.map(said).collect();
                    let refs: Vec<&str> = captions.iter().map(String::as_str).collect();
                    let tokens = self.model.tokenizer()?.encode(&refs)?;
                    self.model.towers.embed_texts(tape, &tokens, &mut ())?
                }
            };
            values.extend_from_slice(tensor.data());
        }
        let width = self.recipe.model.width;
        Ok(Mat::from_fn(scenes.len(), width, |i, j| f64::from(values[i * width + j])))
    }
}
