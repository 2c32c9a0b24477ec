//! Asking for a path. The desktop's own dialog is asked first, on a thread; where none answers, the window offers a field
//! of its own and says why.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::command::Command;
use super::path_field::PathField;
use super::train_command::DraftPath;
use crate::document::{Document, Format, SourceKind};

/// A dialog that ends so quickly without an answer was never shown. One that ends later was cancelled, but only if it
/// took the focus from the window: the search for a portal and for its substitute may take longer.
const NEVER_SHOWN: Duration = Duration::from_millis(100);
/// After this long without a dialog taking the focus, the window offers its own field.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A folder of images.
    Folder,
    /// A COCO JSON.
    CocoSet,
    /// A prediction JSON.
    Predictions,
    /// A prediction JSON to compare with.
    Second,
    /// Weights.
    Checkpoint,
    /// Where to write the predictions.
    Export,
    /// Where to write the corrected set.
    Corrected(Format),
    /// Where to write the audit trail of the review.
    Audit,
    /// Where to write the corrected set before it is trained on.
    CorrectedToTrain,
    /// A folder of training runs.
    Runs,
    /// A path of the fine-tune dialog.
    Draft(DraftPath),
}

/// Endings of weights.
const CHECKPOINTS: [&str; 4] = ["safetensors", "pth", "pt", "ckpt"];
/// Endings of configurations.
const YAML: [&str; 2] = ["yaml", "yml"];

/// A kind of path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A folder.
    Folder,
    /// A JSON that is there.
    Json,
    /// Weights.
    Checkpoint,
    /// A configuration.
    Yaml,
    /// A JSON that may not be there yet.
    NewJson,
    /// A file of any kind, or a folder, that may not be there yet.
    New(&'static str),
}

impl Wants {
    /// Endings of the files that answer.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Folder => &[],
            Self::Json | Self::NewJson => &["json"],
            Self::New(_) => &[],
            Self::Checkpoint => &CHECKPOINTS,
            Self::Yaml => &YAML,
        }
    }
}

impl Ask {
    /// What a command asks for.
    pub fn of(command: &Command) -> Option<Self> {
        match command {
            Command::OpenFolder => Some(Self::Folder),
            Command::OpenCocoSet => Some(Self::CocoSet),
            Command::OpenPredictions => Some(Self::Predictions),
            Command::ComparePredictions => Some(Self::Second),
            Command::OpenCheckpoint => Some(Self::Checkpoint),
            Command::ExportPredictions => Some(Self::Export),
            _ => None,
        }
    }

    /// Title of the dialog.
    pub fn title(self) -> &'static str {
        match self {
            Self::Folder => "Open a folder of images",
            Self::CocoSet => "Open a COCO set",
            Self::Predictions => "Open predictions",
            Self::Second => "Compare with predictions",
            Self::Checkpoint => "Load a checkpoint",
            Self::Export => "Export predictions",
            Self::Corrected(_) => "Export the corrected set",
            Self::Audit => "Export the audit trail",
            Self::CorrectedToTrain => "Write the corrected set to train on",
            Self::Runs => "Open a folder of training runs",
            Self::Draft(DraftPath::TrainFolder | DraftPath::TrainJson) => "Choose a training set",
            Self::Draft(DraftPath::ValFolder | DraftPath::ValJson) => "Choose a validation set",
            Self::Draft(DraftPath::Checkpoint) => "Choose a checkpoint to start from",
            Self::Draft(DraftPath::Config) => "Choose a configuration",
            Self::Draft(DraftPath::Output) => "Choose a folder for the run",
        }
    }

    /// What kind of path answers it.
    pub fn wants(self) -> Wants {
        match self {
            Self::Folder | Self::Runs => Wants::Folder,
            Self::CocoSet | Self::Predictions | Self::Second => Wants::Json,
            Self::Checkpoint => Wants::Checkpoint,
            Self::Export
            | Self::CorrectedToTrain
            | Self::Corrected(Format::Coco | Format::Predictions) => Wants::NewJson,
            Self::Corrected(Format::Csv) => Wants::New("annotations.csv"),
            Self::Corrected(Format::Cvat) => Wants::New("annotations.xml"),
            Self::Corrected(Format::Results) => Wants::New("results"),
            Self::Corrected(Format::Html) => Wants::New("report"),
            Self::Corrected(format) => Wants::New(format.name()),
            Self::Audit => Wants::New("audit.csv"),
            Self::Draft(path) => match path {
                DraftPath::TrainFolder | DraftPath::ValFolder | DraftPath::Output => Wants::Folder,
                DraftPath::TrainJson | DraftPath::ValJson => Wants::Json,
                DraftPath::Checkpoint => Wants::Checkpoint,
                DraftPath::Config => Wants::Yaml,
            },
        }
    }

    /// The name that a new file is offered.
    pub fn file_name(self) -> &'static str {
        match (self, self.wants()) {
            (Self::Export | Self::Corrected(Format::Predictions), _) => "predictions.json",
            (_, Wants::New(name)) => name,
            _ => "corrected.json",
        }
    }

    /// Shows the desktop's dialog and waits for it.
    fn ask_desktop(self, start: Option<&Path>) -> Option<PathBuf> {
        let mut dialog = rfd::FileDialog::new().set_title(self.title());
        if let Some(folder) = start {
            dialog = dialog.set_directory(folder);
        }
        match self.wants() {
            Wants::Folder => dialog.pick_folder(),
            Wants::Json => dialog.add_filter("JSON", &["json"]).pick_file(),
            Wants::Checkpoint => dialog
                .add_filter("Checkpoints", &CHECKPOINTS)
                .add_filter("All files", &["*"])
                .pick_file(),
            Wants::Yaml => dialog.add_filter("YAML", &YAML).pick_file(),
            Wants::NewJson => dialog
                .add_filter("JSON", &["json"])
                .set_file_name(self.file_name())
                .save_file(),
            Wants::New(name) => dialog.set_file_name(name).save_file(),
        }
    }
}

/// A dialog of the desktop that was asked for.
struct Pending {
    ask: Ask,
    since: Instant,
    answer: Receiver<Option<PathBuf>>,
    start: Option<PathBuf>,
    /// Another window has had the focus since: the dialog was shown.
    /// Whether the window had the focus that a dialog could take.
    had_focus: bool,
    was_shown: bool,
}

/// At most one question at a time.
#[derive(Default)]
pub struct Dialogs {
    pending: Option<Pending>,
    field: Option<PathField>,
}

impl Dialogs {
    /// Asks. A question that is still open is forgotten.
    pub fn ask(&mut self, ctx: &egui::Context, ask: Ask, doc: &Document) {
        let start = start_folder(ask, doc);
        let (sender, answer) = channel();
        let (ctx_of_thread, folder) = (ctx.clone(), start.clone());
        let thread = std::thread::Builder::new()
            .name("file dialog".into())
            .spawn(move || {
                // Nobody listens any more when another question was asked meanwhile.
                let _ = sender.send(ask.ask_desktop(folder.as_deref()));
                ctx_of_thread.request_repaint();
            });
        match thread {
            Ok(_) => {
                self.field = None;
                self.pending = Some(Pending {
                    ask,
                    since: Instant::now(),
                    answer,
                    start,
                    had_focus: has_focus(ctx),
                    was_shown: false,
                });
                ctx.request_repaint_after(PATIENCE);
            }
            Err(error) => {
                let why = format!("No thread for the file dialog could be started: {error}.");
                self.offer_field(ctx, ask, start, why);
            }
        }
    }

    /// Shows the window's own field without asking the desktop.
    pub fn offer_field(
        &mut self,
        ctx: &egui::Context,
        ask: Ask,
        start: Option<PathBuf>,
        why: String,
    ) {
        self.field = Some(PathField::new(ctx, ask, start, why));
    }

    /// Whether the window's own field is open.
    pub fn is_open(&self) -> bool {
        self.field.is_some()
    }

    /// Closes the window's own field; a dialog of the desktop is no longer listened to.
    pub fn close(&mut self) {
        self.field = None;
        self.pending = None;
    }

    /// Takes the answer of the desktop's dialog, draws the own field; returns what was chosen.
    pub fn show(&mut self, ctx: &egui::Context) -> Option<(Ask, PathBuf)> {
        if let Some(chosen) = self.poll(ctx) {
            self.close();
            return Some(chosen);
        }
        let field = self.field.as_mut()?;
        match field.show(ctx) {
            super::path_field::Answer::Open => None,
            super::path_field::Answer::Cancelled => {
                self.close();
                None
            }
            super::path_field::Answer::Chosen(path) => {
                let ask = field.ask();
                self.close();
                Some((ask, path))
            }
        }
    }

    fn poll(&mut self, ctx: &egui::Context) -> Option<(Ask, PathBuf)> {
        let pending = self.pending.as_mut()?;
        pending.was_shown |= pending.had_focus && !has_focus(ctx);
        let was_shown = pending.was_shown;
        let ask = pending.ask;
        let waited = pending.since.elapsed();
        match pending.answer.try_recv() {
            Ok(Some(path)) => return Some((ask, path)),
            Ok(None) if waited < NEVER_SHOWN || !was_shown => {
                let start = pending.start.clone();
                self.pending = None;
                self.offer_field(
                    ctx,
                    ask,
                    start,
                    "The desktop offers no file dialog (no XDG portal answers), so type the path here.".into(),
                );
            }
            // Cancelled there.
            Ok(None) | Err(TryRecvError::Disconnected) => self.pending = None,
            Err(TryRecvError::Empty) => {
                if waited >= PATIENCE && !was_shown && self.field.is_none() {
                    let start = pending.start.clone();
                    let why = "The desktop's file dialog has not shown up within two seconds; a path can be typed here meanwhile.";
                    self.offer_field(ctx, ask, start, why.into());
                } else if waited < PATIENCE {
                    ctx.request_repaint_after(PATIENCE.saturating_sub(waited).max(NEVER_SHOWN));
                }
            }
        }
        None
    }
}

/// Without a window manager no window ever has it.
fn has_focus(ctx: &egui::Context) -> bool {
    ctx.input(|input| input.viewport().focused != Some(false))
}

/// The demo lies in a cache folder, where nobody keeps photos.
fn is_demo(doc: &Document) -> bool {
    let source = doc.source();
    source.is_some_and(|source| source.kind == SourceKind::Demo)
}

/// Where the dialog begins: beside what is open, or what was open last.
fn start_folder(ask: Ask, doc: &Document) -> Option<PathBuf> {
    let settings = doc.settings();
    let near = match ask {
        Ask::Checkpoint | Ask::Draft(DraftPath::Checkpoint) => {
            settings.recent_checkpoints.first().cloned()
        }
        Ask::Runs | Ask::Draft(DraftPath::Output) => settings.run_folders.first().cloned(),
        // Outside of the set: a second JSON in its folder would make it ambiguous which one is the set's.
        Ask::Corrected(_) | Ask::CorrectedToTrain if !is_demo(doc) => doc.set_folder(),
        _ => doc
            .source()
            .filter(|_| !is_demo(doc))
            .map(|source| source.path.clone())
            .filter(|path| path.is_absolute())
            .or_else(|| settings.recent.first().cloned()),
    };
    let near = near.as_deref().and_then(Path::parent).map(Path::to_owned);
    near.or_else(|| directories::UserDirs::new().map(|dirs| dirs.home_dir().to_owned()))
}
