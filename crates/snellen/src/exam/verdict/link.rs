//! A link of the chain: whether it holds, and what the chart says of it.
//!
//! The two differ where pixels or an untrained model give as much: then the link holds, but nothing says that training made it, and the
//! chart says that it can't tell.

use super::margins::{ATTRIBUTE_SEEN, Holds, bar, beyond, would_tell};
use crate::measure::proportion::Proportion;
use crate::report::verdict::{Cell, CellAnswer, Cells, ContentKind};

/// One link.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Link {
    /// Its cell of the chart.
    pub(super) cell: Cell,
    /// Whether it holds; none where it is not asked.
    pub(super) holds: Option<Holds>,
}

impl Link {
    /// One that is not asked, for this reason.
    pub(super) fn not_asked(why: &str) -> Self {
        let cell = Cell {
            answer: CellAnswer::NotAsked,
            estimate: None,
            lo: None,
            hi: None,
            chance: None,
            control: None,
            control_name: None,
            n: None,
            why: why.to_owned(),
        };
        Self { cell, holds: None }
    }

    /// An accuracy against a share of the way to certainty.
    pub(super) fn by_share(accuracy: &Proportion, chance: f64, share: f64, who: &str) -> Self {
        let holds = beyond(accuracy, chance, share);
        let bar = 100.0 * bar(chance, share);
        let why = match holds {
            Holds::Yes => format!("{who} is right beyond {bar:.0} %"),
            Holds::No => format!("{who} stays below {bar:.0} %"),
            Holds::Near => {
                format!("{who} is near {bar:.0} %; {}", would_tell(accuracy, chance, share))
            }
        };
        let cell = Cell {
            estimate: Some(accuracy.estimate),
            lo: Some(accuracy.lo),
            hi: Some(accuracy.hi),
            chance: Some(chance),
            n: Some(accuracy.n),
            why,
            ..Self::not_asked("").cell
        };
        Self { cell, holds: None }.said(holds)
    }

    /// The same with this answer.
    pub(super) fn said(mut self, holds: Holds) -> Self {
        self.cell.answer = match holds {
            Holds::Yes => CellAnswer::Yes,
            Holds::No => CellAnswer::No,
            Holds::Near => CellAnswer::CantTell,
        };
        self.holds = Some(holds);
        self
    }

    /// The same, and why.
    pub(super) fn because(mut self, why: &str) -> Self {
        self.cell.why = format!("{}; {why}", self.cell.why);
        self
    }

    /// That it holds, and that nothing says that training made it so.
    pub(super) fn uncredited(mut self, why: &str) -> Self {
        self.cell.answer = CellAnswer::CantTell;
        self.because(why)
    }

    /// Whether it holds and the chart says so.
    pub(super) fn is_yes(&self) -> bool {
        self.cell.answer == CellAnswer::Yes
    }

    /// Whether it is `holds`.
    pub(super) fn is(&self, holds: Holds) -> bool {
        self.holds == Some(holds)
    }

    /// Whether it is surely beyond `share` of the way from chance to certainty.
    fn reaches(&self, share: f64) -> bool {
        self.cell.lo.zip(self.cell.chance).is_some_and(|(lo, chance)| lo >= bar(chance, share))
    }

    /// Holds as well because what comes after it in the data's path does; nothing where it is not asked.
    pub(super) fn implied(self, why: &str) -> Self {
        if self.holds.is_none() || self.is_yes() { self } else { self.said(Holds::Yes).because(why) }
    }
}

/// The links of a row, in the order of the data's path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Links {
    pub(super) image_contained: Link,
    pub(super) image_accessible: Link,
    pub(super) text_accessible: Link,
    pub(super) matched: Link,
    pub(super) new_combinations: Link,
}

impl Links {
    /// All not asked, for this reason.
    pub(super) fn not_asked(why: &str) -> Self {
        let link = || Link::not_asked(why);
        Self {
            image_contained: link(),
            image_accessible: link(),
            text_accessible: link(),
            matched: link(),
            new_combinations: link(),
        }
    }

    /// What one link says of others: a match that holds is a linear reader of both sides, a linear reader one of those that may find
    /// it at all, and what is not in the image is not looked for further. What fails is not asked of new combinations.
    pub(super) fn concluded(self, kind: ContentKind) -> Self {
        let Self { mut image_contained, mut image_accessible, mut text_accessible, matched, mut new_combinations } =
            self;
        if matched.is_yes() {
            let why = "the match itself finds it";
            image_contained = image_contained.implied(why);
            image_accessible = image_accessible.implied(why);
            text_accessible = text_accessible.implied(why);
        }
        if kind == ContentKind::Attribute && matched.is(Holds::Near) && image_contained.reaches(ATTRIBUTE_SEEN) {
            image_contained = image_contained.implied("the match may find it, so that no more is asked");
        }
        // Of attributes more is asked of a network than of a linear reader.
        let binding = kind == ContentKind::Binding && image_accessible.is(Holds::Yes);
        if binding && !image_contained.is(Holds::Yes) && image_contained.holds.is_some() {
            image_contained = image_contained.said(Holds::Yes).because("a linear reader finds it");
        }
        let of_controls = image_accessible.is(Holds::Yes) && !image_accessible.is_yes();
        if kind == ContentKind::Attribute && image_contained.is(Holds::Yes) && of_controls {
            image_contained = image_contained.uncredited("but its controls hold as much");
        }
        if image_contained.is(Holds::No) {
            image_accessible = Link::not_asked("the image embedding does not hold it");
        }
        if matched.is(Holds::No) {
            new_combinations = Link::not_asked("the match does not use it, or too little");
        }
        Self { image_contained, image_accessible, text_accessible, matched, new_combinations }
    }

    /// In order.
    pub(super) fn each(&self) -> [&Link; 5] {
        [&self.image_contained, &self.image_accessible, &self.text_accessible, &self.matched, &self.new_combinations]
    }

    /// What the chart shows.
    pub(super) fn cells(self) -> Cells {
        Cells {
            image_contained: self.image_contained.cell,
            image_accessible: self.image_accessible.cell,
            text_accessible: self.text_accessible.cell,
            matched: self.matched.cell,
            new_combinations: self.new_combinations.cell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::margins::{ATTRIBUTE_CONTAINED, ATTRIBUTE_MATCHED};
    use super::{Holds, Link, Links};
    use crate::Result;
    use crate::measure::Confidence;
    use crate::measure::proportion::Proportion;
    use crate::report::verdict::{CellAnswer, ContentKind};

    fn right(of: f64, n: usize, share: f64) -> Result<Link> {
        Ok(Link::by_share(&Proportion::wilson(of * n as f64, n, Confidence::new(0.95)?)?, 0.2, share, "it"))
    }

    /// Of an attribute of five values: what a network reads with 600 pictures, and 60 independent answers of the match.
    fn image(network: f64, matched: f64) -> Result<CellAnswer> {
        let links = Links {
            image_contained: right(network, 600, ATTRIBUTE_CONTAINED)?,
            matched: right(matched, 60, ATTRIBUTE_MATCHED)?,
            ..Links::not_asked("")
        };
        Ok(links.concluded(ContentKind::Attribute).image_contained.cell.answer)
    }

    #[test]
    fn what_is_recognised_is_seen_however_badly() -> Result<()> {
        // It recognises as well as a network reads; it may; it surely doesn't; and even a network reads next to nothing.
        assert_eq!(image(0.7, 0.72)?, CellAnswer::Yes);
        assert!(right(0.55, 60, ATTRIBUTE_MATCHED)?.is(Holds::Near));
        assert_eq!(image(0.7, 0.55)?, CellAnswer::Yes);
        assert_eq!(image(0.79, 0.21)?, CellAnswer::No);
        assert_eq!(image(0.5, 0.55)?, CellAnswer::No);
        Ok(())
    }
}
