//! Unit measures of untrained models, beside which those of the model stand.

use crate::measure::Confidence;
use crate::measure::control::SiteControl;
use crate::measure::factorial::UnitClass;
use crate::measure::spread::Spread;
use crate::measure::superposition::Together;
use crate::report::{SiteUnits, Units, UnitsControl};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The sites of some untrained models of one kind.
pub(crate) struct Untrained {
    /// How they were made.
    pub(crate) name: String,
    /// Model after model, their sites.
    pub(crate) models: Vec<Vec<SiteUnits>>,
}

/// Puts what `controls` give beside what `units` say.
///
/// # Errors
/// When a control lacks one of the sites, or has another number of units there.
pub(super) fn beside(units: &mut Units, controls: &[Untrained], confidence: Confidence) -> Result<()> {
    for of in &mut units.sites {
        for control in controls {
            let place = || format!("control `{}`: site {}", control.name, of.site);
            let same = |site: &&SiteUnits| (&site.site, &site.tokens) == (&of.site, &of.tokens);
            let missing = |model: &[SiteUnits]| {
                let sites = model.iter().map(|site| format!("{}/{}", site.site, site.tokens)).collect::<Vec<_>>();
                Error::mismatch(place(), "the sites of what is measured", format!("only {}", sites.join(", ")))
            };
            let sites = control.models.iter().map(|model| model.iter().find(same).ok_or_else(|| missing(model)));
            let sites: Vec<&SiteUnits> = sites.collect::<Result<_>>()?;
            if let Some(other) = sites.iter().find(|site| site.units != of.units) {
                return Err(Error::mismatch(place(), format!("{} units", of.units), other.units));
            }
            of.controls.extend(site(&control.name, &sites, confidence));
        }
    }
    let total: usize = units.sites.iter().map(|site| site.units).sum();
    units.controls = controls.iter().filter_map(|control| together(control, total, confidence)).collect();
    Ok(())
}

fn site(name: &str, sites: &[&SiteUnits], confidence: Confidence) -> Option<SiteControl> {
    let units = sites.first()?.units;
    let counts = |of: &dyn Fn(&SiteUnits) -> usize| {
        Spread::of_counts(&sites.iter().map(|site| of(site)).collect::<Vec<_>>(), units, confidence)
    };
    let numbers = |of: &dyn Fn(&Together) -> Option<f64>| {
        sites.iter().map(|site| site.together.as_ref().and_then(of)).collect::<Option<Vec<f64>>>()
    };
    let shares = |of: &dyn Fn(&Together) -> Option<f64>| Spread::of_shares(&numbers(of)?, confidence);
    let concepts = sites.first()?.encoding.per_concept.len();
    let decodable: Option<Vec<usize>> =
        sites.iter().map(|site| site.together.as_ref().map(|of| of.decodable)).collect();
    let class = |class: UnitClass| {
        let spread = counts(&|site| site.classes.get(&class).copied().unwrap_or(0));
        spread.map(|spread| (class, spread))
    };
    Some(SiteControl {
        name: name.to_owned(),
        models: sites.len(),
        encoding: counts(&|site| site.encoding.any)?,
        per_concept: (0..concepts).filter_map(|c| counts(&|site| site.encoding.per_concept[c])).collect(),
        classes: UnitClass::ALL.into_iter().filter_map(class).collect(),
        decodable: decodable.and_then(|counts| Spread::of_counts(&counts, concepts, confidence)),
        participation_ratio: numbers(&|of| of.participation_ratio).and_then(|values| Spread::of(&values, confidence)),
        linear_r2: shares(&|of| of.linear_r2.map(|share| share.estimate)),
        conjunction_gain: shares(&|of| of.conjunction_gain.map(|share| share.estimate)),
    })
}

/// All sites of a model together.
fn together(control: &Untrained, total: usize, confidence: Confidence) -> Option<UnitsControl> {
    let sums = |of: &dyn Fn(&SiteUnits) -> usize| {
        let sums = control.models.iter().map(|model| model.iter().map(of).sum());
        Spread::of_counts(&sums.collect::<Vec<usize>>(), total, confidence)
    };
    let class =
        |class: UnitClass| sums(&|site| site.classes.get(&class).copied().unwrap_or(0)).map(|spread| (class, spread));
    Some(UnitsControl {
        name: control.name.clone(),
        models: control.models.len(),
        encoding: sums(&|site| site.encoding.any)?,
        classes: UnitClass::ALL.into_iter().filter_map(class).collect::<BTreeMap<_, _>>(),
    })
}
