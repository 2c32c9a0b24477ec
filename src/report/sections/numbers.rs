//! The twelve numbers of each kind.

use crate::eval::CocoNumbers;
use crate::report::page::Section;
use crate::report::text::bar_cell;
use crate::report::{KindView, Report};

/// What each of the numbers is, in their order.
const MEANINGS: [&str; 12] = [
    "mean of IoU .50 to .95, all areas",
    "at IoU .50",
    "at IoU .75",
    "areas up to 32² px",
    "areas of 32² to 96² px",
    "areas from 96² px",
    "recall with 1 detection a class and image",
    "recall with 10 detections",
    "recall with 100 detections",
    "recall, areas up to 32² px",
    "recall, areas of 32² to 96² px",
    "recall, areas from 96² px",
];

pub(super) fn section(report: &Report<'_>) -> Option<Section> {
    let kinds: Vec<&KindView<'_>> = report.kinds().collect();
    if kinds.is_empty() {
        return None;
    }
    let mut body = String::from("<table><thead><tr><th>Number</th><th>What it is</th>");
    for kind in &kinds {
        let rank_by = kind.rank_by;
        let name = kind.setup.kind.key();
        body.push_str(&format!(
            "<th class=\"n\">{name}, ranked by <code>{rank_by}</code></th>"
        ));
    }
    body.push_str("</tr></thead><tbody>");
    for (at, (key, meaning)) in CocoNumbers::KEYS.iter().zip(MEANINGS).enumerate() {
        body.push_str(&format!(
            "<tr><td>{key}</td><td class=\"weak\">{meaning}</td>"
        ));
        for kind in &kinds {
            let value = kind.numbers.0.get(at).copied();
            body.push_str(&bar_cell(value, "the set has no such annotation"));
        }
        body.push_str("</tr>");
    }
    body.push_str("</tbody></table>");
    Some(Section {
        id: "numbers",
        title: "COCO numbers",
        body,
    })
}
