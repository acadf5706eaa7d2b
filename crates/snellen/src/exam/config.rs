//! How an exam is held.

use super::cache::Cache;
use super::question::{QUESTIONS, Question};
use super::verdict::Shows;
use crate::Result;
use crate::intervene::CostConfig;
use crate::measure::Confidence;
use crate::record::{LabelsFrom, TokenPolicy, Unfinished};
use crate::scene::World;
use std::path::PathBuf;

/// How an exam is held.
#[derive(Clone, Debug, PartialEq)]
pub struct ExamConfig {
    /// Seed of scenes, halves and nulls.
    pub seed: u64,
    /// What scenes are made of; where there is none, the [`default_world`](super::default_world).
    pub world: Option<World>,
    /// A folder of labelled images for the unit measures; generated scenes where there is none.
    pub images: Option<PathBuf>,
    /// What says what the images of that folder show.
    pub labels: LabelsFrom,
    /// Which columns of a labels' file are labels, as in [`SourceConfig`](crate::record::SourceConfig); all where empty.
    pub label_columns: Vec<String>,
    /// Generated scenes for the unit measures.
    pub scenes: usize,
    /// Swap twins.
    pub twins: usize,
    /// How often each combination is shown at each position; five times as often where objects may be anywhere.
    pub repeats: usize,
    /// Sites of the unit measures, as [`record`](crate::record::record()) takes them.
    pub sites: Vec<String>,
    /// The token policy of the unit measures.
    pub tokens: TokenPolicy,
    /// Of every interval.
    pub confidence: Confidence,
    /// Untrained models of each kind, beside which the unit measures stand.
    pub controls: usize,
    /// The pictures that the verdict is made of; `None` for none.
    pub verdict: Option<Shows>,
    /// The questions, in this order.
    pub questions: Vec<&'static dyn Question>,
    /// Whether units are measured.
    pub units: bool,
    /// How it is asked whether the units that concepts share help or hinder binding; `None` for not at all.
    pub cause: Option<CostConfig>,
    /// Swap twins of the map of where a binding is carried, and of how many a null is made; `None` for no map.
    pub map: Option<[usize; 2]>,
    /// Where the measures of untrained models are kept for the next exam; nowhere where there is none.
    pub cache: Option<Cache>,
    /// What becomes of an exam that ends early, and whether an earlier one is gone on with.
    pub unfinished: Unfinished,
}

impl ExamConfig {
    /// What `snellen exam --quick` does: wider intervals in a third of the time.
    pub fn quick(seed: u64) -> Result<Self> {
        let shows = Shows { single: 300, twins: 150, most: 960 };
        Ok(Self {
            scenes: 300,
            twins: 100,
            repeats: 1,
            controls: 2,
            verdict: Some(shows),
            cause: None,
            map: None,
            ..Self::standard(seed)?
        })
    }

    /// What `snellen exam --full` does: narrower intervals.
    pub fn full(seed: u64) -> Result<Self> {
        let shows = Shows { single: 1500, twins: 1500, most: 4800 };
        let cause = Some(CostConfig { twins: 64, draws: 400, sites: 6 });
        let verdict = Some(shows);
        Ok(Self { scenes: 2000, twins: 1000, repeats: 4, controls: 5, verdict, cause, ..Self::standard(seed)? })
    }

    /// What `snellen exam` does unless it is told otherwise.
    pub fn standard(seed: u64) -> Result<Self> {
        Ok(Self {
            seed,
            world: None,
            images: None,
            labels: LabelsFrom::File,
            label_columns: Vec::new(),
            scenes: 500,
            twins: 300,
            repeats: 2,
            sites: vec!["blocks.*.mlp.hook_post".to_owned(), "image_embeds".to_owned()],
            tokens: TokenPolicy::Mean,
            confidence: Confidence::new(0.95)?,
            controls: 3,
            verdict: Some(Shows { single: 600, twins: 600, most: 3600 }),
            questions: QUESTIONS.into_iter().filter(|question| question.asks_of_scenes()).collect(),
            units: true,
            cause: Some(CostConfig { twins: 24, draws: 100, sites: 4 }),
            map: Some([32, 16]),
            cache: None,
            unfinished: Unfinished::Discard,
        })
    }
}
