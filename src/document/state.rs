//! The document itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::settings::Settings;
use super::{ImageEntry, ModelRequest, ModelSummary, TruthState, Wake};
use crate::structures::ClassTable;

/// Where the images come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A folder of images.
    Folder,
    /// One image.
    Image,
    /// A COCO set.
    CocoSet,
    /// A prediction file.
    Predictions,
    /// The built-in synthetic set.
    Demo,
}

/// What is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is.
    pub kind: SourceKind,
    /// Folder or file.
    pub path: PathBuf,
    /// As the top bar names it.
    pub title: String,
}

/// The model.
#[derive(Clone, Debug, Default)]
pub enum ModelState {
    /// No checkpoint was chosen.
    #[default]
    None,
    /// A checkpoint was chosen and loads with the first image.
    Chosen(PathBuf),
    /// Loading.
    Loading(PathBuf),
    /// Ready.
    Ready(Arc<ModelSummary>),
    /// Refused: what, where, what to do.
    Failed(PathBuf, String),
}

/// How far the running job is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Images done.
    pub done: usize,
    /// All images of the job.
    pub total: usize,
    /// Over the last images; 0 before the first.
    pub images_per_second: f64,
    /// Time left.
    pub eta: Option<Duration>,
    /// Held by the user.
    pub is_paused: bool,
}

/// How a notice is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// Something went well.
    Info,
    /// Something the user should look at.
    Warning,
    /// Something failed.
    Error,
}

/// Something to tell the user once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How it is shown.
    pub kind: NoticeKind,
    /// One sentence.
    pub text: String,
    /// The cause chain and everything else; may be empty.
    pub details: String,
}

/// What is open and what runs. See the module's documentation.
pub struct Document {
    source: Option<Source>,
    images: Vec<ImageEntry>,
    classes: ClassTable,
    model: ModelState,
    request: ModelRequest,
    settings: Settings,
    wake: Wake,
}

impl Document {
    /// An empty document. `request` holds the checkpoint and options of the command line; its checkpoint may be empty.
    pub fn new(request: ModelRequest, settings: Settings, wake: Wake) -> Self {
        Self {
            source: None,
            images: Vec::new(),
            classes: ClassTable::default(),
            model: ModelState::None,
            request,
            settings,
            wake,
        }
    }

    /// What is open.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The images, in the order of folder or file.
    pub fn images(&self) -> &[ImageEntry] {
        &self.images
    }

    /// Classes of labels.
    pub fn classes(&self) -> &ClassTable {
        &self.classes
    }

    /// The model.
    pub fn model(&self) -> &ModelState {
        &self.model
    }

    /// Changes whenever images, their predictions or classes change: gallery and lists are renewed by it.
    pub fn revision(&self) -> u64 {
        0
    }

    /// What is being opened, with the number of images found so far.
    pub fn opening(&self) -> Option<(PathBuf, usize)> {
        None
    }

    /// The running job.
    pub fn progress(&self) -> Option<Progress> {
        None
    }

    /// Images without predictions while no job runs: what `run` would do.
    pub fn outstanding(&self) -> usize {
        0
    }

    /// Remembered settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Remembered settings, to change and save.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Takes in what the threads finished. Call it once a frame; returns what the user should be told.
    pub fn poll(&mut self) -> Vec<Notice> {
        (self.wake)();
        Vec::new()
    }

    /// Opens a path of any kind on a thread; a checkpoint is loaded instead.
    pub fn open(&mut self, path: &Path) {
        let _ = path;
    }

    /// Opens the built-in synthetic set.
    pub fn open_demo(&mut self) {}

    /// Closes what is open; a running job is cancelled.
    pub fn close(&mut self) {}

    /// Takes a checkpoint and runs it on what is open.
    pub fn choose_checkpoint(&mut self, path: &Path) {
        self.request.checkpoint = path.to_owned();
    }

    /// Runs the model on every image without predictions; with `again` on all.
    pub fn run(&mut self, again: bool) {
        let _ = again;
    }

    /// Holds the job, or lets it go on.
    pub fn set_paused(&mut self, paused: bool) {
        let _ = paused;
    }

    /// Stops the job; what it found stays.
    pub fn cancel(&mut self) {}

    /// The image on screen comes first in the job.
    pub fn focus(&mut self, index: usize) {
        let _ = index;
    }

    /// Ground truth of an image; asks for it where it is not here yet.
    pub fn truth(&mut self, index: usize) -> TruthState {
        let _ = index;
        TruthState::Absent
    }

    /// Writes the predictions as JSON on a thread; a notice tells the end.
    pub fn export(&mut self, output: &Path) {
        let _ = output;
    }
}
