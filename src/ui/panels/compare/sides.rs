//! Two prediction files on one set: what AP gains or loses, and which objects were won, lost or changed.

use std::sync::Arc;

use egui::{Grid, Id, RichText, Sense, Ui, vec2};

use crate::document::Document;
use crate::document::eval::knows::resample::Interval;
use crate::document::eval::{ApDeltas, ApPair, Area, Difference};
use crate::document::evaluation::{Analysis, Comparison, Evaluation, Side};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged::{self, figure, signed};
use crate::ui::panels::parts::drop_down;
use crate::ui::panels::virtual_rows::VirtualRows;
use crate::ui::picked::{Picked, PickedInstance, PickedKind};
use crate::ui::plot::MISSING;
use crate::ui::{theme, widgets};

/// Height of a row of the list.
const ROW: f32 = 22.0;

/// Which differences are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Found by B alone.
    #[default]
    Won,
    /// Found by A alone.
    Lost,
    /// Found by both, with another IoU or score.
    Changed,
    /// False positives of A that B does not have.
    Gone,
    /// False positives of B that A does not have.
    New,
}

impl Change {
    const ALL: [Self; 5] = [Self::Won, Self::Lost, Self::Changed, Self::Gone, Self::New];

    fn label(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::Gone => "false ones gone",
            Self::New => "false ones new",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Won => "Objects that B finds and A does not",
            Self::Lost => "Objects that A finds and B does not",
            Self::Changed => "Objects that both find, with another IoU or score",
            Self::Gone => "False positives of A that B does not have",
            Self::New => "False positives of B that A does not have",
        }
    }

    fn count(self, difference: &Difference) -> usize {
        match self {
            Self::Won => difference.won.len(),
            Self::Lost => difference.lost.len(),
            Self::Changed => difference.changed.len(),
            Self::Gone => difference.false_positives_gone.len(),
            Self::New => difference.false_positives_new.len(),
        }
    }
}

/// One row: where, and what of it.
struct Line {
    /// The instance on side A, or the ground truth.
    at: PickedInstance,
    image: String,
    what: String,
    numbers: String,
    /// The larger, the more it matters.
    weight: f64,
}

/// What orders the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The largest change, or the highest score, first.
    #[default]
    Largest,
    /// By class.
    Class,
    /// By image.
    Image,
}

impl Order {
    const ALL: [Self; 3] = [Self::Largest, Self::Class, Self::Image];

    fn label(self) -> &'static str {
        match self {
            Self::Largest => "largest first",
            Self::Class => "by class",
            Self::Image => "by image",
        }
    }

    fn sort(self, lines: &mut [Line]) {
        match self {
            Self::Largest => lines.sort_by(|a, b| b.weight.total_cmp(&a.weight)),
            Self::Class => lines.sort_by(|a, b| a.what.cmp(&b.what)),
            Self::Image => lines.sort_by(|a, b| a.image.cmp(&b.image)),
        }
    }
}

/// The list that is shown.
#[derive(Default)]
pub struct SidesView {
    /// Which differences.
    pub change: Change,
    /// What orders them.
    pub order: Order,
    made: Option<Made>,
}

/// The rows, while nothing changes.
struct Made {
    of: Arc<Comparison>,
    change: Change,
    order: Order,
    lines: Vec<Line>,
}

/// Deltas and differences, or how to get them, in the rest of `ui`.
pub fn sides_ui(
    ui: &mut Ui,
    doc: &Document,
    analysis: &Analysis,
    shown: &mut SidesView,
    out: &mut CommandQueue,
) {
    let Some(second) = doc.second() else {
        return nothing(ui, out);
    };
    let name = |path: Option<&std::path::Path>| {
        let name = path.and_then(|path| path.file_name());
        name.map_or_else(
            || "the model".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
    };
    ui.horizontal(|ui| {
        ui.label(format!("A  {}", name(doc.predictions_path())));
        ui.label(format!("B  {}", name(Some(&second.path))));
        if ui.button("Close B").clicked() {
            out.push(Command::CloseComparison);
        }
        ui.weak("W: wipe");
    });
    let Some(comparison) = &analysis.comparison else {
        match judged::is_working(doc) || doc.evaluation(Side::B).is_none() {
            true => judged::progress(ui, doc),
            false => judged::absent(ui, "The two files cannot be compared; the log says why"),
        }
        return;
    };
    deltas(ui, comparison, &analysis.evaluation);
    ui.add_space(2.0 * theme::GRID);
    list(ui, comparison, &analysis.evaluation, shown, out);
}

fn nothing(ui: &mut Ui, out: &mut CommandQueue) {
    judged::absent(
        ui,
        "A second prediction file of the same set shows which objects it wins and loses, and whether AP changed for certain.",
    );
    ui.add_space(theme::GRID);
    let command = Command::ComparePredictions;
    if ui.button(command.label().into_owned()).clicked() {
        out.push(command);
    }
}

fn deltas(ui: &mut Ui, comparison: &Comparison, evaluation: &Evaluation) {
    let c = theme::colours(ui);
    let parts: Vec<&str> = Area::ALL.iter().map(|area| area.key()).collect();
    Grid::new("deltas")
        .num_columns(6)
        .spacing([16.0, 4.0])
        .show(ui, |ui| {
            for name in [&["AP, B less A"], parts.as_slice(), &["95 % interval"]].concat() {
                ui.label(RichText::new(name).size(theme::SMALL).color(c.weak));
            }
            ui.end_row();
            delta_row(ui, "masks", &comparison.segm, comparison.segm_interval);
            delta_row(ui, "boxes", &comparison.bbox, comparison.bbox_interval);
        });
    let worst = best_and_worst(comparison, evaluation);
    if !worst.is_empty() {
        ui.add(egui::Label::new(RichText::new(worst).color(c.weak)).truncate());
    }
}

fn delta_row(ui: &mut Ui, name: &str, deltas: &ApDeltas, interval: Option<Interval>) {
    let c = theme::colours(ui);
    ui.label(name);
    for pair in &deltas.areas {
        let hint = |pair: &ApPair| format!("A {}, B {}", figure(pair.a), figure(pair.b));
        ui.label(pair.delta().map_or_else(|| MISSING.to_owned(), signed))
            .on_hover_text(hint(pair));
    }
    let text = interval.map_or_else(
        || MISSING.to_owned(),
        |it| format!("{} to {}", signed(it.low), signed(it.high)),
    );
    let (colour, hint) = match interval {
        Some(it) if it.is_positive() => (c.success, "B is better for certain"),
        Some(it) if it.is_negative() => (c.warning, "B is worse for certain"),
        _ => (c.weak, "The difference is within the noise of the images"),
    };
    ui.colored_label(colour, text).on_hover_text(hint);
    ui.end_row();
}

/// The classes that changed most.
fn best_and_worst(comparison: &Comparison, evaluation: &Evaluation) -> String {
    let classes = &evaluation.base.input.classes;
    let deltas = comparison.segm.classes.iter().enumerate();
    let mut deltas: Vec<(f64, usize)> = deltas
        .filter_map(|(label, pair)| Some((pair.delta()?, label)))
        .filter(|(delta, _)| delta.abs() >= 0.0005)
        .collect();
    deltas.sort_by(|a, b| b.0.total_cmp(&a.0));
    let text =
        |(delta, label): &(f64, usize)| format!("{} {}", classes.name(*label), signed(*delta));
    let gains: Vec<String> = deltas
        .iter()
        .filter(|it| it.0 > 0.0)
        .take(3)
        .map(text)
        .collect();
    let losses: Vec<String> = deltas
        .iter()
        .rev()
        .filter(|it| it.0 < 0.0)
        .take(3)
        .map(text)
        .collect();
    gains
        .into_iter()
        .chain(losses)
        .collect::<Vec<_>>()
        .join(" · ")
}

fn list(
    ui: &mut Ui,
    comparison: &Arc<Comparison>,
    evaluation: &Evaluation,
    shown: &mut SidesView,
    out: &mut CommandQueue,
) {
    ui.horizontal_wrapped(|ui| {
        for change in Change::ALL {
            let count = change.count(&comparison.difference);
            let text = format!("{} {}", change.label(), widgets::thousands(count));
            let tab = ui.selectable_label(shown.change == change, text);
            if tab.on_hover_text(change.hint()).clicked() {
                shown.change = change;
            }
        }
        let unchanged = widgets::thousands(comparison.difference.unchanged);
        ui.weak(format!("unchanged {unchanged}"));
    });
    let is_made = |made: &Made| {
        Arc::ptr_eq(&made.of, comparison)
            && (made.change, made.order) == (shown.change, shown.order)
    };
    if !shown.made.as_ref().is_some_and(is_made) {
        let mut lines = lines(comparison, evaluation, shown.change);
        shown.order.sort(&mut lines);
        shown.made = Some(Made {
            of: Arc::clone(comparison),
            change: shown.change,
            order: shown.order,
            lines,
        });
    }
    let Some(Made { change, lines, .. }) = &shown.made else {
        return;
    };
    if lines.is_empty() {
        return judged::absent(ui, "There are none");
    }
    ui.horizontal(|ui| {
        if ui.button("Show these in the gallery").clicked() {
            let instances = lines.iter().map(|line| line.at).collect();
            let label = format!("{} {}", widgets::thousands(lines.len()), change.label());
            out.push(Command::Pick(Arc::new(Picked::new(label, instances))));
        }
        let order = shown.order;
        if let Some(order) = drop_down(
            ui,
            "Order of the differences",
            112.0,
            order,
            &Order::ALL,
            Order::label,
        ) {
            shown.order = order;
        }
    });
    let rows = VirtualRows {
        pitch: ROW,
        rows: lines.len(),
        reveal: None,
    };
    rows.show(ui, Id::unique("differences"), |ui, row, rect| {
        if let Some(line) = lines.get(row) {
            line_ui(ui, rect, row, line, out);
        }
    });
}

fn line_ui(ui: &mut Ui, rect: egui::Rect, row: usize, line: &Line, out: &mut CommandQueue) {
    let label = format!("{}, {}, {}", line.what, line.image, line.numbers);
    let mut child = ui.new_child(
        egui::UiBuilder::new()
            .max_rect(rect)
            .id_salt(("difference", row)),
    );
    let shown = widgets::Row {
        detail: &line.image,
        right: &line.numbers,
        ..widgets::Row::new(&line.what)
    };
    child.set_min_size(vec2(rect.width(), rect.height()));
    let response = shown.show(&mut child, ROW);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &label));
    if response.interact(Sense::click()).clicked() {
        judged::go_to(line.at, out);
    }
}

fn lines(comparison: &Comparison, a: &Evaluation, change: Change) -> Vec<Line> {
    let b = &comparison.second;
    let difference = &comparison.difference;
    let name = |of: &Evaluation, label: u32| of.base.input.classes.name(label as usize);
    let image = |of: &Evaluation, image: u32| {
        let image = of.base.input.images.get(image as usize);
        image.map(|image| image.name.clone()).unwrap_or_default()
    };
    // Instances of A can be selected; of B the ground truth or the image.
    let truth = |truth: u32, by: Option<u32>, numbers: String, weight: f64| {
        let of = a.base.input.truths.get(truth as usize)?;
        let at = by.and_then(|by| judged::of_detection(a, by));
        Some(Line {
            at: at.or_else(|| judged::of_truth(a, truth))?,
            image: image(a, of.image),
            what: name(a, of.label),
            numbers,
            weight,
        })
    };
    let falsely = |of: &Evaluation, detection: u32, is_a: bool| {
        let candidate = of.base.input.detections.get(detection as usize)?;
        let at = judged::of_detection(of, detection)?;
        let score = of.base.input.detection(detection as usize).score;
        let of_image = || PickedInstance {
            what: PickedKind::Image,
            ..at
        };
        Some(Line {
            at: if is_a { at } else { of_image() },
            image: image(of, candidate.image),
            what: name(of, candidate.label),
            numbers: format!("score {score:.2}"),
            weight: score,
        })
    };
    let lines: Vec<Option<Line>> = match change {
        Change::Won => difference
            .won
            .iter()
            .map(|it| truth(it.truth, None, format!("IoU {:.2}", it.by.iou), it.by.score))
            .collect(),
        Change::Lost => difference
            .lost
            .iter()
            .map(|it| {
                truth(
                    it.truth,
                    Some(it.by.detection),
                    format!("IoU {:.2}", it.by.iou),
                    it.by.score,
                )
            })
            .collect(),
        Change::Changed => difference
            .changed
            .iter()
            .map(|it| {
                let numbers = format!(
                    "IoU {:.2} → {:.2}, score {:.2} → {:.2}",
                    it.a.iou, it.b.iou, it.a.score, it.b.score
                );
                let change = (it.a.iou - it.b.iou)
                    .abs()
                    .max((it.a.score - it.b.score).abs());
                truth(it.truth, Some(it.a.detection), numbers, change)
            })
            .collect(),
        Change::Gone => {
            let gone = difference.false_positives_gone.iter();
            gone.map(|&it| falsely(a, it, true)).collect()
        }
        Change::New => {
            let new = difference.false_positives_new.iter();
            new.map(|&it| falsely(b, it, false)).collect()
        }
    };
    lines.into_iter().flatten().collect()
}
