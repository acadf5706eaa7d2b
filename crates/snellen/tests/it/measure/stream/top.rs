use super::{data, some_data};
use proptest::prelude::*;
use snellen::measure::stream::{Batch, Measure, Moments, Ranked, TopImages};

/// Sorted by definition.
fn sorted(column: &[f32], k: usize) -> Vec<Ranked> {
    let mut ranked: Vec<_> = column.iter().enumerate().map(|(image, &value)| Ranked { image, value }).collect();
    ranked.sort_by(|a, b| b.value.partial_cmp(&a.value).unwrap().then(a.image.cmp(&b.image)));
    ranked.truncate(k);
    ranked
}

proptest! {
    #[test]
    fn the_largest_are_the_largest_any_way(data in some_data(), k in 1..40_usize, seed: u64) {
        let empty = TopImages::new(data.units, k).unwrap();
        let top = data.once(empty.clone());
        prop_assert_eq!(&data.split(&empty, seed), &top);
        for (unit, top) in top.into_iter().enumerate() {
            let column = data.column(unit);
            let finite = column.iter().all(|value| value.is_finite());
            prop_assert_eq!(top, finite.then(|| sorted(&column, k)));
        }
    }

    #[test]
    fn a_pair_is_both(data in some_data(), seed: u64) {
        let empty = (TopImages::new(data.units, 3).unwrap(), Moments::new(data.units));
        let (top, moments) = data.split(&empty, seed);
        prop_assert_eq!(top, data.once(empty.0));
        let counts = |moments: &[snellen::measure::stream::UnitMoments]| {
            moments.iter().map(|m| (m.count, m.non_finite, m.min, m.max)).collect::<Vec<_>>()
        };
        prop_assert_eq!(counts(&moments), counts(&data.once(empty.1)));
    }
}

#[test]
fn zeros_of_either_sign_tie() {
    let values = [-0.0, 1.0, 0.0, -0.0, -1.0];
    let mut top = TopImages::new(1, 4).unwrap();
    top.observe(Batch::new(10, 1, &values).unwrap()).unwrap();
    let ranked = top.finish().remove(0).unwrap();
    assert_eq!(
        ranked.iter().map(|r| (r.image, r.value)).collect::<Vec<_>>(),
        [(11, 1.0), (10, 0.0), (12, 0.0), (13, 0.0)]
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let said = |result: snellen::Result<()>| result.unwrap_err().to_string();
    let data = data(4, false, 1);
    let mut top = TopImages::new(3, 2).unwrap();
    assert_eq!(said(top.observe(data.batch(0, 4))), "top images: batch: expected 3 units, got 9");
    let other = TopImages::new(3, 5).unwrap();
    assert_eq!(said(top.merge(other)), "top images: merge: expected 2 images for each unit, got 5");
    assert_eq!(said(TopImages::new(3, 0).map(drop)), "top images: k: expected at least 1, got 0");
    assert_eq!(said(Moments::new(3).merge(Moments::new(4))), "moments: merge: expected 3 units, got 4");
    assert_eq!(said(Batch::new(0, 3, &[0.0; 4]).map(drop)), "batch: expected rows of 3 values, at least one, got 4");
    assert!(Batch::new(0, 0, &[]).is_err());
    assert!(Batch::new(u32::MAX as usize, 1, &[0.0]).is_err());
    assert!(Batch::listed(&[u32::MAX as usize], 1, &[0.0]).is_err());
    assert_eq!(said(Batch::listed(&[1, 2], 1, &[0.0]).map(drop)), "batch: expected 2 rows, one for each image, got 1");
    let batch = Batch::new(0, 1, &[0.0, 0.0]).unwrap();
    let wrong = "batch: embeddings: expected 2 rows of 3 values, at least one, got 5";
    assert_eq!(said(batch.with_embeddings(3, &[0.0; 5]).map(drop)), wrong);
}
