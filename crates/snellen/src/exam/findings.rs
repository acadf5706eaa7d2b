//! What the numbers say in sentences: each is written only where its interval supports it.

use crate::report::{Rate, Report};

/// The sentences for a report whose numbers are in place.
pub(super) fn findings(report: &Report) -> Vec<String> {
    let mut out = Vec::new();
    let (seen, bound) = (&report.recognition, &report.composition);
    out.push(match (above(&seen.shape), above(&seen.color)) {
        (true, true) => format!("It recognises the shape of a single object in {} and its colour in {}.", share(&seen.shape), share(&seen.color)),
        (true, false) => format!("It recognises the shape of a single object in {}, but its colour ({}) no better than by guessing.", share(&seen.shape), share(&seen.color)),
        (false, true) => format!("It recognises the colour of a single object in {}, but its shape ({}) no better than by guessing.", share(&seen.color), share(&seen.shape)),
        (false, false) => format!("It recognises neither shape ({}) nor colour ({}) of a single object better than by guessing: what follows can't be told from not seeing.", share(&seen.shape), share(&seen.color)),
    });
    let swap = &bound.swap;
    match &bound.gap {
        Some(gap) if gap.lo > 0.0 => {
            out.push(format!(
                "It notices a replaced word more often than exchanged colours: on the same pictures swap accuracy is {} (chance 50 %), {:.0} points below that for replaced attributes.",
                share(swap),
                100.0 * gap.estimate
            ));
            // Nearer to guessing than to what it does on single words.
            let middle = f64::midpoint(swap.chance, swap.accuracy.estimate + gap.estimate);
            if swap.accuracy.hi < middle {
                out.push("So it treats captions more like bags of concepts than like bindings.".to_owned());
            }
        }
        Some(gap) if gap.hi < 0.0 => out.push(format!(
            "It notices exchanged colours ({}) more often than replaced words, by {:.0} points.",
            share(swap), -100.0 * gap.estimate
        )),
        Some(_) => out.push(format!(
            "Swap accuracy is {} (chance 50 %); whether it differs from that for replaced attributes can't be told from these scenes.",
            share(swap)
        )),
        None => out.push(format!("Swap accuracy is {} (chance 50 %).", share(swap))),
    }
    match (&seen.pair_seen, &seen.pair_held_out, &seen.generalisation_gap) {
        (Some(known), Some(new), Some(gap)) if gap.lo > 0.0 => out.push(format!(
            "Combinations that training never showed are named in {}, those that it showed in {}: what it knows of shapes and colours does not carry over in full.",
            share(new), share(known)
        )),
        (Some(known), Some(new), Some(_)) => out.push(format!(
            "Combinations that training never showed are named in {}, those that it showed in {}; the difference can't be told from chance.",
            share(new), share(known)
        )),
        _ => out.push("Which combinations its training showed is not known here, so nothing is said of generalisation.".to_owned()),
    }
    let units: usize = report.units.sites.iter().map(|s| s.units).sum();
    let encoding: usize = report.units.sites.iter().map(|s| s.encoding.any).sum();
    let null: usize = report.units.sites.iter().map(|s| s.null.any).sum();
    out.push(format!(
        "{encoding} of {units} units at {} sites encode a concept (held-out effect of at least {}); with permuted labels {null} would be said to.",
        report.units.sites.len(), report.units.min_effect
    ));
    out.push(
        "Units of a model with random weights tell concepts apart as well, colours above all; this exam has no such control yet, so the count is no evidence of learning. It is correlation, too: no unit was changed, so none is shown to cause what the model answers.".to_owned(),
    );
    out
}

fn above(rate: &Rate) -> bool {
    rate.accuracy.lo > rate.chance
}

fn share(rate: &Rate) -> String {
    format!(
        "{:.1} % [{:.1}, {:.1}]",
        100.0 * rate.accuracy.estimate,
        100.0 * rate.accuracy.lo,
        100.0 * rate.accuracy.hi
    )
}
