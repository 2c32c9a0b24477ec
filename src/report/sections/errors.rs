//! What kinds of errors cost AP, and which classes are taken for each other.

use crate::eval::{Confusion, EvalInput};
use crate::report::Report;
use crate::report::page::Section;
use crate::report::svg::{Bar, bars};
use crate::report::text::{escape, number};

/// Classes that a matrix on a page can hold; of more the largest are shown.
const MOST_CLASSES: usize = 20;

pub(super) fn tide(report: &Report<'_>) -> Option<Section> {
    let tide = &report.diagnosis.as_ref()?.tide;
    let mut rows: Vec<Bar> = tide
        .bars
        .iter()
        .map(|bar| Bar {
            name: bar.kind.label().into(),
            value: bar.delta_ap,
            text: format!("{} ({})", number(bar.delta_ap), bar.count),
            interval: None,
            colour: 0,
        })
        .collect();
    for (name, delta) in [
        ("all false positives", tide.false_positive_delta),
        ("all misses", tide.false_negative_delta),
    ] {
        rows.push(Bar {
            name: name.into(),
            value: delta,
            text: number(delta),
            interval: None,
            colour: 4,
        });
    }
    let body = format!(
        "<p class=\"weak\">AP at IoU {:.2} is {}; each bar is what it would gain without errors of that kind, with their \
         number in brackets (TIDE). Background is an overlap below {:.1}.</p><figure>{}</figure>",
        tide.positive_iou,
        number(tide.ap),
        tide.background_iou,
        bars("AP that each kind of error costs", &rows)
    );
    Some(Section {
        id: "errors",
        title: "Kinds of errors",
        body,
    })
}

pub(super) fn confusion(report: &Report<'_>) -> Option<Section> {
    let input = report.primary()?.input();
    let confusion = &report.diagnosis.as_ref()?.confusion;
    let shown = shown_classes(confusion);
    if shown.is_empty() {
        return None;
    }
    let mut body = format!(
        "<p class=\"weak\">Rows are annotations, columns what the model calls them; detections from score {:.2} at IoU \
         {:.2}. Colours are shares of the row.</p>",
        confusion.rule.min_score, confusion.rule.iou
    );
    if shown.len() < confusion.classes {
        body.push_str(&format!(
            "<p class=\"weak\">The {} largest of {} classes.</p>",
            shown.len(),
            confusion.classes
        ));
    }
    body.push_str(&matrix(input, confusion, &shown));
    Some(Section {
        id: "confusion",
        title: "Confusion matrix",
        body,
    })
}

/// Classes with most annotations and detections, in the set's order.
fn shown_classes(confusion: &Confusion) -> Vec<usize> {
    let side = 0..=confusion.classes;
    let weight = |class: usize| -> u64 {
        let row = side.clone().map(|other| confusion.count(class, other));
        let column = side.clone().map(|other| confusion.count(other, class));
        row.chain(column).sum()
    };
    let mut classes: Vec<(u64, usize)> = (0..confusion.classes)
        .map(|class| (weight(class), class))
        .filter(|&(weight, _)| weight > 0)
        .collect();
    classes.sort_by_key(|&(weight, class)| (std::cmp::Reverse(weight), class));
    classes.truncate(MOST_CLASSES);
    let mut shown: Vec<usize> = classes.into_iter().map(|(_, class)| class).collect();
    shown.sort_unstable();
    shown
}

fn matrix(input: &EvalInput, confusion: &Confusion, shown: &[usize]) -> String {
    let background = confusion.classes;
    let sides: Vec<usize> = shown.iter().copied().chain([background]).collect();
    let name = |class: usize| {
        if class == background {
            "background".into()
        } else {
            input.classes.name(class)
        }
    };
    let apart = |class: usize| {
        if class == background {
            " class=\"apart\""
        } else {
            ""
        }
    };
    let mut html = String::from("<table class=\"matrix\"><thead><tr><th></th>");
    for &column in &sides {
        let text = name(column);
        html.push_str(&format!(
            "<th{}><span>{}</span></th>",
            apart(column),
            escape(&text)
        ));
    }
    html.push_str("</tr></thead><tbody>");
    for &row in &sides {
        let total: u64 = (0..=background).map(|c| confusion.count(row, c)).sum();
        let row_name = name(row);
        html.push_str(&format!("<tr{}><th>{}</th>", apart(row), escape(&row_name)));
        for &column in &sides {
            html.push_str(&matrix_cell(
                confusion.count(row, column),
                total,
                apart(column),
                &format!("annotated {row_name}, predicted {}", name(column)),
            ));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    html
}

fn matrix_cell(count: u64, total: u64, class: &str, title: &str) -> String {
    if count == 0 {
        return format!("<td{class}></td>");
    }
    let share = count as f64 / total.max(1) as f64;
    format!(
        "<td{class} style=\"--share:{share:.3}\" title=\"{}: {count}\">{count}</td>",
        escape(title)
    )
}
