//! Minima of smooth convex functions, many at a time, so that one product of matrices serves all of them.
//!
//! L-BFGS (Liu & Nocedal 1989, Mathematical Programming 45:503-528), its first Hessian the diagonal that the function states. Steps
//! are halved until the value falls as Armijo asks; of convex functions that is enough for every update to be positive.
//! The end is a gradient below the tolerance, which is reported, not assumed.

use std::collections::VecDeque;

/// Updates that are remembered.
const MEMORY: usize = 10;
/// Steps tried along one direction.
const TRIES: usize = 40;

/// A function at a point.
pub(super) struct Evaluation {
    pub value: f64,
    pub gradient: Vec<f64>,
    /// A positive diagonal near the Hessian.
    pub curvature: Vec<f64>,
}

/// Where a search ended.
#[derive(Clone)]
pub(super) struct Minimum {
    pub at: Vec<f64>,
    pub value: f64,
    /// Euclidean length of the gradient there.
    pub gradient: f64,
}

struct Update {
    step: Vec<f64>,
    change: Vec<f64>,
    inverse: f64,
}

struct Search {
    at: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    direction: Vec<f64>,
    slope: f64,
    length: f64,
    tries: usize,
    updates: VecDeque<Update>,
    done: bool,
}

/// Minimises one function from each of `starts`, with at most `passes` calls of `evaluate`, which gets the numbers of the functions
/// still searched and a point for each. A search ends where its gradient is no longer than `tolerance`.
pub(super) fn minimise(
    starts: Vec<Vec<f64>>,
    tolerance: f64,
    passes: usize,
    mut evaluate: impl FnMut(&[usize], &[Vec<f64>]) -> Vec<Evaluation>,
) -> Vec<Minimum> {
    let mut searches: Vec<Search> = starts.into_iter().map(Search::new).collect();
    for _ in 0..passes {
        let active: Vec<usize> = (0..searches.len()).filter(|k| !searches[*k].done).collect();
        if active.is_empty() {
            break;
        }
        let points: Vec<Vec<f64>> = active.iter().map(|k| searches[*k].trial()).collect();
        let found = evaluate(&active, &points);
        for ((k, point), found) in active.into_iter().zip(points).zip(found) {
            searches[k].take(point, found, tolerance);
        }
    }
    let end = |search: Search| Minimum {
        gradient: dot(&search.gradient, &search.gradient).sqrt(),
        value: search.value,
        at: search.at,
    };
    searches.into_iter().map(end).collect()
}

impl Search {
    fn new(at: Vec<f64>) -> Self {
        let size = at.len();
        Self {
            at,
            value: f64::INFINITY,
            gradient: vec![f64::INFINITY; size],
            direction: vec![0.0; size],
            slope: 0.0,
            length: 1.0,
            tries: 0,
            updates: VecDeque::new(),
            done: false,
        }
    }

    fn trial(&self) -> Vec<f64> {
        self.at.iter().zip(&self.direction).map(|(at, along)| at + self.length * along).collect()
    }

    fn take(&mut self, point: Vec<f64>, found: Evaluation, tolerance: f64) {
        let first = self.value.is_infinite();
        // Near the minimum the value is known no better than its rounding.
        let slack = 4.0 * f64::EPSILON * self.value.abs();
        let bound = self.value + 1e-4 * self.length * self.slope + slack;
        // What is not a number is no fall either.
        let falls = found.value <= bound;
        if !first && !falls {
            let fall = found.value - self.value - self.length * self.slope;
            let best = -self.slope * self.length / (2.0 * fall);
            self.length *= if best.is_finite() { best.clamp(0.1, 0.5) } else { 0.1 };
            self.tries += 1;
            self.done = self.tries > TRIES;
            return;
        }
        if !first {
            let step: Vec<f64> = point.iter().zip(&self.at).map(|(new, old)| new - old).collect();
            let change: Vec<f64> = found.gradient.iter().zip(&self.gradient).map(|(new, old)| new - old).collect();
            let product = dot(&step, &change);
            if product > 1e-14 * (dot(&step, &step) * dot(&change, &change)).sqrt() {
                if self.updates.len() == MEMORY {
                    self.updates.pop_front();
                }
                self.updates.push_back(Update { step, change, inverse: 1.0 / product });
            }
        }
        (self.at, self.value, self.gradient) = (point, found.value, found.gradient);
        self.done = dot(&self.gradient, &self.gradient).sqrt() <= tolerance;
        (self.length, self.tries) = (1.0, 0);
        if !self.done {
            self.aim(&found.curvature);
        }
    }

    /// The direction from here.
    fn aim(&mut self, curvature: &[f64]) {
        let mut along = self.gradient.clone();
        let mut taken = Vec::with_capacity(self.updates.len());
        for update in self.updates.iter().rev() {
            let share = update.inverse * dot(&update.step, &along);
            add(&mut along, -share, &update.change);
            taken.push(share);
        }
        let scale = self.updates.back().map_or(1.0, |update| {
            let length: f64 = update.change.iter().zip(curvature).map(|(change, by)| change * change / by).sum();
            1.0 / (update.inverse * length)
        });
        along.iter_mut().zip(curvature).for_each(|(along, by)| *along *= scale / by);
        for (update, taken) in self.updates.iter().zip(taken.into_iter().rev()) {
            let share = update.inverse * dot(&update.change, &along);
            add(&mut along, taken - share, &update.step);
        }
        along.iter_mut().for_each(|along| *along = -*along);
        self.slope = dot(&along, &self.gradient);
        self.direction = along;
        let descends = self.slope < 0.0;
        if !descends {
            self.updates.clear();
            self.direction = self.gradient.iter().zip(curvature).map(|(slope, by)| -slope / by).collect();
            self.slope = dot(&self.direction, &self.gradient);
        }
    }
}

/// Inner product, in eight sums.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (mut left, mut right) = (a.chunks_exact(8), b.chunks_exact(8));
    for (a, b) in left.by_ref().zip(right.by_ref()) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

fn add(to: &mut [f64], share: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += share * from);
}
