//! Products of matrices, cut into tasks.

use crate::block::{Block, Finish, ROWS, Shared, block, with_left};
use crate::format::{Precision, per_format};
use crate::packed::{Packed, Panels};
use crate::view::extent;
use crate::{Level, View};
use rayon::prelude::*;
use std::cell::RefCell;

/// Columns that a task has at least, so that packing its rows is little of its work.
const COLUMNS: usize = 192;
/// Rows that a task has at least, so that a panel is used often once it is near.
const LOW: usize = 48;

/// Rows of a task and panels of a task, where `alike` such products are made at once.
///
/// Of all cuts into blocks of equal size the one that takes least time, where a block is as long as it is large, its rows are
/// packed in 1/200 of the time that [`ROWS`] rows take by all columns, and panels come in from afar in 1/20.
fn cut(rows: usize, panels: usize, shape: Panels, (threads, alike): (usize, usize)) -> (usize, usize) {
    let widest = panels.div_ceil(COLUMNS.div_ceil(shape.width()));
    let time = |tall: usize, groups: usize| {
        let tasks = tall * groups * alike;
        let rounds = tasks.div_ceil(threads) as f64 / tasks as f64;
        rounds * (1.0 + groups as f64 / 200.0 + (tall * ROWS) as f64 / rows as f64 / 20.0)
    };
    let (lowest, highest) = (rows.div_ceil(ROWS), rows.div_ceil(LOW));
    let cuts = (lowest..=highest.min(lowest + threads)).flat_map(|tall| (1..=widest).map(move |groups| (tall, groups)));
    let best = cuts.min_by(|a, b| time(a.0, a.1).total_cmp(&time(b.0, b.1)));
    let (tall, groups) = best.unwrap_or((lowest, 1));
    (rows.div_ceil(tall).next_multiple_of(shape.rows_of_tile).min(ROWS), panels.div_ceil(groups))
}

/// Who makes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The thread that asks: for one of many small products, which threads share.
    This,
    /// All of them.
    All,
}

/// One of several products that are made at once.
#[derive(Debug)]
pub struct Job<'a, F = f32, P = Packed> {
    /// The output.
    pub out: &'a mut [F],
    /// How far its rows are apart.
    pub stride: usize,
    /// The left operand.
    pub a: View<'a, F>,
    /// The right one.
    pub b: &'a P,
    /// What is done to the sums.
    pub finish: Finish<'a, F>,
}

/// `out = finish(a b)`, where `out` has rows `stride` apart; on all threads. Every value is made by the same operations in the same
/// order whatever the number of threads and whatever other rows there are.
///
/// # Panics
/// If an extent does not fit another.
pub fn product(out: &mut [f32], stride: usize, a: View<'_, f32>, b: &Packed, finish: Finish<'_>) {
    products(&mut [Job { out, stride, a, b, finish }]);
}

/// Several products at once: threads wait for each other after all of them, not after each. Values are those of [`product`].
///
/// # Panics
/// If an extent does not fit another.
pub fn products(jobs: &mut [Job<'_>]) {
    // SAFETY: `run` has a kernel for whatever operand was packed.
    unsafe { products_by(run, jobs) };
}

/// [`products`] whose tasks are made by `run`, so that tests can put a format of their own in its place.
///
/// # Safety
/// `run` can make tasks of the format that every `b` is packed for.
pub(crate) unsafe fn products_by(run: unsafe fn(&Block<'_>), jobs: &mut [Job<'_>]) {
    let cores = (rayon::current_num_threads(), jobs.len());
    let mut tasks = Vec::new();
    for job in jobs {
        let (a, b, stride, finish) = (job.a, job.b, job.stride, job.finish);
        check(job.out, stride, a, b, &finish);
        let (rows, panels, out) = (a.rows(), b.cols().div_ceil(b.shape.width()), Shared(job.out.as_mut_ptr()));
        if rows == 0 || panels == 0 {
            continue;
        }
        let (rows_each, panels_each) = cut(rows, panels, b.shape, cores);
        for row in (0..rows).step_by(rows_each) {
            for panel in (0..panels).step_by(panels_each) {
                let (rows, panels) = (row..rows.min(row + rows_each), panel..panels.min(panel + panels_each));
                tasks.push(Block { a, rows, b, panels, out, stride, finish });
            }
        }
    }
    // SAFETY: `check` says that everything fits, and no two tasks have an output and both a row and a column in common.
    let make = |task: &Block<'_>| unsafe { run(task) };
    match &tasks[..] {
        [one] => make(one),
        _ => tasks.par_iter().with_max_len(1).for_each(make),
    }
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
    // SAFETY: the caller's.
    with_left(|left| unsafe {
        match (task.b.level, task.b.precision) {
            #[cfg(target_arch = "x86_64")]
            (Level::AmxBf16, Precision::Bf16) => crate::amx::block(task, left),
            (level, precision) => run_with(level, precision, task, left),
        }
    });
}

per_format! {
    /// The same with the left operand's memory.
    ///
    /// # Safety
    /// As [`block()`] says.
    unsafe fn run_with(task: &Block<'_>, left: &mut [u32]) by block;
}

/// `out = finish(a b)` on this thread.
pub(crate) fn product_here(out: &mut [f32], stride: usize, a: View<'_, f32>, b: &Packed, finish: Finish<'_>) {
    check(out, stride, a, b, &finish);
    // SAFETY: `check` says that everything fits, and the output is ours.
    unsafe { product_to(out.as_mut_ptr(), stride, a, b, finish) };
}

/// The same, unchecked.
///
/// # Safety
/// Everything fits, and nobody else reads or writes the output's places meanwhile.
pub(crate) unsafe fn product_to(out: *mut f32, stride: usize, a: View<'_, f32>, b: &Packed, finish: Finish<'_>) {
    let panels = b.cols().div_ceil(b.shape.width());
    if panels == 0 {
        return;
    }
    for row in (0..a.rows()).step_by(ROWS) {
        let rows = row..a.rows().min(row + ROWS);
        // SAFETY: the caller's.
        unsafe { run(&Block { a, rows, b, panels: 0..panels, out: Shared(out), stride, finish }) };
    }
}

/// The most bytes of a right operand that a thread keeps for the next.
const KEPT: usize = 64 << 20;

thread_local! {
    static RIGHT: RefCell<Option<Packed>> = const { RefCell::new(None) };
}

/// [`Kernels::product_once`](crate::Kernels::product_once).
pub(crate) fn product_once(
    level: Level,
    precision: Precision,
    threads: Threads,
    (out, stride): (&mut [f32], usize),
    a: View<'_, f32>,
    b: View<'_, f32>,
) {
    // Taken out and put back: a thread that waits may be given another task of this kind.
    let kept = RIGHT.take().filter(|packed| (packed.level, packed.precision) == (level, precision));
    let mut packed = kept.unwrap_or_else(|| Packed::empty(level, precision));
    packed.set(b, threads == Threads::All);
    match threads {
        Threads::This => product_here(out, stride, a, &packed, Finish::default()),
        Threads::All => product(out, stride, a, &packed, Finish::default()),
    }
    if packed.bytes() <= KEPT {
        RIGHT.set(Some(packed));
    }
}
