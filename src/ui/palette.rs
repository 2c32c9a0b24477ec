//! The command palette: every command and every recent set, found by a few letters.

use egui::{Align2, Frame, Id, Key, Margin, ScrollArea, TextEdit, vec2};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::command::{Command, CommandQueue};
use super::review_command::{self, CLASS, ReviewCommand};
use super::review_queue::QueueOf;
use super::view::{ViewState, Workspace};
use super::widgets::{self, Row};
use super::{icons, keys, saved_views, theme};
use crate::document::Document;
use crate::document::review::Keep;

const WIDTH: f32 = 560.0;
const LIST_HEIGHT: f32 = 364.0;
const ROW: f32 = 28.0;
/// Kept free for the scroll bar.
const SCROLL_BAR: f32 = 10.0;
/// Below the top bar.
const TOP: f32 = 64.0;

/// A line of the palette.
struct Entry {
    command: Command,
    label: String,
    detail: String,
    shortcut: String,
    enabled: bool,
}

/// What was typed and which line is selected.
#[derive(Default)]
pub struct Palette {
    query: String,
    selected: usize,
    /// The selected line is to be brought into view.
    scroll: bool,
}

/// What does the same in a terminal; selectable, so that it can be copied.
fn command_line_ui(ui: &mut egui::Ui, line: &str) {
    ui.separator();
    ui.add_space(theme::GRID);
    ui.horizontal(|ui| {
        ui.add_space(2.0 * theme::GRID);
        ui.add(
            egui::Label::new(egui::RichText::new(line).small())
                .selectable(true)
                .truncate(),
        )
        .on_hover_text("Does the same in a terminal");
    });
    ui.add_space(theme::GRID);
}

impl Palette {
    /// One in which this was typed already.
    pub fn asking(query: &str) -> Self {
        Self {
            query: query.to_owned(),
            ..Self::default()
        }
    }

    /// Draws it; true when it is to be closed.
    pub fn show(
        &mut self,
        ctx: &egui::Context,
        doc: &Document,
        view: &ViewState,
        out: &mut CommandQueue,
    ) -> bool {
        let entries = matching(entries(doc, view), &self.query);
        self.take_keys(ctx, entries.len());
        let enter = ctx.input_mut(|input| input.consume_key(egui::Modifiers::NONE, Key::Enter));
        let mut chosen = entries.get(self.selected).filter(|_| enter);
        let area = egui::Modal::default_area(Id::unique("palette"))
            .anchor(Align2::CENTER_TOP, vec2(0.0, TOP));
        let modal = widgets::modal(ctx, "palette", 8).area(area);
        let response = modal.show(ctx, |ui| {
            ui.set_width(WIDTH);
            self.field_ui(ui);
            if let Some(clicked) = self.list_ui(ui, &entries) {
                chosen = entries.get(clicked);
            }
            let line = entries
                .get(self.selected)
                .and_then(|entry| entry.command.command_line(doc));
            if let Some(line) = line {
                command_line_ui(ui, &line);
            }
        });
        let chosen = chosen.filter(|entry| entry.enabled);
        if let Some(entry) = chosen {
            out.push(entry.command.clone());
        }
        chosen.is_some() || response.backdrop_response.clicked()
    }

    fn take_keys(&mut self, ctx: &egui::Context, count: usize) {
        let pressed = |key| ctx.input_mut(|input| input.consume_key(egui::Modifiers::NONE, key));
        let last = count.saturating_sub(1);
        let before = self.selected;
        if pressed(Key::ArrowDown) {
            self.selected += 1;
        }
        if pressed(Key::ArrowUp) {
            self.selected = self.selected.saturating_sub(1);
        }
        if pressed(Key::PageDown) {
            self.selected += 10;
        }
        if pressed(Key::PageUp) {
            self.selected = self.selected.saturating_sub(10);
        }
        self.selected = self.selected.min(last);
        self.scroll |= self.selected != before;
    }

    fn field_ui(&mut self, ui: &mut egui::Ui) {
        let field = TextEdit::singleline(&mut self.query)
            .hint_text("Type a command or a recent set")
            .margin(Margin::symmetric(8, 8))
            .frame(Frame::NONE)
            .desired_width(f32::INFINITY);
        let response = ui.add(field);
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Command palette")
        });
        if response.changed() {
            self.selected = 0;
            self.scroll = true;
        }
        response.request_focus();
        ui.separator();
    }

    /// The lines; the clicked one is returned.
    fn list_ui(&mut self, ui: &mut egui::Ui, entries: &[Entry]) -> Option<usize> {
        if entries.is_empty() {
            ui.add_space(2.0 * theme::GRID);
            ui.weak(format!("Nothing matches “{}”", self.query));
            ui.add_space(2.0 * theme::GRID);
            return None;
        }
        let mut clicked = None;
        ui.spacing_mut().item_spacing.y = 0.0;
        ScrollArea::vertical()
            .max_height(LIST_HEIGHT)
            .auto_shrink([false, true])
            .show(ui, |ui| {
                ui.set_max_width(ui.available_width() - SCROLL_BAR);
                for (at, entry) in entries.iter().enumerate() {
                    let response = Row {
                        icon: "",
                        label: &entry.label,
                        detail: &entry.detail,
                        right: &entry.shortcut,
                        selected: at == self.selected,
                        enabled: entry.enabled,
                    }
                    .show(ui, ROW);
                    if at == self.selected && self.scroll {
                        response.scroll_to_me(None);
                        self.scroll = false;
                    }
                    if response.clicked() {
                        clicked = Some(at);
                    }
                }
            });
        clicked
    }
}

/// Every command, then the recent sets and checkpoints.
fn entries(doc: &Document, view: &ViewState) -> Vec<Entry> {
    let commands = Command::listed().into_iter().filter(|command| {
        // The palette itself and leaving it are no use inside.
        !matches!(command, Command::TogglePalette | Command::Escape)
    });
    let mut entries: Vec<Entry> = commands
        .map(|command| Entry {
            label: command.label().into_owned(),
            detail: String::new(),
            shortcut: keys::shortcut_text(&command),
            enabled: command.enabled(doc, view),
            command,
        })
        .collect();
    if view.workspace == Workspace::Review {
        entries.extend(of_review(doc, view));
    }
    let settings = doc.settings();
    let views = doc.source().map(|source| settings.views(&source.path));
    for view in views.unwrap_or_default() {
        let command = Command::ApplyView(view.name.clone());
        entries.push(Entry {
            label: command.label().into_owned(),
            detail: view.query.text.clone(),
            shortcut: String::new(),
            enabled: true,
            command,
        });
    }
    let sets = settings.recent.iter().map(|path| ("Open", path));
    let checkpoints = settings
        .recent_checkpoints
        .iter()
        .map(|path| ("Load", path));
    for (verb, path) in sets.chain(checkpoints) {
        let name = path.file_name().unwrap_or(path.as_os_str());
        entries.push(Entry {
            label: format!("{verb} {}", name.to_string_lossy()),
            detail: path.display().to_string(),
            shortcut: icons::CLOCK_COUNTER_CLOCKWISE.to_owned(),
            enabled: true,
            command: Command::OpenPath(path.clone()),
        });
    }
    entries
}

/// What depends on the set under review: its classes, the saved views as queues, conflicts.
fn of_review(doc: &Document, view: &ViewState) -> Vec<Entry> {
    let entry = |command: ReviewCommand, label: String| Entry {
        label,
        detail: String::new(),
        shortcut: String::new(),
        enabled: command.enabled(doc, view),
        command: Command::Review(command),
    };
    let classes = doc.categories().ids().map(|id| {
        let command = review_command::class_command(view, id);
        entry(command, format!("{CLASS} {}", doc.category_name(id)))
    });
    let views = saved_views::of_open_set(doc).iter().map(|saved| {
        let command = ReviewCommand::MakeQueue(QueueOf::View(saved.name.clone()));
        let label = command.label().into_owned();
        entry(command, label)
    });
    let conflicts = doc.review().map_or(&[][..], |review| review.conflicts());
    let conflicts = conflicts.iter().flat_map(|conflict| {
        [Keep::Mine, Keep::Theirs].map(|keep| {
            let command = ReviewCommand::Settle(conflict.id, keep);
            let label = format!("{}: {}", command.label(), conflict.words);
            entry(command, label)
        })
    });
    classes.chain(views).chain(conflicts).collect()
}

/// Those that match, best first; without a query all of them, what can be done now first.
fn matching(entries: Vec<Entry>, query: &str) -> Vec<Entry> {
    let mut entries = entries;
    if query.trim().is_empty() {
        entries.sort_by_key(|entry| !entry.enabled);
        return entries;
    }
    let pattern = Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, Entry)> = entries
        .into_iter()
        .filter_map(|entry| {
            let text = format!("{} {}", entry.label, entry.detail);
            let score = pattern.score(Utf32Str::new(&text, &mut buffer), &mut matcher)?;
            Some((score, entry))
        })
        .collect();
    scored.sort_by_key(|(score, entry)| (!entry.enabled, std::cmp::Reverse(*score)));
    scored.into_iter().map(|(_, entry)| entry).collect()
}
