//! Other words.

use crate::oracles::{Oracle, asked, blind, bound, says};
use image::RgbImage;
use snellen::exam::Examinee;
use snellen::measure::Matrix;
use snellen::scene::World;
use snellen::{Error, Result};

/// Binds what it is told, but for one wording that means nothing to it and one that it can't read.
struct Deaf {
    oracle: Oracle,
    to: &'static str,
    unread: fn(&str) -> bool,
}

impl Examinee for Deaf {
    fn side(&self) -> u32 {
        self.oracle.side()
    }

    fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
        self.oracle.images(images)
    }

    fn texts(&self, texts: &[String]) -> Result<Matrix> {
        let heard = |text: &String| if text.contains(self.to) { String::new() } else { text.clone() };
        self.oracle.texts(&texts.iter().map(heard).collect::<Vec<_>>())
    }

    fn reads(&self, texts: &[String]) -> Result<()> {
        match texts.iter().find(|text| (self.unread)(text)) {
            Some(text) => Err(Error::mismatch("text", "words of its vocabulary", format!("`{}`", &text[..5]))),
            None => Ok(()),
        }
    }
}

#[test]
fn one_that_binds_in_any_words_is_said_nothing_of() {
    let report = asked(&Oracle::new(bound), &World::toy(), "paraphrase");
    let own = report.question("paraphrase").unwrap();
    assert_eq!((own.rates.len(), own.left_out_parts.len()), (14, 0));
    assert!(own.rates.iter().all(|named| named.rate.accuracy.estimate > 1.0 - 1e-9), "{:?}", own.rates);
    for kind in ["named_spread", "swap_spread"] {
        let spread = own.contrast(kind).unwrap();
        assert!(spread.estimate.abs() < 1e-12 && spread.lo < 0.0 && spread.hi > 0.0, "{spread:?}");
    }
    assert!(!says(&report, "How it is worded matters"), "{:?}", report.findings);
    // Nor of one that sees nothing in any words.
    let report = asked(&Oracle::new(blind), &World::toy(), "paraphrase");
    assert!(report.question("paraphrase").unwrap().rates.len() == 14 && !says(&report, "worded"));
}

#[test]
fn words_that_mean_nothing_to_it_are_named_and_words_that_it_cannot_read_left_out() {
    let deaf = Deaf { oracle: Oracle::new(bound), to: "that is", unread: |text| text.starts_with("there") };
    let report = asked(&deaf, &World::toy(), "paraphrase");
    let own = report.question("paraphrase").unwrap();
    let rate = |id: &str| own.rate(id).unwrap().accuracy.estimate;
    assert!((rate("named_plain") - 1.0).abs() < 1e-9 && (rate("swap_the") - 1.0).abs() < 1e-9);
    // All captions are the same one to it.
    assert!((rate("named_that_is") - 1.0 / 30.0).abs() < 1e-9 && (rate("swap_that_is") - 0.5).abs() < 1e-9);
    let [named, swap] = ["named_spread", "swap_spread"].map(|id| *own.contrast(id).unwrap());
    assert!((named.estimate - 29.0 / 30.0).abs() < 1e-9 && named.lo > 0.7 && named.hi <= 1.0, "{named:?}");
    assert!((swap.estimate - 0.5).abs() < 1e-9 && swap.lo > 0.4, "{swap:?}");
    assert!(
        says(&report, "exchanged captions are told apart in 100.0 % [95.9, 100.0] as “a red circle”")
            && says(&report, "as “a circle that is red” (50 points [")
            && says(&report, "corrected for 6 wordings"),
        "{:?}",
        report.findings
    );
    assert_eq!(own.left_out_parts, ["“there is a red circle”: needs words of its vocabulary, not `there`"]);
    assert!(own.rate("named_there_is").is_none());
}

#[test]
fn of_one_wording_there_is_nothing_to_compare() {
    fn own(text: &str) -> bool {
        text.starts_with("a ") && !text.contains(" of ") && !text.contains("that")
    }
    let deaf = Deaf { oracle: Oracle::new(bound), to: "nothing", unread: |text| !own(text) };
    let report = asked(&deaf, &World::toy(), "paraphrase");
    let own = report.question("paraphrase").unwrap();
    let why = own.left_out.as_deref().unwrap();
    assert!(why.starts_with("its text tower reads no second wording: “there is a red circle”: needs words"), "{why}");
    assert!(own.rates.is_empty() && report.findings.is_empty());
}
