//! CLIP's loss (arXiv 2103.00020), with room for hard negatives.

use crate::engine::product::{by_rows, plain, transposed};
use crate::engine::{Memory, Real, Tape, Tensor};

/// Mean of two cross entropies over `exp(log_scale) image text^T`: each of the `b` images among all `m >= b` captions, and each of
/// the first `b` captions among the images. Caption `i` belongs to image `i`; captions from `b` on are hard negatives that belong
/// to none. `image [b, d]` and `text [m, d]` have rows of unit length; `log_scale [1]`. -> `[1]`, in nats.
pub fn contrastive_loss<F: Real>(
    tape: &mut Tape<F>,
    image: &Tensor<F>,
    text: &Tensor<F>,
    log_scale: &Tensor<F>,
) -> Tensor<F> {
    let (b, m, d) = (image.dim(0), text.dim(0), image.width());
    let scale = log_scale.data()[0].exp();
    let mut logits = by_rows(&Memory::new(), image.data(), text.data(), d, m);
    logits.iter_mut().for_each(|x| *x *= scale);
    // The gradient with respect to the logits is all that the backward needs.
    let share = F::one() / F::of(2.0 * b as f64);
    let mut loss = F::zero();
    let mut dlogits = vec![F::zero(); b * m];
    for (i, row) in logits.chunks(m).enumerate() {
        let log_sum = log_sum_exp(row.iter().copied());
        loss += (log_sum - row[i]) * share;
        for (g, x) in dlogits[i * m..(i + 1) * m].iter_mut().zip(row) {
            *g += (*x - log_sum).exp() * share;
        }
        dlogits[i * m + i] -= share;
    }
    for j in 0..b {
        let log_sum = log_sum_exp((0..b).map(|i| logits[i * m + j]));
        loss += (log_sum - logits[j * m + j]) * share;
        for i in 0..b {
            dlogits[i * m + j] += (logits[i * m + j] - log_sum).exp() * share;
        }
        dlogits[j * m + j] -= share;
    }
    let (image, text, scale_node) = (image.clone(), text.clone(), log_scale.node);
    tape.push(Tensor::new([1], vec![loss]), &[image.node, text.node, scale_node], move |dy, gradients| {
        let scaled = |x: Vec<F>| x.into_iter().map(|x| x * scale * dy[0]).collect();
        gradients.add(image.node, |memory| scaled(plain(memory, &dlogits, text.data(), m, d)));
        gradients.add(text.node, |memory| scaled(transposed(memory, &dlogits, image.data(), m, d)));
        gradients.add(scale_node, |_| vec![dlogits.iter().zip(&logits).map(|(g, x)| *g * *x).sum::<F>() * dy[0]]);
    })
}

fn log_sum_exp<F: Real>(values: impl Iterator<Item = F> + Clone) -> F {
    let max = values.clone().fold(F::neg_infinity(), F::max);
    max + values.map(|x| (x - max).exp()).sum::<F>().ln()
}
