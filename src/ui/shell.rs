//! What the window holds beside document and view: overlays, messages, dialogs, what is remembered.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::dialogs::Dialogs;
use super::drop::DropHint;
use super::palette::Palette;
use super::panels::log_panel::LogPanel;
use super::persist::{Memory, Store};
use super::toasts::Toasts;
use crate::document::{Document, Source};

/// What lies over the window and takes the keys; one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// The command palette.
    Palette,
    /// The sheet of keys.
    Keys,
    /// The settings.
    Settings,
    /// The health report of the set.
    Health,
    /// The draft of a training run.
    FineTune,
    /// Whether the run of this folder is to be deleted, whatever is selected meanwhile.
    DeleteRun(PathBuf),
    /// Whether the window is to be closed although this is not on disk.
    Unsaved(String),
}

/// State of the frame around the panels. It can be thrown away but for `memory`.
pub struct Shell {
    /// What lies on top.
    pub overlay: Option<Overlay>,
    /// What was typed into the palette.
    pub palette: Palette,
    /// Questions for a path.
    pub dialogs: Dialogs,
    /// Messages.
    pub toasts: Toasts,
    /// What is being dragged over the window.
    pub drop: DropHint,
    /// The window is to be closed, whatever is lost.
    pub closes_anyway: bool,
    /// Lines of the log.
    pub log: LogPanel,
    /// What comes back at the next start.
    pub memory: Memory,
    /// Where that is written.
    pub store: Store,
    /// Whether Tab walks through instances.
    pub tab_is_ours: Arc<AtomicBool>,
    /// What the view belongs to, to notice that another set was opened.
    seen: Option<(Source, usize)>,
    /// A widget had the focus at the end of the last frame: Esc, which takes it away, does no more then.
    pub had_focus: bool,
    was_opening: bool,
    /// The set that is being opened shows its images already.
    was_shown: bool,
    /// A path that was picked by the command line, opened in the first frame.
    pub first: Option<PathBuf>,
    /// Predictions of the command line, attached when its set is open.
    pub first_predictions: Option<PathBuf>,
    /// Predictions of the command line to compare those with.
    pub first_second: Option<PathBuf>,
}

impl Shell {
    /// A shell as it was remembered.
    pub fn new(memory: Memory, store: Store, tab_is_ours: Arc<AtomicBool>) -> Self {
        Self {
            overlay: None,
            palette: Palette::default(),
            dialogs: Dialogs::default(),
            toasts: Toasts::default(),
            drop: DropHint::default(),
            closes_anyway: false,
            log: LogPanel::default(),
            memory,
            store,
            tab_is_ours,
            seen: None,
            had_focus: false,
            was_opening: false,
            was_shown: false,
            first: None,
            first_predictions: None,
            first_second: None,
        }
    }

    /// Opens an overlay, or closes it where it is open.
    pub fn toggle(&mut self, overlay: Overlay) {
        if overlay == Overlay::Palette {
            self.palette = Palette::default();
        }
        self.overlay = match self.overlay.take() {
            Some(open) if open == overlay => None,
            _ => Some(overlay),
        };
    }

    /// Whether something on top takes the keys.
    pub fn covers(&self) -> bool {
        self.overlay.is_some() || self.dialogs.is_open()
    }

    /// What changed about the open set since the last frame.
    pub fn opened(&mut self, doc: &Document) -> Opened {
        let is_opening = doc.opening().is_some();
        let awaits = doc.awaits_annotations();
        // A set whose images came first was new then, not when its annotations followed.
        let is_new = !self.was_shown && (awaits || (self.was_opening && !is_opening));
        (self.was_opening, self.was_shown) = (is_opening, awaits);
        let now = doc
            .source()
            .map(|source| (source.clone(), doc.images().len()));
        if now != self.seen {
            self.seen = now;
            Opened::Another
        } else if is_new {
            Opened::Again
        } else {
            Opened::Unchanged
        }
    }
}

/// What `Shell::opened` noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Nothing.
    Unchanged,
    /// The same set was read again: files may have changed, the selection holds.
    Again,
    /// Another set, or none.
    Another,
}
