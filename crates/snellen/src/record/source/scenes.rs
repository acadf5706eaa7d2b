//! Generated scenes that never touch the disk.

use super::{Content, Image, Source};
use crate::Result;
use crate::record::drawn::ScenesRecord;
use crate::scene::Series;
use std::ops::Range;

/// The scenes of a [`Series`], drawn when it is their turn; masks are exact.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneSource(pub Series);

impl Source for SceneSource {
    fn place(&self) -> String {
        format!("{} scenes", self.0.kind())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, row: usize) -> String {
        Series::filename(row)
    }

    fn has_masks(&self) -> bool {
        true
    }

    fn labels(&self) -> Result<Option<Vec<u8>>> {
        let mut labels = Vec::new();
        self.0.write_labels(&mut labels)?;
        Ok(Some(labels))
    }

    fn scenes(&self) -> Option<ScenesRecord> {
        Some(ScenesRecord::of(&self.0))
    }

    fn read<'a>(&'a self, rows: Range<usize>) -> Result<Box<dyn Iterator<Item = Result<Image<'a>>> + Send + 'a>> {
        Ok(Box::new(rows.map(|row| {
            let scene = self.0.scene(row)?;
            let content = Content::Scene { scene, world: self.0.world(), canvas: self.0.canvas() };
            Ok(Image { name: self.name(row), place: format!("{}, scene {row}", self.place()), content })
        })))
    }
}
