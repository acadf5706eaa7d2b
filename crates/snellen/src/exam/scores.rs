//! From embeddings to right and wrong.

use crate::Result;
use crate::engine::Tensor;
use crate::model::Model;

/// Cosine of two unit-length embeddings.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum()
}

/// 1 where the right choice alone scores highest, its share where it ties with others, else 0.
pub(super) fn outcome(scores: &[f64], right: usize) -> f64 {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let winners = scores.iter().filter(|s| **s >= best).count();
    if scores[right] >= best { 1.0 / winners as f64 } else { 0.0 }
}

/// One embedding per class: the normalised mean of the embeddings of its captions (prompt ensembling, arXiv 2103.00020).
pub(super) fn class_embeddings(model: &Model, classes: &[Vec<String>]) -> Result<Vec<Vec<f32>>> {
    let captions: Vec<&String> = classes.iter().flatten().collect();
    let embeds = model.encode_texts(&captions, &mut ())?;
    let mut rows = embeds.data().chunks(embeds.width());
    let mean = |n: usize, rows: &mut dyn Iterator<Item = &[f32]>| {
        let mut sum = vec![0.0f64; embeds.width()];
        for row in rows.take(n) {
            sum.iter_mut().zip(row).for_each(|(s, x)| *s += *x as f64);
        }
        let length = sum.iter().map(|s| s * s).sum::<f64>().sqrt();
        sum.iter().map(|s| (s / length) as f32).collect()
    };
    Ok(classes.iter().map(|captions| mean(captions.len(), &mut rows)).collect())
}

/// The outcome of choosing among `classes` for every picture, given the right class of each.
pub(super) fn zero_shot(pictures: &Tensor<f32>, classes: &[Vec<f32>], right: &[usize]) -> Vec<f64> {
    let of = |(row, right): (&[f32], &usize)| {
        let scores: Vec<f64> = classes.iter().map(|class| cosine(row, class)).collect();
        outcome(&scores, *right)
    };
    pictures.data().chunks(pictures.width()).zip(right).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::outcome;

    #[test]
    fn ties_share() {
        let shares = [
            outcome(&[0.1, 0.3, 0.2], 1),
            outcome(&[0.3, 0.3, 0.2], 1),
            outcome(&[0.2; 4], 0),
            outcome(&[0.1, 0.3], 0),
        ];
        assert_eq!(shares, [1.0, 0.5, 0.25, 0.0]);
    }
}
