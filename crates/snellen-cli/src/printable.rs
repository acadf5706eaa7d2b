//! Text that a terminal shows and does not obey, however it came to be: names in files, pictures and servers' answers are echoed.

use std::fmt::Write;

/// The most characters of a line.
const LONGEST: usize = 4_000;

/// How many of a longer one are its end.
const END: usize = 500;

/// `text` with its lines, where characters that would move the cursor, change colours or turn the direction of writing are escaped as
/// JSON escapes them: a JSON document means the same as before.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) {
            // None of them is beyond 16 bits.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The same in one line.
pub fn line(text: &str) -> String {
    cut(&printable(&text.lines().map(str::trim).collect::<Vec<_>>().join(" ")))
}

/// The same, where every line is cut in its middle that is too long to be read.
pub fn lines(text: &str) -> String {
    printable(text).split('\n').map(cut).collect::<Vec<_>>().join("\n")
}

fn cut(line: &str) -> String {
    let count = line.chars().count();
    if count <= LONGEST {
        return line.to_owned();
    }
    let begin: String = line.chars().take(LONGEST - END).collect();
    let end: String = line.chars().skip(count - END).collect();
    format!("{begin} [{} characters more] {end}", count - LONGEST)
}

fn obeyed(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{line, lines, printable};

    #[test]
    fn nothing_is_obeyed_and_json_stays_json() {
        let hostile = "a\u{1b}[31mb\rc\u{7}\u{9b}2J\u{202e}\u{7f}d\té";
        assert_eq!(line(hostile), "a\\u001b[31mb\\u000dc\\u0007\\u009b2J\\u202e\\u007fd\té");
        let json = serde_json::to_string_pretty(&serde_json::json!({ "name": hostile })).unwrap();
        let shown = printable(&json);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap()["name"], hostile);
    }

    #[test]
    fn long_lines_are_cut_in_their_middle() {
        let said = line(&format!("file.json: expected a number, got {}; go on", "x".repeat(100_000)));
        assert!(said.starts_with("file.json: expected a number, got x") && said.ends_with("x; go on"), "{said}");
        assert!(said.len() < 4_100, "{}", said.len());
        assert_eq!(line("a\n  b \n"), "a b");
        assert_eq!(lines("a\n  b\n"), "a\n  b\n");
    }
}
