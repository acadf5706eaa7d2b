//! Products of matrices, cut into tasks.

use crate::block::{Block, Finish, ROWS, block, with_left};
#[cfg(target_arch = "x86_64")]
use crate::format::{Avx2, Avx512, Avx512Pairs};
use crate::format::{Portable, Precision};
use crate::packed::Packed;
use crate::view::extent;
use crate::{Level, View};
use rayon::prelude::*;
use std::cell::RefCell;

/// Columns that a task should have at least, so that packing its rows is little of its work.
const COLUMNS: usize = 512;

/// A pointer that tasks share, each for a part of its own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: whoever makes one sees to it that no two threads use the same part.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn pointer(self) -> *mut f32 {
        self.0
    }
}

/// `out = finish(a b)`, where `out` has rows `stride` apart; on all threads. Every value is made by the same operations in the same
/// order whatever the number of threads and whatever other rows there are.
///
/// # Panics
/// If an extent does not fit another.
pub fn product(out: &mut [f32], stride: usize, a: View<'_, f32>, b: &Packed, finish: Finish<'_>) {
    // SAFETY: `run` has a kernel for whatever operand was packed.
    unsafe { product_by(run, out, stride, a, b, finish) };
}

/// [`product`] whose tasks are made by `run`, so that tests can put a format of their own in its place.
///
/// # Safety
/// `run` can make tasks of the format that `b` is packed for.
pub(crate) unsafe fn product_by(
    run: unsafe fn(&Block<'_>),
    out: &mut [f32],
    stride: usize,
    a: View<'_, f32>,
    b: &Packed,
    finish: Finish<'_>,
) {
    check(out, stride, a, b, &finish);
    let (rows, panels) = (a.rows(), b.cols().div_ceil(b.shape.width()));
    if rows == 0 || panels == 0 {
        return;
    }
    let tall = rows.div_ceil(ROWS);
    let wanted = 4 * rayon::current_num_threads();
    let widest = panels.div_ceil(COLUMNS.div_ceil(b.shape.width()));
    let groups = wanted.div_ceil(tall).clamp(1, widest);
    let panels_each = panels.div_ceil(groups);
    let groups = panels.div_ceil(panels_each);
    let rows_each = rows.div_ceil(tall).next_multiple_of(b.shape.rows_of_tile).min(ROWS);
    let tall = rows.div_ceil(rows_each);
    let shared = Shared(out.as_mut_ptr());
    let task = |i: usize| {
        let (row, panel) = (i / groups * rows_each, i % groups * panels_each);
        let task = Block {
            a,
            rows: row..rows.min(row + rows_each),
            b,
            panels: panel..panels.min(panel + panels_each),
            out: shared.pointer(),
            stride,
            finish,
        };
        // SAFETY: `check` says that everything fits, and no two tasks have both a row and a column in common.
        unsafe { run(&task) };
    };
    if tall * groups == 1 {
        return task(0);
    }
    (0..tall * groups).into_par_iter().with_max_len(1).for_each(task);
}

fn check(out: &[f32], stride: usize, a: View<'_, f32>, b: &Packed, finish: &Finish<'_>) {
    let (rows, cols) = (a.rows(), b.cols());
    assert_eq!(a.cols(), b.rows(), "inner extents");
    assert!(stride >= cols && extent(rows, cols, stride, 1) <= out.len(), "{rows} x {cols} into {}", out.len());
    assert!(finish.bias.is_none_or(|bias| bias.len() == cols), "a bias for {cols} columns");
    assert!(finish.gain.is_none_or(|gain| gain.len() == cols), "a gain for {cols} columns");
    assert!(finish.add.is_none_or(|add| extent(rows, cols, stride, 1) <= add.len()), "an addend of {rows} x {cols}");
}

/// Makes a task on the level and in the precision of its right operand.
///
/// # Safety
/// As [`block()`] says; that the processor has the instructions was checked when the operand was packed.
unsafe fn run(task: &Block<'_>) {
    macro_rules! compiled {
        ($($name:ident: $format:ty, $features:literal;)*) => {
            $(#[cfg(target_arch = "x86_64")]
            #[target_feature(enable = $features)]
            unsafe fn $name(task: &Block<'_>, left: &mut [u32]) {
                // SAFETY: the caller's.
                unsafe { block::<$format>(task, left) }
            })*
        };
    }
    compiled! {
        avx2: Avx2<false>, "avx2,fma";
        avx2_bf16: Avx2<true>, "avx2,fma";
        avx512: Avx512<false>, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma";
        avx512_bf16: Avx512<true>, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma";
        avx512_pairs: Avx512Pairs, "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma";
    }
    // SAFETY: the caller's.
    with_left(|left| unsafe {
        match (task.b.level, task.b.precision) {
            (Level::Portable, Precision::F32) => block::<Portable<false>>(task, left),
            (Level::Portable, Precision::Bf16) => block::<Portable<true>>(task, left),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, Precision::F32) => avx2(task, left),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, Precision::Bf16) => avx2_bf16(task, left),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512 | Level::Avx512Bf16, Precision::F32) => avx512(task, left),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, Precision::Bf16) => avx512_bf16(task, left),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512Bf16, Precision::Bf16) => avx512_pairs(task, left),
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("a level of another processor"),
        }
    });
}

/// `out = finish(a b)` on this thread.
pub(crate) fn product_here(out: &mut [f32], stride: usize, a: View<'_, f32>, b: &Packed, finish: Finish<'_>) {
    check(out, stride, a, b, &finish);
    let panels = b.cols().div_ceil(b.shape.width());
    if panels == 0 {
        return;
    }
    for row in (0..a.rows()).step_by(ROWS) {
        let rows = row..a.rows().min(row + ROWS);
        // SAFETY: `check` says that everything fits, and the output is ours.
        unsafe { run(&Block { a, rows, b, panels: 0..panels, out: out.as_mut_ptr(), stride, finish }) };
    }
}

thread_local! {
    static RIGHT: RefCell<Option<Packed>> = const { RefCell::new(None) };
}

/// `out = a b` on this thread, packed on the way.
pub(crate) fn small_product(
    level: Level,
    precision: Precision,
    out: &mut [f32],
    stride: usize,
    a: View<'_, f32>,
    b: View<'_, f32>,
) {
    // Taken out and put back: a thread that waits may be given another task of this kind.
    let kept = RIGHT.take().filter(|packed| (packed.level, packed.precision) == (level, precision));
    let mut packed = kept.unwrap_or_else(|| Packed::empty(level, precision));
    packed.set(b, false);
    product_here(out, stride, a, &packed, Finish::default());
    RIGHT.set(Some(packed));
}
