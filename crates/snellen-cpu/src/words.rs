//! Values as the words that kernels multiply, and rows of words as columns.

use crate::format::{Format, to_bf16};
use crate::packed::LINE;
use std::ptr::null;

/// The most values that make a line of words.
pub(crate) const VALUES: usize = 2 * LINE;

/// A word: a value, or two where a step takes two.
#[inline(always)]
pub(crate) fn word_of<F: Format>(x: f32, next: f32) -> u32 {
    if F::DEPTH == 2 {
        u32::from(to_bf16(x)) | u32::from(to_bf16(next)) << 16
    } else if F::ROUNDS {
        u32::from(to_bf16(x)) << 16
    } else {
        x.to_bits()
    }
}

/// A line of words of each of M rows, woven: the first of all rows, then the second of all, `stride` places after.
///
/// # Safety
/// The processor has the instructions of `F`; there are as many values at every pointer as make a line, and M places at every
/// `stride` of a line of them.
#[inline(always)]
pub(crate) unsafe fn weave<F: Format, const M: usize>(rows: [*const f32; M], to: *mut u32, stride: usize) {
    // SAFETY: the caller's.
    unsafe {
        if F::DEPTH == 1 && !F::ROUNDS {
            return transpose::<M>(&rows, to, stride);
        }
        let mut words = [[0u32; LINE]; M];
        for (words, row) in words.iter_mut().zip(rows) {
            for i in (0..LINE).step_by(F::LANES) {
                F::store(words.as_mut_ptr().add(i).cast(), F::words(row.add(i * F::DEPTH)));
            }
        }
        let mut from = [null(); M];
        for i in 0..M {
            from[i] = words[i].as_ptr().cast();
        }
        transpose::<M>(&from, to, stride);
    }
}

/// Rows of a line of words (whatever they are, by pointers to f32) as columns, whose values are `stride` apart.
///
/// # Safety
/// There is a line at every pointer, and M places at every `stride` of a line of them.
#[inline(always)]
unsafe fn transpose<const M: usize>(rows: &[*const f32; M], to: *mut u32, stride: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: SSE is part of x86-64; the caller's.
    unsafe {
        use std::arch::x86_64::{
            _mm_castps_si128, _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_setzero_ps, _mm_storel_epi64,
            _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
        };
        for k in (0..LINE).step_by(4) {
            let mut r = [_mm_setzero_ps(); M];
            for (r, row) in r.iter_mut().zip(rows) {
                *r = _mm_loadu_ps(row.add(k));
            }
            let to = to.add(k * stride);
            // Pairs of rows: of the first two steps, and of the last two.
            for i in (0..M - 1).step_by(4) {
                let (low, high) = (_mm_unpacklo_ps(r[i], r[i + 1]), _mm_unpackhi_ps(r[i], r[i + 1]));
                let to = to.add(i);
                if i + 3 < M {
                    let (low_2, high_2) = (_mm_unpacklo_ps(r[i + 2], r[i + 3]), _mm_unpackhi_ps(r[i + 2], r[i + 3]));
                    _mm_storeu_ps(to.cast(), _mm_movelh_ps(low, low_2));
                    _mm_storeu_ps(to.add(stride).cast(), _mm_movehl_ps(low_2, low));
                    _mm_storeu_ps(to.add(2 * stride).cast(), _mm_movelh_ps(high, high_2));
                    _mm_storeu_ps(to.add(3 * stride).cast(), _mm_movehl_ps(high_2, high));
                } else {
                    _mm_storel_epi64(to.cast(), _mm_castps_si128(low));
                    _mm_storel_epi64(to.add(stride).cast(), _mm_castps_si128(_mm_movehl_ps(low, low)));
                    _mm_storel_epi64(to.add(2 * stride).cast(), _mm_castps_si128(high));
                    _mm_storel_epi64(to.add(3 * stride).cast(), _mm_castps_si128(_mm_movehl_ps(high, high)));
                }
            }
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    for k in 0..LINE {
        for (i, row) in rows.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { to.add(k * stride + i).write(row.add(k).read().to_bits()) };
        }
    }
}
