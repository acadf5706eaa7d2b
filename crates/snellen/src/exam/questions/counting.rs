//! How many objects there are (METHODS.md, counting).

use crate::Result;
use crate::exam::question::{Answer, Asked, Decision, Question};
use crate::exam::scores::{cosine, outcome, winners};
use crate::exam::sentences::{above, guesses, percent, would_tell};
use crate::exam::sitting::Sitting;
use crate::report::QuestionCard;
use crate::scene::caption::{Phrase, say};
use crate::scene::{Combination, Combinations, generate};

/// The largest number that is asked for.
const MOST: usize = 5;
/// The words for them.
const WORDS: [&str; MOST] = ["one", "two", "three", "four", "five"];

/// Scenes of one to five objects that are all alike; the answer is the best of a caption for each number.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

/// How a number is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// `three red circles`.
    Word,
    /// `a red circle, a red circle and a red circle`.
    Again,
}

impl Question for Counting {
    fn id(&self) -> &'static str {
        "counting"
    }

    fn title(&self) -> &'static str {
        "objects that are alike"
    }

    fn purpose(&self) -> &'static str {
        "how many there are"
    }

    fn about(&self, _: usize) -> String {
        "Scenes of objects that are all alike, and a caption for each number there may be: \"three red circles\", or, of a text tower that \
         knows no such words, the object said as often as it is there. Images of one combination are not independent, so \
         intervals treat each combination as a cluster."
            .to_owned()
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let world = sitting.world;
        let most = MOST.min(world.room());
        if most < 2 {
            return Ok(Asked::left_out("this world has room for one object only"));
        }
        let every = Combinations::all(world);
        let captions = |values: &Combination, said: Said| -> Vec<String> {
            let phrase = Phrase::saying(every.factors(), values, world);
            (1..=most)
                .map(|n| sitting.templates.first().map_or(String::new(), |t| numbered(&phrase, n, said, t)))
                .collect()
        };
        let readable = |said: &Said| {
            let all: Vec<String> = every.as_slice().iter().flat_map(|values| captions(values, *said)).collect();
            sitting.examinee.reads(&all).is_ok()
        };
        let Some(said) = [Said::Word, Said::Again].into_iter().find(readable) else {
            return Ok(Asked::left_out("the text tower has no room, or no words, for captions of several objects"));
        };
        let scenes = generate::alike(world, &every, most, sitting.twins, sitting.seed)?;
        let images = sitting.images(&scenes.iter().map(|(_, scene)| scene).collect::<Vec<_>>())?;
        let mut asked = Asked { group: 1, ..Asked::default() };
        let texts: Vec<String> = every.as_slice().iter().flat_map(|values| captions(values, said)).collect();
        let texts_embedded = sitting.texts(&texts)?;
        let mut answers = Vec::with_capacity(scenes.len());
        for (i, (class, scene)) in scenes.iter().enumerate() {
            let own = texts_embedded.rows(class * most..(class + 1) * most);
            let number = scene.objects.len() - 1;
            let won = winners(&images.rows(i..i + 1), &own).swap_remove(0);
            let score = outcome(&won, |n| n == number);
            answers.push((number, Answer { score, cluster: *class as u64 }));
            let near = |n: usize| cosine(images.row(i), own.row(n));
            let others = (0..most).filter(|n| *n != number);
            let Some(other) = others.reduce(|a, b| if near(b) > near(a) { b } else { a }) else { continue };
            asked.decisions.push(Decision {
                of: "count".to_owned(),
                scene: i,
                right: texts[class * most + number].clone(),
                other: texts[class * most + other].clone(),
                similarity: near(number),
                other_similarity: near(other),
                score,
                seen: None,
            });
        }
        let chance = 1.0 / most as f64;
        asked.push(("count", "number of objects"), chance, answers.iter().map(|(_, answer)| *answer));
        for (n, word) in WORDS.iter().enumerate().take(most) {
            let of = answers.iter().filter(|(number, _)| *number == n).map(|(_, answer)| *answer);
            asked.push((&format!("count_{}", n + 1), &format!("· of {word}")), chance, of);
        }
        asked.scenes = scenes.into_iter().map(|(_, scene)| scene).collect();
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let Some(rate) = own.rate("count") else { return Vec::new() };
        let most = own.rates.len() - 1;
        vec![if above(rate) {
            format!("Of up to {most} objects that are alike it says how many there are in {}.", percent(rate))
        } else if guesses(rate) {
            format!("How many objects there are it says no better than by guessing ({}).", percent(rate))
        } else {
            let (n, more) = (rate.accuracy.n, would_tell(rate));
            format!("Whether it counts can't be told from {n} answers ({}); {more}.", percent(rate))
        }]
    }
}

/// `n` times what `phrase` says.
fn numbered(phrase: &Phrase<'_>, n: usize, said: Said, template: &str) -> String {
    match said {
        Said::Again => say(&vec![phrase.clone(); n], template),
        Said::Word => {
            let mut words = vec![WORDS[n - 1].to_owned()];
            words.extend(phrase.adjectives.iter().map(ToString::to_string));
            let noun = phrase.noun.unwrap_or("object");
            words.push(if n == 1 { noun.to_owned() } else { plural(noun) });
            template.replacen("{}", &words.join(" "), 1)
        }
    }
}

fn plural(noun: &str) -> String {
    let hissing = ["s", "x", "z", "ch", "sh"].iter().any(|end| noun.ends_with(end));
    format!("{noun}{}", if hissing { "es" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{Phrase, Said, numbered};

    #[test]
    fn numbers_are_said_in_words_or_by_saying_it_again() {
        let cross = Phrase { adjectives: vec!["large", "red"], noun: Some("cross") };
        let said = |n, said| numbered(&cross, n, said, "a photo of {}");
        assert_eq!(said(1, Said::Word), "a photo of one large red cross");
        assert_eq!(said(3, Said::Word), "a photo of three large red crosses");
        assert_eq!(said(2, Said::Again), "a photo of a large red cross and a large red cross");
        assert_eq!(numbered(&Phrase::default(), 2, Said::Word, "{}"), "two objects");
    }
}
