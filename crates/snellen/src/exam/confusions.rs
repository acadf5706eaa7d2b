//! Whether concepts that fake one another for a linear reader are those that the model's own answers confuse.
//!
//! How near a picture of g comes to being called f is the mean of cos(picture, caption of f) - cos(picture, caption of g) over pictures
//! of single objects with g, the captions agreeing in all else. Within a factor these are held against the functional interference
//! of the model's embedding, both averaged over the two directions of a pair: Pearson's r over pairs of values, p by
//! relabelling one of the tables, since pairs share their values.

use super::recognition::Recognition;
use crate::measure::correlation::pearson;
use crate::measure::label_permutation::{PairTable, label_permutation};
use crate::measure::superposition::SiteGeometry;
use crate::report::Confusions;
use crate::scene::World;

/// The links of both factors of single objects; those are left out whose values are not all among `concepts` (`factor=value`), or
/// have no interference.
pub(super) fn confusions(
    single: &Recognition,
    world: &World,
    (site, geometry): (&str, &SiteGeometry),
    concepts: &[String],
    seed: u64,
) -> Vec<Confusions> {
    let shapes: Vec<String> = world.shapes.iter().map(|shape| format!("shape={}", shape.name())).collect();
    let colors: Vec<String> = world.colors.iter().map(|color| format!("color={}", color.name)).collect();
    let link = |(factor, names, nearness): (&str, &[String], &Vec<Vec<f64>>)| {
        let places: Vec<usize> =
            names.iter().map(|name| concepts.iter().position(|concept| concept == name)).collect::<Option<_>>()?;
        let faked = |f: usize, g: usize| {
            let (a, b) = (places[f].min(places[g]), places[f].max(places[g]));
            let pair = geometry.pairs.iter().find(|pair| (pair.a, pair.b) == (a, b))?;
            Some(f64::midpoint(pair.interference_ab?.estimate, pair.interference_ba?.estimate))
        };
        let n = names.len();
        let pairs: Vec<[usize; 2]> = (0..n).flat_map(|f| (f + 1..n).map(move |g| [f, g])).collect();
        let faked: Vec<f64> = pairs.iter().map(|[f, g]| faked(*f, *g)).collect::<Option<_>>()?;
        let near: Vec<f64> = pairs.iter().map(|[f, g]| f64::midpoint(nearness[*f][*g], nearness[*g][*f])).collect();
        let r = pearson(&faked, &near)?;
        let table = |values: &[f64]| {
            let mut values = values.iter().copied();
            PairTable::new(n, |_, _| values.next().unwrap_or(f64::NAN))
        };
        // It tests four tables at once; here is one.
        let faked = table(&faked);
        let found = label_permutation(&[0; 4].map(|_| faked.clone()), &table(&near), &vec![0; n], seed);
        Some(Confusions {
            site: site.to_owned(),
            factor: factor.to_owned(),
            pairs: pairs.len(),
            r,
            p: found[0].p,
            permutations: found[0].permutations,
        })
    };
    let both = [("shape", &shapes[..], &single.near_shapes), ("color", &colors[..], &single.near_colors)];
    both.into_iter().filter_map(link).collect()
}
