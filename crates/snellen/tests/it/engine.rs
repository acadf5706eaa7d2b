//! Backwards against finite differences in f64, and determinism over threads.

use snellen::engine::{Activation, Precision, Real, Tape, Tensor, Weight, ops};

/// Values that look random and are the same everywhere.
fn values(n: usize, seed: u64) -> Vec<f64> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0
        })
        .collect()
}

fn tensor(shape: &[usize], seed: u64) -> Tensor<f64> {
    Tensor::new(shape, values(shape.iter().product(), seed))
}

fn linear<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, w: &Tensor<F>, bias: Option<&Tensor<F>>) -> Tensor<F> {
    ops::linear(x, &Weight::from(w.clone()), bias).make(tape)
}

/// Compares the tape's gradient of a weighted sum of `f`'s output with central differences, for every value of every input.
fn check(name: &str, inputs: &[Tensor<f64>], f: impl Fn(&mut Tape<f64>, &[Tensor<f64>]) -> Tensor<f64>) {
    let weigh = |tape: &mut Tape<f64>, leaves: &[Tensor<f64>]| {
        let y = f(tape, leaves);
        let n = y.data().len();
        let weights = Tensor::new([1, n], values(n, 99));
        linear(tape, &y.reshape([1, n]), &weights, None)
    };
    let mut tape = Tape::on();
    let leaves: Vec<_> = inputs.iter().map(|t| tape.leaf(t)).collect();
    let loss = weigh(&mut tape, &leaves);
    let gradients = tape.backward(&loss);
    for (i, leaf) in leaves.iter().enumerate() {
        let gradient = gradients.of(leaf).unwrap_or_else(|| panic!("{name}: no gradient for input {i}"));
        for (at, &got) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut inputs = inputs.to_vec();
                inputs[i].data_mut()[at] += by;
                weigh(&mut Tape::off(), &inputs).data()[0]
            };
            let h = 1e-5;
            let expected = (moved(h) - moved(-h)) / (2.0 * h);
            assert!(
                (got - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                "{name}: input {i}[{at}]: {got} against {expected}"
            );
        }
    }
}

#[test]
fn backwards_agree_with_finite_differences() {
    check("linear", &[tensor(&[2, 3, 4], 1), tensor(&[5, 4], 2), tensor(&[5], 3)], |t, x| {
        linear(t, &x[0], &x[1], Some(&x[2]))
    });
    check("linear without bias", &[tensor(&[7, 4], 1), tensor(&[19, 4], 2)], |t, x| linear(t, &x[0], &x[1], None));
    let angles = |sign: f64, neighbours| ops::Angles {
        cos: Tensor::new([4, 3], values(12, 5).into_iter().map(f64::cos).collect()),
        sin: Tensor::new([4, 3], values(12, 5).into_iter().map(|angle| sign * angle.sin()).collect()),
        first: 2,
        neighbours,
    };
    for neighbours in [false, true] {
        check("rotate", &[tensor(&[2, 6, 2, 6], 1)], |t, x| ops::rotate(t, &x[0], &angles(1.0, neighbours)));
        let x = tensor(&[2, 6, 2, 6], 1);
        let turned = ops::rotate(&mut Tape::off(), &x, &angles(1.0, neighbours));
        let back = ops::rotate(&mut Tape::off(), &turned, &angles(-1.0, neighbours));
        for (at, ((x, turned), back)) in x.data().iter().zip(turned.data()).zip(back.data()).enumerate() {
            assert!((x - back).abs() < 1e-12, "turned there and back: {x} against {back}");
            // The tokens before the first stay as they are, and the others do not.
            assert_eq!((at / 12) % 6 < 2, x.to_bits() == turned.to_bits(), "value {at}");
        }
    }
    check(
        "linear with what follows",
        &[tensor(&[2, 3, 4], 1), tensor(&[5, 4], 2), tensor(&[5], 3), tensor(&[2, 3, 5], 4)],
        |t, x| {
            let weight = Weight::from(x[1].clone());
            let pending = ops::linear(&x[0], &weight, Some(&x[2])).activate(t, Activation::QuickGelu);
            pending.scale(t, &x[2]).add(t, &x[3]).make(t)
        },
    );
    check("linear and a sum", &[tensor(&[2, 3, 4], 1), tensor(&[5, 4], 2), tensor(&[2, 3, 5], 4)], |t, x| {
        ops::linear(&x[0], &Weight::from(x[1].clone()), None).add(t, &x[2]).make(t)
    });
    for kind in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu] {
        check("activate", &[tensor(&[3, 7], 4)], |t, x| ops::activate(t, &x[0], kind));
    }
    check("add", &[tensor(&[3, 2], 5), tensor(&[3, 2], 6)], |t, x| ops::add(t, &x[0], &x[1]));
    check("add to itself", &[tensor(&[3, 2], 5)], |t, x| ops::add(t, &x[0], &x[0]));
    check("layer_norm", &[tensor(&[3, 6], 7), tensor(&[6], 8), tensor(&[6], 9)], |t, x| {
        ops::layer_norm(t, &x[0], &x[1], &x[2], 1e-3)
    });
    check("unit_rows", &[tensor(&[3, 5], 10)], |t, x| ops::unit_rows(t, &x[0]));
    for causal in [false, true] {
        check(
            "attention",
            &[tensor(&[2, 5, 3, 4], 11), tensor(&[2, 5, 3, 4], 12), tensor(&[2, 5, 3, 4], 13)],
            |t, x| {
                let scores = ops::scores(t, &x[0], &x[1], causal, Precision::F32);
                let pattern = ops::softmax(t, &scores);
                ops::mix(t, &pattern, &x[2], Precision::F32)
            },
        );
    }
    check("patches", &[tensor(&[2, 3, 5, 7], 14)], |t, x| ops::patches(t, &x[0], 2));
    check("attention of one query", &[tensor(&[2, 1, 3, 4], 11), tensor(&[2, 5, 3, 4], 12)], |t, x| {
        let scores = ops::scores(t, &x[0], &x[1], false, Precision::F32);
        let pattern = ops::softmax(t, &scores);
        ops::mix(t, &pattern, &x[1], Precision::F32)
    });
    check("multiply", &[tensor(&[3, 2], 5), tensor(&[3, 2], 6)], |t, x| ops::multiply(t, &x[0], &x[1]));
    check("scale", &[tensor(&[2, 3, 4], 5), tensor(&[4], 6)], |t, x| ops::scale(t, &x[0], &x[1]));
    for at in [0, 1, 3] {
        check("insert", &[tensor(&[2, 3, 4], 15), tensor(&[2, 4], 16)], |t, x| ops::insert(t, &x[0], &x[1], at));
    }
    check("mean_tokens", &[tensor(&[3, 4, 2], 19)], |t, x| ops::mean_tokens(t, &x[0], 1));
    check("repeat", &[tensor(&[5, 3], 17)], |t, x| ops::repeat(t, &x[0], 4, 3));
    check("embed", &[tensor(&[6, 3], 18)], |t, x| ops::embed(t, &x[0], &[0, 5, 5, 2, 1, 0], 3));
    check("select", &[tensor(&[3, 4, 2], 19)], |t, x| ops::select(t, &x[0], &[3, 0, 1]));
    check("contrastive_loss", &[tensor(&[3, 4], 20), tensor(&[5, 4], 21), tensor(&[1], 22)], |t, x| {
        ops::contrastive_loss(t, &x[0], &x[1], &x[2])
    });
}

#[test]
fn contrastive_loss_of_equal_logits_is_the_logarithm_of_the_choices() {
    let (image, text, scale) =
        (Tensor::new([3, 2], vec![1.0; 6]), Tensor::new([5, 2], vec![1.0; 10]), Tensor::new([1], vec![0.7]));
    let loss = ops::contrastive_loss(&mut Tape::off(), &image, &text, &scale).data()[0];
    assert!((loss - f64::midpoint(5f64.ln(), 3f64.ln())).abs() < 1e-12, "{loss}");
}

#[test]
fn products_have_the_same_bytes_on_one_and_on_four_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let single = |shape: &[usize], seed| {
                Tensor::new(shape, tensor(shape, seed).data().iter().map(|x| *x as f32).collect::<Vec<f32>>())
            };
            let (x, w, b) = (single(&[523, 37], 1), single(&[61, 37], 2), single(&[61], 3));
            let mut tape = Tape::on();
            let (x, w, b) = (tape.leaf(&x), tape.leaf(&w), tape.leaf(&b));
            let y = linear(&mut tape, &x, &w, Some(&b));
            let y = ops::layer_norm(&mut tape, &y, &b, &b, 1e-5);
            let total = linear(&mut tape, &y.clone().reshape([1, 523 * 61]), &single(&[1, 523 * 61], 4), None);
            let gradients = tape.backward(&total);
            let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            [
                bits(y.data()),
                bits(gradients.of(&x).unwrap()),
                bits(gradients.of(&w).unwrap()),
                bits(gradients.of(&b).unwrap()),
            ]
        })
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn what_follows_a_product_gives_the_same_bytes_at_once_and_step_by_step() {
    let single = |shape: &[usize], seed| {
        Tensor::new(shape, tensor(shape, seed).data().iter().map(|x| *x as f32).collect::<Vec<f32>>())
    };
    let (x, w, b) = (single(&[53, 37], 1), single(&[61, 37], 2), single(&[61], 3));
    let (gain, residual) = (single(&[61], 4), single(&[53, 61], 5));
    for precision in Precision::ALL {
        let mut weight = Weight::from(w.clone());
        weight.pack(precision);
        for kind in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu] {
            let mut tape = Tape::off();
            let pending = ops::linear(&x, &weight, Some(&b)).activate(&mut tape, kind).scale(&mut tape, &gain);
            let at_once = pending.add(&mut tape, &residual).make(&mut tape);
            let made = ops::linear(&x, &weight, Some(&b)).make(&mut tape);
            let made = ops::activate(&mut tape, &made, kind);
            let made = ops::scale(&mut tape, &made, &gain);
            let made = ops::add(&mut tape, &residual, &made);
            assert_eq!(at_once.data(), made.data(), "{precision} {kind:?}");
        }
    }
}

#[test]
fn a_packed_weight_passes_the_same_gradient_on() {
    let (x, w) = (tensor(&[7, 5], 1), tensor(&[6, 5], 2));
    let gradient = |packed: bool| {
        let mut weight = Weight::from(w.clone());
        if packed {
            weight.pack(Precision::F32);
        }
        let mut tape = Tape::on();
        let x = tape.leaf(&x);
        let y = ops::linear(&x, &weight, None).make(&mut tape).reshape([1, 42]);
        let loss = linear(&mut tape, &y, &tensor(&[1, 42], 3), None);
        tape.backward(&loss).of(&x).unwrap().to_vec()
    };
    assert_eq!(gradient(true), gradient(false));
}
