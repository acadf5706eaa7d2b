//! Kernels at the shapes of CLIP's ViT-L/14, for batches of 8 images and of one: `cargo bench -p snellen-cpu [-- FILTER]`.
//!
//! Throughput of products and attention is in operations, two for each multiplication and addition, that of a layer norm in
//! bytes read and written. `snellen_cpu::peak` is what to hold operations against; it stands in the first line.
#![allow(missing_docs, reason = "criterion's macros make functions without")]
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use snellen_cpu::{Activation, Finish, Heads, Level, Packed, Precision, View, attention, peak, product, rows};
use std::hint::black_box;

/// Tokens of an image.
const TOKENS: usize = 257;
/// Width of the residual stream.
const WIDTH: usize = 1024;
/// Hidden units of an MLP.
const HIDDEN: usize = 4096;

const PRECISIONS: [(&str, Precision); 2] = [("f32", Precision::F32), ("bf16", Precision::Bf16)];

/// Values between -1 and 1 that do not repeat soon.
fn values(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as u32).wrapping_mul(2_654_435_761) as i32 as f32 / 2_147_483_648.0).collect()
}

/// The four products of a block, as the forward makes them: with bias, activation and residual stream.
fn products(c: &mut Criterion) {
    let level = Level::current();
    let threads = rayon::current_num_threads();
    for (name, precision) in PRECISIONS {
        println!("peak, {level}, {threads} threads, {name}: {:.1} GFLOP/s", peak(level, precision, threads, 10) / 1e9);
    }
    let shapes = [("qkv", WIDTH, 3 * WIDTH), ("out", WIDTH, WIDTH), ("up", WIDTH, HIDDEN), ("down", HIDDEN, WIDTH)];
    for (name, inner, cols) in shapes {
        let (weight, bias) = (values(cols * inner), values(cols));
        for batch in [8, 1] {
            let rows = batch * TOKENS;
            let (a, residual) = (values(rows * inner), values(rows * cols));
            let finish = Finish {
                bias: Some(&bias),
                activation: (name == "up").then_some(Activation::QuickGelu),
                add: (cols == WIDTH).then_some(&residual[..]),
                ..Finish::default()
            };
            let mut out = vec![0.0; rows * cols];
            let mut group = c.benchmark_group(format!("product/{name}/b{batch}"));
            group.sample_size(10).throughput(Throughput::Elements((2 * rows * inner * cols) as u64));
            for (dtype, precision) in PRECISIONS {
                let packed = Packed::new(level, precision, View::new(&weight, cols, inner, inner).transposed());
                group.bench_function(BenchmarkId::from_parameter(dtype), |b| {
                    b.iter(|| product(black_box(&mut out), cols, View::new(&a, rows, inner, inner), &packed, finish));
                });
            }
            group.finish();
        }
    }
}

/// Attention of 16 heads.
fn attentions(c: &mut Criterion) {
    let level = Level::current();
    for batch in [8, 1] {
        let heads =
            Heads { sequences: batch, queries: TOKENS, keys: TOKENS, heads: 16, units: WIDTH / 16, causal: false };
        let n = batch * TOKENS * WIDTH;
        let (q, k, v, mut out) = (values(n), values(n), values(n), vec![0.0; n]);
        let mut group = c.benchmark_group(format!("attention/b{batch}"));
        group.sample_size(10).throughput(Throughput::Elements((4 * batch * TOKENS * TOKENS * WIDTH) as u64));
        for (dtype, precision) in PRECISIONS {
            group.bench_function(BenchmarkId::from_parameter(dtype), |b| {
                b.iter(|| attention(level, precision, heads, (&q, &k, &v), black_box(&mut out)));
            });
        }
        group.finish();
    }
}

/// A layer norm, on one thread.
fn norms(c: &mut Criterion) {
    let level = Level::current();
    let (gain, bias) = (values(WIDTH), values(WIDTH));
    for batch in [8, 1] {
        let x = values(batch * TOKENS * WIDTH);
        let mut out = vec![0.0; x.len()];
        let mut group = c.benchmark_group(format!("layer_norm/b{batch}"));
        group.sample_size(20).throughput(Throughput::Bytes(8 * x.len() as u64));
        group.bench_function(BenchmarkId::from_parameter("f32"), |b| {
            b.iter(|| rows::layer_norm(level, &x, &gain, &bias, 1e-5, black_box(&mut out)));
        });
        group.finish();
    }
}

criterion_group!(kernels, products, attentions, norms);
criterion_main!(kernels);
