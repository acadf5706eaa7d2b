//! Mean, variance and range of every unit.
//!
//! mean = S1 / n, variance = (n S2 - S1^2) / (n (n - 1)), with S1 and S2 the sums of the finite values and of their squares. In
//! plain doubles the difference would lose what mean^2 is larger than the variance; the sums are double-double, in which a
//! square of an f32 and a sum of 2^29 equal values are exact. Merging adds sums. Splits change mean and standard deviation by
//! at most 1e-15 of the unit's root mean square; counts, minimum and maximum not at all.

use super::sum::Sum;
use super::{Batch, Measure, same};
use crate::Result;

/// What has been seen of the values of each unit.
#[derive(Clone, Debug)]
pub struct Moments {
    units: Vec<UnitSums>,
}

/// The moments of one unit, of its finite values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitMoments {
    /// How many values are finite.
    pub count: usize,
    /// How many are NaN or infinite.
    pub non_finite: usize,
    /// `None` where no value is finite.
    pub mean: Option<f64>,
    /// With n - 1; `None` where fewer than two values are finite.
    pub variance: Option<f64>,
    /// The smallest; `None` where no value is finite. Zero has no sign.
    pub min: Option<f32>,
    /// The largest.
    pub max: Option<f32>,
}

/// Of one unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitSums {
    pub sum: Sum,
    pub squares: Sum,
    pub count: usize,
    pub non_finite: usize,
    /// Infinite before the first value, as is `max`.
    pub min: f32,
    pub max: f32,
    /// How many values are the smallest.
    pub at_min: usize,
}

impl Moments {
    /// Of `units` units, of no image yet.
    pub fn new(units: usize) -> Self {
        Self { units: vec![UnitSums::NONE; units] }
    }
}

impl Measure for Moments {
    type Output = Vec<UnitMoments>;

    fn observe(&mut self, batch: Batch<'_>) -> Result<()> {
        batch.check_units("moments", self.units.len())?;
        batch.each(&mut self.units, |unit, _, value| unit.see(value));
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        same("moments: merge", "units", self.units.len(), other.units.len())?;
        self.units.iter_mut().zip(&other.units).for_each(|(unit, other)| unit.merge(other));
        Ok(())
    }

    fn finish(self) -> Vec<UnitMoments> {
        self.units.iter().map(UnitSums::moments).collect()
    }
}

impl UnitSums {
    pub(super) const NONE: Self = Self {
        sum: Sum::ZERO,
        squares: Sum::ZERO,
        count: 0,
        non_finite: 0,
        min: f32::INFINITY,
        max: f32::NEG_INFINITY,
        at_min: 0,
    };

    pub(super) fn see(&mut self, value: f32) {
        if !value.is_finite() {
            self.non_finite += 1;
            return;
        }
        // A zero of either sign becomes the positive one.
        let value = value + 0.0;
        let wide = f64::from(value);
        self.sum.add(wide);
        self.squares.add(wide * wide);
        self.count += 1;
        self.max = self.max.max(value);
        self.lower(value, 1);
    }

    fn lower(&mut self, min: f32, times: usize) {
        if min < self.min {
            (self.min, self.at_min) = (min, times);
        } else if min <= self.min {
            self.at_min += times;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.sum = self.sum.plus(other.sum);
        self.squares = self.squares.plus(other.squares);
        self.count += other.count;
        self.non_finite += other.non_finite;
        self.max = self.max.max(other.max);
        self.lower(other.min, other.at_min);
    }

    fn moments(&self) -> UnitMoments {
        let n = self.count as f64;
        let any = self.count > 0;
        let spread = || Sum::of(n).times(self.squares).minus(self.sum.times(self.sum)).value().max(0.0);
        UnitMoments {
            count: self.count,
            non_finite: self.non_finite,
            mean: any.then(|| self.sum.value() / n),
            variance: (self.count > 1).then(|| spread() / (n * (n - 1.0))),
            min: any.then_some(self.min),
            max: any.then_some(self.max),
        }
    }
}
