//! Small parts of the panels: drop-down lists, bars of scores, text at a place.

use egui::{
    Align2, Color32, FontId, Popup, Pos2, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};

use crate::ui::{icons, theme, widgets};

/// Height of the bar beside a score.
const BAR: f32 = 4.0;

/// A row of a menu, ticked where it is the one that holds.
pub fn choice(ui: &mut Ui, label: &str, is_on: bool) -> Response {
    let row = widgets::Row {
        right: if is_on { icons::CHECK } else { "" },
        ..widgets::Row::new(label)
    };
    row.show(ui, theme::ROW)
}

/// A field that opens a list; returns what was chosen from it.
pub fn drop_down<T: Copy + PartialEq>(
    ui: &mut Ui,
    name: &str,
    width: f32,
    current: T,
    all: &[T],
    label: impl Fn(T) -> &'static str,
) -> Option<T> {
    let c = theme::colours(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, theme::ROW), Sense::click());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ComboBox, ui.is_enabled(), name);
        info.current_text_value = Some(label(current).to_owned());
        info
    });
    let fill = if response.hovered() {
        c.field_hovered
    } else {
        c.field
    };
    let border = if response.has_focus() {
        c.accent
    } else {
        c.border
    };
    ui.painter().rect(
        rect,
        theme::RADIUS,
        fill,
        Stroke::new(1.0, border),
        StrokeKind::Inside,
    );
    let font = FontId::proportional(theme::BODY);
    let inner = rect.shrink2(vec2(2.0 * theme::GRID, 0.0));
    text(
        ui,
        inner.left_center(),
        Align2::LEFT_CENTER,
        label(current),
        &font,
        c.text,
    );
    let caret = FontId::proportional(theme::SMALL);
    text(
        ui,
        inner.right_center(),
        Align2::RIGHT_CENTER,
        icons::CARET_DOWN,
        &caret,
        c.weak,
    );
    let mut chosen = None;
    Popup::menu(&response).width(width).show(|ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.y = 0.0;
        for &item in all {
            if choice(ui, label(item), item == current).clicked() {
                chosen = Some(item);
                ui.close();
            }
        }
    });
    chosen
}

/// How much of 1 a score is.
pub fn bar(ui: &Ui, left: f32, middle: f32, width: f32, value: f64) {
    let c = theme::colours(ui);
    let track = Rect::from_min_size(pos2(left, middle - BAR / 2.0), vec2(width, BAR));
    ui.painter().rect_filled(track, BAR / 2.0, c.track);
    let share = value.clamp(0.0, 1.0) as f32;
    let filled = Rect::from_min_size(track.min, vec2(width * share, BAR));
    ui.painter().rect_filled(filled, BAR / 2.0, c.accent);
}

/// One line at a place.
pub fn text(ui: &Ui, at: Pos2, align: Align2, text: &str, font: &FontId, colour: Color32) -> Rect {
    ui.painter().text(at, align, text, font.clone(), colour)
}
