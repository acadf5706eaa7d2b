//! A scatter plot in the pixels of its drawing. The page draws it itself, so that every point says which pair it is.

use super::feature::{FEATURES, pairs};
use super::link::{Link, OfPairs};
use serde::Serialize;

/// Width and height of the drawing.
const SIZE: [f64; 2] = [460.0, 320.0];
/// Space for numbers and names of the axes: left, below.
const AXES: [f64; 2] = [56.0, 46.0];
/// Space on the other sides.
const RIM: f64 = 18.0;

/// Points with their line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Plot {
    width: f64,
    height: f64,
    x_name: &'static str,
    points: Vec<Point>,
    /// Ends of the least-squares line: x, y, x, y.
    line: Option<[f64; 4]>,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    /// Left, right, top and bottom of the frame.
    frame: [f64; 4],
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Point {
    x: f64,
    y: f64,
    /// `shape`, `color`, or `mixed`: the factors of its two features.
    kind: &'static str,
    says: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Tick {
    at: f64,
    says: String,
}

/// One axis: from numbers to pixels.
struct Axis {
    from: f64,
    step: f64,
    steps: usize,
    pixels: [f64; 2],
}

impl Axis {
    /// Whole steps of 1, 2 or 5 times a power of ten around `values`, about `about` of them.
    fn around(values: &[f64], about: f64, pixels: [f64; 2]) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let span = if high > low { high - low } else { 1.0 };
        let power = 10_f64.powf((span / about).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| span / step <= about);
        let step = step.unwrap_or(span);
        let from = (low / step).floor() * step;
        let steps = (((high - from) / step).ceil() as usize).max(1);
        Self { from, step, steps, pixels }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value - self.from) / (self.step * self.steps as f64);
        self.pixels[0] + share * (self.pixels[1] - self.pixels[0])
    }

    fn ticks(&self) -> Vec<Tick> {
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        let tick = |k: usize| {
            let value = self.from + k as f64 * self.step;
            Tick { at: self.at(value), says: format!("{value:.decimals$}") }
        };
        (0..=self.steps).map(tick).collect()
    }
}

/// The pairs without positions: `x`, called `x_name`, against the sum of ratios `y`.
pub(super) fn scatter(x_name: &'static str, x: &OfPairs, y: &OfPairs, link: &Link) -> Plot {
    let linked = |[a, b]: &[usize; 2]| FEATURES[*a].factor != "position" && FEATURES[*b].factor != "position";
    let all = pairs().zip(x.iter().zip(y)).filter(|(pair, _)| linked(pair));
    let all: Vec<([usize; 2], [f64; 2])> = all.map(|(pair, (x, y))| (pair, [*x, *y])).collect();
    let of = |axis: usize| all.iter().map(|(_, point)| point[axis]).collect::<Vec<f64>>();
    let frame = [AXES[0], SIZE[0] - RIM, RIM, SIZE[1] - AXES[1]];
    let across = Axis::around(&of(0), 6.0, [frame[0], frame[1]]);
    let up = Axis::around(&of(1), 5.0, [frame[3], frame[2]]);
    let point = |([a, b], [x, y]): &([usize; 2], [f64; 2])| {
        let (a, b) = (FEATURES[*a], FEATURES[*b]);
        let kind = if a.factor == b.factor { a.factor } else { "mixed" };
        Point { x: across.at(*x), y: up.at(*y), kind, says: format!("{}, {}: {x:.4}, {y:.2}", a.name, b.name) }
    };
    let line = link.slope.zip(link.intercept).map(|(slope, intercept)| {
        let ends = [f64::min, f64::max].map(|choose| of(0).into_iter().reduce(choose).unwrap_or(0.0));
        let [(x0, y0), (x1, y1)] = ends.map(|x| (across.at(x), up.at(slope * x + intercept)));
        [x0, y0, x1, y1]
    });
    Plot {
        width: SIZE[0],
        height: SIZE[1],
        x_name,
        points: all.iter().map(point).collect(),
        line,
        x_ticks: across.ticks(),
        y_ticks: up.ticks(),
        frame,
    }
}
