//! The text field of the filter: completion while one types, and below it what is wrong, with a mark at its column.

use std::cell::RefCell;

use egui::text::{CCursor, CCursorRange};
use egui::{
    Align2, CompletionPopup, FontId, Id, Rect, RectAlign, RichText, Role, Sense, Stroke,
    Suggestion, TextEdit, Ui, WidgetInfo, pos2, vec2,
};

use super::parts::text;
use crate::document::Document;
use crate::document::filter::{Completion, QueryError, Schema, begins_field, complete};
use crate::ui::command::Command;
use crate::ui::view::ViewState;
use crate::ui::{icons, theme, widgets};

/// Height of the field.
const FIELD: f32 = 28.0;
/// Height of the list of completions; longer ones scroll.
const LIST_HEIGHT: f32 = 260.0;
/// Kept free at the right for the button that clears.
const CLEAR: f32 = 24.0;
/// Width of the line below what is wrong.
const MARK: f32 = 2.0;
/// What fields and orders need that an evaluation fills.
pub const NEEDS_EVALUATION: &str = "needs ground truth and predictions";

/// A field as it was when completions were asked for.
#[derive(Default)]
struct Asked {
    text: String,
    found: Vec<Completion>,
}

/// Draws the field and what there is to say about its text.
pub fn filter_field_ui(ui: &mut Ui, doc: &Document, view: &mut ViewState) {
    let id = Id::unique("gallery filter");
    let output = field(ui, id, doc, view);
    // What was just typed is read before anything is said about it; the list follows in the next frame.
    let input = doc.filter_input(view.rank_by, view.threshold);
    let is_open = view.completion_open;
    view.filter.hold(is_open && begins_field(&view.query.text));
    view.filter.read(&view.query.text, &input);
    if !view.query.text.is_empty() {
        clear_button(ui, id, output.response.rect, view);
    }
    let error = view.filter.error();
    // While completion is offered for the last word, that it is not complete is nothing to point at.
    let end = view.query.text.trim_end().chars().count();
    let error = error.filter(|error| !(is_open && error.column + error.length >= end));
    if let Some(error) = error {
        mark(ui, &output, error);
        error_ui(ui, error);
    } else if view.filter.error().is_none()
        && view.filter.query().asks_evaluation()
        && doc.evaluation_fields().is_none()
    {
        let fields = view.filter.query().fields();
        let field = fields.iter().find(|field| field.info().is_evaluated);
        let name = field.map_or("", |field| field.name());
        let c = theme::colours(ui);
        let note = format!("{name} {NEEDS_EVALUATION}");
        ui.label(RichText::new(note).size(theme::SMALL).color(c.weak));
    }
}

fn field(
    ui: &mut Ui,
    id: Id,
    doc: &Document,
    view: &mut ViewState,
) -> egui::text_edit::TextEditOutput {
    let c = theme::colours(ui);
    let width = ui.available_width();
    let has_error = view.filter.error().is_some() && !view.completion_open;
    let asked = RefCell::new(Asked::default());
    // A list would cover what is said about an error farther left: it waits for the next word.
    let error_end = view.filter.error().map(|error| error.column + error.length);
    let schema = Schema {
        classes: doc.classes(),
    };
    let text_edit = TextEdit::singleline(&mut view.query.text)
        .hint_text(RichText::new("Filter by name or condition").color(c.weak))
        .margin(egui::Margin {
            right: CLEAR as i8,
            ..egui::Margin::symmetric(10, 6)
        })
        .desired_width(width)
        .min_size(vec2(width, FIELD));
    let output = ui
        .scope(|ui| {
            let colour = if has_error { c.error } else { c.accent };
            ui.visuals_mut().selection.stroke.color = colour;
            CompletionPopup::new(id)
                .align(RectAlign::BOTTOM_START)
                .max_height(LIST_HEIGHT)
                .show(ui, text_edit, |query| {
                    let typed = query.text.trim_end().chars().count();
                    let is_hidden =
                        query.word.is_empty() && error_end.is_some_and(|end| end < typed);
                    let found = match is_hidden {
                        true => Vec::new(),
                        false => complete(query.text, query.word_range.end.0, &schema),
                    };
                    let shown = found.iter().map(suggestion).collect();
                    asked.replace(Asked {
                        text: query.text.to_owned(),
                        found,
                    });
                    shown
                })
        })
        .inner;
    // A list that opens or closes is laid out in the frame after.
    if output.is_open != view.completion_open || output.text_edit.response.changed() {
        ui.request_repaint();
    }
    view.completion_open = output.is_open;
    if let Some(accepted) = output.accepted {
        accept(ui, id, &accepted.insert, &asked.into_inner(), view);
    }
    let response = &output.text_edit.response.response;
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::TextInput, true, "Filter");
        info.current_text_value = Some(view.query.text.clone());
        info
    });
    if std::mem::take(&mut view.focus_filter) {
        response.request_focus();
    }
    if view.query.text.is_empty() && !output.is_open {
        let key = widgets::command_hint(&Command::FocusFilter);
        response.clone().on_hover_text(key);
    }
    output.text_edit
}

fn suggestion(completion: &Completion) -> Suggestion {
    Suggestion::new(completion.insert.clone())
        .content(completion.label.clone())
        .description(RichText::new(&completion.detail).size(theme::SMALL))
}

/// The completion in place of the begun word. egui replaces a word by its own rule, which knows no quotes.
fn accept(ui: &Ui, id: Id, insert: &str, asked: &Asked, view: &mut ViewState) {
    let mut found = asked.found.iter();
    let Some(completion) = found.find(|completion| completion.insert == insert) else {
        return;
    };
    let before: String = asked.text.chars().take(completion.replace.start).collect();
    let behind: String = asked.text.chars().skip(completion.replace.end).collect();
    let cursor = before.chars().count() + insert.chars().count();
    view.query.text = format!("{before}{insert}{behind}");
    let mut state = TextEdit::load_state(ui, id).unwrap_or_default();
    let at = CCursorRange::one(CCursor::new(cursor));
    state.cursor.set_char_range(Some(at));
    state.store(ui, id);
    ui.request_repaint();
}

fn clear_button(ui: &mut Ui, id: Id, field: Rect, view: &mut ViewState) {
    let c = theme::colours(ui);
    let at = Rect::from_center_size(field.right_center() - vec2(14.0, 0.0), vec2(20.0, 20.0));
    // Drawn by hand: a button would be wider than its place and push the panel open.
    let clear = ui.interact(at, id.with("clear"), Sense::click());
    clear.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Clear the filter"));
    let colour = if clear.hovered() { c.text } else { c.weak };
    let font = FontId::proportional(theme::SMALL);
    let centre = at.center();
    text(ui, centre, Align2::CENTER_CENTER, icons::X, &font, colour);
    if clear.clicked() {
        view.query.text.clear();
    }
}

/// A line below the characters that are wrong.
fn mark(ui: &Ui, output: &egui::text_edit::TextEditOutput, error: &QueryError) {
    let c = theme::colours(ui);
    let place = |column: usize| {
        let at = output.galley.pos_from_cursor(CCursor::new(column));
        output.galley_pos.x + at.left()
    };
    let clip = output.text_clip_rect;
    let left = place(error.column).clamp(clip.left(), clip.right() - MARK);
    // What is missing at the end has no width of its own.
    let right = place(error.column + error.length).clamp(left, clip.right());
    let right = right.max(left + 3.0 * MARK);
    let bottom = output.response.response.rect.bottom() - 2.0 * MARK;
    let line = [pos2(left, bottom), pos2(right, bottom)];
    ui.painter().line_segment(line, Stroke::new(MARK, c.error));
}

/// What is wrong, where, and what to do.
fn error_ui(ui: &mut Ui, error: &QueryError) {
    let c = theme::colours(ui);
    let what = RichText::new(error.at_column()).size(theme::SMALL);
    ui.label(what.color(c.error));
    if !error.hint.is_empty() {
        ui.label(RichText::new(&error.hint).size(theme::SMALL).color(c.weak));
    }
}
