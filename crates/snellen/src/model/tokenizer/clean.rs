//! What is done to a text before it is looked up, as Python's `str` does it.

use crate::model::config::Cleaning;

/// `text` as OpenCLIP cleans it, but for ftfy's repairs and HTML entities.
pub(super) fn clean(text: &str, cleaning: Cleaning) -> String {
    match cleaning {
        Cleaning::Whitespace => single_spaces(text),
        Cleaning::Lower => single_spaces(text).to_lowercase(),
        Cleaning::Canonicalize => {
            let words: String = text.replace('_', " ").chars().filter(|c| !c.is_ascii_punctuation()).collect();
            single_spaces(&words.to_lowercase())
        }
    }
}

/// SigLIP's `canonicalize_text`. Lower-casing comes first here: punctuation matters for whether a sigma is final.
pub(super) fn siglip(text: &str) -> String {
    let words: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    single_spaces(&words)
}

/// Every run of white space as one space, and none at the ends: Python's `" ".join(text.split())`.
fn single_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Python's `str.isspace`: Unicode's white space, and the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned_as_python_cleans_them() {
        let text = "  A\u{1c}b_c,\u{a0}ΟΔΟΣ!\tİx ";
        assert_eq!(clean(text, Cleaning::Whitespace), "A b_c, ΟΔΟΣ! İx");
        assert_eq!(clean(text, Cleaning::Lower), "a b_c, οδος! i\u{307}x");
        assert_eq!(clean(text, Cleaning::Canonicalize), "a b c οδος i\u{307}x");
        assert_eq!(siglip(text), "a bc οδος i\u{307}x");
        // In "Σ.Α" the sigma is not final; in "Σ Α" it is.
        assert_eq!(siglip("ΟΣ.Α"), "οσα");
        assert_eq!(clean("ΟΣ_Α", Cleaning::Canonicalize), "ος α");
        assert_eq!(siglip(" \u{3000} "), "");
    }
}
