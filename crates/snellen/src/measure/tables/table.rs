//! `unit_concepts.parquet`: every unit against every concept, site after site.
//!
//! Columns `site` (text), `unit` (u32), `concept` (text, `factor=value`), `auroc`, `effect`, `effect_lo`, `effect_hi`, `p`, `q` (f64, null
//! where missing), `encodes` (bool), `lift`, `lift_z`, `mi`, `partial`, `partial_lo`, `partial_hi`, `partial_p` and `partial_q` (f64, null where
//! missing); one row group per 65,536 rows of a site; zstd. The same cells give the same bytes.

use crate::measure::encodes::{Chosen, HeldOut, Partial, UnitConcept};
use crate::measure::lift::Lift;
use crate::measure::mark::Mark;
use crate::scene::Concept;
use crate::{Error, Result, output};
use arrow_array::builder::{BooleanBuilder, Float64Builder, StringBuilder, UInt32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
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

impl UnitConcepts {
    /// Writes the table to `path`, in one step.
    ///
    /// # Errors
    /// When a cell's concept is not listed, a factor's name has a `=`, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let names = self.concepts.iter().map(|concept| name(path, concept)).collect::<Result<Vec<_>>>()?;
        let parts = self.sites.iter().flat_map(|(site, cells)| cells.chunks(ROWS).map(move |cells| (site, cells)));
        write_table(path, schema(), parts.map(|(site, cells)| columns(path, site, cells, &names)))
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
        let [sites, concepts] = [0, 2].map(|column| batch.column(column).as_string::<i32>());
        let units = batch.column(1).as_primitive::<UInt32Type>();
        let encodes = batch.column(9).as_boolean();
        for i in 0..batch.num_rows() {
            let place = || format!("{}: row {}", path.display(), first + i);
            let number = |k: usize| {
                let column = batch.column(3 + k).as_primitive::<Float64Type>();
                column.is_valid(i).then(|| column.value(i))
            };
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
            let more = |k: usize| {
                let column = batch.column(10 + k).as_primitive::<Float64Type>();
                column.is_valid(i).then(|| column.value(i))
            };
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

/// Writes a Parquet file in one step: a row group for each of `groups`, which hold the columns of `schema`; zstd.
pub(crate) fn write_table(
    path: &Path,
    schema: Schema,
    groups: impl IntoIterator<Item = Result<Vec<ArrayRef>>>,
) -> Result<()> {
    let failed = |source| Error::malformed(path.display(), source);
    let schema = Arc::new(schema);
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema.clone(), Some(properties)).map_err(failed)?;
    for columns in groups {
        let batch = RecordBatch::try_new(schema.clone(), columns?);
        writer.write(&batch.map_err(|source| Error::malformed(path.display(), source))?).map_err(failed)?;
        writer.flush().map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    output::write_part(path, &bytes)
}

fn schema() -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let mut fields = vec![text("site"), Field::new("unit", DataType::UInt32, false), text("concept")];
    fields.extend(NUMBERS.map(|name| Field::new(name, DataType::Float64, true)));
    fields.push(Field::new("encodes", DataType::Boolean, false));
    fields.extend(MORE.map(|name| Field::new(name, DataType::Float64, true)));
    Schema::new(fields)
}

fn check_schema(path: &Path, found: &Schema) -> Result<()> {
    let list = |schema: &Schema| {
        let field = |field: &Arc<Field>| {
            format!("{} {}{}", field.name(), field.data_type(), if field.is_nullable() { "?" } else { "" })
        };
        schema.fields().iter().map(field).collect::<Vec<_>>().join(", ")
    };
    let [expected, found] = [list(&schema()), list(found)];
    if expected == found {
        return Ok(());
    }
    Err(Error::mismatch(format!("{}: columns", path.display()), expected, found))
}

fn name(path: &Path, concept: &Concept) -> Result<String> {
    if concept.factor.contains('=') {
        let place = format!("{}: factor `{}`", path.display(), concept.factor);
        return Err(Error::mismatch(place, "a name without `=`", "one with it"));
    }
    Ok(concept.to_string())
}

fn columns(path: &Path, site: &str, cells: &[UnitConcept], names: &[String]) -> Result<Vec<ArrayRef>> {
    let (mut sites, mut units, mut concepts) = (StringBuilder::new(), UInt32Builder::new(), StringBuilder::new());
    let mut numbers: [Float64Builder; 6] = Default::default();
    let mut encodes = BooleanBuilder::new();
    let mut more: [Float64Builder; 8] = Default::default();
    for cell in cells {
        let Some(concept) = names.get(cell.concept as usize) else {
            let place = format!("{}: site `{site}`, unit {}", path.display(), cell.unit);
            return Err(Error::mismatch(place, format!("a concept below {}", names.len()), cell.concept));
        };
        sites.append_value(site);
        units.append_value(cell.unit);
        concepts.append_value(concept);
        let (held_out, chosen) = (cell.held_out, cell.chosen);
        let row = [
            held_out.map(|h| h.auroc),
            held_out.map(|h| h.effect),
            held_out.map(|h| h.effect_lo),
            held_out.map(|h| h.effect_hi),
            chosen.map(|c| c.p),
            chosen.map(|c| c.q),
        ];
        numbers.iter_mut().zip(row).for_each(|(column, value)| column.append_option(value));
        encodes.append_value(cell.encodes);
        let beyond = |of: fn(Partial) -> f64| cell.partial.map(of);
        let row = [
            cell.lift.and_then(|lift| lift.lift),
            cell.lift.map(|lift| lift.z),
            cell.mi,
            beyond(|of| of.effect),
            beyond(|of| of.effect_lo),
            beyond(|of| of.effect_hi),
            beyond(|of| of.p),
            beyond(|of| of.q),
        ];
        more.iter_mut().zip(row).for_each(|(column, value)| column.append_option(value));
    }
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(sites.finish()), Arc::new(units.finish()), Arc::new(concepts.finish())];
    columns.extend(numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
    columns.push(Arc::new(encodes.finish()));
    columns.extend(more.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
    Ok(columns)
}
