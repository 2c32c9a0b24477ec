//! What the window remembers between starts: `Settings::view`, and when it is written.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::canvas::OverlayStyle;
use super::colour::ColourBy;
use super::theme;
use super::view::{Layers, ViewState, Workspace};
use crate::document::filter::ImageQuery;
use crate::document::ranking::RankBy;
use crate::document::settings::Settings;

/// Changes are written this long after the last of them.
const QUIET: Duration = Duration::from_secs(1);
/// Smallest and largest size of the interface.
pub const SCALES: std::ops::RangeInclusive<f32> = 0.6..=2.5;

/// Follow the system, dark or light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// As the desktop is set.
    #[default]
    System,
    /// Dark.
    Dark,
    /// Light.
    Light,
}

impl From<ThemeChoice> for egui::ThemePreference {
    fn from(choice: ThemeChoice) -> Self {
        match choice {
            ThemeChoice::System => Self::System,
            ThemeChoice::Dark => Self::Dark,
            ThemeChoice::Light => Self::Light,
        }
    }
}

impl From<egui::ThemePreference> for ThemeChoice {
    fn from(preference: egui::ThemePreference) -> Self {
        match preference {
            egui::ThemePreference::System => Self::System,
            egui::ThemePreference::Dark => Self::Dark,
            egui::ThemePreference::Light => Self::Light,
        }
    }
}

/// Everything that comes back. Unknown or damaged entries fall back one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Follow the system, dark or light.
    pub theme: ThemeChoice,
    /// Size of the interface, 1 is normal.
    pub scale: f32,
    /// Size of the window in points at scale 1.
    pub window: [f32; 2],
    /// Width of the gallery.
    pub gallery: f32,
    /// Width of the inspector.
    pub inspector: f32,
    /// The log panel is open.
    pub log_open: bool,
    /// What was open last.
    pub last_source: Option<PathBuf>,
    /// Threshold of the ranking score.
    pub threshold: f64,
    /// The score that orders.
    pub rank_by: RankBy,
    /// Predictions, annotations or both.
    pub layers: Layers,
    /// What the centre shows.
    pub workspace: Workspace,
    /// Filter and order of the gallery.
    pub query: ImageQuery,
    /// Fill the masks.
    pub masks: bool,
    /// Draw outlines.
    pub outlines: bool,
    /// Draw boxes.
    pub boxes: bool,
    /// Write labels.
    pub labels: bool,
    /// Opacity of the fill.
    pub opacity: f32,
    /// Label of the choice of colours.
    pub colour_by: String,
}

impl Default for Memory {
    fn default() -> Self {
        let style = OverlayStyle::default();
        Self {
            theme: ThemeChoice::System,
            scale: 1.0,
            window: [1280.0, 800.0],
            gallery: theme::GALLERY,
            inspector: theme::INSPECTOR,
            log_open: false,
            last_source: None,
            threshold: 0.0,
            rank_by: RankBy::default(),
            layers: Layers::default(),
            workspace: Workspace::default(),
            query: ImageQuery::default(),
            masks: style.masks,
            outlines: style.outlines,
            boxes: style.boxes,
            labels: style.labels,
            opacity: style.opacity,
            colour_by: style.colour_by.label().into(),
        }
    }
}

impl Memory {
    /// What the settings hold; anything out of range is brought into it. Entries that cannot be read are named.
    pub fn read(settings: &Settings) -> (Self, Vec<String>) {
        let Some(entries) = settings.view.as_object() else {
            return (Self::default(), Vec::new());
        };
        // One by one, so that a damaged entry does not take the others with it.
        let mut whole = serde_json::to_value(Self::default()).unwrap_or_default();
        let mut refused = Vec::new();
        for (key, value) in entries {
            let before = whole.get(key).cloned();
            if let (Some(before), Some(object)) = (before, whole.as_object_mut()) {
                object.insert(key.clone(), value.clone());
                if serde_json::from_value::<Self>(whole.clone()).is_err() {
                    refused.push(key.clone());
                    if let Some(object) = whole.as_object_mut() {
                        object.insert(key.clone(), before);
                    }
                }
            }
        }
        let memory: Self = serde_json::from_value(whole).unwrap_or_default();
        (memory.within_limits(), refused)
    }

    fn within_limits(mut self) -> Self {
        let sane = |value: f32, low: f32, high: f32, default: f32| {
            if value.is_finite() {
                value.clamp(low, high)
            } else {
                default
            }
        };
        self.scale = sane(self.scale, *SCALES.start(), *SCALES.end(), 1.0);
        self.window[0] = sane(self.window[0], 640.0, 16_384.0, 1280.0);
        self.window[1] = sane(self.window[1], 400.0, 16_384.0, 800.0);
        self.gallery = sane(self.gallery, 160.0, 1_000.0, theme::GALLERY);
        self.inspector = sane(self.inspector, 240.0, 1_000.0, theme::INSPECTOR);
        self.opacity = sane(self.opacity, 0.0, 1.0, 0.45);
        self.threshold = match self.threshold.is_finite() {
            true => self.threshold.clamp(0.0, 1.0),
            false => 0.0,
        };
        self
    }

    /// Takes over what the view shows.
    pub fn take_view(&mut self, view: &ViewState) {
        self.threshold = view.threshold;
        self.rank_by = view.rank_by;
        self.layers = view.layers;
        self.workspace = view.workspace;
        self.query = view.query.clone();
        self.masks = view.style.masks;
        self.outlines = view.style.outlines;
        self.boxes = view.style.boxes;
        self.labels = view.style.labels;
        self.opacity = view.style.opacity;
        self.colour_by = view.style.colour_by.label().into();
    }

    /// A view as it was remembered.
    pub fn view(&self) -> ViewState {
        let colour_by = ColourBy::ALL
            .into_iter()
            .find(|by| by.label() == self.colour_by)
            .unwrap_or_default();
        ViewState {
            threshold: self.threshold,
            rank_by: self.rank_by,
            layers: self.layers,
            workspace: self.workspace,
            query: self.query.clone(),
            style: OverlayStyle {
                masks: self.masks,
                outlines: self.outlines,
                boxes: self.boxes,
                labels: self.labels,
                opacity: self.opacity,
                colour_by,
                ..OverlayStyle::default()
            },
            ..ViewState::default()
        }
    }
}

/// Writes the settings when they have changed and then rested, and at the end.
pub struct Store {
    path: Option<PathBuf>,
    written: Settings,
    last: Settings,
    changed: Option<Instant>,
}

impl Store {
    /// `path` is where they are kept; without one nothing is.
    pub fn new(path: Option<PathBuf>, settings: &Settings) -> Self {
        Self {
            path,
            written: settings.clone(),
            last: settings.clone(),
            changed: None,
        }
    }

    /// Call it once a frame: notices changes and writes them, on a thread, once nothing has changed for a second.
    pub fn keep(&mut self, ctx: &egui::Context, settings: &mut Settings, memory: &Memory) {
        settings.view = serde_json::to_value(memory).unwrap_or_default();
        if *settings != self.last {
            self.last = settings.clone();
            self.changed = Some(Instant::now());
        }
        let Some(changed) = self.changed else {
            return;
        };
        let rested = changed.elapsed();
        if rested < QUIET {
            ctx.request_repaint_after(QUIET - rested);
            return;
        }
        self.changed = None;
        if self.last == self.written {
            return;
        }
        self.written = self.last.clone();
        if let Some(path) = self.path.clone() {
            let settings = self.last.clone();
            let write = move || save(&settings, &path);
            let thread = std::thread::Builder::new().name("settings".into());
            if let Err(error) = thread.spawn(write) {
                log::warn!("no thread to write the settings: {error}");
            }
        }
    }

    /// Writes what has not been written yet, before the window closes.
    pub fn finish(&mut self, settings: &Settings) {
        if *settings != self.written
            && let Some(path) = &self.path
        {
            save(settings, path);
            self.written = settings.clone();
        }
    }
}

fn save(settings: &Settings, path: &Path) {
    if let Err(error) = settings.save(path) {
        log::warn!(
            "the settings cannot be written to {}: {error}",
            path.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_entry_leaves_the_others() {
        let settings = Settings {
            view: serde_json::json!({
                "theme": "light", "opacity": "thick", "threshold": 7.0, "scale": 1.5, "unknown": 1,
            }),
            ..Settings::default()
        };
        let (memory, refused) = Memory::read(&settings);
        assert_eq!(refused, ["opacity"]);
        assert_eq!(memory.theme, ThemeChoice::Light);
        assert_eq!(memory.opacity, Memory::default().opacity);
        assert_eq!((memory.threshold, memory.scale), (1.0, 1.5));
    }

    #[test]
    fn the_view_comes_back() {
        let mut view = ViewState {
            threshold: 0.25,
            rank_by: RankBy::MaskIou,
            layers: Layers::Both,
            ..ViewState::default()
        };
        view.style.colour_by = ColourBy::MaskIou;
        view.style.boxes = true;
        view.query.text = "cat".into();
        let mut memory = Memory::default();
        memory.take_view(&view);
        let settings = Settings {
            view: serde_json::to_value(&memory).unwrap(),
            ..Settings::default()
        };
        let (read, refused) = Memory::read(&settings);
        assert!(refused.is_empty());
        let again = read.view();
        assert_eq!(again.style, view.style);
        assert_eq!(again.query, view.query);
        assert_eq!(
            (again.threshold, again.rank_by, again.layers),
            (0.25, RankBy::MaskIou, Layers::Both)
        );
    }
}
