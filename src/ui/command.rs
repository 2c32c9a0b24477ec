//! Everything a user can do, once: the palette, the menus, the buttons, the keys and the tests use this enum.

use std::path::PathBuf;

use crate::document::ranking::RankBy;
use crate::ui::colour::ColourBy;

/// An intent. Panels push them; `dispatch` alone carries them out.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Ask for a folder, then open it.
    OpenFolder,
    /// Ask for a COCO JSON, then open it.
    OpenCocoSet,
    /// Ask for a prediction JSON, then open it.
    OpenPredictions,
    /// Ask for weights, then load them.
    OpenCheckpoint,
    /// Open a path of any kind, as dropped or from the recent list.
    OpenPath(PathBuf),
    /// Open the built-in synthetic set.
    OpenDemo,
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
    /// Larger (+1), smaller (-1) or normal (0) user interface.
    ScaleInterface(i8),
    /// Focus the filter of the gallery.
    FocusFilter,
    /// Copy the selected mask as COCO RLE.
    CopyMask,
    /// Show the image in the file manager.
    RevealImage,
    /// Remove the thumbnails kept on disk.
    ClearCache,
    /// Close the window.
    Quit,
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

    /// Takes all commands.
    pub fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }
}
