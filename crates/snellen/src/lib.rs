//! Snellen gives vision-language encoders an eye exam: it shows a CLIP-like model scenes whose every object is known, reads its
//! activations, and says what it sees and what it binds, with intervals and nulls.
//!
//! The data goes one way: [`scene`] makes pictures, labels and captions, [`model`] (on the operations of [`engine`]) turns them
//! into activations and embeddings, [`record`] carries activations to disk and back, [`measure`] turns matrices and labels into
//! statistics and never sees a model, [`intervene`] changes activations and says what that does to answers, [`exam`] asks the questions and [`report`] holds the answers. [`lab`] trains small models on
//! scenes and asks the exam's questions while it does. [`bench`](mod@bench) holds what is
//! timed when the engine is measured. [`torch`] reads files of PyTorch as data.
//!
//! # Features
//!
//! All are on unless `default-features = false`. `hub` fetches models from the Hugging Face Hub (without it a name on the Hub is an error);
//! `lab` trains models, breeds the exam's patients and holds measures against what is known; `study` is arXiv 2508.16652.
//!
//! # From a model to its exam
//!
//! All questions on scenes that are drawn, in the new folder `exam`. What the lab says of a model's training decides which world is shown; of any
//! other model that is `None`, and the world is `hard` unless [`ExamConfig::world`](exam::ExamConfig::world) names one.
//!
//! ```no_run
//! use snellen::exam::{ExamConfig, examine};
//! use snellen::lab::Origin;
//! use snellen::model::Model;
//!
//! let model = Model::load("models/toy".as_ref())?;
//! let training = Origin::read(&model.folder)?.map(|origin| origin.training()).transpose()?;
//! let report = examine(&model, "toy", training.as_ref(), &ExamConfig::quick(1)?, "exam".as_ref(), &())?;
//! // Which link of the chain fails, if any.
//! println!("{:?}", report.verdict.and_then(|verdict| verdict.failure));
//! # Ok::<(), snellen::Error>(())
//! ```
//!
//! # From a model to a recording and its measures
//!
//! Activations of drawn scenes go to the folder `run`; what each unit stands for is then measured there, and is in its tables too.
//!
//! ```
//! use snellen::measure::encodes::Criterion;
//! use snellen::model::Model;
//! use snellen::record::{RecordConfig, SceneSource, record};
//! use snellen::scene::{Canvas, SceneKind, Series, World};
//! use snellen::units::measure_run;
//!
//! # let home = tempfile::tempdir().map_err(snellen::Error::io("."))?;
//! # let run = home.path().join("run");
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/toy");
//! let model = Model::load(folder.as_ref())?;
//! let side = model.config.vision.image as u32;
//! let scenes = Series::new(SceneKind::Toy, World::toy(), Canvas::plain(side, side), 120, 1)?;
//! record(&model, &SceneSource(scenes), &RecordConfig::new(&["image_embeds"]), &run, &())?;
//! let measured = measure_run(&run, None, &[], &Criterion::standard(1)?, &())?;
//! // How many units of the embedding encode some concept, and how many would with labels permuted.
//! let embedding = &measured.units.sites[0];
//! assert!(embedding.encoding.any > 10 * embedding.null.any);
//! # Ok::<(), snellen::Error>(())
//! ```
//!
//! # Your own matrix
//!
//! Activations `[image, unit]` from anywhere, and a table that says what each image shows, as `labels.csv` does.
//!
//! ```
//! use snellen::measure::Matrix;
//! use snellen::measure::encodes::Criterion;
//! use snellen::scene::labels_csv::parse_labels;
//! use snellen::units::measure_matrices;
//!
//! // Unit 0 tells red from blue, unit 1 nothing.
//! let color = |i: usize| if i % 2 == 0 { "red" } else { "blue" };
//! let table: String = (0..80).map(|i| format!("{i}.png,{}\n", color(i))).collect();
//! let labels = parse_labels("labels", format!("filename,color_0\n{table}").as_bytes())?;
//! let values = (0..80).flat_map(|i| [(i % 2) as f32, (i * 37 % 80) as f32]).collect();
//! let mine = ("mine".to_owned(), Matrix::new(80, 2, values)?);
//! let tables = measure_matrices(vec![mine], &labels, &Criterion::standard(1)?)?;
//! let (_name, cells) = &tables.cells.sites[0];
//! let encodes: Vec<u32> = cells.iter().filter(|cell| cell.encodes).map(|cell| cell.unit).collect();
//! assert_eq!(encodes, [0]);
//! // The same as Arrow columns, by the name of the table: a row for each unit and concept.
//! let batches = tables.batches()?;
//! let cells = &batches["unit_concepts"][0];
//! assert!(cells.num_rows() == 4 && cells.column_by_name("auroc").is_some());
//! # Ok::<(), snellen::Error>(())
//! ```

pub mod bench;
pub mod engine;
pub mod error;
pub mod exam;
pub mod intervene;
#[cfg(feature = "lab")]
pub mod lab;
pub mod measure;
mod memory;
pub mod model;
pub mod output;
mod panics;
pub mod progress;
pub mod random;
pub mod readers;
pub mod record;
pub mod report;
pub mod scene;
#[cfg(feature = "study")]
pub mod study;
pub mod tensors;
pub mod torch;
pub mod units;

pub use error::{Error, ErrorKind, Result};
