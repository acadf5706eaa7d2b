//! One link of the chain each: what is measured, and which rule answers.

use super::interaction::Interaction;
use super::margins::{
    ATTRIBUTE_ACCESSIBLE, ATTRIBUTE_CONTAINED, BINDING_MATCHED, BINDING_READ, FEW, INTERACTION, LOST, MAP_GAIN, bar,
    beyond, would_tell,
};
use crate::Result;
use crate::measure::proportion::{Difference, Proportion};
use crate::measure::{Confidence, Matrix};
use crate::readers::alignment::Alignment;
use crate::readers::{Curve, Ladder, Prepared, Reader, Split, Task, against, curves};
use crate::report::verdict::{Cell, CellAnswer, ContentKind};

/// What one kind of content is read with.
pub(super) struct Reading<'a> {
    pub(super) kind: ContentKind,
    pub(super) task: &'a Task,
    pub(super) splits: &'a [Split],
    pub(super) confidence: Confidence,
    pub(super) seed: u64,
}

/// A cell that is not asked, for this reason.
pub(super) fn not_asked(why: &str) -> Cell {
    Cell {
        answer: CellAnswer::NotAsked,
        estimate: None,
        lo: None,
        hi: None,
        chance: None,
        control: None,
        control_name: None,
        n: None,
        why: why.to_owned(),
    }
}

/// A cell of an accuracy.
fn of_accuracy(answer: CellAnswer, accuracy: &Proportion, chance: f64, why: String) -> Cell {
    Cell {
        answer,
        estimate: Some(accuracy.estimate),
        lo: Some(accuracy.lo),
        hi: Some(accuracy.hi),
        chance: Some(chance),
        control: None,
        control_name: None,
        n: Some(accuracy.n),
        why,
    }
}

/// An accuracy against a share of the way to certainty.
pub(super) fn by_share(accuracy: &Proportion, chance: f64, share: f64, who: &str) -> Cell {
    let answer = beyond(accuracy, chance, share);
    let bar = 100.0 * bar(chance, share);
    let why = match answer {
        CellAnswer::Yes => format!("{who} is right beyond {bar:.0} %"),
        CellAnswer::No => format!("{who} stays below {bar:.0} %"),
        _ => format!("{who} is near {bar:.0} %; about {} answers would tell", would_tell(accuracy, chance, share)),
    };
    of_accuracy(answer, accuracy, chance, why)
}

impl Reading<'_> {
    fn curves(&self, rows: &[Prepared<'_>], ladder: &Ladder, reader: &Reader) -> Result<Vec<Curve>> {
        curves(rows, self.task, self.splits, ladder, reader, self.seed)
    }

    /// Whether a network with all pictures finds it.
    pub(super) fn contained(&self, matrix: &Matrix) -> Result<Cell> {
        let ladder = Ladder { null: false, ..Ladder::all(self.confidence) };
        let found = self.curves(&[Prepared::new("embedding", matrix)?], &ladder, &Reader::mlp())?;
        let share = if self.kind == ContentKind::Attribute { ATTRIBUTE_CONTAINED } else { BINDING_READ };
        let (accuracy, chance) = last(&found[0]);
        Ok(by_share(accuracy, chance, share, &format!("a network with {} pictures", size(&found[0]))))
    }

    /// Whether a linear reader finds it with few rows, and, of a binding, better than in any of the `controls`.
    pub(super) fn accessible(&self, matrix: &Matrix, controls: &[(String, Matrix)]) -> Result<Cell> {
        let ladder = Ladder { sizes: vec![FEW / 2, FEW], draws: 2, null: false, confidence: self.confidence };
        let mut rows = vec![Prepared::new("embedding", matrix)?];
        for (name, control) in controls {
            rows.push(Prepared::new(name, control)?);
        }
        let found = self.curves(&rows, &ladder, &Reader::logistic())?;
        let compared = against(&found[0], &found[1..].iter().collect::<Vec<_>>(), self.task, self.confidence)?;
        let (accuracy, chance) = last(&found[0]);
        let few = compared.iter().rfind(|of| of.size.is_some_and(|size| size <= FEW));
        let code = compared.iter().find(|of| of.size.is_none());
        let share = if self.kind == ContentKind::Attribute { ATTRIBUTE_ACCESSIBLE } else { BINDING_READ };
        let mut cell = by_share(accuracy, chance, share, &format!("a linear reader with {}", size(&found[0])));
        if let Some(best) = few.or(compared.first()) {
            cell.control = Some(best.best().control);
            cell.control_name = Some(best.best().name.clone());
        }
        if self.kind == ContentKind::Attribute || cell.answer != CellAnswer::Yes {
            return Ok(cell);
        }
        // Where even pixels give it away, finding it says nothing of the model: few pictures have to do, or a shorter code.
        let wins =
            [few, code].into_iter().flatten().find(|of| of.controls.iter().all(|control| control.difference.lo > 0.0));
        let name = cell.control_name.clone().unwrap_or_default();
        match (wins, few) {
            (Some(of), _) => {
                let by = of.best().difference.estimate;
                let what = match of.size {
                    Some(size) => format!("with {size} it is {:.0} points above {name}", 100.0 * by),
                    None => format!("its code is {by:.2} bits an answer shorter than that of {}", of.best().name),
                };
                cell.why = format!("{}; {what}", cell.why);
            }
            (None, few) => {
                cell.answer = CellAnswer::CantTell;
                let gap = few.map_or(0.0, |of| of.best().difference.estimate);
                cell.why = format!(
                    "{}, but with few it is not surely better than {name} ({:+.0} points): these scenes are too easy to tell",
                    cell.why,
                    100.0 * gap
                );
            }
        }
        Ok(cell)
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
pub(super) fn swapped(swap: &Proportion, map: &Alignment) -> Cell {
    let mut cell = by_share(swap, 0.5, BINDING_MATCHED, "the match of exchanged captions");
    let gain = &map.map.gain;
    let reached = format!(
        "a map between the two spaces reaches {:.0} % on pictures it was not taught ({:+.0} points)",
        100.0 * map.map.accuracy.estimate,
        100.0 * gain.estimate
    );
    cell.control = Some(map.map.accuracy.estimate);
    cell.control_name = Some("alignment map".to_owned());
    if gain.lo > MAP_GAIN {
        cell.answer = CellAnswer::No;
    }
    cell.why = format!("{}; {reached}", cell.why);
    cell
}

/// Whether as much is right on combinations that training never showed: `lost` is the accuracy on seen ones less that on others.
pub(super) fn lost(lost: &Difference, n: usize) -> Cell {
    let (answer, why) = if lost.hi < LOST {
        (CellAnswer::Yes, "no more is lost on combinations that training never showed")
    } else if lost.lo > LOST {
        (CellAnswer::No, "it is lost on combinations that training never showed")
    } else {
        (CellAnswer::CantTell, "too few combinations were held out to tell what is lost on them")
    };
    let why = format!("{why} ({:.0} [{:.0}, {:.0}] points)", 100.0 * lost.estimate, 100.0 * lost.lo, 100.0 * lost.hi);
    let (estimate, lo, hi) = (Some(lost.estimate), Some(lost.lo), Some(lost.hi));
    Cell { answer, estimate, lo, hi, n: Some(n), why, ..not_asked("") }
}

/// The same where nothing is known of training.
pub(super) fn uneven(of: &Interaction, n: usize) -> Cell {
    let (answer, why) = if of.hi < INTERACTION {
        (CellAnswer::Yes, "it is as right in one combination as in another")
    } else if of.lo > INTERACTION {
        (CellAnswer::No, "it knows some combinations and not others, whatever their values")
    } else {
        (CellAnswer::CantTell, "whether it knows some combinations and not others can't be told from so few pictures")
    };
    let why = format!("{why} (interaction {:.3} [{:.3}, {:.3}])", of.estimate, of.lo, of.hi);
    Cell { answer, estimate: Some(of.estimate), lo: Some(of.lo), hi: Some(of.hi), n: Some(n), why, ..not_asked("") }
}
