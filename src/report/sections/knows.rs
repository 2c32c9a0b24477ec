//! Does the model know which of its masks are good: reliability, headroom, agreement, thresholds.

use crate::eval::knows::calibration::Bins;
use crate::eval::knows::correlation::Agreement;
use crate::eval::knows::headroom::ApTable;
use crate::eval::knows::rankings::Ranking;
use crate::eval::knows::thresholds::Olrp;
use crate::report::Report;
use crate::report::page::Section;
use crate::report::svg::{Bar, Lines, Series, bars};
use crate::report::text::{bar_cell, cell, count_cell, escape, number, optional};

/// Which of the page's series colours a number has, the same in every chart.
fn colour(ranking: Ranking) -> u8 {
    match ranking {
        Ranking::Score => 0,
        Ranking::MaskIou => 1,
        Ranking::IouScore => 2,
        Ranking::Recalibrated => 3,
        Ranking::MeasuredIou => 4,
    }
}

/// Reliability of `mask_iou` against measured IoU, and of each score against precision.
pub(super) fn calibration(report: &Report<'_>) -> Option<Section> {
    let calibration = &report.analysis.as_ref()?.calibration;
    let at = calibration.iou_threshold;
    let mut diagrams = vec![(
        &calibration.mask_iou,
        "measured IoU",
        "mask IoU against measured IoU".to_owned(),
    )];
    diagrams.extend(calibration.precision.iter().map(|diagram| {
        let name = diagram.number.label();
        let caption = format!("{name} against precision at IoU {at:.2}");
        (diagram, "precision", caption)
    }));
    let mut charts = String::new();
    let mut absent = String::new();
    for (diagram, y, caption) in diagrams {
        match &diagram.reliability {
            Some(reliability) => {
                charts.push_str(&reliability_chart(
                    diagram.number,
                    &reliability.all,
                    y,
                    &caption,
                ));
            }
            None => absent.push_str(&format!(
                "<p class=\"weak\">{caption}: – {}</p>",
                escape(diagram.reason.as_deref().unwrap_or_default())
            )),
        }
    }
    Some(Section {
        id: "calibration",
        title: "Reliability",
        body: format!("<div class=\"charts\">{charts}</div>{absent}"),
    })
}

fn reliability_chart(number_of: Ranking, all: &Bins, y: &str, caption: &str) -> String {
    let Bins {
        count,
        ece,
        bias,
        bins,
        ..
    } = all;
    let filled = bins.iter().filter(|bin| bin.count > 0);
    let series = Series {
        name: number_of.label().into(),
        colour: colour(number_of),
        points: filled
            .map(|bin| (bin.mean_predicted, bin.mean_actual))
            .collect(),
    };
    let counts: Vec<f64> = bins
        .iter()
        .map(|bin| bin.count as f64 / (*count).max(1) as f64)
        .collect();
    let chart = Lines {
        title: caption,
        x: number_of.label(),
        y,
        series: &[series],
        diagonal: true,
        counts: &counts,
    };
    format!(
        "<figure><figcaption>{}: ECE {}, bias {bias:+.3}, {count} detections</figcaption>{}</figure>",
        escape(caption),
        number(*ece),
        chart.to_html()
    )
}

/// AP by other rankings of the same masks.
pub(super) fn headroom(report: &Report<'_>) -> Option<Section> {
    let headroom = &report.analysis.as_ref()?.headroom;
    let half = format!(
        "the {} images on which nothing was fitted",
        headroom.test_half.images
    );
    let body = format!(
        "<p class=\"weak\">Mask AP if other numbers ranked the same masks; whiskers are 95 % intervals over resampled \
         images. Ranking by measured IoU is what a head that knew the IoU could reach.</p><div class=\"charts\">{}{}</div>{}",
        ap_bars("all images", &headroom.all),
        ap_bars(&half, &headroom.test_half),
        ap_rows(&headroom.all)
    );
    Some(Section {
        id: "headroom",
        title: "Ranking headroom",
        body,
    })
}

fn ap_bars(caption: &str, table: &ApTable) -> String {
    let rows: Vec<Bar> = table
        .rankings
        .iter()
        .map(|row| {
            let estimate = row.ap.as_ref().and_then(|ap| ap.all);
            Bar {
                name: row.ranking.label().into(),
                value: estimate.map_or(0.0, |estimate| estimate.ap),
                text: estimate.map_or("–".into(), |estimate| {
                    format!("{} ({:+.3})", number(estimate.ap), estimate.over_score)
                }),
                interval: estimate
                    .and_then(|estimate| estimate.interval)
                    .map(|interval| (interval.low, interval.high)),
                colour: colour(row.ranking),
            }
        })
        .collect();
    format!(
        "<figure><figcaption>{}; in brackets what it gains over score</figcaption>{}</figure>",
        escape(caption),
        bars(&format!("Mask AP by ranking, {caption}"), &rows)
    )
}

fn ap_rows(table: &ApTable) -> String {
    let mut html = String::from(
        "<h3>By size, all images</h3><table><thead><tr><th>Ranked by</th><th class=\"n\">AP</th><th class=\"n\">95 % interval</th>\
         <th class=\"n\">Over score</th><th class=\"n\">95 % interval</th><th class=\"n\">Small</th>\
         <th class=\"n\">Medium</th><th class=\"n\">Large</th></tr></thead><tbody>",
    );
    for row in &table.rankings {
        html.push_str(&format!("<tr><td>{}</td>", escape(row.ranking.label())));
        let Some(aps) = &row.ap else {
            let reason = row.reason.as_deref().unwrap_or_default();
            html.push_str(&format!(
                "<td colspan=\"7\" class=\"weak\">– {}</td></tr>",
                escape(reason)
            ));
            continue;
        };
        let interval = |interval: Option<crate::eval::knows::resample::Interval>| {
            interval.map_or("–".into(), |i| format!("{:.3} to {:.3}", i.low, i.high))
        };
        let all = aps.all;
        html.push_str(&cell(all.map(|all| all.ap), "no annotation"));
        html.push_str(&format!(
            "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
            interval(all.and_then(|all| all.interval)),
            all.map_or("–".into(), |all| format!("{:+.3}", all.over_score)),
            interval(all.and_then(|all| all.over_score_interval))
        ));
        for ap in [aps.small, aps.medium, aps.large] {
            html.push_str(&cell(ap, "no annotation of this size"));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    html
}

/// Correlation with measured IoU, and the head against what is free.
pub(super) fn agreement(report: &Report<'_>) -> Option<Section> {
    let analysis = report.analysis.as_ref()?;
    let mut body = String::from(
        "<table><thead><tr><th>Number</th><th>Over</th><th class=\"n\">Detections</th><th class=\"n\">Spearman</th>\
         <th class=\"n\">Mean error</th><th class=\"n\">Bias</th></tr></thead><tbody>",
    );
    for row in &analysis.correlation.numbers {
        let name = row.number.label();
        match (&row.all, &row.reason) {
            (None, reason) => body.push_str(&format!(
                "<tr><td>{name}</td><td colspan=\"5\" class=\"weak\">– {}</td></tr>",
                escape(reason.as_deref().unwrap_or_default())
            )),
            (Some(all), _) => {
                body.push_str(&agreement_row(name, "all detections", all));
                if let Some(found) = &row.found {
                    body.push_str(&agreement_row(name, "measured IoU from .50", found));
                }
            }
        }
    }
    body.push_str("</tbody></table>");
    body.push_str("<h3>Does the mask-IoU head beat what is free?</h3>");
    match (&analysis.baselines.found, &analysis.baselines.reason) {
        (Some(found), _) => {
            body.push_str(&format!(
                "<p>{}</p><table><thead><tr><th>Estimate</th><th>Over</th><th class=\"n\">Detections</th>\
                 <th class=\"n\">Spearman</th><th class=\"n\">Mean error</th><th class=\"n\">Bias</th></tr></thead><tbody>",
                found.head_beats_free.label()
            ));
            for (name, estimate) in [
                ("mask IoU", &found.mask_iou),
                ("mask stability", &found.stability),
                ("mean foreground", &found.mean_foreground),
            ] {
                let over = "measured IoU from .50";
                body.push_str(&agreement_row(name, over, &estimate.agreement));
            }
            body.push_str("</tbody></table>");
        }
        (None, reason) => body.push_str(&format!(
            "<p class=\"weak\">– {}</p>",
            escape(reason.as_deref().unwrap_or("nothing is measured"))
        )),
    }
    Some(Section {
        id: "agreement",
        title: "Agreement with measured IoU",
        body,
    })
}

fn agreement_row(name: &str, over: &str, agreement: &Agreement) -> String {
    format!(
        "<tr><td>{}</td><td class=\"weak\">{over}</td>{}{}<td class=\"n\">{}</td><td class=\"n\">{:+.3}</td></tr>",
        escape(name),
        count_cell(agreement.count),
        match agreement.spearman {
            Some(value) => format!("<td class=\"n\">{value:.3}</td>"),
            None => cell(None, "one of the two does not vary"),
        },
        number(agreement.mae),
        agreement.bias
    )
}

/// oLRP of masks and the threshold that each class should ship with.
pub(super) fn thresholds(report: &Report<'_>) -> Option<Section> {
    let thresholds = &report.analysis.as_ref()?.thresholds;
    let primary = report.primary()?;
    let kind = primary.setup.kind;
    let tables: Vec<(Ranking, &Olrp)> = [Ranking::Score, Ranking::IouScore]
        .into_iter()
        .filter_map(|ranking| Some((ranking, thresholds.of(kind, ranking)?)))
        .collect();
    let (_, first) = tables.first()?;
    let mut body = format!(
        "<p class=\"weak\">The threshold per class below which {} do more harm than good: it minimises oLRP (0 is perfect, 1 \
         is useless) at IoU {:.2}.</p><p>Mean oLRP: ",
        if kind == crate::eval::Kind::Segm {
            "masks"
        } else {
            "boxes"
        },
        first.iou_threshold
    );
    let means: Vec<String> = tables
        .iter()
        .map(|(ranking, olrp)| format!("{} by {}", optional(olrp.mean.olrp), ranking.label()))
        .collect();
    body.push_str(&means.join(", "));
    body.push_str(
        "</p><table class=\"sortable\"><thead><tr><th>Class</th><th class=\"n\">Annotations</th>",
    );
    for (ranking, _) in &tables {
        body.push_str(&format!(
            "<th class=\"n\">Threshold on {0}</th><th class=\"n\">oLRP by {0}</th>",
            ranking.label()
        ));
    }
    body.push_str("</tr></thead><tbody>");
    for (row, class) in first.per_class.iter().enumerate() {
        body.push_str(&format!(
            "<tr><td class=\"long\">{}</td>",
            escape(&class.class)
        ));
        body.push_str(&count_cell(class.truths as usize));
        for (_, olrp) in &tables {
            let of_class = olrp.per_class.get(row);
            let threshold = of_class.and_then(|of| of.threshold);
            body.push_str(&cell(threshold, "keeping nothing is best"));
            let value = of_class.and_then(|of| of.components.olrp);
            body.push_str(&bar_cell(value, "no annotation"));
        }
        body.push_str("</tr>");
    }
    body.push_str("</tbody></table>");
    Some(Section {
        id: "thresholds",
        title: "Which threshold to ship",
        body,
    })
}
