//! The formats of AVX-512 and AMX in plain Rust, so that what they share is tested on any processor: panels of one to four vectors of
//! 16 lanes, tiles of six rows, right operands of half words, steps of two values, tile registers.
//!
//! Packing, tasks, tiles, tails and finishing are the code that the real formats go through; only the dozen functions of
//! [`Format`] are other ones. What this can claim:
//! - With one value a step, real and emulated formats do the same operations, and agree in every bit.
//! - VDPBF16PS is emulated as Intel describes it: the product of the upper values is added to the sum and rounded, then that of
//!   the lower ones; subnormal operands, sums and results count as zero; whatever MXCSR says. Other processors may sum in
//!   another order, so that with pairs results are compared with sums in f64 only, within `1e-6 (sum |a b| + 1)` for values
//!   up to 1: enough to notice a product that is missing, double or rounded to fewer bits, not to tell orders apart.
//! - TDPBF16PS, too, is emulated as Intel describes it. An Emerald Rapids agrees in every bit, which is tested where there is AMX.

use crate::activation::activate_row;
use crate::block::{Block, Finish, Tile, block, tile, with_left};
use crate::format::{Format, Precision, to_bf16};
use crate::level::set;
use crate::packed::{LINE, Line, Packed, Panels, fill_panels};
use crate::product::{Job, products_by};
use crate::tiles::{Operands, Sums, TILE, Tiles, block_by_tiles};
use crate::{Activation, Level, View};
use proptest::prelude::*;
use std::array::from_fn;

/// Bits of 16 lanes.
type V = [u32; 16];

/// Functions are not inlined, because tiles would be thousands of lines of plain code.
struct Emulated<const ROUND: bool, const DEPTH: usize>;

fn lanes(f: impl Fn(usize) -> f32) -> V {
    from_fn(|i| f(i).to_bits())
}

fn of(v: V, i: usize) -> f32 {
    f32::from_bits(v[i])
}

/// The upper or lower half of a word, a bf16, as f32.
fn half(word: u32, upper: bool) -> f32 {
    f32::from_bits(if upper { word & 0xffff_0000 } else { word << 16 })
}

/// Without what is too small for all its bits.
fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { 0f32.copysign(x) } else { x }
}

/// VDPBF16PS in one lane.
fn dot(left: u32, right: u32, sum: f32) -> f32 {
    [true, false].into_iter().fold(sum, |sum, upper| {
        let (a, b) = (flushed(half(left, upper)), flushed(half(right, upper)));
        flushed(a.mul_add(b, flushed(sum)))
    })
}

impl<const ROUND: bool, const DEPTH: usize> Format for Emulated<ROUND, DEPTH> {
    type V = V;
    const LANES: usize = 16;
    const VECTORS: usize = 4;
    const ROWS: usize = 6;
    const DEPTH: usize = DEPTH;
    const HALVES: bool = ROUND && DEPTH == 1;
    const ROUNDS: bool = ROUND;
    const SET: u8 = set::FUSED;

    unsafe fn zero() -> V {
        [0; 16]
    }
    unsafe fn left(p: *const u32) -> V {
        // SAFETY: the caller's.
        [unsafe { p.read() }; 16]
    }
    unsafe fn words(p: *const f32) -> V {
        // SAFETY: the caller's.
        let value = |i: usize| unsafe { p.add(i).read() };
        let bf16 = |i: usize| u32::from(to_bf16(value(i)));
        from_fn(|i| match (DEPTH, ROUND) {
            (1, false) => value(i).to_bits(),
            (1, true) => bf16(i) << 16,
            _ => bf16(2 * i) | bf16(2 * i + 1) << 16,
        })
    }
    unsafe fn stacked(upper: V, lower: V) -> V {
        let bf16 = |v: V, i: usize| u32::from(to_bf16(of(v, i)));
        from_fn(|i| match (DEPTH, ROUND) {
            (1, false) => upper[i],
            (1, true) => bf16(upper, i) << 16,
            _ => bf16(upper, i) | bf16(lower, i) << 16,
        })
    }
    #[inline(never)]
    unsafe fn right(p: *const u32) -> V {
        if Self::HALVES {
            // SAFETY: the caller's; half as many words as lanes.
            let words = unsafe { p.cast::<[u32; 8]>().read() };
            from_fn(|i| half(words[i / 2], i % 2 == 1).to_bits())
        } else {
            // SAFETY: the caller's.
            unsafe { p.cast::<V>().read() }
        }
    }
    #[inline(never)]
    unsafe fn multiply(left: V, right: V, sum: V) -> V {
        lanes(|i| match DEPTH {
            1 => of(left, i).mul_add(of(right, i), of(sum, i)),
            _ => dot(left[i], right[i], of(sum, i)),
        })
    }
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: the caller's.
        unsafe { p.cast::<V>().read() }
    }
    unsafe fn store(p: *mut f32, v: V) {
        // SAFETY: the caller's.
        unsafe { p.cast::<V>().write(v) }
    }
    #[inline(never)]
    unsafe fn add(a: V, b: V) -> V {
        lanes(|i| of(a, i) + of(b, i))
    }
    #[inline(never)]
    unsafe fn scale(a: V, b: V) -> V {
        lanes(|i| of(a, i) * of(b, i))
    }
    unsafe fn larger(a: V, b: V) -> V {
        lanes(|i| if of(a, i) > of(b, i) { of(a, i) } else { of(b, i) })
    }
    unsafe fn tile<const M: usize, const V: usize>(t: &Tile<'_>) {
        // SAFETY: the caller's.
        unsafe { tile::<Self, M, { V }>(t) }
    }
}

impl Tiles for Emulated<true, 2> {
    unsafe fn shape() {}
    unsafe fn release() {}
    unsafe fn multiply_tiles(o: &Operands<'_>, sums: &mut Sums) {
        for (row, sums) in sums.0.iter_mut().enumerate() {
            for (col, sum) in sums.iter_mut().enumerate() {
                let (vector, lane) = (col / LINE * o.right, col % LINE);
                let whole = (0..o.tiles).map(|tile| &o.b[tile * LINE * o.step..]);
                let tiles = whole.chain((!o.end.is_empty()).then_some(o.end)).zip(o.a.chunks_exact(2 * TILE));
                *sum = tiles.fold(0.0, |sum, (b, a)| {
                    dots(sum, from_fn(|k| (a[row * LINE + k], b[k * o.step + vector].0[lane])))
                });
            }
        }
    }
}

/// TDPBF16PS in one place of a tile.
fn dots(sum: f32, words: [(u32, u32); LINE]) -> f32 {
    let [lower, upper] = [false, true].map(|upper| {
        words
            .into_iter()
            .fold(0f32, |sum, (a, b)| flushed(flushed(half(a, upper)).mul_add(flushed(half(b, upper)), sum)))
    });
    flushed(flushed(sum) + flushed(lower + upper))
}

/// A task in an emulated format, on memory that is full of NaN.
unsafe fn run<F: Format>(task: &Block<'_>) {
    with_left(|left| {
        left.fill(u32::MAX);
        // SAFETY: the caller's.
        unsafe { block::<F>(task, left) };
    });
}

/// The same by tile registers.
unsafe fn run_by_tiles<F: Tiles>(task: &Block<'_>) {
    with_left(|left| {
        left.fill(u32::MAX);
        // SAFETY: the caller's.
        unsafe { block_by_tiles::<F>(task, left) };
    });
}

/// Packs in an emulated format.
unsafe fn fill<F: Format>(_: Level, _: Precision, b: View<'_, f32>, first: usize, words: &mut [u32]) {
    // SAFETY: the caller's.
    unsafe { fill_panels::<F>(b, first, words) };
}

/// How a product is emulated.
#[derive(Clone, Copy)]
struct Way {
    fill: unsafe fn(Level, Precision, View<'_, f32>, usize, &mut [u32]),
    run: unsafe fn(&Block<'_>),
    shape: Panels,
    precision: Precision,
}

/// By vectors.
fn vectors<F: Format>() -> Way {
    let precision = if F::ROUNDS { Precision::Bf16 } else { Precision::F32 };
    Way { fill: fill::<F>, run: run::<F>, shape: Panels::of::<F>(), precision }
}

/// By tile registers.
fn tiles() -> Way {
    type F = Emulated<true, 2>;
    Way { run: run_by_tiles::<F>, shape: Panels::of_tiles::<F>(), ..vectors::<F>() }
}

fn every_way() -> [Way; 4] {
    [vectors::<Emulated<false, 1>>(), vectors::<Emulated<true, 1>>(), vectors::<Emulated<true, 2>>(), tiles()]
}

/// A product in an emulated format, into memory full of sevens that ends with the last value.
fn emulated(way: Way, a: View<'_, f32>, b: View<'_, f32>, stride: usize, finish: Finish<'_>) -> Vec<f32> {
    let mut packed = Packed { shape: way.shape, ..Packed::empty(Level::Portable, way.precision) };
    packed.lines = vec![Line([u32::MAX; 16]); 40];
    // SAFETY: of the format whose shape it has, which is plain code.
    unsafe { packed.set_by(way.fill, b, false) };
    let mut out = vec![7.0; (a.rows() - 1) * stride + b.cols()];
    // SAFETY: packed for the same format, which is plain code.
    unsafe { products_by(way.run, &mut [Job { out: &mut out, stride, a, b: &packed, finish }]) };
    out
}

/// Values between -1 and 1 that look drawn.
fn values(n: usize, seed: u32) -> Vec<f32> {
    let mix = |i: usize| (i as u32 ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    let mixed = (0..n).map(|i| (mix(i) ^ mix(i) >> 13).wrapping_mul(0xc2b2_ae35));
    mixed.map(|bits| (bits >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn law(
    way: Way,
    (n, k, m): (usize, usize, usize),
    pad: usize,
    transposed: bool,
    seed: u32,
) -> Result<(), TestCaseError> {
    let rounds = way.precision == Precision::Bf16;
    let rounded = |x: f32| if rounds { f32::from_bits(u32::from(to_bf16(x)) << 16) } else { x } as f64;
    let (a, b, stride) = (values(n * k, seed), values(k * m, seed + 1), m + pad);
    let view_b = if transposed { View::new(&b, m, k, k).transposed() } else { View::new(&b, k, m, m) };
    let end = (n - 1) * stride + m;
    let (bias, gain, add) = (values(m, seed + 2), values(m, seed + 3), values(end, seed + 4));
    let view = View::new(&a, n, k, k);
    let plain = emulated(way, view, view_b, stride, Finish::default());
    for (place, sum) in plain.iter().enumerate().filter(|(place, _)| place % stride < m) {
        let (i, j) = (place / stride, place % stride);
        let products = (0..k).map(|l| rounded(a[i * k + l]) * rounded(view_b.at(l, j)));
        let (exact, size) = products.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
        prop_assert!((*sum as f64 - exact).abs() <= 1e-6 * (size + 1.0), "{sum} for {exact} at {i}, {j}");
    }
    for activation in [None, Some(Activation::GeluTanh)] {
        let finish = Finish { bias: Some(&bias), activation, gain: Some(&gain), add: Some(&add) };
        let finished = emulated(way, view, view_b, stride, finish);
        for (place, (sum, finished)) in plain.iter().zip(finished).enumerate() {
            let j = place % stride;
            if j >= m {
                prop_assert_eq!([*sum, finished].map(f32::to_bits), [7f32; 2].map(f32::to_bits), "between rows");
                continue;
            }
            let mut y = [sum + bias[j]];
            if let Some(kind) = activation {
                activate_row::<f32, { set::FUSED }>(kind, &mut y);
            }
            let y = y[0] * gain[j] + add[place];
            prop_assert_eq!(finished.to_bits(), y.to_bits(), "finished at {}, {}", place / stride, j);
        }
    }
    Ok(())
}

/// Drawn cases; `PROPTEST_CASES` says otherwise.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn emulated_products_agree_with_sums_in_f64(
        n in prop_oneof![3 => 1usize..14, 1 => 190usize..195], k in prop_oneof![6 => 0usize..70, 1 => 1020usize..1030, 1 => 2045usize..2052],
        m in prop_oneof![1usize..70, 120usize..210], pad in 0usize..5, transposed: bool, seed in 0u32..1_000_000,
    ) {
        for way in every_way() {
            law(way, (n, k, m), pad, transposed, seed)?;
        }
    }
}

#[test]
fn every_width_and_tail_of_a_panel() {
    for m in 1..=130 {
        for k in [1, 2, 3] {
            let made = every_way().map(|way| law(way, (7, k, m), 1, m % 2 == 0, 3));
            assert!(made.iter().all(Result::is_ok), "{m} columns, {k} inner");
        }
    }
}

/// Tiles of one to 32 rows, and inner extents that end at any place of a tile.
#[test]
fn every_height_and_depth_of_tiles() {
    for n in 1..=66 {
        assert!(law(tiles(), (n, n, 37), 0, false, 5).is_ok(), "{n} rows, {n} inner");
    }
}

#[test]
fn sums_by_tiles_are_of_even_and_of_odd_values_and_flush_what_is_subnormal() {
    let words = |pairs: &[(f32, f32, f32, f32)]| {
        let word = |low: f32, high: f32| low.to_bits() >> 16 | high.to_bits();
        from_fn(|k| pairs.get(k).map_or((0, 0), |(a, b, c, d)| (word(*a, *b), word(*c, *d))))
    };
    assert_eq!(dots(1.0, words(&[(2.0, 3.0, 5.0, 7.0), (1.0, 0.0, 1.0, 0.0)])).to_bits(), 33f32.to_bits());
    // One that is lost in even values is not in odd ones.
    let large = (4096.0, 1.0, 4096.0, 1.0);
    assert_eq!(dots(0.0, words(&[large, (-4096.0, 0.0, 4096.0, 0.0)])).to_bits(), 1f32.to_bits());
    let in_even = [(4096.0, 0.0, 4096.0, 0.0), (1.0, 0.0, 1.0, 0.0), (-4096.0, 0.0, 4096.0, 0.0)];
    assert_eq!(dots(0.0, words(&in_even)).to_bits(), 0f32.to_bits());
    let tiny = f32::from_bits(0x0001_0000);
    assert_eq!(dots(tiny, words(&[(tiny, 0.0, 1.0, 0.0)])).to_bits(), 0);
}

#[test]
fn pairs_round_twice_and_flush_what_is_subnormal() {
    let pair = |low: f32, high: f32| low.to_bits() >> 16 | high.to_bits();
    assert_eq!(dot(pair(2.0, 3.0), pair(5.0, 7.0), 1.0).to_bits(), 32f32.to_bits());
    // 2^24 + 1 is 2^24 again, so that the order shows.
    assert_eq!(dot(pair(-4096.0, 1.0), pair(4096.0, 1.0), 16_777_216.0).to_bits(), 0f32.to_bits());
    let tiny = f32::from_bits(0x0001_0000);
    assert_eq!(dot(pair(tiny, 0.0), pair(1.0, 0.0), 0.0).to_bits(), 0);
    assert_eq!(dot(0, 0, tiny).to_bits(), 0);
}

#[cfg(target_arch = "x86_64")]
mod real {
    use super::{Emulated, Finish, Format, Level, Packed, Panels, Precision, View, emulated, tiles, values, vectors};
    use crate::format::{Avx512, Avx512Pairs};

    #[test]
    fn emulated_formats_have_the_constants_of_the_real_ones() {
        fn same<E: Format, F: Format>() {
            assert_eq!(Panels::of::<E>(), Panels::of::<F>());
            assert_eq!([E::ROUNDS, E::HALVES], [F::ROUNDS, F::HALVES]);
        }
        same::<Emulated<false, 1>, Avx512<false>>();
        same::<Emulated<true, 1>, Avx512<true>>();
        same::<Emulated<true, 2>, Avx512Pairs>();
        assert_eq!(Panels::of::<Emulated<false, 1>>(), Panels::at(Level::Avx512, Precision::F32));
        assert_eq!(Panels::of::<Emulated<true, 1>>(), Panels::at(Level::Avx512, Precision::Bf16));
        assert_eq!(Panels::of::<Emulated<false, 1>>(), Panels::at(Level::Avx512Bf16, Precision::F32));
        assert_eq!(Panels::of::<Emulated<true, 2>>(), Panels::at(Level::Avx512Bf16, Precision::Bf16));
        assert_eq!(Panels::of::<Emulated<false, 1>>(), Panels::at(Level::AmxBf16, Precision::F32));
        assert_eq!(tiles().shape, Panels::at(Level::AmxBf16, Precision::Bf16));
    }

    #[test]
    fn emulated_and_real_tiles_give_the_same_bytes() {
        if !Level::AmxBf16.is_supported() {
            eprintln!("SKIPPED emulated_and_real_tiles_give_the_same_bytes: this processor has no AMX");
            return;
        }
        for (n, k, m) in [(7, 33, 70), (33, 513, 129), (97, 5, 64), (17, 2100, 16)] {
            // With sums that are subnormal, and operands that are.
            let small = |(i, x): (usize, f32)| {
                if i % 3 == 0 {
                    x * 1e-20
                } else if i % 7 == 0 {
                    x * 1e-39
                } else {
                    x
                }
            };
            let of = |n: usize, seed: u32| values(n, seed).into_iter().enumerate().map(small).collect::<Vec<f32>>();
            let (mut a, b) = (of(n * k, 1), of(k * m, 2));
            a[..k].iter_mut().for_each(|x| *x *= 1e-19);
            (a[k], a[2 * k], a[3 * k]) = (f32::NAN, f32::INFINITY, f32::MAX);
            let (a, b) = (View::new(&a, n, k, k), View::new(&b, k, m, m));
            let mut out = vec![0f32; n * m];
            crate::product(&mut out, m, a, &Packed::new(Level::AmxBf16, Precision::Bf16, b), Finish::default());
            let same = emulated(tiles(), a, b, m, Finish::default());
            let alike = |(x, y): (&f32, &f32)| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
            assert!(out.iter().zip(&same).all(alike), "{n} x {k} x {m}");
        }
    }

    #[test]
    fn emulated_and_real_formats_give_the_same_bytes() {
        if !Level::Avx512.is_supported() {
            eprintln!("SKIPPED emulated_and_real_formats_give_the_same_bytes: this processor has no AVX-512");
            return;
        }
        for (n, k, m) in [(7, 33, 70), (13, 513, 129), (97, 5, 64)] {
            let (a, b) = (values(n * k, 1), values(k * m, 2));
            let (a, b) = (View::new(&a, n, k, k), View::new(&b, k, m, m));
            for precision in [Precision::F32, Precision::Bf16] {
                let mut out = vec![0f32; n * m];
                crate::product(&mut out, m, a, &Packed::new(Level::Avx512, precision, b), Finish::default());
                let same = match precision {
                    Precision::F32 => emulated(vectors::<Emulated<false, 1>>(), a, b, m, Finish::default()),
                    Precision::Bf16 => emulated(vectors::<Emulated<true, 1>>(), a, b, m, Finish::default()),
                };
                assert!(out.iter().zip(&same).all(|(x, y)| x.to_bits() == y.to_bits()), "{n} x {k} x {m}");
            }
        }
    }
}
