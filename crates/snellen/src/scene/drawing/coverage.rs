//! How much of every pixel an object covers: exact areas, no sampling.
//!
//! Every side of a polygon adds, to the pixels of the rows that it crosses, the change that it brings to the area to its
//! right; the running sum along a row is then the coverage itself. (The signed-area accumulation of Levien's font-rs.)

use super::canvas::Canvas;
use super::look::Figure;
use super::outline::{Point, offset, polygon};

/// Shares smaller than this are rounding, not area.
const DUST: f64 = 1e-9;

/// Share of each pixel that is covered, for the pixels of a rectangle; 0 outside of it.
pub(super) struct Coverage {
    left: usize,
    top: usize,
    width: usize,
    values: Vec<f64>,
}

impl Coverage {
    /// Row number, first column, and the shares from there on, 0 to 1.
    pub fn rows(&self) -> impl Iterator<Item = (usize, usize, &[f64])> {
        let rows = self.values.chunks_exact(self.width.max(1)).enumerate();
        rows.map(|(row, values)| (self.top + row, self.left, values))
    }
}

/// What `figure` covers of `canvas`: its area and, blended over it, its outline.
pub(super) fn coverage(figure: &Figure, canvas: &Canvas) -> Coverage {
    let fill = polygon(figure, canvas);
    if canvas.outline == 0.0 {
        return Sums::over(&fill, canvas).plus(&fill, 1.0).finish();
    }
    let half = canvas.outline / 2.0;
    let (outer, inner) = (offset(&fill, half), offset(&fill, -half));
    let mut area = Sums::over(&outer, canvas).plus(&fill, 1.0).finish();
    let line = Sums::over(&outer, canvas).plus(&outer, 1.0).plus(&inner, -1.0).finish();
    area.values.iter_mut().zip(&line.values).for_each(|(area, line)| *area += (1.0 - *area) * line);
    area
}

/// Changes of coverage from pixel to pixel along the rows of a rectangle.
struct Sums {
    left: i64,
    top: i64,
    width: usize,
    height: usize,
    changes: Vec<f64>,
}

impl Sums {
    /// None yet, in the bounds of `polygon` above, below and to the right cut to `canvas`.
    fn over(polygon: &[Point], canvas: &Canvas) -> Self {
        let least = |axis: usize| polygon.iter().map(|p| p[axis]).fold(f64::INFINITY, f64::min).floor() as i64;
        let most = |axis: usize| polygon.iter().map(|p| p[axis]).fold(f64::NEG_INFINITY, f64::max).ceil() as i64;
        let (left, top) = (least(0), least(1).max(0));
        let width = (most(0).min(canvas.width.into()) - left).max(0) as usize;
        let height = (most(1).min(canvas.height.into()) - top).max(0) as usize;
        Self { left, top, width, height, changes: vec![0.0; width * height] }
    }

    /// With the area of `polygon` added `weight` times.
    fn plus(mut self, polygon: &[Point], weight: f64) -> Self {
        let next = polygon.iter().cycle().skip(1);
        polygon.iter().zip(next).for_each(|(&from, &to)| self.side(from, to, weight));
        self
    }

    fn side(&mut self, from: Point, to: Point, weight: f64) {
        let ((upper, lower), weight) = if from[1] < to[1] { ((from, to), -weight) } else { ((to, from), weight) };
        let slope = (lower[0] - upper[0]) / (lower[1] - upper[1]);
        let at = |y: f64| upper[0] + (y - upper[1]) * slope;
        let first = (upper[1].floor() as i64).max(self.top);
        let end = (lower[1].ceil() as i64).min(self.top + self.height as i64);
        for row in first..end {
            let (y0, y1) = (upper[1].max(row as f64), lower[1].min(row as f64 + 1.0));
            if y1 > y0 {
                self.piece((row - self.top) as usize, at(y0), at(y1), weight * (y1 - y0));
            }
        }
    }

    /// A piece of a side within one row, `height` rows high (negative on the right of the area).
    fn piece(&mut self, row: usize, x0: f64, x1: f64, height: f64) {
        let (near, far) = ((x0.min(x1)) - self.left as f64, x0.max(x1) - self.left as f64);
        // Area between the piece and x, per row of height, to the right of the piece.
        let right_of = |x: f64| match x {
            x if x <= near => 0.0,
            x if x >= far => x - f64::midpoint(near, far),
            x => (x - near).powi(2) / (2.0 * (far - near)),
        };
        let row = &mut self.changes[row * self.width..][..self.width];
        let start = near.floor().max(0.0) as usize;
        let end = (far.ceil() as usize + 1).min(self.width);
        let mut before = 0.0;
        for (column, change) in row.iter_mut().enumerate().take(end).skip(start) {
            let share = right_of(column as f64 + 1.0) - right_of(column as f64);
            *change += height * (share - before);
            before = share;
        }
    }

    fn finish(self) -> Coverage {
        let hidden = (-self.left).clamp(0, self.width as i64) as usize;
        let mut values = Vec::with_capacity((self.width - hidden) * self.height);
        for row in self.changes.chunks_exact(self.width.max(1)) {
            let running = row.iter().scan(0.0, |sum, change| {
                *sum += change;
                Some(if *sum < DUST { 0.0 } else { f64::min(*sum, 1.0) })
            });
            values.extend(running.skip(hidden));
        }
        Coverage { left: self.left.max(0) as usize, top: self.top as usize, width: self.width - hidden, values }
    }
}
