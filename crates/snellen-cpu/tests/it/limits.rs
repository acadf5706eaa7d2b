//! Extents of nothing, extents that do not fit, and memory that was used before.

use crate::{formats, levels, values};
use rayon::prelude::*;
use snellen_cpu::{Activation, Finish, Heads, Kernels, Level, Packed, Precision, Threads, View, attention, product};

#[test]
fn a_sum_of_nothing_is_zero_and_is_finished() {
    let (bias, gain, add) = ([2.0, 3.0, 4.0], [1.0, 2.0, 3.0], [10.0; 11]);
    for (level, precision) in formats() {
        for a in [View::new(&[], 3, 0, 5), View::new(&[], 0, 3, 5).transposed()] {
            for b in [View::new(&[], 0, 3, 5), View::new(&[], 3, 0, 5).transposed()] {
                let packed = Packed::new(level, precision, b);
                let mut out = [7f32; 11];
                let finish = Finish { bias: Some(&bias), activation: None, gain: Some(&gain), add: Some(&add) };
                product(&mut out, 4, a, &packed, finish);
                assert_eq!(
                    out,
                    [12.0, 16.0, 22.0, 7.0, 12.0, 16.0, 22.0, 7.0, 12.0, 16.0, 22.0],
                    "{level} {precision:?}"
                );
                for threads in [Threads::This, Threads::All] {
                    let mut out = out;
                    f32::product_once(level, precision, threads, (&mut out, 4), a, b);
                    assert_eq!(out, [0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0], "{level} {precision:?}");
                }
            }
        }
    }
}

#[test]
fn products_without_rows_or_columns_leave_everything_as_it_is() {
    let data = [1f32; 6];
    for (level, precision) in formats() {
        for (rows, cols) in [(0, 3), (2, 0), (0, 0)] {
            let (a, b) = (View::new(&data, rows, 2, 3), View::new(&data, 2, cols, 3));
            let mut out = [7f32; 6];
            product(&mut out, 3, a, &Packed::new(level, precision, b), Finish::default());
            f32::product_once(level, precision, Threads::This, (&mut out, 3), a, b);
            f32::product_once(level, precision, Threads::All, (&mut out, 3), a, b);
            product(&mut [], 3, a, &Packed::new(level, precision, b), Finish::default());
            assert_eq!(out, [7.0; 6]);
        }
        let empty = Heads { sequences: 2, queries: 3, keys: 3, heads: 2, units: 5, causal: true };
        for h in [
            Heads { sequences: 0, ..empty },
            Heads { queries: 0, keys: 0, ..empty },
            Heads { heads: 0, ..empty },
            Heads { units: 0, ..empty },
        ] {
            attention(level, precision, h, (&[], &[], &[]), &mut []);
        }
    }
    let beyond = View::new(&data, 2, 2, 4).from_row(2, 0);
    assert_eq!((beyond.rows(), beyond.cols()), (0, 2));
}

/// Packed operands are kept for the next product of a thread. Not a number times what is there to fill a step up is none.
#[test]
fn nothing_is_left_of_a_product_before() {
    let poison = vec![f32::from_bits(u32::MAX); 192 * 2100];
    for (level, precision) in formats() {
        for (n, k, m) in [(1, 1, 1), (5, 33, 7), (193, 515, 65), (13, 1025, 17), (7, 2049, 17)] {
            let (a, b) = (values(n * k, 1), values(k * m, 2));
            let (a, b) = (View::new(&a, n, k, k), View::new(&b, k, m, m));
            let all = View::new(&poison, 192, 2100, 2100);
            let mut fresh = vec![0f32; n * m];
            std::thread::scope(|scope| {
                scope.spawn(|| f32::product_once(level, precision, Threads::This, (&mut fresh, m), a, b)).join().is_ok()
            });
            for threads in [Threads::This, Threads::All] {
                let (mut bad, mut out) = (vec![0f32; 192 * 100], vec![0f32; n * m]);
                let of_poison = all.from_row(0, 100).transposed();
                f32::product_once(level, precision, threads, (&mut bad, 100), all, of_poison);
                assert!(bad.iter().all(|x| x.is_nan()));
                f32::product_once(level, precision, threads, (&mut out, m), a, b);
                assert!(out.iter().all(|x| x.is_finite()), "{level} {precision:?} {threads:?}");
                assert_eq!(out, fresh, "{level} {precision:?} {threads:?}");
            }
        }
    }
}

#[test]
fn products_inside_of_parallel_tasks_are_the_same() {
    let (n, k, m) = (100, 37, 530);
    let (a, b) = (values(n * k, 1), values(k * m, 2));
    let (a, b) = (View::new(&a, n, k, k), View::new(&b, k, m, m));
    let made = |(level, precision): (Level, Precision)| {
        let mut out = vec![0f32; 2 * n * m];
        let (whole, small) = out.split_at_mut(n * m);
        product(whole, m, a, &Packed::new(level, precision, b), Finish::default());
        for threads in [Threads::All, Threads::This] {
            small.fill(7.0);
            f32::product_once(level, precision, threads, (small, m), a, b);
            assert_eq!(whole, small, "{threads:?}");
        }
        out
    };
    let tasks: Vec<_> = formats().collect::<Vec<_>>().repeat(3);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads");
    let together: Vec<_> = pool.install(|| tasks.par_iter().map(|task| made(*task)).collect());
    assert!(tasks.iter().zip(&together).all(|(task, out)| made(*task) == *out));
}

/// Infinity in a column does not spread to others, nor into what fills a panel or step up.
#[test]
fn columns_keep_to_themselves() {
    for (level, precision) in formats() {
        for (k, m) in [(3, 9), (40, 33), (41, 65)] {
            let mut b = values(k * m, 4);
            b[(k - 1) * m + m / 2] = f32::INFINITY;
            let packed = Packed::new(level, precision, View::new(&b, k, m, m));
            let mut out = vec![0f32; 7 * m];
            product(&mut out, m, View::new(&values(7 * k, 3), 7, k, k), &packed, Finish::default());
            assert!(out.iter().enumerate().all(|(i, x)| x.is_finite() == (i % m != m / 2)), "{level} {precision:?}");
        }
    }
}

fn two_by_two(a: View<'_, f32>, out: &mut [f32], stride: usize, finish: Finish<'_>) {
    let packed = Packed::new(Level::best(), Precision::F32, View::new(&[1.0; 4], 2, 2, 2));
    product(out, stride, a, &packed, finish);
}

const ONES: [f32; 6] = [1.0; 6];

#[test]
#[should_panic(expected = "inner extents")]
fn another_inner_extent_is_refused() {
    two_by_two(View::new(&ONES, 2, 3, 3), &mut [0.0; 4], 2, Finish::default());
}

#[test]
#[should_panic(expected = "2 x 2 into 4")]
fn a_stride_beyond_counting_is_refused() {
    // Times one row, plus two values, it would be 1.
    two_by_two(View::new(&ONES, 2, 2, 2), &mut [0.0; 4], usize::MAX, Finish::default());
}

#[test]
#[should_panic(expected = "2 x 2 into 3")]
fn a_short_output_is_refused() {
    two_by_two(View::new(&ONES, 2, 2, 2), &mut [0.0; 3], 2, Finish::default());
}

#[test]
#[should_panic(expected = "an addend of 2 x 2")]
fn a_short_addend_is_refused() {
    let finish = Finish { add: Some(&ONES[..4]), ..Finish::default() };
    two_by_two(View::new(&ONES, 2, 2, 2), &mut [0.0; 5], 3, finish);
}

#[test]
#[should_panic(expected = "a bias for 2 columns")]
fn a_short_bias_is_refused() {
    let finish = Finish { bias: Some(&ONES[..1]), activation: Some(Activation::Gelu), ..Finish::default() };
    two_by_two(View::new(&ONES, 2, 2, 2), &mut [0.0; 4], 2, finish);
}

#[test]
#[should_panic(expected = "too many to pack")]
fn more_than_memory_is_not_packed() {
    // One value that is repeated; its panel of 8 lanes would be 2^64 words, which is none.
    Packed::new(Level::Portable, Precision::F32, View::new(&ONES, 1 << 61, 1, 0));
}

#[test]
#[should_panic(expected = "values, 18446744073709551615 apart")]
fn a_view_beyond_counting_is_refused() {
    View::new(&ONES, 2, 1, usize::MAX);
}

#[test]
#[should_panic(expected = "2 rows from 18446744073709551615 on")]
fn rows_beyond_counting_are_refused() {
    let _ = View::new(&ONES, 2, 3, 3).from_row(usize::MAX, 2);
}

#[test]
#[should_panic(expected = "keys for 3 queries")]
fn attention_to_nothing_is_refused() {
    let h = Heads { sequences: 1, queries: 3, keys: 0, heads: 1, units: 2, causal: false };
    attention(Level::Portable, Precision::F32, h, (&ONES, &[], &[]), &mut [0.0; 6]);
}

#[test]
fn levels_that_are_not_here_are_refused() {
    let here: Vec<_> = levels().collect();
    for level in Level::ALL.into_iter().filter(|level| !here.contains(level)) {
        let pack = || Packed::new(level, Precision::F32, View::new(&ONES, 2, 3, 3));
        assert!(std::panic::catch_unwind(pack).is_err() && level.use_for_all().is_err());
    }
    assert!(here.contains(&Level::best()));
}
