//! The window's own way to name a path: a field with completion. Folders are read on a thread.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use egui::{Key, Margin, Modifiers, ScrollArea, TextEdit};

use super::dialogs::Ask;
use super::widgets::{self, Row};
use super::{icons, theme};

const WIDTH: f32 = 560.0;
const LIST_HEIGHT: f32 = 240.0;
const ROW: f32 = 24.0;
/// Entries of a folder that are offered.
const MOST_ENTRIES: usize = 5_000;

/// What became of it in this frame.
pub enum Answer {
    /// Nothing yet.
    Open,
    /// This path.
    Chosen(PathBuf),
    /// No path.
    Cancelled,
}

/// A file or folder that completes what was typed.
#[derive(Clone, Debug)]
struct Candidate {
    name: String,
    is_folder: bool,
}

/// What a folder holds, as soon as it has been read.
struct Listing {
    folder: String,
    receiver: Receiver<Result<Vec<Candidate>, String>>,
    entries: Option<Result<Vec<Candidate>, String>>,
}

/// A path that is being typed.
pub struct PathField {
    ask: Ask,
    why: String,
    text: String,
    selected: usize,
    listing: Option<Listing>,
    /// The text changed from outside the field: its cursor goes to the end.
    to_end: bool,
}

impl PathField {
    /// A field that begins in a folder.
    pub fn new(ctx: &egui::Context, ask: Ask, start: Option<PathBuf>, why: String) -> Self {
        let mut text = start.map_or_else(String::new, |path| path.display().to_string());
        if !text.is_empty() && !text.ends_with(std::path::MAIN_SEPARATOR) {
            text.push(std::path::MAIN_SEPARATOR);
        }
        if ask == Ask::Export {
            text.push_str("predictions.json");
        }
        let mut field = Self {
            ask,
            why,
            text,
            selected: 0,
            listing: None,
            to_end: true,
        };
        field.list(ctx);
        field
    }

    /// What it asks for.
    pub fn ask(&self) -> Ask {
        self.ask
    }

    /// Draws it.
    pub fn show(&mut self, ctx: &egui::Context) -> Answer {
        if let Some(listing) = &mut self.listing
            && let Ok(entries) = listing.receiver.try_recv()
        {
            listing.entries = Some(entries);
        }
        let candidates = self.candidates();
        let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if pressed(Key::ArrowDown) {
            self.selected += 1;
        }
        if pressed(Key::ArrowUp) {
            self.selected = self.selected.saturating_sub(1);
        }
        self.selected = self.selected.min(candidates.len().saturating_sub(1));
        let mut completed = pressed(Key::Tab).then_some(self.selected);
        let mut answer = Answer::Open;
        if pressed(Key::Enter) && !self.text.trim().is_empty() {
            answer = Answer::Chosen(typed_path(&self.text));
        }
        let modal = widgets::modal(ctx, "path field", 16);
        modal.show(ctx, |ui| {
            ui.set_width(WIDTH);
            self.head_ui(ui);
            if let Some(clicked) = candidates_ui(ui, &candidates, self.selected) {
                completed = Some(clicked);
            }
            ui.add_space(2.0 * theme::GRID);
            if let Some(pressed) = self.buttons_ui(ui) {
                answer = pressed;
            }
        });
        if let Some(candidate) = completed.and_then(|at| candidates.get(at)) {
            self.complete(candidate);
        }
        self.list(ctx);
        answer
    }

    fn head_ui(&mut self, ui: &mut egui::Ui) {
        let c = theme::colours(ui);
        ui.label(widgets::strong(self.ask.title(), theme::HEADING));
        ui.add(egui::Label::new(egui::RichText::new(&self.why).color(c.weak)).wrap());
        ui.add_space(theme::GRID);
        let mut output = TextEdit::singleline(&mut self.text)
            .hint_text("A path; Tab completes it")
            .margin(Margin::symmetric(8, 6))
            .lock_focus(true)
            .desired_width(f32::INFINITY)
            .show(ui);
        output
            .response
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Path"));
        if output.response.changed() {
            self.selected = 0;
        }
        if self.to_end {
            let end = egui::text::CCursor::new(self.text.chars().count());
            output
                .state
                .cursor
                .set_char_range(Some(egui::text::CCursorRange::one(end)));
            output.state.store(ui.ctx(), output.response.id);
            self.to_end = false;
        }
        output.response.request_focus();
        if let Some(Listing {
            entries: Some(Err(error)),
            ..
        }) = &self.listing
        {
            ui.colored_label(c.warning, error);
        } else if self.ask == Ask::Export && self.is_there() {
            ui.colored_label(c.warning, "This file exists and will be replaced");
        }
    }

    /// Whether the folder that was read has a file of the name that is typed.
    fn is_there(&self) -> bool {
        let (_, name) = split(&self.text);
        let entries = self.listing.as_ref().and_then(|l| l.entries.as_ref());
        let entries = entries.and_then(|entries| entries.as_deref().ok());
        entries.is_some_and(|all| all.iter().any(|it| it.name == name.trim() && !it.is_folder))
    }

    fn buttons_ui(&self, ui: &mut egui::Ui) -> Option<Answer> {
        let mut answer = None;
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let verb = match self.ask {
                Ask::Export => "Export",
                Ask::Checkpoint => "Load",
                Ask::Draft(_) => "Choose",
                _ => "Open",
            };
            let is_typed = !self.text.trim().is_empty();
            if ui.add_enabled(is_typed, egui::Button::new(verb)).clicked() {
                answer = Some(Answer::Chosen(typed_path(&self.text)));
            }
            if ui.button("Cancel").clicked() {
                answer = Some(Answer::Cancelled);
            }
        });
        answer
    }

    /// Entries of the folder that begin with what was typed after it.
    fn candidates(&self) -> Vec<Candidate> {
        let (_, prefix) = split(&self.text);
        let prefix = prefix.to_lowercase();
        let entries = match self.listing.as_ref().and_then(|l| l.entries.as_ref()) {
            Some(Ok(entries)) => entries.as_slice(),
            _ => &[],
        };
        let fits = |candidate: &&Candidate| {
            let is_hidden = candidate.name.starts_with('.') && !prefix.starts_with('.');
            candidate.name.to_lowercase().starts_with(&prefix) && !is_hidden
        };
        entries.iter().filter(fits).cloned().collect()
    }

    fn complete(&mut self, candidate: &Candidate) {
        let (folder, _) = split(&self.text);
        self.text = format!("{folder}{}", candidate.name);
        if candidate.is_folder {
            self.text.push(std::path::MAIN_SEPARATOR);
        }
        self.selected = 0;
        self.to_end = true;
    }

    /// Has the folder of what is typed read, where it is another one.
    fn list(&mut self, ctx: &egui::Context) {
        let (folder, _) = split(&self.text);
        if self.listing.as_ref().is_some_and(|l| l.folder == folder) {
            return;
        }
        let (sender, receiver) = channel();
        let path = typed_path(if folder.is_empty() { "." } else { folder });
        let (ask, ctx) = (self.ask, ctx.clone());
        let thread = std::thread::Builder::new()
            .name("path completion".into())
            .spawn(move || {
                // The field may be closed by now.
                let _ = sender.send(read_folder(&path, ask));
                ctx.request_repaint();
            });
        let entries = thread.err().map(|error| Err(error.to_string()));
        self.listing = Some(Listing {
            folder: folder.to_owned(),
            receiver,
            entries,
        });
    }
}

fn candidates_ui(ui: &mut egui::Ui, candidates: &[Candidate], selected: usize) -> Option<usize> {
    let mut clicked = None;
    ui.add_space(theme::GRID);
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical()
        .max_height(LIST_HEIGHT)
        .auto_shrink([false, false])
        .show_rows(ui, ROW, candidates.len(), |ui, range| {
            for at in range {
                let Some(candidate) = candidates.get(at) else {
                    continue;
                };
                let row = Row {
                    icon: if candidate.is_folder {
                        icons::FOLDER_OPEN
                    } else {
                        icons::FILE
                    },
                    selected: at == selected,
                    ..Row::new(&candidate.name)
                };
                if row.show(ui, ROW).clicked() {
                    clicked = Some(at);
                }
            }
        });
    clicked
}

/// Folder with its separator, and what was typed after it.
fn split(text: &str) -> (&str, &str) {
    match text.rfind(std::path::is_separator) {
        Some(at) => text.split_at(at + 1),
        None => ("", text),
    }
}

/// The path of what was typed: `~` is the home folder.
fn typed_path(text: &str) -> PathBuf {
    let text = text.trim();
    let home = text
        .strip_prefix('~')
        .filter(|rest| rest.is_empty() || rest.starts_with(std::path::is_separator))
        .zip(directories::UserDirs::new());
    match home {
        Some((rest, dirs)) => dirs
            .home_dir()
            .join(rest.trim_start_matches(std::path::is_separator)),
        None => PathBuf::from(text),
    }
}

/// Folders, and the files that the question is about; folders first, then by name.
fn read_folder(path: &Path, ask: Ask) -> Result<Vec<Candidate>, String> {
    let endings = ask.wants().endings();
    let wanted = |name: &str| {
        let end = name.rsplit_once('.').map(|(_, end)| end);
        end.is_some_and(|end| endings.contains(&end))
    };
    let entries = std::fs::read_dir(path)
        .map_err(|error| format!("Cannot read {}: {error}", path.display()))?;
    let mut candidates: Vec<Candidate> = entries
        .flatten()
        .take(MOST_ENTRIES)
        .map(|entry| Candidate {
            name: entry.file_name().to_string_lossy().into_owned(),
            is_folder: entry.path().is_dir(),
        })
        .filter(|candidate| candidate.is_folder || wanted(&candidate.name.to_lowercase()))
        .collect();
    candidates.sort_by_key(|candidate| (!candidate.is_folder, candidate.name.to_lowercase()));
    Ok(candidates)
}
