//! New combinations.

use crate::oracles::{Oracle, asked, bag, blind, bound, says};
use snellen::report::Report;
use snellen::scene::World;

fn rate(report: &Report, id: &str) -> f64 {
    report.rate("generalisation", id).unwrap().accuracy.estimate
}

#[test]
fn a_sum_of_attributes_carries_over() {
    let report = asked(&Oracle::new(bag), &World::toy(), "generalisation");
    for id in
        ["seen_shape_with_color", "held_out_shape_with_color", "seen_color_with_shape", "held_out_color_with_shape"]
    {
        assert!(rate(&report, id) > 0.999, "{id}: {}", rate(&report, id));
    }
    let own = report.question("generalisation").unwrap();
    let gap = own.contrast("gap_shape_with_color").unwrap();
    assert!(gap.estimate.abs() < 1e-9 && gap.hi < 0.1, "{gap:?}");
    assert!(says(&report, "carries over to") && !says(&report, "is worse at"), "{:?}", report.findings);
    // Six symbols of a Latin square of five by six values.
    let splits = own.numbers.iter().filter(|number| number.id.starts_with("gap_shape_x_color_split_"));
    assert_eq!((splits.count(), own.grid.as_ref().unwrap().cells.len()), (6, 30));
    // Raw pixels stand beside it.
    assert!(own.contrast("beyond_shape_with_color").is_some());
    assert!(own.contrast("control_gap_color_with_shape_raw_pixels").is_some());
}

#[test]
fn combinations_known_by_heart_do_not_carry_over() {
    let report = asked(&Oracle::new(bound), &World::toy(), "generalisation");
    assert!(rate(&report, "seen_shape_with_color") > 0.999 && rate(&report, "seen_color_with_shape") > 0.999);
    assert!(rate(&report, "held_out_shape_with_color") < 0.35 && rate(&report, "held_out_color_with_shape") < 0.35);
    assert!(
        says(&report, "worse at shapes of new colours (") && says(&report, "colours of new shapes ("),
        "{:?}",
        report.findings
    );
    assert!(!says(&report, "carries over"));
    // Pixels lose less of it.
    assert!(says(&report, "by more than readers of raw pixels") && !says(&report, "may be."), "{:?}", report.findings);
    let gap = *report.question("generalisation").unwrap().contrast("gap_shape_with_color").unwrap();
    assert!(gap.lo > 0.5, "{gap:?}");
}

#[test]
fn of_what_is_not_read_nothing_is_said() {
    let report = asked(&Oracle::new(blind), &World::toy(), "generalisation");
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let mut one = World::toy();
    one.factors[1].values.truncate(1);
    let report = asked(&Oracle::new(blind), &one, "generalisation");
    let why = report.question("generalisation").unwrap().left_out.as_deref().unwrap();
    assert_eq!(why, "captions say fewer than two attributes with two values or more");
}
