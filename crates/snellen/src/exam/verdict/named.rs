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
