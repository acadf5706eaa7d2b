//! Which link of the chain fails, for every attribute and every binding: the answers, their evidence, and the rule's name for it.

use serde::{Deserialize, Serialize};

/// The chart, and what it comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Attributes, then bindings of two of them.
    pub rows: Vec<VerdictRow>,
    /// The failure of the first row that has one; where none has, that something can't be told, if so.
    pub failure: Option<Failure>,
    /// The same in plain words.
    pub sentence: String,
}

/// An attribute, or a binding of two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictRow {
    /// `shape`, or `shape x color`.
    pub content: String,
    /// Which of the two.
    pub kind: ContentKind,
    /// The links of the chain, in the order of the data's path.
    pub cells: Cells,
    /// What the first "no" means; `cant_tell` where none is no and some can't be told.
    pub failure: Option<Failure>,
    /// What a linear reader with few pictures finds at each layer.
    pub layers: Vec<LayerReading>,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// A value of one factor.
    Attribute,
    /// Which values of two factors belong to one object.
    Binding,
}

/// The links of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cells {
    /// Whether the image embedding holds it: a network with all pictures, against chance.
    pub image_contained: Cell,
    /// Whether a linear reader finds it there with few pictures, against raw pixels and untrained models with as few.
    pub image_accessible: Cell,
    /// Whether a linear reader finds it in the text embedding with few texts, against a bag of words and untrained models.
    pub text_accessible: Cell,
    /// Whether the match of the two uses it.
    #[serde(rename = "match")]
    pub matched: Cell,
    /// Whether that holds on combinations that are new to the model.
    pub new_combinations: Cell,
}

impl Cells {
    /// Their names for readers and the cells, in order.
    pub fn each(&self) -> [(&'static str, &Cell); 5] {
        [
            ("in the image", &self.image_contained),
            ("accessible there", &self.image_accessible),
            ("in the text", &self.text_accessible),
            ("used by the match", &self.matched),
            ("new combinations", &self.new_combinations),
        ]
    }
}

/// One answer and its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The answer.
    pub answer: CellAnswer,
    /// What was measured, from 0 to 1: an accuracy, or of new combinations what is lost on them.
    pub estimate: Option<f64>,
    /// Lower end of its interval.
    pub lo: Option<f64>,
    /// Upper end.
    pub hi: Option<f64>,
    /// What guessing gives.
    pub chance: Option<f64>,
    /// What the best control gives.
    pub control: Option<f64>,
    /// Which that is.
    pub control_name: Option<String>,
    /// Answers that it stands on.
    pub n: Option<usize>,
    /// The rule that gave the answer, with its numbers; what would tell where it can't.
    pub why: String,
}

/// Whether a link holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellAnswer {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// These pictures don't tell.
    CantTell,
    /// There is no such side, or an earlier link leaves nothing to ask.
    NotAsked,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// An attribute that the image embedding does not hold.
    NotSeen,
    /// A binding that it does not hold.
    Absent,
    /// It is there, but not for a linear reader.
    Entangled,
    /// The text embedding lacks it.
    Text,
    /// Both sides have it, and the match does not use it.
    Mismatched,
    /// It holds for combinations that were learnt, and not for others.
    Memorised,
    /// These pictures don't tell.
    CantTell,
}

/// What a linear reader finds at one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReading {
    /// The site.
    pub site: String,
    /// Accuracy.
    pub estimate: f64,
    /// Its interval.
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
    /// What guessing gives.
    pub chance: f64,
}
