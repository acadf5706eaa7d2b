use super::concepts;
use proptest::prelude::*;
use snellen::measure::{Design, Matrix};
use snellen::scene::labels::{LabelRow, LabelTable};
use snellen::scene::{Concept, Factor};

fn labels() -> LabelTable {
    let factor = |name: &str, values: &[&str]| Factor {
        name: name.into(),
        values: values.iter().map(|&value| value.into()).collect(),
    };
    let row = |k: usize, objects: &[[Option<u32>; 2]]| LabelRow {
        filename: format!("{k}.png"),
        objects: objects.iter().map(|object| object.to_vec()).collect(),
    };
    LabelTable {
        factors: vec![factor("shape", &["circle", "square"]), factor("color", &["red", "blue", "green"])],
        rows: vec![
            row(0, &[[Some(0), Some(0)]]),
            row(1, &[[Some(1), Some(0)], [Some(1), Some(1)]]),
            row(2, &[]),
            row(3, &[[None, Some(1)]]),
        ],
    }
}

#[test]
fn labels_become_presence_and_strata() {
    let design = Design::from_labels(&labels()).unwrap();
    let names: Vec<_> = design.concepts().iter().map(Concept::to_string).collect();
    assert_eq!(names, ["shape=circle", "shape=square", "color=red", "color=blue", "color=green"]);
    assert_eq!(design.strata(), [1, 2, 0, 1]);
    assert_eq!(design.present(1), [false, true, false, false]);
    assert_eq!(design.present(3), [false, true, false, true]);
    assert_eq!(design.present(4), [false; 4]);
    let part = design.subset(&[3, 1]).unwrap();
    assert_eq!((part.strata(), part.present(2)), (&[1, 2][..], &[false, true][..]));
    let said = design.subset(&[4]).unwrap_err().to_string();
    assert_eq!(said, "design: subset: expected an image below 4, got 4");
}

#[test]
fn sizes_that_disagree_are_refused() {
    let said = |result: snellen::Result<Design>| result.unwrap_err().to_string();
    assert_eq!(said(Design::new(vec![], vec![], vec![1])), "design: expected at least one concept, got none");
    assert_eq!(said(Design::new(concepts(2), vec![vec![]], vec![])), "design: presence: expected 2 concepts, got 1");
    let short = Design::new(concepts(1), vec![vec![true]], vec![0, 0]);
    assert_eq!(said(short), "design: concept `color=c0`: expected 2 images, got 1");
    let said = Matrix::new(2, 3, vec![0.0; 5]).unwrap_err().to_string();
    assert_eq!(said, "activations: expected 2 images x 3 units, got 5 values");
    assert!(Matrix::new(usize::MAX, 2, vec![]).is_err());
}

#[test]
fn columns_are_the_transpose() {
    let matrix = super::matrix(3, 4, |image, unit| (10 * image + unit) as f64);
    assert_eq!(matrix.row(2), [20.0, 21.0, 22.0, 23.0]);
    assert_eq!(matrix.column(1), [1.0, 11.0, 21.0]);
    let mut columns = vec![9.0; 99];
    matrix.columns(2..4, &mut columns);
    assert_eq!(columns, [2.0, 12.0, 22.0, 3.0, 13.0, 23.0]);
}

fn strata() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..4_usize, 0..60)
}

proptest! {
    #[test]
    fn halves_share_every_stratum_out(strata in strata(), seed: u64) {
        let design = Design::new(concepts(1), vec![vec![true; strata.len()]], strata.clone()).unwrap();
        let halves = design.halves(seed);
        prop_assert_eq!(&halves, &design.halves(seed));
        let mut both = halves.concat();
        both.sort_unstable();
        prop_assert_eq!(both, (0..strata.len()).collect::<Vec<_>>());
        let of = |half: &[usize], s| half.iter().filter(|&&image| strata[image] == s).count();
        (0..4).for_each(|s| assert!(of(&halves[0], s).abs_diff(of(&halves[1], s)) <= 1));
        prop_assert!(halves[0].len().abs_diff(halves[1].len()) <= 1);
        prop_assert!(halves.iter().all(|half| half.is_sorted()));
    }

    #[test]
    fn permuted_labels_stay_in_their_stratum_and_together(strata in strata(), seed: u64) {
        // Each image's number in binary, so that where its labels went can be read off.
        let bits = |bit: usize| (0..strata.len()).map(|image| image >> bit & 1 == 1).collect();
        let design = Design::new(concepts(6), (0..6).map(bits).collect(), strata.clone()).unwrap();
        let permuted = design.permuted(seed);
        prop_assert_eq!(permuted.strata(), design.strata());
        let source = |image: usize| (0..6).fold(0, |n, bit| n | usize::from(permuted.present(bit)[image]) << bit);
        let mut sources: Vec<_> = (0..strata.len()).map(source).collect();
        prop_assert!(sources.iter().zip(&strata).all(|(&source, &s)| strata[source] == s));
        sources.sort_unstable();
        prop_assert_eq!(sources, (0..strata.len()).collect::<Vec<_>>());
    }
}

#[test]
fn seeds_make_other_halves_and_nulls() {
    let present = (0..40).map(|image| image % 3 == 0).collect();
    let design = Design::new(concepts(1), vec![present], vec![1; 40]).unwrap();
    assert_ne!(design.halves(1), design.halves(2));
    assert_ne!(design.permuted(1), design.permuted(2));
    assert_ne!(design.permuted(1), design);
}
