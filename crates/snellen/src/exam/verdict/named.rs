//! What the first link that fails is called, and how the verdict is said.

use super::link::Links;
use super::margins::Holds;
use crate::exam::sentences::{list, word};
use crate::report::verdict::{Cell, CellAnswer, ContentKind, Failure, VerdictRow};

/// What the first "no" means, unless a link before it can't be told. Where controls give both sides as much as the model does, and its match
/// makes nothing of them, nothing was learnt that could be mismatched.
pub(super) fn failure(kind: ContentKind, links: &Links) -> Option<Failure> {
    let missing = if kind == ContentKind::Attribute { Failure::NotSeen } else { Failure::Absent };
    let meaning = [missing, Failure::Entangled, Failure::Text, Failure::Mismatched, Failure::Memorised];
    let each = links.each().into_iter().zip(meaning);
    let (link, failure) = each.into_iter().find(|(link, _)| link.is(Holds::No) || link.is(Holds::Near))?;
    let sides = [&links.image_contained, &links.image_accessible, &links.text_accessible];
    let nothing = kind == ContentKind::Attribute
        && failure == Failure::Mismatched
        && sides.iter().all(|side| side.holds.is_some() && !side.is_yes());
    Some(if link.is(Holds::Near) || nothing { Failure::CantTell } else { failure })
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
        let unused = |row: &&VerdictRow| row.cells.matched.answer == CellAnswer::No;
        if let Some(row) = rows.iter().find(unused) {
            return untold(row, &name(row));
        }
        return format!("No link is seen to fail; of {} these pictures don't tell all links.", list(&open));
    };
    let name = name(row);
    let cells = &row.cells;
    match row.failure {
        Some(Failure::NotSeen) => format!(
            "It does not see {name} well enough: from the image embedding a network reads it in {}; {}.",
            percent(&cells.image_contained),
            cells.image_contained.why
        ),
        Some(Failure::Absent) => format!(
            "Its image embedding {} {name}, though it sees both: with all pictures a network reads it in {}.",
            if above(&cells.image_contained) { "holds too little of" } else { "does not hold" },
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
                "{held} {name}, and the match {}: it is right in {}; {}.",
                if above(&cells.matched) { "makes too little of it" } else { "does not use it" },
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

/// Of a match that fails where pixels, words or random weights hold as much as the model does.
fn untold(row: &VerdictRow, name: &str) -> String {
    let (image, matched) = (&row.cells.image_accessible, &row.cells.matched);
    let better = match (&image.control_name, image.control) {
        (Some(of), Some(control)) if image.answer != CellAnswer::Yes => {
            format!(", though not surely better than in {of} ({:.0} % with few)", 100.0 * control)
        }
        _ => String::new(),
    };
    format!(
        "Nothing shows that it learnt {name}: the match is right in {}; {}. A linear reader finds it in the image embedding in {}{better}.",
        percent(matched),
        matched.why,
        percent(image),
    )
}

/// Whether it is surely right more often than guessing is.
fn above(cell: &Cell) -> bool {
    cell.lo.zip(cell.chance).is_some_and(|(lo, chance)| lo > chance)
}

fn percent(cell: &Cell) -> String {
    let share = |x: Option<f64>| 100.0 * x.unwrap_or(0.0);
    format!(
        "{:.0} % [{:.0}, {:.0}], chance {:.0} %",
        share(cell.estimate),
        share(cell.lo),
        share(cell.hi),
        share(cell.chance)
    )
}

#[cfg(test)]
mod tests {
    use super::super::link::Link;
    use super::*;

    fn link(holds: Holds, answer: CellAnswer, control: Option<f64>) -> Link {
        let mut link = Link::not_asked("a rule").said(holds);
        link.cell.answer = answer;
        link.cell.estimate = Some(0.79);
        link.cell.control = control;
        link.cell.control_name = control.map(|_| "raw pixels".to_owned());
        link
    }

    fn row(links: Links) -> VerdictRow {
        let (content, kind) = ("shape".to_owned(), ContentKind::Attribute);
        let links = links.concluded(kind);
        VerdictRow { content, kind, failure: failure(kind, &links), cells: links.cells(), layers: Vec::new() }
    }

    fn links(side: CellAnswer) -> Links {
        Links {
            image_contained: link(Holds::Yes, CellAnswer::Yes, None),
            image_accessible: link(Holds::Yes, side, Some(0.97)),
            text_accessible: link(Holds::Yes, side, Some(1.0)),
            matched: link(Holds::No, CellAnswer::No, None),
            new_combinations: link(Holds::Yes, CellAnswer::Yes, None),
        }
    }

    #[test]
    fn what_pixels_give_as_well_is_no_achievement() {
        let random = row(links(CellAnswer::CantTell));
        assert_eq!(random.failure, Some(Failure::CantTell));
        assert!(random.cells.each().iter().all(|(_, cell)| cell.answer != CellAnswer::Yes), "{random:?}");
        let said = sentence(std::slice::from_ref(&random));
        assert!(
            said.contains("Nothing shows that it learnt the shape") && said.contains("raw pixels (97 % with few)"),
            "{said}"
        );
        let trained = row(links(CellAnswer::Yes));
        assert_eq!(trained.failure, Some(Failure::Mismatched));
        let said = sentence(std::slice::from_ref(&trained));
        assert!(said.contains("Both sides hold the shape, and the match does not use it"), "{said}");
        let mut some = trained.clone();
        (some.cells.matched.lo, some.cells.matched.chance) = (Some(0.3), Some(0.2));
        let said = sentence(std::slice::from_ref(&some));
        assert!(said.contains("and the match makes too little of it"), "{said}");
    }

    #[test]
    fn a_sentence_does_not_deny_what_its_cell_says() {
        let mut rotated = row(links(CellAnswer::CantTell));
        rotated.cells.image_accessible.answer = CellAnswer::Yes;
        let said = sentence(std::slice::from_ref(&rotated));
        assert!(said.contains("Nothing shows that it learnt") && !said.contains("not surely better"), "{said}");
        let (content, kind) = ("shape x color".to_owned(), ContentKind::Binding);
        let mut absent = VerdictRow { content, kind, failure: Some(Failure::Absent), ..rotated };
        for (lo, said) in [(0.63, "holds too little of which shape"), (0.49, "does not hold which shape")] {
            (absent.cells.image_contained.lo, absent.cells.image_contained.chance) = (Some(lo), Some(0.5));
            let sentence = sentence(std::slice::from_ref(&absent));
            assert!(sentence.contains(said), "{sentence}");
        }
    }

    #[test]
    fn a_match_that_holds_shows_what_readers_miss() {
        let healthy = row(Links {
            image_contained: link(Holds::Near, CellAnswer::CantTell, None),
            text_accessible: link(Holds::No, CellAnswer::No, None),
            matched: link(Holds::Yes, CellAnswer::Yes, None),
            ..links(CellAnswer::CantTell)
        });
        assert_eq!(healthy.failure, None);
        assert!(healthy.cells.each().iter().all(|(_, cell)| cell.answer == CellAnswer::Yes), "{healthy:?}");
    }

    #[test]
    fn what_cannot_be_told_comes_before_a_later_no() {
        let near = Links { image_accessible: link(Holds::Near, CellAnswer::CantTell, None), ..links(CellAnswer::Yes) };
        assert_eq!(row(near).failure, Some(Failure::CantTell));
        let first = Links { image_contained: link(Holds::No, CellAnswer::No, None), ..links(CellAnswer::Yes) };
        assert_eq!(row(first).failure, Some(Failure::NotSeen));
    }
}
