//! Attention against its steps one at a time, and against f64.

use crate::{cases, formats, values};
use proptest::prelude::*;
use snellen_cpu::{Heads, Kernels, Precision, Threads, View, attention, rows};

proptest! {
#![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

#[test]
fn attention_is_the_same_as_by_its_steps(
    sequences in 1usize..3, queries in 1usize..70, more in 0usize..40, heads in 1usize..5, units in 1usize..70,
    causal: bool, seed in 0u64..1_000_000,
) {
    let keys = if causal { queries } else { queries + more };
    agrees(Heads { sequences, queries, keys, heads, units, causal }, seed)?;
}}

/// More keys than a kernel sums at once.
#[test]
fn attention_to_many_keys_is_the_same_as_by_its_steps() {
    for (queries, keys, causal) in [(3, 1_024, false), (3, 1_025, false), (1_040, 1_040, true)] {
        let h = Heads { sequences: 1, queries, keys, heads: 1, units: 5, causal };
        assert!(agrees(h, 7).is_ok(), "{h:?}");
    }
}

fn agrees(h: Heads, seed: u64) -> Result<(), TestCaseError> {
    let Heads { sequences, queries, keys, heads, units, causal } = h;
    let wide = heads * units;
    let q = values(sequences * queries * wide, seed);
    let (k, v) = (values(sequences * keys * wide, seed + 1), values(sequences * keys * wide, seed + 2));
    for (level, precision) in formats() {
        let mut z = vec![0f32; q.len()];
        attention(level, precision, h, (&q, &k, &v), &mut z);
        for s in 0..sequences {
            for head in 0..heads {
                let of = |x: &'_ [f32], tokens: usize| -> Vec<f32> {
                    (0..tokens).flat_map(|t| x[(s * tokens + t) * wide + head * units..][..units].to_vec()).collect()
                };
                let (q, k, v, z) = (of(&q, queries), of(&k, keys), of(&v, keys), of(&z, queries));
                let mut pattern = vec![0f32; queries * keys];
                let (qs, ks) = (View::new(&q, queries, units, units), View::new(&k, keys, units, units));
                f32::product_once(level, precision, Threads::This, (&mut pattern, keys), qs, ks.transposed());
                rows::scale(level, &mut pattern, 1.0 / (units as f32).sqrt());
                for (i, row) in pattern.chunks_mut(keys).enumerate().filter(|_| causal) {
                    row[i + 1..].fill(f32::NEG_INFINITY);
                }
                f32::softmax(level, &mut pattern, keys);
                prop_assert!(pattern.chunks(keys).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
                let mut steps = vec![0f32; queries * units];
                let (ps, vs) = (View::new(&pattern, queries, keys, keys), View::new(&v, keys, units, units));
                f32::product_once(level, precision, Threads::This, (&mut steps, units), ps, vs);
                prop_assert_eq!(&z, &steps);
                if precision == Precision::F32 {
                    let wanted = slow_attention(&q, &k, &v, (keys, units), causal);
                    prop_assert!(z.iter().zip(&wanted).all(|(x, y)| (*x as f64 - y).abs() < 1e-5));
                }
            }
        }
    }
    Ok(())
}

fn slow_attention(q: &[f32], k: &[f32], v: &[f32], (keys, units): (usize, usize), causal: bool) -> Vec<f64> {
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|x| *x as f64).collect() };
    let (q, k, v) = (wide(q), wide(k), wide(v));
    let mut out = Vec::new();
    for (i, q) in q.chunks(units).enumerate() {
        let seen = if causal { i + 1 } else { keys };
        let weights: Vec<f64> = k
            .chunks(units)
            .take(seen)
            .map(|k| (q.iter().zip(k).map(|(a, b)| a * b).sum::<f64>() / (units as f64).sqrt()).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        let mean = |u: usize| weights.iter().enumerate().map(|(j, w)| w * v[j * units + u]).sum::<f64>() / total;
        out.extend((0..units).map(mean));
    }
    out
}
