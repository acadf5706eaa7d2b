//! The images on which each unit is largest.
//!
//! Values in decreasing order, equal ones (0 and -0 among them) in the order of their images: a total order, so the k first of
//! all images are the k first of what is kept of any parts. For the images on which a unit is smallest, show it negated.

use super::{Batch, Measure, same};
use crate::measure::ranks::{ascending, of_ascending};
use crate::{Error, Result};

/// The largest values of each unit so far.
#[derive(Clone, Debug)]
pub struct TopImages {
    k: usize,
    units: Vec<UnitTop>,
}

/// An image and the unit's value on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Its index.
    pub image: usize,
    /// Finite; 0 where it was -0.
    pub value: f32,
}

#[derive(Clone, Debug, Default)]
struct UnitTop {
    /// Value and image in one number that sorts like them, largest first; at most k.
    kept: Vec<u64>,
    finite: bool,
}

impl TopImages {
    /// The `k` images of largest value for each of `units` units.
    ///
    /// # Errors
    /// When k is 0.
    pub fn new(units: usize, k: usize) -> Result<Self> {
        if k == 0 {
            return Err(Error::mismatch("top images: k", "at least 1", k));
        }
        Ok(Self { k, units: vec![UnitTop { kept: Vec::new(), finite: true }; units] })
    }
}

impl Measure for TopImages {
    /// Per unit, largest value first: k images, or all where fewer were seen. `None` where a value was not finite.
    type Output = Vec<Option<Vec<Ranked>>>;

    fn observe(&mut self, batch: Batch<'_>) -> Result<()> {
        batch.check_units("top images", self.units.len())?;
        let k = self.k;
        batch.each(&mut self.units, |unit, image, value| {
            unit.finite &= value.is_finite();
            unit.keep(u64::from(ascending(value)) << 32 | u64::from(!image), k);
        });
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        same("top images: merge", "images for each unit", self.k, other.k)?;
        same("top images: merge", "units", self.units.len(), other.units.len())?;
        for (unit, other) in self.units.iter_mut().zip(other.units) {
            unit.finite &= other.finite;
            other.kept.into_iter().for_each(|entry| unit.keep(entry, self.k));
        }
        Ok(())
    }

    fn finish(self) -> Self::Output {
        let ranked = |entry: u64| Ranked { image: !(entry as u32) as usize, value: of_ascending((entry >> 32) as u32) };
        let unit = |unit: UnitTop| unit.finite.then(|| unit.kept.into_iter().map(ranked).collect());
        self.units.into_iter().map(unit).collect()
    }
}

impl UnitTop {
    fn keep(&mut self, entry: u64, k: usize) {
        if self.kept.len() == k {
            if self.kept.last().is_some_and(|&last| last >= entry) {
                return;
            }
            self.kept.pop();
        }
        let place = self.kept.partition_point(|&kept| kept >= entry);
        self.kept.insert(place, entry);
    }
}
