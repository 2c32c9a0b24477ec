//! The list of runs: state, progress, best AP, a small curve of the loss, and whether a run is compared.

use std::time::Duration;

use egui::{
    Align, Align2, Color32, FontId, Layout, Rect, Response, Role, ScrollArea, Sense, Shape, Stroke,
    StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use super::cache::Curves;
use crate::document::Document;
use crate::document::training::{Condition, CurveOptions, Over, Quantity, Run};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::{judged, status_bar};
use crate::ui::train_command::TrainCommand;
use crate::ui::view::ViewState;
use crate::ui::widgets::{self, thousands};
use crate::ui::{fonts, icons, theme};

/// Height of a run.
const ROW: f32 = 52.0;
/// Side of the box that compares a run.
const TICK: f32 = 14.0;
/// The small curve.
const SPARK: egui::Vec2 = vec2(64.0, 16.0);
/// Points of the small curve.
const SPARK_POINTS: usize = 48;

/// What a run does, or what became of it, in a few words.
pub fn status(run: &Run) -> String {
    let Some(record) = &run.record else {
        return run.condition.label().into();
    };
    let at = |verb: &str| match record.epoch {
        0 => verb.to_owned(),
        epoch => format!("{verb} at epoch {epoch} of {}", record.epochs),
    };
    match run.condition {
        _ if run.is_stopping => "stopping: it finishes its step and saves".into(),
        Condition::Starting => record.message.clone().unwrap_or_else(|| "starting".into()),
        Condition::Running => {
            let mut text = format!("epoch {} of {}", record.epoch, record.epochs);
            if let Some(left) = seconds_text(record.seconds_left) {
                text += &format!(" · {left} left");
            }
            text
        }
        Condition::Evaluating => match record.evaluated {
            Some((done, all)) => {
                format!("evaluating · {} of {}", thousands(done), thousands(all))
            }
            None => format!("evaluating epoch {}", record.epoch),
        },
        Condition::Finished => format!("finished · {} epochs", record.epochs),
        Condition::Failed => match &record.message {
            Some(message) => format!("failed: {message}"),
            None => at("failed"),
        },
        Condition::Stopped | Condition::Interrupted => at(run.condition.label()),
        Condition::Unreadable => "unreadable".into(),
    }
}

/// A number of seconds in the unit that matters.
pub fn seconds_text(seconds: Option<f64>) -> Option<String> {
    let duration = Duration::try_from_secs_f64(seconds?).ok()?;
    Some(status_bar::duration_text(duration))
}

/// The colour of a state.
pub fn colour_of(condition: Condition, c: &theme::Colours) -> Color32 {
    match condition {
        _ if condition.is_live() => c.accent,
        Condition::Finished => c.success,
        Condition::Failed | Condition::Unreadable => c.error,
        Condition::Interrupted => c.warning,
        _ => c.weak,
    }
}

/// The left side of the workspace.
pub fn runs_ui(ui: &mut Ui, doc: &Document, view: &mut ViewState, out: &mut CommandQueue) {
    ui.horizontal(|ui| {
        ui.label(widgets::strong("Runs", theme::HEADING));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let fine_tune = Command::Train(TrainCommand::FineTune);
            let button = ui.button(fine_tune.label().into_owned());
            if button
                .on_hover_text(widgets::command_hint(&fine_tune))
                .clicked()
            {
                out.push(fine_tune);
            }
            let open = TrainCommand::OpenFolder;
            if widgets::icon_button(ui, icons::FOLDER_OPEN, &open.label()).clicked() {
                out.push(Command::Train(open));
            }
        });
    });
    ui.add_space(theme::GRID);
    let mut train = std::mem::take(&mut view.train);
    ScrollArea::vertical()
        .auto_shrink([false, false])
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for launching in doc.training().launching() {
                widgets::Row {
                    icon: icons::CIRCLE_HALF,
                    right: "starting",
                    enabled: false,
                    ..widgets::Row::new(&launching.label)
                }
                .show(ui, 36.0);
            }
            for run in doc.training().runs() {
                let selected = train.selected.as_deref() == Some(&run.folder);
                let colour = train.colour(&run.folder);
                let is_compared = train.compared.contains(&run.folder);
                let row = RunRow {
                    run,
                    selected,
                    is_compared,
                    colour,
                };
                row.show(ui, &mut train.curves, out);
            }
            complaints_ui(ui, doc, out);
        });
    view.train = train;
}

fn complaints_ui(ui: &mut Ui, doc: &Document, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    for (folder, complaint) in doc.training().complaints() {
        ui.add_space(theme::GRID);
        let text = egui::RichText::new(complaint).size(theme::SMALL);
        ui.add(egui::Label::new(text.color(c.warning)).wrap());
        if widgets::quiet_button(ui, "Hide this folder", c.weak).clicked() {
            let forget = TrainCommand::ForgetFolder(folder.clone());
            out.push(Command::Train(forget));
        }
    }
}

/// A run in the list.
struct RunRow<'a> {
    run: &'a Run,
    selected: bool,
    is_compared: bool,
    /// Index of the colour of its curves, where they are drawn.
    colour: Option<usize>,
}

impl RunRow<'_> {
    fn show(&self, ui: &mut Ui, curves: &mut Curves, out: &mut CommandQueue) {
        let run = self.run;
        let (rect, response) =
            ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
        let state = status(run);
        response.widget_info(|| {
            let name = format!("{}: {state}", run.name);
            WidgetInfo::selected(Role::Button, true, self.selected, name)
        });
        if ui.is_rect_visible(rect) {
            self.paint(ui, rect, &response, &state);
            self.spark(ui, rect, curves);
        }
        let tick = self.tick(ui, rect);
        if tick.clicked() {
            out.push(Command::Train(TrainCommand::Compare(run.folder.clone())));
        }
        let hint = format!("{}\n{state}", run.folder.display());
        if response.on_hover_text(hint).clicked() {
            out.push(Command::Train(TrainCommand::Select(run.folder.clone())));
        }
    }

    fn paint(&self, ui: &Ui, rect: Rect, response: &Response, state: &str) {
        let c = theme::colours(ui);
        let fill = if self.selected {
            c.selection
        } else if response.hovered() || response.has_focus() {
            c.field_hovered
        } else {
            Color32::TRANSPARENT
        };
        ui.painter().rect_filled(rect, theme::RADIUS, fill);
        let inner = rect.shrink2(vec2(2.0 * theme::GRID, 0.0));
        let left = inner.left() + TICK + 2.0 * theme::GRID;
        let (first, second) = (rect.top() + 17.0, rect.top() + 35.0);
        let run = self.run;
        dot(ui, pos2(left + 4.0, first), run.condition);
        let ap = judged::figure(run.best_ap());
        let strong = FontId::new(theme::BODY, fonts::semibold());
        let painter = ui.painter();
        let at = pos2(inner.right(), first);
        let written = painter.text(at, Align2::RIGHT_CENTER, ap, strong, c.text);
        let body = FontId::proportional(theme::BODY);
        let at = pos2(left + 14.0, first);
        let end = written.left() - 2.0 * theme::GRID;
        widgets::elided(ui, at, end, &run.name, &body, c.text);
        let small = FontId::proportional(theme::SMALL);
        let end = inner.right() - SPARK.x - 2.0 * theme::GRID;
        widgets::elided(ui, pos2(left, second), end, state, &small, c.weak);
        if let Some(share) = run.share().filter(|_| run.condition.is_live()) {
            let track = Rect::from_min_max(
                pos2(left, rect.bottom() - 5.0),
                pos2(inner.right(), rect.bottom() - 3.0),
            );
            painter.rect_filled(track, 1.0, c.track);
            let done = Rect::from_min_size(track.min, vec2(track.width() * share, 2.0));
            painter.rect_filled(done, 1.0, c.accent);
        }
    }

    fn spark(&self, ui: &Ui, rect: Rect, curves: &mut Curves) {
        let options = CurveOptions {
            over: Over::Steps,
            smoothing: 0.0,
            most: SPARK_POINTS,
        };
        let points = curves.get(self.run, Quantity::Loss, options);
        let right = rect.right() - 2.0 * theme::GRID;
        let area = Rect::from_min_max(
            pos2(right - SPARK.x, rect.top() + 28.0),
            pos2(right, rect.top() + 28.0 + SPARK.y),
        );
        let c = theme::colours(ui);
        let colour = match self.colour {
            Some(index) => c.series[index % c.series.len()],
            None => c.weak,
        };
        super::tiles::polyline(ui, area, &points, None, Stroke::new(1.25, colour));
    }

    /// The box that compares it.
    fn tick(&self, ui: &mut Ui, rect: Rect) -> Response {
        let c = theme::colours(ui);
        let left = rect.left() + 2.0 * theme::GRID;
        let side =
            Rect::from_center_size(pos2(left + TICK / 2.0, rect.center().y), vec2(TICK, TICK));
        let id = ui.scope_id().with(("compare", &self.run.folder));
        let response = ui.interact(side.expand(5.0), id, Sense::click());
        let name = format!("Compare {}", self.run.name);
        let is_on = self.is_compared;
        response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, is_on, &name));
        let colour = match self.colour {
            Some(index) => c.series[index % c.series.len()],
            None => c.border,
        };
        let border = if response.hovered() || response.has_focus() {
            c.accent
        } else {
            colour
        };
        let fill = if is_on { colour } else { c.field };
        let stroke = Stroke::new(1.0, border);
        ui.painter()
            .rect(side, 3.0, fill, stroke, StrokeKind::Inside);
        if is_on {
            let font = FontId::proportional(10.0);
            let at = side.center();
            ui.painter()
                .text(at, Align2::CENTER_CENTER, icons::CHECK, font, c.panel);
        }
        response.on_hover_text("Draw its curves beside those of the selected run")
    }
}

/// A disc while it trains, a ring after its end, a sign where something is to be looked at.
fn dot(ui: &Ui, at: egui::Pos2, condition: Condition) {
    let c = theme::colours(ui);
    let colour = colour_of(condition, c);
    let painter = ui.painter();
    match condition {
        Condition::Failed | Condition::Unreadable | Condition::Interrupted => {
            let font = FontId::proportional(theme::BODY);
            painter.text(at, Align2::CENTER_CENTER, icons::WARNING, font, colour);
        }
        _ if condition.is_live() => {
            painter.circle_filled(at, 4.0, colour);
        }
        _ => {
            painter.add(Shape::circle_stroke(at, 3.5, Stroke::new(1.5, colour)));
        }
    }
}
