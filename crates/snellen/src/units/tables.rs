//! What becomes of the tables of a site once it is measured: written as they come, kept in memory, or nothing.

use crate::measure::concepts_table::SiteConcepts;
use crate::measure::encodes::{Criterion, UnitConcept};
use crate::measure::mark::TableSet;
use crate::measure::pairs_table::{PairRows, SitePairs};
use crate::measure::sites_table::{SiteRow, SiteRows};
use crate::measure::superposition::ConceptGeometry;
use crate::measure::unit_concepts_table::{CellRows, UnitConcepts, names};
use crate::measure::units_table::{UnitRow, UnitRows};
use crate::measure::writer::{Table, TableWriter};
use crate::report::Units;
use crate::scene::Concept;
use crate::{Error, Result};
use arrow_array::RecordBatch;
use std::collections::BTreeMap;
use std::path::Path;

/// Names of the tables of a measurement.
const CELLS: &str = "unit_concepts";
const UNITS: &str = "units";
const PAIRS: &str = "pairs";
const CONCEPTS: &str = "concepts";
const SITES: &str = "sites";

/// The rows of one site: as many as it has units, or more.
pub(super) struct SiteTables {
    /// What tables call it.
    pub(super) site: String,
    pub(super) cells: Vec<UnitConcept>,
    pub(super) units: Vec<UnitRow>,
    pub(super) pairs: SitePairs,
}

/// Takes the rows of one site after another.
pub(super) trait Sink {
    fn site(&mut self, of: SiteTables) -> Result<()>;

    /// Whether anything of it is kept. Nothing is measured for the tables alone, or for cards, where it isn't.
    fn keeps(&self) -> bool {
        true
    }
}

/// Keeps nothing.
impl Sink for () {
    fn site(&mut self, _: SiteTables) -> Result<()> {
        Ok(())
    }

    fn keeps(&self) -> bool {
        false
    }
}

/// What is kept of all sites, however many units they have.
pub(super) struct Sums {
    pub(super) units: Units,
    /// By site, its name in tables, and its concepts; none of too few images.
    pub(super) concepts: Vec<(String, Vec<ConceptGeometry>)>,
    /// The monosemanticity score that chance gives; `None` without a second encoder.
    pub(super) ms_by_chance: Option<f64>,
}

/// Written as they come, aside from the tables of an earlier measurement, which they replace in the end.
pub(super) struct Files<'a> {
    set: TableSet,
    names: Vec<String>,
    tables: [TableWriter; 3],
    seen: &'a mut dyn FnMut(SitePairs),
}

impl<'a> Files<'a> {
    /// Begins the tables of `concepts` in `folder`; `seen` is handed the pairs of each site once they are written.
    pub(super) fn begin(folder: &Path, concepts: &[Concept], seen: &'a mut dyn FnMut(SitePairs)) -> Result<Self> {
        let (set, names) = (TableSet::begin(folder)?, names(concepts)?);
        let none = [none(CELLS)?, none(UNITS)?, none(PAIRS)?];
        let [cells, units, pairs] =
            none.map(|(name, rows)| TableWriter::create(&file(set.path(), name), rows.schema()));
        Ok(Self { set, names, tables: [cells?, units?, pairs?], seen })
    }

    /// Puts them, and those of what is kept, in place of those of an earlier measurement.
    pub(super) fn replace(self, sums: &Sums, by: &Criterion) -> Result<()> {
        self.tables.into_iter().try_for_each(TableWriter::finish)?;
        let concepts = sums.concepts.iter().map(|(site, concepts)| (site.as_str(), concepts.as_slice()));
        for (name, rows) in summaries(&sums.units, concepts, sums.ms_by_chance)? {
            write(self.set.path(), name, &rows)?;
        }
        self.set.replace(by)
    }
}

impl Sink for Files<'_> {
    fn site(&mut self, SiteTables { site, cells, units, pairs }: SiteTables) -> Result<()> {
        let [of_cells, of_units, of_pairs] = &mut self.tables;
        for rows in (CellRows { site: &site, concepts: &self.names, cells: &cells }).groups() {
            of_cells.write(&rows.batch()?)?;
        }
        drop(cells);
        of_units.write(&UnitRows { site: &site, units: &units }.batch()?)?;
        of_pairs.write(&PairRows { concepts: &self.names, pairs: &pairs }.batch()?)?;
        (self.seen)(pairs);
        Ok(())
    }
}

/// All that was measured, in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// The sum of it.
    pub units: Units,
    /// A cell for every site, unit and concept.
    pub cells: UnitConcepts,
    /// By site, a row for every unit; no rows where there are too few images to tell classes apart.
    pub rows: Vec<(String, Vec<UnitRow>)>,
    /// By site, its pairs of concepts.
    pub pairs: Vec<SitePairs>,
    /// The monosemanticity score that chance gives; `None` without a second encoder.
    pub ms_by_chance: Option<f64>,
}

/// Kept as they come.
#[derive(Default)]
pub(super) struct Held {
    cells: Vec<(String, Vec<UnitConcept>)>,
    rows: Vec<(String, Vec<UnitRow>)>,
    pairs: Vec<SitePairs>,
}

impl Sink for Held {
    fn site(&mut self, SiteTables { site, cells, units, pairs }: SiteTables) -> Result<()> {
        self.cells.push((site.clone(), cells));
        self.rows.push((site, units));
        self.pairs.push(pairs);
        Ok(())
    }
}

impl Held {
    /// With what is kept of all sites.
    pub(super) fn with(self, sums: Sums, concepts: Vec<Concept>) -> Tables {
        let cells = UnitConcepts { concepts, sites: self.cells };
        Tables { units: sums.units, cells, rows: self.rows, pairs: self.pairs, ms_by_chance: sums.ms_by_chance }
    }
}

impl Tables {
    /// The rows of each table as Arrow columns, by its name (`unit_concepts`, `units`, `pairs`, `concepts` and `sites`): a batch a site
    /// or several, at least one; all sites are rows of one batch of `sites`.
    ///
    /// # Errors
    /// When a cell's concept is not listed, or a factor's name has a `=`.
    pub fn batches(&self) -> Result<BTreeMap<&'static str, Vec<RecordBatch>>> {
        let names = names(&self.cells.concepts)?;
        let cells = self.cells.sites.iter().map(|(site, cells)| CellRows { site, concepts: &names, cells });
        let cells = cells.flat_map(CellRows::groups);
        let units = self.rows.iter().map(|(site, units)| UnitRows { site, units });
        let pairs = self.pairs.iter().map(|pairs| PairRows { concepts: &names, pairs });
        let concepts = self.pairs.iter().map(|of| {
            let geometry = of.geometry.as_ref().map(|of| of.concepts.as_slice());
            (of.site.as_str(), geometry.unwrap_or_default())
        });
        let mut all = BTreeMap::from(summaries(&self.units, concepts, self.ms_by_chance)?);
        all.insert(CELLS, cells.map(|rows| rows.batch()).collect::<Result<_>>()?);
        all.insert(UNITS, units.map(|rows| rows.batch()).collect::<Result<_>>()?);
        all.insert(PAIRS, pairs.map(|rows| rows.batch()).collect::<Result<_>>()?);
        for (name, batches) in &mut all {
            if batches.is_empty() {
                batches.push(none(name)?.1);
            }
        }
        Ok(all)
    }

    /// Writes `unit_concepts.parquet`, `units.parquet`, `pairs.parquet`, `concepts.parquet` and `sites.parquet` into `folder`.
    ///
    /// # Errors
    /// As [`Tables::batches`], and when a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.batches()?.iter().try_for_each(|(name, rows)| write(folder, name, rows))
    }
}

/// `concepts` and `sites`.
fn summaries<'a>(
    units: &'a Units,
    concepts: impl Iterator<Item = (&'a str, &'a [ConceptGeometry])>,
    ms_by_chance: Option<f64>,
) -> Result<[(&'static str, Vec<RecordBatch>); 2]> {
    let (mut of_concepts, mut of_sites) = (Vec::new(), Vec::new());
    for ((name, geometry), site) in concepts.zip(&units.sites) {
        let (concepts, controls) = (&units.concepts, &site.controls);
        let rows = SiteConcepts { site: name, concepts, units: &site.encoding.per_concept, geometry, controls };
        of_concepts.push(rows.batch()?);
        of_sites.push(SiteRow {
            site: name,
            units: site.units,
            classes: &site.classes,
            together: site.together.as_ref(),
            ms_by_chance,
            encoding: site.encoding.any,
            controls,
        });
    }
    Ok([(CONCEPTS, of_concepts), (SITES, vec![SiteRows(&of_sites).batch()?])])
}

/// The table called `name` without rows.
fn none(name: &'static str) -> Result<(&'static str, RecordBatch)> {
    let pairs = SitePairs { site: String::new(), shared: Vec::new(), geometry: None };
    let rows = match name {
        CELLS => CellRows { site: "", concepts: &[], cells: &[] }.batch(),
        UNITS => UnitRows { site: "", units: &[] }.batch(),
        PAIRS => PairRows { concepts: &[], pairs: &pairs }.batch(),
        CONCEPTS => SiteConcepts { site: "", concepts: &[], units: &[], geometry: &[], controls: &[] }.batch(),
        SITES => SiteRows(&[]).batch(),
        _ => Err(Error::mismatch("tables", "one of a measurement", name)),
    };
    Ok((name, rows?))
}

fn file(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join(name).with_extension("parquet")
}

fn write(folder: &Path, name: &'static str, rows: &[RecordBatch]) -> Result<()> {
    let schema = rows.first().map_or_else(|| none(name).map(|(_, none)| none.schema()), |rows| Ok(rows.schema()))?;
    let mut table = TableWriter::create(&file(folder, name), schema)?;
    rows.iter().try_for_each(|rows| table.write(rows))?;
    table.finish()
}
