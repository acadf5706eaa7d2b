//! `report.html`: one page that needs no network.

use super::Report;
use crate::{Error, Result, output};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use minijinja::{Environment, Value, context};
use serde::Serialize;
use std::path::Path;

/// The style sheet of every page.
pub(crate) const STYLE: &str = include_str!("report.css");

/// The longest side of a picture in the page, in pixels.
const SIDE: u32 = 112;

/// A picture in the page, as a `data:` address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// The picture.
    pub source: String,
    /// What is written under it.
    pub caption: String,
    /// A unit's activation on it, patch by patch, to stand beside it.
    pub map: Option<String>,
}

/// The pictures of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gallery {
    /// Some of each of [`Report::scenes`], in their order.
    pub scenes: Vec<Vec<Picture>>,
    /// The answers of each question that were wrong by most, in the order of the questions.
    pub failures: Vec<Vec<Picture>>,
    /// Where a binding is carried, as SVG.
    pub map: Option<String>,
    /// The top images of each of the strongest units, in their order.
    pub units: Vec<Vec<Picture>>,
    /// Those of the clearest unit of each class.
    pub classes: Vec<Vec<Picture>>,
}

impl Picture {
    /// `picture`, made smaller where it is large; `map` is a grid of values from 0 to 1 with its number of columns.
    pub fn new(picture: &RgbImage, caption: String, map: Option<(&[f32], usize)>) -> Result<Self> {
        let small = if picture.width().max(picture.height()) > SIDE {
            image::DynamicImage::ImageRgb8(picture.clone()).thumbnail(SIDE, SIDE).to_rgb8()
        } else {
            picture.clone()
        };
        let map = map.map(|(values, columns)| {
            let rows = values.len() / columns;
            let pixels: Vec<u8> = values.iter().flat_map(|v| colour(f64::from(*v))).collect();
            png(&pixels, [columns as u32, rows as u32], ExtendedColorType::Rgb8)
        });
        let source = png(small.as_raw(), [small.width(), small.height()], ExtendedColorType::Rgb8)?;
        Ok(Self { source, caption, map: map.transpose()? })
    }
}

/// From dark blue over green to yellow, as bright as the value is large: also in grey and for those who see fewer colours.
fn colour(value: f64) -> [u8; 3] {
    const STOPS: [[f64; 3]; 5] =
        [[20.0, 20.0, 52.0], [44.0, 78.0, 128.0], [38.0, 138.0, 130.0], [124.0, 196.0, 90.0], [250.0, 231.0, 60.0]];
    let place = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let from = (place as usize).min(STOPS.len() - 2);
    let share = place - from as f64;
    [0, 1, 2].map(|c| (STOPS[from][c] * (1.0 - share) + STOPS[from + 1][c] * share).round() as u8)
}

/// A PNG as a `data:` address.
fn png(pixels: &[u8], [width, height]: [u32; 2], color: ExtendedColorType) -> Result<String> {
    let mut bytes = Vec::new();
    let failed = |e| Error::malformed("report.html: picture", e);
    PngEncoder::new(&mut bytes).write_image(pixels, width, height, color).map_err(failed)?;
    Ok(format!("data:image/png;base64,{}", data_encoding::BASE64.encode(&bytes)))
}

/// Writes `report.html` into `folder`.
pub fn write_html(folder: &Path, report: &Report, gallery: &Gallery) -> Result<()> {
    let failed = |e: minijinja::Error| Error::malformed("report.html", e);
    let mut page = environment();
    page.add_template("report.html", include_str!("report.html")).map_err(failed)?;
    let template = page.get_template("report.html").map_err(failed)?;
    let context = context! { report => Value::from_serialize(report), gallery => Value::from_serialize(gallery), style => Value::from_safe_string(STYLE.to_owned()) };
    let html = template.render(context).map_err(failed)?;
    output::write_file(&folder.join("report.html"), html.as_bytes())
}

/// How pages print numbers.
pub(crate) fn environment() -> Environment<'static> {
    let mut page = Environment::new();
    page.set_trim_blocks(true);
    page.set_lstrip_blocks(true);
    page.add_filter("percent", |x: f64| format!("{:.1} %", x * 100.0));
    page.add_filter("share", |x: f64| format!("{:.1}", x * 100.0));
    page.add_filter("fixed", |x: f64, digits: usize| format!("{x:.digits$}"));
    // Of an interval: nothing where it has no end.
    page.add_filter("ends", |x: Option<f64>, digits: Option<usize>| {
        x.filter(|x| x.is_finite()).map_or_else(String::new, |x| format!("{x:.*}", digits.unwrap_or(0)))
    });
    page.add_filter("plain", |x: f64| if x.fract() == 0.0 { format!("{x:.0}") } else { format!("{x:.2}") });
    page.add_filter("scientific", |x: f64| if x < 1e-3 { format!("{x:.0e}") } else { format!("{x:.3}") });
    page.add_filter("thousands", thousands);
    // Above the middle, or below.
    page.add_filter("signed", |x: f64, digits: usize| format!("{x:+.digits$}"));
    page
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}
