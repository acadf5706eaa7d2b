//! Whether concepts that interfere with one another for a linear reader are those that the model's own answers confuse.
//!
//! How near an image of g comes to being called f is the mean of cos(image, caption of f) - cos(image, caption of g) over images
//! of single objects with g, the captions agreeing in all else. Within a factor these are held against the functional interference
//! of the model's embedding, both averaged over the two directions of a pair: Pearson's r over pairs of values, p by
//! relabelling one of the tables, since pairs share their values.

use crate::measure::correlation::pearson;
use crate::measure::label_permutation::{PairTable, label_permutation};
use crate::measure::superposition::SiteGeometry;
use crate::report::Confusions;
use crate::scene::Factor;

/// The links of the factors of which `nearness` is known, with their values in the order of `factors`; those are left out whose values
/// are not all among `concepts` (`factor=value`), or have no interference.
pub(super) fn confusions(
    nearness: &[(String, Vec<Vec<f64>>)],
    factors: &[Factor],
    (site, geometry): (&str, &SiteGeometry),
    concepts: &[String],
    seed: u64,
) -> Vec<Confusions> {
    let link = |(factor, nearness): &(String, Vec<Vec<f64>>)| {
        let values = &factors.iter().find(|known| known.name == *factor)?.values;
        let names: Vec<String> = values.iter().map(|value| format!("{factor}={value}")).collect();
        let places: Vec<usize> =
            names.iter().map(|name| concepts.iter().position(|concept| concept == name)).collect::<Option<_>>()?;
        let moved = |f: usize, g: usize| {
            let (a, b) = (places[f].min(places[g]), places[f].max(places[g]));
            let pair = geometry.pairs.iter().find(|pair| (pair.a, pair.b) == (a, b))?;
            Some(f64::midpoint(pair.interference_ab?.estimate, pair.interference_ba?.estimate))
        };
        let n = names.len();
        let pairs: Vec<[usize; 2]> = (0..n).flat_map(|f| (f + 1..n).map(move |g| [f, g])).collect();
        let moved: Vec<f64> = pairs.iter().map(|[f, g]| moved(*f, *g)).collect::<Option<_>>()?;
        let near: Vec<f64> = pairs.iter().map(|[f, g]| f64::midpoint(nearness[*f][*g], nearness[*g][*f])).collect();
        let r = pearson(&moved, &near)?;
        let table = |values: &[f64]| {
            let mut values = values.iter().copied();
            PairTable::new(n, |_, _| values.next().unwrap_or(f64::NAN))
        };
        // It tests four tables at once; here is one.
        let moved = table(&moved);
        let found = label_permutation(&[0; 4].map(|_| moved.clone()), &table(&near), &vec![0; n], seed);
        Some(Confusions {
            site: site.to_owned(),
            factor: factor.clone(),
            pairs: pairs.len(),
            r,
            p: found[0].p,
            permutations: found[0].permutations,
        })
    };
    nearness.iter().filter_map(link).collect()
}
