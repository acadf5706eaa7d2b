//! Random sets of units that are alike.

use rand::RngExt;
use snellen::intervene::{Profile, Similar};
use snellen::random;
use std::collections::BTreeSet;

/// Units of many sizes.
fn profiles(count: usize) -> Vec<Profile> {
    let rng = &mut random::stream(4, "profiles", 0);
    let mut profile = || Profile {
        norm: rng.random_range(-1.5f64..1.5).exp2(),
        change: rng.random_range(-1.5f64..1.5).exp2(),
        firing: rng.random_range(0.3..0.6),
    };
    (0..count).map(|_| profile()).collect()
}

#[test]
fn sets_are_alike_and_others() {
    let profiles = profiles(200);
    let (set, excluded): (Vec<usize>, BTreeSet<usize>) = ((0..12).collect(), (100..140).collect());
    let similar = Similar::of(&profiles, &set, &excluded);
    assert!(similar.kept.len() >= 8 && similar.kept.len() + similar.dropped.len() == 12, "{similar:?}");
    let sets = similar.sets(similar.kept.len(), 100, 7).unwrap();
    assert_eq!(sets, similar.sets(similar.kept.len(), 100, 7).unwrap());
    assert_ne!(sets, similar.sets(similar.kept.len(), 100, 8).unwrap());
    assert_eq!(sets.iter().collect::<BTreeSet<_>>().len(), 100);
    let own = |unit: &usize| set.contains(unit) || excluded.contains(unit);
    for drawn in &sets {
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), similar.kept.len());
        assert!(!drawn.iter().any(own));
        // Each is like some unit of the set.
        assert!(drawn.iter().all(|unit| similar.kept.iter().any(|kept| profiles[*kept].is_like(&profiles[*unit]))));
    }
    // On average they are as large as the set, not as the others are.
    let size = |units: &[usize]| units.iter().map(|unit| profiles[*unit].norm.log2()).sum::<f64>() / units.len() as f64;
    let mean = sets.iter().map(|drawn| size(drawn)).sum::<f64>() / 100.0;
    assert!((mean - size(&similar.kept)).abs() < 0.5, "{mean} {}", size(&similar.kept));
}

#[test]
fn what_is_like_no_other_is_left_out() {
    let alike = Profile { norm: 1.0, change: 0.5, firing: 0.5 };
    let mut profiles = vec![alike; 40];
    profiles[1] = Profile { norm: 2.1, ..alike };
    profiles[2] = Profile { change: 0.24, ..alike };
    profiles[3] = Profile { firing: 0.66, ..alike };
    profiles[4] = Profile { norm: 0.0, ..alike };
    let none = BTreeSet::new();
    let similar = Similar::of(&profiles, &[0, 1, 2, 3, 4, 5], &none);
    assert_eq!((similar.kept.as_slice(), similar.dropped.as_slice()), (&[0, 5][..], &[1, 2, 3, 4][..]));
    // Of 34 units there are 34 sets of one.
    assert!(similar.sets(1, 34, 1).is_ok());
    let error = similar.sets(1, 35, 1).unwrap_err().to_string();
    assert!(error.contains("35 different random sets of 1 units") && error.contains("got 34"), "{error}");
    // No more than half of what there is.
    let most = Similar::of(&profiles, &(5..40).collect::<Vec<_>>(), &none);
    assert!(most.kept.is_empty(), "{most:?}");
    let half = Similar::of(&profiles, &(5..25).collect::<Vec<_>>(), &none);
    assert_eq!(half.kept.len(), 8, "{half:?}");
    assert_eq!(Similar::of(&profiles, &[4], &none).kept, [0usize; 0]);
}
