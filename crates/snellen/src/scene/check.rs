//! What a [`World`] has to be for its scenes to be drawn and told apart.

use super::Background;
use super::combinations::MAX_COMBINATIONS;
use super::drawing::Look;
use super::name::{self, check_name};
use super::world::{Free, Said, World, WorldFactor, WorldValue};
use crate::{Error, Result};
use std::collections::BTreeSet;

/// The most factors of a world.
const MAX_FACTORS: usize = 16;

/// The most values of a factor.
const MAX_VALUES: usize = 1000;

/// The most objects of a scene with free places.
const MAX_OBJECTS: usize = 64;

/// Lengths that differ by no more than this share of the frame count as equal.
const SLACK: f64 = 1e-6;

impl World {
    /// Whether every scene of this world can be drawn, with no object leaving the frame or touching another.
    ///
    /// # Errors
    /// Names the factor, value or field that is missing, repeated, out of range, out of the frame or too close to another.
    pub fn check(&self) -> Result<()> {
        if !(1..=MAX_FACTORS).contains(&self.factors.len()) {
            return Err(Error::mismatch("world: factors", format!("1 to {MAX_FACTORS}"), self.factors.len()));
        }
        distinct("factors", self.factors.iter().map(|factor| factor.name.as_str()))?;
        let mut kinds = BTreeSet::new();
        for (f, factor) in self.factors.iter().enumerate() {
            name::check_factor(|| format!("world: factors[{f}].name"), &factor.name)?;
            let kind = check_factor(factor, self.background)?;
            if !kinds.insert(kind) {
                let expected = format!("one factor of kind {kind}");
                return Err(Error::mismatch(format!("world: factor `{}`", factor.name), expected, "a second one"));
            }
        }
        if self.factors.iter().filter(|factor| factor.said == Said::Noun).count() > 1 {
            return Err(Error::mismatch("world: factors", "at most one that is said as noun", "several"));
        }
        if self.said().is_empty() {
            return Err(Error::mismatch("world: factors", "at least one that is said as noun or adjective", "none"));
        }
        let sizes = self.said().into_iter().map(|f| self.factors[f].values.len());
        let count = sizes.fold(1_usize, usize::saturating_mul);
        if count > MAX_COMBINATIONS {
            let expected = format!("at most {MAX_COMBINATIONS} combinations of what captions say");
            return Err(Error::mismatch("world: factors", expected, count));
        }
        let [smallest, largest] = self.size;
        if !(smallest > 0.0 && smallest <= largest && largest <= 1.0) {
            let expected = "a smallest and a largest size with 0 < smallest <= largest <= 1";
            return Err(Error::mismatch("world: size", expected, format!("[{smallest}, {largest}]")));
        }
        let places = self.places().map(|f| &self.factors[f]);
        if let Some(places) = places.filter(|places| places.said != Said::No) {
            let place = format!("world: factor `{}`, said", places.name);
            return Err(Error::mismatch(
                place,
                "no (captions do not say places)",
                format!("{:?}", places.said).to_lowercase(),
            ));
        }
        let largest = self.largest();
        if let Some(free) = self.free {
            return self.check_free(free, places, largest);
        }
        if !(0.0..=0.5).contains(&self.jitter) {
            return Err(Error::mismatch("world: jitter", "a share of the frame from 0 to 0.5", self.jitter));
        }
        let reach = largest / 2.0 + self.jitter;
        let Some(places) = places else {
            return Err(Error::mismatch("world: factors", "one of places, or `free` places", "none"));
        };
        places.values.iter().try_for_each(|value| inside_frame(value, reach))?;
        self.check_distances(places, reach, largest)
    }

    /// Whether as many objects as asked for fit into the frame, the largest that there are.
    fn check_free(&self, free: Free, places: Option<&WorldFactor>, largest: f64) -> Result<()> {
        if self.jitter != 0.0 {
            return Err(Error::mismatch("world: jitter", "0, since places are free", self.jitter));
        }
        if !(0.0..=0.5).contains(&free.gap) {
            return Err(Error::mismatch("world: free.gap", "a share of the frame from 0 to 0.5", free.gap));
        }
        if !(1..=MAX_OBJECTS).contains(&free.objects) {
            return Err(Error::mismatch("world: free.objects", format!("1 to {MAX_OBJECTS}"), free.objects));
        }
        let most = free.most(largest);
        if free.objects > most {
            let expected =
                format!("at most {most}, as many as fit where all are of size {largest:.6} and {} apart", free.gap);
            return Err(Error::mismatch("world: free.objects", expected, free.objects));
        }
        places.map_or(Ok(()), |places| places.values.iter().try_for_each(|value| inside_frame(value, 0.0)))
    }

    fn check_distances(&self, places: &WorldFactor, reach: f64, largest: f64) -> Result<()> {
        for (k, one) in places.values.iter().enumerate() {
            for other in &places.values[..k] {
                let (Look::Place(a), Look::Place(b)) = (one.look, other.look) else { continue };
                let apart = (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
                if apart < 2.0 * reach - SLACK {
                    let expected = format!(
                        "places {:.6} or more apart along an axis, so that objects of size {largest} and jitter {} never overlap",
                        2.0 * reach,
                        self.jitter
                    );
                    let got = format!("`{}` {apart:.6} from `{}`", one.name, other.name);
                    return Err(Error::mismatch(format!("world: {}[{k}]", places.name), expected, got));
                }
            }
        }
        Ok(())
    }
}

fn distinct<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (k, name) in names.enumerate() {
        let place = || format!("world: {field}[{k}]");
        check_name(place, name)?;
        if !seen.insert(name) {
            return Err(Error::mismatch(place(), "a name of its own", format!("`{name}` again")));
        }
    }
    if seen.is_empty() {
        return Err(Error::mismatch(format!("world: {field}"), "at least one", "none"));
    }
    Ok(())
}

/// The kind of looks of a factor, whose values are sound and look each their own way.
fn check_factor(factor: &WorldFactor, background: Background) -> Result<&'static str> {
    let name = &factor.name;
    if factor.values.len() > MAX_VALUES {
        return Err(Error::mismatch(
            format!("world: {name}"),
            format!("at most {MAX_VALUES} values"),
            factor.values.len(),
        ));
    }
    distinct(name, factor.values.iter().map(|value| value.name.as_str()))?;
    let kind = factor.values[0].look.kind();
    for (k, value) in factor.values.iter().enumerate() {
        let place = || format!("world: {name}[{k}].{}", value.look.kind());
        if value.look.kind() != kind {
            return Err(Error::mismatch(
                place(),
                format!("{kind}, as `{}` has", factor.values[0].name),
                value.look.kind(),
            ));
        }
        match value.look {
            Look::Paint([255, 255, 255]) if background.is_plain() => {
                return Err(Error::mismatch(place(), "a colour other than the white background", "[255, 255, 255]"));
            }
            Look::Scale(scale) if !(scale > 0.0 && scale <= 100.0) => {
                return Err(Error::mismatch(place(), "a number above 0, at most 100", scale));
            }
            _ => {}
        }
        if let Some(twin) = factor.values[..k].iter().find(|other| other.look == value.look) {
            return Err(Error::mismatch(
                place(),
                "a look of its own",
                format!("{:?}, which is `{}` too", value.look, twin.name),
            ));
        }
    }
    Ok(kind)
}

fn inside_frame(value: &WorldValue, reach: f64) -> Result<()> {
    let Look::Place(place) = value.look else { return Ok(()) };
    let kept = if reach > 0.0 { ", so that the largest object stays in the frame" } else { "" };
    for (axis, centre) in ["x", "y"].into_iter().zip(place) {
        if !(centre - reach >= -SLACK && centre + reach <= 1.0 + SLACK) {
            return Err(Error::mismatch(
                format!("world: place `{}`, {axis}", value.name),
                format!("{reach:.6} to {:.6}{kept}", 1.0 - reach),
                centre,
            ));
        }
    }
    Ok(())
}
