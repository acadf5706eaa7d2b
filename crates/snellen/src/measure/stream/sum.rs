//! Sums whose rounding hardly shows: two doubles, of which the second holds what the first rounds away.
//!
//! Double-double arithmetic (Dekker 1971, Numerische Mathematik 18:224-242; Knuth, TAOCP 2, 4.2.2 theorem B): an addition is
//! off by about 2^-104 of its result. What f32 values and their squares add up to then depends on the order of additions by
//! n 2^-104 of the sum of magnitudes, which is lost when the sum is rounded to one double.

/// high + low, |low| at most half a unit in the last place of high.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    pub(super) const ZERO: Self = Self { high: 0.0, low: 0.0 };

    pub(super) fn of(x: f64) -> Self {
        Self { high: x, low: 0.0 }
    }

    pub(super) fn add(&mut self, x: f64) {
        let high = self.high + x;
        let from_x = high - self.high;
        let lost = (self.high - (high - from_x)) + (x - from_x);
        *self = Self::normal(high, lost + self.low);
    }

    pub(super) fn plus(mut self, other: Self) -> Self {
        self.add(other.high);
        self.add(other.low);
        self
    }

    pub(super) fn minus(self, other: Self) -> Self {
        self.plus(Self { high: -other.high, low: -other.low })
    }

    pub(super) fn times(self, other: Self) -> Self {
        let high = self.high * other.high;
        let lost = self.high.mul_add(other.high, -high);
        Self::normal(high, lost + (self.high * other.low + self.low * other.high))
    }

    pub(super) fn value(self) -> f64 {
        self.high + self.low
    }

    fn normal(high: f64, low: f64) -> Self {
        let sum = high + low;
        Self { high: sum, low: low - (sum - high) }
    }
}
