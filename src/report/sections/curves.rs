//! Precision over recall, mean of the classes.

use crate::eval::{Area, iou_thresholds, recall_points};
use crate::report::page::Section;
use crate::report::svg::{Lines, Series};
use crate::report::{KindView, Report};

/// Indices of the thresholds that are drawn: .50, .75, .90.
const DRAWN: [usize; 3] = [0, 5, 8];

pub(super) fn section(report: &Report<'_>) -> Option<Section> {
    let charts: Vec<String> = report.kinds().filter_map(chart).collect();
    if charts.is_empty() {
        return None;
    }
    Some(Section {
        id: "curves",
        title: "Precision and recall",
        body: format!("<div class=\"charts\">{}</div>", charts.join("")),
    })
}

fn chart(kind: &KindView<'_>) -> Option<String> {
    let series: Vec<Series> = DRAWN
        .iter()
        .enumerate()
        .filter_map(|(colour, &threshold)| {
            let precision = kind.curves.mean_precision_curve(Area::All, threshold)?;
            let points = recall_points().iter().copied().zip(precision);
            let iou = iou_thresholds().get(threshold)?;
            Some(Series {
                name: format!("IoU {iou:.2}"),
                colour: colour as u8,
                points: points.collect(),
            })
        })
        .collect();
    if series.is_empty() {
        return None;
    }
    let name = kind.setup.kind.key();
    let title = format!("Precision over recall of {name}, mean of the classes");
    let chart = Lines {
        title: &title,
        x: "recall",
        y: "precision",
        series: &series,
        diagonal: false,
        counts: &[],
    };
    Some(format!(
        "<figure><figcaption>{name}, ranked by <code>{}</code>, mean of the classes with annotations</figcaption>{}</figure>",
        kind.rank_by,
        chart.to_html()
    ))
}
