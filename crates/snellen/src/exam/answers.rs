//! `answers.parquet`: every answer of the exam, a row each.
//!
//! Columns `question`, `of` (text: what is asked, such as `swap color`), `scene` (u32: place among those of the question), `scene_hash` (text:
//! BLAKE3 of what is drawn, the same for every examinee that is shown it), `right`, `other` (text: captions; of several wrong ones the
//! nearest), `similarity`, `other_similarity` (f64: cosines with the picture), `score` (f64: 1 right, 0 wrong, between them at a tie), `seen` (text:
//! `yes`, `no`, null where it is not known what training showed); a row group for each question; zstd. Two exams of one seed and world
//! have the same rows, so that models can be compared answer by answer.

use super::question::Asked;
use crate::measure::columns::{Column, write_columns};
use crate::{Error, Result};
use std::path::Path;

/// Writes what the questions called `ids` gave to `path`, in one step.
pub(super) fn write_answers(path: &Path, asked: &[(&str, &Asked)]) -> Result<()> {
    let groups = asked.iter().map(|(id, asked)| columns(id, asked)).collect::<Result<Vec<_>>>()?;
    write_columns(path, &columns("", &Asked::default())?, groups)
}

fn columns(id: &str, asked: &Asked) -> Result<Vec<Column>> {
    let hash = |scene| {
        let json = serde_json::to_vec(scene).map_err(|e| Error::malformed("scene", e))?;
        Ok(blake3::hash(&json).to_hex()[..16].to_owned())
    };
    let hashes = asked.scenes.iter().map(hash).collect::<Result<Vec<String>>>()?;
    let rows = asked.decisions.iter();
    let seen = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    Ok(vec![
        Column::text("question", rows.clone().map(|_| id)),
        Column::text("of", rows.clone().map(|row| &row.of)),
        Column::count("scene", rows.clone().map(|row| row.scene)),
        Column::text("scene_hash", rows.clone().map(|row| hashes.get(row.scene).map_or("", String::as_str))),
        Column::text("right", rows.clone().map(|row| &row.right)),
        Column::text("other", rows.clone().map(|row| &row.other)),
        Column::number("similarity", rows.clone().map(|row| Some(row.similarity))),
        Column::number("other_similarity", rows.clone().map(|row| Some(row.other_similarity))),
        Column::number("score", rows.clone().map(|row| Some(row.score))),
        Column::optional_text("seen", rows.map(|row| row.seen.map(seen))),
    ])
}
