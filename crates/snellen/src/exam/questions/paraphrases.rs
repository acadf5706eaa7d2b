//! Whether answers depend on how a caption is worded (METHODS.md, paraphrases).

use crate::exam::classes::Classes;
use crate::exam::question::{Answer, Asked, Decision, Question};
use crate::exam::scores::{cosine, decided};
use crate::exam::sentences::percent;
use crate::exam::sitting::Sitting;
use crate::exam::wording::longest;
use crate::measure::{Confidence, Matrix};
use crate::readers::paired;
use crate::report::{Contrast, NamedRate, QuestionCard};
use crate::scene::caption::Phrase;
use crate::scene::generate::{self, SwapTwin};
use crate::scene::paraphrase::Paraphrase;
use crate::scene::{Combinations, Scene, World};
use crate::{Error, Result};

/// Swap twins that are asked in every wording, at most.
const TWINS: usize = 150;

/// The same pictures in other words: which single object it is, and exchanged captions.
#[derive(Clone, Copy, Debug)]
pub struct Paraphrases;

/// What is asked in every wording: its name in files, what it is called, what guessing gives.
struct Kind<'a> {
    id: &'a str,
    title: &'a str,
    chance: f64,
}

impl Question for Paraphrases {
    fn id(&self) -> &'static str {
        "paraphrase"
    }

    fn title(&self) -> &'static str {
        "other words"
    }

    fn purpose(&self) -> &'static str {
        "whether answers depend on the wording"
    }

    fn about(&self, _: usize) -> String {
        "The same pictures, asked in one wording at a time: single objects among all combinations, and swap twins. The largest difference \
         between two wordings is paired, picture by picture, and its interval corrected for the number of pairs of wordings it was chosen \
         from."
            .to_owned()
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let (wordings, refused) = readable(sitting);
        if wordings.len() < 2 {
            let why = format!("its text tower reads no second wording: {}", refused.join("; "));
            return Ok(Asked::left_out(&why));
        }
        let world = sitting.world;
        let mut asked = Asked { group: 1, left_out_parts: refused, ..Asked::default() };
        let every = Combinations::all(world);
        let scenes = generate::factorial(world, &every, 1, sitting.remembered.seed)?;
        let images = sitting.images(&scenes.iter().collect::<Vec<_>>())?;
        let named = |wording: &Paraphrase| -> Result<Vec<Answer>> {
            let classes = Classes::worded(sitting, &|phrase| vec![wording.say(phrase)])?;
            let chosen = classes.chosen(&scenes, &images);
            let answers = chosen.answers(&|a, b| a == b);
            asked.decisions.extend(chosen.decisions(
                &images,
                &format!("named {}", wording.id()),
                &answers,
                sitting.seen,
            ));
            Ok(answers)
        };
        let named: Vec<Vec<Answer>> = wordings.iter().map(named).collect::<Result<_>>()?;
        let kind = Kind { id: "named", title: "named", chance: 1.0 / every.as_slice().len() as f64 };
        push(&mut asked, sitting, &kind, &wordings, &named)?;
        asked.scenes = scenes;
        if world.said().len() > 1 {
            swaps(sitting, &wordings, &mut asked)?;
        }
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let of = |(kind, what): (&str, &str)| {
            let spread = own.contrast(&format!("{kind}_spread")).filter(|spread| spread.lo > 0.0)?;
            let rates: Vec<&NamedRate> = own.rates.iter().filter(|rate| rate.id.starts_with(kind)).collect();
            let by = |a: &&&NamedRate, b: &&&NamedRate| a.rate.accuracy.estimate.total_cmp(&b.rate.accuracy.estimate);
            let (worst, best) = (rates.iter().min_by(by)?, rates.iter().rev().max_by(by)?);
            Some(format!(
                "How it is worded matters: {what} in {} as {}, and in {} as {} ({:.0} points [{:.0}, {:.0}], corrected for {} wordings).",
                percent(&best.rate),
                quoted(&best.title),
                percent(&worst.rate),
                quoted(&worst.title),
                100.0 * spread.estimate,
                100.0 * spread.lo,
                100.0 * spread.hi,
                rates.len()
            ))
        };
        let kinds = [("named", "a single object is named"), ("swap", "exchanged captions are told apart")];
        kinds.into_iter().filter_map(of).collect()
    }
}

/// Of a rate's title the example.
fn quoted(title: &str) -> &str {
    title.find('“').map_or(title, |at| &title[at..])
}

/// The wordings that the text tower reads, and why others are left out.
fn readable(sitting: &Sitting<'_>) -> (Vec<Paraphrase>, Vec<String>) {
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for wording in Paraphrase::of_templates(sitting.templates) {
        let read = sitting.examinee.reads(&longest(sitting.world, &|phrases| wording.say(phrases)));
        match read {
            Ok(()) => kept.push(wording),
            Err(error) => {
                let why = match error {
                    Error::Mismatch { expected, got, .. } => format!("needs {expected}, not {got}"),
                    other => other.to_string(),
                };
                refused.push(format!("“{}”: {why}", example(sitting.world, &wording)));
            }
        }
    }
    (kept, refused)
}

/// `wording` of the world's first values, of which one adjective is said.
fn example(world: &World, wording: &Paraphrase) -> String {
    let mut phrase = Phrase::saying(&world.said(), &vec![0; world.said().len()], world);
    if let Some(f) = world.swapped_factor() {
        let word = world.factors[f].values[0].name.as_str();
        phrase.adjectives.retain(|adjective| *adjective == word);
    }
    wording.say(&[phrase])
}

/// Rates of one kind, a wording each, and the largest difference between two.
fn push(
    asked: &mut Asked,
    sitting: &Sitting<'_>,
    kind: &Kind<'_>,
    wordings: &[Paraphrase],
    answers: &[Vec<Answer>],
) -> Result<()> {
    let examples: Vec<String> = wordings.iter().map(|wording| example(sitting.world, wording)).collect();
    for ((wording, example), answers) in wordings.iter().zip(&examples).zip(answers) {
        let (id, title) = (format!("{}_{}", kind.id, wording.id()), format!("{}: “{example}”", kind.title));
        asked.push((&id, &title), kind.chance, answers.iter().copied());
    }
    let Some(([a, b], difference)) = largest(answers, sitting.confidence)? else { return Ok(()) };
    asked.contrasts.push(Contrast {
        id: format!("{}_spread", kind.id),
        title: format!(
            "Largest difference between wordings ({}: “{}” less “{}”; interval corrected)",
            kind.title, examples[a], examples[b]
        ),
        difference,
    });
    Ok(())
}

/// Of all pairs of `answers` to the same pictures the one that differs most, the larger first, with an interval that holds for all of them
/// at once (Bonferroni).
fn largest(
    answers: &[Vec<Answer>],
    confidence: Confidence,
) -> Result<Option<([usize; 2], crate::measure::proportion::Difference)>> {
    let pairs = answers.len() * answers.len().saturating_sub(1) / 2;
    if pairs == 0 || answers[0].is_empty() {
        return Ok(None);
    }
    let each = Confidence::new(1.0 - (1.0 - confidence.level()) / pairs as f64)?;
    let scores = |k: usize| answers[k].iter().map(|answer| answer.score).collect::<Vec<f64>>();
    let total = |k: usize| scores(k).iter().sum::<f64>();
    let by = |a: &usize, b: &usize| total(*a).total_cmp(&total(*b));
    let (Some(best), Some(worst)) = ((0..answers.len()).rev().max_by(by), (0..answers.len()).min_by(by)) else {
        return Ok(None);
    };
    let worst = if best == worst { usize::from(best == 0) } else { worst };
    let clusters: Vec<u64> = answers[best].iter().map(|answer| answer.cluster).collect();
    Ok(Some(([best, worst], paired(&scores(best), &scores(worst), &clusters, each)?)))
}

/// Swap twins in every wording; a world in which none can be made is not asked.
fn swaps(sitting: &Sitting<'_>, wordings: &[Paraphrase], asked: &mut Asked) -> Result<()> {
    let world = sitting.world;
    let swapped = world.swapped_factor().unwrap_or_default();
    let count = sitting.twins.min(TWINS);
    let twins = match sitting.any_twins(swapped, count) {
        Ok(twins) => twins,
        Err(Error::Mismatch { expected, got, .. }) => {
            asked.left_out_parts.push(format!("exchanged captions: no twins ({expected}, got {got})"));
            return Ok(());
        }
        Err(other) => return Err(other),
    };
    let scenes: Vec<&Scene> = twins.iter().flat_map(|twin| [&twin.scene, &twin.twin]).collect();
    let images = sitting.images(&scenes)?;
    let first = asked.scenes.len();
    let mut answers = Vec::with_capacity(wordings.len());
    for wording in wordings {
        let of = format!("swap {}", wording.id());
        let decisions = exchanged(sitting, (wording, &of), &twins, swapped, &images)?;
        let scores = decisions.iter().zip(0..).map(|(of, i)| Answer { score: of.score, cluster: i / 2 });
        answers.push(scores.collect());
        asked.decisions.extend(decisions.into_iter().map(|of| Decision { scene: of.scene + first, ..of }));
    }
    let kind = Kind { id: "swap", title: "swap", chance: 0.5 };
    push(asked, sitting, &kind, wordings, &answers)?;
    asked.scenes.extend(twins.into_iter().flat_map(|twin| [twin.scene, twin.twin]));
    Ok(())
}

/// Every picture of `twins` with its own caption against that of its twin.
fn exchanged(
    sitting: &Sitting<'_>,
    (wording, of): (&Paraphrase, &str),
    twins: &[SwapTwin],
    swapped: usize,
    images: &Matrix,
) -> Result<Vec<Decision>> {
    let caption = |scene: &Scene| {
        let phrases: Vec<Phrase<'_>> = scene.objects.iter().map(|object| Phrase::of(object, sitting.world)).collect();
        wording.say(&phrases)
    };
    // Both name the objects in one order: words are the same, only the binding differs.
    let both = |twin: &SwapTwin| [caption(&twin.scene), caption(&twin.scene.swapped(swapped, 0, 1))];
    let captions: Vec<String> = twins.iter().flat_map(both).collect();
    let texts = sitting.texts(&captions)?;
    let decide = |i: usize| {
        let other = i ^ 1;
        let [similarity, other_similarity] = [i, other].map(|text| cosine(images.row(i), texts.row(text)));
        Decision {
            of: of.to_owned(),
            scene: i,
            right: captions[i].clone(),
            other: captions[other].clone(),
            similarity,
            other_similarity,
            score: decided(similarity - other_similarity),
            seen: None,
        }
    };
    Ok((0..captions.len()).map(decide).collect())
}
