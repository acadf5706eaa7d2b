//! The same scene in other words: how each object is said, and what stands around all of them.

use super::caption::{Phrase, article, put};

/// How an object is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `a red circle`.
    Indefinite,
    /// `red circle`.
    Bare,
    /// `the red circle`.
    Definite,
    /// `a circle that is red`.
    Clause,
}

/// One wording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paraphrase {
    /// How each object is said.
    pub form: Form,
    /// The caption, with `{}` for the objects.
    pub template: String,
}

/// Templates of a model's own that become wordings, at most.
const OWN: usize = 3;

impl Form {
    /// `phrase` in this form.
    pub fn of(self, phrase: &Phrase<'_>) -> String {
        let noun = phrase.noun.unwrap_or("object");
        let bare = || phrase.adjectives.iter().copied().chain([noun]).collect::<Vec<_>>().join(" ");
        match self {
            Self::Indefinite => phrase.to_string(),
            Self::Bare => bare(),
            Self::Definite => format!("the {}", bare()),
            Self::Clause => {
                let said = format!("{} {noun}", article(noun));
                match phrase.adjectives.as_slice() {
                    [] => said,
                    adjectives => format!("{said} that is {}", joined(adjectives)),
                }
            }
        }
    }
}

impl Paraphrase {
    /// The wordings of a model that is asked in `templates`: the first few of these, `there is a red circle`, `a circle that is red`,
    /// `red circle` and `the red circle`; none twice.
    pub fn of_templates(templates: &[&str]) -> Vec<Self> {
        let own = templates.iter().take(OWN).map(|template| (Form::Indefinite, *template));
        let others =
            [(Form::Indefinite, "there is {}"), (Form::Clause, "{}"), (Form::Bare, "{}"), (Form::Definite, "{}")];
        let mut all: Vec<Self> = Vec::new();
        for (form, template) in own.chain(others) {
            let wording = Self { form, template: template.to_owned() };
            if !all.contains(&wording) {
                all.push(wording);
            }
        }
        all
    }

    /// Its name in files: `plain`, `a_photo_of`, `there_is`, `that_is`, `bare`, `the`.
    pub fn id(&self) -> String {
        match self.form {
            Form::Clause => "that_is".to_owned(),
            Form::Bare => "bare".to_owned(),
            Form::Definite => "the".to_owned(),
            Form::Indefinite => {
                let words = self.template.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
                let words: Vec<String> = words.map(str::to_lowercase).collect();
                if words.is_empty() { "plain".to_owned() } else { words.join("_") }
            }
        }
    }

    /// The caption that says `phrases`.
    pub fn say(&self, phrases: &[Phrase<'_>]) -> String {
        let said: Vec<String> = phrases.iter().map(|phrase| self.form.of(phrase)).collect();
        put(&joined(&said), &self.template)
    }
}

/// `a`, `a and b`, `a, b and c`.
fn joined(words: &[impl AsRef<str>]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}
