//! The selected instance: its four numbers, area and box.

use egui::{Align2, FontId, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::numbers::{MISSING, Number, Numbers};
use super::parts::{bar, text};
use crate::structures::{ClassTable, Detection};
use crate::ui::shown::Shown;
use crate::ui::view::ViewState;
use crate::ui::{icons, theme, widgets};

/// Height of a row.
const ROW: f32 = 22.0;
/// Width of the bars.
const BAR: f32 = 34.0;
/// From the right edge to the right end of the bars.
const BAR_RIGHT: f32 = 33.0;
/// Height of the whole part.
pub const HEIGHT: f32 = 24.0 + 6.0 * ROW;

/// Draws the selected instance; the rows stay when nothing is selected, so that nothing below them moves.
pub fn selected_ui(ui: &mut Ui, shown: &Shown, classes: &ClassTable, view: &ViewState) {
    let instance = view
        .instance
        .and_then(|index| Some((index, shown.listed().get(index)?)));
    let title = match instance {
        Some((_, instance)) => format!("Selected · {}", classes.name(instance.label)),
        None => "Selected".into(),
    };
    widgets::section(ui, &title);
    ui.add_space(theme::GRID);
    let numbers = match instance {
        None => Numbers::nothing(),
        Some(_) if shown.lists_annotations() => Numbers::of_annotation(),
        Some((index, instance)) => Numbers::of(instance, index, &shown.truth),
    };
    ui.spacing_mut().item_spacing.y = 0.0;
    for (name, number) in Numbers::NAMES.into_iter().zip(numbers.all()) {
        number_row(ui, name, number);
    }
    let instance = instance.map(|(_, instance)| instance);
    text_row(ui, "area", &area(instance));
    text_row(ui, "box", &bbox(instance));
}

fn area(instance: Option<&Detection>) -> String {
    instance.map_or(MISSING.into(), |instance| {
        let area = usize::try_from(instance.mask.area()).unwrap_or(usize::MAX);
        format!("{} px", widgets::thousands(area))
    })
}

fn bbox(instance: Option<&Detection>) -> String {
    instance.map_or(MISSING.into(), |instance| {
        let b = instance.bbox;
        format!("{:.0}, {:.0} · {:.0} × {:.0}", b.x, b.y, b.width, b.height)
    })
}

fn number_row(ui: &mut Ui, name: &str, number: Number) {
    let c = theme::colours(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let value = number.text();
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name}: {value}")));
    let font = FontId::proportional(theme::BODY);
    let middle = rect.center().y;
    let colour = if number.value().is_some() {
        c.text
    } else {
        c.weak
    };
    text(
        ui,
        rect.left_center(),
        Align2::LEFT_CENTER,
        name,
        &font,
        c.text,
    );
    text(
        ui,
        rect.right_center(),
        Align2::RIGHT_CENTER,
        &value,
        &font,
        colour,
    );
    let left = rect.right() - BAR_RIGHT - BAR;
    if let Some(value) = number.value() {
        bar(ui, left, middle, BAR, value);
    }
    if matches!(number, Number::OutOfRange(_)) {
        let at = pos2(left - theme::GRID, middle);
        text(
            ui,
            at,
            Align2::RIGHT_CENTER,
            icons::WARNING,
            &font,
            c.warning,
        );
    }
    response.on_hover_text(number.hint());
}

fn text_row(ui: &mut Ui, name: &str, value: &str) {
    let c = theme::colours(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name}: {value}")));
    let font = FontId::proportional(theme::BODY);
    text(
        ui,
        rect.left_center(),
        Align2::LEFT_CENTER,
        name,
        &font,
        c.weak,
    );
    text(
        ui,
        rect.right_center(),
        Align2::RIGHT_CENTER,
        value,
        &font,
        c.weak,
    );
}
