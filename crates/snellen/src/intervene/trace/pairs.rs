//! Clean and corrupt inputs of one tower, and what is read from its embedding.

use super::Direction;
use crate::engine::{Tape, Tensor};
use crate::intervene::{TokenMap, Tokens as Group};
use crate::model::tokenizer::Tokens;
use crate::model::{BlockPoint, Hook, ModelConfig, Pixels, Point, Site, Tower, TowerConfig, Towers, VisionPooling};
use crate::{Error, Result};

/// What a tower is given, a row an image or a text.
#[derive(Clone, Debug)]
pub enum Input {
    /// Of the vision tower.
    Images(Pixels<f32>),
    /// Of the text tower.
    Texts(Tokens),
}

/// What rows know of themselves beside their residual stream.
pub(super) enum Around {
    Grids(Vec<[usize; 2]>),
    Tokens(Tokens),
}

/// Twins: row `2 i` is the clean input of twin `i`, row `2 i + 1` the corrupt one.
///
/// The margin of an embedding `e` of twin `i` is `<e, readout_i> / |e|`: with the difference of two embeddings of the other tower,
/// right less wrong, it is the swap margin.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// Both inputs of every twin.
    pub input: Input,
    /// For every twin, what the tokens of both its inputs show.
    pub maps: Vec<TokenMap>,
    /// For every twin, as wide as the embedding.
    pub readout: Vec<Vec<f64>>,
}

impl Input {
    /// Which tower takes it.
    pub fn tower(&self) -> Tower {
        match self {
            Self::Images(_) => Tower::Vision,
            Self::Texts(_) => Tower::Text,
        }
    }

    /// The rows `rows`, in this order.
    pub(super) fn rows(&self, rows: &[usize]) -> Self {
        match self {
            Self::Images(pixels) => {
                let shape = pixels.values.shape();
                let long: usize = shape[1..].iter().product();
                let values = rows.iter().flat_map(|row| &pixels.values.data()[row * long..][..long]).copied().collect();
                let values = Tensor::new([&[rows.len()], &shape[1..]].concat(), values);
                Self::Images(Pixels { values, grids: pick(&pixels.grids, rows) })
            }
            Self::Texts(tokens) => Self::Texts(tokens.rows(rows)),
        }
    }

    /// What `count` rows that go on from row `row` know of themselves.
    pub(super) fn around(&self, row: usize, count: usize) -> Around {
        let rows = vec![row; count];
        match self {
            Self::Images(pixels) => Around::Grids(pick(&pixels.grids, &rows)),
            Self::Texts(tokens) => Around::Tokens(tokens.rows(&rows)),
        }
    }

    /// Embeddings of all rows, `[row, unit]`.
    pub(super) fn embed(&self, towers: &Towers<f32>, tape: &mut Tape<f32>, hook: &mut dyn Hook) -> Result<Tensor<f32>> {
        match self {
            Self::Images(pixels) => towers.embed_images(tape, pixels, hook),
            Self::Texts(tokens) => towers.embed_texts(tape, tokens, hook),
        }
    }

    /// The token that the embedding of row `row` is read at; `None` where it is read from several.
    pub(super) fn reads(&self, config: &ModelConfig, row: usize) -> Option<usize> {
        match self {
            Self::Images(_) => (config.vision.pooling == Some(VisionPooling::Class)).then_some(0),
            Self::Texts(tokens) => tokens.ends().get(row).copied(),
        }
    }
}

impl Around {
    /// Embeddings of rows whose residual stream before block `layer` is `x`.
    pub(super) fn resume(
        &self,
        towers: &Towers<f32>,
        tape: &mut Tape<f32>,
        from: (usize, Tensor<f32>),
        hook: &mut dyn Hook,
    ) -> Result<Tensor<f32>> {
        match self {
            Self::Grids(grids) => towers.resume_images(tape, from, grids, hook),
            Self::Tokens(tokens) => towers.resume_texts(tape, from, tokens, hook),
        }
    }
}

fn pick(grids: &[[usize; 2]], rows: &[usize]) -> Vec<[usize; 2]> {
    if grids.is_empty() { Vec::new() } else { rows.iter().map(|row| grids[*row]).collect() }
}

impl Pairs {
    /// Number of twins.
    pub fn len(&self) -> usize {
        self.maps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }

    /// Refuses what doesn't belong together.
    pub(super) fn check(&self, config: &ModelConfig) -> Result<()> {
        let (rows, width) = match &self.input {
            Input::Images(pixels) => (pixels.values.dim(0), config.vision.embedding()),
            Input::Texts(tokens) => (tokens.ends().len(), Some(config.text()?.projection)),
        };
        let place = "twins";
        if rows != 2 * self.len() || self.readout.len() != self.len() {
            let expected = format!("two rows and a readout for each of {} twins", self.len());
            return Err(Error::mismatch(place, expected, format!("{rows} and {}", self.readout.len())));
        }
        let Some(width) = width else {
            return Err(Error::mismatch(place, "a tower that gives embeddings", "one that gives tokens only"));
        };
        match self.readout.iter().find(|readout| readout.len() != width) {
            Some(readout) => Err(Error::mismatch(place, format!("readouts of {width} numbers"), readout.len())),
            None => Ok(()),
        }
    }

    /// Of twin `i`: the row that is patched, and the one whose values it is patched with.
    pub(super) fn roles(i: usize, direction: Direction) -> [usize; 2] {
        match direction {
            Direction::Denoise => [2 * i + 1, 2 * i],
            Direction::Noise => [2 * i, 2 * i + 1],
        }
    }

    /// The margin of twin `i` in an embedding.
    pub(super) fn margin(&self, i: usize, embedding: &[f32]) -> f64 {
        let (mut along, mut squares) = (0.0, 0.0);
        for (x, readout) in embedding.iter().zip(&self.readout[i]) {
            let x = f64::from(*x);
            along += x * readout;
            squares += x * x;
        }
        along / squares.sqrt()
    }

    /// Where the tokens of `group` stand in the residual stream of twin `i`; none where it is empty there.
    pub(super) fn positions(&self, config: &ModelConfig, i: usize, group: Group) -> Vec<usize> {
        let site = Site { tower: self.input.tower(), point: Point::Block(0, BlockPoint::ResidPost) };
        group.positions(config, site, &self.maps[i]).unwrap_or_default()
    }

    /// Tokens of a row, padding included.
    pub(super) fn tokens(&self, config: &ModelConfig) -> usize {
        match &self.input {
            Input::Images(pixels) if config.vision.is_flexible() => pixels.values.dim(1),
            Input::Images(_) => config.vision.tokens(),
            Input::Texts(tokens) => tokens.length(),
        }
    }

    /// The groups that the tokens of any twin are divided into, and `all` last.
    pub fn groups(&self, config: &ModelConfig) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for map in &self.maps {
            let more: Vec<Group> = Group::groups(config, map).into_iter().filter(|g| !groups.contains(g)).collect();
            groups.extend(more);
        }
        groups.push(Group::All);
        groups
    }
}

/// The shape of the tower that `input` is for.
pub(super) fn shape(config: &ModelConfig, tower: Tower) -> Result<&TowerConfig> {
    match tower {
        Tower::Vision => Ok(&config.vision.tower),
        Tower::Text => Ok(&config.text()?.tower),
    }
}
