//! Stratified AUROC of every unit for every concept, of images that come in parts.
//!
//! The score is that of [`measure::auroc`](crate::measure::auroc): sum_s U_s / sum_s n+_s n-_s. It needs the order of all values,
//! so what is kept depends on how many images were seen, and on nothing else.
//!
//! - Up to [`Resolution::exact_images`] all values are kept, and the AUROC is exact: 4 bytes for each image and unit.
//! - Beyond, a sketch: counts in the [`Bins`](super::bins::Bins) that the sign, the exponent and the first
//!   [`Resolution::mantissa_bits`] bits of the mantissa make. Values of one bin count as ties, so a bin with n+ and n- images
//!   moves the sum of U by at most n+ n- / 2, and
//!
//! ```text
//! |AUROC of the sketch - AUROC| <= bound = 1/2 sum n+_b n-_b / sum_s n+_s n-_s,
//! ```
//!
//! the first sum over the bins of strata with both classes that hold two values or more. A bin of one value, such as the zeros
//! of a rectified unit, is exact, and so is all of what was recorded in bf16 at 7 bits or more. On normal values around 0 the
//! bound is about 0.06 / 2^bits, on normal values whose mean is 5 standard deviations about 0.6 / 2^bits; it is computed for
//! every cell. Counts merge exactly, so the result does not depend on how images were split.
//!
//! Memory of the sketch: 20 + 4 C bytes for each bin that is not empty, C the number of concepts (84 with 16), plus up to
//! [`FLUSH_ROWS`] rows and a batch that wait to be counted. Normal values fill about 200 bins at 3 bits, 1,200 at 6, of each
//! stratum with 20,000 images. So 4,096 units, 16 concepts and 5 strata of that size take about 0.35 GB at 3 bits and 2.1 GB at 6;
//! the values of [`EXACT_IMAGES`] images take 1.1 GB. What does not fit is measured in blocks of units, each in a pass of its
//! own.

use super::bins::{Bins, Cut, Rows, Score};
use super::{Batch, Measure, same};
use crate::measure::auroc::Flag;
use crate::measure::{Design, Matrix};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A good [`Resolution::exact_images`]: where values take about as much memory as their bins would.
pub const EXACT_IMAGES: usize = 1 << 16;
/// A good [`Resolution::mantissa_bits`]: bins as wide as 1/64 of the power of two below them.
pub const MANTISSA_BITS: u32 = 6;
/// Rows that wait until they are counted together, unless [`StratifiedAuroc::counting`] says another number.
pub const FLUSH_ROWS: usize = 1 << 12;

/// Bits of the mantissa of an f32.
const ALL_BITS: u32 = 23;
/// Units that one thread takes together: as many as share a cache line of a row.
const BLOCK: usize = 16;
/// The first image that is not finite, where all are.
const NONE: u32 = u32::MAX;

/// How finely values are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The most images of which all values are kept.
    pub exact_images: usize,
    /// Beyond: the bits of the mantissa that a bin is made of, 0 to 23. With 23 the sketch is exact too.
    pub mantissa_bits: u32,
}

/// The units' values so far, or how they lie.
///
/// Values take 4 bytes for each image and unit; beyond [`Resolution::exact_images`] a bin takes 20 and 4 for each concept. With
/// 4,096 units, 16 concepts and 5 strata of 20,000 normal values that is about 2.1 GB at 6 bits, 0.35 GB at 3.
#[derive(Clone, Debug)]
pub struct StratifiedAuroc {
    labels: Arc<Labels>,
    resolution: Resolution,
    flush_rows: usize,
    /// Images seen.
    seen: usize,
    /// Images whose values are not yet counted.
    waiting: Vec<usize>,
    /// Their values, `[row, unit]`.
    values: Vec<f32>,
    /// Per unit, what was counted.
    bins: Vec<Bins>,
    /// Per unit, the first image on which it is not finite.
    not_finite: Vec<u32>,
}

/// All units against all concepts.
#[derive(Clone, Debug, PartialEq)]
pub struct Aurocs {
    /// Images seen.
    pub images: usize,
    /// Whether these were few enough for all values to be kept.
    pub exact: bool,
    /// Per unit its scores, one for each concept of the design; `None` where no stratum has both classes. A flagged unit has
    /// none, and the row of [`Flag::NonFinite`] is the index of the image.
    pub units: Vec<Result<Vec<Option<Score>>, Flag>>,
}

/// What images hold.
#[derive(Debug, PartialEq)]
struct Labels {
    concepts: usize,
    /// Per image, the place of its stratum among all.
    strata: Vec<u32>,
    /// Image after image, the concepts that it holds.
    held: Vec<u32>,
    /// Where those of each image begin, and where the last end.
    starts: Vec<usize>,
}

impl StratifiedAuroc {
    /// Of `units` units against `design`, of no image yet. To measure parts that will be merged, clone it.
    ///
    /// # Errors
    /// When more bits are asked for than there are.
    pub fn new(design: &Design, units: usize, resolution: Resolution) -> Result<Self> {
        if resolution.mantissa_bits > ALL_BITS {
            let expected = format!("at most {ALL_BITS}");
            return Err(Error::mismatch("stratified AUROC: mantissa bits", expected, resolution.mantissa_bits));
        }
        Ok(Self {
            labels: Arc::new(Labels::new(design)),
            resolution,
            flush_rows: FLUSH_ROWS,
            seen: 0,
            waiting: Vec::new(),
            values: Vec::new(),
            bins: vec![Bins::default(); units],
            not_finite: vec![NONE; units],
        })
    }

    /// Counts whenever `rows` rows wait, rather than [`FLUSH_ROWS`]: fewer take less memory and more time. No result depends on
    /// it.
    pub fn counting(self, rows: usize) -> Self {
        Self { flush_rows: rows, ..self }
    }

    /// Bytes that values and bins take now.
    pub fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>() + self.bins.iter().map(Bins::bytes).sum::<usize>()
    }

    fn exact(&self) -> bool {
        self.seen <= self.resolution.exact_images
    }

    fn cut(&self) -> Cut {
        let bits = if self.exact() { ALL_BITS } else { self.resolution.mantissa_bits };
        Cut { shift: ALL_BITS - bits, concepts: self.labels.concepts }
    }

    /// Room for more values, an eighth at a time: they may be most of the memory there is.
    fn make_room(&mut self, more: usize) {
        if self.values.capacity() - self.values.len() < more {
            self.values.reserve_exact(more.max(self.values.len() / 8));
        }
    }

    /// Counts what waits, if values are no longer kept and enough of them wait.
    fn flush(&mut self) {
        if !self.exact() && self.waiting.len() >= self.flush_rows {
            self.count(|_, _| ());
        }
    }

    /// Counts what waits, and gives what `of` makes of every unit's bins, of which it may take hold.
    fn count<T: Send>(&mut self, of: impl Fn(usize, &mut Bins) -> T + Sync) -> Vec<T> {
        let waiting = std::mem::take(&mut self.waiting);
        let matrix = Matrix::of_rows(waiting.len(), self.bins.len(), std::mem::take(&mut self.values));
        let (rows, cut) = (self.labels.rows(&waiting), self.cut());
        let block = |(block, bins): (usize, &mut [Bins])| {
            let first = block * BLOCK;
            let (mut columns, mut keys) = (Vec::new(), Vec::new());
            matrix.columns(first..first + bins.len(), &mut columns);
            let unit = |(k, bins): (usize, &mut Bins)| {
                bins.add(&columns[k * matrix.images()..][..matrix.images()], &rows, cut, &mut keys);
                of(first + k, bins)
            };
            bins.iter_mut().enumerate().map(unit).collect::<Vec<_>>()
        };
        let blocks: Vec<Vec<T>> = self.bins.par_chunks_mut(BLOCK).enumerate().map(block).collect();
        blocks.into_iter().flatten().collect()
    }
}

impl Measure for StratifiedAuroc {
    type Output = Aurocs;

    fn observe(&mut self, batch: Batch<'_>) -> Result<()> {
        batch.check_units("stratified AUROC", self.bins.len())?;
        let images = self.labels.strata.len();
        if let Some(image) = (0..batch.rows()).map(|row| batch.image(row)).find(|&image| image >= images) {
            let expected = format!("an image below {images}, which the design has");
            return Err(Error::mismatch("stratified AUROC: batch", expected, image));
        }
        batch.each(&mut self.not_finite, |first, image, value| {
            if !value.is_finite() {
                *first = image.min(*first);
            }
        });
        self.waiting.extend((0..batch.rows()).map(|row| batch.image(row)));
        self.make_room(batch.values().len());
        self.values.extend_from_slice(batch.values());
        self.seen += batch.rows();
        self.flush();
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        let place = "stratified AUROC: merge";
        same(place, "units", self.bins.len(), other.bins.len())?;
        if self.resolution != other.resolution {
            let [expected, got] = [self.resolution, other.resolution].map(|resolution| format!("{resolution:?}"));
            return Err(Error::mismatch(place, expected, got));
        }
        if !Arc::ptr_eq(&self.labels, &other.labels) && self.labels != other.labels {
            return Err(Error::mismatch(place, "one design", "two"));
        }
        self.seen += other.seen;
        let cut = self.cut();
        self.bins.par_iter_mut().zip(&other.bins).for_each(|(bins, other)| bins.merge(other, cut));
        self.not_finite.iter_mut().zip(other.not_finite).for_each(|(first, other)| *first = other.min(*first));
        self.waiting.extend(other.waiting);
        self.make_room(other.values.len());
        self.values.extend(other.values);
        self.flush();
        Ok(())
    }

    fn finish(mut self) -> Aurocs {
        let (images, exact, cut) = (self.seen, self.exact(), self.cut());
        let not_finite = std::mem::take(&mut self.not_finite);
        let score = |unit: usize, bins: &mut Bins| {
            let bins = std::mem::take(bins);
            match not_finite[unit] {
                NONE if bins.constant() => Err(Flag::Constant),
                NONE => Ok(bins.scores(cut)),
                row => Err(Flag::NonFinite { row: row as usize }),
            }
        };
        Aurocs { images, exact, units: self.count(score) }
    }
}

impl Labels {
    fn new(design: &Design) -> Self {
        let concepts = design.concepts().len();
        let mut places: BTreeMap<usize, u32> = design.strata().iter().map(|&stratum| (stratum, 0)).collect();
        places.values_mut().zip(0..).for_each(|(place, index)| *place = index);
        let (mut held, mut starts) = (Vec::new(), vec![0]);
        for image in 0..design.images() {
            held.extend((0..concepts).filter(|&concept| design.present(concept)[image]).map(|concept| concept as u32));
            starts.push(held.len());
        }
        Self { concepts, strata: design.strata().iter().map(|stratum| places[stratum]).collect(), held, starts }
    }

    /// The rows of `images`.
    fn rows(&self, images: &[usize]) -> Rows<'_> {
        let mut strata: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (row, &image) in images.iter().enumerate() {
            strata.entry(self.strata[image]).or_default().push(row as u32);
        }
        let held = images.iter().map(|&image| &self.held[self.starts[image]..self.starts[image + 1]]).collect();
        Rows { strata: strata.into_iter().collect(), held }
    }
}
