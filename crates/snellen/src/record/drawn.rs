//! What `run.json` says of scenes that were generated.

use crate::scene::{Canvas, SceneKind, Series, World};
use serde::{Deserialize, Serialize};

/// Which scenes were generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenesRecord {
    /// The generator.
    pub kind: SceneKind,
    /// What they were drawn by.
    pub seed: u64,
    /// What they are made of.
    pub world: World,
    /// What they were drawn on.
    pub canvas: Canvas,
}

impl ScenesRecord {
    /// Of `series`.
    pub(super) fn of(series: &Series) -> Self {
        Self { kind: series.kind(), seed: series.seed(), world: series.world().clone(), canvas: *series.canvas() }
    }
}
