//! `ward.html`: what was bred against what was named, and each patient's sentence.

use super::{Kind, Ward, called};
use crate::report::verdict::Failure;
use crate::{Error, Result, output};
use std::fmt::Write;
use std::path::Path;

/// What may be named, in the order of the table's columns.
pub const NAMED: [Option<Failure>; 8] = [
    None,
    Some(Failure::NotSeen),
    Some(Failure::Absent),
    Some(Failure::Entangled),
    Some(Failure::Text),
    Some(Failure::Mismatched),
    Some(Failure::Memorised),
    Some(Failure::CantTell),
];

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:left}\
td.n{text-align:right}td.right{background:#dff3df}td.wrong{background:#f8d7d7}";

pub(super) fn write(ward: &Ward, path: &Path) -> Result<()> {
    let html = html(ward).map_err(|e| Error::malformed(path.display(), e))?;
    output::write_file(path, html.as_bytes())
}

fn html(ward: &Ward) -> std::result::Result<String, std::fmt::Error> {
    let mut page = String::new();
    let right = &ward.right;
    write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>The ward</title><style>{STYLE}</style><h1>The ward</h1>\
         <p>Patients whose disease is known. The exam names {:.0} of {} right: {:.0} % [{:.0}, {:.0}].</p>\
         <h2>Bred against named</h2><table><tr><th>bred</th>",
        right.successes,
        right.n,
        100.0 * right.estimate,
        100.0 * right.lo,
        100.0 * right.hi
    )?;
    NAMED.iter().try_for_each(|failure| write!(page, "<th>{}</th>", called(*failure)))?;
    page.push_str("</tr>");
    for kind in Kind::ALL {
        if !ward.patients.iter().any(|patient| patient.kind == kind) {
            continue;
        }
        write!(page, "<tr><th>{}</th>", kind.name())?;
        for failure in NAMED {
            let class = match (ward.count(kind, failure), failure == kind.failure()) {
                (0, _) => "",
                (_, true) => " right",
                (_, false) => " wrong",
            };
            write!(page, "<td class=\"n{class}\">{}</td>", ward.count(kind, failure))?;
        }
        page.push_str("</tr>");
    }
    page.push_str("</table><h2>Patients</h2><table><tr><th>bred</th><th>stem</th><th>seed</th><th>named</th><th>in words</th></tr>");
    for patient in &ward.patients {
        let class = if patient.right { "right" } else { "wrong" };
        write!(
            page,
            "<tr><td>{}</td><td>{} ({})</td><td class=\"n\">{}</td><td class=\"{class}\">{}</td><td>{}</td></tr>",
            patient.kind.name(),
            patient.stem.name(),
            escaped(&patient.sizes),
            patient.seed,
            called(patient.named),
            escaped(&patient.verdict.sentence)
        )?;
    }
    page.push_str("</table></html>\n");
    Ok(page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
