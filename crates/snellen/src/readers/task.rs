//! What a reader is asked: one question of every row, its right answer, and which answers come into question.

use crate::random;
use crate::{Error, Result};
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// A question of many rows (scenes, captions), each of which has one right answer among numbered classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    classes: usize,
    labels: Vec<Option<usize>>,
    /// `[row, class]`, where not every class comes into question everywhere.
    candidates: Option<Vec<bool>>,
    strata: Vec<u64>,
    clusters: Vec<u64>,
}

impl Task {
    /// The right class, below `classes`, of every row; `None` leaves a row out. Rows with one number in `clusters` (the two twins of a
    /// pair) stay on one side of every split, and intervals count them as dependent.
    ///
    /// # Errors
    /// When lengths disagree, a label is no class, or there are fewer than two classes.
    pub fn new(classes: usize, labels: Vec<Option<usize>>, clusters: Vec<u64>) -> Result<Self> {
        if classes < 2 {
            return Err(Error::mismatch("task", "at least 2 classes", classes));
        }
        if labels.len() != clusters.len() {
            return Err(Error::mismatch("task", format!("{} clusters, one per label", labels.len()), clusters.len()));
        }
        if let Some((row, label)) = labels.iter().enumerate().find(|(_, label)| label.is_some_and(|l| l >= classes)) {
            let got = label.map_or(0, |label| label);
            return Err(Error::mismatch(format!("task: row {row}"), format!("a label below {classes}"), got));
        }
        let strata = vec![0; labels.len()];
        Ok(Self { classes, labels, candidates: None, strata, clusters })
    }

    /// The same with the classes that come into question for each row: the colours of the scene, when the colour of the circle is
    /// asked. Readers learn to choose among them and never answer another, so chance is known.
    ///
    /// # Errors
    /// When lengths disagree, a candidate is no class, or a row that is asked lacks its label or has one candidate only.
    pub fn among(mut self, candidates: &[Vec<usize>]) -> Result<Self> {
        if candidates.len() != self.labels.len() {
            let expected = format!("{} lists of candidates", self.labels.len());
            return Err(Error::mismatch("task", expected, candidates.len()));
        }
        let mut flags = vec![false; self.labels.len() * self.classes];
        for (row, allowed) in candidates.iter().enumerate() {
            for class in allowed {
                if *class >= self.classes {
                    let expected = format!("candidates below {}", self.classes);
                    return Err(Error::mismatch(format!("task: row {row}"), expected, class));
                }
                flags[row * self.classes + class] = true;
            }
            if let Some(label) = self.labels[row] {
                let many = flags[row * self.classes..][..self.classes].iter().filter(|flag| **flag).count();
                if many < 2 || !flags[row * self.classes + label] {
                    let expected = format!("two candidates or more, with the right answer {label}");
                    return Err(Error::mismatch(format!("task: row {row}"), expected, format!("{allowed:?}")));
                }
            }
        }
        self.candidates = Some(flags);
        Ok(self)
    }

    /// The same with strata: [`shuffled`](Self::shuffled) permutes labels only among rows with one number here.
    ///
    /// # Errors
    /// When there is not one per row.
    pub fn within(mut self, strata: Vec<u64>) -> Result<Self> {
        if strata.len() != self.labels.len() {
            return Err(Error::mismatch("task", format!("{} strata, one per row", self.labels.len()), strata.len()));
        }
        self.strata = strata;
        Ok(self)
    }

    /// The null: labels permuted among the rows of one stratum with the same candidates, so that nothing but the pairing of rows and
    /// answers is lost. A stratum whose rows share one label is not changed: choose strata within which answers vary.
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut groups: BTreeMap<(u64, &[bool]), Vec<usize>> = BTreeMap::new();
        for row in self.asked() {
            groups.entry((self.strata[row], self.allowed(row))).or_default().push(row);
        }
        let mut labels = self.labels.clone();
        for (index, rows) in groups.values().enumerate() {
            let mut order = rows.clone();
            order.shuffle(&mut random::stream(seed, "shuffled answers", index as u64));
            rows.iter().zip(order).for_each(|(row, from)| labels[*row] = self.labels[from]);
        }
        Self { labels, ..self.clone() }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of rows, asked or not.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// The right class of each row.
    pub fn labels(&self) -> &[Option<usize>] {
        &self.labels
    }

    /// The cluster of each row.
    pub fn clusters(&self) -> &[u64] {
        &self.clusters
    }

    /// The rows that have an answer, in order.
    pub fn asked(&self) -> Vec<usize> {
        (0..self.rows()).filter(|row| self.labels[*row].is_some()).collect()
    }

    /// Which classes come into question for `row`; empty where all do.
    pub(super) fn allowed(&self, row: usize) -> &[bool] {
        self.candidates.as_ref().map_or(&[], |flags| &flags[row * self.classes..][..self.classes])
    }

    /// How many do.
    pub(super) fn choices(&self, row: usize) -> usize {
        let allowed = self.allowed(row);
        if allowed.is_empty() { self.classes } else { allowed.iter().filter(|flag| **flag).count() }
    }

    /// The right class of a row that is asked.
    pub(super) fn label(&self, row: usize) -> usize {
        self.labels[row].unwrap_or_default()
    }

    /// What an answer costs in bits without any model: log2 of the number of candidates.
    pub(super) fn uniform_bits(&self, row: usize) -> f64 {
        (self.choices(row) as f64).log2()
    }
}
