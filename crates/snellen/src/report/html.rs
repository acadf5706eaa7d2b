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
    /// A unit's activation on it, patch by patch, to lay over it.
    pub map: Option<String>,
}

/// The pictures of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gallery {
    /// Some of each of [`Report::scenes`], in their order.
    pub scenes: Vec<Vec<Picture>>,
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
            // Transparent to opaque; colour-blind safe on white and on saturated colours alike.
            let pixels: Vec<u8> =
                values.iter().flat_map(|v| [255, 0, 144, (v.clamp(0.0, 1.0) * 215.0) as u8]).collect();
            png(&pixels, [columns as u32, rows as u32], ExtendedColorType::Rgba8)
        });
        let source = png(small.as_raw(), [small.width(), small.height()], ExtendedColorType::Rgb8)?;
        Ok(Self { source, caption, map: map.transpose()? })
    }
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
    page.add_filter("share", |x: f64| format!("{:.2}", x * 100.0));
    page.add_filter("fixed", |x: f64, digits: usize| format!("{x:.digits$}"));
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
