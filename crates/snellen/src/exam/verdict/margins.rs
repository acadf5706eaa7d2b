//! The margins of the verdict, all of them.
//!
//! Answers go by a share of the way from chance to certainty, with its interval: an accuracy of .35 where guessing gives .20 is above
//! chance and no sight. They were chosen on what is known of models bred with one failure each, none of which judges them
//! (METHODS.md, verdict).

use crate::measure::proportion::Proportion;

/// Of the way from chance to certainty, what a network has to find of an attribute in the image embedding that the match misses: of shapes in
/// pictures of 7 pixels it finds .74.
pub(super) const ATTRIBUTE_CONTAINED: f64 = 0.9;
/// What a linear reader has to find of an attribute.
pub(super) const ATTRIBUTE_ACCESSIBLE: f64 = 0.5;
/// The same where the match may find it: what is recognised is seen, however badly.
pub(super) const ATTRIBUTE_SEEN: f64 = 0.5;
/// What zero-shot recognition has to reach of an attribute: blurred eyes were right in .27 and .35 where chance is .20, the worst of those
/// that see in .69.
pub(super) const ATTRIBUTE_MATCHED: f64 = 0.4;
/// What a network has to find of a binding that a linear reader doesn't: what is left of one that was erased it reads as well, with many
/// pictures, up to a third of the way.
pub(super) const BINDING_CONTAINED: f64 = 0.45;
/// What a linear reader with few rows has to find of a binding.
pub(super) const BINDING_ACCESSIBLE: f64 = 0.3;
/// Its answers have to cost no more than one that is known to be right this share of the way: of a product it may be right in three
/// of four, and knows nothing.
pub(super) const BINDING_CODED: f64 = 0.2;
/// What swaps have to reach.
pub(super) const BINDING_MATCHED: f64 = 0.6;
/// What an alignment map may gain on unseen twins where the match uses what both sides hold.
pub(super) const MAP_GAIN: f64 = 0.1;
/// What may be lost on new combinations, in accuracy.
pub(super) const LOST: f64 = 0.1;
/// The variance over combinations that their interaction may have: beyond it a model knows some combinations and not others.
pub(super) const INTERACTION: f64 = 0.08;
/// The share of combinations that it has to know for that to be memory rather than bad sight.
pub(super) const KNOWN: f64 = 0.5;
/// Pictures of a reader with few of them.
pub(super) const FEW: usize = 250;
/// Twins that readers start with: two thirds of their pictures are [`FEW`] and some.
pub(super) const FIRST_TWINS: usize = 240;
/// How many times as many they are given where these don't tell.
pub(super) const MORE: usize = 4;

/// Whether something holds, as far as an interval tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The interval spans the bar.
    Near,
}

/// Whether an accuracy lies beyond `share` of the way from `chance` to certainty.
pub(super) fn beyond(accuracy: &Proportion, chance: f64, share: f64) -> Holds {
    let bar = bar(chance, share);
    if accuracy.lo >= bar {
        Holds::Yes
    } else if accuracy.hi < bar {
        Holds::No
    } else {
        Holds::Near
    }
}

/// The accuracy at `share` of the way.
pub(super) fn bar(chance: f64, share: f64) -> f64 {
    chance + share * (1.0 - chance)
}

/// Bits of an answer, one of two, that is known to be right `share` of the way.
pub(super) fn bits(share: f64) -> f64 {
    let right = bar(0.5, share);
    -(right * right.log2() + (1.0 - right) * (1.0 - right).log2())
}

/// What would tell, going by these answers: as many as bring the nearer end of the interval to the bar. An estimate nearer to it than a
/// point is at the bar, however many there are; answers that depend on one another, as those to one combination do, are worth few more by
/// being more.
pub(super) fn would_tell(accuracy: &Proportion, chance: f64, share: f64) -> String {
    let away = (accuracy.estimate - bar(chance, share)).abs();
    if away < 0.01 {
        return "it is that".to_owned();
    }
    if accuracy.repeats() {
        return "it differs between combinations, of which there are too few to tell".to_owned();
    }
    let half = (accuracy.hi - accuracy.lo) / 2.0;
    let answers = (accuracy.n as f64 * (half / away).powi(2).max(1.0)).ceil() as usize;
    format!("about {answers} answers would tell")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use crate::measure::Confidence;

    #[test]
    fn more_of_the_same_is_not_said_to_tell() -> Result<()> {
        let confidence = Confidence::new(0.95)?;
        let plain = |right: f64| Proportion::wilson(right, 100, confidence);
        // The bar is .75; half of Wilson's interval of 70 in 100 is 1.96 sqrt(21 + .9604) / 103.84 = .0885, and (.0885 / .05)^2 = 3.13.
        assert_eq!(would_tell(&plain(70.0)?, 0.5, 0.5), "about 313 answers would tell");
        assert_eq!(would_tell(&plain(75.5)?, 0.5, 0.5), "it is that");
        let scores: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i / 10 < 7))).collect();
        let clusters: Vec<u64> = (0..100).map(|i| i / 10).collect();
        let said = would_tell(&Proportion::clustered(&scores, &clusters, confidence)?, 0.5, 0.5);
        assert!(said.contains("between combinations"), "{said}");
        Ok(())
    }
}
