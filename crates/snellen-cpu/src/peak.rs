//! What this processor can do at best.

use crate::Level;
#[cfg(target_arch = "x86_64")]
use crate::amx;
#[cfg(target_arch = "x86_64")]
use crate::format::{Avx2, Avx512, Avx512Pairs};
use crate::format::{Format, Portable, Precision};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

/// Chains of multiplications and additions that do not wait for each other.
const CHAINS: usize = 12;
/// The same in plain code, which may have 16 registers of four values.
const PLAIN_CHAINS: usize = 6;
/// Steps of one measurement: a few hundredths of a second.
const STEPS: usize = 8_000_000;

/// Operations a second that `threads` threads reach with nothing but multiplications and additions in registers: twice the
/// products that are summed. The best of `rounds` measurements.
///
/// # Panics
/// If this processor cannot run `level`.
pub fn peak(level: Level, precision: Precision, threads: usize, rounds: usize) -> f64 {
    assert!(level.is_supported(), "this processor cannot run {level}");
    let products_of_step = match (level, precision) {
        (Level::Portable, _) => 8 * PLAIN_CHAINS,
        (Level::Avx2, _) => 8 * CHAINS,
        (Level::Avx512Bf16, Precision::Bf16) => 16 * 2 * CHAINS,
        #[cfg(target_arch = "x86_64")]
        (Level::AmxBf16, Precision::Bf16) => amx::PRODUCTS_OF_STEP,
        _ => 16 * CHAINS,
    };
    let operations = (2 * products_of_step * STEPS * threads) as f64;
    let together = Barrier::new(threads);
    let once = || {
        let slowest = std::thread::scope(|scope| {
            let of_thread = || {
                together.wait();
                let start = Instant::now();
                // SAFETY: asserted above.
                black_box(unsafe { run(level, precision) });
                start.elapsed().as_secs_f64()
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(of_thread)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(f64::INFINITY)).fold(0.0, f64::max)
        });
        operations / slowest
    };
    (0..rounds).map(|_| once()).fold(0.0, f64::max)
}

unsafe fn run(level: Level, precision: Precision) -> f32 {
    #[cfg(target_arch = "x86_64")]
    macro_rules! compiled {
        ($($name:ident: $format:ty, $features:literal;)*) => {
            $(#[target_feature(enable = $features)]
            unsafe fn $name() -> f32 {
                // SAFETY: the caller's.
                unsafe { chains::<$format, CHAINS>() }
            })*
        };
    }
    #[cfg(target_arch = "x86_64")]
    compiled! {
        avx2: Avx2<false>, "avx2,fma";
        avx512: Avx512<false>, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma";
        pairs: Avx512Pairs, "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma";
    }
    // SAFETY: the caller's.
    unsafe {
        match (level, precision) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, _) => avx2(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512Bf16, Precision::Bf16) => pairs(),
            #[cfg(target_arch = "x86_64")]
            (Level::AmxBf16, Precision::Bf16) => {
                amx::chains(STEPS);
                0.0
            }
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512 | Level::Avx512Bf16 | Level::AmxBf16, _) => avx512(),
            _ => chains::<Portable<false>, PLAIN_CHAINS>(),
        }
    }
}

#[inline(always)]
unsafe fn chains<F: Format, const N: usize>() -> f32 {
    // SAFETY: the caller's; the arrays are as long as the widest vector.
    unsafe {
        let (a, b) = (black_box([0x3f7f_be77u32; 16]), black_box([1e-3f32; 16]));
        let (a, b) = (F::left(a.as_ptr()), F::load(b.as_ptr()));
        let mut sums = [F::zero(); N];
        for _ in 0..STEPS {
            for sum in &mut sums {
                // The sum is a factor, or the product could be made once for all; where a step takes pairs, it cannot be one.
                *sum = if F::DEPTH == 1 { F::multiply(*sum, a, b) } else { F::multiply(a, b, *sum) };
            }
        }
        let mut out = [0f32; 16];
        let total = sums.into_iter().fold(F::zero(), |total, sum| F::add(total, sum));
        F::store(out.as_mut_ptr(), total);
        out[0]
    }
}
