//! The outline of an object on a canvas: a convex polygon in pixels, corners in order.

use super::canvas::Canvas;
use super::look::{Figure, Outline};
use std::f64::consts::TAU;

/// A corner: x to the right, y downwards, in pixels from the upper left corner of the picture.
pub(super) type Point = [f64; 2];

/// Corners of the object, clockwise as seen.
pub(super) fn polygon(figure: &Figure, canvas: &Canvas) -> Vec<Point> {
    let [width, height] = canvas.frame;
    let half = figure.size / 2.0;
    let (x, y) = (figure.x, figure.y);
    let on_circle = |corners: u32, first: f64| {
        let angle = move |corner| TAU * (f64::from(corner) / f64::from(corners) + first);
        (0..corners).map(|corner| angle(corner).sin_cos()).map(|(sin, cos)| [x + half * cos, y + half * sin]).collect()
    };
    let corners: Vec<Point> = match figure.outline {
        Outline::Circle => on_circle(arcs(half * width.max(height)), 0.0),
        Outline::Square => {
            vec![[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]]
        }
        Outline::Triangle => vec![[x, y - half], [x + half, y + half], [x - half, y + half]],
        Outline::Pentagon => on_circle(5, 0.25),
        Outline::Hexagon => on_circle(6, 0.0),
    };
    let snap = canvas.snap_squares && figure.outline == Outline::Square;
    let pixels = corners.iter().map(|[x, y]| [x * width, y * height]);
    if snap { pixels.map(|corner| corner.map(nearest)).collect() } else { pixels.collect() }
}

/// The nearest pixel boundary, halves up, whatever the last bits of a product say.
fn nearest(length: f64) -> f64 {
    (length + 0.5 + 1e-9).floor()
}

/// Sides of a polygon that leaves a circle of `radius` pixels by less than 1/200 pixel.
fn arcs(radius: f64) -> u32 {
    let sides = TAU / (2.0 * (1.0 - 0.005 / radius.max(0.1)).acos());
    (sides.ceil() as u32).next_multiple_of(4).clamp(16, 4096)
}

/// The convex `polygon` with every side moved outwards by `distance` (inwards if negative), corners mitred.
pub(super) fn offset(polygon: &[Point], distance: f64) -> Vec<Point> {
    let count = polygon.len();
    let normal = |k: usize| {
        let ([x0, y0], [x1, y1]) = (polygon[k % count], polygon[(k + 1) % count]);
        let length = (x1 - x0).hypot(y1 - y0).max(f64::MIN_POSITIVE);
        [(y1 - y0) / length, (x0 - x1) / length]
    };
    let moved = |k: usize| {
        let ([ax, ay], [bx, by]) = (normal(k + count - 1), normal(k));
        let reach = distance / (1.0 + ax * bx + ay * by);
        [polygon[k][0] + reach * (ax + bx), polygon[k][1] + reach * (ay + by)]
    };
    (0..count).map(moved).collect()
}
