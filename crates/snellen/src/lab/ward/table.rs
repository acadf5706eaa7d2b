//! `ward.parquet`: a row a patient: `kind` (what was bred), `seed`, `stem` (its sizes, by name), `named` (what the exam calls it: `healthy` where no link
//! fails), `right`.

use super::{Ward, called};
use crate::Result;
use crate::measure::columns::{Column, write_columns};
use std::path::Path;

pub(super) fn write(ward: &Ward, path: &Path) -> Result<()> {
    let of = |patients: &[super::Patient]| {
        let rows = patients.iter();
        vec![
            Column::text("kind", rows.clone().map(|row| row.kind.name())),
            Column::count("seed", rows.clone().map(|row| row.seed as usize)),
            Column::text("stem", rows.clone().map(|row| row.stem.name())),
            Column::text("named", rows.clone().map(|row| called(row.named))),
            Column::flag("right", rows.map(|row| row.right)),
        ]
    };
    write_columns(path, &of(&[]), vec![of(&ward.patients)])
}
