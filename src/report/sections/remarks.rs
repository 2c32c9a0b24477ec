//! What the reader should know: notes, and what took no part.

use crate::report::Report;
use crate::report::page::Section;
use crate::report::text::escape;

/// Rows on the page; `left_out.csv` has more.
const ROWS: usize = 200;

pub(super) fn notes(report: &Report<'_>) -> Option<Section> {
    let items: Vec<String> = report
        .notes
        .iter()
        .map(|note| format!("<li>{}</li>", escape(note)))
        .collect();
    (!items.is_empty()).then(|| Section {
        id: "notes",
        title: "Notes",
        body: format!("<ul>{}</ul>", items.join("")),
    })
}

pub(super) fn left_out(report: &Report<'_>) -> Option<Section> {
    let count = report.left_out_count;
    if count == 0 {
        return None;
    }
    let mut body = format!("<p>{count} took no part");
    if count > ROWS {
        body.push_str(&format!("; the first {ROWS}, more in left_out.csv"));
    }
    body.push_str(
        "</p><table><thead><tr><th>File</th><th>What</th><th>Why</th></tr></thead><tbody>",
    );
    for row in report.left_out.iter().take(ROWS) {
        body.push_str("<tr>");
        for text in row {
            body.push_str(&format!("<td class=\"long\">{}</td>", escape(text)));
        }
        body.push_str("</tr>");
    }
    body.push_str("</tbody></table>");
    Some(Section {
        id: "left-out",
        title: "Left out",
        body,
    })
}
