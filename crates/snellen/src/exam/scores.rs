//! From embeddings to right and wrong.

use super::sitting::Sitting;
use crate::Result;
use crate::measure::Matrix;

/// Cosines nearer to one another than this are a tie: a tower blind to the order of words gives two captions of the same words
/// embeddings that rounding alone tells apart, by 2e-6 in f32.
pub(super) const TIE: f64 = 1e-5;

/// What a margin between two captions is worth: 1 where it favours the right one, 1/2 at a tie, else 0.
pub(super) fn decided(margin: f64) -> f64 {
    if margin.abs() <= TIE { 0.5 } else { f64::from(u8::from(margin > 0.0)) }
}

/// Cosine of two unit-length embeddings.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum()
}

/// One embedding `[class, unit]` per class: the normalised mean of the embeddings of its captions (prompt ensembling, arXiv
/// 2103.00020).
pub(super) fn class_embeddings(sitting: &Sitting<'_>, classes: &[Vec<String>]) -> Result<Matrix> {
    let captions: Vec<String> = classes.iter().flatten().cloned().collect();
    let embeds = sitting.texts(&captions)?;
    let mut rows = 0..embeds.images();
    let mut means = Vec::with_capacity(classes.len() * embeds.units());
    for captions in classes {
        let mut sum = vec![0.0f64; embeds.units()];
        for row in rows.by_ref().take(captions.len()) {
            sum.iter_mut().zip(embeds.row(row)).for_each(|(s, x)| *s += *x as f64);
        }
        let length = sum.iter().map(|s| s * s).sum::<f64>().sqrt();
        means.extend(sum.iter().map(|s| (s / length) as f32));
    }
    Matrix::new(classes.len(), embeds.units(), means)
}

/// The winners among `classes` for every image: those that score highest, more than one where they tie.
pub(super) fn winners(images: &Matrix, classes: &Matrix) -> Vec<Vec<usize>> {
    let of = |image: usize| {
        let scores: Vec<f64> =
            (0..classes.images()).map(|class| cosine(images.row(image), classes.row(class))).collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (0..scores.len()).filter(|class| scores[*class] >= best - TIE).collect()
    };
    (0..images.images()).map(of).collect()
}

/// The share of `winners` that are `right`: 1 or 0 but for ties.
pub(super) fn outcome(winners: &[usize], right: impl Fn(usize) -> bool) -> f64 {
    winners.iter().filter(|w| right(**w)).count() as f64 / winners.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{outcome, winners};
    use crate::Result;
    use crate::measure::Matrix;

    #[test]
    fn ties_share() -> Result<()> {
        let images = Matrix::new(2, 2, vec![1.0, 0.0, 0.6, 0.8])?;
        let classes = Matrix::new(3, 2, vec![0.0, 1.0, 1.0, 0.0, 0.0, 1.0])?;
        let won = winners(&images, &classes);
        assert_eq!(won, [vec![1], vec![0, 2]]);
        assert_eq!(
            (outcome(&won[0], |c| c == 1), outcome(&won[1], |c| c == 2), outcome(&won[1], |c| c == 1)),
            (1.0, 0.5, 0.0)
        );
        Ok(())
    }
}
