//! The tool bar that floats over the canvas.

use egui::{
    Align2, FontId, Frame, Margin, Rect, Role, Sense, Stroke, Ui, UiBuilder, WidgetInfo, pos2, vec2,
};

use super::parts::text;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::view::{Layers, ViewState};
use crate::ui::{theme, widgets};

/// From the top of the canvas to the tool bar.
const TOP: f32 = 16.0;
/// Height of a tool.
const TOOL: f32 = 24.0;
/// Around the text of a tool.
const PADDING: f32 = 9.0;
/// Points that the tool bar takes from the top of the canvas, with a gap below.
pub const RESERVED: i8 = 64;

/// Whether and how ground truth can be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The set has none.
    Absent,
    /// Beside predictions.
    Choice,
    /// The image has no predictions: it is all there is.
    Alone,
}

/// Draws the tool bar at the top of `area`, centred.
pub fn tools_ui(ui: &mut Ui, area: Rect, view: &ViewState, truth: Truth, out: &mut CommandQueue) {
    let style = &view.style;
    let mut tools = vec![
        Tool::new("Fit", Command::ZoomFit, view.canvas.is_fit()),
        Tool::new("1:1", Command::ZoomOneToOne, is_one_to_one(view)),
        Tool::new("Masks", Command::ToggleMasks, style.masks),
        Tool::new("Outline", Command::ToggleOutlines, style.outlines),
        Tool::new("Boxes", Command::ToggleBoxes, style.boxes),
        Tool::new("Labels", Command::ToggleLabels, style.labels),
    ];
    match truth {
        Truth::Absent => {}
        Truth::Choice => tools.push(Tool::truth(view.layers)),
        Truth::Alone => tools.push(Tool {
            enabled: false,
            ..Tool::new("Ground truth", Command::CycleGroundTruth, true)
        }),
    }
    let font = FontId::proportional(theme::BODY);
    let widths: Vec<f32> = tools
        .iter()
        .map(|tool| {
            let colour = theme::colours(ui).text;
            let galley = ui
                .painter()
                .layout_no_wrap(tool.name.into(), font.clone(), colour);
            (galley.size().x + 2.0 * PADDING).round()
        })
        .collect();
    let gap = 2.0;
    let width = widths.iter().sum::<f32>() + gap * (tools.len() - 1) as f32;
    let margin = theme::GRID;
    let left = (area.center().x - width / 2.0 - margin)
        .max(area.left())
        .round();
    let bar = Rect::from_min_size(
        pos2(left, area.top() + TOP),
        vec2(width + 2.0 * margin, TOOL + 2.0 * margin),
    );
    plate(ui, bar);
    // What lies between the tools is not the canvas.
    ui.interact(bar, ui.scope_id().with("tool bar"), Sense::click_and_drag());
    let mut x = bar.left() + margin;
    for (tool, width) in tools.iter().zip(widths) {
        let rect = Rect::from_min_size(pos2(x, bar.top() + margin), vec2(width, TOOL));
        tool.show(ui, rect, &font, out);
        x += width + gap;
    }
}

/// A panel that floats over the picture.
pub fn plate(ui: &Ui, rect: Rect) {
    let c = theme::colours(ui);
    ui.painter().rect(
        rect,
        theme::RADIUS + 2,
        c.panel,
        Stroke::new(1.0, c.border),
        egui::StrokeKind::Inside,
    );
}

fn is_one_to_one(view: &ViewState) -> bool {
    !view.canvas.is_fit() && (view.canvas.zoom_percent() - 100.0).abs() < 0.01
}

/// A tool that is on, or off, or does something once.
struct Tool {
    name: &'static str,
    command: Command,
    is_on: bool,
    enabled: bool,
}

impl Tool {
    fn new(name: &'static str, command: Command, is_on: bool) -> Self {
        Self {
            name,
            command,
            is_on,
            enabled: true,
        }
    }

    fn truth(layers: Layers) -> Self {
        let name = match layers {
            Layers::Predictions => "Ground truth",
            Layers::GroundTruth => "Ground truth only",
            Layers::Both => "With ground truth",
        };
        Self::new(
            name,
            Command::CycleGroundTruth,
            layers != Layers::Predictions,
        )
    }

    fn show(&self, ui: &mut Ui, rect: Rect, font: &FontId, out: &mut CommandQueue) {
        let c = theme::colours(ui);
        let id = ui.scope_id().with(("tool", &self.command.label()));
        let sense = if self.enabled {
            Sense::click()
        } else {
            Sense::hover()
        };
        let response = ui.interact(rect, id, sense);
        response.widget_info(|| {
            WidgetInfo::selected(Role::Button, self.enabled, self.is_on, self.name)
        });
        let fill = if self.is_on {
            c.field_pressed
        } else if response.hovered() && self.enabled {
            c.field_hovered
        } else {
            egui::Color32::TRANSPARENT
        };
        let stroke = if response.has_focus() {
            Stroke::new(1.0, c.accent)
        } else {
            Stroke::NONE
        };
        ui.painter()
            .rect(rect, theme::RADIUS, fill, stroke, egui::StrokeKind::Inside);
        let colour = if self.is_on && self.enabled {
            c.text
        } else {
            c.weak
        };
        text(
            ui,
            rect.center(),
            Align2::CENTER_CENTER,
            self.name,
            font,
            colour,
        );
        let hint = if self.enabled {
            widgets::command_hint(&self.command)
        } else {
            "The image has no predictions: its annotations are all there is to show".into()
        };
        if response.on_hover_text(hint).clicked() {
            out.push(self.command.clone());
        }
    }
}

/// A sentence over the lower edge of the canvas, with what to do about it.
pub struct Hint<'a> {
    /// Before the sentence.
    pub icon: &'a str,
    /// The sentence.
    pub text: &'a str,
    /// What a tooltip adds; may be empty.
    pub details: &'a str,
    /// Label of a button and what it does.
    pub action: Option<(String, Command)>,
}

impl Hint<'_> {
    /// Draws it at the bottom of `area`, centred.
    pub fn show(self, ui: &mut Ui, area: Rect, out: &mut CommandQueue) {
        let c = theme::colours(ui);
        let id = ui.scope_id().with("canvas hint");
        // Its width is known after it was laid out: the last frame's centres this one.
        let width = ui.data(|data| data.get_temp::<f32>(id)).unwrap_or(0.0);
        let most = (area.width() - 32.0).max(80.0);
        let size = vec2(width.clamp(40.0, most), 36.0);
        let at = Rect::from_center_size(pos2(area.center().x, area.bottom() - 34.0), size);
        let left_top = pos2(at.left().round(), at.top().round());
        let room = Rect::from_min_size(left_top, vec2(most, 36.0));
        let mut child = ui.new_child(UiBuilder::new().max_rect(room).id_salt("hint"));
        let frame = Frame::new()
            .fill(c.panel)
            .stroke(Stroke::new(1.0, c.border))
            .corner_radius(theme::RADIUS + 2)
            .inner_margin(Margin::symmetric(12, 4));
        let shown = frame.show(&mut child, |ui| {
            ui.horizontal(|ui| {
                ui.set_min_height(theme::ROW);
                if !self.icon.is_empty() {
                    ui.colored_label(c.weak, self.icon);
                }
                let label = ui.add(egui::Label::new(self.text).truncate());
                if !self.details.is_empty() {
                    label.on_hover_text(self.details);
                }
                if let Some((name, command)) = self.action
                    && ui.button(name).clicked()
                {
                    out.push(command);
                }
            });
        });
        let now = shown.response.rect.width();
        if (now - width).abs() > 0.5 {
            ui.data_mut(|data| data.insert_temp(id, now));
            ui.ctx().request_discard("the hint has another width");
        }
    }
}
