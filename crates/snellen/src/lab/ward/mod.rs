//! The ward: patients whose disease is known, on which the exam's verdict is itself examined.
//!
//! Some diseases training makes, the others are made by an [operation](super::operate) on the healthy model of the same seed. The exam
//! is not told what a patient was trained on, only which world to show. What it names is held against what was bred.

mod page;
mod stem;
mod table;

pub use page::NAMED;
pub use stem::Stem;

use super::surgery::{Operation, operate};
use super::train::{MODEL, Origin, TrainConfig, train};
use super::{Event, Recipe};
use crate::exam::{ExamConfig, verdict};
use crate::measure::Confidence;
use crate::measure::proportion::Proportion;
use crate::model::Model;
use crate::progress::Progress;
use crate::report::verdict::{Failure, Verdict};
use crate::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A kind of patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing is wrong with it.
    Healthy,
    /// It sees of every patch the average.
    Blurred,
    /// Its image embedding holds no binding.
    UnboundImage,
    /// Its image embedding holds bindings as products.
    Entangled,
    /// Its text embedding holds no binding.
    UnboundText,
    /// Both hold it, in different directions.
    Mismatched,
    /// It knows the combinations that training showed.
    Memoriser,
}

/// How a kind is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// By a recipe that comes with the program.
    Trained(&'static str),
    /// From the healthy one of the same seed.
    Operated(Operation),
}

impl Kind {
    /// All kinds, in the order of the chain's links.
    pub const ALL: [Self; 7] = [
        Self::Healthy,
        Self::Blurred,
        Self::UnboundImage,
        Self::Entangled,
        Self::UnboundText,
        Self::Mismatched,
        Self::Memoriser,
    ];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Blurred => "blurred",
            Self::UnboundImage => "unbound-image",
            Self::Entangled => "entangled",
            Self::UnboundText => "unbound-text",
            Self::Mismatched => "mismatched",
            Self::Memoriser => "memoriser",
        }
    }

    /// What the verdict has to name.
    pub fn failure(self) -> Option<Failure> {
        match self {
            Self::Healthy => None,
            Self::Blurred => Some(Failure::NotSeen),
            Self::UnboundImage => Some(Failure::Absent),
            Self::Entangled => Some(Failure::Entangled),
            Self::UnboundText => Some(Failure::Text),
            Self::Mismatched => Some(Failure::Mismatched),
            Self::Memoriser => Some(Failure::Memorised),
        }
    }

    /// How it is made.
    pub fn made(self) -> Made {
        match self {
            Self::Healthy => Made::Trained("healthy"),
            Self::Memoriser => Made::Trained("memoriser"),
            Self::Blurred => Made::Operated(Operation::Blur),
            Self::UnboundImage => Made::Operated(Operation::EraseImage),
            Self::Entangled => Made::Operated(Operation::Entangle),
            Self::UnboundText => Made::Operated(Operation::BagOfWords),
            Self::Mismatched => Made::Operated(Operation::Turn),
        }
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        let names = || Self::ALL.map(Self::name).join(", ");
        known.ok_or_else(|| Error::mismatch("kind of patient", format!("one of: {}", names()), format!("`{text}`")))
    }
}

/// A patient's bed: the folder `DIR/KIND-SEED`, or of another stem than the plain one `DIR/KIND-STEM-SEED`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bed {
    /// Its kind.
    pub kind: Kind,
    /// Its sizes.
    pub stem: Stem,
    /// Of its training, or of the operation and the healthy one's training.
    pub seed: u64,
    /// Where it lies.
    pub folder: PathBuf,
}

impl Bed {
    /// The one of `kind`, `stem` and `seed` in `dir`.
    pub fn new(dir: &Path, kind: Kind, stem: Stem, seed: u64) -> Self {
        let of = if stem == Stem::Plain { String::new() } else { format!("-{}", stem.name()) };
        Self { kind, stem, seed, folder: dir.join(format!("{}{of}-{seed}", kind.name())) }
    }

    /// The name of its folder.
    pub fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Its recipe, in its sizes.
    fn recipe(&self, name: &str) -> Result<Recipe> {
        Recipe::named_or_read(name).map(|recipe| self.stem.of(recipe))
    }

    /// Those of `kinds` that `dir` holds, by kind, stem and seed; and the folders that hold nobody, with why. Folders that begin with a dot or
    /// end in `.partial` are no beds.
    ///
    /// # Errors
    /// When `dir` cannot be read.
    pub fn all(dir: &Path, kinds: &[Kind]) -> Result<(Vec<Self>, Vec<(PathBuf, String)>)> {
        let (mut found, mut empty) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
            let entry = entry.map_err(Error::io(dir))?;
            let (name, folder) = (entry.file_name(), entry.path());
            let of = |kind: Kind, stem: Stem| -> Option<Self> {
                let (_, seed) = name.to_str()?.rsplit_once('-')?;
                Some(Self::new(dir, kind, stem, seed.parse().ok()?)).filter(|bed| bed.folder == folder)
            };
            let bed = Kind::ALL.iter().find_map(|kind| Stem::ALL.iter().find_map(|stem| of(*kind, *stem)));
            let hidden = name.to_str().is_some_and(|name| name.starts_with('.') || name.ends_with(".partial"));
            match bed {
                Some(bed) if !kinds.contains(&bed.kind) => {}
                Some(bed) if bed.folder.join(MODEL).is_file() => found.push(bed),
                Some(_) => empty.push((folder, format!("no {MODEL} in it"))),
                None if hidden || !folder.is_dir() => {}
                None => empty.push((folder, "its name is no KIND-SEED or KIND-STEM-SEED".to_owned())),
            }
        }
        found.sort_by_key(|bed| (bed.kind, bed.stem, bed.seed));
        empty.sort();
        Ok((found, empty))
    }

    /// Breeds who is to lie there, and the healthy one that it is made of, unless they do. What was trained in part is gone on with.
    ///
    /// # Errors
    /// As [`train`] and [`operate`]; when another model lies there.
    pub fn fill(&self, observe: &mut dyn FnMut(&Self, &Event), progress: &dyn Progress) -> Result<()> {
        if self.folder.join(MODEL).is_file() {
            return self.check();
        }
        match self.kind.made() {
            Made::Trained(recipe) => {
                let config = TrainConfig { seed: self.seed, resume: self.folder.is_dir() };
                train(&self.recipe(recipe)?, &config, &self.folder, &mut |event| observe(self, event), progress)
                    .map(drop)
            }
            Made::Operated(operation) => {
                let dir = self.folder.parent().unwrap_or(Path::new("."));
                let healthy = Self::new(dir, Kind::Healthy, self.stem, self.seed);
                healthy.fill(observe, progress)?;
                operate(&healthy.folder, operation, self.seed, &self.folder)
            }
        }
    }

    /// That the one who lies there is who the name says.
    fn check(&self) -> Result<()> {
        let (recipe, operation) = match self.kind.made() {
            Made::Trained(recipe) => (recipe, None),
            Made::Operated(operation) => ("healthy", Some(operation)),
        };
        let expected = Origin { seed: self.seed, operation, recipe: self.recipe(recipe)? };
        if Origin::read(&self.folder)?.as_ref() == Some(&expected) {
            return Ok(());
        }
        let stem = self.stem.name();
        let wanted = format!("a model by the recipe `{recipe}`, stem {stem}, seed {}, as this kind is made", self.seed);
        Err(Error::mismatch(self.folder.display(), wanted, "another"))
    }

    /// Holds the exam. `seed` is that of the exam's scenes.
    ///
    /// # Errors
    /// As [`verdict`].
    pub fn examine(&self, seed: u64) -> Result<Patient> {
        self.check()?;
        let model = Model::load(&self.folder)?;
        let origin = Origin::read(&self.folder)?;
        let world = origin.map(|origin| origin.recipe.world);
        let config = ExamConfig { world, questions: Vec::new(), ..ExamConfig::standard(seed)? };
        let verdict = verdict(&model, None, &config, &())?;
        let (vision, text) = (&model.config.vision, model.config.text()?);
        let sizes = format!(
            "{}/{}, {} wide, {} + {} layers",
            vision.image, vision.patch, vision.tower.width, vision.tower.layers, text.tower.layers
        );
        let (kind, seed, right) = (self.kind, self.seed, verdict.failure == self.kind.failure());
        Ok(Patient { kind, seed, stem: self.stem, sizes, named: verdict.failure, right, verdict })
    }
}

/// A patient and what the exam named.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Patient {
    /// What was bred.
    pub kind: Kind,
    /// Its seed.
    pub seed: u64,
    /// Its sizes, by name.
    pub stem: Stem,
    /// The same in words: pixels and those of a patch, width, layers of both towers.
    pub sizes: String,
    /// The failure that the verdict names.
    pub named: Option<Failure>,
    /// Whether that is what was bred.
    pub right: bool,
    /// All of the verdict.
    #[serde(skip)]
    pub verdict: Verdict,
}

/// What a failure is called in tables: `healthy` where none is named.
pub fn called(failure: Option<Failure>) -> &'static str {
    match failure {
        None => "healthy",
        Some(Failure::NotSeen) => "not_seen",
        Some(Failure::Absent) => "absent",
        Some(Failure::Entangled) => "entangled",
        Some(Failure::Text) => "text",
        Some(Failure::Mismatched) => "mismatched",
        Some(Failure::Memorised) => "memorised",
        Some(Failure::CantTell) => "cant_tell",
    }
}

/// Everyone, and how many were named right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ward {
    /// By kind and seed.
    pub patients: Vec<Patient>,
    /// The share that was named right, with Wilson's interval.
    pub right: Proportion,
    /// That of which the exam can't tell.
    pub cant_tell: Proportion,
    /// That of the healthy which it calls ill.
    pub called_ill: Option<Proportion>,
}

impl Ward {
    /// Of these.
    ///
    /// # Errors
    /// When there are none.
    pub fn of(patients: Vec<Patient>, confidence: Confidence) -> Result<Self> {
        let share = |among: &dyn Fn(&Patient) -> bool, of: &dyn Fn(&Patient) -> bool| -> Result<Option<Proportion>> {
            let kept: Vec<&Patient> = patients.iter().filter(|patient| among(patient)).collect();
            let found = kept.iter().filter(|patient| of(patient)).count();
            (!kept.is_empty()).then(|| Proportion::wilson(found as f64, kept.len(), confidence)).transpose()
        };
        let none = || Error::mismatch("ward", "at least one patient", "none");
        let right = share(&|_| true, &|patient| patient.right)?.ok_or_else(none)?;
        let cant_tell = share(&|_| true, &|patient| patient.named == Some(Failure::CantTell))?.ok_or_else(none)?;
        let ill = |patient: &Patient| patient.named.is_some_and(|failure| failure != Failure::CantTell);
        let called_ill = share(&|patient| patient.kind == Kind::Healthy, &ill)?;
        Ok(Self { patients, right, cant_tell, called_ill })
    }

    /// How many of `kind` were named `failure`.
    pub fn count(&self, kind: Kind, failure: Option<Failure>) -> usize {
        self.patients.iter().filter(|patient| patient.kind == kind && patient.named == failure).count()
    }

    /// Writes `ward.parquet` and `ward.html` into `folder`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        table::write(self, &folder.join("ward.parquet"))?;
        page::write(self, &folder.join("ward.html"))
    }
}
