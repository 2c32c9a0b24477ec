//! What can be done about training: runs, the draft of a new one. A part of `Command`.

use std::borrow::Cow;
use std::path::PathBuf;

use super::dialogs::Ask;
use super::dispatch::{Target, reveal_path};
use super::shell::Overlay;
use super::view::{ViewState, Workspace};
use crate::document::training::{Condition, Run};
use crate::document::{Document, NoticeKind};
use crate::structures::shell;

/// A path that the fine-tune dialog asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftPath {
    /// The training set: a folder.
    TrainFolder,
    /// The training set: a COCO JSON.
    TrainJson,
    /// The validation set: a folder.
    ValFolder,
    /// The validation set: a COCO JSON.
    ValJson,
    /// The checkpoint to start from.
    Checkpoint,
    /// The configuration.
    Config,
    /// Where the run folder is made.
    Output,
}

/// An intent about training.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainCommand {
    /// Open the fine-tune dialog.
    FineTune,
    /// Check the draft.
    Check,
    /// Check the draft and take a few steps.
    MeasureTime,
    /// End the check.
    CancelCheck,
    /// Start the run of the draft.
    Start,
    /// Ask for a path of the draft.
    Browse(DraftPath),
    /// Ask for a folder whose runs are shown.
    OpenFolder,
    /// No longer show the runs of a folder.
    ForgetFolder(PathBuf),
    /// Show this run.
    Select(PathBuf),
    /// The next run of the list.
    Next,
    /// The previous run of the list.
    Previous,
    /// Draw the curves of this run beside those of the selected one, or not.
    Compare(PathBuf),
    /// The same for the selected run.
    ToggleCompared,
    /// Ask the selected run to save and end.
    Stop,
    /// Have the selected run go on.
    Resume,
    /// Ask whether the selected run is to be deleted.
    Delete,
    /// Delete this run.
    DeleteNow(PathBuf),
    /// Open the best checkpoint of the selected run, on its validation set.
    OpenBest,
    /// Have the start and the best checkpoint of the selected run see its validation set, and compare them.
    AgainstStart,
    /// End that.
    CancelAgainst,
    /// Show the folder of the selected run in the file manager.
    Reveal,
    /// Copy the command line of the selected run.
    CopyCommandLine,
}

impl TrainCommand {
    /// Those that the palette lists, in its order.
    pub fn listed() -> Vec<Self> {
        vec![
            Self::FineTune,
            Self::OpenFolder,
            Self::Next,
            Self::Previous,
            Self::ToggleCompared,
            Self::OpenBest,
            Self::AgainstStart,
            Self::Stop,
            Self::Resume,
            Self::Reveal,
            Self::CopyCommandLine,
            Self::Delete,
        ]
    }

    /// What it does.
    pub fn label(&self) -> Cow<'static, str> {
        match self {
            Self::FineTune => "Fine-tune…",
            Self::Check => "Check",
            Self::MeasureTime => "Measure time",
            Self::CancelCheck => "Cancel the check",
            Self::Start => "Start training",
            Self::Browse(_) => "Browse…",
            Self::OpenFolder => "Open a runs folder…",
            Self::Next => "Next run",
            Self::Previous => "Previous run",
            Self::ToggleCompared => "Compare the run, or not",
            Self::Stop => "Stop the run",
            Self::Resume => "Resume the run",
            Self::Delete => "Delete the run…",
            Self::OpenBest => "Open the best checkpoint",
            Self::AgainstStart => "Compare with the start",
            Self::CancelAgainst => "Cancel the comparison",
            Self::Reveal => "Show the run in the file manager",
            Self::CopyCommandLine => "Copy the command line of the run",
            Self::ForgetFolder(path) => {
                return format!("Hide the runs of {}", path.display()).into();
            }
            Self::Select(path) | Self::Compare(path) | Self::DeleteNow(path) => {
                let verb = match self {
                    Self::Select(_) => "Show",
                    Self::Compare(_) => "Compare",
                    _ => "Delete",
                };
                return format!("{verb} the run {}", path.display()).into();
            }
        }
        .into()
    }

    /// Whether it can be carried out now.
    pub fn enabled(&self, doc: &Document, view: &ViewState) -> bool {
        let training = doc.training();
        let run = selected(doc, view);
        let is_here = view.workspace == Workspace::Train;
        match self {
            Self::Next | Self::Previous => is_here && !training.runs().is_empty(),
            Self::ToggleCompared => is_here && run.is_some(),
            Self::Stop => run.is_some_and(|run| run.condition.is_live() && !run.is_stopping),
            Self::Resume => run.is_some_and(|run| training.can_resume(run)),
            Self::Delete => is_here && run.is_some_and(|run| can_delete(doc, run)),
            Self::DeleteNow(folder) => {
                (training.run(folder)).is_some_and(|run| can_delete(doc, run))
            }
            Self::OpenBest => run.is_some_and(|run| run.best_checkpoint().is_some()),
            Self::AgainstStart => run.is_some_and(|run| doc.can_compare_with_start(run)),
            Self::CancelAgainst => doc.comparing_with_start().is_some(),
            Self::Reveal => run.is_some(),
            Self::CopyCommandLine => run.is_some_and(|run| run.record.is_some()),
            Self::Check | Self::MeasureTime => training.draft().problems().is_empty(),
            Self::CancelCheck => training.checks().running().is_some(),
            Self::Start => training.blocker().is_none(),
            _ => true,
        }
    }

    /// Why it cannot be carried out, where that is not plain.
    pub fn why_not(&self, doc: &Document, view: &ViewState) -> Option<&'static str> {
        let run = selected(doc, view)?;
        let is_resuming = doc.training().is_resuming(&run.folder);
        match self {
            Self::Stop if run.is_stopping => {
                Some("It was asked to: it finishes its step and saves")
            }
            Self::Stop => Some("The run does not train now"),
            Self::Resume if run.condition == Condition::Finished => Some("All epochs are done"),
            Self::Resume if run.condition.is_live() => Some("The run trains already"),
            Self::Resume if run.is_alive || is_resuming => Some("Its process starts"),
            Self::Resume => Some("The run has saved no checkpoint yet to go on from"),
            Self::Delete if is_resuming => Some("Its process starts: stop it first"),
            Self::Delete => Some("The run trains: stop it first"),
            Self::AgainstStart if doc.comparing_with_start().is_some() => {
                Some("A comparison is being made")
            }
            Self::OpenBest | Self::AgainstStart if run.best_checkpoint().is_none() => {
                Some(match run.record.as_ref().map(|it| &it.val_data) {
                    Some(None) => {
                        "There is no validation set, so AP is not measured and no checkpoint is the best"
                    }
                    _ => "AP is measured after each epoch: no checkpoint is the best yet",
                })
            }
            Self::AgainstStart => Some(
                "It takes the checkpoint that the run began with, its best one, and its validation set",
            ),
            _ => None,
        }
    }
}

fn can_delete(doc: &Document, run: &Run) -> bool {
    !run.condition.is_live() && !doc.training().is_resuming(&run.folder)
}

/// The selected run.
pub fn selected<'a>(doc: &'a Document, view: &ViewState) -> Option<&'a Run> {
    doc.training().run(view.train.selected.as_deref()?)
}

/// Carries it out.
pub(super) fn carry_out(command: &TrainCommand, target: &mut Target<'_>) {
    match command {
        TrainCommand::FineTune => {
            target.document.prepare_draft();
            target.view.train.dialog_opened = true;
            target.shell.overlay = Some(Overlay::FineTune);
        }
        TrainCommand::Check => target.document.check_draft(false),
        TrainCommand::MeasureTime => target.document.check_draft(true),
        TrainCommand::CancelCheck => target.document.cancel_check_of_draft(),
        TrainCommand::Start => start(target),
        TrainCommand::Browse(path) => ask(Ask::Draft(*path), target),
        TrainCommand::OpenFolder => ask(Ask::Runs, target),
        TrainCommand::ForgetFolder(folder) => target.document.forget_run_folder(folder),
        TrainCommand::Select(folder) => target.view.train.selected = Some(folder.clone()),
        TrainCommand::Next => step(target, 1),
        TrainCommand::Previous => step(target, -1),
        TrainCommand::Compare(folder) => target.view.train.toggle_compared(folder),
        TrainCommand::DeleteNow(folder) => target.document.delete_run(folder),
        _ => of_selected(command, target),
    }
}

fn of_selected(command: &TrainCommand, target: &mut Target<'_>) {
    let Some(run) = selected(target.document, target.view) else {
        return;
    };
    let folder = run.folder.clone();
    match command {
        TrainCommand::ToggleCompared => target.view.train.toggle_compared(&folder),
        TrainCommand::Stop => target.document.stop_run(&folder),
        TrainCommand::Resume => target.document.resume_run(&folder),
        TrainCommand::AgainstStart => target.document.compare_with_start(&folder),
        TrainCommand::CancelAgainst => target.document.cancel_comparison_with_start(),
        TrainCommand::Delete => target.shell.overlay = Some(Overlay::DeleteRun(folder)),
        TrainCommand::OpenBest => {
            let on_set = run.validation_set().is_some();
            target.document.open_best_checkpoint(&folder);
            if on_set || target.document.source().is_some() {
                target.view.workspace = Workspace::Evaluate;
            }
        }
        // The file manager shows what the named file lies in.
        TrainCommand::Reveal => reveal_path(folder.join("run.json"), target),
        TrainCommand::CopyCommandLine => {
            let command = run.record.as_ref().map(|record| record.command.as_slice());
            let words = command.unwrap_or_default().iter().map(String::as_str);
            target.ctx.copy_text(shell::line(words));
            let text = "The command line is on the clipboard";
            target.shell.toasts.say(NoticeKind::Info, text, "");
        }
        _ => {}
    }
}

fn start(target: &mut Target<'_>) {
    if target.document.start_training() {
        target.shell.overlay = None;
        target.view.workspace = Workspace::Train;
    }
}

/// The dialog for a path lies over the fine-tune dialog, which stays.
fn ask(ask: Ask, target: &mut Target<'_>) {
    target.shell.dialogs.ask(target.ctx, ask, target.document);
}

fn step(target: &mut Target<'_>, by: isize) {
    let runs = target.document.training().runs();
    let here = (target.view.train.selected.as_ref())
        .and_then(|folder| runs.iter().position(|run| run.folder == *folder));
    let last = runs.len().saturating_sub(1);
    let at = here.map_or(0, |at| at.saturating_add_signed(by).min(last));
    if let Some(run) = runs.get(at) {
        target.view.train.selected = Some(run.folder.clone());
    }
}

/// Takes a path that was asked for.
pub(super) fn take_path(field: DraftPath, path: &std::path::Path, document: &mut Document) {
    let text = path.display().to_string();
    let draft = document.draft_mut();
    match field {
        DraftPath::TrainFolder | DraftPath::TrainJson => draft.train_data = text,
        DraftPath::ValFolder | DraftPath::ValJson => draft.val_data = text,
        DraftPath::Checkpoint => draft.checkpoint = text,
        DraftPath::Config => draft.config = text,
        DraftPath::Output => draft.output = text,
    }
}
