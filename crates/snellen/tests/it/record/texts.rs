//! Texts through the text tower, held against the references of every family that has one, and what of them is refused.

use super::{assert_says, contents, differing};
use crate::families;
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use safetensors::SafeTensors;
use snellen::measure::Confidence;
use snellen::measure::encodes::Criterion;
use snellen::model::{LoadConfig, Model, Site, TokenAxis, Tower};
use snellen::record::{
    ActivationStore, ArrayId, LabelsFrom, Part, Progress, RecordConfig, RunManifest, Texts, TokenPolicy, Unfinished,
    merge, record_texts,
};
use snellen::scene::labels_csv::parse_labels;
use snellen::scene::{Canvas, SceneKind, Series, World};
use snellen::units::measure_run;
use std::cell::Cell;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

const POLICIES: [TokenPolicy; 4] = [TokenPolicy::Eos, TokenPolicy::Mean, TokenPolicy::Max, TokenPolicy::All];

fn config(sites: &[&str], batch: usize) -> RecordConfig {
    let sites = sites.iter().map(|&site| site.to_owned()).collect();
    let unfinished = Unfinished::Keep;
    RecordConfig {
        sites,
        policies: POLICIES.to_vec(),
        batch,
        seed: 3,
        part: None,
        unfinished,
        skip_bad: false,
        edits: Vec::new(),
        bases: Vec::new(),
    }
}

fn record(model: &Model, texts: &Texts, truncate: bool, config: &RecordConfig, out: &Path) -> RunManifest {
    record_texts(model, (texts, truncate), config, out, &()).unwrap()
}

/// A CSV file, each field quoted.
fn write_csv(path: &Path, rows: &[&[&str]]) {
    let row =
        |row: &&[&str]| row.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect::<Vec<_>>().join(",");
    fs::write(path, rows.iter().map(row).collect::<Vec<_>>().join("\n") + "\n").unwrap();
}

/// What a family's library made of the captions.
struct Reference(Vec<u8>);

impl Reference {
    /// `None` of families without texts.
    fn read(family: &str) -> Option<Self> {
        let bytes = fs::read(families::folder(family).join("reference.safetensors")).unwrap();
        let has = SafeTensors::deserialize(&bytes).unwrap().tensor("input.input_ids").is_ok();
        has.then_some(Self(bytes))
    }

    fn captions(&self) -> Vec<String> {
        let (_, header) = SafeTensors::read_metadata(&self.0).unwrap();
        serde_json::from_str(&header.metadata().as_ref().unwrap()["captions"]).unwrap()
    }

    fn ids(&self) -> Vec<Vec<i64>> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let ids = file.tensor("input.input_ids").unwrap();
        let flat: Vec<i64> = ids.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
        flat.chunks(ids.shape()[1]).map(<[i64]>::to_vec).collect()
    }

    fn tensor(&self, site: Site) -> (Vec<usize>, Vec<f32>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(&site.to_string()).unwrap();
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (view.shape().to_vec(), values)
    }
}

/// A text's row of ids, read without our tokenizer: CLIP's end token is 575 in these checkpoints, the others' is 1, and what is padded
/// on the left is padded with 0.
struct Row {
    own: Range<usize>,
    /// CLIP pools the end token, the others the last, as an OpenCLIP model may.
    pooled: usize,
    /// Where the end token is pooled what follows it is not seen; else the row is what it is.
    kept: Range<usize>,
}

impl Row {
    fn of(family: &str, ids: &[i64]) -> Self {
        let text = fs::read_to_string(families::folder(family).join("open_clip_config.json"));
        let text: serde_json::Value = text.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default();
        if family == "metaclip2" {
            // XLM-RoBERTa's tokens: 0 begins a text, 2 ends it, 1 is padding.
            let end = ids.iter().position(|id| *id == 2).unwrap();
            return Self { pooled: end, kept: 0..end + 1, own: 0..end + 1 };
        }
        if text["model_cfg"]["text_cfg"]["tokenizer_kwargs"]["strip_sep_token"] == true {
            // BERT's tokens; the one that ends a text has become 0 and counts, what follows is padding, 0 as well.
            let padding = ids.iter().rev().take_while(|id| **id == 0).count();
            return Self {
                pooled: ids.len() - 1,
                kept: 0..ids.len(),
                own: 0..(ids.len() - padding + 1).min(ids.len()),
            };
        }
        let clip = ids.contains(&575) && text["model_cfg"]["text_cfg"]["pool_type"] != "last";
        let end = ids.iter().position(|id| *id == if ids.contains(&575) { 575 } else { 1 }).unwrap();
        let start = ids.iter().take_while(|id| **id == 0).count();
        let (own, all) = (start..end + 1, 0..ids.len());
        // Where every token sees every other, what follows the text is seen too.
        let sees = text["model_cfg"]["text_cfg"]["no_causal_mask"] == true;
        Self { pooled: if clip { end } else { all.end - 1 }, kept: if clip && !sees { own.clone() } else { all }, own }
    }
}

#[test]
fn every_policy_of_every_family_agrees_with_its_library() {
    let home = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for family in families::families() {
        let Some(reference) = Reference::read(&family) else { continue };
        let model = families::load(&family, &LoadConfig::plain());
        let (captions, ids) = (reference.captions(), reference.ids());
        let file = home.path().join(format!("{family}.csv"));
        let rows: Vec<[&str; 1]> =
            std::iter::once("caption").chain(captions.iter().map(String::as_str)).map(|x| [x]).collect();
        write_csv(&file, &rows.iter().map(<[&str; 1]>::as_slice).collect::<Vec<_>>());
        let texts = Texts::read(&file, LabelsFrom::File).unwrap();
        let out = home.path().join(&family);
        let run = record(&model, &texts, true, &config(&["text.*"], 2), &out);
        let rows: Vec<Row> = ids.iter().map(|ids| Row::of(&family, ids)).collect();
        let table = table(&out);
        for (entry, (row, caption)) in table.iter().zip(rows.iter().zip(&captions)) {
            let numbers = [row.own.len(), row.own.start, row.pooled].map(|number| number as u32);
            assert_eq!(*entry, (None, caption.clone(), numbers), "{family}");
        }
        let tokens = rows.iter().map(|row| row.kept.end).max().unwrap();
        assert_eq!((table.len(), run.texts.unwrap().tokens), (captions.len(), tokens), "{family}");
        let store = ActivationStore::open(&out.join("activations.zarr")).unwrap();
        for site in Site::all(&model.config, Tower::Text) {
            let (shape, expected) = reference.tensor(site);
            let finite = || expected.iter().filter(|x| x.is_finite()).map(|x| f64::from(*x));
            let rms = (finite().map(|x| x * x).sum::<f64>() / finite().count() as f64).sqrt();
            let policies = match site.tokens(&model.config) {
                TokenAxis::One => vec![TokenPolicy::Pooled],
                TokenAxis::Attention => vec![TokenPolicy::All],
                _ => POLICIES.to_vec(),
            };
            for policy in policies {
                let (_, got) = store.read(&ArrayId::new(site, policy)).unwrap();
                let expected = expect(&shape, &expected, policy, site, (&rows, tokens));
                assert_eq!(got.len(), expected.len(), "{family}: {site}/{policy}");
                for (at, (x, y)) in got.iter().zip(&expected).enumerate() {
                    let (x, y) = (f64::from(*x), f64::from(*y));
                    assert!((x - y).abs() <= 1e-4 * rms, "{family}: {site}/{policy}[{at}]: {x} against {y}, RMS {rms}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 600, "{compared}");
}

/// What `policy` makes of `values`, plainly; `tokens` is the length of the longest row.
fn expect(
    shape: &[usize],
    values: &[f32],
    policy: TokenPolicy,
    site: Site,
    (rows, tokens): (&[Row], usize),
) -> Vec<f32> {
    let mut out = Vec::new();
    for (values, row) in values.chunks(values.len() / shape[0]).zip(rows) {
        let axes = if site.to_string().contains("hook_attn_scores") || site.to_string().contains("hook_pattern") {
            3
        } else {
            1
        };
        if policy == TokenPolicy::Pooled {
            out.extend_from_slice(values);
        } else if axes == 3 {
            let hidden = if site.to_string().contains("scores") { f32::MIN } else { 0.0 };
            for (head, query, key) in triples(shape[1], tokens, tokens) {
                let inside = row.kept.contains(&query) && row.kept.contains(&key);
                let value = if inside { values[(head * shape[2] + query) * shape[3] + key] } else { hidden };
                out.push(if value == f32::NEG_INFINITY { f32::MIN } else { value });
            }
        } else {
            let units: usize = shape[2..].iter().product();
            let column = |unit: usize| row.own.clone().map(move |token| values[token * units + unit]);
            match policy {
                TokenPolicy::Eos => out.extend_from_slice(&values[row.pooled * units..][..units]),
                TokenPolicy::Mean => {
                    let mean = |unit| (column(unit).map(f64::from).sum::<f64>() / row.own.len() as f64) as f32;
                    out.extend((0..units).map(mean));
                }
                TokenPolicy::Max => out.extend((0..units).map(|unit| column(unit).fold(f32::MIN, f32::max))),
                _ => out.extend(
                    (0..tokens * units).map(|at| if row.kept.contains(&(at / units)) { values[at] } else { 0.0 }),
                ),
            }
        }
    }
    out
}

/// All triples of numbers below these.
fn triples(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

/// File name, text, and `tokens`, `start` and `end` of each row.
fn table(run: &Path) -> Vec<(Option<String>, String, [u32; 3])> {
    let file = fs::File::open(run.join("texts.parquet")).unwrap();
    let mut found = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap) {
        let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["row", "filename", "text", "tokens", "start", "end"]);
        let number = |column: usize, row: usize| batch.column(column).as_primitive::<UInt32Type>().value(row);
        let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
        for row in 0..batch.num_rows() {
            assert_eq!(number(0, row) as usize, found.len());
            let name = batch.column(1).is_valid(row).then(|| text(1, row));
            found.push((name, text(2, row), [3, 4, 5].map(|column| number(column, row))));
        }
    }
    found
}

fn toy() -> Model {
    Model::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy")).unwrap()
}

fn captions(count: usize) -> Texts {
    let series = Series::new(SceneKind::Toy, World::toy(), Canvas::plain(56, 56), count, 5).unwrap();
    Texts::of_scenes(&series).unwrap()
}

const SITES: [&str; 4] = ["text.hook_embed", "text.blocks.1.*", "text.ln_final.*", "text.text_embeds"];

#[test]
fn neither_batch_nor_threads_nor_parts_change_a_byte() {
    let home = tempfile::tempdir().unwrap();
    // One that padding is not seen of and one that it is.
    let left = families::load("siglip2_left", &LoadConfig::plain());
    for (name, model, texts, truncate) in [("toy", toy(), captions(41), false), ("left", left, captions(23), true)] {
        let out = |how: &str| home.path().join(format!("{name}-{how}"));
        let whole = record(&model, &texts, truncate, &config(&SITES, 64), &out("whole"));
        for batch in [1, 7] {
            record(&model, &texts, truncate, &config(&SITES, batch), &out(&format!("batch-{batch}")));
            assert_eq!(differing(&out("whole"), &out(&format!("batch-{batch}"))), [""; 0], "{name}: {batch}");
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        pool.install(|| record(&model, &texts, truncate, &config(&SITES, 9), &out("thread")));
        assert_eq!(differing(&out("whole"), &out("thread")), [""; 0], "{name}: one thread");
        let parts: Vec<PathBuf> = [2, 3, 1]
            .map(|index| {
                let part = Some(Part::new(index, 3).unwrap());
                let config = RecordConfig { part, ..config(&SITES, 5) };
                record(&model, &texts, truncate, &config, &out(&format!("part-{index}")));
                out(&format!("part-{index}"))
            })
            .to_vec();
        assert_eq!(merge(&parts, &out("merged"), &()).unwrap(), whole, "{name}");
        assert_eq!(differing(&out("whole"), &out("merged")), [""; 0], "{name}: parts");
        // A table that was exchanged.
        fs::copy(out("part-2").join("texts.parquet"), out("part-1").join("texts.parquet")).unwrap();
        assert_says(merge(&parts, &out("other"), &()), &["part-1/texts.parquet", "as run.json says"]);
    }
}

/// Stops once so many texts are done.
struct StopAt(usize, Cell<usize>);

impl Progress for StopAt {
    fn advance(&self, done: usize, _: usize) {
        self.1.set(done);
    }
    fn is_cancelled(&self) -> bool {
        self.1.get() >= self.0
    }
}

#[test]
fn an_interrupted_recording_of_texts_goes_on_to_the_same_bytes() {
    let home = tempfile::tempdir().unwrap();
    let (model, texts) = (toy(), captions(600));
    // A shard of which is not all rows.
    let sites = ["text.blocks.0.attn.hook_pattern"];
    let policies = || vec![TokenPolicy::All];
    let config = |unfinished| RecordConfig { unfinished, policies: policies(), ..config(&sites, 8) };
    record(&model, &texts, false, &config(Unfinished::Keep), &home.path().join("whole"));
    let out = home.path().join("run");
    let mut kept = Vec::new();
    for (stop, unfinished) in [(40, Unfinished::Keep), (560, Unfinished::Resume), (592, Unfinished::Resume)] {
        let progress = StopAt(stop, Cell::new(0));
        let result = record_texts(&model, (&texts, false), &config(unfinished), &out, &progress);
        let Err(error) = result else { panic!("stopped at {stop}") };
        let said = error.to_string();
        let (before, rest) = said.split_once(" of 600 texts are in ").unwrap_or_else(|| panic!("{said}"));
        kept.push(before.rsplit(' ').next().unwrap().parse::<usize>().unwrap());
        assert!(rest.contains("--resume"), "{said}");
    }
    // What was done, also where it is no whole shard.
    assert_eq!(kept, [40, 560, 592]);
    // Other texts, or the same ones cut, are another run.
    let resume = config(Unfinished::Resume);
    assert_says(
        record_texts(&model, (&captions(599), false), &resume, &out, &()),
        &["plan.json: `texts.", "600", "599"],
    );
    assert_says(record_texts(&model, (&texts, true), &resume, &out, &()), &["plan.json: `texts.truncate`"]);
    record(&model, &texts, false, &resume, &out);
    assert_eq!(differing(&home.path().join("whole"), &out), [""; 0]);
}

#[test]
fn the_manifest_says_which_texts_and_measures_join_their_labels() {
    let home = tempfile::tempdir().unwrap();
    let (model, texts, out) = (toy(), captions(120), home.path().join("run"));
    let run = record(&model, &texts, false, &config(&["text.blocks.1.mlp.hook_post", "text.text_embeds"], 32), &out);
    assert_eq!(RunManifest::read(&out).unwrap(), run);
    assert_eq!((run.kind.as_str(), run.images.is_none(), run.preprocessing.is_none()), ("record_texts", true, true));
    let record = run.texts.unwrap();
    assert_eq!((record.count, record.truncated, record.scenes.unwrap().seed), (120, None, 5));
    let tokenizer = fs::read(model.folder.join("tokenizer.json")).unwrap();
    assert_eq!(record.tokenizer_hash, blake3::hash(&tokenizer).to_hex().to_string());
    let labels = fs::read(out.join("labels.csv")).unwrap();
    assert_eq!(record.labels_hash, Some(blake3::hash(&labels).to_hex().to_string()));
    let files: Vec<String> = contents(&out).into_keys().filter(|file| !file.starts_with("activations")).collect();
    assert_eq!(files, ["labels.csv", "run.json", "texts.parquet"]);
    let labels = parse_labels("labels.csv", &labels).unwrap();
    for (row, (name, text, _)) in labels.rows.iter().zip(table(&out)) {
        assert_eq!(Some(&row.filename), name.as_ref());
        for factor in ["color", "shape"] {
            let f = labels.factors.iter().position(|of| of.name == factor).unwrap();
            let said =
                |object: &Vec<Option<u32>>| text.contains(&labels.factors[f].values[object[f].unwrap() as usize]);
            assert!(row.objects.iter().all(said), "{factor}: {text}");
        }
    }
    let criterion = Criterion { q: 0.05, min_effect: 0.3, confidence: Confidence::new(0.95).unwrap(), seed: 1 };
    let measured = measure_run(&out, None, &[], &criterion, &()).unwrap();
    let sites: Vec<String> = measured.units.sites.iter().map(|of| format!("{}/{}", of.site, of.tokens)).collect();
    let of_post = ["eos", "mean", "max"].map(|policy| format!("text.blocks.1.mlp.hook_post/{policy}"));
    assert_eq!(sites, [&of_post[..], &["text.text_embeds/pooled".to_owned()]].concat());
    // What is said can be told from the mean of what says it.
    let mean = &measured.units.sites[1];
    assert!(mean.encoding.any > mean.null.any && mean.encoding.any > mean.units / 10, "{mean:?}");
}

#[test]
fn labels_are_of_the_same_file_or_of_one_beside_it() {
    let home = tempfile::tempdir().unwrap();
    let model = toy();
    let mut runs = 0;
    let mut recorded = |file: &Path, from: LabelsFrom| {
        runs += 1;
        let texts = Texts::read(file, from).unwrap();
        let out = home.path().join(format!("run-{runs}"));
        record(&model, &texts, false, &config(&["text.text_embeds"], 8), &out);
        let labels = out.join("labels.csv");
        let passed: Vec<String> = texts.passed_over().iter().map(ToString::to_string).collect();
        (labels.is_file().then(|| fs::read_to_string(labels).unwrap()), table(&out), passed)
    };
    let numbered = home.path().join("numbered.csv");
    write_csv(
        &numbered,
        &[
            &["id", "Caption", "color_0", "shape_0", "color_1"],
            &["7", "a red circle\nand a square", "red", "circle", ""],
            &["8", "a blue, square", "blue", "square", "red"],
        ],
    );
    let (labels, rows, passed) = recorded(&numbered, LabelsFrom::File);
    assert_eq!(
        labels.unwrap(),
        "filename,color_0,shape_0,color_1,shape_1\n000000,red,circle,,\n000001,blue,square,red,\n"
    );
    assert_eq!(rows[0].1, "a red circle\nand a square");
    assert_eq!(rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>(), [None, None]);
    assert_eq!(passed, ["columns of numbered.csv that are no factors: 1 (id)"]);
    assert_eq!(recorded(&numbered, LabelsFrom::Nothing).0, None);
    // By name, in another order; the labels' own order counts for nothing.
    let folder = home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("labels.csv"), "filename,shape_0\nb.png,square\nc.png,triangle\na.png,circle\n").unwrap();
    let beside = folder.join("captions.csv");
    fs::write(&beside, "filename;text\r\n.\\a.png;a circle\r\nb.png;a square\r\n;;\r\n").unwrap();
    let (labels, rows, passed) = recorded(&beside, LabelsFrom::File);
    assert_eq!(labels.unwrap(), "filename,shape_0\na.png,circle\nb.png,square\n");
    assert_eq!(rows.iter().map(|row| row.0.as_deref().unwrap()).collect::<Vec<_>>(), ["a.png", "b.png"]);
    assert_eq!(passed, ["rows of labels.csv without a text: 1 (c.png)"]);
    assert_eq!(Texts::captions(&folder, LabelsFrom::File).unwrap(), Texts::read(&beside, LabelsFrom::File).unwrap());
    // As the metadata of an image folder has them.
    let metadata = home.path().join("metadata.csv");
    fs::write(&metadata, "file_name,text,shape\n1.png,a circle,circle\n2.png,a square,square\n3.png,a circle,circle\n")
        .unwrap();
    let (labels, ..) = recorded(&metadata, LabelsFrom::File);
    assert_eq!(labels.unwrap(), "filename,shape_0\n1.png,circle\n2.png,square\n3.png,circle\n");
}

#[test]
fn an_image_may_have_several_texts() {
    let home = tempfile::tempdir().unwrap();
    let model = toy();
    let file = home.path().join("texts.csv");
    let recorded = |out: &str| {
        let texts = Texts::read(&file, LabelsFrom::File).unwrap();
        record(&model, &texts, false, &config(&["text.text_embeds"], 8), &home.path().join(out));
        let rows = table(&home.path().join(out));
        let names: Vec<_> = rows.into_iter().map(|row| row.0.unwrap()).collect();
        (names, fs::read_to_string(home.path().join(out).join("labels.csv")).unwrap())
    };
    let names = ["a.png", "b.png", "a.png", "a.png"];
    fs::write(
        &file,
        "filename,text,shape_0\na.png,a circle,circle\nb.png,a square,square\na.png,a photo of a circle,circle\na.png,a picture of a circle,circle\n",
    )
    .unwrap();
    let labels = "filename,shape_0\na.png,circle\nb.png,square\na.png#2,circle\na.png#3,circle\n";
    assert_eq!(recorded("own"), (names.map(str::to_owned).to_vec(), labels.to_owned()));
    fs::write(
        &file,
        "filename,text\na.png,a circle\nb.png,a square\na.png,a photo of a circle\na.png,a picture of a circle\n",
    )
    .unwrap();
    fs::write(home.path().join("labels.csv"), "filename,shape_0\nb.png,square\na.png,circle\n").unwrap();
    assert_eq!(recorded("beside"), (names.map(str::to_owned).to_vec(), labels.to_owned()));
}

#[test]
fn what_is_wrong_with_a_file_is_named_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("texts.csv");
    let refuse = |bytes: &[u8], says: &[&str]| {
        fs::write(&file, bytes).unwrap();
        assert_says(Texts::read(&file, LabelsFrom::File), says);
    };
    refuse(b"", &["texts.csv: expected a header with a column `text` or `caption`", "an empty file"]);
    refuse(b"text\n", &["texts.csv", "a row with a text", "none below the header"]);
    refuse(b"filename,label\na.png,x\n", &["texts.csv:1", "a column `text` or `caption`", "[filename, label]"]);
    refuse(b"text,caption\na,b\n", &["texts.csv:1", "one only", "[text, caption]"]);
    refuse(b"text,shape_0\na,x\n \t,y\n", &["texts.csv:3: expected a text, got an empty one"]);
    refuse(b"text\n\"\"\n", &["texts.csv:2: expected a text"]);
    refuse(b"text,filename\na,../a.png\n", &["texts.csv:2, column 2 (`filename`)", "../a.png"]);
    refuse(b"text\na cat, a dog\n", &["texts.csv:2", "1 fields", "quoted", "got 2"]);
    refuse(b"text,shape_0\na\n", &["texts.csv:2", "2 fields", "got 1"]);
    refuse(b"text,filename\na,a.png\n\"b,b.png\n", &["texts.csv:3", "every quotation mark closed"]);
    refuse(b"text\nna\xefve\n", &["texts.csv:2", "UTF-8", "0xef"]);
    refuse(b"text,shape_1\n\"a\n\nb\",x\n", &["texts.csv:1", "a column `shape_0`"]);
    refuse(
        b"text,shape_0,shape_1\n\"a\n\nb\",x,y\nc,,y\n",
        &["texts.csv:5, column 3 (`shape_1`)", "object 0 is missing"],
    );
    refuse(b"text,filename,shape_0\na,,x\n", &["texts.csv:2", "a file name", "--labels none"]);
    fs::write(home.path().join("labels.csv"), "filename,shape_0\na.png,x\n").unwrap();
    refuse(b"text\na\n", &["texts.csv", "a column `filename`", "labels.csv", "--labels none"]);
    refuse(b"text,filename\na,a.png\nb,b.png\n", &["texts.csv:3 (`b.png`)", "labels.csv", "without labels"]);
    assert_says(Texts::read(home.path(), LabelsFrom::File), &["a CSV file", "--texts captions --images"]);
    assert_says(Texts::read(&file, LabelsFrom::Folders), &["--labels file or none"]);
    assert_says(Texts::captions(home.path(), LabelsFrom::File), &["captions.csv or metadata.csv", "neither"]);
    // A stray quotation mark is a character like any other, as csv readers have it.
    fs::write(&file, "text\na 5\" nail\n").unwrap();
    assert_eq!(Texts::read(&file, LabelsFrom::Nothing).unwrap().rows()[0].text, "a 5\" nail");
}

#[test]
fn what_a_model_does_not_take_is_named_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    let (file, out) = (home.path().join("texts.csv"), home.path().join("run"));
    let refuse = |model: &Model, contents: &str, config: &RecordConfig, says: &[&str]| {
        fs::write(&file, contents).unwrap();
        let texts = Texts::read(&file, LabelsFrom::File).unwrap();
        assert_says(record_texts(model, (&texts, false), config, &out, &()), says);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left");
    };
    let (toy, embeds) = (toy(), config(&["text.text_embeds"], 4));
    let long = format!("text\na red circle\n{}\n", "red ".repeat(60));
    refuse(&toy, &long, &embeds, &["texts.csv:3: expected at most", "--truncate", "got 62"]);
    refuse(
        &toy,
        "filename,text\na.png,a purple circle\n",
        &embeds,
        &["texts.csv:2 (`a.png`)", "words of its vocabulary", "\"purple\""],
    );
    let alone = families::load("clip_vision", &LoadConfig::plain());
    refuse(&alone, "text\na\n", &embeds, &["clip_vision_model", "a text tower", "none"]);
    let sites =
        |sites: &[&str], policies: &[TokenPolicy]| RecordConfig { policies: policies.to_vec(), ..config(sites, 4) };
    let one = "text\na circle\n";
    refuse(&toy, one, &sites(&["image_embeds"], &POLICIES), &["sites of the text tower", "the vision tower's"]);
    refuse(&toy, one, &sites(&["text.hook_embed"], &[TokenPolicy::Cls]), &["`eos`, `mean`, `max`, `all`", "`cls`"]);
    refuse(&toy, one, &sites(&["text.blocks.0.attn.hook_pattern"], &[TokenPolicy::Eos]), &["`all`", "`eos`"]);
    refuse(&toy, one, &RecordConfig { batch: 0, ..embeds.clone() }, &["batch", "at least 1 text"]);
    // Cut, and said so.
    fs::write(&file, &long).unwrap();
    let run = record(&toy, &Texts::read(&file, LabelsFrom::File).unwrap(), true, &embeds, &out);
    assert_eq!(run.texts.unwrap().truncated, Some(1));
    let positions = toy.config.text().unwrap().positions as u32;
    assert_eq!(table(&out)[1].2, [positions, 0, positions - 1]);
}
