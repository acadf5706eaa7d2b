//! Does a linear map between pictures and captions find the binding that their own match misses?
//!
//! Two twins (pictures) and their captions hold the same words in another arrangement. A map learns on some pairs to give each
//! picture its own caption, swapped captions among the wrong ones (LABCLIP: Koishigarina et al. 2025, arXiv 2502.03566), and is asked of
//! unseen pairs. A ridge regression of pictures on captions stands beside it, and two nulls: maps that were taught captions the wrong way
//! round at random, and captions of other pairs.

use super::Split;
use super::bilinear::{Map, Spaces, Taught};
use super::paired::paired;
use super::ridge::{Ridge, clusters};
use crate::measure::proportion::{Difference, Proportion};
use crate::measure::{Confidence, Matrix};
use crate::random;
use crate::{Error, Result};
use faer::Mat;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Embeddings of twins and of their captions: rows 2i and 2i + 1 are pair i.
#[derive(Clone, Copy, Debug)]
pub struct Twins<'a> {
    /// `[2 pair, unit]`.
    pub pictures: &'a Matrix,
    /// `[2 pair, unit]`, the right caption of each row of `pictures`.
    pub captions: &'a Matrix,
}

/// How maps are taught and judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Teaching {
    /// Strengths C to choose from, ascending, for pictures and captions of total variance 1.
    pub strengths: Vec<f64>,
    /// Penalties of the ridge map, in units of the mean eigenvalue.
    pub penalties: Vec<f64>,
    /// Margins no larger than this count as ties, half right; of the match that was given, in units of its cosines.
    pub tie: f64,
    /// How often each null is taught in every split.
    pub nulls: usize,
    /// Of all intervals.
    pub confidence: Confidence,
}

impl Teaching {
    /// The exam's choices.
    pub fn standard(confidence: Confidence) -> Self {
        Self {
            strengths: (-2..=3).map(|e| 10f64.powi(e)).collect(),
            penalties: (-4..=2).map(|e| 10f64.powi(e)).collect(),
            tie: 1e-5,
            nulls: 4,
            confidence,
        }
    }
}

/// Swap accuracy with a map: the share of pictures that score their own caption above its twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapped {
    /// On the pairs that were asked.
    pub accuracy: Proportion,
    /// Less the accuracy of the given match, picture by picture.
    pub gain: Difference,
}

/// What maps make of the match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// Swap accuracy of the match as it is given (cosines).
    pub before: Proportion,
    /// With the contrastive map.
    pub map: Mapped,
    /// With the ridge map.
    pub ridge: Mapped,
    /// With contrastive maps that were taught half of the captions the wrong way round; mean over their draws.
    pub shuffled: Option<Mapped>,
    /// With some that were taught the captions of other pairs.
    pub random: Option<Mapped>,
    /// The strength chosen in each split.
    pub strengths: Vec<f64>,
    /// The largest gradient per picture that a search ended with.
    pub gradient: f64,
}

/// Teaches maps on the training pairs of each split and asks its test pairs. `splits` number pairs.
///
/// # Errors
/// When rows disagree or are odd, a number is not finite, a row has no length, or a split has fewer than 6 training pairs, none to
/// test or pairs on both sides.
///
/// ```
/// use snellen::measure::{Confidence, Matrix};
/// use snellen::readers::Split;
/// use snellen::readers::alignment::{Teaching, Twins, align};
///
/// // The second coordinate is the binding, and captions say it with the wrong sign.
/// let rows = |sign: f32| -> Vec<f32> { (0..80).flat_map(|i| [1.0, if i % 2 == 0 { sign } else { -sign }]).collect() };
/// let (pictures, captions) = (Matrix::new(80, 2, rows(0.5))?, Matrix::new(80, 2, rows(-0.5))?);
/// let split = Split { train: (0..30).collect(), test: (30..40).collect() };
/// let twins = Twins { pictures: &pictures, captions: &captions };
/// let found = align(&twins, &[split], &Teaching::standard(Confidence::new(0.95)?), 1)?;
/// assert_eq!([found.before.estimate, found.map.accuracy.estimate], [0.0, 1.0]);
/// # Ok::<(), snellen::Error>(())
/// ```
pub fn align(twins: &Twins<'_>, splits: &[Split], teaching: &Teaching, seed: u64) -> Result<Alignment> {
    let pairs = check(twins, splits, teaching)?;
    let [pictures, captions] = [unit_rows("pictures", twins.pictures)?, unit_rows("captions", twins.captions)?];
    let spaces = Spaces::new(&pictures, &captions)?;
    let nulls = (0..teaching.nulls as u64).flat_map(|draw| [(Kind::Shuffled, draw), (Kind::Random, draw)]);
    let kinds: Vec<(Kind, u64)> = std::iter::once((Kind::True, 0)).chain(nulls).collect();
    let jobs: Vec<(usize, Kind, u64)> =
        (0..splits.len()).flat_map(|s| kinds.iter().map(move |(kind, draw)| (s, *kind, *draw))).collect();
    let taught: Vec<(Map, f64)> = jobs
        .par_iter()
        .map(|(s, kind, draw)| {
            let seed = random::seed(random::seed(seed, "taught pairs", *s as u64), "draw", *draw);
            teach(&spaces, &kind.taught(&splits[*s].train, seed), teaching)
        })
        .collect();
    let cosine = |row: usize, caption: usize| -> f64 {
        (0..pictures.ncols()).map(|j| pictures[(row, j)] * captions[(caption, j)]).sum()
    };
    let given = |pair: &usize| [2 * pair, 2 * pair + 1].map(|row| cosine(row, row) - cosine(row, row ^ 1));
    let mut tally = Tally::new(pairs, teaching);
    for (split, test) in splits.iter().map(|split| (split, &split.test)) {
        tally.count(0, test, &test.iter().map(given).collect::<Vec<_>>(), teaching.tie);
        tally.count(1, test, &ridge(&pictures, &captions, split, teaching)?, 0.0);
    }
    for ((s, kind, _), (map, _)) in jobs.iter().zip(&taught) {
        let test = &splits[*s].test;
        let own: Vec<Taught> = test.iter().map(|pair| Taught::own(*pair)).collect();
        tally.count(2 + *kind as usize, test, &spaces.margins(map, &own), 0.0);
    }
    let of = |kind: Kind| (teaching.nulls > 0).then(|| tally.mapped(2 + kind as usize)).transpose();
    let truly = jobs.iter().zip(&taught).filter(|((_, kind, _), _)| *kind == Kind::True);
    Ok(Alignment {
        before: tally.accuracy(0)?,
        map: tally.mapped(2)?,
        ridge: tally.mapped(1)?,
        shuffled: of(Kind::Shuffled)?,
        random: of(Kind::Random)?,
        strengths: truly.map(|(_, (_, c))| *c).collect(),
        gradient: taught.iter().map(|(map, _)| map.gradient).fold(0.0, f64::max),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    True = 0,
    Shuffled = 1,
    Random = 2,
}

impl Kind {
    /// What the pictures of `train` are taught.
    fn taught(self, train: &[usize], seed: u64) -> Vec<Taught> {
        let rng = &mut random::stream(seed, "kind", self as u64);
        let mut pictures = train.to_vec();
        pictures.shuffle(rng);
        let mut captions = pictures.clone();
        if self == Self::Random {
            captions.shuffle(rng);
        }
        let mut flipped: Vec<bool> = (0..train.len()).map(|k| self == Self::Shuffled && k % 2 == 1).collect();
        flipped.shuffle(rng);
        let pairs = pictures.into_iter().zip(captions).zip(flipped);
        pairs.map(|((picture, caption), flipped)| Taught { picture, caption, flipped }).collect()
    }
}

/// The map at the strength that a third of the pairs, left out, likes best.
fn teach(spaces: &Spaces, pairs: &[Taught], teaching: &Teaching) -> (Map, f64) {
    let third = pairs.len() / 3;
    let (held, learnt) = pairs.split_at(third);
    let mut best = (f64::INFINITY, teaching.strengths[0]);
    let mut from: Option<Map> = None;
    for c in &teaching.strengths {
        let map = spaces.map(learnt, *c, from.as_ref());
        let margins = spaces.margins(&map, held);
        let loss = |margin: &f64| (-margin.abs()).exp().ln_1p() + (-margin).max(0.0);
        let loss: f64 = margins.iter().flatten().map(loss).sum();
        if loss < best.0 {
            best = (loss, *c);
        }
        from = Some(map);
    }
    let mut map = None;
    for c in teaching.strengths.iter().filter(|c| **c <= best.1) {
        map = Some(spaces.map(pairs, *c, map.as_ref()));
    }
    (map.unwrap_or_else(|| spaces.map(pairs, best.1, None)), best.1)
}

/// Margins by ridge regression of pictures on captions: cosines with the picture that a caption foretells, both less the mean.
fn ridge(pictures: &Mat<f64>, captions: &Mat<f64>, split: &Split, teaching: &Teaching) -> Result<Vec<[f64; 2]>> {
    let rows = |pairs: &[usize]| -> Vec<usize> { pairs.iter().flat_map(|pair| [2 * pair, 2 * pair + 1]).collect() };
    let pick = |from: &Mat<f64>, rows: &[usize]| Mat::from_fn(rows.len(), from.ncols(), |i, j| from[(rows[i], j)]);
    let (train, test) = (rows(&split.train), rows(&split.test));
    let pair_of: Vec<u64> = (0..pictures.nrows() as u64).map(|row| row / 2).collect();
    let ridge = Ridge::new(&pick(captions, &train), &pick(pictures, &train))?;
    let (_, penalty, _) = ridge.chosen(&teaching.penalties, &clusters(&pair_of, &train));
    let foretold = ridge.predict(&pick(captions, &test), penalty);
    let means = ridge.centre();
    let d = means.len();
    let cosine = |i: usize, caption: usize| {
        let own = |j: usize| pictures[(test[i], j)] - means[j];
        let told = |j: usize| foretold[(caption, j)] - means[j];
        let [product, length] = (0..d).fold([0.0; 2], |[a, b], j| [a + own(j) * told(j), b + told(j) * told(j)]);
        if length > 0.0 { product / length.sqrt() } else { 0.0 }
    };
    Ok((0..split.test.len()).map(|k| [2 * k, 2 * k + 1].map(|i| cosine(i, i) - cosine(i, i ^ 1))).collect())
}

/// Scores of every picture asked, by kind of match.
struct Tally<'a> {
    teaching: &'a Teaching,
    /// `[kind][picture]`: sum and count.
    sums: Vec<Vec<[f64; 2]>>,
}

impl<'a> Tally<'a> {
    fn new(pairs: usize, teaching: &'a Teaching) -> Self {
        Self { teaching, sums: vec![vec![[0.0; 2]; 2 * pairs]; 5] }
    }

    fn count(&mut self, kind: usize, pairs: &[usize], margins: &[[f64; 2]], tie: f64) {
        for (pair, margins) in pairs.iter().zip(margins) {
            for (side, margin) in margins.iter().enumerate() {
                let score = if margin.abs() <= tie { 0.5 } else { f64::from(u8::from(*margin > 0.0)) };
                let [sum, count] = &mut self.sums[kind][2 * pair + side];
                (*sum, *count) = (*sum + score, *count + 1.0);
            }
        }
    }

    fn scores(&self, kind: usize) -> (Vec<f64>, Vec<u64>) {
        let asked = self.sums[kind].iter().enumerate().filter(|(_, [_, count])| *count > 0.0);
        asked.map(|(row, [sum, count])| (sum / count, row as u64 / 2)).unzip()
    }

    fn accuracy(&self, kind: usize) -> Result<Proportion> {
        let (scores, pairs) = self.scores(kind);
        Proportion::clustered(&scores, &pairs, self.teaching.confidence)
    }

    fn mapped(&self, kind: usize) -> Result<Mapped> {
        let ((scores, pairs), (before, _)) = (self.scores(kind), self.scores(0));
        let gain = paired(&scores, &before, &pairs, self.teaching.confidence)?;
        Ok(Mapped { accuracy: self.accuracy(kind)?, gain })
    }
}

/// Rows of length 1.
fn unit_rows(place: &str, matrix: &Matrix) -> Result<Mat<f64>> {
    let mut lengths = Vec::with_capacity(matrix.images());
    for row in 0..matrix.images() {
        let length = matrix.row(row).iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return Err(Error::mismatch(format!("{place}: row {row}"), "finite numbers, not all 0", length));
        }
        lengths.push(length);
    }
    Ok(Mat::from_fn(matrix.images(), matrix.units(), |i, j| f64::from(matrix.row(i)[j]) / lengths[i]))
}

/// The number of pairs.
fn check(twins: &Twins<'_>, splits: &[Split], teaching: &Teaching) -> Result<usize> {
    let [pictures, captions] = [twins.pictures, twins.captions].map(|m| (m.images(), m.units()));
    if pictures != captions || pictures.0 % 2 == 1 || pictures.0 == 0 {
        let expected = "as many captions as pictures, in pairs, of one width";
        return Err(Error::mismatch("alignment", expected, format!("{pictures:?} and {captions:?}")));
    }
    let pairs = pictures.0 / 2;
    for (k, split) in splits.iter().enumerate() {
        let train: std::collections::BTreeSet<usize> = split.train.iter().copied().collect();
        let apart = split.test.iter().all(|pair| !train.contains(pair));
        let known = split.train.iter().chain(&split.test).all(|pair| *pair < pairs);
        if train.len() < 6 || split.test.is_empty() || !apart || !known {
            let got = format!("{} and {} of {pairs}", train.len(), split.test.len());
            let expected = "6 pairs or more to learn from, others to ask";
            return Err(Error::mismatch(format!("alignment: split {k}"), expected, got));
        }
    }
    let positive = |values: &[f64]| !values.is_empty() && values.iter().all(|value| *value > 0.0 && value.is_finite());
    if splits.is_empty() || !positive(&teaching.strengths) || !positive(&teaching.penalties) {
        let got = format!("{} splits, {:?}, {:?}", splits.len(), teaching.strengths, teaching.penalties);
        return Err(Error::mismatch("alignment", "splits, and positive strengths and penalties", got));
    }
    Ok(pairs)
}
