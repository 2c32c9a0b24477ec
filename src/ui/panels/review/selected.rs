//! The selected instance: verdict, class, note, and what can be done with it.

use egui::{Button, ComboBox, Role, TextEdit, Ui, WidgetInfo};

use crate::document::Document;
use crate::document::review::{ReviewSession, Target, Verdict};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::review::tools::Tool;
use crate::ui::review_command::{self, ReviewCommand};
use crate::ui::theme;
use crate::ui::view::ViewState;
use crate::ui::widgets;

/// Draws the part; its rows stay while nothing is selected.
pub(super) fn selected_ui(
    ui: &mut Ui,
    doc: &Document,
    review: &ReviewSession,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    let c = theme::colours(ui);
    let selected = view.review.selected.clone();
    let subject = review_command::subject(doc, view);
    widgets::section(ui, &title(doc, review, subject.as_ref()));
    if review.is_read_only() {
        ui.colored_label(
            c.warning,
            "Another window has this review: it can only be read here",
        );
    }
    ui.add_space(theme::GRID);
    verdicts(ui, doc, view, out);
    ui.add_space(theme::GRID);
    tools(ui, doc, view, out);
    ui.add_space(theme::GRID);
    buttons(ui, doc, view, out);
    marked(ui, doc, review, view, out);
    if !matches!(selected, Some(Target::Annotation(_))) {
        class_of_new(ui, doc, view, out);
    }
    if let Some(Target::Annotation(id)) = &selected {
        class(ui, doc, review, *id, view, out);
    }
    if let Some(subject) = &subject {
        note(ui, doc, subject, view, out);
        tags(ui, doc, subject, view, out);
    }
}

fn title(doc: &Document, review: &ReviewSession, selected: Option<&Target>) -> String {
    match selected {
        None => "Nothing is selected".into(),
        Some(Target::Image(_)) => "Nothing is selected: the image".into(),
        Some(Target::Prediction(_)) => "A prediction".into(),
        Some(Target::Annotation(id)) => {
            let record = review.record(*id);
            let class = record.map(|record| doc.category_name(record.category_id));
            let edited = if review.is_edited(*id) {
                " · corrected"
            } else {
                ""
            };
            format!(
                "{} {id}{edited}",
                class.unwrap_or_else(|| "Annotation".into())
            )
        }
    }
}

fn verdicts(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let said = review_command::opinion(doc, view).verdict;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        for (number, verdict) in Verdict::ALL.into_iter().enumerate() {
            let command = ReviewCommand::Judge(verdict);
            let is_enabled = command.enabled(doc, view);
            let text = format!("{} {}", number + 1, verdict.words());
            let is_said = said == Some(verdict);
            let button = ui.add_enabled(is_enabled, Button::selectable(is_said, text));
            let command = if is_said {
                ReviewCommand::ClearVerdict
            } else {
                command
            };
            let command = Command::Review(command);
            if button
                .on_hover_text(widgets::command_hint(&command))
                .clicked()
            {
                out.push(command);
            }
        }
    });
}

fn tools(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let in_hand = view.review.drawing.tool;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        for tool in Tool::ALL {
            let command = ReviewCommand::Tool(tool);
            let is_enabled = command.enabled(doc, view);
            let command = Command::Review(command);
            let button = ui.add_enabled(
                is_enabled,
                Button::selectable(in_hand == tool, tool.label()),
            );
            if button
                .on_hover_text(widgets::command_hint(&command))
                .clicked()
            {
                out.push(command);
            }
        }
        if matches!(in_hand, Tool::Brush | Tool::Eraser) {
            for (step, name) in [(-1, "Smaller"), (1, "Larger")] {
                let command = Command::Review(ReviewCommand::Resize(step));
                let button = ui
                    .button(name)
                    .on_hover_text(widgets::command_hint(&command));
                if button.clicked() {
                    out.push(command);
                }
            }
            ui.label(format!("{:.0} px", 2.0 * view.review.drawing.radius()));
        }
    });
    let c = theme::colours(ui);
    let selected = view.review.selected.as_ref();
    let mut hint = in_hand.hint(matches!(selected, Some(Target::Annotation(_))));
    if in_hand == Tool::Corners && view.review.drawing.has_no_corners() {
        hint = "A painted mask has no corners: use the brush, or draw a polygon";
    }
    if !hint.is_empty() {
        let text = egui::RichText::new(hint).size(theme::SMALL).color(c.weak);
        ui.add(egui::Label::new(text).wrap());
    }
    if doc.asked_masks() > 0 {
        ui.horizontal(|ui| {
            ui.spinner();
            ui.colored_label(c.weak, "The model looks at the box");
        });
    }
}

fn buttons(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        let all = [
            (ReviewCommand::Delete, "Delete"),
            (ReviewCommand::TakeOver, "Take over"),
            (ReviewCommand::Split, "Split"),
            (ReviewCommand::PredictHere, "Predict"),
            (ReviewCommand::Mark, "Mark"),
            (ReviewCommand::ToggleCrowd, "Crowd"),
            (ReviewCommand::ToggleList, "Switch list"),
        ];
        for (command, name) in all {
            let is_enabled = command.enabled(doc, view);
            let command = Command::Review(command);
            let button = ui.add_enabled(is_enabled, Button::new(name));
            let hint = widgets::command_hint(&command);
            if button
                .on_hover_text(&hint)
                .on_disabled_hover_text(hint)
                .clicked()
            {
                out.push(command);
            }
        }
    });
}

/// What is marked to be merged, and what to do with it.
fn marked(
    ui: &mut Ui,
    doc: &Document,
    review: &ReviewSession,
    view: &ViewState,
    out: &mut CommandQueue,
) {
    if view.review.marked.is_empty() {
        return;
    }
    let names = view.review.marked.iter().map(|&id| {
        let category = review.record(id).map(|record| record.category_id);
        let class = category.map_or_else(String::new, |id| doc.category_name(id));
        format!("{class} {id}")
    });
    let names: Vec<String> = names.collect();
    ui.add_space(theme::GRID);
    ui.add(egui::Label::new(format!("Marked: {}", names.join(", "))).wrap());
    ui.horizontal(|ui| {
        for (command, name) in [
            (ReviewCommand::Merge, "Merge"),
            (ReviewCommand::ClearMarks, "Clear marks"),
        ] {
            let is_enabled = command.enabled(doc, view);
            let command = Command::Review(command);
            let button = ui.add_enabled(is_enabled, Button::new(name));
            if button
                .on_hover_text(widgets::command_hint(&command))
                .on_disabled_hover_text("Select another annotation of the image, or mark it")
                .clicked()
            {
                out.push(command);
            }
        }
    });
}

/// The class that a new annotation gets.
fn class_of_new(ui: &mut Ui, doc: &Document, view: &ViewState, out: &mut CommandQueue) {
    let Some(current) = review_command::new_class(doc, view) else {
        return;
    };
    let command = |id| ReviewCommand::SetNewClass(id);
    ui.add_space(theme::GRID);
    ui.add_enabled_ui(command(current).enabled(doc, view), |ui| {
        classes_ui(ui, doc, "New annotations", current, command, out);
    });
}

/// A list of classes under a name.
fn classes_ui(
    ui: &mut Ui,
    doc: &Document,
    name: &str,
    current: i64,
    command: impl Fn(i64) -> ReviewCommand,
    out: &mut CommandQueue,
) {
    ui.horizontal(|ui| {
        ui.label(name);
        let shown = doc.category_name(current);
        let list = ComboBox::from_id_salt(name)
            .selected_text(&shown)
            .show_ui(ui, |ui| {
                for category in doc.categories().ids() {
                    let is_it = category == current;
                    let row = ui.selectable_label(is_it, doc.category_name(category));
                    if row.clicked() && !is_it {
                        out.push(Command::Review(command(category)));
                    }
                }
            });
        let spoken = format!("{name}: {shown}");
        list.response
            .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, &spoken));
    });
}

/// The class of an annotation, and a field for a new one.
fn class(
    ui: &mut Ui,
    doc: &Document,
    review: &ReviewSession,
    id: u64,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    let Some(record) = review.record(id) else {
        return;
    };
    let is_enabled = !review.is_read_only();
    ui.add_space(theme::GRID);
    ui.add_enabled_ui(is_enabled, |ui| {
        let current = record.category_id;
        classes_ui(ui, doc, "Class", current, ReviewCommand::SetClass, out);
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(&mut view.review.class)
                .hint_text("New class")
                .desired_width(140.0);
            let field = ui.add(field);
            field.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "New class"));
            let entered =
                field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let name = view.review.class.trim().to_owned();
            let add = ui
                .add_enabled(!name.is_empty(), Button::new("Add"))
                .clicked();
            if (add || entered) && !name.is_empty() {
                out.push(Command::Review(ReviewCommand::NewClass(name)));
                view.review.class.clear();
            }
        });
    });
}

fn note(
    ui: &mut Ui,
    doc: &Document,
    selected: &Target,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    let kept = review_command::opinion(doc, view).note;
    let (mut text, of_another) = typed(view.review.note.take(), selected, &kept);
    out.extend(of_another.map(|(of, text)| Command::Review(ReviewCommand::SetNote(of, text))));
    let field = TextEdit::multiline(&mut text)
        .hint_text("Note")
        .desired_rows(2)
        .desired_width(f32::INFINITY);
    let field = ui.add(field);
    field.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Note"));
    if std::mem::take(&mut view.review.focus_note) {
        field.request_focus();
    }
    if field.lost_focus() && text != kept {
        let selected = selected.clone();
        out.push(Command::Review(ReviewCommand::SetNote(selected, text)));
    } else if text != kept {
        view.review.note = Some((selected.clone(), text));
    }
}

fn tags(
    ui: &mut Ui,
    doc: &Document,
    selected: &Target,
    view: &mut ViewState,
    out: &mut CommandQueue,
) {
    let kept = review_command::opinion(doc, view).tags.join(", ");
    let (mut text, of_another) = typed(view.review.tags.take(), selected, &kept);
    out.extend(
        of_another.map(|(of, text)| Command::Review(ReviewCommand::SetTags(of, tags_of(&text)))),
    );
    let field = TextEdit::singleline(&mut text)
        .hint_text("Tags, with commas")
        .desired_width(f32::INFINITY);
    let field = ui.add(field);
    field.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Tags"));
    if field.lost_focus() && text != kept {
        let selected = selected.clone();
        out.push(Command::Review(ReviewCommand::SetTags(
            selected,
            tags_of(&text),
        )));
    } else if text != kept {
        view.review.tags = Some((selected.clone(), text));
    }
}

/// Tags as they are typed.
pub(super) fn tags_of(text: &str) -> Vec<String> {
    let tags = text.split(',').map(|tag| tag.trim().to_owned());
    tags.filter(|tag| !tag.is_empty()).collect()
}

/// What is being typed for this instance, what is kept where nothing is; and what was typed for another one, to be kept.
fn typed(
    typing: Option<(Target, String)>,
    selected: &Target,
    kept: &str,
) -> (String, Option<(Target, String)>) {
    match typing {
        Some((of, text)) if of == *selected => (text, None),
        other => (kept.to_owned(), other),
    }
}
