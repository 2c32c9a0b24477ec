//! Opening the window, and what is said where there can be none.

use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context as _, anyhow};

use super::app::{App, StartOptions};
use super::persist::Memory;
use crate::document::settings::Settings;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Tells at level debug how far a start is: what is slow about it is mostly the graphics driver.
pub(super) fn tell(what: &str) {
    log::debug!("{:.1} ms: {what}", 1e3 * BEGAN.elapsed().as_secs_f64());
}

/// Smallest window that holds the panels.
const SMALLEST: [f32; 2] = [720.0, 480.0];

/// Opens the window and returns when it is closed.
///
/// # Errors
/// No display, no graphics adapter: what is missing, which package to install, what to do instead.
pub fn run(options: StartOptions) -> anyhow::Result<()> {
    tell("a window is asked for");
    let (settings, complaint) = match &options.settings {
        Some(path) => Settings::load(path),
        None => (Settings::default(), None),
    };
    let (memory, _) = Memory::read(&settings);
    let viewport = egui::ViewportBuilder::default()
        .with_title("Maskscope")
        .with_app_id("maskscope")
        .with_inner_size(memory.window)
        .with_min_inner_size(SMALLEST)
        .with_drag_and_drop(true);
    let native = eframe::NativeOptions {
        viewport,
        ..eframe::NativeOptions::default()
    };
    tell("settings are read");
    let opened = eframe::run_native(
        "maskscope",
        native,
        Box::new(|cc| Ok(Box::new(App::new(cc, options, settings, complaint)))),
    );
    opened.map_err(|error| explained(&error))
}

/// The error in own words: those of the libraries name source files of the machine that built them.
fn explained(error: &eframe::Error) -> anyhow::Error {
    log::debug!("{error}");
    match error {
        eframe::Error::WinitEventLoop(_) | eframe::Error::Winit(_) => no_display(),
        eframe::Error::Wgpu(_) => no_adapter(),
        eframe::Error::AppCreation(_) => {
            anyhow!("{error}").context("the window could not be set up")
        }
    }
}

fn no_display() -> anyhow::Error {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let displays = ["WAYLAND_DISPLAY", "DISPLAY"]
        .into_iter()
        .filter_map(|name| Some(format!("{name}={}", named(name)?)))
        .collect::<Vec<_>>();
    let found = if displays.is_empty() {
        "neither WAYLAND_DISPLAY nor DISPLAY is set, so there is no desktop to open a window on"
            .to_owned()
    } else {
        format!(
            "no desktop answers at {}, or libxkbcommon-x11 is missing (Debian: libxkbcommon-x11-0, libxcursor1, libxi6, libxrandr2; Fedora: libxkbcommon-x11, libXcursor, libXi, libXrandr)",
            displays.join(" or ")
        )
    };
    anyhow!(
        "{found}. Start Maskscope from a desktop session, or over `ssh -X`; without a display the command line does the same: `maskscope infer --help`"
    )
    .context("the window cannot open: no display")
}

fn no_adapter() -> anyhow::Error {
    anyhow!(
        "neither Vulkan nor OpenGL offers an adapter. Install the driver of the graphics card, or a software one: Debian mesa-vulkan-drivers and libegl1, Fedora mesa-vulkan-drivers and mesa-libEGL. `maskscope doctor` shows what is found; `maskscope infer --help` needs no window"
    )
    .context("the window cannot open: no graphics adapter")
}

/// Where settings are kept, for `StartOptions`.
///
/// # Errors
/// The system names no such folder.
pub fn settings_path() -> anyhow::Result<std::path::PathBuf> {
    Settings::default_path().context("the system names no folder for settings (is HOME set?)")
}
