//! AP of each class.

use crate::eval::Area;
use crate::report::page::Section;
use crate::report::text::{bar_cell, cell, count_cell, escape};
use crate::report::{KindView, Report};

const NO_TRUTH: &str = "the class has no annotation";
/// Index of IoU .75.
const AT_75: usize = 5;

pub(super) fn section(report: &Report<'_>) -> Option<Section> {
    let primary = report.primary()?;
    let input = primary.input();
    let other = report
        .kinds()
        .find(|kind| kind.setup.kind != primary.setup.kind);
    let name = primary.setup.kind.key();
    let mut body = String::from("<table class=\"sortable\"><thead><tr><th>Class</th>");
    body.push_str("<th class=\"n\">Annotations</th><th class=\"n\">Detections</th>");
    body.push_str(&format!(
        "<th class=\"n\">{name} AP</th><th class=\"n\">AP50</th><th class=\"n\">AP75</th><th class=\"n\">AR</th>"
    ));
    if let Some(other) = other {
        body.push_str(&format!(
            "<th class=\"n\">{} AP</th>",
            other.setup.kind.key()
        ));
    }
    body.push_str("</tr></thead><tbody>");
    let detections = detections_by_class(primary);
    for (label, class) in input.classes.names.iter().enumerate() {
        let curves = primary.curves;
        let truths = primary
            .matches
            .truths
            .get(label)
            .map_or(0, |counts| counts[0]);
        body.push_str(&format!("<tr><td class=\"long\">{}</td>", escape(class)));
        body.push_str(&count_cell(truths as usize));
        body.push_str(&count_cell(detections.get(label).copied().unwrap_or(0)));
        body.push_str(&bar_cell(Some(curves.class_ap(label, Area::All)), NO_TRUTH));
        for threshold in [0, AT_75] {
            let ap = curves.class_ap_at(label, Area::All, threshold);
            body.push_str(&cell(Some(ap), NO_TRUTH));
        }
        body.push_str(&cell(Some(curves.class_ar(label, Area::All)), NO_TRUTH));
        if let Some(other) = other {
            let ap = other.curves.class_ap(label, Area::All);
            body.push_str(&bar_cell(Some(ap), NO_TRUTH));
        }
        body.push_str("</tr>");
    }
    body.push_str("</tbody></table>");
    Some(Section {
        id: "classes",
        title: "Classes",
        body,
    })
}

/// Detections that count, at most 100 a class and image.
fn detections_by_class(kind: &KindView<'_>) -> Vec<usize> {
    let input = kind.input();
    let mut counts = vec![0; input.classes.len()];
    let slots = kind.setup.cells.detections.iter();
    for (&detection, &rank) in slots.zip(&kind.matches.rank_in_cell) {
        let label = input.detections.get(detection as usize).map(|d| d.label);
        if rank != crate::eval::NOT_COUNTED
            && let Some(count) = label.and_then(|label| counts.get_mut(label as usize))
        {
            *count += 1;
        }
    }
    counts
}
