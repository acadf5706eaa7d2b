//! One pass over the blocks of an array: all that a block says is taken of it at once, and adjusted over the site in the end.

use super::blocks::Array;
use super::second::SecondEncoder;
use crate::Result;
use crate::measure::Design;
use crate::measure::encodes::{Criterion, Encodings, Scoring};
use crate::measure::factorial::{Fits, Rule};
use crate::measure::superposition::{SiteGeometry, SiteProducts, Superposition};
use crate::measure::terms::Terms;
use crate::measure::units_table::{UnitRow, top_entropies};
use crate::record::Progress;

/// What all sites are held against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) criterion: &'a Criterion,
    pub(super) design: &'a Design,
    /// `None` of too few images to tell classes apart.
    pub(super) terms: Option<&'a Terms>,
    /// `None` of too few images.
    pub(super) superposition: Option<&'a Superposition>,
    pub(super) second: Option<&'a SecondEncoder>,
    /// Whether there will be tables: of what only they hold, pairs of concepts among it, nothing is measured where not.
    pub(super) tables: bool,
}

/// What a pass says of a site.
pub(super) struct Seen {
    pub(super) encodings: Encodings,
    /// None without terms.
    pub(super) units: Vec<UnitRow>,
    pub(super) geometry: Option<SiteGeometry>,
    /// The monosemanticity score that chance gives; `None` without a second encoder.
    pub(super) ms_by_chance: Option<f64>,
}

impl Against<'_> {
    /// Of an array, whose blocks are read once.
    ///
    /// # Errors
    /// The first error among the blocks; [`Error::Interrupted`](crate::Error::Interrupted) between two measures of one.
    pub(super) fn pass(self, values: &Array<'_>, progress: &dyn Progress) -> Result<Seen> {
        let Self { criterion, design, terms, superposition, second, tables } = self;
        let mut scoring = Scoring::new(design, criterion, tables)?;
        let mut fits = terms.map(Fits::new);
        let mut products = superposition.map(|of| of.site(values.units(), tables));
        let (mut entropies, mut scores, mut ms_by_chance) = (Vec::new(), Vec::new(), None);
        for block in values.blocks(progress) {
            let block = block?;
            scoring.add(&block)?;
            if let Some(fits) = &mut fits {
                Array::go_on(progress)?;
                fits.add(&block)?;
                entropies.extend(if tables { top_entropies(&block, design) } else { vec![None; block.units()] });
                if let Some(second) = second {
                    let of_block = second.scores(&block)?;
                    scores.extend(of_block.units);
                    ms_by_chance = of_block.by_chance;
                }
            }
            if let Some(products) = &mut products {
                Array::go_on(progress)?;
                products.add(&block)?;
            }
        }
        let encodings = scoring.finish()?;
        let decomposed = fits.map(|fits| fits.finish(&Rule::standard(criterion.q))).transpose()?.unwrap_or_default();
        let mut units = UnitRow::of(design, &encodings.cells, decomposed, &entropies);
        units.iter_mut().zip(scores).for_each(|(row, ms)| row.ms = ms);
        let geometry = products.map(SiteProducts::finish).transpose()?;
        Ok(Seen { encodings, units, geometry, ms_by_chance })
    }
}
