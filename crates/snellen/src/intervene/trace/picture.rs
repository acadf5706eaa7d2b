//! The map as a picture: plain SVG, with every cell's numbers as its title.

use super::chart::{NONE, percent};
use super::map::{CANNOT_MATTER, EMPTY, Entry, TowerMap};
use super::{Direction, Part};
use crate::intervene::Tokens as Group;
use std::fmt::Write;

/// Height of a layer, in pixels.
const ROW: usize = 20;
/// Width of a token group, and of a head.
const COLUMN: usize = 54;
const HEAD: usize = 26;
/// Around everything, and between panels.
const MARGIN: usize = 24;
/// Above the cells of a panel: its title, and the names of its columns.
const ABOVE: usize = 44;
/// Where layers are numbered.
const NUMBERS: usize = 30;
/// Width that panels of a row share.
const WIDE: usize = 1180;

/// Cells of one part.
struct Panel<'a> {
    title: String,
    column: usize,
    names: Vec<String>,
    /// By layer and column.
    cells: Vec<Vec<Option<&'a Entry>>>,
}

impl Panel<'_> {
    fn width(&self) -> usize {
        NUMBERS + self.column * self.names.len()
    }

    fn height(&self) -> usize {
        ABOVE + ROW * self.cells.len()
    }
}

/// An SVG picture of `towers`: for each part layers x token groups, for each group layers x heads; the last layer is above.
#[must_use]
pub fn picture(towers: &[TowerMap]) -> String {
    let mut body = String::new();
    let mut top = MARGIN;
    for tower in towers {
        top = draw_tower(tower, top, &mut body);
    }
    let width = WIDE + 2 * MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{top}\" viewBox=\"0 0 {width} {top}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"#222\">\n\
         <rect width=\"{width}\" height=\"{top}\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// Draws one below `top`; gives where the next may begin.
fn draw_tower(tower: &TowerMap, mut top: usize, out: &mut String) -> usize {
    let what = match tower.direction {
        Direction::Denoise => "clean values into the corrupt twin (denoising)",
        Direction::Noise => "corrupt values into the clean twin (noising)",
    };
    let name = if tower.tower == "text" { "Text tower" } else { "Image tower" };
    text(
        out,
        (MARGIN, top + 14),
        "font-size=\"16\" font-weight=\"600\"",
        &format!("{name}: where the binding is carried"),
    );
    let total = tower.total;
    let restored = if tower.restorable { "what there is to restore" } else { "nothing to restore beyond noise" };
    let said = format!(
        "{} twins, {what}. Margin {:+.2} clean, {:+.2} corrupt; {restored}: {:+.2} [{:+.2}, {:+.2}] spreads between twins.",
        tower.twins, tower.clean.estimate, tower.corrupt.estimate, total.estimate, total.lo, total.hi
    );
    text(out, (MARGIN, top + 34), "fill=\"#555\"", &said);
    let unit = if tower.restorable { "percent of that" } else { "hundredths of a spread" };
    let key = format!(
        "Cells: {unit}; layers from below. Faint ones can't be told from what another scene's values do (q >= .05), crossed ones cannot \
         matter or are empty."
    );
    text(out, (MARGIN, top + 50), "fill=\"#555\"", &key);
    text(out, (MARGIN, top + 68), "", &finding(tower));
    top += 82;
    let (mut left, mut tallest) = (MARGIN, 0);
    for panel in panels(tower) {
        if left > MARGIN && left + panel.width() > MARGIN + WIDE {
            (left, top, tallest) = (MARGIN, top + tallest + MARGIN, 0);
        }
        draw_panel(tower, &panel, (left, top), out);
        left += panel.width() + MARGIN;
        tallest = tallest.max(panel.height());
    }
    top + tallest + 2 * MARGIN
}

/// What the map shows, in a sentence.
fn finding(tower: &TowerMap) -> String {
    let furthest = tower.furthest();
    let Some((entry, effect, null)) = furthest.first().and_then(|entry| Some((entry, entry.effect?, entry.null?)))
    else {
        let (first, rest) = NONE.split_at(1);
        return format!("{}{rest}.", first.to_uppercase());
    };
    format!(
        "Furthest of {} that can be told from another scene's: layer {} {} {}, {:+.2} [{:+.2}, {:+.2}] spreads (another scene's {:+.2}).",
        furthest.len(),
        entry.layer,
        entry.part,
        entry.group,
        effect.estimate,
        effect.lo,
        effect.hi,
        null.estimate
    )
}

fn panels(tower: &TowerMap) -> Vec<Panel<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut heads = 0;
    for entry in &tower.entries {
        if !groups.contains(&entry.group) {
            groups.push(entry.group);
        }
        if let Part::Head(head) = entry.part {
            heads = heads.max(head + 1);
        }
    }
    let layers = || (0..tower.layers).rev();
    let mut panels = Vec::new();
    for part in [Part::ResidPost, Part::AttnOut, Part::MlpOut] {
        let cells: Vec<Vec<_>> =
            layers().map(|layer| groups.iter().map(|group| tower.entry(layer, part, *group)).collect()).collect();
        if cells.iter().flatten().any(Option::is_some) {
            let names = groups.iter().map(|group| short(*group)).collect();
            panels.push(Panel { title: part.to_string(), column: COLUMN, names, cells });
        }
    }
    for group in groups.iter().filter(|_| heads > 0) {
        let row = |layer| (0..heads).map(|head| tower.entry(layer, Part::Head(head), *group)).collect();
        let names = (0..heads).map(|head| head.to_string()).collect();
        panels.push(Panel {
            title: format!("heads, {group}"),
            column: HEAD,
            names,
            cells: layers().map(row).collect(),
        });
    }
    panels
}

fn draw_panel(tower: &TowerMap, panel: &Panel<'_>, (left, top): (usize, usize), out: &mut String) {
    text(out, (left + NUMBERS, top + 14), "font-weight=\"600\"", &panel.title);
    for (k, name) in panel.names.iter().enumerate() {
        let x = left + NUMBERS + k * panel.column + panel.column / 2;
        text(out, (x, top + ABOVE - 8), "text-anchor=\"middle\" fill=\"#555\"", name);
    }
    for (row, cells) in panel.cells.iter().enumerate() {
        let y = top + ABOVE + row * ROW;
        let layer = tower.layers - 1 - row;
        text(out, (left + NUMBERS - 6, y + 14), "text-anchor=\"end\" fill=\"#555\"", &layer.to_string());
        for (k, entry) in cells.iter().enumerate().filter_map(|(k, entry)| entry.map(|entry| (k, entry))) {
            draw_cell(tower, entry, (left + NUMBERS + k * panel.column, y, panel.column), out);
        }
    }
}

fn draw_cell(tower: &TowerMap, entry: &Entry, (x, y, width): (usize, usize, usize), out: &mut String) {
    let share = |entry: &Entry| entry.effect.map(|effect| entry.share.unwrap_or(effect.estimate));
    let fill = share(entry).map_or("#f4f4f4".to_owned(), |share| colour(share, entry.beyond_null()));
    let mut title = format!("{} layer {} {} {}", tower.tower, entry.layer, entry.part, entry.group);
    if let Some(note) = entry.note {
        let _ = write!(title, ": {note}");
    }
    if let Some(effect) = entry.effect {
        let _ = write!(title, ": {:+.3} [{:+.3}, {:+.3}] spreads", effect.estimate, effect.lo, effect.hi);
    }
    if let Some(null) = entry.null {
        let _ = write!(title, "; another scene's {:+.3} [{:+.3}, {:+.3}]", null.estimate, null.lo, null.hi);
    }
    if let Some(q) = entry.q {
        let _ = write!(title, "; q = {q:.2e}");
    }
    let (w, h) = (width - 2, ROW - 2);
    let _ = write!(
        out,
        "<g><title>{title}</title><rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{fill}\"/>"
    );
    if matches!(entry.note, Some(CANNOT_MATTER | EMPTY)) {
        let _ = write!(out, "<path d=\"M{x} {}L{} {y}\" stroke=\"#ccc\"/>", y + h, x + w);
    }
    if let Some(share) = share(entry).filter(|_| entry.beyond_null()) {
        let ink = if share.abs() > 0.6 { "#fff" } else { "#222" };
        let style = format!("text-anchor=\"middle\" font-size=\"10\" fill=\"{ink}\"");
        text(out, (x + w / 2, y + 13), &style, &percent(share));
    }
    out.push_str("</g>\n");
}

/// Blue where the binding comes back, red where it is lost, the more so the larger `share`; faint where it may be chance.
fn colour(share: f64, sure: bool) -> String {
    let strength = share.abs().min(1.0).sqrt() * if sure { 1.0 } else { 0.15 };
    let full = if share >= 0.0 { [22.0, 78.0, 160.0] } else { [178.0, 34.0, 34.0] };
    let [r, g, b] = full.map(|c| (244.0 + (c - 244.0) * strength).round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn text(out: &mut String, (x, y): (usize, usize), style: &str, said: &str) {
    let said = said.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" {style}>{said}</text>");
}

fn short(group: Group) -> String {
    match group {
        Group::Background => "backgr.".to_owned(),
        group => group.to_string(),
    }
}
