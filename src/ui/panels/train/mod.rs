//! The Train workspace: runs, their curves beside each other, and everything about the selected one.

mod against;
mod cache;
mod curves;
mod delete;
mod details;
mod list;
mod log;
mod tiles;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{Margin, Ui};

use super::judged;
use crate::document::Document;
use crate::document::evaluation::Comparison;
use crate::document::training::{Balance, Over, Quantity, Run};
use crate::structures::is_same;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::fine_tune::FineTuneView;
use crate::ui::plot::LinesState;
use crate::ui::train_command::TrainCommand;
use crate::ui::view::ViewState;
use crate::ui::{icons, theme};

pub use delete::delete_ui;
pub use details::train_right_ui;
pub use list::{runs_ui, seconds_text, status};

/// Height of the log at the first start.
const LOG: f32 = 132.0;

/// What the workspace shows. It can be deleted without losing work.
pub struct TrainView {
    /// Folder of the run that is shown.
    pub selected: Option<PathBuf>,
    /// Runs whose curves stand beside those of the selected one.
    pub compared: BTreeSet<PathBuf>,
    /// Weight of the past in curves, 0 to below 1.
    pub smoothing: f64,
    /// What stands to the right of curves.
    pub over: Over,
    /// What the large plot shows.
    pub quantity: Quantity,
    /// The dialog was opened in this frame.
    pub dialog_opened: bool,
    /// The fine-tune dialog.
    pub dialog: FineTuneView,
    /// A run that was started and may not be in the list yet.
    awaited: Option<PathBuf>,
    /// The run that the document was asked to read.
    told: Option<PathBuf>,
    /// A shown run keeps its colour: its place here.
    slots: Vec<Option<PathBuf>>,
    lines: LinesState,
    curves: cache::Curves,
    /// Of the open comparison of the selected run with its start.
    balance: Option<(Arc<Comparison>, Balance)>,
}

impl Default for TrainView {
    fn default() -> Self {
        Self {
            selected: None,
            compared: BTreeSet::new(),
            smoothing: 0.6,
            over: Over::default(),
            quantity: Quantity::default(),
            dialog_opened: false,
            dialog: FineTuneView::default(),
            awaited: None,
            told: None,
            slots: Vec::new(),
            lines: LinesState::default(),
            curves: cache::Curves::default(),
            balance: None,
        }
    }
}

impl TrainView {
    /// Brings selection and colours into step with the runs. Call it once a frame.
    pub fn renew(&mut self, doc: &mut Document) {
        if let Some(run) = doc.take_started_run() {
            self.awaited = Some(run.clone());
            self.selected = Some(run);
        }
        let runs = doc.training().runs();
        let is_there = |folder: &Path| runs.iter().any(|run| run.folder == folder);
        if self.awaited.as_deref().is_some_and(is_there) {
            self.awaited = None;
        }
        let holds = self
            .selected
            .as_deref()
            .is_some_and(|folder| is_there(folder) || self.awaited.as_deref() == Some(folder));
        if !holds && doc.training().has_looked() {
            self.selected = runs.first().map(|run| run.folder.clone());
        }
        self.compared.retain(|folder| is_there(folder));
        self.curves.keep(is_there);
        self.renew_slots();
        self.renew_balance(doc);
        if self.told != self.selected {
            self.told = self.selected.clone();
            doc.select_run(self.selected.as_deref());
        }
    }

    /// Counting over a large set takes longer than a frame should: once for each comparison.
    fn renew_balance(&mut self, doc: &Document) {
        let run = self.selected.as_deref();
        let run = run.and_then(|folder| doc.training().run(folder));
        let analysis = run.and_then(|run| doc.analysis_against_start(run));
        let comparison = analysis.and_then(|analysis| analysis.comparison.as_ref());
        let known = self.balance.as_ref().map(|(of, _)| of);
        if is_same(known, comparison) {
            return;
        }
        let balance = analysis.and_then(Balance::of);
        self.balance = comparison.cloned().zip(balance);
    }

    fn renew_slots(&mut self) {
        let shown: Vec<&PathBuf> = self.selected.iter().chain(&self.compared).collect();
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(|folder| !shown.contains(&folder)) {
                *slot = None;
            }
        }
        for folder in shown {
            if self.slots.iter().flatten().any(|known| known == folder) {
                continue;
            }
            match self.slots.iter_mut().find(|slot| slot.is_none()) {
                Some(free) => *free = Some(folder.clone()),
                None => self.slots.push(Some(folder.clone())),
            }
        }
    }

    /// Draws the curves of a run beside the others, or no longer.
    pub fn toggle_compared(&mut self, folder: &Path) {
        if !self.compared.remove(folder) {
            self.compared.insert(folder.to_owned());
        }
    }

    /// The index of the colour of a run that is shown.
    fn colour(&self, folder: &Path) -> Option<usize> {
        let is_it = |slot: &Option<PathBuf>| slot.as_deref() == Some(folder);
        self.slots.iter().position(is_it)
    }

    /// Runs whose curves are drawn: the selected one, then those beside it.
    fn shown<'a>(&self, doc: &'a Document) -> Vec<&'a Run> {
        let training = doc.training();
        let selected = self.selected.iter();
        let others = self.compared.iter();
        let others = others.filter(|folder| Some(*folder) != self.selected.as_ref());
        let shown = selected.chain(others);
        shown.filter_map(|folder| training.run(folder)).collect()
    }
}

/// The centre of the workspace: curves above the log.
pub fn train_centre_ui(ui: &mut Ui, doc: &Document, view: &mut ViewState, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let panel = egui::Frame::new().fill(c.panel);
    let panel = panel.inner_margin(Margin::same(theme::PADDING));
    let is_empty = doc.training().runs().is_empty();
    if is_empty {
        egui::CentralPanel::default()
            .frame(panel)
            .show(ui, |ui| empty_ui(ui, doc, out));
        return;
    }
    egui::Panel::bottom("training log")
        .default_size(LOG)
        .size_range(40.0..=ui.available_height() * 0.6)
        .resizable(true)
        .frame(panel.inner_margin(Margin::symmetric(theme::PADDING, 6)))
        .show(ui, |ui| log::log_ui(ui, doc, view));
    egui::CentralPanel::default().frame(panel).show(ui, |ui| {
        let mut train = std::mem::take(&mut view.train);
        curves::curves_ui(ui, doc, &mut train);
        view.train = train;
    });
}

/// There is no run: what can be done.
fn empty_ui(ui: &mut Ui, doc: &Document, out: &mut CommandQueue) {
    if let Some(launching) = doc.training().launching().first() {
        let body = "The process reads its sets; its curves appear here";
        judged::message(ui, icons::CIRCLE_HALF, "Training starts", body, |ui| {
            ui.weak(&launching.label);
        });
        return;
    }
    let body = "Fine-tune a checkpoint on your own classes. A run is a process of its own: it goes on when the window \
                is closed, and is found again in its folder";
    judged::message(ui, icons::SPARKLE, "No runs yet", body, |ui| {
        for command in [TrainCommand::FineTune, TrainCommand::OpenFolder] {
            if ui.button(command.label().into_owned()).clicked() {
                out.push(Command::Train(command));
            }
        }
        for (folder, complaint) in doc.training().complaints() {
            let c = theme::colours(ui);
            ui.colored_label(c.warning, complaint);
            let forget = TrainCommand::ForgetFolder(folder.clone());
            if ui.button(forget.label().into_owned()).clicked() {
                out.push(Command::Train(forget));
            }
        }
    });
}
