//! The map in characters, for terminals of 80 columns.

use super::Part;
use super::map::{CANNOT_MATTER, EMPTY, Entry, SAME, TowerMap};
use crate::intervene::Tokens as Group;

/// Columns that a line has at most.
const WIDE: usize = 80;
/// Characters of a cell.
const CELL: usize = 5;
/// Strongest entries that are listed.
const LISTED: usize = 8;

/// What is said where there is no such entry.
pub(super) const NONE: &str = "no patch can be told from the same of another scene (q < .05)";

/// In which world twins are, for a terminal.
pub(super) fn shown(world: Option<&str>) -> String {
    world.map_or(String::new(), |name| format!(" of the world `{name}`"))
}

impl TowerMap {
    /// Layers (rows) x token groups (columns) for each part, then layers x heads for each group whose heads do something, then the
    /// strongest entries with their intervals.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.head();
        for part in [Part::ResidPost, Part::AttnOut, Part::MlpOut] {
            let groups = self.groups(|entry| entry.part == part);
            if !groups.is_empty() {
                let heads: Vec<String> = groups.iter().map(|group| short(*group)).collect();
                lines.extend(self.grid(&part.to_string(), &heads, |layer, k| self.entry(layer, part, groups[k])));
            }
        }
        let heads = self.entries.iter().filter(|entry| matches!(entry.part, Part::Head(_)));
        let groups = self.groups(|entry| matches!(entry.part, Part::Head(_)) && entry.beyond_null());
        if heads.clone().next().is_some() && groups.is_empty() {
            lines.extend([String::new(), "heads: none can be told from another scene's".to_owned()]);
        }
        let count =
            heads.filter_map(|entry| if let Part::Head(head) = entry.part { Some(head + 1) } else { None }).max();
        for group in groups {
            let fit = (WIDE - 6) / CELL;
            for first in (0..count.unwrap_or(0)).step_by(fit) {
                let those = first..(first + fit).min(count.unwrap_or(0));
                let names: Vec<String> = those.clone().map(|head| format!("h{head}")).collect();
                let entry = |layer, k| self.entry(layer, Part::Head(first + k), group);
                lines.extend(self.grid(&format!("heads, {group}"), &names, entry));
            }
        }
        lines.extend(self.strongest());
        lines
    }

    fn head(&self) -> Vec<String> {
        let verb = if self.restorable { "there is" } else { "nothing" };
        let (what, undone) = match self.direction {
            super::Direction::Denoise => ("clean values into the corrupt twin", "restore"),
            super::Direction::Noise => ("corrupt values into the clean twin", "lose"),
        };
        let mut lines = vec![
            format!("{} tower, {} twins{}: {what}", self.tower, self.twins, shown(self.world)),
            format!(
                "margin in spreads between twins: clean {:+.2}, corrupt {:+.2}",
                self.clean.estimate, self.corrupt.estimate
            ),
            format!("{verb} to {undone}: {:+.2} [{:+.2}, {:+.2}]", self.total.estimate, self.total.lo, self.total.hi),
        ];
        let unit = if self.restorable { "percent of that" } else { "hundredths of a spread" };
        lines.push(format!("cells: {unit}; . can't be told from another scene's (q >= .05),"));
        lines.push("x cannot matter, = the same in both twins, _ no such tokens".to_owned());
        if !self.refused.is_empty() {
            lines.push(format!("{} twins are left out: {}", self.refused.len(), self.refused[0]));
        }
        lines
    }

    /// The groups of the entries that are `kept`, in order.
    fn groups(&self, kept: impl Fn(&Entry) -> bool) -> Vec<Group> {
        let mut groups = Vec::new();
        for entry in &self.entries {
            if !groups.contains(&entry.group) {
                groups.push(entry.group);
            }
        }
        groups.retain(|group| self.entries.iter().any(|entry| entry.group == *group && kept(entry)));
        groups
    }

    fn grid<'a>(
        &self,
        title: &str,
        heads: &[String],
        entry: impl Fn(usize, usize) -> Option<&'a Entry>,
    ) -> Vec<String> {
        let named = heads.iter().map(|name| format!("{name:>CELL$}")).collect::<Vec<_>>().concat();
        let mut lines = vec![String::new(), title.to_owned(), format!("layer {}", named.trim_end())];
        for layer in 0..self.layers {
            let cells: Vec<String> = (0..heads.len()).map(|k| format!("{:>CELL$}", cell(entry(layer, k)))).collect();
            lines.push(format!("{layer:>5} {}", cells.concat()));
        }
        lines
    }

    /// Entries that can be told from their null, the furthest from it first.
    pub(super) fn furthest(&self) -> Vec<&Entry> {
        let mut beyond: Vec<&Entry> = self.entries.iter().filter(|entry| entry.beyond_null()).collect();
        let far = |entry: &Entry| {
            let null = entry.null.map_or(0.0, |null| null.estimate);
            entry.effect.map_or(0.0, |effect| (effect.estimate - null).abs())
        };
        beyond.sort_by(|a, b| far(b).total_cmp(&far(a)));
        beyond
    }

    fn strongest(&self) -> Vec<String> {
        let beyond = self.furthest();
        if beyond.is_empty() {
            return vec![String::new(), NONE.to_owned()];
        }
        let mut lines = vec![
            String::new(),
            "furthest from what another scene's values do, in spreads".to_owned(),
            format!("{:<28}{:>7}  {:<17}{:>7}{:>9}", "", "effect", "interval", "another", "q"),
        ];
        for entry in beyond.into_iter().take(LISTED) {
            let name = format!("layer {} {} {}", entry.layer, entry.part, entry.group);
            let Some(effect) = entry.effect else { continue };
            let null = entry.null.map_or(String::new(), |null| format!("{:+.2}", null.estimate));
            let q = entry.q.map_or(String::new(), |q| format!("{q:.1e}"));
            let interval = format!("[{:+.2}, {:+.2}]", effect.lo, effect.hi);
            lines.push(format!("{name:<28}{:>+7.2}  {interval:<17}{null:>7}{q:>9}", effect.estimate));
        }
        lines
    }
}

/// With its sign, but for 0.
pub(super) fn percent(share: f64) -> String {
    let said = format!("{:+.0}", 100.0 * share);
    if matches!(said.as_str(), "+0" | "-0") { "0".to_owned() } else { said }
}

fn short(group: Group) -> String {
    match group {
        Group::Background => "bg".to_owned(),
        Group::Registers => "reg".to_owned(),
        Group::Patches => "pat".to_owned(),
        Group::Class => "cls".to_owned(),
        Group::Start => "sta".to_owned(),
        Group::Object(k) => format!("ob{k}"),
        group => group.to_string(),
    }
}

/// What a cell of the map says.
fn cell(entry: Option<&Entry>) -> String {
    let Some(entry) = entry else { return String::new() };
    match (entry.effect, entry.note) {
        (_, Some(CANNOT_MATTER)) => "x".to_owned(),
        (_, Some(SAME)) => "=".to_owned(),
        (_, Some(EMPTY)) => "_".to_owned(),
        (Some(effect), _) if entry.beyond_null() || entry.p.is_none() => {
            percent(entry.share.unwrap_or(effect.estimate))
        }
        _ => ".".to_owned(),
    }
}
