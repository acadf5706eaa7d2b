//! What an exam measures of a model's activations: units, beside untrained models, and what becomes of answers when they are changed.

use super::cache::Cache;
use super::examine::Plan;
use super::partial::{Partial, RUN};
use super::spatial;
use crate::intervene::trace::{Direction, PartKind, TowerMap, TraceConfig, trace};
use crate::intervene::{Activations, Against, Cost, MeasuredUnits, superposition_cost};
use crate::measure::Matrix;
use crate::measure::encodes::Criterion;
use crate::measure::pairs_table::SitePairs;
use crate::measure::unit_concepts_table::UnitConcepts;
use crate::model::{self, Model, Point, Site, Tower, UntrainedKind};
use crate::progress::{Progress, Stages};
use crate::record::{
    ACTIVATIONS, ActivationStore, ArrayId, FolderSource, LabelsFrom, RecordConfig, RunManifest, Texts, TokenPolicy,
    Unfinished, record, record_texts,
};
use crate::report::Units;
use crate::scene::folder::write_folder;
use crate::scene::{Scene, generate};
use crate::units::{self, Untrained};
use crate::{ErrorKind, Result};
use std::path::Path;

/// Objects in a scene for the unit measures, at most.
const MOST_OBJECTS: usize = 5;

/// What unit measures gave.
pub(super) struct Measured<'a> {
    pub(super) model: &'a Model,
    pub(super) units: Units,
    /// Of the embedding, where it was recorded.
    pub(super) pairs: Option<SitePairs>,
    pub(super) source: FolderSource,
    /// The scenes, where they were generated.
    pub(super) toys: Option<Vec<Scene>>,
    /// Whether the text tower can't read all captions of the scenes, so that they were not recorded.
    pub(super) unread: bool,
}

impl<'a> Plan<'a> {
    /// Records `model` in the folder of `work` and measures its units there.
    pub(super) fn measure(&self, model: &'a Model, work: &Partial, stages: &dyn Stages) -> Result<Measured<'a>> {
        let (config, world, at) = (self.config, &self.world, work.path());
        let (source, toys) = if let Some(source) = &self.given {
            (source.clone(), None)
        } else {
            let _stage = stages.begin("drawing scenes");
            let world = world.repeating();
            let most = generate::most_objects(&world).min(MOST_OBJECTS);
            let toys = generate::independent(&world, most, config.scenes, config.seed)?;
            let folder = at.join("scenes");
            // It appeared whole.
            if !folder.exists() {
                write_folder(&folder, &world, &toys, &self.canvas())?;
            }
            (FolderSource::open(&folder)?, Some(toys))
        };
        let run = at.join(RUN);
        let recording = RecordConfig { unfinished: work.recording(&run), ..self.recording() };
        let criterion = self.criterion();
        let manifest = record(model, &source, &recording, &run, stages.begin("recording activations").as_ref())?;
        let unread = self.captions(model, work, stages)?;
        let controls = self.controls(model, (&source, &manifest), &criterion, work, stages)?;
        let stage = stages.begin("measuring units");
        // What answers are made of is the embedding alone.
        let mut pairs = None;
        let mut seen = |of: SitePairs| {
            if pairs.is_none() && of.site.starts_with("image_embeds") {
                pairs = Some(of);
            }
        };
        let measured = units::measure(&run, None, &controls, &criterion, &mut seen, stage.as_ref())?;
        let mut units = measured.units;
        units.pixels = units::pixels(&source, &model.preprocessing, &criterion)?;
        spatial::check(model, &source, &mut units.strongest)?;
        Ok(Measured { model, units, pairs, source, toys, unread })
    }

    /// Records the text embeddings of the captions of the scenes that were drawn, in `texts` beside them, a row a scene. Whether there is
    /// one that the text tower can't read; then none is.
    fn captions(&self, model: &Model, work: &Partial, stages: &dyn Stages) -> Result<bool> {
        if self.given.is_some() || !self.examinee.has_texts() {
            return Ok(false);
        }
        let (at, out) = (work.path(), work.path().join("texts"));
        let texts = Texts::captions(&at.join("scenes"), LabelsFrom::File)?;
        let config = RecordConfig {
            unfinished: work.recording(&out),
            sites: vec![Site { tower: Tower::Text, point: Point::Embeds }.to_string()],
            policies: vec![TokenPolicy::Mean],
            ..self.recording()
        };
        let stage = stages.begin("recording captions");
        match record_texts(model, (&texts, false), &config, &out, stage.as_ref()) {
            Err(error) if error.kind() == ErrorKind::Input => Ok(true),
            recorded => recorded.map(|_| false),
        }
    }

    /// How units are measured.
    fn criterion(&self) -> Criterion {
        Criterion { q: 0.05, min_effect: 0.3, confidence: self.config.confidence, seed: self.config.seed }
    }

    fn recording(&self) -> RecordConfig {
        RecordConfig {
            sites: self.config.sites.clone(),
            policies: vec![self.config.tokens],
            batch: 32,
            seed: self.config.seed,
            part: None,
            unfinished: Unfinished::Discard,
            skip_bad: false,
            edits: Vec::new(),
            bases: Vec::new(),
        }
    }

    /// Whether the units that concepts share help or hinder binding, by what was measured of them in the folder `at`.
    pub(super) fn cause(&self, measured: &Measured<'_>, at: &Path, stages: &dyn Stages) -> Result<Option<Cost>> {
        let Some(config) = self.config.cause.filter(|_| self.examinee.has_texts()) else { return Ok(None) };
        let stage = stages.begin("ablating shared units");
        let run = at.join(RUN);
        let tables = UnitConcepts::read(&run.join("unit_concepts.parquet"))?;
        let hidden = |name: &str| -> Option<Site> {
            let ArrayId { site, basis, .. } = name.parse().ok()?;
            (basis.is_none() && matches!(site.point, Point::Block(..))).then_some(site)
        };
        let known = tables.sites.into_iter().filter_map(|(name, cells)| {
            let site = hidden(&name)?;
            Some((site, MeasuredUnits::new(&site.to_string(), tables.concepts.clone(), cells, Vec::new())))
        });
        let against = Against {
            draws: config.draws,
            seed: self.config.seed,
            confidence: self.config.confidence,
            progress: stage.as_ref(),
        };
        let known: Vec<_> = known.collect();
        let store = ActivationStore::open(&run.join(ACTIVATIONS))?;
        let of = |site: Site| {
            let (shape, values) = store.read(&ArrayId { site, basis: None, policy: self.config.tokens })?;
            Matrix::new(shape[0], values.len() / shape[0].max(1), values)
        };
        let criterion = self.criterion();
        let seen =
            measured.source.labels.as_ref().map(|labels| Activations { labels: &labels.table, criterion, of: &of });
        let shown = (&self.world, self.templates.as_slice());
        superposition_cost(measured.model, shown, &known, seen.as_ref(), config, against).map(Some)
    }

    /// Where a binding is carried; `None` where it isn't asked or twins can't be traced.
    pub(super) fn map(&self, model: &Model, stages: &dyn Stages) -> Result<Option<Vec<TowerMap>>> {
        let Some([twins, nulls]) = self.config.map.filter(|_| self.examinee.has_texts()) else { return Ok(None) };
        let config = TraceConfig {
            world: self.world.clone(),
            twins,
            nulls,
            towers: vec![Tower::Vision, Tower::Text],
            parts: PartKind::ALL.into_iter().filter(|part| *part != PartKind::Heads).collect(),
            groups: Vec::new(),
            direction: Direction::Denoise,
            confidence: self.config.confidence,
            seed: self.config.seed,
        };
        match trace(model, &config, stages) {
            Err(error) if error.kind() == ErrorKind::Input => Ok(None),
            maps => maps.map(Some),
        }
    }

    /// The same of untrained models of the same shape; of their recordings nothing stays.
    fn controls(
        &self,
        model: &Model,
        (source, manifest): (&FolderSource, &RunManifest),
        criterion: &Criterion,
        work: &Partial,
        stages: &dyn Stages,
    ) -> Result<Vec<Untrained>> {
        if self.config.controls == 0 || !model.can_be_untrained() {
            return Ok(Vec::new());
        }
        let stage = stages.begin("measuring untrained models");
        let (kinds, models) = (UntrainedKind::ALL, self.config.controls);
        let mut controls = Vec::new();
        for (k, kind) in kinds.into_iter().enumerate() {
            let mut measured = Vec::new();
            for seed in 0..models {
                stage.advance(k * models + seed, kinds.len() * models);
                let of = model::Untrained { kind, seed: self.config.seed.wrapping_add(seed as u64) };
                let kept = self.config.cache.as_ref().map(|cache| cache.file(of, manifest, criterion)).transpose()?;
                if let Some(known) = kept.as_deref().and_then(Cache::get) {
                    measured.push(known);
                    continue;
                }
                let sites = work.part(&format!("{}-{seed}", kind.name()), || {
                    let home = work.scratch()?;
                    let run = home.path().join("run");
                    record(&model.untrained(of)?, source, &self.recording(), &run, &Watched(stage.as_ref()))?;
                    units::sites(&run, criterion, &Watched(stage.as_ref()))
                })?;
                kept.iter().for_each(|file| Cache::put(file, &sites));
                measured.push(sites);
            }
            controls.push(Untrained { name: kind.name().to_owned(), models: measured });
        }
        Ok(controls)
    }
}

/// Asks whether to stop, and says nothing of how far it has come.
struct Watched<'a>(&'a dyn Progress);

impl Progress for Watched<'_> {
    fn advance(&self, _: usize, _: usize) {}

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
