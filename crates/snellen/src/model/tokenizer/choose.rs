//! Which tokenizer a model has, by its files.
//!
//! `transformers` decides by `tokenizer_class` of `tokenizer_config.json`, and where that is missing by `model_type`. Classes whose
//! ids were not compared are refused: what a class does beside its `tokenizer.json` stands in its code only.

use super::bert;
use super::bpe::{self, VOCABULARY};
use super::described::Described;
use super::padding::{Class, Padding};
use super::siglip::{Siglip, Special};
use super::{Reader, Tokenizer, parse, xlm_roberta};
use crate::model::files::{self, Files};
use crate::model::{Layout, ModelConfig};
use crate::{Error, Result};
use serde_json::Value;
use std::path::Path;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};

const JSON: &str = "tokenizer.json";
const PIECES: &str = "spiece.model";

/// The kinds of tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `tokenizer.json` as it is, else `vocab.json` and `merges.txt`: CLIP.
    Clip,
    /// `tokenizer.json` as it is.
    Json,
    /// What of `tokenizer.json` its class goes by: XLM-RoBERTa.
    XlmRoberta,
    /// The same, padded on the left unless the files say otherwise: Gemma.
    Gemma,
    /// The vocabulary of `tokenizer.json`: BERT.
    Bert,
    /// `tokenizer.json` behind lower-casing: SigLIP 2.
    Lower,
    /// `spiece.model`: SigLIP.
    Siglip,
}

impl Described {
    fn kind(&self, config: &ModelConfig) -> Result<Kind> {
        let class = match self.config.get("tokenizer_class").filter(|value| !value.is_null()) {
            Some(Value::String(class)) => Some(class.as_str()),
            None => None,
            Some(other) => return Err(Error::mismatch(self.key("tokenizer_class"), "a string", other)),
        };
        if let Some(code) = self.config.get("auto_map").filter(|value| !value.is_null()) {
            return Err(Error::mismatch(self.key("auto_map"), "no code of the model's own", code));
        }
        if config.model_type == "siglip2" {
            return Ok(Kind::Lower);
        }
        let own = config.open_clip_tokenizer.as_ref().is_some_and(|tokenizer| tokenizer.library.is_none());
        match class.map(|class| class.strip_suffix("Fast").unwrap_or(class)) {
            None if config.model_type == "siglip" => Ok(Kind::Siglip),
            None if config.model_type == "metaclip_2" => Ok(Kind::XlmRoberta),
            Some("XLMRobertaTokenizer") => Ok(Kind::XlmRoberta),
            None | Some("CLIPTokenizer") => Ok(Kind::Clip),
            Some(_) if own => {
                let expected = "\"CLIPTokenizer\", which OpenCLIP takes unless `text_cfg` has `hf_tokenizer_name`";
                Err(Error::mismatch(self.key("tokenizer_class"), expected, format!("{class:?}")))
            }
            Some("GemmaTokenizer") => Ok(Kind::Gemma),
            Some("T5Tokenizer" | "PreTrainedTokenizer" | "TokenizersBackend") => Ok(Kind::Json),
            Some("BertTokenizer") => Ok(Kind::Bert),
            Some("Siglip2Tokenizer") => Ok(Kind::Lower),
            Some("SiglipTokenizer") => Ok(Kind::Siglip),
            Some(_) => {
                let expected = "a class whose ids are known (CLIPTokenizer, SiglipTokenizer, Siglip2Tokenizer, \
                                GemmaTokenizer, T5Tokenizer, BertTokenizer, XLMRobertaTokenizer, PreTrainedTokenizerFast or TokenizersBackend)";
                Err(Error::mismatch(self.key("tokenizer_class"), expected, format!("{:?}", class.unwrap_or_default())))
            }
        }
    }
}

impl Kind {
    /// What the class does where the files don't say.
    fn class(self) -> Class {
        let token = match self {
            Self::Clip => Some("<|endoftext|>"),
            Self::Gemma | Self::Lower | Self::XlmRoberta => Some("<pad>"),
            Self::Siglip => Some("</s>"),
            Self::Bert => Some("[PAD]"),
            Self::Json => None,
        };
        Class { left: matches!(self, Self::Gemma | Self::Lower), token }
    }
}

impl Tokenizer {
    /// The tokenizer that a model's files hold; `None` where the model has no text tower, or its files no tokenizer.
    ///
    /// # Errors
    /// Names the file, and the key in it, that cannot be read, or that asks for what would be done differently here.
    pub fn load(files: &dyn Files, config: &ModelConfig) -> Result<Option<Self>> {
        let Some(text) = &config.text else { return Ok(None) };
        let described = Described::read(files)?;
        let kind = described.kind(config)?;
        let cleaning = config.open_clip_tokenizer.as_ref().map(|tokenizer| tokenizer.cleaning);
        if kind == Kind::Siglip
            && let Some((path, bytes)) = files::read(files, PIECES)?
        {
            let siglip = Siglip::new(&bytes, &path.display().to_string(), &Special::read(&described)?)?;
            let padding = Padding::of_files(&described, config, text, None, kind.class(), &|token| siglip.id(token))?;
            return Ok(Some(Self::new(Reader::Siglip(Box::new(siglip)), padding, cleaning, (&path, &bytes), text)));
        }
        let found = match files::read(files, JSON)? {
            None if kind == Kind::Clip => bpe::tokenizer_json(files, &described)?,
            found => found,
        };
        let Some((path, bytes)) = found else { return Ok(None) };
        let inner = parse(&bytes, &path)?;
        let place = path.display().to_string();
        let id = |token: &str| inner.token_to_id(token);
        let padding = Padding::of_files(&described, config, text, Some((&inner, &place)), kind.class(), &id)?;
        let inner = match kind {
            Kind::Lower => lower(inner),
            Kind::Bert => bert::of_class(inner, &described, &place)?,
            Kind::XlmRoberta => xlm_roberta::of_class(inner, &described, &place)?,
            _ => inner,
        };
        let strips = config.open_clip_tokenizer.as_ref().is_some_and(|tokenizer| tokenizer.strip_separator);
        let stripped = strips.then(|| separator(&described, &inner)).transpose()?;
        let reader = Reader::json(inner, &path)?;
        Ok(Some(Self { stripped, ..Self::new(reader, padding, cleaning, (&path, &bytes), text) }))
    }
}

/// The id of the token that ends a text.
fn separator(described: &Described, inner: &tokenizers::Tokenizer) -> Result<u32> {
    let token = described.token("sep_token", "[SEP]")?;
    let none = || Error::mismatch(described.key("sep_token"), "a token of tokenizer.json", format!("{token:?}"));
    inner.token_to_id(&token).ok_or_else(none)
}

/// Lower-cases before everything else, character by character.
fn lower(mut inner: tokenizers::Tokenizer) -> tokenizers::Tokenizer {
    let first = NormalizerWrapper::Lowercase(Lowercase);
    let steps = std::iter::once(first).chain(inner.get_normalizer().cloned());
    let steps = NormalizerWrapper::Sequence(Sequence::new(steps.collect()));
    inner.with_normalizer(Some(steps));
    inner
}

/// What is said of a model in `folder` that has a text tower and no tokenizer.
pub(in crate::model) fn missing(config: &ModelConfig, folder: &Path) -> Error {
    let path = folder.join(JSON);
    let library = config.open_clip_tokenizer.as_ref().map(|tokenizer| &tokenizer.library);
    match (config.layout, library) {
        (Layout::OpenClip | Layout::OpenClipTimm(_), Some(Some(name))) => {
            Error::mismatch(path.display(), format!("the tokenizer.json of `{name}`"), "no such file")
        }
        (Layout::OpenClip | Layout::OpenClipTimm(_), _) => {
            let expected = "CLIP's tokenizer, which OpenCLIP carries in its code: the tokenizer.json, or vocab.json and merges.txt, \
                            of openai/clip-vit-base-patch32";
            Error::mismatch(path.display(), expected, "no such file")
        }
        _ if config.model_type == "siglip" => {
            let expected = "spiece.model, or tokenizer.json where the class is not SiglipTokenizer";
            Error::mismatch(folder.join(PIECES).display(), expected, "neither")
        }
        _ => {
            let expected = format!("{JSON}, or {VOCABULARY} and {} where the class is CLIPTokenizer", bpe::MERGES);
            Error::mismatch(path.display(), expected, "no such file")
        }
    }
}
