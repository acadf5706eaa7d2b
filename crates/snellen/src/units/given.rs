//! Activations of others: a tensor `[image, unit]` per site, rows in the order of labels.csv.

use crate::Result;
use crate::measure::Matrix;
use crate::tensors::{Tensors, left_alone};
use std::path::Path;

/// The sites of a file.
pub(super) struct Given {
    tensors: Tensors,
    /// Those that were asked for in that order, else in byte order.
    pub(super) names: Vec<String>,
    /// What is worth a line: what was left alone, and numbers that are none.
    pub(super) notes: Vec<String>,
}

impl Given {
    /// Looks at the file at `path`: the tensors called `asked`, else those that can only be activations. Each has a row for each of
    /// the `images` rows of the labels at `labels`.
    ///
    /// # Errors
    /// Names file and tensor; where nothing can be chosen, all that is there.
    pub(super) fn open(path: &Path, asked: &[String], images: usize, labels: &Path) -> Result<Self> {
        let tensors = Tensors::open(path)?;
        let chosen = tensors.choose(asked, images, &format!("row of {}", labels.display()))?;
        let mut notes = Vec::new();
        if !chosen.left_alone.is_empty() {
            notes.push(left_alone(path, &chosen.left_alone));
        }
        Ok(Self { tensors, names: chosen.names, notes })
    }

    /// The tensor called `name`, in f32. Values that are not finite make their units a class of their own, which is noted.
    ///
    /// # Errors
    /// When its data are cut off.
    pub(super) fn matrix(&mut self, name: &str) -> Result<Matrix> {
        let [rows, columns] = self.tensors.shape(name)?;
        let values: Vec<f32> = self.tensors.numbers(name, |x| x as f32)?;
        if let Some(first) = values.iter().position(|x| !x.is_finite()) {
            let (row, column) = (first / columns + 1, first % columns + 1);
            let all = values.iter().filter(|x| !x.is_finite()).count();
            let mut units = vec![false; columns];
            values.iter().enumerate().filter(|(_, x)| !x.is_finite()).for_each(|(at, _)| units[at % columns] = true);
            let units = units.iter().filter(|wrong| **wrong).count();
            self.notes.push(format!(
                "{}: {all} numbers are not finite, the first ({}) at row {row}, column {column}; {units} units are `non_finite`",
                self.tensors.place(name),
                values[first]
            ));
        }
        Matrix::new(rows, columns, values)
    }
}
