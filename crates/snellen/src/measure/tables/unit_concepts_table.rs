//! `unit_concepts.parquet`: every unit against every concept, site after site.
//!
//! Columns `site` (text), `unit` (u32), `concept` (text, `factor=value`), `auroc`, `effect`, `effect_lo`, `effect_hi`, `p`, `q` (f64, null
//! where missing), `encodes` (bool), `lift`, `lift_z`, `mi`, `partial`, `partial_lo`, `partial_hi`, `partial_p` and `partial_q` (f64, null where
//! missing); one row group per 65,536 rows of a site; zstd. The same cells give the same bytes.

use crate::measure::columns::{Column, batch, column};
use crate::measure::encodes::{Chosen, HeldOut, Partial, UnitConcept};
use crate::measure::lift::Lift;
use crate::measure::mark::Mark;
use crate::measure::writer::{Table, write_rows};
use crate::scene::Concept;
use crate::{Error, Result};
use arrow_array::{Array, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

const ROWS: usize = 1 << 16;
const NUMBERS: [&str; 6] = ["auroc", "effect", "effect_lo", "effect_hi", "p", "q"];
/// Behind `encodes`.
const MORE: [&str; 8] = ["lift", "lift_z", "mi", "partial", "partial_lo", "partial_hi", "partial_p", "partial_q"];

/// The contents of `unit_concepts.parquet`.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitConcepts {
    /// What the cells' concept indices mean. Read from a file: in the order of their first rows.
    pub concepts: Vec<Concept>,
    /// Per site, its name and its cells.
    pub sites: Vec<(String, Vec<UnitConcept>)>,
}

/// Rows of one site.
#[derive(Clone, Copy, Debug)]
pub struct CellRows<'a> {
    /// Its name.
    pub site: &'a str,
    /// What concepts are called: see [`names`].
    pub concepts: &'a [String],
    /// Its cells.
    pub cells: &'a [UnitConcept],
}

impl<'a> CellRows<'a> {
    /// The same rows, as many at a time as a row group has.
    pub(crate) fn groups(self) -> impl Iterator<Item = CellRows<'a>> {
        self.cells.chunks(ROWS).map(move |cells| CellRows { cells, ..self })
    }
}

impl Table for CellRows<'_> {
    fn batch(&self) -> Result<RecordBatch> {
        if let Some(cell) = self.cells.iter().find(|cell| cell.concept as usize >= self.concepts.len()) {
            let place = format!("site `{}`, unit {}", self.site, cell.unit);
            return Err(Error::mismatch(place, format!("a concept below {}", self.concepts.len()), cell.concept));
        }
        let rows = self.cells.iter();
        let mut columns = vec![
            Column::text("site", rows.clone().map(|_| self.site)),
            Column::count("unit", rows.clone().map(|cell| cell.unit as usize)),
            Column::text("concept", rows.clone().map(|cell| &self.concepts[cell.concept as usize])),
        ];
        let numbers: [fn(&UnitConcept) -> Option<f64>; 6] = [
            |cell| cell.held_out.map(|of| of.auroc),
            |cell| cell.held_out.map(|of| of.effect),
            |cell| cell.held_out.map(|of| of.effect_lo),
            |cell| cell.held_out.map(|of| of.effect_hi),
            |cell| cell.chosen.map(|of| of.p),
            |cell| cell.chosen.map(|of| of.q),
        ];
        columns.extend(NUMBERS.iter().zip(numbers).map(|(name, of)| Column::exact(name, rows.clone().map(of))));
        columns.push(Column::flag("encodes", rows.clone().map(|cell| cell.encodes)));
        let more: [fn(&UnitConcept) -> Option<f64>; 8] = [
            |cell| cell.lift.and_then(|of| of.lift),
            |cell| cell.lift.map(|of| of.z),
            |cell| cell.mi,
            |cell| cell.partial.map(|of| of.effect),
            |cell| cell.partial.map(|of| of.effect_lo),
            |cell| cell.partial.map(|of| of.effect_hi),
            |cell| cell.partial.map(|of| of.p),
            |cell| cell.partial.map(|of| of.q),
        ];
        columns.extend(MORE.iter().zip(more).map(|(name, of)| Column::exact(name, rows.clone().map(of))));
        batch(&columns)
    }
}

/// What `concepts` are called in tables.
///
/// # Errors
/// When the name of a factor has a `=`, which would not be read again.
pub fn names(concepts: &[Concept]) -> Result<Vec<String>> {
    let name = |concept: &Concept| {
        if concept.factor.contains('=') {
            let place = format!("factor `{}`", concept.factor);
            return Err(Error::mismatch(place, "a name without `=`", "one with it"));
        }
        Ok(concept.to_string())
    };
    concepts.iter().map(name).collect()
}

impl UnitConcepts {
    /// Writes the table to `path`, in one step.
    ///
    /// # Errors
    /// When a cell's concept is not listed, a factor's name has a `=`, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let concepts = &names(&self.concepts)?;
        let sites = self.sites.iter().map(|(site, cells)| CellRows { site, concepts, cells });
        let none = CellRows { site: "", concepts, cells: &[] };
        write_rows(path, &none, sites.flat_map(CellRows::groups))
    }

    /// Reads what [`UnitConcepts::write`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read, is no such table, a row's numbers are out of range, or it isn't the table that the
    /// [mark](crate::measure::mark) beside it speaks of.
    pub fn read(path: &Path) -> Result<Self> {
        Mark::check_table(path)?;
        let malformed = |source| Error::malformed(path.display(), source);
        let file = File::open(path).map_err(Error::io(path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(malformed)?;
        check_schema(path, builder.schema())?;
        let mut table = Self { concepts: Vec::new(), sites: Vec::new() };
        let mut row = 0;
        for batch in builder.build().map_err(malformed)? {
            let batch = batch.map_err(|source| Error::malformed(path.display(), source))?;
            table.append(path, row, &batch)?;
            row += batch.num_rows();
        }
        Ok(table)
    }

    fn append(&mut self, path: &Path, first: usize, batch: &RecordBatch) -> Result<()> {
        let of = |name: &&str| column::<Float64Array>(batch, name);
        let numbers = NUMBERS.iter().map(of).collect::<Result<Vec<_>>>()?;
        let behind = MORE.iter().map(of).collect::<Result<Vec<_>>>()?;
        let sites = column::<StringArray>(batch, "site")?;
        let units = column::<UInt32Array>(batch, "unit")?;
        let concepts = column::<StringArray>(batch, "concept")?;
        let encodes = column::<BooleanArray>(batch, "encodes")?;
        for i in 0..batch.num_rows() {
            let place = || format!("{}: row {}", path.display(), first + i);
            let value = |column: &Float64Array| column.is_valid(i).then(|| column.value(i));
            let number = |k: usize| value(numbers[k]);
            let [auroc, effect, lo, hi, p, q] = [0, 1, 2, 3, 4, 5].map(number);
            let held_out = match (auroc, effect, lo, hi) {
                (Some(auroc), Some(effect), Some(effect_lo), Some(effect_hi)) => {
                    Some(HeldOut { auroc, effect, effect_lo, effect_hi })
                }
                (None, None, None, None) => None,
                _ => return Err(Error::mismatch(place(), "auroc and effects all there or all missing", "some")),
            };
            let chosen = match (p, q) {
                (Some(p), Some(q)) => Some(Chosen { p, q }),
                (None, None) => None,
                _ => return Err(Error::mismatch(place(), "p and q both there or both missing", "one")),
            };
            for (name, value) in NUMBERS.iter().zip([auroc, effect, lo, hi, p, q]) {
                let least = if name.starts_with("effect") { -1.0 } else { 0.0 };
                if let Some(value) = value.filter(|value| !(least..=1.0).contains(value)) {
                    return Err(Error::mismatch(format!("{}, {name}", place()), format!("{least} to 1"), value));
                }
            }
            let more = |k: usize| value(behind[k]);
            for (name, value) in MORE.iter().zip([0, 1, 2, 3, 4, 5, 6, 7].map(more)) {
                if let Some(value) = value.filter(|value| !value.is_finite()) {
                    return Err(Error::mismatch(format!("{}, {name}", place()), "a finite number", value));
                }
            }
            let lift = more(1).map(|z| Lift { lift: more(0), z });
            let partial = match [3, 4, 5, 6, 7].map(more) {
                [Some(effect), Some(effect_lo), Some(effect_hi), Some(p), Some(q)] => {
                    Some(Partial { p, q, effect, effect_lo, effect_hi })
                }
                [None, None, None, None, None] => None,
                _ => return Err(Error::mismatch(place(), "all of partial or none of it", "some")),
            };
            let concept = self.concept(place, concepts.value(i))?;
            let (unit, encodes) = (units.value(i), encodes.value(i));
            let cell = UnitConcept { unit, concept, chosen, held_out, partial, encodes, lift, mi: more(2) };
            match self.sites.last_mut() {
                Some((site, cells)) if site == sites.value(i) => cells.push(cell),
                _ => self.sites.push((sites.value(i).to_owned(), vec![cell])),
            }
        }
        Ok(())
    }

    fn concept(&mut self, place: impl Fn() -> String, text: &str) -> Result<u32> {
        let Some((factor, value)) = text.split_once('=') else {
            return Err(Error::mismatch(format!("{}, concept", place()), "factor=value", format!("`{text}`")));
        };
        let known = self.concepts.iter().position(|concept| concept.factor == factor && concept.value == value);
        Ok(known.unwrap_or_else(|| {
            self.concepts.push(Concept { factor: factor.to_owned(), value: value.to_owned() });
            self.concepts.len() - 1
        }) as u32)
    }
}

fn check_schema(path: &Path, found: &Schema) -> Result<()> {
    let list = |schema: &Schema| {
        let field = |field: &Arc<Field>| {
            format!("{} {}{}", field.name(), field.data_type(), if field.is_nullable() { "?" } else { "" })
        };
        schema.fields().iter().map(field).collect::<Vec<_>>().join(", ")
    };
    let none = CellRows { site: "", concepts: &[], cells: &[] }.batch()?;
    let [expected, found] = [list(&none.schema()), list(found)];
    if expected == found {
        return Ok(());
    }
    Err(Error::mismatch(format!("{}: columns", path.display()), expected, found))
}
