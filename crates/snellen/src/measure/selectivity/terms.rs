//! What of the scenes a unit's activation is explained by: the number of objects, the values of each factor, and values of two
//! factors in one object.
//!
//! A main effect is a column per value, 1 where some object has it. An interaction of two factors is a column per pair of
//! values, 1 where some object has both: the same object, which is what binding is. The number of objects is categorical.
//! Columns that fewer than [`LEAST`] images set apart from the others are left out.

use crate::scene::labels::LabelTable;
use crate::{Error, Result};
use faer::Mat;
use std::collections::{BTreeMap, BTreeSet};

/// Images that a column has to be 1 on, and 0 on.
pub const LEAST: usize = 8;
/// Fewer images than these have no terms.
pub const FEWEST: usize = 2 * LEAST;
/// A factor or an interaction takes at most this share of the images as columns; one that would take more is left out.
const MOST_COLUMNS: f64 = 0.25;
/// Singular values below this share of the largest are taken for 0.
const RANK: f64 = 1e-9;

/// The terms of a table of labels.
pub struct Terms {
    pub(in crate::measure) images: usize,
    /// The constant alone.
    pub(in crate::measure) constant: Space,
    /// The number of objects.
    pub(in crate::measure) count: Space,
    /// That, and the values of all factors.
    pub(in crate::measure) main: Space,
    /// All of that but one factor, factor after factor; `None` where the factor says nothing that the others don't.
    pub(in crate::measure) without: Vec<Option<Space>>,
    /// `main` and the interaction of two factors; `None` where it adds nothing or too much.
    pub(in crate::measure) with: Vec<Interaction>,
    /// From activations to the coefficients of the values of each factor, `[value, image]`.
    pub(in crate::measure) levels: Vec<Levels>,
}

/// Two factors in one object.
pub(in crate::measure) struct Interaction {
    pub(in crate::measure) factors: [usize; 2],
    pub(in crate::measure) space: Option<Space>,
}

/// The coefficients of one factor.
pub(in crate::measure) struct Levels {
    /// `[value, image]`; only of values that have a column.
    pub(in crate::measure) map: Mat<f64>,
    /// Whether adding one number to all of them changes nothing but the coefficients of the number of objects.
    pub(in crate::measure) shifts: bool,
}

/// The span of some columns.
pub(in crate::measure) struct Space {
    /// Orthonormal, `[image, dimension]`.
    pub(in crate::measure) basis: Mat<f64>,
    /// 1 - h of each image, h being its leverage: what is left of its own weight in its fit.
    pub(in crate::measure) slack: Vec<f64>,
}

type Column = Vec<f64>;

impl Space {
    pub(in crate::measure) fn of(images: usize, columns: &[Vec<f64>]) -> Result<Self> {
        let design = Mat::from_fn(images, columns.len(), |i, j| columns[j][i]);
        let failed = |_| Error::mismatch("design", "a decomposition that converges", "none");
        let svd = design.thin_svd().map_err(failed)?;
        let s = svd.S().column_vector();
        let largest = (0..s.nrows()).map(|k| s[k]).fold(0.0, f64::max);
        let rank = (0..s.nrows()).filter(|k| s[*k] > RANK * largest).count();
        let basis = svd.U().subcols(0, rank).to_owned();
        let slack = (0..images).map(|i| 1.0 - (0..rank).map(|k| basis[(i, k)].powi(2)).sum::<f64>()).collect();
        Ok(Self { basis, slack })
    }

    /// Number of dimensions.
    pub(in crate::measure) fn rank(&self) -> usize {
        self.basis.ncols()
    }

    /// Whether `column` lies in the span.
    fn holds(&self, column: &[f64]) -> bool {
        let column = Mat::from_fn(column.len(), 1, |i, _| column[i]);
        let left = &column - &self.basis * (self.basis.transpose() * &column);
        left.norm_l2() <= 1e-6 * column.norm_l2().max(1.0)
    }
}

impl Terms {
    /// The terms of `labels`.
    ///
    /// # Errors
    /// When there are fewer than [`FEWEST`] images.
    pub fn of(labels: &LabelTable) -> Result<Self> {
        let images = labels.rows.len();
        if images < FEWEST {
            return Err(Error::mismatch("labels", format!("at least {FEWEST} images"), images));
        }
        let flags =
            |holds: &dyn Fn(usize) -> bool| -> Column { (0..images).map(|i| f64::from(u8::from(holds(i)))).collect() };
        // Counted before any column is made: a factor may have as many values as there are images.
        let known = |cells: BTreeMap<[u32; 2], Vec<usize>>| -> Vec<Column> {
            let fits = |rows: &&Vec<usize>| (LEAST..=images - LEAST).contains(&rows.len());
            let kept: Vec<&Vec<usize>> = cells.values().filter(fits).collect();
            if kept.len() as f64 > MOST_COLUMNS * images as f64 {
                return Vec::new();
            }
            let column = |rows: &Vec<usize>| {
                let mut column = vec![0.0; images];
                rows.iter().for_each(|row| column[*row] = 1.0);
                column
            };
            kept.into_iter().map(column).collect()
        };
        // Which images have an object with each pair of what `cell` says of it.
        let images_of = |cell: &dyn Fn(&[Option<u32>]) -> Option<[u32; 2]>| {
            let mut cells: BTreeMap<[u32; 2], Vec<usize>> = BTreeMap::new();
            for (i, row) in labels.rows.iter().enumerate() {
                for key in row.objects.iter().filter_map(|object| cell(object)).collect::<BTreeSet<_>>() {
                    cells.entry(key).or_default().push(i);
                }
            }
            cells
        };
        let counts = labels.object_counts();
        let different: BTreeSet<usize> = counts.iter().copied().collect();
        let count: Vec<Column> = different.iter().map(|n| flags(&|i| counts[i] == *n)).collect();
        let main = |f: usize| known(images_of(&|object| object[f].map(|value| [value, 0])));
        let mains: Vec<Vec<Column>> = (0..labels.factors.len()).map(main).collect();
        let joined = |parts: &[&[Column]]| parts.concat();
        let all_but = |left: Option<usize>| {
            let kept = mains.iter().enumerate().filter(|(f, _)| Some(*f) != left).flat_map(|(_, columns)| columns);
            joined(&[&count, &kept.cloned().collect::<Vec<_>>()])
        };
        let count_space = Space::of(images, &count)?;
        let main_columns = all_but(None);
        let main_space = Space::of(images, &main_columns)?;
        let space_without = |f: usize| -> Result<Option<Space>> {
            let space = Space::of(images, &all_but(Some(f)))?;
            Ok((space.rank() < main_space.rank()).then_some(space))
        };
        let pairs = (0..labels.factors.len()).flat_map(|f| (f + 1..labels.factors.len()).map(move |g| [f, g]));
        let space_with = |[f, g]: [usize; 2]| -> Result<Interaction> {
            let columns = known(images_of(&|object| Some([object[f]?, object[g]?])));
            let space =
                (!columns.is_empty()).then(|| Space::of(images, &joined(&[&main_columns, &columns]))).transpose()?;
            Ok(Interaction { factors: [f, g], space: space.filter(|space| space.rank() > main_space.rank()) })
        };
        let inverse = inverse(images, &main_columns)?;
        let mut first = count.len();
        let mut levels = Vec::new();
        for columns in &mains {
            let sum: Column = (0..images).map(|i| columns.iter().map(|column| column[i]).sum()).collect();
            let map = inverse.subrows(first, columns.len()).to_owned();
            levels.push(Levels { map, shifts: !columns.is_empty() && count_space.holds(&sum) });
            first += columns.len();
        }
        Ok(Self {
            images,
            constant: Space::of(images, &[vec![1.0; images]])?,
            without: (0..mains.len()).map(space_without).collect::<Result<_>>()?,
            with: pairs.map(space_with).collect::<Result<_>>()?,
            count: count_space,
            main: main_space,
            levels,
        })
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// The shares of the variance of `values`, one per image, that the number of objects and that it and all factors explain.
    ///
    /// # Panics
    /// When there are not as many values as images.
    pub fn explained(&self, values: &[f64]) -> [f64; 2] {
        assert_eq!(values.len(), self.images, "a value for every image");
        let values = Mat::from_fn(self.images, 1, |i, _| values[i]);
        let left = |space: &Space| (&values - &space.basis * (space.basis.transpose() * &values)).squared_norm_l2();
        let all = left(&self.constant);
        [&self.count, &self.main].map(|space| if all > 0.0 { 1.0 - left(space) / all } else { 0.0 })
    }
}

/// The pseudoinverse of the design, `[column, image]`: it gives the coefficients of least norm.
fn inverse(images: usize, columns: &[Column]) -> Result<Mat<f64>> {
    let design = Mat::from_fn(images, columns.len(), |i, j| columns[j][i]);
    let failed = |_| Error::mismatch("design", "a decomposition that converges", "none");
    let svd = design.thin_svd().map_err(failed)?;
    let (u, s, v) = (svd.U(), svd.S().column_vector(), svd.V());
    let largest = (0..s.nrows()).map(|k| s[k]).fold(0.0, f64::max);
    let scaled = Mat::from_fn(v.nrows(), s.nrows(), |i, k| if s[k] > RANK * largest { v[(i, k)] / s[k] } else { 0.0 });
    Ok(scaled * u.transpose())
}
