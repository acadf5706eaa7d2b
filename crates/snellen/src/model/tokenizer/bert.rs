//! BERT's tokenizer, which CLIPA has.
//!
//! Of `tokenizer.json` its class in `transformers` 5 takes the vocabulary. How a text is cleaned, by three settings, and what stands
//! around it are the class's own.

use super::described::Described;
use crate::{Error, Result};
use tokenizers::normalizers::{BertNormalizer, NormalizerWrapper};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{ModelWrapper, Tokenizer};

/// `inner` as the class makes it of its file, which is at `place`.
pub(super) fn of_class(mut inner: Tokenizer, described: &Described, place: &str) -> Result<Tokenizer> {
    if !matches!(inner.get_model(), ModelWrapper::WordPiece(_)) {
        let expected = "a WordPiece model, as BertTokenizer has";
        return Err(Error::mismatch(format!("{place}: `model`"), expected, "another"));
    }
    let flag = |key: &str| match described.config.get(key).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_bool() {
            Some(flag) => Ok(Some(flag)),
            None => Err(Error::mismatch(described.key(key), "true or false", value)),
        },
    };
    let (lower, chinese) = (flag("do_lower_case")?.unwrap_or(true), flag("tokenize_chinese_chars")?.unwrap_or(true));
    let normalizer = BertNormalizer::new(true, chinese, flag("strip_accents")?, lower);
    inner.with_normalizer(Some(NormalizerWrapper::BertNormalizer(normalizer)));
    inner.with_pre_tokenizer(Some(PreTokenizerWrapper::BertPreTokenizer(BertPreTokenizer)));
    let around = [("cls_token", "[CLS]"), ("sep_token", "[SEP]")].map(|(key, default)| {
        let token = described.token(key, default)?;
        let unknown = || Error::mismatch(described.key(key), "a token of the vocabulary", format!("{token:?}"));
        let id = inner.token_to_id(&token).ok_or_else(unknown)?;
        Ok((token, id))
    });
    let [begin, end] = around;
    let (begin, end): ((String, u32), (String, u32)) = (begin?, end?);
    let malformed = |e| Error::malformed(place, e);
    let template = TemplateProcessing::builder()
        .try_single(vec![begin.0.clone(), "$A".to_owned(), end.0.clone()])
        .map_err(|e| Error::malformed(place, e))?
        .special_tokens(vec![begin, end])
        .build()
        .map_err(malformed)?;
    inner.with_post_processor(Some(PostProcessorWrapper::Template(template)));
    Ok(inner)
}
