//! Saved views: filter, order, threshold and ranking of the gallery under a name, kept with the set.

use super::command::Command;
use super::dispatch::Target;
use super::view::{Naming, ViewState};
use crate::document::Document;
use crate::document::settings::SavedView;

/// What the window shows now, under a name.
pub fn current(view: &ViewState, name: &str) -> SavedView {
    SavedView {
        name: name.to_owned(),
        query: view.query.clone(),
        threshold: view.threshold,
        rank_by: view.rank_by,
    }
}

/// The saved views of what is open.
pub fn of_open_set(doc: &Document) -> &[SavedView] {
    doc.source()
        .map_or(&[], |source| doc.settings().views(&source.path))
}

/// Carries out the commands of this file; others are left alone.
pub fn carry_out(command: &Command, target: &mut Target<'_>) {
    let Some(path) = target.document.source().map(|source| source.path.clone()) else {
        return;
    };
    let view = &mut *target.view;
    match command {
        Command::SaveView => {
            view.naming = Some(Naming {
                from: None,
                text: view.query.text.trim().to_owned(),
                is_focused: false,
            });
        }
        Command::KeepView(name) => {
            let settings = target.document.settings_mut();
            settings.keep_view(&path, current(view, name));
        }
        Command::ApplyView(name) => {
            let views = target.document.settings().views(&path);
            if let Some(saved) = views.iter().find(|saved| saved.name == *name) {
                view.query = saved.query.clone();
                view.threshold = saved.threshold.clamp(0.0, 1.0);
                view.rank_by = saved.rank_by;
            }
        }
        Command::RenameView { from, to } => {
            target.document.settings_mut().rename_view(&path, from, to);
        }
        Command::DeleteView(name) => {
            target.document.settings_mut().delete_view(&path, name);
        }
        _ => {}
    }
}
