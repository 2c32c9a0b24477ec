//! Everything a user can do, once: the palette, the menus, the buttons, the keys and the tests use this enum.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::document::evaluation::Side;
use crate::document::ranking::RankBy;
use crate::document::{Document, ImageState, ModelState};
use crate::structures::shell;
use crate::ui::colour::ColourBy;
use crate::ui::dialogs::Ask;
use crate::ui::picked::Picked;
use crate::ui::review_command::ReviewCommand;
use crate::ui::train_command::TrainCommand;
use crate::ui::view::{ViewState, Workspace};

/// An intent. Panels push them; `dispatch` alone carries them out.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Ask for a folder, then open it.
    OpenFolder,
    /// Ask for a COCO JSON, then open it.
    OpenCocoSet,
    /// Ask for a prediction JSON, then open it.
    OpenPredictions,
    /// Ask for a second prediction JSON, to compare with.
    ComparePredictions,
    /// End the comparison with a second prediction file.
    CloseComparison,
    /// Ask for weights, then load them.
    OpenCheckpoint,
    /// Open a path of any kind, as dropped or from the recent list.
    OpenPath(PathBuf),
    /// Open the built-in synthetic set.
    OpenDemo,
    /// Show the health report of the set; made where it is not known.
    CheckSet,
    /// Close what is open: back to the start screen.
    CloseSet,
    /// Run the model on every image without predictions.
    RunModel,
    /// Forget the predictions and run again.
    RunAgain,
    /// Hold the job between images, or go on.
    TogglePause,
    /// Stop the job; what it found stays.
    CancelJob,
    /// Write the predictions as JSON.
    ExportPredictions,
    /// Browse, Compare, Evaluate.
    SetWorkspace(Workspace),
    /// Show the images of these instances alone.
    Pick(Arc<Picked>),
    /// Show all images again.
    ClearPick,
    /// Detections below the threshold take part in the evaluation, or not.
    ToggleEvaluateAboveThreshold,
    /// Only what the filter means takes part in the evaluation, or everything.
    ToggleEvaluateFiltered,
    /// Measure boundary AP of the evaluation.
    MeasureBoundary,
    /// The next image of the gallery.
    NextImage,
    /// The previous image of the gallery.
    PreviousImage,
    /// The first image of the gallery.
    FirstImage,
    /// The last image of the gallery.
    LastImage,
    /// Show this image.
    SelectImage(usize),
    /// The next instance in the list.
    NextInstance,
    /// The previous instance in the list.
    PreviousInstance,
    /// Select this instance, or none.
    SelectInstance(Option<usize>),
    /// Show an annotation: its image, its place among the image's annotations.
    ShowAnnotation(usize, usize),
    /// Fit the image into the canvas.
    ZoomFit,
    /// One pixel of the image on one of the screen.
    ZoomOneToOne,
    /// Closer.
    ZoomIn,
    /// Farther.
    ZoomOut,
    /// Masks on or off.
    ToggleMasks,
    /// Outlines on or off.
    ToggleOutlines,
    /// Boxes on or off.
    ToggleBoxes,
    /// Labels on or off.
    ToggleLabels,
    /// Predictions, ground truth, both: the next of them.
    CycleGroundTruth,
    /// The second predictions right of a line, or nowhere.
    ToggleWipe,
    /// Opacity a step up (+1) or down (-1).
    StepOpacity(i8),
    /// Opacity of the masks, 0..1.
    SetOpacity(f32),
    /// Threshold of the ranking score a step up (+1) or down (-1).
    StepThreshold(i8),
    /// Threshold, 0..1.
    SetThreshold(f64),
    /// The score that orders and filters.
    SetRankBy(RankBy),
    /// What decides about colours.
    SetColourBy(ColourBy),
    /// Only the selected instance, or all.
    ToggleIsolate,
    /// The command palette.
    TogglePalette,
    /// The list of keys.
    ToggleKeys,
    /// The log panel.
    ToggleLog,
    /// The settings.
    ToggleSettings,
    /// Leave what is innermost: palette, dialog, isolation, selection.
    Escape,
    /// Follow the system, dark, light: the next of them.
    CycleTheme,
    /// This theme.
    SetTheme(egui::ThemePreference),
    /// Larger (+1), smaller (-1) or normal (0) user interface.
    ScaleInterface(i8),
    /// Focus the filter of the gallery.
    FocusFilter,
    /// Ask for a name to save filter, order and threshold under.
    SaveView,
    /// Save filter, order and threshold under this name.
    KeepView(String),
    /// Show what was saved under this name.
    ApplyView(String),
    /// Give a saved view another name.
    RenameView {
        /// Its name.
        from: String,
        /// Its name from now on.
        to: String,
    },
    /// Forget what was saved under this name.
    DeleteView(String),
    /// Copy the selected mask as COCO RLE.
    CopyMask,
    /// Show the image in the file manager.
    RevealImage,
    /// Remove the thumbnails kept on disk.
    ClearCache,
    /// Copy all lines of the log.
    CopyLog,
    /// Empty the lists of recent sets and checkpoints.
    ForgetRecent,
    /// About training.
    Train(TrainCommand),
    /// About reviewing.
    Review(ReviewCommand),
    /// Close the window.
    Quit,
}

/// Where the palette and the sheet of keys put a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What is open.
    File,
    /// The network and its job.
    Model,
    /// Runs of training.
    Train,
    /// Verdicts and corrections.
    Review,
    /// From image to image, from instance to instance.
    Go,
    /// The canvas and what is drawn on it.
    View,
    /// The rest of the window.
    Window,
}

impl Group {
    /// In the order of lists.
    pub const ALL: [Self; 7] = [
        Self::File,
        Self::Model,
        Self::Train,
        Self::Review,
        Self::Go,
        Self::View,
        Self::Window,
    ];

    /// As headings name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Model => "Model",
            Self::Train => "Train",
            Self::Review => "Review",
            Self::Go => "Go to",
            Self::View => "View",
            Self::Window => "Window",
        }
    }
}

impl Command {
    /// Every command that the palette lists, in its order. Those whose value comes from a slider or a list are left out.
    pub fn listed() -> Vec<Self> {
        use Command as C;
        let mut all = vec![
            C::OpenDemo,
            C::OpenFolder,
            C::OpenCocoSet,
            C::OpenPredictions,
            C::ComparePredictions,
            C::CloseComparison,
            C::CheckSet,
            C::OpenCheckpoint,
            C::ExportPredictions,
            C::CloseSet,
            C::RevealImage,
            C::CopyMask,
            C::ForgetRecent,
            C::ClearCache,
            C::RunModel,
            C::RunAgain,
            C::TogglePause,
            C::CancelJob,
            C::NextImage,
            C::PreviousImage,
            C::FirstImage,
            C::LastImage,
            C::NextInstance,
            C::PreviousInstance,
            C::SelectInstance(None),
            C::FocusFilter,
            C::SaveView,
            C::ZoomFit,
            C::ZoomOneToOne,
            C::ZoomIn,
            C::ZoomOut,
            C::ToggleMasks,
            C::ToggleOutlines,
            C::ToggleBoxes,
            C::ToggleLabels,
            C::CycleGroundTruth,
            C::ToggleWipe,
            C::ToggleIsolate,
            C::StepOpacity(1),
            C::StepOpacity(-1),
            C::StepThreshold(1),
            C::StepThreshold(-1),
        ];
        all.extend(Workspace::ALL.map(C::SetWorkspace));
        all.extend(TrainCommand::listed().into_iter().map(C::Train));
        all.extend(ReviewCommand::listed().into_iter().map(C::Review));
        all.extend([
            C::ClearPick,
            C::ToggleEvaluateAboveThreshold,
            C::ToggleEvaluateFiltered,
            C::MeasureBoundary,
        ]);
        all.extend(RankBy::ALL.map(C::SetRankBy));
        all.extend(ColourBy::ALL.map(C::SetColourBy));
        all.extend([
            C::TogglePalette,
            C::ToggleKeys,
            C::ToggleSettings,
            C::ToggleLog,
            C::CopyLog,
            C::CycleTheme,
            C::SetTheme(egui::ThemePreference::System),
            C::SetTheme(egui::ThemePreference::Dark),
            C::SetTheme(egui::ThemePreference::Light),
            C::ScaleInterface(1),
            C::ScaleInterface(-1),
            C::ScaleInterface(0),
            C::Escape,
            C::Quit,
        ]);
        all
    }

    /// What it does, in sentence case; an ellipsis where it asks for more.
    pub fn label(&self) -> Cow<'static, str> {
        match self {
            Self::OpenPath(path) => format!("Open {}", path.display()).into(),
            Self::SelectImage(index) => format!("Go to image {}", index + 1).into(),
            Self::SelectInstance(Some(index)) => format!("Select instance {}", index + 1).into(),
            Self::ShowAnnotation(image, index) => {
                format!("Show annotation {} of image {}", index + 1, image + 1).into()
            }
            Self::SetOpacity(opacity) => format!("Opacity {:.0} %", opacity * 100.0).into(),
            Self::SetThreshold(threshold) => format!("Score at least {threshold:.2}").into(),
            Self::SetWorkspace(workspace) => format!("Workspace: {}", workspace.label()).into(),
            Self::Pick(picked) => format!("Show {}", picked.label).into(),
            Self::SetRankBy(by) => format!("Rank by {}", by.label()).into(),
            Self::SetColourBy(by) => format!("Colour by {}", by.label()).into(),
            Self::KeepView(name) => format!("Save the view as {name}").into(),
            Self::ApplyView(name) => format!("View: {name}").into(),
            Self::RenameView { from, .. } => format!("Rename the view {from}").into(),
            Self::DeleteView(name) => format!("Delete the view {name}").into(),
            Self::Train(command) => command.label(),
            Self::Review(command) => command.label(),
            _ => self.fixed_label().into(),
        }
    }

    /// Labels that do not depend on a value.
    fn fixed_label(&self) -> &'static str {
        match self {
            Self::OpenFolder => "Open folder…",
            Self::OpenCocoSet => "Open COCO set…",
            Self::OpenPredictions => "Open predictions…",
            Self::ComparePredictions => "Compare with predictions…",
            Self::CloseComparison => "End the comparison",
            Self::CheckSet => "Check the set…",
            Self::ClearPick => "Show all images again",
            Self::ToggleEvaluateAboveThreshold => {
                "Evaluate all detections, or those above the threshold"
            }
            Self::MeasureBoundary => "Measure boundary AP",
            Self::ToggleEvaluateFiltered => "Evaluate everything, or what the filter means",
            Self::OpenCheckpoint => "Load checkpoint…",
            Self::OpenDemo => "Open the demo",
            Self::CloseSet => "Close",
            Self::RunModel => "Run the model on the rest",
            Self::RunAgain => "Run the model again on all images",
            Self::TogglePause => "Pause or resume detection",
            Self::CancelJob => "Cancel detection",
            Self::ExportPredictions => "Export predictions…",
            Self::NextImage => "Next image",
            Self::PreviousImage => "Previous image",
            Self::FirstImage => "First image",
            Self::LastImage => "Last image",
            Self::NextInstance => "Next instance",
            Self::PreviousInstance => "Previous instance",
            Self::SelectInstance(_) => "Clear the selection",
            Self::ZoomFit => "Fit the image",
            Self::ZoomOneToOne => "Zoom to 100 %",
            Self::ZoomIn => "Zoom in",
            Self::ZoomOut => "Zoom out",
            Self::ToggleMasks => "Show or hide masks",
            Self::ToggleOutlines => "Show or hide outlines",
            Self::ToggleBoxes => "Show or hide boxes",
            Self::ToggleLabels => "Show or hide labels",
            Self::CycleGroundTruth => "Ground truth, predictions or both",
            Self::ToggleWipe => "Wipe between A and B",
            Self::StepOpacity(step) if *step > 0 => "More opaque masks",
            Self::StepOpacity(_) => "More transparent masks",
            Self::StepThreshold(step) if *step > 0 => "Raise the score threshold",
            Self::StepThreshold(_) => "Lower the score threshold",
            Self::ToggleIsolate => "Isolate the selected instance",
            _ => self.window_label(),
        }
    }

    /// Labels of what concerns the window.
    fn window_label(&self) -> &'static str {
        use egui::ThemePreference;
        match self {
            Self::TogglePalette => "Search or run a command",
            Self::ToggleKeys => "Show the keys",
            Self::ToggleLog => "Show or hide the log",
            Self::ToggleSettings => "Settings",
            Self::Escape => "Leave or clear the selection",
            Self::CycleTheme => "Next theme",
            Self::SetTheme(ThemePreference::System) => "Theme: follow the system",
            Self::SetTheme(ThemePreference::Dark) => "Theme: dark",
            Self::SetTheme(ThemePreference::Light) => "Theme: light",
            Self::ScaleInterface(0) => "Normal size of the interface",
            Self::ScaleInterface(step) if *step > 0 => "Larger interface",
            Self::ScaleInterface(_) => "Smaller interface",
            Self::FocusFilter => "Filter the gallery",
            Self::SaveView => "Save the view…",
            Self::CopyMask => "Copy the selected mask as COCO RLE",
            Self::RevealImage => "Show the image in the file manager",
            Self::ClearCache => "Clear the thumbnail cache",
            Self::CopyLog => "Copy the log",
            Self::ForgetRecent => "Clear the recent lists",
            Self::Quit => "Quit",
            _ => "",
        }
    }

    /// Where it belongs.
    pub fn group(&self) -> Group {
        match self {
            Self::OpenFolder
            | Self::OpenCocoSet
            | Self::OpenPredictions
            | Self::ComparePredictions
            | Self::CloseComparison
            | Self::OpenPath(_)
            | Self::OpenDemo
            | Self::CheckSet
            | Self::CloseSet
            | Self::ExportPredictions
            | Self::RevealImage
            | Self::CopyMask
            | Self::ForgetRecent
            | Self::ClearCache => Group::File,
            Self::OpenCheckpoint
            | Self::RunModel
            | Self::RunAgain
            | Self::TogglePause
            | Self::CancelJob
            | Self::MeasureBoundary => Group::Model,
            Self::NextImage
            | Self::PreviousImage
            | Self::FirstImage
            | Self::LastImage
            | Self::SelectImage(_)
            | Self::SetWorkspace(_)
            | Self::Pick(_)
            | Self::ClearPick
            | Self::NextInstance
            | Self::PreviousInstance
            | Self::SelectInstance(_)
            | Self::ShowAnnotation(..)
            | Self::FocusFilter
            | Self::SaveView
            | Self::KeepView(_)
            | Self::ApplyView(_)
            | Self::RenameView { .. }
            | Self::DeleteView(_) => Group::Go,
            Self::TogglePalette
            | Self::ToggleKeys
            | Self::ToggleLog
            | Self::ToggleSettings
            | Self::Escape
            | Self::CycleTheme
            | Self::SetTheme(_)
            | Self::ScaleInterface(_)
            | Self::CopyLog
            | Self::Quit => Group::Window,
            Self::Train(_) => Group::Train,
            Self::Review(_) => Group::Review,
            _ => Group::View,
        }
    }

    /// Whether it can be carried out now. Decided before dispatch, so that menus, palette and keys agree.
    pub fn enabled(&self, doc: &Document, view: &ViewState) -> bool {
        match self {
            Self::CloseSet => doc.source().is_some() || doc.opening().is_some(),
            Self::RunModel => can_run(doc) && doc.outstanding() > 0,
            Self::RunAgain => can_run(doc) && !doc.images().is_empty(),
            Self::TogglePause | Self::CancelJob => doc.progress().is_some(),
            Self::ExportPredictions => {
                let is_done = |state: &ImageState| matches!(state, ImageState::Done(_));
                doc.images().iter().any(|image| is_done(&image.state))
            }
            Self::ComparePredictions | Self::CheckSet => doc.has_truth(),
            Self::CloseComparison | Self::ToggleWipe => doc.second().is_some(),
            Self::MeasureBoundary => doc.evaluation(Side::A).is_some(),
            Self::SetWorkspace(workspace) => {
                let needs_set = !matches!(workspace, Workspace::Browse | Workspace::Train);
                !needs_set || doc.source().is_some()
            }
            Self::Train(command) => command.enabled(doc, view),
            Self::Review(command) => command.enabled(doc, view),
            Self::ClearPick => view.picked.is_some(),
            Self::NextImage | Self::PreviousImage | Self::FirstImage | Self::LastImage => {
                !view.gallery.is_empty() && view.workspace != Workspace::Train
            }
            Self::SelectImage(index) | Self::ShowAnnotation(index, _) => {
                *index < doc.images().len()
            }
            Self::FocusFilter => !doc.images().is_empty(),
            Self::SaveView | Self::KeepView(_) => doc.source().is_some(),
            Self::ApplyView(name) | Self::DeleteView(name) => has_view(doc, name),
            Self::RenameView { from, .. } => has_view(doc, from),
            Self::CopyMask | Self::ToggleIsolate | Self::SelectInstance(None) => {
                view.image.is_some() && view.instance.is_some()
            }
            Self::ForgetRecent => {
                let settings = doc.settings();
                !settings.recent.is_empty() || !settings.recent_checkpoints.is_empty()
            }
            Self::NextInstance
            | Self::PreviousInstance
            | Self::SelectInstance(_)
            | Self::ZoomFit
            | Self::ZoomOneToOne
            | Self::ZoomIn
            | Self::ZoomOut
            | Self::RevealImage => view.image.is_some(),
            _ => true,
        }
    }

    /// The command line that does the same, where there is one.
    pub fn command_line(&self, doc: &Document) -> Option<String> {
        let source = doc.source().map(|source| shell_word(&source.path));
        match self {
            Self::OpenPath(path) => Some(format!("maskscope {}", shell_word(path))),
            Self::RunModel | Self::RunAgain | Self::ExportPredictions => {
                let checkpoint = match doc.model() {
                    ModelState::None => return None,
                    ModelState::Chosen(path)
                    | ModelState::Loading(path)
                    | ModelState::Failed(path, _) => shell_word(path),
                    ModelState::Ready(summary) => shell_word(&summary.checkpoint),
                };
                Some(format!(
                    "maskscope infer --checkpoint {checkpoint} {} predictions.json",
                    source?
                ))
            }
            Self::Review(ReviewCommand::Export(format)) => {
                let out = Ask::Corrected(*format).file_name();
                doc.export_line(format.name(), Path::new(out))
            }
            Self::Review(ReviewCommand::ExportAudit) => {
                doc.export_line("audit", Path::new(Ask::Audit.file_name()))
            }
            _ => None,
        }
    }
}

/// Whether what is open has a saved view of this name.
fn has_view(doc: &Document, name: &str) -> bool {
    doc.source().is_some_and(|source| {
        let views = doc.settings().views(&source.path);
        views.iter().any(|view| view.name == name)
    })
}

/// Whether a checkpoint was chosen that was not refused.
fn can_run(doc: &Document) -> bool {
    has_model(doc) && doc.progress().is_none() && !doc.awaits_annotations()
}

fn has_model(doc: &Document) -> bool {
    !matches!(doc.model(), ModelState::None | ModelState::Failed(..))
}

/// A path as a POSIX shell reads it back.
fn shell_word(path: &std::path::Path) -> String {
    shell::word(&path.to_string_lossy())
}

/// Commands of this frame, in order.
#[derive(Debug, Default)]
pub struct CommandQueue {
    commands: Vec<Command>,
}

impl CommandQueue {
    /// Adds a command.
    pub fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Adds commands.
    pub fn extend(&mut self, commands: impl IntoIterator<Item = Command>) {
        self.commands.extend(commands);
    }

    /// Takes all commands.
    pub fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }
}
