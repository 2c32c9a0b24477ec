//! Images to look at first, and the queue of suspects.

use crate::eval::{EvalInput, ImageNumbers};
use crate::report::Report;
use crate::report::page::Section;
use crate::report::text::{bar_cell, cell, count_cell, escape};

/// Rows of a list; the CSV tables hold every image.
const ROWS: usize = 50;

/// Images of lowest AP first; of equals those with most errors.
pub(super) fn worst(report: &Report<'_>) -> Option<Section> {
    let (primary, diagnosis) = (report.primary()?, report.diagnosis.as_ref()?);
    let input = primary.input();
    let errors = |numbers: &ImageNumbers| numbers.false_positives + numbers.false_negatives;
    let mut order: Vec<(usize, &ImageNumbers)> =
        diagnosis.per_image.images.iter().enumerate().collect();
    order.retain(|(_, numbers)| numbers.ap.is_some() || errors(numbers) > 0);
    let ap = |numbers: &ImageNumbers| numbers.ap.unwrap_or(f64::INFINITY);
    order.sort_by(|(_, a), (_, b)| {
        let by_ap = ap(a).total_cmp(&ap(b));
        by_ap.then_with(|| errors(b).cmp(&errors(a)))
    });
    let mut body = String::from(
        "<p class=\"weak\">Lowest AP of the image alone first. Counts are at IoU .50; images.csv has every image.</p>\
         <table class=\"sortable\"><thead><tr><th>Image</th><th class=\"n\">AP</th>\
         <th class=\"n\">True positives</th><th class=\"n\">False positives</th><th class=\"n\">Missed</th>\
         <th class=\"n\">Mean measured IoU</th></tr></thead><tbody>",
    );
    for (image, numbers) in order.into_iter().take(ROWS) {
        let name = input.images.get(image).map_or("", |image| &image.name);
        body.push_str(&format!("<tr><td class=\"long\">{}</td>", escape(name)));
        body.push_str(&bar_cell(numbers.ap, "the image has no annotation"));
        for count in [
            numbers.true_positives,
            numbers.false_positives,
            numbers.false_negatives,
        ] {
            body.push_str(&count_cell(count as usize));
        }
        body.push_str(&cell(numbers.mean_measured_iou, "nothing is measured"));
        body.push_str("</tr>");
    }
    body.push_str("</tbody></table>");
    Some(Section {
        id: "images",
        title: "Worst images",
        body,
    })
}

/// What to look at next, with reasons.
pub(super) fn suspects(report: &Report<'_>) -> Option<Section> {
    let input = report.primary()?.input();
    let suspects = &report.diagnosis.as_ref()?.suspects;
    if suspects.list.is_empty() && suspects.without_mask_iou.is_none() {
        return None;
    }
    let mut body = String::new();
    if let Some(reason) = suspects.without_mask_iou {
        body.push_str(&format!("<p class=\"weak\">{}</p>", escape(reason)));
    }
    body.push_str(&format!(
        "<p class=\"weak\">{} in all, the strongest first.</p><table class=\"sortable\"><thead><tr><th>Suspicion</th>\
         <th>Image</th><th class=\"n\">Severity</th><th>Reason</th></tr></thead><tbody>",
        suspects.list.len()
    ));
    for suspect in suspects.list.iter().take(ROWS) {
        body.push_str(&format!(
            "<tr><td>{}</td><td class=\"long\">{}</td>{}<td>{}</td></tr>",
            suspect.kind.label(),
            escape(image_name(input, suspect.image)),
            cell(Some(suspect.severity), ""),
            escape(&suspect.reason)
        ));
    }
    body.push_str("</tbody></table>");
    Some(Section {
        id: "suspects",
        title: "What to look at next",
        body,
    })
}

fn image_name(input: &EvalInput, image: u32) -> &str {
    input
        .images
        .get(image as usize)
        .map_or("", |image| &image.name)
}
