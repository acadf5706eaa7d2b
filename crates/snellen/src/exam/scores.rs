//! From embeddings to right and wrong.

use crate::Result;
use crate::engine::Tensor;
use crate::model::{Hook, Model};

/// Cosine of two unit-length embeddings.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum()
}

/// One embedding per class: the normalised mean of the embeddings of its captions (prompt ensembling, arXiv 2103.00020).
pub(super) fn class_embeddings(model: &Model, classes: &[Vec<String>], hook: &mut dyn Hook) -> Result<Vec<Vec<f32>>> {
    let captions: Vec<&String> = classes.iter().flatten().collect();
    let embeds = model.encode_texts(&captions, hook)?;
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

/// The winners among `classes` for every picture: those that score highest, more than one where they tie.
pub(super) fn winners(pictures: &Tensor<f32>, classes: &[Vec<f32>]) -> Vec<Vec<usize>> {
    let of = |row: &[f32]| {
        let scores: Vec<f64> = classes.iter().map(|class| cosine(row, class)).collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (0..classes.len()).filter(|c| scores[*c] >= best).collect()
    };
    pictures.data().chunks(pictures.width()).map(of).collect()
}

/// The share of `winners` that are `right`: 1 or 0 but for ties.
pub(super) fn outcome(winners: &[usize], right: impl Fn(usize) -> bool) -> f64 {
    winners.iter().filter(|w| right(**w)).count() as f64 / winners.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{outcome, winners};
    use crate::engine::Tensor;

    #[test]
    fn ties_share() {
        let pictures = Tensor::new([2, 2], vec![1.0, 0.0, 0.6, 0.8]);
        let classes = [vec![0.0, 1.0], vec![1.0, 0.0], vec![0.0, 1.0]];
        let won = winners(&pictures, &classes);
        assert_eq!(won, [vec![1], vec![0, 2]]);
        assert_eq!(
            (outcome(&won[0], |c| c == 1), outcome(&won[1], |c| c == 2), outcome(&won[1], |c| c == 1)),
            (1.0, 0.5, 0.0)
        );
    }
}
