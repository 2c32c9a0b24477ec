//! How instances are shown: threshold, opacity, ranking, colours, isolation.

use std::ops::RangeInclusive;

use egui::{Align, Layout, RichText, Slider, Ui, vec2};

use super::parts::drop_down;
use crate::document::ranking::RankBy;
use crate::ui::colour::ColourBy;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::view::ViewState;
use crate::ui::{theme, widgets};

/// Height of a row with a slider.
const SLIDER_ROW: f32 = 22.0;
/// Height of a row with a list.
const LIST_ROW: f32 = 30.0;
/// Thickness of a slider; its handle is 0.8 of that.
const SLIDER: f32 = 16.0;
/// Radius of a handle over thickness of its slider, as egui has it.
const HANDLE: f32 = 1.0 / 2.5;
/// Width of the controls at most.
const CONTROL: f32 = 150.0;
/// Width of the number beside a slider.
const VALUE: f32 = 34.0;
/// Height of the whole part.
pub const HEIGHT: f32 = 24.0 + 2.0 * SLIDER_ROW + 3.0 * LIST_ROW;

/// Draws the display options.
pub fn show_ui(ui: &mut Ui, view: &ViewState, out: &mut CommandQueue) {
    widgets::section(ui, "Show");
    ui.add_space(theme::GRID);
    ui.spacing_mut().item_spacing.y = 0.0;
    let name = format!("{} at least", sentence(view.rank_by.label()));
    let threshold = slider(ui, &name, view.threshold, 0.0..=1.0, |value| {
        format!("{value:.2}")
    });
    if let Some(threshold) = threshold {
        // Hundredths: what the number shows is what filters.
        out.push(Command::SetThreshold((threshold * 100.0).round() / 100.0));
    }
    let opacity = f64::from(view.style.opacity);
    let opacity = slider(ui, "Opacity", opacity, 0.0..=1.0, |value| {
        format!("{:.0} %", value * 100.0)
    });
    if let Some(opacity) = opacity {
        out.push(Command::SetOpacity(opacity as f32));
    }
    let width = control_width(ui);
    row(ui, "Rank by", LIST_ROW, |ui| {
        let chosen = drop_down(
            ui,
            "Rank by",
            width,
            view.rank_by,
            &RankBy::ALL,
            RankBy::label,
        );
        if let Some(by) = chosen {
            out.push(Command::SetRankBy(by));
        }
    });
    row(ui, "Colour by", LIST_ROW, |ui| {
        let current = view.style.colour_by;
        let chosen = drop_down(
            ui,
            "Colour by",
            width,
            current,
            &ColourBy::ALL,
            ColourBy::label,
        );
        if let Some(by) = chosen {
            out.push(Command::SetColourBy(by));
        }
    });
    isolate(ui, view, out);
}

fn isolate(ui: &mut Ui, view: &ViewState, out: &mut CommandQueue) {
    let mut isolate = view.style.isolate;
    let enabled = view.instance.is_some() || isolate;
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), LIST_ROW),
        Layout::left_to_right(Align::Center),
        |ui| {
            let response = ui
                .add_enabled(
                    enabled,
                    egui::Checkbox::new(&mut isolate, "Isolate the selected"),
                )
                .on_hover_text(widgets::command_hint(&Command::ToggleIsolate))
                .on_disabled_hover_text("No instance is selected");
            if response.clicked() {
                out.push(Command::ToggleIsolate);
            }
        },
    );
}

/// A name at the left, a control at the right.
fn row(ui: &mut Ui, name: &str, height: f32, control: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), height),
        Layout::left_to_right(Align::Center),
        |ui| {
            ui.label(name);
            ui.with_layout(Layout::right_to_left(Align::Center), control);
        },
    );
}

fn control_width(ui: &Ui) -> f32 {
    CONTROL.min(ui.available_width() * 0.52)
}

/// A slider with its value; returns the new one.
fn slider(
    ui: &mut Ui,
    name: &str,
    value: f64,
    range: RangeInclusive<f64>,
    text: impl Fn(f64) -> String,
) -> Option<f64> {
    let c = theme::colours(ui);
    let width = control_width(ui) - VALUE;
    let mut new = value;
    row(ui, name, SLIDER_ROW, |ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        let shown = RichText::new(text(value)).color(c.weak);
        ui.allocate_ui_with_layout(
            vec2(VALUE, SLIDER_ROW),
            Layout::right_to_left(Align::Center),
            |ui| {
                ui.set_min_width(VALUE);
                ui.label(shown)
            },
        );
        ui.spacing_mut().slider_width = width;
        ui.spacing_mut().interact_size.y = SLIDER;
        let visuals = ui.visuals_mut();
        visuals.selection.bg_fill = c.accent;
        visuals.widgets.inactive.bg_fill = c.track;
        let slider = Slider::new(&mut new, range.clone()).show_value(false);
        let response = ui.add(slider).accessible_name(name);
        // egui paints the resting handle in the colour of the rail.
        let radius = response.rect.height() * HANDLE;
        let travel = response.rect.width() - 2.0 * radius;
        let share = (new - range.start()) / (range.end() - range.start());
        let centre = response.rect.left_center() + vec2(radius + travel * share as f32, 0.0);
        ui.painter().circle_filled(centre, radius, c.handle);
        if response.has_focus() {
            let stroke = egui::Stroke::new(1.0, c.accent);
            ui.painter().circle_stroke(centre, radius + 2.0, stroke);
        }
    });
    (new != value).then_some(new)
}

/// With a capital.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
