//! Ranking headroom: what AP would be if another number ranked the same masks; and how well each number knows the IoU.

use egui::{Grid, RichText, ScrollArea, Ui};

use crate::document::eval::knows;
use crate::document::eval::knows::baselines::{Baselines, EstimateAgreement};
use crate::document::eval::knows::correlation::Correlation;
use crate::document::eval::knows::headroom::{ApTable, Estimate, RankingAp};
use crate::document::eval::knows::rankings::Ranking;
use crate::document::eval::knows::resample::Interval;
use crate::document::ranking::RankBy;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged::{absent, figure, signed};
use crate::ui::plot::{Bar, Bars, MISSING, Range};
use crate::ui::{theme, widgets};

/// Height of the five bars with their heading.
pub const BARS: f32 = 152.0;

/// Which masks the bars are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All.
    #[default]
    All,
    /// Small masks.
    Small,
    /// Medium masks.
    Medium,
    /// Large masks.
    Large,
}

impl Part {
    const EACH: [Self; 4] = [Self::All, Self::Small, Self::Medium, Self::Large];

    fn label(self) -> &'static str {
        match self {
            Self::All => "all sizes",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

/// What the bars are about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadroomView {
    /// Sizes.
    pub part: Part,
    /// A class; `None`: their mean.
    pub class: Option<usize>,
    /// On the half of the images on which nothing was fitted.
    pub test_half: bool,
}

/// The five bars; a click ranks by that number.
pub fn bars_ui(
    ui: &mut Ui,
    table: &ApTable,
    shown: &HeadroomView,
    rank_by: RankBy,
    out: &mut CommandQueue,
) {
    let c = theme::colours(ui);
    let has_intervals = table.rankings.iter().any(|row| ap(row, shown).1.is_some());
    let intervals = match (has_intervals, shown.part) {
        (false, _) => String::new(),
        (true, Part::All) => format!(", 95 % intervals of {} resamples", table.resamples),
        (true, _) => ", 95 % intervals".to_owned(),
    };
    let images = widgets::thousands(table.images);
    let heading = format!("Ranking headroom · mask AP of {images} images{intervals}");
    ui.label(RichText::new(heading).size(theme::SMALL).color(c.weak));
    let first = table.rankings.first().and_then(|row| ap(row, shown).0);
    let rows: Vec<Bar<'_>> = table
        .rankings
        .iter()
        .map(|row| {
            let (value, interval) = ap(row, shown);
            let is_limit = row.ranking == Ranking::MeasuredIou;
            Bar {
                interval: interval.map(|it| [it.low, it.high]),
                delta: value.zip(first).map(|(value, first)| value - first),
                colour: is_limit.then_some(c.weak),
                selected: known(row.ranking) == Some(rank_by),
                hint: hint(row),
                ..Bar::new(name(row.ranking), value)
            }
        })
        .collect();
    let most = rows
        .iter()
        .filter_map(|row| Some(row.interval?[1]).or(row.value));
    let most = most.fold(0.1, f64::max);
    let bars = Bars {
        name: "Ranking headroom",
        rows: &rows,
        range: Range::between(0.0, (most * 10.0).ceil() / 10.0),
        decimals: 3,
        most_height: 240.0,
        empty: "There is no mask AP to compare",
    };
    let clicked = bars.show(ui).and_then(|at| table.rankings.get(at));
    if let Some(by) = clicked.and_then(|row| known(row.ranking)) {
        out.push(Command::SetRankBy(by));
    }
}

fn name(ranking: Ranking) -> &'static str {
    match ranking {
        Ranking::MeasuredIou => "measured IoU (limit)",
        other => other.label(),
    }
}

/// The ranking that the window offers.
fn known(ranking: Ranking) -> Option<RankBy> {
    match ranking {
        Ranking::Score => Some(RankBy::Score),
        Ranking::MaskIou => Some(RankBy::MaskIou),
        Ranking::IouScore => Some(RankBy::IouScore),
        Ranking::Recalibrated | Ranking::MeasuredIou => None,
    }
}

fn hint(row: &RankingAp) -> String {
    if let Some(reason) = &row.reason {
        return reason.clone();
    }
    match row.ranking {
        Ranking::Recalibrated => "Score and mask IoU, each mapped to what it turned out to mean on the other half of the images, multiplied".into(),
        Ranking::MeasuredIou => "If the model knew how good each mask is: what a better ranking could gain at most".into(),
        _ => "Click: rank by it".into(),
    }
}

fn ap(row: &RankingAp, shown: &HeadroomView) -> (Option<f64>, Option<Interval>) {
    let Some(aps) = &row.ap else {
        return (None, None);
    };
    let (all, sizes) = match shown.class {
        None => (aps.all, [aps.small, aps.medium, aps.large]),
        Some(label) => match aps.per_class.iter().find(|of| of.label == label) {
            Some(of) => (of.all, [of.small, of.medium, of.large]),
            None => return (None, None),
        },
    };
    let [small, medium, large] = sizes;
    let of_all = |at: usize| aps.size_intervals[at].filter(|_| shown.class.is_none());
    match shown.part {
        Part::All => (all.map(|it| it.ap), all.and_then(|it| it.interval)),
        Part::Small => (small, of_all(0)),
        Part::Medium => (medium, of_all(1)),
        Part::Large => (large, of_all(2)),
    }
}

/// Everything about rankings: the bars with their choices, what they mean, the classes, the agreement with measured IoU.
pub fn headroom_ui(
    ui: &mut Ui,
    known: &knows::Analysis,
    shown: &mut HeadroomView,
    rank_by: RankBy,
    out: &mut CommandQueue,
) {
    ScrollArea::vertical()
        .id_salt("headroom")
        .auto_shrink([false, false])
        .show(ui, |ui| {
            let table = match shown.test_half {
                true => &known.headroom.test_half,
                false => &known.headroom.all,
            };
            choices(ui, table, shown);
            bars_ui(ui, table, shown, rank_by, out);
            ui.label(RichText::new(meaning(&known.headroom.all)).size(theme::BODY));
            ui.add_space(3.0 * theme::GRID);
            agreement_ui(ui, &known.correlation);
            ui.add_space(3.0 * theme::GRID);
            free_ui(ui, &known.baselines);
            ui.add_space(3.0 * theme::GRID);
            classes_ui(ui, table, shown);
        });
}

fn choices(ui: &mut Ui, table: &ApTable, shown: &mut HeadroomView) {
    ui.horizontal(|ui| {
        for part in Part::EACH {
            ui.selectable_value(&mut shown.part, part, part.label());
        }
        ui.add_space(2.0 * theme::GRID);
        let class = |label: usize| {
            let rows = table.rankings.iter().filter_map(|row| row.ap.as_ref());
            let mut classes = rows.flat_map(|aps| &aps.per_class);
            classes
                .find(|of| of.label == label)
                .map(|of| of.class.clone())
        };
        if let Some(label) = shown.class {
            let name = class(label).unwrap_or_default();
            if ui
                .button(format!("{name}  {}", crate::ui::icons::X))
                .on_hover_text("All classes")
                .clicked()
            {
                shown.class = None;
            }
        }
        ui.checkbox(&mut shown.test_half, "test half only")
            .on_hover_text("Only the half of the images on which nothing was fitted");
    });
}

/// The bars in a sentence.
fn meaning(table: &ApTable) -> String {
    let of = |ranking| table.of(ranking).and_then(|aps| aps.all);
    let (Some(score), Some(limit)) = (of(Ranking::Score), of(Ranking::MeasuredIou)) else {
        return "There is no mask AP to compare.".into();
    };
    let gain = |estimate: Estimate| {
        let sure = match estimate.over_score_interval {
            Some(it) if it.is_positive() => "better for certain",
            Some(it) if it.is_negative() => "worse for certain",
            _ => "within the noise",
        };
        format!("{} ({sure})", signed(estimate.over_score))
    };
    let product = of(Ranking::IouScore).map(|it| format!("iou score {} ", gain(it)));
    let recalibrated =
        of(Ranking::Recalibrated).map(|it| format!("recalibrated product {} ", gain(it)));
    let parts: Vec<String> = product.into_iter().chain(recalibrated).collect();
    let parts = match parts.is_empty() {
        true => "no other ranking can be made".to_owned(),
        false => parts.join("· ").trim_end().to_owned(),
    };
    format!(
        "Against score ({}): {parts}. A perfect knowledge of each mask's IoU would give {}.",
        figure(Some(score.ap)),
        signed(limit.ap - score.ap)
    )
}

fn header(ui: &mut Ui, names: &[&str]) {
    let c = theme::colours(ui);
    for name in names {
        ui.label(RichText::new(*name).size(theme::SMALL).color(c.weak));
    }
    ui.end_row();
}

/// Does a number know the IoU?
fn agreement_ui(ui: &mut Ui, correlation: &Correlation) {
    widgets::section(ui, "Does the number know the mask's IoU?");
    Grid::new("agreement")
        .num_columns(6)
        .spacing([20.0, 4.0])
        .show(ui, |ui| {
            header(
                ui,
                &[
                    "against measured IoU",
                    "Spearman",
                    "of found",
                    "Pearson",
                    "mean error",
                    "bias",
                ],
            );
            for row in &correlation.numbers {
                let all = row.all.as_ref();
                let label = ui.label(row.number.label());
                if let Some(reason) = &row.reason {
                    label.on_hover_text(reason);
                }
                let found = row.found.as_ref().and_then(|it| it.spearman);
                ui.label(number(all.and_then(|it| it.spearman)));
                ui.label(number(found));
                ui.label(number(all.and_then(|it| it.pearson)));
                ui.label(number(all.map(|it| it.mae)));
                ui.label(all.map_or_else(|| MISSING.to_owned(), |it| signed(it.bias)));
                ui.end_row();
            }
        });
}

fn number(value: Option<f64>) -> String {
    match value.filter(|it| it.is_finite()) {
        Some(value) if value < 0.0 => signed(value),
        value => figure(value),
    }
}

/// Does the head beat what is free?
fn free_ui(ui: &mut Ui, baselines: &Baselines) {
    widgets::section(ui, "Does the mask-IoU head beat what is free?");
    let Some(all) = &baselines.all else {
        let why = "There is nothing to compare";
        return absent(ui, baselines.reason.as_deref().unwrap_or(why));
    };
    ui.label(format!("{}.", all.head_beats_free.label()));
    let interval = |it: Option<Interval>| {
        it.map_or_else(String::new, |it| {
            format!("  {} to {}", number(Some(it.low)), number(Some(it.high)))
        })
    };
    Grid::new("free")
        .num_columns(3)
        .spacing([20.0, 4.0])
        .show(ui, |ui| {
            header(
                ui,
                &["against measured IoU", "Spearman, 95 %", "mean error, 95 %"],
            );
            let rows: [(&str, &EstimateAgreement); 3] = [
                ("mask_iou, the head", &all.mask_iou),
                ("stability between thresholds", &all.stability),
                ("mean foreground probability", &all.mean_foreground),
            ];
            for (name, row) in rows {
                ui.label(name);
                ui.label(number(row.agreement.spearman) + &interval(row.spearman_interval));
                ui.label(number(Some(row.agreement.mae)) + &interval(row.mae_interval));
                ui.end_row();
            }
        });
}

/// AP of each class by every ranking; a click shows the class in the bars.
fn classes_ui(ui: &mut Ui, table: &ApTable, shown: &mut HeadroomView) {
    let rows = table.rankings.iter();
    let mut labels: Vec<(usize, &str)> = rows
        .filter_map(|row| row.ap.as_ref())
        .flat_map(|aps| aps.per_class.iter().map(|of| (of.label, of.class.as_str())))
        .collect();
    labels.sort_unstable();
    labels.dedup();
    if labels.is_empty() {
        return;
    }
    widgets::section(ui, "By class");
    Grid::new("classes")
        .num_columns(6)
        .spacing([20.0, 4.0])
        .show(ui, |ui| {
            let rankings: Vec<&str> = table.rankings.iter().map(|row| name(row.ranking)).collect();
            header(ui, &[&["class"], rankings.as_slice()].concat());
            for (label, class) in labels {
                let row = ui.selectable_label(shown.class == Some(label), class);
                if row.on_hover_text("Show it in the bars").clicked() {
                    shown.class = Some(label).filter(|it| shown.class != Some(*it));
                }
                for row in &table.rankings {
                    let of = HeadroomView {
                        class: Some(label),
                        ..shown.clone()
                    };
                    ui.label(figure(ap(row, &of).0));
                }
                ui.end_row();
            }
        });
}
