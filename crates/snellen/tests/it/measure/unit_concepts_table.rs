use super::concepts;
use snellen::measure::encodes::{Chosen, Criterion, HeldOut, Partial, UnitConcept};
use snellen::measure::lift::Lift;
use snellen::measure::mark::{self, Mark, TableSet};
use snellen::measure::unit_concepts_table::UnitConcepts;
use snellen::measure::{Confidence, Matrix};
use snellen::scene::Concept;
use snellen::scene::labels_csv::parse_labels;
use snellen::units::{Acts, measure_given, measure_matrices};
use std::path::PathBuf;

fn table() -> UnitConcepts {
    let cell = |unit: u32, concept: u32| UnitConcept {
        unit,
        concept,
        chosen: (unit != 1).then_some(Chosen { p: 0.01, q: 0.125 / f64::from(unit + 1) }),
        held_out: (concept != 1).then_some(HeldOut { auroc: 0.1, effect: -0.8, effect_lo: -0.9, effect_hi: -1e-300 }),
        partial: (unit != 2).then_some(Partial { p: 0.5, q: 0.75, effect: -1.25, effect_lo: -1.5, effect_hi: 0.125 }),
        encodes: unit == 2,
        lift: (unit != 1).then_some(Lift { lift: (concept != 1).then_some(-0.5), z: 2.5 }),
        mi: (unit != 0).then_some(-1e-3),
    };
    let cells = || (0..3).flat_map(|unit| (0..2).map(move |concept| cell(unit, concept))).collect();
    let sites = ["blocks.0.mlp.hook_post", "image_embeds"].map(|site| (site.to_owned(), cells()));
    UnitConcepts { concepts: concepts(2), sites: sites.into() }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[test]
fn what_is_written_is_read_again() {
    let folder = Folder::new();
    let path = folder.file("unit_concepts.parquet");
    table().write(&path).unwrap();
    assert_eq!(UnitConcepts::read(&path).unwrap(), table());
    // Over an older one, in the same bytes, leaving nothing else.
    let bytes = std::fs::read(&path).unwrap();
    table().write(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 1);
    let none = UnitConcepts { concepts: vec![], sites: vec![] };
    none.write(&path).unwrap();
    assert_eq!(UnitConcepts::read(&path).unwrap(), none);
}

#[test]
fn long_sites_keep_their_order() {
    let folder = Folder::new();
    let path = folder.file("long.parquet");
    let mut long = table();
    let cells = long.sites[0].1.clone();
    long.sites[0].1 = (0..70_000).map(|unit| UnitConcept { unit, ..cells[unit as usize % 6] }).collect();
    long.write(&path).unwrap();
    assert_eq!(UnitConcepts::read(&path).unwrap(), long);
}

#[test]
fn what_is_no_such_table_is_refused() {
    let folder = Folder::new();
    let path = folder.file("t.parquet");
    let said = || UnitConcepts::read(&path).unwrap_err().to_string();
    assert!(said().contains("t.parquet"));
    table().write(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(UnitConcepts::read(&path).is_err(), "{length}");
    }
    let mut wrong = table();
    wrong.sites[1].1[2].held_out.as_mut().unwrap().effect = 1.5;
    // Unit 1 of the second site, after the six rows of the first.
    wrong.write(&path).unwrap();
    assert!(said().ends_with("t.parquet: row 8, effect: expected -1 to 1, got 1.5"), "{}", said());
    let mut wrong = table();
    wrong.sites[0].1[0].chosen = Some(Chosen { p: f64::NAN, q: 0.5 });
    wrong.write(&path).unwrap();
    assert!(said().ends_with("row 0, p: expected 0 to 1, got NaN"), "{}", said());
    let fine = table().sites[1].1[0];
    let mut wrong = UnitConcepts { sites: vec![("a".into(), vec![fine; 3_000])], ..table() };
    wrong.sites[0].1[2_500].held_out.as_mut().unwrap().auroc = -0.5;
    wrong.write(&path).unwrap();
    assert!(said().ends_with("row 2500, auroc: expected 0 to 1, got -0.5"), "{}", said());
}

#[test]
fn what_cannot_be_read_again_is_not_written() {
    let folder = Folder::new();
    let path = folder.file("t.parquet");
    let mut wrong = table();
    wrong.sites[0].1[0].concept = 2;
    let said = wrong.write(&path).unwrap_err().to_string();
    assert!(said.ends_with("site `blocks.0.mlp.hook_post`, unit 0: expected a concept below 2, got 2"), "{said}");
    let mut wrong = table();
    wrong.concepts[0] = Concept { factor: "a=b".into(), value: "c".into() };
    assert!(
        wrong
            .write(&path)
            .unwrap_err()
            .to_string()
            .ends_with("factor `a=b`: expected a name without `=`, got one with it")
    );
    assert!(!path.exists());
}

#[test]
fn other_columns_are_refused() {
    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    let folder = Folder::new();
    let path = folder.file("other.parquet");
    let column: ArrayRef = std::sync::Arc::new(StringArray::from(vec!["a"]));
    let batch = RecordBatch::try_from_iter([("site", column)]).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let said = UnitConcepts::read(&path).unwrap_err().to_string();
    assert!(said.contains("columns: expected site Utf8, unit UInt32, concept Utf8, auroc Float64?"), "{said}");
    assert!(said.contains("partial_q Float64?, got site Utf8"), "{said}");
}

#[test]
fn tables_are_those_that_their_mark_speaks_of() {
    let folder = Folder::new();
    let (home, path) = (folder.0.path(), folder.file("unit_concepts.parquet"));
    assert_eq!(Mark::read(home).unwrap(), None);
    let criterion = Criterion { q: 0.05, min_effect: 0.3, confidence: Confidence::new(0.95).unwrap(), seed: 7 };
    for _ in 0..2 {
        let tables = TableSet::begin(home).unwrap();
        table().write(&tables.path().join("unit_concepts.parquet")).unwrap();
        table().write(&tables.path().join("other.parquet")).unwrap();
        tables.replace(&criterion).unwrap();
    }
    assert_eq!(std::fs::read_dir(home).unwrap().count(), 3);
    let mark = Mark::read(home).unwrap().unwrap();
    assert_eq!((mark.criterion, mark.tables.len()), (criterion, 2));
    mark.check(home).unwrap();
    UnitConcepts::read(&path).unwrap();
    // One that was measured by itself is no longer one of these.
    UnitConcepts { sites: vec![], ..table() }.write(&path).unwrap();
    for error in [mark.check(home).unwrap_err(), UnitConcepts::read(&path).unwrap_err()] {
        let said = error.to_string();
        assert!(said.contains("unit_concepts.parquet: expected hash ") && said.contains("measure again"), "{said}");
    }
    let text = std::fs::read_to_string(folder.file(mark::FILE)).unwrap();
    for (from, to, says) in
        [("\"schema\": 1", "\"schema\": 2", "expected 1, got 2"), ("\"snellen\"", "\"x\"", "measure.json")]
    {
        assert!(text.contains(from), "{text}");
        std::fs::write(folder.file(mark::FILE), text.replace(from, to)).unwrap();
        let said = UnitConcepts::read(&path).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
    std::fs::remove_file(folder.file(mark::FILE)).unwrap();
    UnitConcepts::read(&path).unwrap();
}

#[test]
fn tables_that_are_written_as_they_come_are_those_of_memory() {
    let folder = Folder::new();
    let (images, sites) = (80, [("a", 7), ("b", 5)]);
    let said = |i: usize| format!("{i}.png,{},{}\n", ["red", "blue"][i % 2], ["circle", "square"][i / 3 % 2]);
    let csv = format!("filename,color_0,shape_0\n{}", (0..images).map(said).collect::<String>());
    std::fs::write(folder.file("labels.csv"), &csv).unwrap();
    // Unit 0 of either tells colours apart.
    let value = |i: usize, unit: usize| {
        ((i * 37 + unit * 11) % 79) as f32 + if unit == 0 { 90.0 * (i % 2) as f32 } else { 0.0 }
    };
    let values = |units: usize| (0..images * units).map(|at| value(at / units, at % units)).collect::<Vec<f32>>();
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (site, units) in sites {
        let from = data.len();
        data.extend(values(units).into_iter().flat_map(f32::to_le_bytes));
        let offsets = format!("[{from},{}]", data.len());
        header.push(format!(r#""{site}":{{"dtype":"F32","shape":[{images},{units}],"data_offsets":{offsets}}}"#));
    }
    let header = format!("{{{}}}", header.join(","));
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    std::fs::write(folder.file("acts.safetensors"), file).unwrap();
    let [written, kept] = ["written", "kept"].map(|name| folder.file(name));
    [&written, &kept].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());

    let by = Criterion { q: 0.05, min_effect: 0.3, confidence: Confidence::new(0.95).unwrap(), seed: 7 };
    let (acts, labels) = (folder.file("acts.safetensors"), folder.file("labels.csv"));
    let acts = Acts { file: &acts, tensors: &[], labels: &labels, label_columns: &[] };
    let measured = measure_given(acts, None, &[], &written, &by, &()).unwrap();
    let matrices = sites.map(|(site, units)| (site.to_owned(), Matrix::new(images, units, values(units)).unwrap()));
    let tables = measure_matrices(matrices.into(), &parse_labels("labels", csv.as_bytes()).unwrap(), &by).unwrap();
    assert_eq!(tables.units, measured.units);
    assert!(measured.units.sites.iter().all(|site| site.encoding.any > 0));
    tables.write(&kept).unwrap();
    let batches = tables.batches().unwrap();
    let rows = |name: &str| batches[name].iter().map(arrow_array::RecordBatch::num_rows).collect::<Vec<_>>();
    let [cells, units, pairs] = ["unit_concepts", "units", "pairs"].map(rows);
    assert_eq!((cells, units, pairs), (vec![28, 20], vec![7, 5], vec![6, 6]));
    assert_eq!((rows("concepts"), rows("sites")), (vec![4, 4], vec![2]));
    for name in batches.keys() {
        let of = |folder: &PathBuf| std::fs::read(folder.join(format!("{name}.parquet"))).unwrap();
        assert!(of(&written) == of(&kept), "{name}");
        // Nothing in a table needs another reader.
        let file = std::fs::File::open(written.join(format!("{name}.parquet"))).unwrap();
        let read = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!(read.schema().fields(), batches[name][0].schema().fields());
    }
}
