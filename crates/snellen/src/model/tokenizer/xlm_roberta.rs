//! XLM-RoBERTa's tokenizer, which MetaCLIP 2 has.
//!
//! Of `tokenizer.json` its class in `transformers` 5 takes the vocabulary and SentencePiece's table of characters only. How a text is
//! cut at white space, and what stands around it, is the class's own.

use super::described::Described;
use crate::{Error, Result};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{ModelWrapper, Tokenizer};

/// `inner` as the class makes it of its file, which is at `place`.
pub(super) fn of_class(mut inner: Tokenizer, described: &Described, place: &str) -> Result<Tokenizer> {
    if !matches!(inner.get_model(), ModelWrapper::Unigram(_)) {
        return Err(Error::mismatch(
            format!("{place}: `model`"),
            "a Unigram model, as XLMRobertaTokenizer has",
            "another",
        ));
    }
    let characters = match inner.get_normalizer() {
        Some(NormalizerWrapper::Sequence(steps)) => steps.as_ref().iter().find(|step| is_table(step)).cloned(),
        Some(step) if is_table(step) => Some(step.clone()),
        _ => None,
    };
    inner.with_normalizer(characters);
    let spaced = match described.config.get("add_prefix_space").filter(|value| !value.is_null()) {
        None => true,
        Some(value) => {
            value.as_bool().ok_or_else(|| Error::mismatch(described.key("add_prefix_space"), "true or false", value))?
        }
    };
    let scheme = if spaced { PrependScheme::Always } else { PrependScheme::Never };
    inner.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(Sequence::new(vec![
        PreTokenizerWrapper::WhitespaceSplit(WhitespaceSplit),
        PreTokenizerWrapper::Metaspace(Metaspace::new('\u{2581}', scheme, true)),
    ]))));
    let around = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(key, default)| {
        let token = described.token(key, default)?;
        let unknown = || Error::mismatch(described.key(key), "a token of the vocabulary", format!("{token:?}"));
        let id = inner.token_to_id(&token).ok_or_else(unknown)?;
        Ok((token, id))
    });
    let [begin, end] = around;
    let (begin, end): ((String, u32), (String, u32)) = (begin?, end?);
    let single = vec![begin.0.clone(), "$A".to_owned(), end.0.clone()];
    let template = TemplateProcessing::builder()
        .try_single(single)
        .map_err(|e| Error::malformed(place, e))?
        .special_tokens(vec![begin, end])
        .build();
    let template = template.map_err(|e| Error::malformed(place, e))?;
    inner.with_post_processor(Some(PostProcessorWrapper::Template(template)));
    Ok(inner)
}

/// Whether a step is SentencePiece's table of characters.
fn is_table(step: &NormalizerWrapper) -> bool {
    matches!(step, NormalizerWrapper::Precompiled(_))
}
