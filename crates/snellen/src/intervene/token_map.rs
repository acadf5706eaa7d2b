//! Which tokens of an image or a text show what: made of a scene once, asked by every edit.

use crate::model::tokenizer::Tokens;
use crate::model::{Model, Tokenizer, Tower};
use crate::scene::caption::{Wording, said};
use crate::scene::mask::masks;
use crate::scene::{Canvas, Scene, World};
use crate::{Error, Result};
use std::ops::Range;

/// Shares of a patch below this are rounding.
const DUST: f64 = 1e-9;

/// What the tokens of one image or text show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenMap {
    /// Of an image.
    Image {
        /// Patches that are no padding.
        patches: usize,
        /// For each object of the scene its patches, ascending; `None` where that is not known.
        objects: Option<Vec<Vec<usize>>>,
    },
    /// Of a text; everything as places in its row of token ids.
    Text {
        /// All of its tokens, special ones among them.
        own: Range<usize>,
        /// Those before its first word.
        start: Range<usize>,
        /// The one that its embedding is read at.
        end: usize,
        /// For each object of the scene the tokens of its words, ascending; `None` where that is not known.
        objects: Option<Vec<Vec<usize>>>,
    },
}

impl TokenMap {
    /// Of an image, of whose patches `covers` say which share each object takes, `[object][patch]`.
    ///
    /// A patch belongs to the object that takes most of it, of equals to the first.
    pub fn of_covers(covers: &[Vec<f64>]) -> Self {
        let patches = covers.first().map_or(0, Vec::len);
        let mut objects = vec![Vec::new(); covers.len()];
        for patch in 0..patches {
            let (mut most, mut owner) = (DUST, None);
            for (k, cover) in covers.iter().enumerate() {
                if cover[patch] > most {
                    (most, owner) = (cover[patch], Some(k));
                }
            }
            owner.into_iter().for_each(|k| objects[k].push(patch));
        }
        Self::Image { patches, objects: Some(objects) }
    }

    /// Of an image of which no more is known than how many `patches` it has.
    pub fn of_patches(patches: usize) -> Self {
        Self::Image { patches, objects: None }
    }

    /// What `scenes` show, drawn on `canvas`, as `model` sees them: of one scene itself; of twins, whose objects may differ in outline
    /// and size, one map for all of them, in which an object has the patches that any of them gives it.
    ///
    /// # Panics
    /// If the canvas is refused by [`Canvas::check`].
    pub fn of_scenes(scenes: &[&Scene], world: &World, canvas: &Canvas, model: &Model) -> Self {
        let (preprocessing, vision) = (&model.preprocessing, &model.config.vision);
        let mut covers: Vec<Vec<f64>> = Vec::new();
        for scene in scenes {
            for (k, mask) in masks(scene, world, canvas).iter().enumerate() {
                let (region, [rows, columns]) = preprocessing.patched(mask.width, mask.height, vision);
                let cover = mask.patches(region, columns, rows);
                match covers.get_mut(k) {
                    Some(there) => there.iter_mut().zip(cover).for_each(|(most, share)| *most = most.max(share)),
                    None => covers.push(cover),
                }
            }
        }
        Self::of_covers(&covers)
    }

    /// What the caption of `scene` in this `wording` says where.
    ///
    /// Whose words are which tokens is told by the ids of the caption's beginnings: up to a word and through it. That holds for any
    /// tokenizer that goes on where a text goes on, which is checked; of others by the bytes that their tokens say they stand for.
    ///
    /// # Errors
    /// When the tokenizer doesn't read the caption, or neither tells the words of an object from others.
    pub fn of_caption(scene: &Scene, world: &World, wording: &Wording<'_>, tokenizer: &Tokenizer) -> Result<Self> {
        let (text, spans) = said(scene, world, wording);
        let ids = Said::of(&text, tokenizer)?;
        let mut objects = vec![Vec::new(); scene.objects.len()];
        for (k, span) in spans {
            objects[k] = ids.tokens(&text, span, tokenizer)?.collect();
        }
        Ok(ids.map(tokenizer, Some(objects)))
    }

    /// Of a text that is no caption of a scene.
    ///
    /// # Errors
    /// When the tokenizer doesn't read it.
    pub fn of_text(text: &str, tokenizer: &Tokenizer) -> Result<Self> {
        Ok(Said::of(text, tokenizer)?.map(tokenizer, None))
    }

    /// Of texts that are ids already.
    ///
    /// # Errors
    /// When the tokenizer doesn't read a text of no words.
    pub fn of_tokens(tokens: &Tokens, tokenizer: &Tokenizer) -> Result<Vec<Self>> {
        let nothing = Said::of("", tokenizer).map(|nothing| nothing.ids).unwrap_or_default();
        let map = |(row, own): (usize, &Range<usize>)| {
            let ids = &tokens.ids()[row * tokens.length()..][own.clone()];
            let before = ids.iter().zip(&nothing).take_while(|(a, b)| a == b).count();
            let start = own.start..own.start + before;
            Self::Text { own: own.clone(), start, end: tokens.ends()[row], objects: None }
        };
        Ok(tokens.own().iter().enumerate().map(map).collect())
    }

    /// Whether rows of `tower` have such a map.
    pub fn is_of(&self, tower: Tower) -> bool {
        matches!((self, tower), (Self::Image { .. }, Tower::Vision) | (Self::Text { .. }, Tower::Text))
    }

    /// The number of objects that it knows.
    pub fn objects(&self) -> usize {
        let (Self::Image { objects, .. } | Self::Text { objects, .. }) = self;
        objects.as_ref().map_or(0, Vec::len)
    }
}

/// The ids of a text, without padding.
struct Said {
    ids: Vec<u32>,
    /// Where they stand in a row.
    own: Range<usize>,
    end: usize,
}

impl Said {
    fn of(text: &str, tokenizer: &Tokenizer) -> Result<Self> {
        let tokens = tokenizer.encode(&[text])?;
        let own = tokens.own().first().cloned().unwrap_or_default();
        let end = tokens.ends().first().copied().unwrap_or_default();
        Ok(Self { ids: tokens.ids()[own.clone()].to_vec(), own, end })
    }

    /// How many ids of `text`'s beginning up to `to` this text begins with, and how many follow these in it.
    fn shared(&self, text: &str, to: usize, tokenizer: &Tokenizer) -> Result<[usize; 2]> {
        let other = Self::of(&text[..to], tokenizer)?.ids;
        let same = self.ids.iter().zip(&other).take_while(|(a, b)| a == b).count();
        Ok([same, other.len() - same])
    }

    /// Where in a row the tokens of `text[span]` stand.
    fn tokens(&self, text: &str, span: Range<usize>, tokenizer: &Tokenizer) -> Result<Range<usize>> {
        let before = text[..span.start].trim_end().len();
        let [from, behind] = self.shared(text, before, tokenizer)?;
        let [to, after] = self.shared(text, span.end, tokenizer)?;
        // At the end of the text what ends it is shared as well.
        let to = if span.end == text.len() { to - behind.min(to) } else { to };
        if from >= to || (span.end < text.len() && behind != after) {
            if let Some(found) = self.spanned(text, &span, tokenizer) {
                return Ok(self.own.start + found.start..self.own.start + found.end);
            }
            let expected = format!("the tokens of `{}` behind those of `{}`", &text[span], &text[..before]);
            return Err(Error::mismatch(format!("the caption `{text}`"), expected, "ids that don't show them"));
        }
        Ok(self.own.start + from..self.own.start + to)
    }

    /// The same by the bytes that tokens stand for, blanks around words aside; `None` where a token stands for other words too.
    fn spanned(&self, text: &str, span: &Range<usize>, tokenizer: &Tokenizer) -> Option<Range<usize>> {
        let spans = tokenizer.spans(text).filter(|spans| spans.len() == self.ids.len())?;
        let words = |bytes: &Range<usize>| {
            let said = text.get(bytes.clone())?;
            let start = bytes.start + said.len() - said.trim_start().len();
            Some(start..start + said.trim().len())
        };
        let mut found: Option<Range<usize>> = None;
        for (token, bytes) in spans.iter().enumerate() {
            let words = words(bytes)?;
            if words.is_empty() || words.end <= span.start || words.start >= span.end {
                continue;
            }
            if words.start < span.start || words.end > span.end {
                return None;
            }
            found = Some(found.map_or(token, |found| found.start)..token + 1);
        }
        found
    }

    fn map(self, tokenizer: &Tokenizer, objects: Option<Vec<Vec<usize>>>) -> TokenMap {
        // What a text of no words begins with stands before any word.
        let nothing = Self::of("", tokenizer).map(|nothing| nothing.ids).unwrap_or_default();
        let before = self.ids.iter().zip(&nothing).take_while(|(a, b)| a == b).count();
        let start = self.own.start..self.own.start + before;
        TokenMap::Text { start, end: self.end, own: self.own, objects }
    }
}
