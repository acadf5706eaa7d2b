//! What readers refuse, and what they say.

use super::{balanced, confidence, matrix, noise};
use snellen::Result;
use snellen::measure::Matrix;
use snellen::readers::alignment::{Teaching, Twins, align};
use snellen::readers::{
    Ladder, Prepared, Reader, Split, Task, against, block_splits, curves, fit_logistic, paired, scene_splits,
};

#[track_caller]
fn refused<T>(found: Result<T>, parts: &[&str]) {
    let Err(error) = found else { panic!("accepted where {parts:?} was to be said") };
    assert!(error.is_bad_input());
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text:?} lacks one of {parts:?}");
}

#[test]
fn tasks_that_make_no_sense() {
    refused(Task::new(1, vec![], vec![]), &["at least 2 classes", "got 1"]);
    refused(Task::new(2, vec![None, Some(2)], vec![0, 1]), &["row 1", "below 2", "got 2"]);
    refused(Task::new(2, vec![None], vec![0, 1]), &["1 clusters", "got 2"]);
    let task = || balanced(4, 3, 1);
    refused(task().among(&[vec![0]]), &["4 lists", "got 1"]);
    refused(task().among(&vec![vec![0, 3]; 4]), &["row 0", "below 3", "got 3"]);
    let own = |i: usize| task().labels()[i].unwrap();
    refused(task().among(&(0..4).map(|i| vec![own(i)]).collect::<Vec<_>>()), &["row 0", "two candidates"]);
    refused(task().among(&(0..4).map(|i| vec![(own(i) + 1) % 3, (own(i) + 2) % 3]).collect::<Vec<_>>()), &["row 0"]);
    refused(task().within(vec![1]), &["4 strata", "got 1"]);
}

#[test]
fn rows_that_cannot_be_read() {
    let rows = noise(30, 2, 1);
    let x = matrix(&rows);
    let task = balanced(30, 2, 1);
    let splits = scene_splits(&task, 3, 1).unwrap();
    let ladder = Ladder { null: false, ..Ladder::all(confidence()) };
    let read = |x: &Matrix, task: &Task, splits: &[Split], ladder: &Ladder, reader: &Reader| {
        curves(&[Prepared::new("layer 3", x)?], task, splits, ladder, reader, 1)
    };
    let mut broken = rows.clone();
    broken[7][1] = f64::NAN;
    refused(read(&matrix(&broken), &task, &splits, &ladder, &Reader::ridge()), &["layer 3", "row 7", "unit 1", "NaN"]);
    refused(read(&matrix(&rows[..29]), &task, &splits, &ladder, &Reader::ridge()), &["layer 3", "30 rows", "got 29"]);
    refused(read(&x, &task, &[], &ladder, &Reader::ridge()), &["splits", "at least one"]);
    let both = Split { train: (0..20).collect(), test: vec![19, 25] };
    refused(read(&x, &task, &[both], &ladder, &Reader::ridge()), &["split 0", "row 19"]);
    let far = Split { train: (0..20).collect(), test: vec![30] };
    refused(read(&x, &task, &[far], &ladder, &Reader::ridge()), &["split 0", "row 30"]);
    let unseen: Vec<Option<usize>> = (0..30).map(|i| Some(usize::from(i >= 20))).collect();
    let unseen = Task::new(2, unseen, (0..30).collect()).unwrap();
    let apart = Split { train: (0..20).collect(), test: (20..30).collect() };
    refused(read(&x, &unseen, &[apart], &ladder, &Reader::ridge()), &["split 0", "class 1", "row 20"]);
    let steep = Ladder { sizes: vec![12, 4], ..ladder.clone() };
    refused(read(&x, &task, &splits, &steep, &Reader::ridge()), &["ladder", "ascending"]);
    let small = Ladder { sizes: vec![6], ..ladder.clone() };
    refused(read(&x, &task, &splits, &small, &Reader::logistic()), &["ladder", "10 rows"]);
    let none = Reader::Logistic { strengths: vec![], folds: 5 };
    refused(read(&x, &task, &splits, &ladder, &none), &["strengths"]);
    refused(fit_logistic(&x, &task, &[0, 1, 2], -1.0), &["positive", "-1"]);
    refused(fit_logistic(&x, &task, &[0, 30], 1.0), &["row 30"]);
    refused(scene_splits(&task, 31, 1), &["31 folds of 30"]);
    refused(block_splits(&task, &vec![vec![(0, 0)]; 30], 2, 1), &["3 values", "1 and 1"]);
    refused(paired(&[1.0], &[2.0], &[0], confidence()), &["0 to 1", "got 2"]);
    refused(paired(&[1.0], &[], &[0], confidence()), &["1, 0 and 1"]);
}

#[test]
fn controls_of_other_rows() {
    let (x, task) = (matrix(&noise(40, 2, 1)), balanced(40, 2, 1));
    let prepared = [Prepared::new("x", &x).unwrap()];
    let ladder = Ladder { null: false, ..Ladder::all(confidence()) };
    let of = |folds: usize| {
        curves(&prepared, &task, &scene_splits(&task, folds, 1).unwrap(), &ladder, &Reader::ridge(), 1)
            .unwrap()
            .remove(0)
    };
    refused(against(&of(2), &[], &task, confidence()), &["x", "at least one control"]);
    refused(against(&of(2), &[&of(4)], &task, confidence()), &["x", "rows and sizes"]);
}

#[test]
fn what_does_not_vary_is_read_as_nothing() {
    let x = Matrix::new(40, 3, vec![0.5; 120]).unwrap();
    let task = balanced(40, 2, 1);
    let ladder = Ladder { null: false, ..Ladder::all(confidence()) };
    let prepared = [Prepared::new("constant", &x).unwrap()];
    let splits = scene_splits(&task, 2, 1).unwrap();
    for reader in [Reader::ridge(), Reader::logistic(), Reader::mlp()] {
        let found = curves(&prepared, &task, &splits, &ladder, &reader, 1).unwrap();
        let accuracy = found[0].points[0].accuracy;
        assert!(accuracy.lo < 0.5 && accuracy.hi > 0.5, "{}: {accuracy:?}", reader.name());
    }
}

#[test]
fn twins_that_are_none() {
    let (x, y) = (matrix(&noise(40, 3, 1)), matrix(&noise(40, 3, 2)));
    let teaching = Teaching::standard(confidence());
    let split = |train: usize| Split { train: (0..train).collect(), test: (train..20).collect() };
    let twins = Twins { pictures: &x, captions: &y };
    refused(align(&twins, &[split(3)], &teaching, 1), &["split 0", "6 pairs", "3 and 17"]);
    refused(align(&twins, &[split(20)], &teaching, 1), &["split 0", "20 and 0"]);
    refused(align(&twins, &[], &teaching, 1), &["0 splits"]);
    let narrow = matrix(&noise(40, 2, 2));
    refused(align(&Twins { pictures: &x, captions: &narrow }, &[split(10)], &teaching, 1), &["(40, 3)", "(40, 2)"]);
    let mut zero = noise(40, 3, 2);
    zero[5] = vec![0.0; 3];
    let zero = matrix(&zero);
    refused(align(&Twins { pictures: &x, captions: &zero }, &[split(10)], &teaching, 1), &["captions: row 5", "got 0"]);
}
