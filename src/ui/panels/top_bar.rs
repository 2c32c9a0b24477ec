//! The top bar: what is open, the workspace, the way into the palette, the settings.

use egui::{Align, Layout, Role, Sense, Ui, WidgetInfo, vec2};

use crate::document::Document;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::view::{ViewState, Workspace};
use crate::ui::widgets::{self, Row};
use crate::ui::{icons, keys, theme};

/// Width of the field that opens the palette, where there is room.
const SEARCH: f32 = 264.0;
/// A narrower one is a button of its icon alone.
const LEAST_SEARCH: f32 = 150.0;
/// Width of the menu of sources.
const MENU: f32 = 320.0;
/// Recent sets in the menu.
const RECENT: usize = 8;

/// Draws the top bar.
pub fn top_bar_ui(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    ui.horizontal_centered(|ui| {
        mark(ui);
        ui.add_space(2.0 * theme::GRID);
        source_menu(ui, doc, view, out);
        ui.add_space(4.0 * theme::GRID);
        workspaces(ui, doc, view, out);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let hint = widgets::command_hint(&Command::ToggleSettings);
            if widgets::icon_button(ui, icons::GEAR_SIX, &hint).clicked() {
                out.push(Command::ToggleSettings);
            }
            if search_field(ui).clicked() {
                out.push(Command::TogglePalette);
            }
        });
    });
}

/// A square with the outline of a mask in it, and the name.
fn mark(ui: &mut Ui) {
    let c = theme::colours(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
    paint_mark(ui, rect, c);
    ui.add(egui::Label::new(
        widgets::strong("Maskscope", theme::HEADING).color(c.text),
    ));
}

/// Draws the mark into a square.
pub fn paint_mark(ui: &Ui, rect: egui::Rect, c: &theme::Colours) {
    let unit = rect.width() / 16.0;
    let stroke = egui::Stroke::new(1.5 * unit, c.text);
    ui.painter().rect_stroke(
        rect.shrink(1.0 * unit),
        3.0 * unit,
        stroke,
        egui::StrokeKind::Middle,
    );
    let at = |x: f32, y: f32| rect.min + vec2(x, y) * unit;
    let mask = vec![
        at(4.5, 11.5),
        at(4.5, 7.5),
        at(8.0, 4.5),
        at(11.5, 7.0),
        at(11.5, 11.5),
    ];
    ui.painter().add(egui::Shape::convex_polygon(
        mask,
        c.accent,
        egui::Stroke::NONE,
    ));
}

fn workspaces(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    ui.spacing_mut().item_spacing.x = theme::GRID;
    for workspace in Workspace::ALL {
        let command = Command::SetWorkspace(workspace);
        let is_enabled = command.enabled(doc, view);
        let is_open = view.workspace == workspace && is_enabled;
        let text = match is_open {
            true => widgets::strong(workspace.label(), theme::BODY).color(c.text),
            false => egui::RichText::new(workspace.label())
                .size(theme::BODY)
                .color(c.weak),
        };
        let tab = egui::Button::new(text)
            .fill(if is_open {
                c.field
            } else {
                egui::Color32::TRANSPARENT
            })
            .stroke(egui::Stroke::NONE)
            .min_size(vec2(64.0, 28.0));
        let hint = format!("{} ({})", workspace.hint(), keys::shortcut_text(&command));
        let response = ui
            .add_enabled(is_enabled, tab)
            .on_hover_text(hint)
            .on_disabled_hover_text("Open a set first");
        response.widget_info(|| {
            WidgetInfo::selected(Role::Tab, is_enabled, is_open, workspace.label())
        });
        if response.clicked() {
            out.push(command);
        }
    }
}

/// Looks like a field and opens the palette.
fn search_field(ui: &mut Ui) -> egui::Response {
    let c = theme::colours(ui);
    let label = Command::TogglePalette.label();
    let room = ui.available_width() - 2.0 * theme::GRID;
    if room < LEAST_SEARCH {
        return widgets::icon_button(ui, icons::MAGNIFYING_GLASS, &label);
    }
    let (rect, response) = ui.allocate_exact_size(vec2(room.min(SEARCH), 28.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &label));
    let fill = if response.hovered() {
        c.field_hovered
    } else {
        c.field
    };
    let focus = if response.has_focus() {
        c.accent
    } else {
        c.border
    };
    ui.painter().rect(
        rect,
        theme::RADIUS,
        fill,
        egui::Stroke::new(1.0, focus),
        egui::StrokeKind::Inside,
    );
    let font = egui::FontId::proportional(12.5);
    let inner = rect.shrink2(vec2(10.0, 0.0));
    let key = keys::shortcut_text(&Command::TogglePalette);
    let (at, align) = (inner.right_center(), egui::Align2::RIGHT_CENTER);
    let written = ui.painter().text(at, align, key, font.clone(), c.weak);
    let text = format!("{}  {label}", icons::MAGNIFYING_GLASS);
    let end = written.left() - 2.0 * theme::GRID;
    widgets::elided(ui, inner.left_center(), end, &text, &font, c.weak);
    response
}

fn source_menu(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let title = doc
        .source()
        .map_or("No set open", |source| source.title.as_str());
    let text = format!("{}  {}", shortened(title), icons::CARET_DOWN);
    let button = egui::Button::new(text).frame_when_inactive(false);
    let response = ui.add(button);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Source: {title}")));
    let response = match doc.source() {
        Some(source) => response.on_hover_text(source.path.display().to_string()),
        None => response,
    };
    egui::Popup::menu(&response).show(|ui| {
        ui.set_width(MENU);
        ui.spacing_mut().item_spacing.y = 0.0;
        let first = [
            Command::OpenDemo,
            Command::OpenFolder,
            Command::OpenCocoSet,
            Command::OpenPredictions,
            Command::ComparePredictions,
            Command::OpenCheckpoint,
        ];
        for command in first {
            command_row(ui, command, doc, view, out);
        }
        recent_ui(ui, doc, out);
        line(ui);
        command_row(ui, Command::ExportPredictions, doc, view, out);
        command_row(ui, Command::CheckSet, doc, view, out);
        command_row(ui, Command::CloseSet, doc, view, out);
    });
}

/// The end of a long title says more than its beginning.
fn shortened(title: &str) -> String {
    const MOST: usize = 40;
    let count = title.chars().count();
    if count <= MOST {
        return title.to_owned();
    }
    let tail: String = title.chars().skip(count - MOST).collect();
    format!("…{tail}")
}

fn line(ui: &mut Ui) {
    ui.add_space(theme::GRID);
    ui.separator();
    ui.add_space(theme::GRID);
}

fn command_row(
    ui: &mut Ui,
    command: Command,
    doc: &Document,
    view: &ViewState,
    out: &mut CommandQueue,
) {
    let (label, key) = (command.label(), keys::shortcut_text(&command));
    let row = Row {
        right: &key,
        enabled: command.enabled(doc, view),
        ..Row::new(&label)
    };
    if row.show(ui, theme::ROW + 4.0).clicked() {
        out.push(command);
        ui.close();
    }
}

fn recent_ui(ui: &mut Ui, doc: &Document, out: &mut CommandQueue) {
    let recent = &doc.settings().recent;
    if recent.is_empty() {
        return;
    }
    line(ui);
    widgets::section(ui, "  Recent");
    for path in recent.iter().take(RECENT) {
        let name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy();
        let parent = path.parent().map(|parent| parent.display().to_string());
        let row = Row {
            detail: parent.as_deref().unwrap_or_default(),
            ..Row::new(&name)
        };
        if row.show(ui, theme::ROW + 4.0).clicked() {
            out.push(Command::OpenPath(path.clone()));
            ui.close();
        }
    }
}
