//! Which pictures of a tar file's keys are its images.

use super::super::passed::{Passed, some};
use super::scan::Found;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Every picture is an image of its own.
const ALL: &str = "*";

/// Of the pictures `found` in the file called `place`, in their order, those that are images, each with its name: the key, or,
/// where every picture is one, key and field. `fields` are those of [`SourceConfig::fields`](super::super::SourceConfig::fields).
///
/// # Errors
/// When a key has a field twice, or several pictures and none was chosen.
pub(super) fn choose(
    place: &str,
    found: Vec<Found>,
    fields: &[String],
    passed: &mut Passed,
) -> Result<Vec<(String, Found)>> {
    let mut by_key: Vec<usize> = (0..found.len()).collect();
    by_key.sort_by(|a, b| (&found[*a].key, &found[*a].field).cmp(&(&found[*b].key, &found[*b].field)));
    if let Some(twice) = by_key
        .windows(2)
        .find(|two| (&found[two[0]].key, &found[two[0]].field) == (&found[two[1]].key, &found[two[1]].field))
    {
        let Found { key, field, .. } = &found[twice[1]];
        return Err(Error::mismatch(format!("{place}: `{key}.{field}`"), "an image with a key of its own", "it again"));
    }
    if fields.iter().any(|field| field == ALL) {
        return Ok(found.into_iter().map(|found| (format!("{}.{}", found.key, found.field), found)).collect());
    }
    let mut chosen = vec![false; found.len()];
    for of_key in by_key.chunk_by(|a, b| found[*a].key == found[*b].key) {
        let image = match of_key {
            [one] if fields.is_empty() => Some(*one),
            several if fields.is_empty() => return Err(ambiguous(place, several, &found)),
            several => fields.iter().find_map(|field| several.iter().find(|i| found[**i].field == *field)).copied(),
        };
        image.into_iter().for_each(|image| chosen[image] = true);
    }
    let mut images = Vec::new();
    for (found, chosen) in found.into_iter().zip(chosen) {
        if chosen {
            images.push((found.key.clone(), found));
        } else {
            let name = format!("{}.{}", found.key, found.field);
            passed.add(format!("pictures of the field `{}`", some(std::iter::once(found.field.as_str()))), name);
        }
    }
    Ok(images)
}

fn ambiguous(place: &str, of_key: &[usize], found: &[Found]) -> Error {
    let here = of_key.iter().map(|i| format!("`{}`", found[*i].field)).take(10).collect::<Vec<_>>().join(" and ");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    found.iter().for_each(|found| *counts.entry(&found.field).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let all = counts.iter().take(10).map(|(field, count)| format!("{field} ({count})")).collect::<Vec<_>>().join(", ");
    let key = format!("{place}: key `{}`", found[of_key[0]].key);
    let expected =
        "one picture of every key, or --image-field to say which is meant (FIELD,..., or * for every picture)";
    Error::mismatch(key, expected, format!("{here}; the pictures of all keys are {all}"))
}
