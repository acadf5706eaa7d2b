//! Whether what a linear reader finds in the image embedding holds for combinations that it was not taught (METHODS.md, generalisation).

use crate::exam::controls::pixels;
use crate::exam::question::{Answer, Asked, Question};
use crate::exam::sentences::{list, word};
use crate::exam::sitting::Sitting;
use crate::measure::proportion::Difference;
use crate::measure::{Confidence, Matrix};
use crate::readers::{Ladder, Prepared, Reader, Split, Task, curves, paired, paired_mean};
use crate::report::{Contrast, Grid, GridCell, NamedNumber, QuestionCard};
use crate::scene::{Combinations, Scene};
use crate::{Result, random};
use std::collections::BTreeMap;

/// Single objects that are shown.
const SCENES: usize = 360;
/// Halves of the pictures: a reader learns from one and is asked the other.
const FOLDS: usize = 2;
/// What may be lost on new combinations, in accuracy, and still be called nothing.
const LOST: f64 = 0.1;
/// Combinations that have to differ for their variance to be enough.
const DIFFERING: usize = 8;

/// Single objects: a linear reader of the embedding learns values of one attribute without some combinations and is asked both kinds.
#[derive(Clone, Copy, Debug)]
pub struct Generalisation;

/// What one matrix gave of one attribute, by row: where the reader was taught the row's combination, and where it was not.
struct Across {
    seen: Vec<f64>,
    held_out: Vec<f64>,
}

/// Which rows are asked what.
struct Rows {
    /// By split of a Latin square the rows that it holds out.
    held: Vec<Vec<bool>>,
    /// The combination of two values that each row shows.
    cells: Vec<u64>,
    /// The half that each row is in: of a combination's pictures every other one.
    half: Vec<usize>,
}

impl Question for Generalisation {
    fn id(&self) -> &'static str {
        "generalisation"
    }

    fn title(&self) -> &'static str {
        "new combinations"
    }

    fn purpose(&self) -> &'static str {
        "what a reader of the image embedding carries over to pairs it never met"
    }

    fn about(&self, _: usize) -> String {
        "Single objects, no captions: a linear reader of the image embedding learns an attribute from half of the pictures, without the \
         combinations that one split of a Latin square holds out, and is asked the other half. Over all splits every combination is held \
         out once. The gap is paired, picture by picture; combinations are clusters. Raw pixels and untrained models stand beside it."
            .to_owned()
    }

    fn needs_texts(&self) -> bool {
        false
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let world = sitting.world;
        let said: Vec<usize> = world.said().into_iter().filter(|f| world.factors[*f].values.len() > 1).collect();
        if said.len() < 2 {
            return Ok(Asked::left_out("captions say fewer than two attributes with two values or more"));
        }
        let seed = random::seed(sitting.seed, "generalisation", 0);
        let scenes = sitting.singles(SCENES)?;
        let refs: Vec<&Scene> = scenes.iter().collect();
        let mut matrices = vec![("embedding".to_owned(), sitting.images(&refs)?)];
        matrices.push(("raw pixels".to_owned(), pixels(sitting, &scenes)?));
        for control in sitting.controls()? {
            matrices.push((control.name.clone(), sitting.of(control).images(&refs)?));
        }
        let prepared = matrices.iter().map(|(name, matrix)| Prepared::new(name, matrix));
        let prepared: Vec<Prepared<'_>> = prepared.collect::<Result<_>>()?;
        let mut asked = Asked { group: 1, ..Asked::default() };
        let pairs = said.iter().enumerate().flat_map(|(k, f)| said[k + 1..].iter().map(|g| [*f, *g]));
        for pair in pairs.collect::<Vec<_>>() {
            let rows = Rows::of(sitting, pair, &scenes, seed)?;
            let of = |f: &usize| -> Result<Vec<Across>> {
                let label = |scene: &Scene| Some(scene.objects[0].values[*f] as usize);
                let clusters = (0..scenes.len() as u64).collect();
                let task = Task::new(world.factors[*f].values.len(), scenes.iter().map(label).collect(), clusters)?;
                across(&prepared, &task, &rows, sitting.confidence, seed)
            };
            let found = pair.iter().map(of).collect::<Result<Vec<_>>>()?;
            for (f, found) in pair.iter().zip(&found) {
                push(&mut asked, sitting, (*f, pair), &rows, &matrices, found)?;
            }
            by_split(&mut asked, sitting, pair, &rows, &found);
            if asked.grid.is_none() {
                asked.grid = Some(grid(sitting, pair, &scenes, &found));
            }
        }
        asked.scenes = scenes;
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let gaps: Vec<(&str, &Difference)> =
            own.contrasts.iter().filter_map(|gap| Some((gap.id.strip_prefix("gap_")?, &gap.difference))).collect();
        let readable = |id: &str| own.rate(&format!("seen_{id}")).is_some_and(|rate| rate.accuracy.lo > rate.chance);
        let beyond = |id: &str| own.contrast(&format!("beyond_{id}")).is_some_and(|of| of.lo > 0.0);
        let name = |id: &str| {
            let (factor, other) = id.split_once("_with_").unwrap_or((id, ""));
            format!("{}s of new {}s", word(factor), word(other))
        };
        let points = |gap: &Difference| {
            format!("{:.0} points [{:.0}, {:.0}]", 100.0 * gap.estimate, 100.0 * gap.lo, 100.0 * gap.hi)
        };
        let mut said = Vec::new();
        let asked: Vec<_> = gaps.into_iter().filter(|(id, _)| readable(id)).collect();
        let lost = |beyond_chance: &dyn Fn(&Difference) -> bool| -> Vec<(&str, &Difference)> {
            asked.iter().copied().filter(|(_, gap)| beyond_chance(gap)).collect()
        };
        // That the scenes are so says nothing of the model.
        let more = |id: &str| own.contrast(&format!("excess_{id}")).is_some_and(|of| of.lo > 0.0);
        let (own_loss, any): (Vec<_>, Vec<_>) = lost(&|gap| gap.lo > 0.0).into_iter().partition(|(id, _)| more(id));
        for (of, beside) in [
            (own_loss, "by more than readers of raw pixels and untrained models"),
            (any, "as readers of raw pixels or untrained models may be"),
        ] {
            if !of.is_empty() {
                let each: Vec<String> = of.iter().map(|(id, gap)| format!("{} ({})", name(id), points(gap))).collect();
                said.push(format!(
                    "A linear reader of the image embedding is worse at {} than where it was taught the combination, {beside}.",
                    list(&each)
                ));
            }
        }
        let (kept, other): (Vec<_>, Vec<_>) =
            lost(&|gap| gap.lo <= 0.0 && gap.hi < LOST).into_iter().partition(|(id, _)| beyond(id));
        for (of, beside) in [
            (kept, "better than raw pixels and untrained models do"),
            (other, "which raw pixels or untrained models may do as well"),
        ] {
            if !of.is_empty() {
                let each: Vec<String> = of.iter().map(|(id, gap)| format!("{} ({})", name(id), points(gap))).collect();
                said.push(format!(
                    "What a linear reader learns of the image embedding carries over to {}, {beside}.",
                    list(&each)
                ));
            }
        }
        said
    }
}

impl Rows {
    fn of(sitting: &Sitting<'_>, [f, g]: [usize; 2], scenes: &[Scene], seed: u64) -> Result<Self> {
        let splits = Combinations::latin_splits(sitting.world, [f, g], seed)?;
        let columns = sitting.world.factors[g].values.len() as u64;
        let cell = |scene: &Scene| {
            let [row, column] = [f, g].map(|f| u64::from(scene.objects[0].values[f]));
            row * columns + column
        };
        let cells: Vec<u64> = scenes.iter().map(cell).collect();
        let holds = |split: &Combinations| -> Vec<bool> {
            scenes.iter().map(|scene| !split.contains(&scene.objects[0].combination(split.factors()))).collect()
        };
        let met = |i: usize| cells[..i].iter().filter(|cell| **cell == cells[i]).count();
        let half = (0..scenes.len()).map(|i| met(i) % FOLDS).collect();
        Ok(Self { held: splits.iter().map(holds).collect(), cells, half })
    }
}

/// Of each of `matrices`: how often a linear reader is right about each row where its combination was taught, and where it was not. Both
/// kinds are asked of the same readers, of a half of the pictures that they did not learn from.
fn across(
    matrices: &[Prepared<'_>],
    task: &Task,
    rows: &Rows,
    confidence: Confidence,
    seed: u64,
) -> Result<Vec<Across>> {
    let ladder = Ladder { null: false, ..Ladder::all(confidence) };
    let mut sums = vec![vec![[[0.0; 2]; 2]; task.rows()]; matrices.len()];
    for held in &rows.held {
        for fold in 0..FOLDS {
            let pick = |own: bool| (0..task.rows()).filter(move |i| (rows.half[*i] == fold) == own);
            let split = Split { train: pick(false).filter(|i| !held[*i]).collect(), test: pick(true).collect() };
            let found = curves(matrices, task, &[split], &ladder, &Reader::ridge(), seed)?;
            for (curve, sums) in found.iter().zip(&mut sums) {
                let answers = &curve.points[0].answers;
                for (row, score) in answers.rows.iter().zip(&answers.scores) {
                    let [sum, count] = &mut sums[*row][usize::from(held[*row])];
                    (*sum, *count) = (*sum + score, *count + 1.0);
                }
            }
        }
    }
    let mean = |sums: &[[[f64; 2]; 2]], kind: usize| -> Vec<f64> {
        sums.iter().map(|row| row[kind][0] / row[kind][1].max(1.0)).collect()
    };
    Ok(sums.iter().map(|sums| Across { seen: mean(sums, 0), held_out: mean(sums, 1) }).collect())
}

/// Rates and differences of attribute `f` of `pair`; `found` is in the order of `matrices`, the embedding first.
fn push(
    asked: &mut Asked,
    sitting: &Sitting<'_>,
    (f, pair): (usize, [usize; 2]),
    rows: &Rows,
    matrices: &[(String, Matrix)],
    found: &[Across],
) -> Result<()> {
    let name = |f: usize| sitting.world.factors[f].name.as_str();
    let other = pair[usize::from(pair[0] == f)];
    let id = format!("{}_with_{}", name(f), name(other));
    let (own, beside) = (&found[0], &found[1..]);
    let answers = |scores: &[f64]| -> Vec<Answer> {
        scores.iter().zip(&rows.cells).map(|(score, cluster)| Answer { score: *score, cluster: *cluster }).collect()
    };
    let chance = 1.0 / sitting.world.factors[f].values.len() as f64;
    let title = format!("{}, known {}s", word(name(f)), word(name(other)));
    asked.push((&format!("seen_{id}"), &title), chance, answers(&own.seen));
    asked.push((&format!("held_out_{id}"), "· combinations held out"), chance, answers(&own.held_out));
    let less = |seen: &[f64], held_out: &[f64]| carried(seen, held_out, &rows.cells, sitting.confidence);
    let mut push = |id: String, title: String, difference| asked.contrasts.push(Contrast { id, title, difference });
    let both = format!("{} by {}", word(name(f)), word(name(other)));
    push(format!("gap_{id}"), format!("{both}: seen less held out"), less(&own.seen, &own.held_out)?);
    let gap = |of: &Across| of.seen.iter().zip(&of.held_out).map(|(seen, held)| seen - held).collect::<Vec<f64>>();
    let (own_gap, mut excess): (_, Option<(&str, Difference)>) = (gap(own), None);
    let mut best: Option<(&str, Difference)> = None;
    for ((control, _), of) in matrices[1..].iter().zip(beside) {
        let slug = control.replace([' ', '(', ')'], "_").replace("__", "_").trim_end_matches('_').to_owned();
        push(format!("control_gap_{id}_{slug}"), format!("the same of {control}"), less(&of.seen, &of.held_out)?);
        let more = paired_mean(&own_gap, &gap(of), &rows.cells, sitting.confidence)?;
        if excess.is_none_or(|(_, least)| more.lo < least.lo) {
            excess = Some((control, more));
        }
        let difference = less(&own.held_out, &of.held_out)?;
        if best.is_none_or(|(_, least)| difference.estimate < least.estimate) {
            best = Some((control, difference));
        }
    }
    if let Some((control, difference)) = excess {
        push(format!("excess_{id}"), format!("{both}: that gap, less that of {control}"), difference);
    }
    if let Some((control, difference)) = best {
        push(format!("beyond_{id}"), format!("{both}: held out, less that of {control}"), difference);
    }
    Ok(())
}

/// Scores of rows whose combination was taught, less those of the same rows where it was held out; combinations are clusters.
///
/// Where few of them differ there is little variance to see, and the interval is as wide as [`paired`] makes it; of more, theirs is enough.
fn carried(seen: &[f64], held_out: &[f64], cells: &[u64], confidence: Confidence) -> Result<Difference> {
    let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
    for (cell, (seen, held_out)) in cells.iter().zip(seen.iter().zip(held_out)) {
        *sums.entry(*cell).or_default() += seen - held_out;
    }
    if sums.values().filter(|sum| sum.abs() > 1e-9).count() < DIFFERING {
        return paired(seen, held_out, cells, confidence);
    }
    paired_mean(seen, held_out, cells, confidence)
}

/// The gap of every split, both attributes together.
fn by_split(asked: &mut Asked, sitting: &Sitting<'_>, pair: [usize; 2], rows: &Rows, found: &[Vec<Across>]) {
    let [f, g] = pair.map(|f| sitting.world.factors[f].name.as_str());
    for (k, held) in rows.held.iter().enumerate() {
        let kept = || held.iter().enumerate().filter(|(_, held)| **held).map(|(i, _)| i);
        let gap = |i: usize| found.iter().map(|of| of[0].seen[i] - of[0].held_out[i]).sum::<f64>() / found.len() as f64;
        asked.numbers.push(NamedNumber {
            id: format!("gap_{f}_x_{g}_split_{k}"),
            title: format!("Gap of split {} ({} x {})", k + 1, word(f), word(g)),
            value: kept().map(gap).sum::<f64>() / kept().count().max(1) as f64,
            share: true,
        });
    }
}

/// What is right of both attributes on every combination, held out.
fn grid(sitting: &Sitting<'_>, pair: [usize; 2], scenes: &[Scene], found: &[Vec<Across>]) -> Grid {
    let [rows, columns] = pair.map(|f| &sitting.world.factors[f]);
    let mut cells = Vec::new();
    for (r, row) in rows.values.iter().enumerate() {
        for (c, column) in columns.values.iter().enumerate() {
            let shows = |scene: &Scene| pair.map(|f| scene.objects[0].values[f] as usize) == [r, c];
            let kept: Vec<usize> = (0..scenes.len()).filter(|i| shows(&scenes[*i])).collect();
            let right = |i: &usize| found.iter().map(|of| of[0].held_out[*i]).product::<f64>();
            let accuracy = kept.iter().map(right).sum::<f64>() / kept.len().max(1) as f64;
            let (row, column) = (row.name.clone(), column.name.clone());
            cells.push(GridCell { row, column, seen: None, accuracy, n: kept.len() });
        }
    }
    Grid { rows: rows.name.clone(), columns: columns.name.clone(), cells }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::seq::SliceRandom;

    const SIZES: [usize; 2] = [5, 6];
    const DRAWS: u64 = 20;

    /// Rows of all combinations, several of each, and the splits of a Latin square.
    fn rows(each: usize, seed: u64) -> Rows {
        let [height, width] = SIZES;
        let shown: Vec<[usize; 2]> = (0..height * width * each).map(|i| [i / width % height, i % width]).collect();
        let mut order: Vec<usize> = (0..width).collect();
        order.shuffle(&mut random::stream(seed, "symbols", 0));
        let held = |k: usize| shown.iter().map(|[r, c]| (order[*r] + c) % width == k).collect();
        Rows {
            held: (0..width).map(held).collect(),
            cells: shown.iter().map(|[r, c]| (r * width + c) as u64).collect(),
            half: (0..shown.len()).map(|i| i / (height * width) % FOLDS).collect(),
        }
    }

    /// What is carried over of rows that are the sum of a code for the row's value, one for its combination, both of a `model`, and noise.
    fn planted(of_cell: f64, model: u64, draw: u64) -> Result<(Rows, Across)> {
        let rows = rows(8, draw);
        let drawn = |name: &'static str, seed: u64| {
            let mut rng = random::stream(seed, name, 0);
            move |scale: f64| (0..10).map(|_| scale * random::normal(&mut rng)).collect::<Vec<f64>>()
        };
        let [height, width] = SIZES;
        let (mut code, mut noise) = (drawn("codes", model), drawn("noise", draw));
        let values: Vec<Vec<f64>> = (0..height).map(|_| code(0.8)).collect();
        let cells: Vec<Vec<f64>> = (0..height * width).map(|_| code(of_cell)).collect();
        let mut data = Vec::new();
        for cell in &rows.cells {
            let (value, cell) = (&values[*cell as usize / width], &cells[*cell as usize]);
            let noise = noise(0.7);
            data.extend(noise.iter().zip(value).zip(cell).map(|((noise, value), cell)| (noise + value + cell) as f32));
        }
        let n = rows.cells.len();
        let matrix = Matrix::new(n, 10, data)?;
        let labels = rows.cells.iter().map(|cell| Some(*cell as usize / width)).collect();
        let task = Task::new(height, labels, (0..n as u64).collect())?;
        let confidence = Confidence::new(0.95)?;
        let found = across(&[Prepared::new("planted", &matrix)?], &task, &rows, confidence, draw)?;
        let found = found.into_iter().next();
        Ok((rows, found.ok_or_else(|| crate::Error::mismatch("planted", "what was asked", "nothing"))?))
    }

    /// Intervals speak of one model: its codes stay, pictures are drawn anew.
    #[test]
    fn gaps_hold_the_truth_as_often_as_they_say() -> Result<()> {
        let repeats = std::env::var("COVERAGE_REPEATS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_u64);
        let confidence = Confidence::new(0.95)?;
        for of_cell in [0.0, 0.8] {
            let (mut held, mut mean) = (0, 0.0);
            for model in 0..repeats {
                let one = |draw: u64| {
                    let (rows, of) = planted(of_cell, model, 1000 * model + draw)?;
                    carried(&of.seen, &of.held_out, &rows.cells, confidence)
                };
                let found: Vec<Difference> = (0..DRAWS).map(one).collect::<Result<_>>()?;
                let truth = found.iter().map(|of| of.estimate).sum::<f64>() / DRAWS as f64;
                mean += truth / repeats as f64;
                held += found.iter().filter(|of| of.lo <= truth && truth <= of.hi).count();
            }
            let held = held as f64 / (DRAWS * repeats) as f64;
            eprintln!("codes of combinations {of_cell}: gap {mean:.3}, held in {held:.3}");
            assert!((0.92..=0.99).contains(&held), "{of_cell}: {held}");
            assert!(if of_cell > 0.0 { mean > 0.1 } else { mean.abs() < 0.02 }, "{of_cell}: {mean}");
        }
        Ok(())
    }
}
