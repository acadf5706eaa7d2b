//! `study.html`, and all files of a study together.

use super::chain::UnitPictures;
use super::link::OfPairs;
use super::plot::scatter;
use super::published;
use super::result::Study;
use super::tables;
use crate::report::html::{STYLE, environment};
use crate::{Error, Result, output};
use minijinja::{Value, context};
use std::path::Path;

impl Study {
    /// Writes `study.json`, `pairs.csv`, `units.csv`, `checks.csv` and `study.html`, which shows `units`, into the existing folder `folder`.
    ///
    /// # Errors
    /// When the system refuses to write.
    pub fn write(&self, folder: &Path, units: &[UnitPictures]) -> Result<()> {
        output::write_file(&folder.join("study.json"), &self.to_json()?)?;
        tables::write(folder, self)?;
        output::write_file(&folder.join("study.html"), self.html(units)?.as_bytes())
    }

    fn html(&self, units: &[UnitPictures]) -> Result<String> {
        let failed = |e: minijinja::Error| Error::malformed("study.html", e);
        let mut page = environment();
        page.add_filter("signed", |x: Option<f64>, digits: usize| {
            let scale = 10_f64.powi(digits as i32);
            x.map_or("-".to_owned(), |x| format!("{:.digits$}", (x * scale).round() / scale + 0.0).replace('-', "−"))
        });
        page.add_filter("p", |p: Option<f64>| match p {
            None => "-".to_owned(),
            Some(p) if p < 1e-3 => format!("{p:.0e}"),
            Some(p) => format!("{p:.3}"),
        });
        page.add_filter("shortest", |x: Option<f64>| match x {
            None => "-".to_owned(),
            Some(0.0) => "0".to_owned(),
            Some(x) if x < 1e-3 => format!("{x:.0e}"),
            Some(x) => format!("{x:.3}"),
        });
        page.add_template("study.html", include_str!("study.html")).map_err(failed)?;
        let sums: OfPairs = match &self.model {
            Some(model) => model.pairs.iter().map(|pair| pair.sum_ratios).collect(),
            None => published::pairs()?.iter().map(|pair| pair.sum.value).collect(),
        };
        let of =
            |value: fn(&super::EmbeddingPair) -> f64| -> OfPairs { self.embedding_pairs.iter().map(value).collect() };
        let rate = of(|pair| pair.misclassified as f64 / pair.n_images as f64);
        let plots = [
            scatter("distance of the two features' means", &of(|pair| pair.distance), &sums, &self.links.full_distance),
            scatter("share of images nearer to the other mean", &rate, &sums, &self.links.full_misclassification),
        ];
        let unit_lines = tables::unit_lines(self)?;
        let context = context! {
            study => Value::from_serialize(self),
            style => Value::from_safe_string(STYLE.to_owned()),
            plots => Value::from_serialize(plots),
            pairs => Value::from_serialize(tables::pair_rows(self)?),
            unit_lines => Value::from_serialize(unit_lines),
            features => super::FEATURES.map(|feature| feature.name),
            units => Value::from_serialize(units),
        };
        page.get_template("study.html").and_then(|page| page.render(context)).map_err(failed)
    }
}
