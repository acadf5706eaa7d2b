//! A half of the images, and the regression of anything on the concepts that they show.

use crate::measure::Design;
use crate::measure::terms::Space;
use crate::{Error, Result};
use faer::Mat;
use std::collections::BTreeSet;

/// Singular values below this share of the largest are taken for 0.
const RANK: f64 = 1e-9;

/// The regression on the number of objects, categorical, and on the presence of every concept, of some images.
///
/// The number of objects is regressed out first, so that where the values of a factor always add up to it, their coefficients
/// are told from their mean: only differences among them can be known then.
pub(in crate::measure) struct Half {
    /// Rows of the sample.
    pub(in crate::measure) images: Vec<usize>,
    /// The number of objects.
    pub(in crate::measure) count: Space,
    /// From numbers of images to partial coefficients, `[concept, image]`.
    pub(in crate::measure) map: Mat<f64>,
    /// The span of the concepts beyond the number of objects, orthonormal `[image, dimension]`.
    concepts: Mat<f64>,
    /// 1 - h of each image, h being its leverage on everything.
    pub(in crate::measure) slack: Vec<f64>,
}

impl Half {
    /// Of `images` of `design`; concepts that are not `used` have no coefficients.
    pub(in crate::measure) fn of(design: &Design, used: &[bool], images: &[usize]) -> Result<Self> {
        let n = images.len();
        let flag = |yes: bool| f64::from(u8::from(yes));
        let strata: BTreeSet<usize> = images.iter().map(|i| design.strata()[*i]).collect();
        let strata: Vec<Vec<f64>> =
            strata.iter().map(|s| images.iter().map(|i| flag(design.strata()[*i] == *s)).collect()).collect();
        let count = Space::of(n, &strata)?;
        let present = Mat::from_fn(n, used.len(), |i, c| flag(used[c] && design.present(c)[images[i]]));
        let beyond = beyond(&count.basis, present);
        let failed = |_| Error::mismatch("design", "a decomposition that converges", "none");
        let svd = beyond.thin_svd().map_err(failed)?;
        let (u, s, v) = (svd.U(), svd.S().column_vector(), svd.V());
        let largest = (0..s.nrows()).map(|k| s[k]).fold(0.0, f64::max);
        // Beside what the counts leave of a constant, which is rounding.
        let rank = (0..s.nrows()).filter(|k| s[*k] > RANK * largest.max(1.0)).count();
        let scaled = Mat::from_fn(v.nrows(), rank, |c, k| v[(c, k)] / s[k]);
        let concepts = u.subcols(0, rank).to_owned();
        let leverage = |basis: &Mat<f64>, i: usize| (0..basis.ncols()).map(|k| basis[(i, k)].powi(2)).sum::<f64>();
        Ok(Self {
            map: scaled * concepts.transpose(),
            slack: (0..n).map(|i| 1.0 - leverage(&count.basis, i) - leverage(&concepts, i)).collect(),
            images: images.to_vec(),
            count,
            concepts,
        })
    }

    /// What the number of objects leaves of `columns` `[image, any]`.
    pub(in crate::measure) fn beyond_count(&self, columns: Mat<f64>) -> Mat<f64> {
        beyond(&self.count.basis, columns)
    }

    /// What the whole regression leaves of them.
    pub(in crate::measure) fn residual(&self, columns: Mat<f64>) -> Mat<f64> {
        beyond(&self.concepts, self.beyond_count(columns))
    }

    /// What image `i` moves the coefficients by, in units of its residual: the coefficients less those without it (exact for least
    /// squares); 0 for an image that a column is there for alone.
    pub(in crate::measure) fn influence(&self, concept: usize, i: usize) -> f64 {
        if self.slack[i] > RANK { self.map[(concept, i)] / self.slack[i] } else { 0.0 }
    }
}

fn beyond(basis: &Mat<f64>, columns: Mat<f64>) -> Mat<f64> {
    let along = basis * (basis.transpose() * &columns);
    columns - along
}
