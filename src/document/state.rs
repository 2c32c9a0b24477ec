//! The document itself.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::categories::Categories;
use super::evaluation::{Analyst, Attaching, BoundaryJob, Evaluator, Second, Side};
use super::exporting::Exporting;
use super::filter::{EvaluationFields, FilterInput, GroundTruth};
use super::health::Checkup;
use super::mask_in_box::BoxPrompts;
use super::open::{self, OpenError, Opened};
use super::opening::{Opening, OpeningProgress, Step, Teller};
use super::prediction_source::PredictionSource;
use super::ranking::RankBy;
use super::review::Corrections;
use super::reviewing::Reviewing;
use super::running::Running;
use super::saving::Saving;
use super::settings::Settings;
use super::training::Training;
use super::truth::TruthKeeper;
use super::watch::FileWatch;
use super::{ImageEntry, ImageState, ModelRequest, ModelSummary, PathKind, TruthState, Wake};
use crate::coco::dataset::Dataset;
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

impl Notice {
    pub(super) fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            details: String::new(),
        }
    }

    pub(super) fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }
}

/// What is open and what runs. See the module's documentation.
pub struct Document {
    pub(super) source: Option<Source>,
    pub(super) images: Vec<ImageEntry>,
    pub(super) classes: ClassTable,
    pub(super) model: ModelState,
    pub(super) request: ModelRequest,
    /// Whether the model is the one that came with the demo.
    pub(super) has_demo_model: bool,
    pub(super) settings: Settings,
    pub(super) running: Option<Running>,
    pub(super) notices: Vec<Notice>,
    pub(super) exports: Vec<Receiver<Notice>>,
    pub(super) wake: Wake,
    /// Ground truth of what is open.
    pub(super) dataset: Option<Arc<Dataset>>,
    pub(super) attaching: Option<Attaching>,
    /// Prediction files that wait for their set or their turn.
    pub(super) to_attach: Vec<(PathBuf, Side)>,
    /// Prediction files that come back with the set that is opened again.
    pub(super) to_attach_again: Vec<(PathBuf, Side)>,
    pub(super) evaluator: Option<Evaluator>,
    pub(super) analyst: Option<Analyst>,
    pub(super) second: Option<Second>,
    pub(super) checkup: Option<Checkup>,
    pub(super) boundary: Option<BoundaryJob>,
    pub(super) predictions_path: Option<PathBuf>,
    /// What verdicts on predictions belong to.
    pub(super) prediction_source: Option<PredictionSource>,
    /// Changes whenever predictions or classes change.
    pub(super) predictions_number: u64,
    truth: Option<TruthKeeper>,
    pub(super) reviewing: Option<Reviewing>,
    pub(super) saving: Saving,
    /// Whether the set's file is still the one that was opened.
    pub(super) watch: Option<FileWatch>,
    /// Boxes that the model is asked about.
    pub(super) box_prompts: Option<BoxPrompts>,
    /// The state of the review that was last waited for.
    pub(super) committed: u64,
    /// Exports of the review that are under way.
    pub(super) exporting: Vec<Exporting>,
    /// Whether one was written since that was last asked.
    pub(super) has_set_to_train: bool,
    /// Ids and labels of the set's categories and of new ones.
    pub(super) categories: Arc<Categories>,
    /// Classes that the review alone knows.
    pub(super) review_classes: Vec<String>,
    evaluation: Option<Arc<EvaluationFields>>,
    opening: Option<Opening>,
    pub(super) training: Training,
    revision: u64,
    /// Images in state `Idle` or `Failed`.
    outstanding: usize,
}

impl Document {
    /// An empty document. `request` holds the checkpoint and options of the command line; its checkpoint may be empty.
    pub fn new(request: ModelRequest, settings: Settings, wake: Wake) -> Self {
        let model = match request.checkpoint.as_os_str().is_empty() {
            true => ModelState::None,
            false => ModelState::Chosen(request.checkpoint.clone()),
        };
        Self {
            source: None,
            images: Vec::new(),
            classes: ClassTable::default(),
            model,
            request,
            has_demo_model: false,
            settings,
            running: None,
            notices: Vec::new(),
            exports: Vec::new(),
            wake,
            dataset: None,
            attaching: None,
            to_attach: Vec::new(),
            to_attach_again: Vec::new(),
            evaluator: None,
            analyst: None,
            second: None,
            checkup: None,
            boundary: None,
            predictions_path: None,
            prediction_source: None,
            predictions_number: 0,
            truth: None,
            reviewing: None,
            saving: Saving::default(),
            watch: None,
            box_prompts: None,
            committed: 0,
            exporting: Vec::new(),
            has_set_to_train: false,
            categories: Arc::default(),
            review_classes: Vec::new(),
            evaluation: None,
            opening: None,
            training: Training::default(),
            revision: 0,
            outstanding: 0,
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

    /// What filter and order of the gallery look at.
    pub fn filter_input(&self, rank_by: RankBy, threshold: f64) -> FilterInput<'_> {
        FilterInput {
            images: &self.images,
            classes: &self.classes,
            revision: self.revision,
            evaluation: self.evaluation.as_deref(),
            truth: self.dataset.as_deref().map(|set| set as &dyn GroundTruth),
            rank_by,
            threshold,
        }
    }

    /// What an evaluation found, where there was one.
    pub fn evaluation_fields(&self) -> Option<&Arc<EvaluationFields>> {
        self.evaluation.as_ref()
    }

    /// Takes over what an evaluation of the open predictions found; `None` where it no longer holds.
    pub fn set_evaluation(&mut self, evaluation: Option<Arc<EvaluationFields>>) {
        self.evaluation = evaluation;
        self.revision += 1;
    }

    /// Changes whenever images, their predictions or classes change: gallery and lists are renewed by it.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What is being opened. Of a set whose annotations take long, `images` are those of it already.
    pub fn opening(&self) -> Option<OpeningProgress<'_>> {
        self.opening.as_ref().map(Opening::progress)
    }

    /// Whether the images of the open set are here and its annotations still being read.
    pub fn awaits_annotations(&self) -> bool {
        (self.opening.as_ref()).is_some_and(|opening| opening.shows_images)
    }

    /// The running job.
    pub fn progress(&self) -> Option<Progress> {
        self.running.as_ref().map(Running::progress)
    }

    /// Images without predictions: what `run` would do.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether anything runs in the background: opening, the model or an export.
    pub fn is_busy(&self) -> bool {
        self.opening.is_some()
            || self.attaching.is_some()
            || !self.to_attach.is_empty()
            || self.running.is_some()
            || !self.exports.is_empty()
            || !self.exporting.is_empty()
            || self.asked_masks() > 0
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
        self.take_opened();
        self.take_attached();
        self.take_inference();
        self.take_evaluations();
        self.take_training();
        self.take_review();
        self.take_saving();
        self.renew_prediction_source();
        if let Some(checkup) = &mut self.checkup {
            checkup.poll();
        }
        if let Some(boundary) = &mut self.boundary {
            boundary.poll();
        }
        self.take_exports();
        self.take_masks();
        if self.watch.as_mut().is_some_and(FileWatch::take_news) {
            let text =
                "Another program changed the set's file: Review offers to open it again and merge";
            self.notices.push(Notice::new(NoticeKind::Warning, text));
        }
        std::mem::take(&mut self.notices)
    }

    /// Opens a path of any kind on a thread; a checkpoint is loaded instead.
    pub fn open(&mut self, path: &Path) {
        if self
            .source
            .as_ref()
            .is_none_or(|source| source.path != path)
        {
            self.to_attach_again.clear();
        }
        if PathKind::of(path) == PathKind::Checkpoint && path.exists() {
            self.choose_checkpoint(path);
            return;
        }
        let given = path.to_owned();
        self.start_opening(path, move |found| open::open(&given, found));
    }

    /// Opens the built-in synthetic set.
    pub fn open_demo(&mut self) {
        self.to_attach_again.clear();
        self.start_opening(Path::new("Demo"), open::open_demo);
    }

    pub(super) fn start_opening(
        &mut self,
        path: &Path,
        work: impl FnOnce(&Teller) -> Result<Opened, OpenError> + Send + 'static,
    ) {
        if self.awaits_annotations() {
            self.close(); // half a set is of no use
        }
        match Opening::start(path, &self.wake, work) {
            Ok(opening) => self.opening = Some(opening),
            Err(error) => self.notices.push(Notice::new(
                NoticeKind::Error,
                format!("cannot start a thread: {error}"),
            )),
        }
    }

    fn take_opened(&mut self) {
        let Some(mut opening) = self.opening.take() else {
            return;
        };
        match opening.poll() {
            Ok(None) => self.opening = Some(opening),
            Ok(Some(Step::Images(opened))) => {
                self.clear();
                self.images = opened.images;
                self.source = Some(opened.source);
                self.changed();
                opening.shows_images = true;
                self.opening = Some(opening);
            }
            Ok(Some(Step::Done(Ok(opened)))) => self.install(opened),
            Ok(Some(Step::Done(Err(error)))) => self.opening_failed(&opening, error.to_string()),
            Err(_) => {
                let path = opening.path().display();
                let text = format!("opening {path} broke; the log holds the details");
                self.opening_failed(&opening, text);
            }
        }
    }

    fn opening_failed(&mut self, opening: &Opening, text: String) {
        self.notices.push(Notice::new(NoticeKind::Error, text));
        if opening.shows_images {
            self.close();
        }
    }

    fn install(&mut self, opened: Opened) {
        self.clear();
        let kind = opened.source.kind;
        if !opened.notes.is_empty() {
            let text = match opened.notes.as_slice() {
                [one] => one.clone(),
                many => format!("{}: {} remarks", opened.source.title, many.len()),
            };
            let notice =
                Notice::new(NoticeKind::Warning, text).with_details(opened.notes.join("\n"));
            self.notices.push(notice);
        }
        if kind != SourceKind::Demo {
            self.settings.opened(&opened.source.path);
        }
        self.choose_model(&opened);
        self.images = opened.images;
        self.classes = opened.classes;
        let set = opened.dataset.as_deref();
        let of_set = set.map(|set| Categories::of_file(set.classes()));
        self.categories = Arc::new(of_set.unwrap_or_default());
        let wake = || Arc::clone(&self.wake);
        self.truth =
            (opened.dataset.clone()).and_then(|dataset| TruthKeeper::new(dataset, wake()).ok());
        self.evaluator =
            (opened.dataset.clone()).and_then(|dataset| Evaluator::new(dataset, wake()).ok());
        self.analyst = Analyst::new(wake()).ok();
        // Without a watch a changed file is noticed when something is read from it.
        self.watch =
            (opened.dataset.clone()).and_then(|dataset| FileWatch::start(dataset, wake()).ok());
        self.dataset = opened.dataset;
        if self.dataset.is_none() {
            self.to_attach.clear();
        }
        self.source = Some(opened.source);
        self.changed();
        let runs_by_itself = matches!(
            kind,
            SourceKind::Folder | SourceKind::Image | SourceKind::CocoSet | SourceKind::Demo
        );
        let again = std::mem::take(&mut self.to_attach_again);
        let has_predictions = again.iter().any(|(_, side)| *side == Side::A);
        for (path, side) in again {
            self.attach_predictions(&path, side);
        }
        if runs_by_itself && !has_predictions && !matches!(self.model, ModelState::None) {
            self.run(false);
        }
    }

    /// The model that belongs to what was opened, where the user has chosen none: the demo's, or the last one of this set.
    fn choose_model(&mut self, opened: &Opened) {
        if self.has_demo_model && opened.checkpoint.is_none() {
            // It knows five shapes: nothing for other pictures.
            self.request.checkpoint = PathBuf::new();
            self.model = ModelState::None;
            self.has_demo_model = false;
        }
        if !matches!(self.model, ModelState::None) {
            return;
        }
        let of_set = || self.settings.checkpoint_for(&opened.source.path);
        if let Some(checkpoint) = opened.checkpoint.clone().or_else(of_set) {
            self.has_demo_model = opened.checkpoint.is_some();
            self.request.checkpoint = checkpoint.clone();
            self.model = ModelState::Chosen(checkpoint);
        }
    }

    /// Closes what is open or being opened; a running job is cancelled.
    pub fn close(&mut self) {
        self.opening = None;
        self.to_attach.clear();
        self.clear();
    }

    fn clear(&mut self) {
        self.running = None;
        self.truth = None;
        self.leave_review();
        self.watch = None;
        self.box_prompts = None;
        self.categories = Arc::default();
        self.review_classes.clear();
        self.dataset = None;
        self.attaching = None;
        self.evaluator = None;
        self.analyst = None;
        self.second = None;
        self.checkup = None;
        self.boundary = None;
        self.predictions_path = None;
        self.prediction_source = None;
        self.evaluation = None;
        self.source = None;
        self.images = Vec::new();
        self.classes = ClassTable::default();
        self.changed();
    }

    /// Ground truth of an image; asks for it where it is not here yet.
    pub fn truth(&mut self, index: usize) -> TruthState {
        let (Some(keeper), Some(image)) = (&mut self.truth, self.images.get(index)) else {
            return TruthState::Absent;
        };
        keeper.get(index, &image.detections().cloned())
    }

    /// From now on the annotations of an image have these corrections.
    pub(super) fn correct(&mut self, index: usize, corrections: Option<Corrections>) {
        if let Some(keeper) = &mut self.truth {
            keeper.correct(index, corrections);
        }
    }

    /// From now on the annotations have these corrections and no others, by position of the image.
    pub(super) fn correct_all(&mut self, all: HashMap<usize, Corrections>) {
        if let Some(keeper) = &mut self.truth {
            keeper.correct_all(all);
        }
    }

    /// There are other categories now; labels are what they were.
    pub(super) fn categories_changed(&mut self) {
        self.revision += 1;
        if let Some(keeper) = &mut self.truth {
            keeper.set_categories(Arc::clone(&self.categories));
        }
    }

    /// Something was said or corrected.
    pub(super) fn reviewed(&mut self) {
        self.revision += 1;
    }

    /// Whether what is open has annotations.
    pub fn has_truth(&self) -> bool {
        self.truth.is_some()
    }

    pub(super) fn set_state(&mut self, index: usize, state: ImageState) {
        if let Some(image) = self.images.get_mut(index) {
            let is_outstanding =
                |state: &ImageState| matches!(state, ImageState::Idle | ImageState::Failed(_));
            self.outstanding -= usize::from(is_outstanding(&image.state));
            self.outstanding += usize::from(is_outstanding(&state));
            let has_predictions = |state: &ImageState| matches!(state, ImageState::Done(_));
            let changes = has_predictions(&image.state) || has_predictions(&state);
            self.predictions_number += u64::from(changes);
            image.state = state;
            self.revision += 1;
        }
    }

    /// Counts anew after a change of the whole list.
    fn changed(&mut self) {
        let is_outstanding =
            |image: &&ImageEntry| matches!(image.state, ImageState::Idle | ImageState::Failed(_));
        self.outstanding = self.images.iter().filter(is_outstanding).count();
        self.predictions_number += 1;
        self.revision += 1;
    }
}
