//! A word-level tokenizer that knows the words of a recipe's captions and refuses all others.

use super::Recipe;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Begins a text.
const START: &str = "<|startoftext|>";
/// Ends a text; has the last id.
const END: &str = "<|endoftext|>";

/// `tokenizer.json`, and the number of ids.
pub(super) fn tokenizer(recipe: &Recipe) -> (Value, usize) {
    let world = &recipe.world;
    let mut words: BTreeSet<String> = ["a", "an", "and", ",", "object"].map(str::to_owned).into();
    let sources = recipe.scenes.templates.iter().map(String::as_str);
    let said = world.said().into_iter().flat_map(|f| &world.factors[f].values);
    let sources = sources.chain(said.map(|value| value.name.as_str()));
    for source in sources {
        let source = source.replace("{}", " ").to_lowercase();
        words.extend(
            source.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).map(str::to_owned),
        );
        words.extend(
            source.chars().filter(|c| !c.is_alphanumeric() && !c.is_whitespace() && *c != '_').map(String::from),
        );
    }
    let words: Vec<String> = words.into_iter().chain([START.to_owned(), END.to_owned()]).collect();
    let ids: serde_json::Map<String, Value> = words.iter().enumerate().map(|(i, w)| (w.clone(), json!(i))).collect();
    let (start, end) = (words.len() - 2, words.len() - 1);
    let special = |id: usize, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(start, START), special(end, END)],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": START, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": END, "type_id": 0}}
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                START: {"id": START, "ids": [start], "tokens": [START]}, END: {"id": END, "ids": [end], "tokens": [END]}
            }
        },
        "decoder": null,
        // No such word: an unknown one is an error, not a token.
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": "<|unknown|>"},
    });
    (file, words.len())
}

/// `tokenizer_config.json`, for `transformers`.
pub(super) fn tokenizer_config(positions: usize) -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": START, "eos_token": END, "pad_token": END,
        "model_max_length": positions,
    })
}
