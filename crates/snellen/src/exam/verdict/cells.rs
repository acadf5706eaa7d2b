//! One link of the chain each: what is measured, and which rule answers.

use super::link::Link;
use super::margins::{
    ATTRIBUTE_ACCESSIBLE, ATTRIBUTE_CONTAINED, BINDING_ACCESSIBLE, BINDING_CODED, BINDING_CONTAINED, BINDING_MATCHED,
    FEW, Holds, INTERACTION, LOST, MAP_GAIN, beyond, bits,
};
use crate::Result;
use crate::exam::interaction::Interaction;
use crate::measure::proportion::{Difference, Proportion};
use crate::measure::{Confidence, Matrix};
use crate::readers::alignment::Alignment;
use crate::readers::{Comparison, Curve, Ladder, Prepared, Reader, Split, Task, against, curves};
use crate::report::verdict::ContentKind;

/// What one kind of content is read with.
pub(super) struct Reading<'a> {
    pub(super) kind: ContentKind,
    pub(super) task: &'a Task,
    pub(super) splits: &'a [Split],
    pub(super) confidence: Confidence,
    pub(super) seed: u64,
}

/// What a linear reader finds.
pub(super) struct Linear {
    /// Whether that is enough.
    pub(super) link: Link,
    /// What it finds of a binding with all rows, where that would be enough.
    pub(super) many: Option<Link>,
}

impl Linear {
    /// The same beside controls: what they give as well the chart doesn't say of the model. A binding that takes many rows is
    /// found too, if with few they find less of it than the reader does.
    pub(super) fn credited(self, credit: Option<Credit>) -> Link {
        let Some(credit) = credit else { return self.link };
        let mut link = match self.many {
            Some(many) if credit.earned && !self.link.is(Holds::Yes) => many,
            _ => self.link,
        };
        (link.cell.control, link.cell.control_name) = (Some(credit.control), Some(credit.name));
        match (link.is(Holds::Yes), credit.earned) {
            (true, true) => link.because(&credit.why),
            (true, false) => link.uncredited(&credit.why),
            _ => link,
        }
    }
}

/// What controls say of a linear reader's answer.
pub(super) struct Credit {
    /// The best one, and what it gives.
    pub(super) name: String,
    pub(super) control: f64,
    /// Whether the reader is better than all.
    pub(super) earned: bool,
    /// In words.
    pub(super) why: String,
}

impl Reading<'_> {
    fn curves(&self, rows: &[Prepared<'_>], ladder: &Ladder, reader: &Reader) -> Result<Vec<Curve>> {
        curves(rows, self.task, self.splits, ladder, reader, self.seed)
    }

    fn is_binding(&self) -> bool {
        self.kind == ContentKind::Binding
    }

    /// Whether a network with all pictures finds it.
    pub(super) fn contained(&self, matrix: &Matrix) -> Result<Link> {
        let ladder = Ladder { null: false, ..Ladder::all(self.confidence) };
        let found = self.curves(&[Prepared::new("embedding", matrix)?], &ladder, &Reader::mlp())?;
        let share = if self.is_binding() { BINDING_CONTAINED } else { ATTRIBUTE_CONTAINED };
        let (accuracy, chance) = last(&found[0]);
        Ok(Link::by_share(accuracy, chance, share, &format!("a network with {} pictures", size(&found[0]))))
    }

    /// Whether a linear reader finds it, and whether it does so with few, or in fewer bits, better than in any of the
    /// `controls`.
    pub(super) fn accessible(
        &self,
        matrix: &Matrix,
        controls: &[(String, Matrix)],
    ) -> Result<(Linear, Option<Credit>)> {
        let mut rows = vec![Prepared::new("embedding", matrix)?];
        for (name, control) in controls {
            rows.push(Prepared::new(name, control)?);
        }
        let found = self.curves(&rows, &self.few(), &Reader::logistic())?;
        let link = self.linear(&found[0]);
        if controls.is_empty() {
            return Ok((link, None));
        }
        let compared = against(&found[0], &found[1..].iter().collect::<Vec<_>>(), self.task, self.confidence)?;
        let few = compared.iter().rfind(|of| of.size.is_some_and(|size| size <= FEW));
        let code = compared.iter().find(|of| of.size.is_none());
        let Some(shown) = few.or(compared.first()).map(Comparison::best) else { return Ok((link, None)) };
        // Where even pixels give it away, finding it says nothing of the model: few pictures have to do, or a shorter code.
        let wins =
            [few, code].into_iter().flatten().find(|of| of.controls.iter().all(|control| control.difference.lo > 0.0));
        let (name, control) = (shown.name.clone(), shown.control);
        let why = match wins {
            Some(of) => {
                let by = of.best().difference.estimate;
                match of.size {
                    Some(size) => format!("with {size} it is {:.0} points above {name}", 100.0 * by),
                    None => format!("its code is {by:.2} bits an answer shorter than that of {}", of.best().name),
                }
            }
            None => format!(
                "but with few it is not surely better than {name} ({:+.0} points), so these scenes don't tell that it is the model's",
                100.0 * shown.difference.estimate
            ),
        };
        Ok((link, Some(Credit { control, name, earned: wins.is_some(), why })))
    }

    /// The same of the embedding alone.
    pub(super) fn found(&self, matrix: &Matrix) -> Result<Linear> {
        let found = self.curves(&[Prepared::new("embedding", matrix)?], &self.few(), &Reader::logistic())?;
        Ok(self.linear(&found[0]))
    }

    fn few(&self) -> Ladder {
        Ladder { sizes: vec![FEW / 2, FEW], draws: 2, null: false, confidence: self.confidence }
    }

    /// What a linear reader finds: an attribute with all rows; a binding with few, in answers that save bits as well.
    fn linear(&self, curve: &Curve) -> Linear {
        let (accuracy, chance) = last(curve);
        let with = |size: usize| format!("a linear reader with {size}");
        if !self.is_binding() {
            let link = Link::by_share(accuracy, chance, ATTRIBUTE_ACCESSIBLE, &with(size(curve)));
            return Linear { link, many: None };
        }
        let few = curve.points.iter().rfind(|point| point.size <= FEW).unwrap_or(&curve.points[0]);
        let link = Link::by_share(&few.accuracy, chance, BINDING_ACCESSIBLE, &with(few.size));
        let (cost, most) = (&few.bits, bits(BINDING_CODED));
        let said = || {
            format!(
                "its answers cost {:.2} bits [{:.2}, {:.2}], at most {most:.2} asked",
                cost.estimate, cost.lo, cost.hi
            )
        };
        let link = match link.holds {
            Some(Holds::Yes | Holds::Near) if cost.lo > most => link.said(Holds::No).because(&said()),
            Some(Holds::Yes) if cost.hi > most => link.said(Holds::Near).because(&said()),
            _ => link,
        };
        let many = Link::by_share(accuracy, chance, BINDING_ACCESSIBLE, &with(size(curve)));
        Linear { link, many: Some(many).filter(Link::is_yes) }
    }

    /// What a linear reader finds in one matrix with few rows.
    pub(super) fn layer(&self, matrix: &Matrix) -> Result<(Proportion, f64)> {
        let ladder = Ladder { sizes: vec![FEW], draws: 1, null: false, confidence: self.confidence };
        let found = self.curves(&[Prepared::new("layer", matrix)?], &ladder, &Reader::logistic())?;
        Ok((found[0].points[0].accuracy, found[0].chance))
    }
}

fn last(curve: &Curve) -> (&Proportion, f64) {
    (&curve.points[curve.points.len() - 1].accuracy, curve.chance)
}

fn size(curve: &Curve) -> usize {
    curve.points[curve.points.len() - 1].size
}

/// Whether the match tells exchanged captions: far from chance, and not far below what a map between the two spaces reaches.
pub(super) fn swapped(swap: &Proportion, map: &Alignment) -> Link {
    let link = Link::by_share(swap, 0.5, BINDING_MATCHED, "the match of exchanged captions");
    let gain = &map.map.gain;
    let reached = format!(
        "a map between the two spaces reaches {:.0} % on pictures it was not taught ({:+.0} points)",
        100.0 * map.map.accuracy.estimate,
        100.0 * gain.estimate
    );
    let holds = if gain.lo > MAP_GAIN { Holds::No } else { beyond(swap, 0.5, BINDING_MATCHED) };
    let mut link = link.said(holds).because(&reached);
    link.cell.control = Some(map.map.accuracy.estimate);
    link.cell.control_name = Some("alignment map".to_owned());
    link
}

/// Whether as much is right on combinations that training never showed: `lost` is the accuracy on seen ones less that on others.
pub(super) fn lost(lost: &Difference, n: usize) -> Link {
    let (holds, why) = if lost.hi < LOST {
        (Holds::Yes, "no more is lost on combinations that training never showed")
    } else if lost.lo > LOST {
        (Holds::No, "it is lost on combinations that training never showed")
    } else {
        (Holds::Near, "too few combinations were held out to tell what is lost on them")
    };
    let why = format!("{why} ({:.0} [{:.0}, {:.0}] points)", 100.0 * lost.estimate, 100.0 * lost.lo, 100.0 * lost.hi);
    of([lost.estimate, lost.lo, lost.hi], n, &why).said(holds)
}

/// The same where nothing is known of training; `memory` says whether the combinations that it knows are most of them.
pub(super) fn uneven(found: &Interaction, memory: bool, n: usize) -> Link {
    let (holds, why) = if found.hi < INTERACTION {
        (Holds::Yes, "what is wrong follows values, not their combinations")
    } else if found.lo > INTERACTION && memory {
        (Holds::No, "it knows some combinations and not others, whatever their values")
    } else {
        (Holds::Near, "whether it knows some combinations and not others can't be told from so few pictures")
    };
    let why = format!("{why} (interaction {:.3} [{:.3}, {:.3}])", found.estimate, found.lo, found.hi);
    of([found.estimate, found.lo, found.hi], n, &why).said(holds)
}

fn of([estimate, lo, hi]: [f64; 3], n: usize, why: &str) -> Link {
    let mut link = Link::not_asked(why);
    (link.cell.estimate, link.cell.lo, link.cell.hi, link.cell.n) = (Some(estimate), Some(lo), Some(hi), Some(n));
    link
}
