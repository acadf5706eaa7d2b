//! Does superposition cost? Every sentence with effects that must give it, and others that must not.

use super::planted::{Kind, Planted, ablated, clean};
use snellen::intervene::{CleanMargin, CostAnswer, CostConfig, Effect, Null, answer};
use snellen::measure::Interval;

const CONFIG: CostConfig = CostConfig { twins: 24, draws: 100, sites: 4 };
const HINDERS: &str = "Superposition hinders binding here";

fn interval(estimate: f64, half: f64) -> Interval {
    Interval { estimate, lo: estimate - half, hi: estimate + half }
}

/// An effect on the swap margin beside random sets around `null`.
fn effect(estimate: f64, half: f64, null: f64, q: f64) -> Effect {
    Effect {
        site: "blocks.2.mlp.hook_post".to_owned(),
        tokens: "all".to_owned(),
        set: "shared".to_owned(),
        size: 9,
        edit: "mean".to_owned(),
        target: "swap".to_owned(),
        effect: interval(estimate, half),
        null: Null { draws: 100, mean: null, lo: null - 0.1, hi: null + 0.1 },
        p: q,
        q,
        changed: 1,
        largest: 1.0,
        restored: None,
    }
}

fn margin(estimate: f64, half: f64) -> CleanMargin {
    CleanMargin { target: "swap".to_owned(), margin: interval(estimate, half), spread: 0.1 }
}

/// The answer where the model binds, and its words.
fn of(effects: &[Effect]) -> (CostAnswer, String) {
    answer(effects, &margin(1.5, 0.4), 0, CONFIG)
}

#[test]
fn it_hinders_only_where_the_margin_rises_beyond_random_sets() {
    let still = effect(0.0, 0.05, 0.0, 0.9);
    let (said, words) = of(&[still.clone(), effect(0.5, 0.2, 0.0, 0.04)]);
    assert_eq!(said, CostAnswer::Hinders);
    assert!(words.starts_with(HINDERS) && words.contains("blocks.2.mlp.hook_post (+0.50 [+0.30, +0.70]"), "{words}");
    assert!(words.contains("q = 0.040") && words.contains("100 random sets"), "{words}");
    // Also where there is no binding yet: what hinders it may be why.
    assert_eq!(answer(&[effect(0.5, 0.2, 0.0, 0.04)], &margin(0.1, 0.4), 0, CONFIG).0, CostAnswer::Hinders);
    let others = [
        ("not beyond chance", effect(0.5, 0.2, 0.0, 0.06)),
        ("not for certain", effect(0.5, 0.6, 0.0, 0.01)),
        ("as random sets do", effect(0.5, 0.2, 0.45, 0.01)),
        ("in the other direction", effect(-0.5, 0.2, 0.0, 0.01)),
        ("of an attribute", Effect { target: "attribute:color".to_owned(), ..effect(0.5, 0.2, 0.0, 0.01) }),
    ];
    for (why, other) in others {
        let (said, words) = of(&[still.clone(), other]);
        assert!(said != CostAnswer::Hinders && !words.contains(HINDERS), "{why}: {words}");
    }
}

#[test]
fn they_carry_it_only_where_the_margin_falls_beyond_random_sets() {
    let (said, words) = of(&[effect(-0.5, 0.2, 0.0, 0.04)]);
    assert_eq!(said, CostAnswer::Carries);
    assert!(words.contains("carry binding") && words.contains("Nothing shows that sharing hinders it"), "{words}");
    for other in [effect(-0.5, 0.2, -0.45, 0.01), effect(-0.5, 0.2, 0.0, 0.06), effect(0.0, 0.05, 0.0, 0.9)] {
        assert_ne!(of(&[other]).0, CostAnswer::Carries);
    }
    // Both, at two sites: both are said.
    let (said, words) = of(&[effect(0.5, 0.2, 0.0, 0.04), effect(-0.7, 0.2, 0.0, 0.04)]);
    assert!(said == CostAnswer::Hinders && words.contains("without them it falls"), "{words}");
}

#[test]
fn a_direction_that_is_projected_out_may_hinder_and_carries_nothing() {
    let still = effect(0.0, 0.05, 0.0, 0.9);
    let without = |estimate: f64, q: f64| Effect {
        set: "shape=circle and color=red".to_owned(),
        edit: "project-out:color=red".to_owned(),
        ..effect(estimate, 0.2, 0.0, q)
    };
    let (said, words) = of(&[still.clone(), without(0.5, 0.04)]);
    assert_eq!(said, CostAnswer::Hinders);
    let place = "color=red projected out of the units of shape=circle and color=red (+0.50 [+0.30, +0.70]";
    assert!(words.contains(place) && words.contains("random directions"), "{words}");
    // What is lost with a concept is that concept; and what units do is asked of units.
    for other in [without(-0.5, 0.01), without(0.5, 0.06)] {
        assert_eq!(of(&[still.clone(), other]).0, CostAnswer::NoMore);
    }
}

#[test]
fn no_more_than_others_is_said_of_small_effects_alone() {
    let (said, words) = of(&[effect(0.05, 0.1, 0.0, 0.6), effect(-0.32, 0.1, -0.3, 0.9)]);
    assert_eq!(said, CostAnswer::NoMore);
    assert!(words.contains("no more for binding than others") && words.contains("within 0.2 spreads"), "{words}");
    // Of the 30 that are shared 9 at each of two sites were compared.
    let few = answer(&[effect(0.05, 0.1, 0.0, 0.6), effect(-0.32, 0.1, -0.3, 0.9)], &margin(1.5, 0.4), 30, CONFIG).1;
    assert!(few.starts_with(&words) && few.contains("Of the 30 shared units at these sites 18 have"), "{few}");
    let (said, words) = of(&[effect(0.05, 0.1, 0.0, 0.6), effect(0.1, 0.3, 0.0, 0.6)]);
    assert_eq!(said, CostAnswer::CantTell);
    assert!(words.contains("can't be told from 24 twins"), "{words}");
}

#[test]
fn where_nothing_is_bound_there_is_nothing_to_restore() {
    let still = [effect(0.0, 0.05, 0.0, 0.9)];
    for unbound in [margin(0.2, 0.3), margin(-1.0, 0.3)] {
        let (said, words) = answer(&still, &unbound, 0, CONFIG);
        assert_eq!(said, CostAnswer::NothingToRestore);
        assert!(words.contains("Nothing to restore") && words.contains("is not shown"), "{words}");
    }
    assert_ne!(answer(&still, &margin(0.5, 0.3), 0, CONFIG).0, CostAnswer::NothingToRestore);
    // A tower that is blind to order: its margins are rounding, of which no effect is shown.
    let attribute = Effect { target: "attribute:color".to_owned(), ..effect(0.5, 0.2, 0.0, 0.01) };
    assert_eq!(answer(&[attribute], &margin(0.5, 0.3), 0, CONFIG).0, CostAnswer::NothingToRestore);
}

/// What is said of the first five units in networks of which the others are these.
fn said(first: Kind, others: &[Kind], seeds: u64) -> Vec<CostAnswer> {
    let of = |seed: u64| {
        let kinds: Vec<Kind> = [first; 5].into_iter().chain(others.iter().copied()).chain([Kind::Else; 60]).collect();
        let planted = Planted::new(&kinds, seed);
        let effects = ablated(&planted, (0..5).collect(), seed);
        answer(&effects.rows, &clean(&planted), 5, CONFIG).0
    };
    (0..seeds).map(of).collect()
}

#[test]
fn what_is_planted_is_said() {
    let carried = [Kind::Bound(0.5); 5];
    let count = |all: &[CostAnswer], answer: CostAnswer| all.iter().filter(|said| **said == answer).count();
    // Shared units that take from what others carry.
    let hinder = said(Kind::Bound(-0.25), &carried, 20);
    assert!(count(&hinder, CostAnswer::Hinders) >= 19, "{hinder:?}");
    // Units that carry it, shared or not.
    let carry = said(Kind::Bound(0.5), &[], 20);
    assert!(count(&carry, CostAnswer::Carries) >= 19, "{carry:?}");
    // Shared without cost: they go with the binding, which others carry.
    let costless = said(Kind::Bound(0.0), &carried, 20);
    assert!(count(&costless, CostAnswer::Hinders) + count(&costless, CostAnswer::Carries) <= 1, "{costless:?}");
    // Nothing is bound.
    let unbound = said(Kind::Else, &[], 20);
    assert!(count(&unbound, CostAnswer::Hinders) + count(&unbound, CostAnswer::Carries) <= 1, "{unbound:?}");
    assert!(count(&unbound, CostAnswer::NothingToRestore) >= 17, "{unbound:?}");
}
