//! What the numbers show, in sentences that are chosen by the numbers.

use super::link::Link;
use super::measured::UnitRow;
use super::published;
use super::result::Study;
use super::shows::{Matched, RandomSets};
use crate::Result;

/// p below this is called unlikely by chance.
const LEVEL: f64 = 0.05;
/// What printing two decimals rounded away, and what sums that were not printed may leave.
const ROUNDING: [f64; 2] = [0.005_001, 1e-6];

/// One sentence or two for each question.
pub(super) fn findings(study: &Study) -> Result<Vec<String>> {
    let mut said = vec![additive(study)];
    for (what, link) in
        [("distance", &study.links.full_distance), ("misclassification", &study.links.full_misclassification)]
    {
        said.extend(correlation(what, link));
    }
    said.extend(entropies(study)?);
    said.extend(variance(study));
    let [all, linked] = [&study.shows.errors, &study.shows.errors_without_positions];
    said.push(format!(
        "Misclassification counts each image against a mean that it is part of: {:.1} % of the images lie nearer to the other \
         mean, {:.1} % when the image is left out of its own ({:.1} and {:.1} % in the pairs without positions).",
        100.0 * all.in_sample,
        100.0 * all.left_out,
        100.0 * linked.in_sample,
        100.0 * linked.left_out
    ));
    said.extend(matched(study));
    Ok(said)
}

fn additive(study: &Study) -> String {
    let left = study.additive_fit.max_residual;
    let [printed, exact] = ROUNDING;
    let (allowed, what) =
        if study.sums == "published" { (printed, "as printing rounds") } else { (exact, "as sums of decimals do") };
    if left <= allowed {
        format!(
            "The sum of ratios of two features is the sum of one number for each: over the 120 pairs such a fit leaves at most \
             {left:.1e}, {what}. It has no term for the pair, and cannot tell units that stand for both features from units that \
             stand for either."
        )
    } else {
        format!("Sums of one number per feature leave up to {left:.3} of a pair's sum of ratios.")
    }
}

fn correlation(what: &str, link: &Link) -> Option<String> {
    let (r, naive, p, within) = (link.pearson?, link.p_naive?, link.p_label_permutation?, link.p_within_factors?);
    let verdict = match (p < LEVEL, within < LEVEL) {
        (true, true) => "which chance would seldom give",
        (false, false) => "which chance may well give",
        _ => "so that it depends on what may be exchanged whether chance gives it",
    };
    let extreme = |better: fn(&f64, &f64) -> bool| {
        let mut found: Option<(f64, &str)> = None;
        for without in &link.leave_one_out {
            if let Some(r) = without.pearson
                && found.is_none_or(|(best, _)| better(&r, &best))
            {
                found = Some((r, without.feature));
            }
        }
        found
    };
    let ((low, without_low), (high, without_high)) = (extreme(f64::lt)?, extreme(f64::gt)?);
    Some(format!(
        "Sum of ratios and {what} correlate with r = {r:.2} over {} pairs. If pairs were independent, p would be {}; but they are \
         made of {} features, and relabelling those gives p = {}, or {} where shapes stay shapes and colours stay colours, {verdict}. \
         Without {without_low} r would be {low:.2}, without {without_high} {high:.2}.",
        link.n,
        shown(naive),
        link.leave_one_out.len(),
        shown(p),
        shown(within),
    ))
}

/// A p-value to two digits.
fn shown(p: f64) -> String {
    if p < 0.001 { "below 0.001".to_owned() } else { format!("{p:.*}", if p < 0.1 { 3 } else { 2 }) }
}

fn entropies(study: &Study) -> Result<Option<String>> {
    let sets = &study.shows.random_sets;
    let (Some(fewest), Some(most)) = (sets.first(), sets.last()) else { return Ok(None) };
    let of = |sets: &RandomSets| {
        let objects = if sets.objects == 1 { "one object".to_owned() } else { format!("{} objects", sets.objects) };
        format!("{:.2} [{:.2}, {:.2}] where they show {objects}", sets.mean, sets.lo, sets.hi)
    };
    let low = match &study.model {
        None => published::units()?
            .iter()
            .filter_map(|unit| Some((unit.entropy?.value, unit.objects?.value)))
            .filter(|(entropy, _)| *entropy < PRINTED_LOW)
            .collect::<Vec<_>>(),
        Some(model) => {
            let low = model.units.iter().filter(|unit| unit.rank.is_some());
            low.map(|unit: &UnitRow| (unit.entropy, unit.objects)).collect()
        }
    };
    if low.is_empty() {
        return Ok(None);
    }
    let (entropy, objects): (Vec<f64>, Vec<f64>) = low.iter().copied().unzip();
    let mean = objects.iter().sum::<f64>() / objects.len() as f64;
    let [least, greatest] = [f64::min, f64::max].map(|choose| entropy.iter().copied().fold(entropy[0], choose));
    let beyond = if greatest < fewest.lo {
        "That is lower still, as the least of so many units would be by selection alone, or by being selective beyond the number of objects: the \
         entropy cannot tell which"
    } else {
        "The number of objects alone gives as low entropies"
    };
    let going = match &study.model {
        None => String::new(),
        Some(model) => model.entropies.objects_pearson.map_or(String::new(), |r| {
            format!(
                " Over all {} units, entropy and number of objects go together with r = {r:.2}.",
                model.entropies.count
            )
        }),
    };
    Ok(Some(format!(
        "The entropy of 30 images drawn at random is {}, and {}. The {} low-entropy units {} have {least:.2} to {greatest:.2}; their \
         top images show {mean:.2} objects on average. {beyond}.{going}",
        of(fewest),
        of(most),
        low.len(),
        if study.model.is_some() { "of this model" } else { "that were printed in full" },
    )))
}

/// The 100 units of the study's low-entropy set have entropies below this: the last that was printed has 3.4298.
const PRINTED_LOW: f64 = 3.43;

fn variance(study: &Study) -> Option<String> {
    let shares = &study.shows.variance;
    let (objects, features) = (shares.objects?, shares.features?);
    let (both, bound) = (shares.objects_and_features?, shares.with_combinations?);
    let tail = if bound > both {
        "so the embeddings hold some of which colour belongs to which shape, which nothing in the study asks"
    } else {
        "so nothing of which colour belongs to which shape can be read off linearly"
    };
    Some(format!(
        "Cross-validated, the number of objects alone explains {:.0} % of the variance of the embeddings, which of the 16 features \
         are there {:.0} %, both {:.1} %; with which shape has which colour {:.1} %, {tail}.",
        100.0 * objects,
        100.0 * features,
        100.0 * both,
        100.0 * bound,
    ))
}

fn matched(study: &Study) -> Option<String> {
    let matched = &study.shows.matched;
    let one = matched.first()?;
    let list = |r: fn(&Matched) -> Option<f64>| {
        // Rounded first, so that nothing is shown as less than zero by less than a hundredth.
        let shown = |m| r(m).map_or("undefined".to_owned(), |r| format!("{:.2}", (100.0 * r).round() / 100.0 + 0.0));
        matched.iter().map(shown).collect::<Vec<_>>().join(", ")
    };
    let counts: Vec<String> = matched.iter().map(|m| m.objects.to_string()).collect();
    Some(format!(
        "Among images of equally many objects ({}), so that no feature comes in fuller images than another, the sum of ratios correlates \
         with distance at r = {}, and with misclassification at r = {}. Of the images of {} {:.1} % are misclassified.",
        counts.join(", "),
        list(|m| m.distance_pearson),
        list(|m| m.misclassification_pearson),
        if one.objects == 1 { "one object".to_owned() } else { format!("{} objects", one.objects) },
        100.0 * one.misclassification,
    ))
}
