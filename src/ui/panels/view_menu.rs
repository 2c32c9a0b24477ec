//! The menu of saved views, and the line in which one is named.

use egui::{Button, Key, Popup, RichText, TextEdit, Ui, vec2};

use super::parts::choice;
use crate::document::Document;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::view::{Naming, ViewState};
use crate::ui::{icons, saved_views, theme, widgets};

/// Width of the menu.
const MENU: f32 = 260.0;
/// Width of the two buttons behind a name.
const BUTTONS: f32 = 92.0;
/// Longest name of a view, in characters.
const LONGEST: usize = 60;

/// Draws the button that opens the menu.
pub fn view_menu(ui: &mut Ui, doc: &Document, view: &mut ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let text = format!("views  {}", icons::CARET_DOWN);
    let button = Button::new(RichText::new(text).color(c.weak)).frame_when_inactive(false);
    let response = ui.add(button).accessible_name("Saved views");
    let response = response.on_hover_text("Saved views");
    Popup::menu(&response).show(|ui| {
        ui.set_width(MENU);
        ui.spacing_mut().item_spacing.y = 0.0;
        let saved = saved_views::of_open_set(doc);
        for known in saved {
            let is_on = saved_views::current(view, &known.name) == *known;
            row(ui, &known.name, is_on, view, out);
        }
        if saved.is_empty() {
            ui.label(RichText::new("No view of this set is saved").color(c.weak));
        }
        ui.separator();
        let save = Command::SaveView;
        if choice(ui, &save.label(), false).clicked() {
            out.push(save);
            ui.close();
        }
    });
}

/// A saved view: click to show it, and the buttons to rename and to delete it.
fn row(ui: &mut Ui, name: &str, is_on: bool, view: &mut ViewState, out: &mut CommandQueue) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        let width = ui.available_width() - BUTTONS;
        let show = ui.allocate_ui(vec2(width, theme::ROW), |ui| choice(ui, name, is_on));
        if show.inner.clicked() {
            out.push(Command::ApplyView(name.to_owned()));
            ui.close();
        }
        let c = theme::colours(ui);
        let rename =
            widgets::quiet_button(ui, "Rename…", c.weak).accessible_name(format!("Rename {name}…"));
        if rename.clicked() {
            view.naming = Some(Naming {
                from: Some(name.to_owned()),
                text: name.to_owned(),
                is_focused: false,
            });
            ui.close();
        }
        let delete = widgets::icon_button(ui, icons::TRASH, &format!("Delete {name}"));
        if delete.clicked() {
            out.push(Command::DeleteView(name.to_owned()));
        }
    });
}

/// Draws the line in which a view is named, while one is.
pub fn naming_ui(ui: &mut Ui, view: &mut ViewState, out: &mut CommandQueue) {
    let Some(naming) = &mut view.naming else {
        return;
    };
    let c = theme::colours(ui);
    let mut is_done = false;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        let width = ui.available_width() - BUTTONS;
        let field = TextEdit::singleline(&mut naming.text)
            .hint_text(RichText::new("Name of the view").color(c.weak))
            .char_limit(LONGEST)
            .desired_width(width - 16.0);
        let field = ui.add(field).accessible_name("Name of the view");
        if !naming.is_focused {
            field.request_focus();
            naming.is_focused = true;
        }
        let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        let name = naming.text.trim();
        let save = ui.add_enabled(!name.is_empty(), Button::new("Save"));
        let save = save.on_disabled_hover_text("A view needs a name");
        if (entered || save.clicked()) && !name.is_empty() {
            out.push(match naming.from.clone() {
                Some(from) => Command::RenameView {
                    from,
                    to: name.to_owned(),
                },
                None => Command::KeepView(name.to_owned()),
            });
            is_done = true;
        }
        let cancel = widgets::icon_button(ui, icons::X, "Cancel naming");
        is_done |= cancel.clicked();
    });
    if is_done {
        view.naming = None;
    }
}
