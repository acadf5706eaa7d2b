//! Operations on rows of values that lie one after the other.

use crate::Real;
use crate::level::per_level;

/// Running sums kept side by side: faster than one, more accurate, and in a fixed order.
pub(crate) const LANES: usize = 16;

/// The sum of `f` over pairs of `x` and `y`, which are of one length.
#[inline(always)]
fn sum<F: Real>(x: &[F], y: &[F], f: impl Fn(F, F) -> F) -> F {
    let mut lanes = [F::zero(); LANES];
    let ((xs, x), (ys, y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (xs, ys) in xs.iter().zip(ys) {
        for i in 0..LANES {
            lanes[i] += f(xs[i], ys[i]);
        }
    }
    for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
        *lane += f(*x, *y);
    }
    let mut n = LANES;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            let other = lanes[i + n];
            lanes[i] += other;
        }
    }
    lanes[0]
}

/// The largest of `lanes`, none of which is NaN.
#[inline(always)]
fn largest<F: Real>(mut lanes: [F; LANES]) -> F {
    let mut n = LANES;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            lanes[i] = if lanes[i + n] > lanes[i] { lanes[i + n] } else { lanes[i] };
        }
    }
    lanes[0]
}

/// Mean and reciprocal standard deviation of a row; biased variance.
#[inline(always)]
fn moments<F: Real>(x: &[F], eps: F) -> (F, F) {
    let n = F::of(x.len() as f64);
    let mean = sum(x, x, |x, _| x) / n;
    let variance = sum(x, x, |x, _| (x - mean) * (x - mean)) / n;
    (mean, F::one() / (variance + eps).sqrt())
}

per_level! {
    /// `(x - mean) / sqrt(variance + eps) * gain + bias` of rows as long as `gain` (arXiv 1607.06450).
    pub fn layer_norm[F: Real](x: &[F], gain: &[F], bias: &[F], eps: f64, out: &mut [F]) {
        let d = gain.len();
        for (out, x) in out.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            let (mean, scale) = moments(x, F::of(eps));
            for (((y, x), g), b) in out.iter_mut().zip(x).zip(gain).zip(bias) {
                *y = (*x - mean) * scale * *g + *b;
            }
        }
    }

    /// The gradient by `x`.
    pub fn layer_norm_gradient[F: Real](x: &[F], gain: &[F], eps: f64, dy: &[F], dx: &mut [F]) {
        let (d, n) = (gain.len(), F::of(gain.len() as f64));
        for ((dx, x), dy) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(dy.chunks_exact(d)) {
            let (mean, scale) = moments(x, F::of(eps));
            for ((dx, dy), g) in dx.iter_mut().zip(dy).zip(gain) {
                *dx = *dy * *g;
            }
            let total = sum(dx, dx, |g, _| g) / n;
            let dot = sum(dx, x, |g, x| g * (x - mean)) * scale / n;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = scale * (*dx - total - (*x - mean) * scale * dot);
            }
        }
    }

    /// Adds the gradients by gain and bias to what is there.
    pub fn layer_norm_sums[F: Real](x: &[F], eps: f64, dy: &[F], gain: &mut [F], bias: &mut [F]) {
        let d = gain.len();
        for (x, dy) in x.chunks_exact(d).zip(dy.chunks_exact(d)) {
            let (mean, scale) = moments(x, F::of(eps));
            for (((g, b), x), dy) in gain.iter_mut().zip(bias.iter_mut()).zip(x).zip(dy) {
                *g += (*x - mean) * scale * *dy;
                *b += *dy;
            }
        }
    }

    /// Softmax of every row of `width` values, in place.
    pub fn softmax[F: Real](x: &mut [F], width: usize) {
        for row in x.chunks_mut(width) {
            let mut most = [F::neg_infinity(); LANES];
            let (chunks, rest) = row.as_chunks::<LANES>();
            for chunk in chunks {
                for i in 0..LANES {
                    most[i] = if chunk[i] > most[i] { chunk[i] } else { most[i] };
                }
            }
            // As wide as the others, so that it becomes vector code, too.
            let mut last = [F::neg_infinity(); LANES];
            last[..rest.len()].copy_from_slice(rest);
            for i in 0..LANES {
                most[i] = if last[i] > most[i] { last[i] } else { most[i] };
            }
            let most = largest(most);
            let (chunks, rest) = row.as_chunks_mut::<LANES>();
            for chunk in chunks {
                chunk.iter_mut().for_each(|x| *x -= most);
                // SAFETY: `SET` is of the level that this is compiled for, which was asked of the processor.
                unsafe { F::powers_of_e::<SET>(chunk) };
            }
            if !rest.is_empty() {
                last.iter_mut().for_each(|x| *x -= most);
                // SAFETY: as above.
                unsafe { F::powers_of_e::<SET>(&mut last) };
                rest.copy_from_slice(&last[..rest.len()]);
            }
            let scale = F::one() / sum(row, row, |x, _| x);
            row.iter_mut().for_each(|x| *x *= scale);
        }
    }

    /// From the gradient by a softmax's output `y` to that by its input, in place.
    pub fn softmax_gradient[F: Real](y: &[F], dx: &mut [F], width: usize) {
        for (dx, y) in dx.chunks_exact_mut(width).zip(y.chunks_exact(width)) {
            let along = sum(dx, y, |g, y| g * y);
            for (g, y) in dx.iter_mut().zip(y) {
                *g = (*g - along) * *y;
            }
        }
    }

    /// `x *= factor`.
    pub fn scale[F: Real](x: &mut [F], factor: F) {
        x.iter_mut().for_each(|x| *x *= factor);
    }

    /// The sum of `x y`.
    pub fn inner[F: Real](x: &[F], y: &[F]) -> F {
        sum(x, y, |x, y| x * y)
    }

    /// `sum += x`.
    pub fn add_into[F: Real](sum: &mut [F], x: &[F]) {
        for (s, x) in sum.iter_mut().zip(x) {
            *s += *x;
        }
    }
}

per_level! {
    /// Adds every row of `values` to `sums`, in f64 and row after row, and leaves the largest value of every column in `most`,
    /// where it is not empty. Rows are as long as `sums`; one begins every `stride` values.
    ///
    /// No sum of finite values overflows, so a column holds a value that is not finite where its sum is not finite.
    pub fn sums_and_largest(values: &[f32], stride: usize, sums: &mut [f64], most: &mut [f32]) {
        let width = sums.len();
        let rows = if values.len() < width { 0 } else { (values.len() - width) / stride + 1 };
        let row = |k: usize| &values[k * stride..][..width];
        // Four rows at a time, so that sums are loaded and stored once for four; each is still added by itself.
        let fours = rows / 4 * 4;
        for k in (0..fours).step_by(4) {
            let (a, b, c, d) = (row(k), row(k + 1), row(k + 2), row(k + 3));
            for j in 0..width {
                sums[j] = sums[j] + a[j] as f64 + b[j] as f64 + c[j] as f64 + d[j] as f64;
            }
            if most.len() == width {
                for j in 0..width {
                    let ab = if b[j] > a[j] { b[j] } else { a[j] };
                    let cd = if d[j] > c[j] { d[j] } else { c[j] };
                    let four = if cd > ab { cd } else { ab };
                    most[j] = if four > most[j] { four } else { most[j] };
                }
            }
        }
        for k in fours..rows {
            for (sum, x) in sums.iter_mut().zip(row(k)) {
                *sum += *x as f64;
            }
            for (most, x) in most.iter_mut().zip(row(k)) {
                *most = if *x > *most { *x } else { *most };
            }
        }
    }

    /// Adds every row of `values`, times its weight, to `sums`, in f64 and row after row. Rows are as long as `sums`; one begins
    /// every `stride` values.
    pub fn weighted_sums(values: &[f32], stride: usize, weights: &[f64], sums: &mut [f64]) {
        let width = sums.len();
        for (k, weight) in weights.iter().enumerate() {
            for (sum, x) in sums.iter_mut().zip(&values[k * stride..][..width]) {
                *sum += *weight * *x as f64;
            }
        }
    }

    /// Whether no value is infinite or not a number.
    pub fn are_finite(values: &[f32]) -> bool {
        let largest = values.iter().fold(0, |largest: u32, x| largest.max(x.to_bits() & 0x7fff_ffff));
        largest < f32::INFINITY.to_bits()
    }
}
