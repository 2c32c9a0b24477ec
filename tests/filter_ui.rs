//! The filter bar in the real window: completion, errors at their column, saved views.

use std::path::Path;

use egui::accesskit::Role;
use egui_kittest::kittest::Queryable as _;
use maskscope::document::filter::SortBy;
use maskscope::document::ranking::RankBy;
use maskscope::ui::command::Command;

use crate::panels::{Window, frames, predictions, said, send, shot, window};

fn gallery(window: &Window) -> Vec<usize> {
    window.state().view().gallery.clone()
}

fn text(window: &Window) -> &str {
    &window.state().view().query.text
}

/// Types at the end of the filter.
fn type_in(window: &mut Window, typed: &str) {
    let field = window.get_by_role_and_label(Role::TextInput, "Filter");
    field.focus();
    frames(window, 2);
    window.event(egui::Event::Text(typed.into()));
    frames(window, 3);
}

fn press(window: &mut Window, key: egui::Key) {
    window.key_press(key);
    frames(window, 3);
}

fn clear(window: &mut Window) {
    window.get_by_label("Clear the filter").click();
    frames(window, 3);
    assert_eq!(text(window), "");
}

fn open(home: &Path, theme: egui::Theme) -> Window {
    window(&predictions(home), theme)
}

#[test]
fn a_wrong_query_points_at_its_column_and_a_right_one_filters() {
    let home = tempfile::tempdir().unwrap();
    let mut window = open(home.path(), egui::Theme::Dark);
    type_in(&mut window, "class = dog");
    assert_eq!(gallery(&window), [0, 1]);
    assert!(said(&window, "2 of 4"));
    assert!(said(&window, "Instances · 1 of 4 match"));

    type_in(&mut window, " and scor > 0.9");
    assert!(said(&window, "column 17: no field is named `scor`"));
    assert!(said(&window, "did you mean `score`?"));
    assert_eq!(gallery(&window), [0, 1], "the old list stays");
    shot(&mut window, "filter-error-dark");
    let error = window.get_by_label("column 17: no field is named `scor`");
    let field = window.get_by_role_and_label(Role::TextInput, "Filter");
    assert!(
        error.rect().top() >= field.rect().bottom() - 1.0,
        "below the field"
    );

    clear(&mut window);
    assert!(!said(&window, "column 17"));
    type_in(&mut window, "class = dog and score > 0.9");
    assert_eq!(gallery(&window), [1]);
    clear(&mut window);
    type_in(&mut window, "class = dgo");
    assert!(said(&window, "column 9: no class is named `dgo`"));
    assert_eq!(gallery(&window).len(), 4);
    clear(&mut window);
    type_in(&mut window, "class = d");
    assert!(!said(&window, "column"), "completion offers the rest");
    press(&mut window, egui::Key::Escape);
    assert!(said(&window, "column 9: no class is named `d`"));
    clear(&mut window);
    type_in(&mut window, "tp > 0");
    assert!(said(&window, "tp needs ground truth and predictions"));
    assert!(gallery(&window).is_empty());
}

#[test]
fn completion_writes_the_query() {
    let home = tempfile::tempdir().unwrap();
    let mut window = open(home.path(), egui::Theme::Light);
    type_in(&mut window, "cla");
    assert!(said(&window, "name of the class"));
    assert_eq!(
        gallery(&window).len(),
        4,
        "a begun field is not looked for in names"
    );
    press(&mut window, egui::Key::Tab);
    assert_eq!(text(&window), "class ");
    // The list goes on with the operators; the first of them is `=`.
    press(&mut window, egui::Key::Enter);
    assert_eq!(text(&window), "class = ");
    assert!(!said(&window, "column"), "nothing is wrong yet");
    assert_eq!(gallery(&window).len(), 4);
    shot(&mut window, "filter-completion-light");
    press(&mut window, egui::Key::ArrowDown);
    press(&mut window, egui::Key::Enter);
    assert_eq!(text(&window), "class = dog ");
    assert_eq!(gallery(&window), [0, 1]);
    // Esc closes the list, and only then leaves the field.
    assert!(window.state().view().completion_open);
    press(&mut window, egui::Key::Escape);
    assert!(!window.state().view().completion_open);
    type_in(&mut window, "and sc");
    window.get_by_label_contains("iou_score").click();
    frames(&mut window, 3);
    assert_eq!(text(&window), "class = dog and iou_score ");
    type_in(&mut window, "> 0.9");
    assert_eq!(gallery(&window), [1]);
}

#[test]
fn the_class_menu_writes_into_the_filter() {
    let home = tempfile::tempdir().unwrap();
    let mut window = open(home.path(), egui::Theme::Dark);
    type_in(&mut window, "score > 0.5");
    assert_eq!(gallery(&window), [0, 1]);
    press(&mut window, egui::Key::Escape);
    let choose = |window: &mut Window, chip: &str, class: &str| {
        window.get_by_label(chip).click();
        frames(window, 3);
        window.get_by_role_and_label(Role::Button, class).click();
        frames(window, 3);
    };
    choose(&mut window, "Class: any class", "bird");
    assert_eq!(text(&window), "score > 0.5 and class = bird");
    assert_eq!(gallery(&window), [0]);
    choose(&mut window, "Class: bird", "dog");
    assert_eq!(text(&window), "score > 0.5 and class = dog");
    window.get_by_label("Any class").click();
    frames(&mut window, 3);
    assert_eq!(text(&window), "score > 0.5");
}

#[test]
fn a_saved_view_brings_everything_back() {
    let home = tempfile::tempdir().unwrap();
    let mut window = open(home.path(), egui::Theme::Dark);
    type_in(&mut window, "class = dog");
    send(&mut window, Command::SetThreshold(0.25));
    send(&mut window, Command::SetRankBy(RankBy::Score));
    window.get_by_label("Sort by: file order").click();
    frames(&mut window, 3);
    window.get_by_label("best score").click();
    frames(&mut window, 3);
    assert_eq!(gallery(&window), [1, 0]);

    window.get_by_label("Saved views").click();
    frames(&mut window, 3);
    assert!(said(&window, "No view of this set is saved"));
    window.get_by_label("Save the view…").click();
    frames(&mut window, 3);
    let naming = window.state().view().naming.clone().unwrap();
    assert_eq!(naming.text, "class = dog", "the query is a first name");
    let field = window.get_by_role_and_label(Role::TextInput, "Name of the view");
    field.focus();
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    window.event(egui::Event::Text("dogs".into()));
    frames(&mut window, 3);
    window.get_by_role_and_label(Role::Button, "Save").click();
    frames(&mut window, 3);
    assert!(window.state().view().naming.is_none());

    clear(&mut window);
    send(&mut window, Command::SetThreshold(0.0));
    send(&mut window, Command::SetRankBy(RankBy::IouScore));
    assert_eq!(gallery(&window).len(), 4);
    window.get_by_label("Saved views").click();
    frames(&mut window, 3);
    shot(&mut window, "saved-views-dark");
    window.get_by_role_and_label(Role::Button, "dogs").click();
    frames(&mut window, 3);
    let view = window.state().view();
    assert_eq!((text(&window), view.threshold), ("class = dog", 0.25));
    assert_eq!(
        (view.query.sort, view.rank_by),
        (SortBy::BestScore, RankBy::Score)
    );
    assert_eq!(gallery(&window), [1, 0]);

    // The palette has it too.
    send(&mut window, Command::TogglePalette);
    assert!(said(&window, "View: dogs"));
    send(&mut window, Command::TogglePalette);
    let rename = Command::RenameView {
        from: "dogs".into(),
        to: "all dogs".into(),
    };
    send(&mut window, rename);
    let names = |window: &Window| {
        let doc = window.state().document();
        let path = &doc.source().unwrap().path;
        let views = doc.settings().views(path).iter();
        views.map(|view| view.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&window), ["all dogs"]);
    send(&mut window, Command::ForgetRecent);
    assert_eq!(
        names(&window),
        ["all dogs"],
        "recent lists are something else"
    );
    window.get_by_label("Saved views").click();
    frames(&mut window, 3);
    window.get_by_label("Delete all dogs").click();
    frames(&mut window, 3);
    assert!(names(&window).is_empty());
}
