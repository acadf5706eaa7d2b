//! What the first link that fails is called, and how the verdict is said.

use crate::exam::sentences::{list, word};
use crate::report::verdict::{Cell, CellAnswer, Cells, ContentKind, Failure, VerdictRow};

/// What the first "no" means.
pub(super) fn failure(kind: ContentKind, cells: &Cells) -> Option<Failure> {
    let missing = if kind == ContentKind::Attribute { Failure::NotSeen } else { Failure::Absent };
    let meaning = [missing, Failure::Entangled, Failure::Text, Failure::Mismatched, Failure::Memorised];
    let each = cells.each();
    let first = each.iter().zip(meaning).find(|((_, cell), _)| cell.answer == CellAnswer::No);
    let open = each.iter().any(|(_, cell)| cell.answer == CellAnswer::CantTell);
    first.map(|(_, failure)| failure).or(open.then_some(Failure::CantTell))
}

/// The first failure that has a name; else that something can't be told.
pub(super) fn first(rows: &[VerdictRow]) -> Option<Failure> {
    let named = rows.iter().filter_map(|row| row.failure).find(|failure| *failure != Failure::CantTell);
    named.or(rows.iter().find_map(|row| row.failure))
}

/// The verdict in plain words.
pub(super) fn sentence(rows: &[VerdictRow]) -> String {
    let told = |row: &&VerdictRow| row.failure.is_some_and(|failure| failure != Failure::CantTell);
    let name = |row: &VerdictRow| {
        let words: Vec<&str> = row.content.split(" x ").map(word).collect();
        match row.kind {
            ContentKind::Attribute => format!("the {}", words.concat()),
            ContentKind::Binding => format!("which {}", words.join(" has which ")),
        }
    };
    let Some(row) = rows.iter().find(told) else {
        let open: Vec<String> = rows.iter().filter(|row| row.failure.is_some()).map(&name).collect();
        if open.is_empty() {
            return "No link fails: image and text hold every attribute and binding that was asked, and their match uses them."
                .to_owned();
        }
        return format!("No link is seen to fail; of {} these pictures don't tell all links.", list(&open));
    };
    let name = name(row);
    let percent = |cell: &Cell| {
        let share = |x: Option<f64>| 100.0 * x.unwrap_or(0.0);
        format!(
            "{:.0} % [{:.0}, {:.0}], chance {:.0} %",
            share(cell.estimate),
            share(cell.lo),
            share(cell.hi),
            share(cell.chance)
        )
    };
    let cells = &row.cells;
    match row.failure {
        Some(Failure::NotSeen) => format!(
            "It does not see {name} well enough: from the image embedding a network reads it in {}; {}.",
            percent(&cells.image_contained),
            cells.image_contained.why
        ),
        Some(Failure::Absent) => format!(
            "Its image embedding does not hold {name}, though it sees both: with all pictures a network reads it in {}.",
            percent(&cells.image_contained)
        ),
        Some(Failure::Entangled) => format!(
            "Its image embedding holds {name}, but not so that a linear reader finds it: a network reads it in {}, a linear reader in {}.",
            percent(&cells.image_contained),
            percent(&cells.image_accessible)
        ),
        Some(Failure::Text) => format!(
            "Its text embedding lacks {name}: a linear reader finds it there in {}.",
            percent(&cells.text_accessible)
        ),
        Some(Failure::Mismatched) => {
            let image = &cells.image_accessible;
            // Random weights keep much of a picture: what they keep, pixels give as well, and is no achievement.
            if let (Some(own), Some(control), Some(of)) = (image.estimate, image.control, &image.control_name)
                && control >= own
            {
                return format!(
                    "A linear reader finds {name} in its image embedding no better than in {of} ({:.0} % against {:.0} %), and the match does not use it: it is right in {}; {}.",
                    100.0 * own,
                    100.0 * control,
                    percent(&cells.matched),
                    cells.matched.why
                );
            }
            let either = |cell: &Cell| cell.answer == CellAnswer::Yes;
            let held = match (either(&cells.image_accessible), either(&cells.text_accessible)) {
                (true, true) => "Both sides hold",
                (true, false) => "The image side holds",
                (false, true) => "The text side holds",
                (false, false) => "Both sides may hold",
            };
            format!(
                "{held} {name}, and the match does not use it: it is right in {}; {}.",
                percent(&cells.matched),
                cells.matched.why
            )
        }
        _ => format!(
            "It knows {name} of combinations that it learnt, and not of others: {}.",
            cells.new_combinations.why
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::not_asked;
    use super::*;

    #[test]
    fn what_pixels_give_as_well_is_no_achievement() {
        let said = |control: f64| {
            let read = |estimate, control, name: &str| Cell {
                estimate: Some(estimate),
                control: Some(control),
                control_name: Some(name.to_owned()),
                ..not_asked("")
            };
            let cells = Cells {
                image_contained: not_asked(""),
                image_accessible: read(0.79, control, "raw pixels"),
                text_accessible: not_asked(""),
                matched: Cell { answer: CellAnswer::No, ..read(0.2, 0.2, "none") },
                new_combinations: not_asked(""),
            };
            let failure = failure(ContentKind::Attribute, &cells);
            assert_eq!(failure, Some(Failure::Mismatched));
            let (content, kind) = ("shape".to_owned(), ContentKind::Attribute);
            sentence(&[VerdictRow { content, kind, cells, failure, layers: Vec::new() }])
        };
        let random = said(0.97);
        assert!(random.contains("no better than in raw pixels (79 % against 97 %)"), "{random}");
        let trained = said(0.5);
        assert!(trained.contains("hold the shape") && !trained.contains("no better"), "{trained}");
    }
}
