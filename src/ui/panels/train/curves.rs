//! The large plot: one quantity of the selected run, and of the runs that stand beside it.

use egui::{Align, Layout, ScrollArea, Slider, Ui, vec2};

use super::TrainView;
use super::cache::Points;
use super::tiles;
use crate::document::Document;
use crate::document::training::{ApKind, CurveOptions, Over, Quantity, Run};
use crate::ui::plot::{Axis, Lines, Range, Series};
use crate::ui::{theme, widgets};

/// Points of a curve; more are not told apart.
const POINTS: usize = 1_500;
/// The strongest smoothing.
const MOST_SMOOTHING: f64 = 0.99;
/// The plot is not lower; tiles make room.
const LEAST: f32 = 140.0;

/// A curve of the large plot.
struct Curve {
    name: String,
    points: Points,
    dashed: bool,
    colour: usize,
}

/// Draws plot and tiles.
pub fn curves_ui(ui: &mut Ui, doc: &Document, view: &mut TrainView) {
    let runs = view.shown(doc);
    controls(ui, view);
    let options = CurveOptions {
        over: view.over,
        smoothing: view.smoothing,
        most: POINTS,
    };
    let space = ui.available_size();
    let tiles = tiles::height(space.x) + 3.0 * theme::GRID;
    let plot = vec2(space.x, (space.y - tiles).max(LEAST));
    // A low window scrolls.
    ScrollArea::vertical().show(ui, |ui| {
        ui.allocate_ui_with_layout(plot, Layout::top_down(Align::Min), |ui| {
            ui.set_min_size(plot);
            plot_ui(ui, view, &runs, options);
        });
        ui.add_space(2.0 * theme::GRID);
        tiles::tiles_ui(ui, view, &runs, options);
    });
}

/// From this width on the controls stand beside the title, else below it.
const BESIDE: f32 = 420.0;

fn controls(ui: &mut Ui, view: &mut TrainView) {
    let title = widgets::strong(view.quantity.label(), theme::HEADING);
    if ui.available_width() < BESIDE {
        ui.label(title);
        ui.horizontal(|ui| over_choice(ui, view, [Over::Steps, Over::Epochs]));
        ui.horizontal(|ui| smoothing(ui, view, 64.0));
        return;
    }
    ui.horizontal(|ui| {
        ui.label(title);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = theme::GRID;
            over_choice(ui, view, [Over::Epochs, Over::Steps]);
            ui.add_space(2.0 * theme::GRID);
            smoothing(ui, view, 96.0);
            let c = theme::colours(ui);
            ui.colored_label(c.weak, "smoothing");
        });
    });
}

fn over_choice(ui: &mut Ui, view: &mut TrainView, order: [Over; 2]) {
    for over in order {
        let name = match over {
            Over::Steps => "Steps",
            Over::Epochs => "Epochs",
        };
        if ui.selectable_label(view.over == over, name).clicked() {
            view.over = over;
            view.lines.view.reset();
        }
    }
}

fn smoothing(ui: &mut Ui, view: &mut TrainView, width: f32) {
    ui.spacing_mut().slider_width = width;
    let is_smoothed = view.quantity != Quantity::Ap;
    let slider = Slider::new(&mut view.smoothing, 0.0..=MOST_SMOOTHING);
    let slider = ui.add_enabled(is_smoothed, slider.fixed_decimals(2));
    slider.widget_info(|| egui::WidgetInfo::slider(is_smoothed, view.smoothing, "Smoothing"));
    slider.on_hover_text("Weight of the past in each point; 0 shows every step");
}

fn plot_ui(ui: &mut Ui, view: &mut TrainView, runs: &[&Run], options: CurveOptions) {
    let quantity = view.quantity;
    let curves = curves(view, runs, options);
    let all = || curves.iter().flat_map(|curve| curve.points.iter());
    let x = Range::covering(all().map(|point| point[0]));
    let x = x.map_or(Range::UNIT, |range| match range.width() {
        width if width > 0.0 => range,
        _ => Range::between(range.min - 0.5, range.max + 0.5),
    });
    // Losses, rates and AP are read against zero.
    let y = Range::covering(all().map(|point| point[1]).chain([0.0]));
    let y = y.map_or(Range::UNIT, Range::nice);
    let series: Vec<Series<'_>> = curves
        .iter()
        .map(|curve| Series {
            dashed: curve.dashed,
            marks: quantity == Quantity::Ap,
            colour: Some(curve.colour),
            ..Series::new(&curve.name, &curve.points)
        })
        .collect();
    let lines = Lines {
        name: "Curves of the runs",
        series: &series,
        x: Axis {
            name: match options.over {
                Over::Steps => "step",
                Over::Epochs => "epoch",
            },
            whole: x,
        },
        y: Axis {
            name: quantity.label(),
            whole: y,
        },
        diagonal: false,
        marked: None,
        empty: match quantity {
            Quantity::Ap => "AP is measured after each epoch; none has ended yet",
            _ => "The first step has not been taken yet",
        },
        decimals: [
            usize::from(options.over == Over::Epochs) * 2,
            if quantity == Quantity::LearningRate {
                6
            } else {
                3
            },
        ],
    };
    lines.show(ui, &mut view.lines);
}

fn curves(view: &mut TrainView, runs: &[&Run], options: CurveOptions) -> Vec<Curve> {
    let mut curves = Vec::new();
    // The selected run comes last: it lies on top.
    for run in runs.iter().rev() {
        let colour = view.colour(&run.folder).unwrap_or(0);
        if view.quantity != Quantity::Ap {
            curves.push(Curve {
                name: run.name.clone(),
                points: view.curves.get(run, view.quantity, options),
                dashed: false,
                colour,
            });
            continue;
        }
        // One run has a colour for each AP; several have a colour each, and the two that are compared most.
        let is_alone = runs.len() == 1;
        let kinds = if is_alone { ApKind::ALL.len() } else { 2 };
        for (at, kind) in ApKind::ALL.into_iter().enumerate().take(kinds) {
            curves.push(Curve {
                name: match is_alone {
                    true => kind.label().to_owned(),
                    false => format!("{} · {}", run.name, kind.label()),
                },
                points: run.series.ap_curve(kind, options.over).into(),
                dashed: kind != ApKind::Mask,
                colour: if is_alone { at } else { colour },
            });
        }
    }
    curves
}
