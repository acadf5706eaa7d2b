//! A model against a reference: what another program made of the same checkpoint, site by site.
//!
//! A reference is a safetensors file, as `scripts/dump_reference.py` writes it: pictures and captions, the pixels and token ids that
//! the other program made of them, and every activation under its site's name. Pixels, ids and sites are three comparisons, and
//! agreement is that of all three: what a reference doesn't hold was not compared, which is said and is not agreement.

mod compare;
mod reference;

use self::compare::Compare;
use self::reference::{IDS, Reference};
use super::preprocess::Agreement;
use super::tokenizer::Tokens;
use super::{Backend, Model, Site, Tower};
use crate::engine::Tape;
use crate::{Error, Result};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// How far pixels may be off, in steps of 1/255 before normalisation.
pub const MAX_STEPS: f64 = 1.0;
/// The share of pixels that have to be exact, to a thousandth of such a step.
pub const MIN_EXACT: f64 = 0.999;

/// How a model compares with a reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parity {
    /// Who made the reference, and how.
    pub made: Made,
    /// Whether it was made from these weights.
    pub weights: Weights,
    /// What the largest error of a site may be, in root mean squares of the reference.
    pub tolerance: f64,
    /// Pictures against pixels.
    pub pixels: Compared<PixelParity>,
    /// Captions against token ids.
    pub ids: Compared<IdParity>,
    /// In the order of the forward.
    pub sites: Vec<SiteParity>,
    /// Sites of the model that the reference does not hold.
    pub missing: Vec<String>,
    /// Names in the reference that are no site of the model.
    pub unknown: Vec<String>,
}

/// What a reference says of how it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Program and version.
    pub source: String,
    /// The class that made pixels of pictures, where it is named.
    pub processor: Option<String>,
    /// What it resized with: `pil` or `torchvision`, where it is named.
    pub backend: Option<String>,
    /// The class that made ids of captions, where it is named.
    pub tokenizer: Option<String>,
    /// Versions of the libraries, by name.
    pub versions: BTreeMap<String, String>,
}

/// Whether a reference was made from the weights that it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// From the same files, by their SHA-256.
    Same,
    /// From another file of this name.
    Other(String),
    /// It cannot be told, in words why. What weights do shows in the sites.
    Unknown(String),
}

/// Something that was compared, or why it was not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared<T> {
    /// It was.
    Found(T),
    /// One side has nothing to compare; in words.
    NotCompared(String),
    /// The model has no such thing.
    Nothing,
}

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Within the tolerance.
    Agrees,
    /// Something was not compared.
    NotCompared,
    /// Outside the tolerance, somewhere.
    Differs,
}

/// One kind of comparison in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `pixels`, `ids` or `sites`.
    pub kind: &'static str,
    /// Its outcome.
    pub verdict: Verdict,
    /// What was compared, with the tolerance.
    pub says: String,
}

/// Preprocessed pictures against the reference's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PixelParity {
    /// How many pictures.
    pub pictures: usize,
    /// The largest error, in steps of 1/255 before normalisation.
    pub max_steps: f64,
    /// Share of the values that are within a thousandth of a step.
    pub exact: f64,
    /// What each backend that the model's preprocessing has makes of the same pictures, whichever the model was loaded with.
    pub backends: Vec<Agreement>,
    /// The backend that the reference's pixels are of, where that can be told.
    pub made_by: Option<Backend>,
}

/// Captions' token ids against the reference's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdParity {
    /// How many captions.
    pub captions: usize,
    /// How many get the same ids, and the same mask where attention has one.
    pub same: usize,
}

/// One site against the reference's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteParity {
    /// The site's name.
    pub site: String,
    /// Its shape in the reference.
    pub shape: Vec<usize>,
    /// The model's, where it is another.
    pub other_shape: Option<Vec<usize>>,
    /// Largest absolute error; infinite where a side is not a number, or infinite alone or where no score is hidden.
    pub max_error: f64,
    /// Root mean square of the reference's finite values.
    pub rms: f64,
    /// `max_error / rms`.
    pub relative: f64,
}

impl Verdict {
    /// In words, as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::NotCompared => "not compared",
            Self::Differs => "differs",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<T> Compared<T> {
    fn verdict(&self, agrees: impl Fn(&T) -> bool) -> Verdict {
        match self {
            Self::Found(found) if !agrees(found) => Verdict::Differs,
            Self::Found(_) | Self::Nothing => Verdict::Agrees,
            Self::NotCompared(_) => Verdict::NotCompared,
        }
    }
}

impl Parity {
    /// Of everything: agrees where pixels, ids and sites do, all of them.
    pub fn verdict(&self) -> Verdict {
        let kinds = self.lines().into_iter().map(|line| line.verdict);
        let other = matches!(self.weights, Weights::Other(_));
        kinds.chain(other.then_some(Verdict::Differs)).max().unwrap_or(Verdict::NotCompared)
    }

    /// Pixels, ids and sites, a line each.
    pub fn lines(&self) -> [Line; 3] {
        [self.pixel_line(), self.id_line(), self.site_line()]
    }

    /// The kinds that were not compared, or not all of them.
    pub fn not_compared(&self) -> Vec<&'static str> {
        let mut kinds: Vec<&'static str> = Vec::new();
        for (kind, is) in [
            ("pixels", matches!(self.pixels, Compared::NotCompared(_))),
            ("ids", matches!(self.ids, Compared::NotCompared(_))),
            ("sites", !self.missing.is_empty()),
        ] {
            kinds.extend(is.then_some(kind));
        }
        kinds
    }

    /// How the reference's pixels compare with those of each backend, a line each, and in a last one whose they are; nothing where they
    /// were not compared.
    pub fn of_backends(&self) -> Vec<String> {
        let Compared::Found(pixels) = &self.pixels else { return Vec::new() };
        let line = |of: &Agreement| {
            let Agreement { backend, values, same, max_steps } = of;
            format!("{backend}: {same} of {values} values the same to the last bit, at most {max_steps:.3}/255 off")
        };
        let whose = match pixels.made_by {
            Some(backend) => format!("made by {backend}, going by that"),
            None => "made by which of these can not be told".to_owned(),
        };
        pixels.backends.iter().map(line).chain([whose]).collect()
    }

    fn pixel_line(&self) -> Line {
        let says = match &self.pixels {
            Compared::Found(p) => format!(
                "{} pictures: at most {:.3}/255 off, {:.3} % of values exact (allowed: {MAX_STEPS}/255, {} %)",
                p.pictures,
                p.max_steps,
                100.0 * p.exact,
                100.0 * MIN_EXACT
            ),
            Compared::NotCompared(why) => why.clone(),
            Compared::Nothing => "none".to_owned(),
        };
        Line { kind: "pixels", verdict: self.pixels.verdict(PixelParity::agrees), says }
    }

    fn id_line(&self) -> Line {
        let says = match &self.ids {
            Compared::Found(ids) => {
                format!("{} of {} captions get the same token ids (allowed: all)", ids.same, ids.captions)
            }
            Compared::NotCompared(why) => why.clone(),
            Compared::Nothing => "the model has no text tower".to_owned(),
        };
        Line { kind: "ids", verdict: self.ids.verdict(|ids| ids.same == ids.captions), says }
    }

    fn site_line(&self) -> Line {
        let agree = self.sites.iter().filter(|site| site.agrees(self.tolerance)).count();
        let total = self.sites.len();
        let mut says = format!("{agree} of {total} sites agree within {:.0e} of their RMS", self.tolerance);
        if let Some(worst) = self.sites.iter().max_by(|a, b| a.relative.total_cmp(&b.relative)) {
            let _ = write!(says, "; the largest error is {:.1e} of its RMS, at {}", worst.relative, worst.site);
        }
        for (names, what) in
            [(&self.missing, "are not in the reference"), (&self.unknown, "of the reference are no site of this model")]
        {
            if let Some(first) = names.first() {
                let _ = write!(says, "; {} {what}, such as `{first}`", names.len());
            }
        }
        let verdict = match (agree == total && self.unknown.is_empty(), self.missing.is_empty()) {
            (false, _) => Verdict::Differs,
            (true, false) => Verdict::NotCompared,
            (true, true) => Verdict::Agrees,
        };
        Line { kind: "sites", verdict, says }
    }
}

impl PixelParity {
    /// At most one step off anywhere, and 99.9 % exact.
    pub fn agrees(&self) -> bool {
        self.max_steps <= MAX_STEPS + 1e-3 && self.exact >= MIN_EXACT
    }
}

impl SiteParity {
    /// Whether shapes are the same and the largest error is within `tolerance` root mean squares.
    pub fn agrees(&self, tolerance: f64) -> bool {
        self.other_shape.is_none() && self.max_error <= tolerance * self.rms
    }
}

/// Runs the inputs of the reference at `path` through `model`.
///
/// # Errors
/// When the reference is malformed, or has no input that the model takes.
pub fn parity(model: &Model, path: &Path, tolerance: f64) -> Result<Parity> {
    if !(tolerance.is_finite() && tolerance > 0.0) {
        return Err(Error::mismatch("tolerance", "a number above 0", tolerance));
    }
    let reference = Reference::open(path)?;
    let sites = [Site::all(&model.config, Tower::Vision), Site::all(&model.config, Tower::Text)].concat();
    let sites: Vec<String> = sites.iter().map(ToString::to_string).collect();
    let unknown: Vec<String> = reference.sites().filter(|name| !sites.contains(name)).cloned().collect();
    let given = reference.pixels(&model.config.vision)?;
    let pixels = reference.compare_pictures(model, &given)?;
    let mut hook = Compare { reference: &reference, found: Vec::new() };
    let mut tape = Tape::off();
    model.towers.embed_images(&mut tape, &given, &mut hook)?;
    let ids = match (&model.config.text, reference.ids()?) {
        (None, _) => Compared::Nothing,
        (Some(_), None) => Compared::NotCompared(reference.why("ids", "the reference holds no token ids")),
        (Some(text), Some(rows)) => {
            let mask = reference.mask(&rows)?;
            let ids = reference.compare_captions(model, &rows, mask.as_deref())?;
            let place = format!("{}: tensor `{IDS}`", path.display());
            let tokens = Tokens::masked(&rows, mask.as_deref(), text, &place)?;
            model.towers.embed_texts(&mut tape, &tokens, &mut hook)?;
            ids
        }
    };
    let found = hook.found;
    let has = |name: &String| found.iter().any(|site| site.site == *name);
    if let Some(site) = reference.sites().find(|name| !unknown.contains(name) && !has(name)) {
        let place = format!("{}: tensor `{site}`", path.display());
        return Err(Error::mismatch(place, format!("a tensor `{IDS}` to compute it from"), "no such tensor"));
    }
    if found.is_empty() {
        return Err(Error::mismatch(path.display(), "a site of this model to compare", "none"));
    }
    let missing = sites.into_iter().filter(|site| !has(site)).collect();
    Ok(Parity {
        made: reference.made(),
        weights: reference.compare_weights(&model.folder)?,
        tolerance,
        pixels,
        ids,
        sites: found,
        missing,
        unknown,
    })
}
