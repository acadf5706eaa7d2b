//! How a level multiplies: its vectors, the shape of its tiles, and the types of the operands.
//!
//! A kernel works in steps along the inner extent. In a step it takes a word of 32 bits from every row of the left operand, a few
//! vectors from the right one, and adds all their products to a tile of sums in registers. A word holds one f32, or two bf16
//! where the processor adds the products of pairs.

use crate::block::{Tile, tile};
use crate::level::set;
use std::fmt;
use std::str::FromStr;

/// What the values of a product are rounded to before they are multiplied. Sums are f32 in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As they are.
    F32,
    /// `bf16`: 8 significant bits, to nearest and ties to even. Subnormal operands, sums and results count as zero on the levels that
    /// have instructions for it, `avx512-bf16` and `amx-bf16`.
    Bf16,
}

impl Precision {
    /// Every precision.
    pub const ALL: [Self; 2] = [Self::F32, Self::Bf16];

    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| format!("expected f32 or bf16, got `{name}`"))
    }
}

/// Vectors, tiles and operand types of a level and a precision.
///
/// # Safety
/// Every function needs the instructions of its level, and pointers to as many values as its vector has lanes.
pub(crate) trait Format: 'static {
    /// A vector of f32.
    type V: Copy;
    /// Values in it.
    const LANES: usize;
    /// Vectors in a full panel of the right operand.
    const VECTORS: usize;
    /// Rows of a full tile.
    const ROWS: usize;
    /// Values along the inner extent that a step takes.
    const DEPTH: usize;
    /// Whether the right operand is bf16 without pairs, so that a vector has half as many words as lanes.
    const HALVES: bool;
    /// Whether values are rounded to bf16.
    const ROUNDS: bool;
    /// What its instructions are, see [`set`].
    const SET: u8;

    /// Asks for the cache line at `p`, whatever `p` is: into the nearest cache what is needed soon (`NEAR`), else into the second.
    #[inline(always)]
    fn prefetch<const NEAR: bool>(p: *const u32) {
        let _ = p;
    }
    /// Zeros.
    unsafe fn zero() -> Self::V;
    /// One word of the left operand, in all lanes.
    unsafe fn left(p: *const u32) -> Self::V;
    /// A vector of words of the left operand, from [`Format::DEPTH`] times as many values that lie side by side.
    unsafe fn words(p: *const f32) -> Self::V;
    /// The same of rows of values that lie one under another: as many as [`Format::DEPTH`], or the last of one row more.
    unsafe fn stacked(upper: Self::V, lower: Self::V) -> Self::V;
    /// A vector of the right operand.
    unsafe fn right(p: *const u32) -> Self::V;
    /// `sum` and the products of a step.
    unsafe fn multiply(left: Self::V, right: Self::V, sum: Self::V) -> Self::V;
    /// Loads f32.
    unsafe fn load(p: *const f32) -> Self::V;
    /// Stores f32.
    unsafe fn store(p: *mut f32, v: Self::V);
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b` of f32.
    unsafe fn scale(a: Self::V, b: Self::V) -> Self::V;
    /// `a` where it is larger than `b`, else `b`: that also where `a` is not a number.
    unsafe fn larger(a: Self::V, b: Self::V) -> Self::V;
    /// [`block::tile`](crate::block::tile) of `M` rows and `V` vectors, compiled for the format's instructions: a function of its own
    /// for every kind of tile, so that sums stay in registers whatever happens around it.
    unsafe fn tile<const M: usize, const V: usize>(t: &Tile<'_>);
}

/// `x` rounded to bf16, as the upper half of its bits. A NaN stays one.
#[inline(always)]
pub(crate) fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let nan = bits >> 16 | 0x40;
    (if bits & 0x7fff_ffff > 0x7f80_0000 { nan } else { rounded }) as u16
}

/// Kernels in plain code.
pub(crate) struct Portable<const ROUND: bool>;

impl<const ROUND: bool> Format for Portable<ROUND> {
    type V = [f32; 8];
    const LANES: usize = 8;
    const VECTORS: usize = 1;
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 4 };
    const DEPTH: usize = 1;
    const HALVES: bool = ROUND;
    const ROUNDS: bool = ROUND;
    const SET: u8 = set::ALWAYS;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        [0.0; 8]
    }
    #[inline(always)]
    unsafe fn left(p: *const u32) -> Self::V {
        // SAFETY: the caller's.
        [f32::from_bits(unsafe { p.read() }); 8]
    }
    #[inline(always)]
    unsafe fn words(p: *const f32) -> Self::V {
        // SAFETY: the caller's.
        let values = unsafe { Self::load(p) };
        if ROUND { values.map(|x| f32::from_bits(u32::from(to_bf16(x)) << 16)) } else { values }
    }
    #[inline(always)]
    unsafe fn stacked(upper: Self::V, _: Self::V) -> Self::V {
        // SAFETY: a vector's values.
        unsafe { Self::words(upper.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn right(p: *const u32) -> Self::V {
        if ROUND {
            // SAFETY: the caller's; half as many words as lanes.
            let halves = unsafe { p.cast::<[u16; 8]>().read_unaligned() };
            halves.map(|half| f32::from_bits(u32::from(half) << 16))
        } else {
            // SAFETY: the caller's.
            unsafe { p.cast::<[f32; 8]>().read_unaligned() }
        }
    }
    #[inline(always)]
    unsafe fn multiply(left: Self::V, right: Self::V, mut sum: Self::V) -> Self::V {
        for i in 0..8 {
            sum[i] =
                if set::ALWAYS == set::FUSED { left[i].mul_add(right[i], sum[i]) } else { left[i] * right[i] + sum[i] };
        }
        sum
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: the caller's.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: the caller's.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(mut a: Self::V, b: Self::V) -> Self::V {
        for i in 0..8 {
            a[i] += b[i];
        }
        a
    }
    #[inline(always)]
    unsafe fn scale(mut a: Self::V, b: Self::V) -> Self::V {
        for i in 0..8 {
            a[i] *= b[i];
        }
        a
    }
    #[inline(always)]
    unsafe fn larger(mut a: Self::V, b: Self::V) -> Self::V {
        for i in 0..8 {
            a[i] = if a[i] > b[i] { a[i] } else { b[i] };
        }
        a
    }
    #[inline(never)]
    unsafe fn tile<const M: usize, const V: usize>(t: &Tile<'_>) {
        // SAFETY: the caller's.
        unsafe { tile::<Self, M, V>(t) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, Avx512Pairs};

#[cfg(target_arch = "x86_64")]
mod x86 {
    // SAFETY of every block below: the callers of `Format`'s functions have the instructions, and enough values at the pointers.
    #![allow(clippy::undocumented_unsafe_blocks)]
    // Instructions, all of them.
    #![allow(clippy::wildcard_imports)]

    use super::{Format, Tile, set, tile, to_bf16};
    use std::arch::x86_64::*;
    use std::array::from_fn;
    use std::mem::transmute;

    #[inline(always)]
    fn prefetch<const NEAR: bool>(p: *const u32) {
        // A prefetch of what is not there does nothing.
        if NEAR {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
        } else {
            unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) };
        }
    }

    /// AVX2 and FMA.
    pub(crate) struct Avx2<const ROUND: bool>;

    impl<const ROUND: bool> Format for Avx2<ROUND> {
        type V = __m256;
        const LANES: usize = 8;
        const VECTORS: usize = 2;
        const ROWS: usize = 6;
        const DEPTH: usize = 1;
        const HALVES: bool = ROUND;
        const ROUNDS: bool = ROUND;
        const SET: u8 = set::FUSED;

        #[inline(always)]
        fn prefetch<const NEAR: bool>(p: *const u32) {
            prefetch::<NEAR>(p);
        }
        #[inline(always)]
        unsafe fn zero() -> __m256 {
            unsafe { _mm256_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn left(p: *const u32) -> __m256 {
            unsafe { _mm256_set1_ps(p.cast::<f32>().read()) }
        }
        #[inline(always)]
        unsafe fn words(p: *const f32) -> __m256 {
            unsafe {
                let mut values = p.cast::<[f32; 8]>().read_unaligned();
                if ROUND {
                    values.iter_mut().for_each(|x| *x = f32::from_bits(u32::from(to_bf16(*x)) << 16));
                }
                transmute(values)
            }
        }
        #[inline(always)]
        unsafe fn stacked(upper: __m256, _: __m256) -> __m256 {
            unsafe { if ROUND { Self::words((&raw const upper).cast()) } else { upper } }
        }
        #[inline(always)]
        unsafe fn right(p: *const u32) -> __m256 {
            unsafe {
                if ROUND {
                    let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
                } else {
                    _mm256_loadu_ps(p.cast())
                }
            }
        }
        #[inline(always)]
        unsafe fn multiply(left: __m256, right: __m256, sum: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(left, right, sum) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m256) {
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn scale(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn larger(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_max_ps(a, b) }
        }
        #[target_feature(enable = "avx2,fma")]
        #[inline(never)]
        unsafe fn tile<const M: usize, const V: usize>(t: &Tile<'_>) {
            unsafe { tile::<Self, M, V>(t) }
        }
    }

    /// AVX-512, one value a step.
    pub(crate) struct Avx512<const ROUND: bool>;

    /// What the two formats of AVX-512 share.
    macro_rules! vectors {
        () => {
            type V = __m512;
            const LANES: usize = 16;
            const VECTORS: usize = 4;
            const ROWS: usize = 6;
            const SET: u8 = set::AVX512;

            #[inline(always)]
            fn prefetch<const NEAR: bool>(p: *const u32) {
                prefetch::<NEAR>(p);
            }
            #[inline(always)]
            unsafe fn zero() -> __m512 {
                unsafe { _mm512_setzero_ps() }
            }
            #[inline(always)]
            unsafe fn left(p: *const u32) -> __m512 {
                unsafe { _mm512_set1_ps(p.cast::<f32>().read()) }
            }
            #[inline(always)]
            unsafe fn load(p: *const f32) -> __m512 {
                unsafe { _mm512_loadu_ps(p) }
            }
            #[inline(always)]
            unsafe fn store(p: *mut f32, v: __m512) {
                unsafe { _mm512_storeu_ps(p, v) }
            }
            #[inline(always)]
            unsafe fn add(a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_add_ps(a, b) }
            }
            #[inline(always)]
            unsafe fn scale(a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_mul_ps(a, b) }
            }
            #[inline(always)]
            unsafe fn larger(a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_max_ps(a, b) }
            }
        };
    }

    impl<const ROUND: bool> Format for Avx512<ROUND> {
        const DEPTH: usize = 1;
        const HALVES: bool = ROUND;
        const ROUNDS: bool = ROUND;
        vectors!();

        #[inline(always)]
        unsafe fn words(p: *const f32) -> __m512 {
            unsafe {
                let mut values = p.cast::<[f32; 16]>().read_unaligned();
                if ROUND {
                    values.iter_mut().for_each(|x| *x = f32::from_bits(u32::from(to_bf16(*x)) << 16));
                }
                transmute(values)
            }
        }
        #[inline(always)]
        unsafe fn stacked(upper: __m512, _: __m512) -> __m512 {
            unsafe { if ROUND { Self::words((&raw const upper).cast()) } else { upper } }
        }
        #[inline(always)]
        unsafe fn right(p: *const u32) -> __m512 {
            unsafe {
                if ROUND {
                    let halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
                    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(halves))
                } else {
                    _mm512_loadu_ps(p.cast())
                }
            }
        }
        #[inline(always)]
        unsafe fn multiply(left: __m512, right: __m512, sum: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(left, right, sum) }
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        #[inline(never)]
        unsafe fn tile<const M: usize, const V: usize>(t: &Tile<'_>) {
            unsafe { tile::<Self, M, V>(t) }
        }
    }

    /// AVX-512 with dot products of bf16 pairs.
    pub(crate) struct Avx512Pairs;

    impl Format for Avx512Pairs {
        const DEPTH: usize = 2;
        const HALVES: bool = false;
        const ROUNDS: bool = true;
        vectors!();

        #[inline(always)]
        unsafe fn words(p: *const f32) -> __m512 {
            // The first operand is the upper half.
            unsafe { transmute(_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p.add(16)), _mm512_loadu_ps(p))) }
        }
        #[inline(always)]
        unsafe fn stacked(upper: __m512, lower: __m512) -> __m512 {
            // Values 0 to 15 are those of `upper`.
            let woven: [u16; 32] = from_fn(|i| (i / 2 + i % 2 * 16) as u16);
            unsafe {
                let both = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(lower, upper));
                transmute(_mm512_permutexvar_epi16(transmute::<[u16; 32], __m512i>(woven), both))
            }
        }
        #[inline(always)]
        unsafe fn right(p: *const u32) -> __m512 {
            unsafe { _mm512_loadu_ps(p.cast()) }
        }
        #[inline(always)]
        unsafe fn multiply(left: __m512, right: __m512, sum: __m512) -> __m512 {
            // The bits are pairs of bf16 in either operand.
            unsafe { _mm512_dpbf16_ps(sum, transmute::<__m512, __m512bh>(left), transmute::<__m512, __m512bh>(right)) }
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
        #[inline(never)]
        unsafe fn tile<const M: usize, const V: usize>(t: &Tile<'_>) {
            unsafe { tile::<Self, M, V>(t) }
        }
    }
}

/// A function that calls another one, compiled for the instructions of every level and precision, whose format it is generic over.
/// What that one calls has to be inlined into it, closures too.
macro_rules! per_format {
    ($(#[$doc:meta])* $vis:vis unsafe fn $name:ident($($arg:ident: $ty:ty),* $(,)?) by $body:ident;) => {
        $(#[$doc])*
        $vis unsafe fn $name(level: $crate::Level, precision: $crate::Precision, $($arg: $ty),*) {
            use $crate::format::Portable;
            use $crate::{Level, Precision};
            $crate::format::per_format!(@ ($($arg: $ty),*) $body
                avx2: Avx2<false>, "avx2,fma";
                avx2_bf16: Avx2<true>, "avx2,fma";
                avx512: Avx512<false>, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma";
                avx512_bf16: Avx512<true>, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma";
                avx512_pairs: Avx512Pairs, "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma";
            );
            // SAFETY: the caller's.
            unsafe {
                match (level, precision) {
                    (Level::Portable, Precision::F32) => $body::<Portable<false>>($($arg),*),
                    (Level::Portable, Precision::Bf16) => $body::<Portable<true>>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    (Level::Avx2, Precision::F32) => avx2($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    (Level::Avx2, Precision::Bf16) => avx2_bf16($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    (Level::Avx512 | Level::Avx512Bf16 | Level::AmxBf16, Precision::F32) => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    (Level::Avx512, Precision::Bf16) => avx512_bf16($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    (Level::Avx512Bf16 | Level::AmxBf16, Precision::Bf16) => avx512_pairs($($arg),*),
                    #[cfg(not(target_arch = "x86_64"))]
                    _ => unreachable!("a level of another processor"),
                }
            }
        }
    };
    (@ $args:tt $body:ident $($name:ident: $format:ty, $features:literal;)*) => {
        $($crate::format::per_format!(# $args $body $name, $format, $features);)*
    };
    (# ($($arg:ident: $ty:ty),*) $body:ident $name:ident, $format:ty, $features:literal) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        unsafe fn $name($($arg: $ty),*) {
            use $crate::format::*;
            // SAFETY: the caller's.
            unsafe { $body::<$format>($($arg),*) }
        }
    };
}
pub(crate) use per_format;
