//! The two scalar types that everything runs in.

use crate::activation::{self, Activation};
use crate::level::set;
use crate::rows;
use crate::{Finish, Heads, Job, Level, Packed, Precision, Threads, View};
use rayon::prelude::*;
use std::fmt::Debug;
use std::iter::Sum;

/// `f32` for models, `f64` for checking them.
pub trait Real:
    num_traits::Float + num_traits::NumAssign + Sum + Default + Debug + Send + Sync + Kernels + 'static
{
    /// From a constant of a formula.
    fn of(x: f64) -> Self;
    /// From a stored value, exactly.
    fn narrow(x: f32) -> Self;
    /// To the precision that statistics are made in.
    fn wide(self) -> f64;
    /// The error function; for `f32` to 5e-7 of its value. `SET`: which instructions there are.
    fn erf<const SET: u8>(self) -> Self;
    /// `e^x`; for `f32` to 2e-7 of its value between -87 and 88, flushed to 0 below and held at `e^88` above.
    fn power_of_e<const SET: u8>(self) -> Self;
    /// [`Real::power_of_e`] of 16 values: the same function of each wherever it stands, if not to the last bit that of a single one.
    ///
    /// # Safety
    /// The processor has the instructions that `SET` says.
    unsafe fn powers_of_e<const SET: u8>(x: &mut [Self; 16]) {
        x.iter_mut().for_each(|x| *x = x.power_of_e::<SET>());
    }
    /// The values as `f32`, in place where they are `f32` already.
    fn as_f32(values: &mut [Self]) -> Option<&mut [f32]>;
}

/// What is compiled for every level, by scalar type.
pub trait Kernels: Sized {
    /// The right operand of a product, packed.
    type Packed: Clone + Debug + Send + Sync;
    /// Packs `b`.
    fn pack(level: Level, precision: Precision, b: View<'_, Self>) -> Self::Packed;
    /// What `b` is rounded to.
    fn precision(b: &Self::Packed) -> Precision;
    /// The values of `b` row after row, as they are multiplied.
    fn unpack(b: &Self::Packed) -> Vec<Self>;
    /// `out = finish(a b)`, `out` with rows `stride` apart; on all threads.
    fn product(out: &mut [Self], stride: usize, a: View<'_, Self>, b: &Self::Packed, finish: Finish<'_, Self>) {
        Self::products(&mut [Job { out, stride, a, b, finish }]);
    }
    /// Several such products at once.
    fn products(jobs: &mut [Job<'_, Self, Self::Packed>]);
    /// `out = a b` without packing beforehand; `out` comes with how far its rows are apart.
    fn product_once(
        level: Level,
        precision: Precision,
        threads: Threads,
        out: (&mut [Self], usize),
        a: View<'_, Self>,
        b: View<'_, Self>,
    );
    /// [`attention`](crate::attention()) of `q`, `k` and `v`.
    fn attention<'a>(
        level: Level,
        precision: Precision,
        heads: Heads,
        qkv: (&'a [Self], &'a [Self], &'a [Self]),
        out: &mut [Self],
    );
    /// `y = f(x)`.
    fn activate(level: Level, kind: Activation, x: &[Self], y: &mut [Self]);
    /// `dy *= f'(x)`.
    fn activation_gradient(level: Level, kind: Activation, x: &[Self], dy: &mut [Self]);
    /// See [`rows`].
    fn layer_norm(level: Level, x: &[Self], gain: &[Self], bias: &[Self], eps: f64, out: &mut [Self]);
    /// See [`rows`].
    fn layer_norm_gradient(level: Level, x: &[Self], gain: &[Self], eps: f64, dy: &[Self], dx: &mut [Self]);
    /// See [`rows`].
    fn layer_norm_sums(level: Level, x: &[Self], eps: f64, dy: &[Self], gain: &mut [Self], bias: &mut [Self]);
    /// See [`rows`].
    fn softmax(level: Level, x: &mut [Self], width: usize);
    /// See [`rows`].
    fn softmax_gradient(level: Level, y: &[Self], dx: &mut [Self], width: usize);
    /// `sum += x`.
    fn add_into(level: Level, sum: &mut [Self], x: &[Self]);
    /// `x *= factor`.
    fn scale(level: Level, x: &mut [Self], factor: Self);
    /// The sum of `x y`.
    fn inner(level: Level, x: &[Self], y: &[Self]) -> Self;
}

macro_rules! kernels {
    ($f:ty) => {
        fn activate(level: Level, kind: Activation, x: &[$f], y: &mut [$f]) {
            activation::activate(level, kind, x, y);
        }
        fn activation_gradient(level: Level, kind: Activation, x: &[$f], dy: &mut [$f]) {
            activation::activation_gradient(level, kind, x, dy);
        }
        fn layer_norm(level: Level, x: &[$f], gain: &[$f], bias: &[$f], eps: f64, out: &mut [$f]) {
            rows::layer_norm(level, x, gain, bias, eps, out);
        }
        fn layer_norm_gradient(level: Level, x: &[$f], gain: &[$f], eps: f64, dy: &[$f], dx: &mut [$f]) {
            rows::layer_norm_gradient(level, x, gain, eps, dy, dx);
        }
        fn layer_norm_sums(level: Level, x: &[$f], eps: f64, dy: &[$f], gain: &mut [$f], bias: &mut [$f]) {
            rows::layer_norm_sums(level, x, eps, dy, gain, bias);
        }
        fn softmax(level: Level, x: &mut [$f], width: usize) {
            rows::softmax(level, x, width);
        }
        fn softmax_gradient(level: Level, y: &[$f], dx: &mut [$f], width: usize) {
            rows::softmax_gradient(level, y, dx, width);
        }
        fn add_into(level: Level, sum: &mut [$f], x: &[$f]) {
            rows::add_into(level, sum, x);
        }
        fn scale(level: Level, x: &mut [$f], factor: $f) {
            rows::scale(level, x, factor);
        }
        fn inner(level: Level, x: &[$f], y: &[$f]) -> $f {
            rows::inner(level, x, y)
        }
    };
}

impl Kernels for f32 {
    type Packed = Packed;
    kernels!(f32);

    fn pack(level: Level, precision: Precision, b: View<'_, f32>) -> Packed {
        Packed::new(level, precision, b)
    }
    fn precision(b: &Packed) -> Precision {
        b.precision()
    }
    fn unpack(b: &Packed) -> Vec<f32> {
        let mut values = vec![0.0; b.rows() * b.cols()];
        let rows = values.par_chunks_mut(b.cols().max(1)).enumerate();
        rows.for_each(|(i, row)| row.iter_mut().enumerate().for_each(|(j, x)| *x = b.at(i, j)));
        values
    }
    fn attention<'a>(
        level: Level,
        precision: Precision,
        heads: Heads,
        qkv: (&'a [f32], &'a [f32], &'a [f32]),
        out: &mut [f32],
    ) {
        crate::attention(level, precision, heads, qkv, out);
    }
    fn products(jobs: &mut [Job<'_>]) {
        crate::products(jobs);
    }
    fn product_once(
        level: Level,
        precision: Precision,
        threads: Threads,
        out: (&mut [f32], usize),
        a: View<'_, f32>,
        b: View<'_, f32>,
    ) {
        crate::product::product_once(level, precision, threads, out, a, b);
    }
}

impl Kernels for f64 {
    type Packed = Dense;
    kernels!(f64);

    fn pack(_: Level, _: Precision, b: View<'_, f64>) -> Dense {
        let values = (0..b.rows()).flat_map(|i| (0..b.cols()).map(move |j| b.at(i, j))).collect();
        Dense { rows: b.rows(), cols: b.cols(), values }
    }
    fn precision(_: &Dense) -> Precision {
        Precision::F32
    }
    fn unpack(b: &Dense) -> Vec<f64> {
        b.values.clone()
    }
    fn attention<'a>(
        level: Level,
        precision: Precision,
        h: Heads,
        (q, k, v): (&'a [f64], &'a [f64], &'a [f64]),
        out: &mut [f64],
    ) {
        let wide = h.heads * h.units;
        let factor = 1.0 / (h.units as f64).sqrt();
        let mut pattern = vec![0.0; h.queries * h.keys];
        for (s, head) in (0..h.sequences).flat_map(|s| (0..h.heads).map(move |head| (s, head))) {
            let first = |tokens: usize| s * tokens * wide + head * h.units;
            let of = |x: &'a [f64], tokens: usize| View::new(&x[first(tokens)..], tokens, h.units, wide);
            Self::product_once(
                level,
                precision,
                Threads::This,
                (&mut pattern, h.keys),
                of(q, h.queries),
                of(k, h.keys).transposed(),
            );
            Self::scale(level, &mut pattern, factor);
            for (i, row) in pattern.chunks_exact_mut(h.keys).enumerate().filter(|_| h.causal) {
                row[(i + 1).min(h.keys)..].fill(f64::NEG_INFINITY);
            }
            Self::softmax(level, &mut pattern, h.keys);
            let weights = View::new(&pattern, h.queries, h.keys, h.keys);
            Self::product_once(
                level,
                precision,
                Threads::This,
                (&mut out[first(h.queries)..], wide),
                weights,
                of(v, h.keys),
            );
        }
    }
    fn products(jobs: &mut [Job<'_, f64, Dense>]) {
        for Job { out, stride, a, b, finish } in jobs {
            let (stride, b) = (*stride, View::new(&b.values, b.rows, b.cols, b.cols));
            Self::product_once(Level::Portable, Precision::F32, Threads::This, (out, stride), *a, b);
            for i in 0..a.rows() {
                for (j, y) in out[i * stride..][..b.cols()].iter_mut().enumerate() {
                    *y += finish.bias.map_or(0.0, |bias| bias[j]);
                    if let Some(kind) = finish.activation {
                        activation::activate_row::<f64, { set::PLAIN }>(kind, std::slice::from_mut(y));
                    }
                    *y *= finish.gain.map_or(1.0, |gain| gain[j]);
                    *y += finish.add.map_or(0.0, |add| add[i * stride + j]);
                }
            }
        }
    }
    fn product_once(
        _: Level,
        _: Precision,
        _: Threads,
        (out, stride): (&mut [f64], usize),
        a: View<'_, f64>,
        b: View<'_, f64>,
    ) {
        assert_eq!(a.cols(), b.rows(), "inner extents");
        for i in 0..a.rows() {
            for (j, y) in out[i * stride..][..b.cols()].iter_mut().enumerate() {
                *y = (0..a.cols()).map(|k| a.at(i, k) * b.at(k, j)).sum();
            }
        }
    }
}

/// A matrix of f64, row after row.
#[derive(Clone, Debug)]
pub struct Dense {
    rows: usize,
    cols: usize,
    values: Vec<f64>,
}

/// Numerator and denominator of `erf(x) / x` in `x^2`, for `|x| <= 4`: to 7e-8 of its value before rounding.
#[allow(clippy::approx_constant)] // fitted
const ERF: ([f32; 7], [f32; 5]) = (
    [1.128_379_1, 0.207_112_6, 0.051_523_183, 0.003_990_013_7, 1.472_716_4e-4, -1.942_234e-6, 1.911_083_8e-8],
    [1.0, 0.516_88, 0.117_965_49, 0.014_956_965, 0.001_020_972_1],
);

/// `a b + c`.
#[inline(always)]
fn sum_of_product<const SET: u8>(a: f32, b: f32, c: f32) -> f32 {
    if SET >= set::FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `ln 2`: a part of few bits, whose multiples are exact, and the rest.
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
/// Coefficients of `e^r` for `|r| <= ln 2 / 2`, of smallest relative error (3e-9 before rounding) among those that begin with 1 and 1.
const EXP: [f32; 7] = [1.0, 1.0, 0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_745, 0.001_381_454];

/// The steps of [`Real::power_of_e`], with the instructions that AVX-512 has for rounding and for powers of two.
///
/// # Safety
/// The processor has AVX-512 F.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn powers_of_e_avx512(x: &mut [f32; 16]) {
    use std::arch::x86_64::{
        _CMP_NLT_UQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm512_cmp_ps_mask, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_maskz_scalef_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_roundscale_ps, _mm512_set1_ps,
        _mm512_storeu_ps,
    };
    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    // SAFETY: the caller's; 16 values are a vector.
    unsafe {
        // Of these two instructions, the one keeps a second operand that is NaN, and the other holds of it.
        let v = _mm512_min_ps(_mm512_set1_ps(88.0), _mm512_loadu_ps(x.as_ptr()));
        let there = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(v, _mm512_set1_ps(-87.0));
        let n = _mm512_roundscale_ps::<NEAREST>(_mm512_mul_ps(v, _mm512_set1_ps(std::f32::consts::LOG2_E)));
        let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-LN_2.0), v);
        let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-LN_2.1), r);
        let mut p = _mm512_set1_ps(EXP[6]);
        for i in (0..6).rev() {
            p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP[i]));
        }
        _mm512_storeu_ps(x.as_mut_ptr(), _mm512_maskz_scalef_ps(there, p, n));
    }
}

impl Real for f32 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn narrow(x: f32) -> Self {
        x
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self as f64
    }
    #[inline(always)]
    fn erf<const SET: u8>(self) -> Self {
        // Without a branch, so that loops over it become vector code; comparisons that leave a NaN as it is.
        let x = if self > 4.0 { 4.0 } else { self };
        let x = if x < -4.0 { -4.0 } else { x };
        let square = x * x;
        let (mut p, mut q) = (ERF.0[6], ERF.1[4]);
        for c in [ERF.0[5], ERF.0[4], ERF.0[3], ERF.0[2], ERF.0[1], ERF.0[0]] {
            p = sum_of_product::<SET>(p, square, c);
        }
        for c in [ERF.1[3], ERF.1[2], ERF.1[1], ERF.1[0]] {
            q = sum_of_product::<SET>(q, square, c);
        }
        let y = x * p / q;
        let y = if y > 1.0 { 1.0 } else { y };
        if y < -1.0 { -1.0 } else { y }
    }
    #[inline(always)]
    fn power_of_e<const SET: u8>(self) -> Self {
        // x = n ln 2 + r with |r| <= ln 2 / 2, then a polynomial in r; without a branch, so that loops over it become vector code.
        const ROUND: f32 = 12_582_912.0;
        let x = if self > 88.0 { 88.0 } else { self };
        let shifted = sum_of_product::<SET>(x, std::f32::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        let r = sum_of_product::<SET>(n, -LN_2.0, x);
        let r = sum_of_product::<SET>(n, -LN_2.1, r);
        let p = EXP.into_iter().rev().reduce(|p, c| sum_of_product::<SET>(p, r, c)).unwrap_or(1.0);
        let value = p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
        if x < -87.0 { 0.0 } else { value }
    }
    #[inline(always)]
    unsafe fn powers_of_e<const SET: u8>(x: &mut [Self; 16]) {
        #[cfg(target_arch = "x86_64")]
        if SET == set::AVX512 {
            // SAFETY: the caller's.
            return unsafe { powers_of_e_avx512(x) };
        }
        x.iter_mut().for_each(|x| *x = x.power_of_e::<SET>());
    }
    fn as_f32(values: &mut [Self]) -> Option<&mut [f32]> {
        Some(values)
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn narrow(x: f32) -> Self {
        x as f64
    }
    fn wide(self) -> f64 {
        self
    }
    fn erf<const SET: u8>(self) -> Self {
        libm::erf(self)
    }
    fn power_of_e<const SET: u8>(self) -> Self {
        self.exp()
    }
    fn as_f32(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Real, set};
    use crate::Level;

    /// By every set of instructions that there is.
    fn powers(x: f32) -> Vec<f32> {
        let mut got = vec![x.power_of_e::<{ set::FUSED }>(), x.power_of_e::<{ set::PLAIN }>()];
        if Level::Avx512.is_supported() {
            let mut of_16 = [0f32; 16];
            of_16[x.to_bits() as usize % 16] = x;
            #[cfg(target_arch = "x86_64")]
            // SAFETY: asked above.
            unsafe {
                powers_of_avx512(&mut of_16);
            }
            got.push(of_16[x.to_bits() as usize % 16]);
        }
        got
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn powers_of_avx512(x: &mut [f32; 16]) {
        // SAFETY: called where there is AVX-512.
        unsafe { Real::powers_of_e::<{ set::AVX512 }>(x) };
    }

    #[test]
    fn powers_of_e_are_right_to_2e_7() {
        for i in -8_700..=8_800 {
            let x = i as f32 / 100.0;
            let expected = (x as f64).exp();
            for got in powers(x) {
                assert!((got as f64 - expected).abs() <= 2e-7 * expected, "e^{x}: {got} against {expected}");
            }
        }
        for (x, expected) in [(f32::NEG_INFINITY, 0f32), (-1e9, 0.0), (-87.1, 0.0), (0.0, 1.0)] {
            assert!(powers(x).into_iter().all(|got| got.to_bits() == expected.to_bits()), "e^{x}: {:?}", powers(x));
        }
        assert!(powers(f32::NAN).into_iter().all(f32::is_nan));
        assert!(powers(f32::INFINITY).into_iter().all(|got| got > 1e38 && got.is_finite()));
    }

    #[test]
    fn the_error_function_is_right_to_5e_7() {
        for i in -60_000..=60_000 {
            let x = i as f32 / 10_000.0;
            let expected = libm::erf(x as f64);
            for got in [Real::erf::<{ set::FUSED }>(x), Real::erf::<{ set::PLAIN }>(x)] {
                assert!((got as f64 - expected).abs() <= 5e-7 * expected.abs(), "erf {x}: {got} against {expected}");
            }
        }
        let ends = [f32::NEG_INFINITY, f32::INFINITY].map(Real::erf::<{ set::FUSED }>);
        assert_eq!(ends.map(f32::to_bits), [-1f32, 1.0].map(f32::to_bits));
        assert!(Real::erf::<{ set::FUSED }>(f32::NAN).is_nan());
    }
}
