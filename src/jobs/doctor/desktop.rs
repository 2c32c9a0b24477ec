//! Display server and file dialogs: what the window asks of the desktop.
#![cfg(feature = "gui")]

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Check, Remedy, State};

/// Libraries that winit loads at run time: file name, package of Debian, package of Fedora.
type Library = (&'static str, &'static str, &'static str);

const X11_LIBRARIES: &[Library] = &[
    ("libX11.so.6", "libx11-6", "libX11"),
    ("libX11-xcb.so.1", "libx11-xcb1", "libX11-xcb"),
    ("libXcursor.so.1", "libxcursor1", "libXcursor"),
    ("libXi.so.6", "libxi6", "libXi"),
    (
        "libxkbcommon-x11.so.0",
        "libxkbcommon-x11-0",
        "libxkbcommon-x11",
    ),
];
const WAYLAND_LIBRARIES: &[Library] = &[
    (
        "libwayland-client.so.0",
        "libwayland-client0",
        "libwayland-client",
    ),
    ("libxkbcommon.so.0", "libxkbcommon0", "libxkbcommon"),
];

/// Where the dynamic loader looks on the usual distributions, besides LD_LIBRARY_PATH.
const LIBRARY_FOLDERS: &[&str] = &[
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];

pub(super) fn check_display() -> Check {
    if !cfg!(target_os = "linux") {
        return Check {
            id: "display",
            state: State::Ok,
            found: "the system's own".into(),
            used: "the system's own".into(),
            remedy: None,
            details: json!({}),
        };
    }
    let wayland = variable("WAYLAND_DISPLAY").or_else(|| variable("WAYLAND_SOCKET"));
    let x11 = variable("DISPLAY");
    let details = json!({"wayland": wayland, "x11": x11});
    let (kind, name, libraries) = match (wayland, x11) {
        (Some(name), _) => ("Wayland", name, WAYLAND_LIBRARIES),
        (None, Some(name)) => ("X11", name, X11_LIBRARIES),
        (None, None) => {
            return Check {
                id: "display",
                state: State::Missing,
                found: "no display: DISPLAY and WAYLAND_DISPLAY are not set".into(),
                used: "nothing: the window cannot open; the command line works".into(),
                remedy: Some(Remedy::packages(
                    "Start the program from a desktop session, over `ssh -X`, or with `xvfb-run maskscope` for a picture that nobody sees.",
                    &["xvfb"],
                    &["xorg-x11-server-Xvfb"],
                )),
                details,
            };
        }
    };
    let missing: Vec<_> = libraries
        .iter()
        .filter(|(file, ..)| !has_library(file))
        .collect();
    let remedy = (!missing.is_empty()).then(|| {
        let pick = |part: fn(&Library) -> &'static str| missing.iter().map(|l| part(l)).collect();
        Remedy {
            advice: format!(
                "The window needs libraries that were not found: {}.",
                missing.iter().map(|l| l.0).collect::<Vec<_>>().join(", ")
            ),
            debian: pick(|l| l.1),
            fedora: pick(|l| l.2),
        }
    });
    Check {
        id: "display",
        state: if remedy.is_none() { State::Ok } else { State::Missing },
        found: format!("{kind} ({name})"),
        used: match kind {
            "Wayland" => "Wayland, because WAYLAND_DISPLAY is set; dropping files onto the window needs X11 (unset WAYLAND_DISPLAY)".into(),
            _ => "X11, because DISPLAY is set".into(),
        },
        remedy,
        details,
    }
}

pub(super) fn check_file_dialog() -> Check {
    if !cfg!(target_os = "linux") {
        return Check {
            id: "file_dialog",
            state: State::Ok,
            found: "the system's own".into(),
            used: "the system's own".into(),
            remedy: None,
            details: json!({}),
        };
    }
    let bus = session_bus();
    let portal =
        Path::new("/usr/share/dbus-1/services/org.freedesktop.portal.Desktop.service").is_file();
    let zenity = has_program("zenity");
    let (state, used) = match (bus && portal, zenity) {
        (true, _) => (State::Ok, "the desktop's portal"),
        (false, true) => (State::Ok, "zenity, because no portal answers"),
        (false, false) => (
            State::Missing,
            "nothing: give the path as an argument, or drop it onto the window",
        ),
    };
    let yes_no = |there: bool| if there { "yes" } else { "no" };
    Check {
        id: "file_dialog",
        state,
        found: format!(
            "D-Bus session: {}, desktop portal: {}, zenity: {}",
            yes_no(bus),
            yes_no(portal),
            yes_no(zenity)
        ),
        used: used.into(),
        remedy: (state == State::Missing).then(|| {
            Remedy::packages(
                "Install a portal for your desktop, or zenity.",
                &["xdg-desktop-portal-gtk", "zenity"],
                &["xdg-desktop-portal-gtk", "zenity"],
            )
        }),
        details: json!({"session_bus": bus, "portal": portal, "zenity": zenity}),
    }
}

/// Whether a session bus is announced, and its socket there where the announcement names one.
fn session_bus() -> bool {
    match variable("DBUS_SESSION_BUS_ADDRESS") {
        Some(address) => address
            .split([':', ',', ';'])
            .find_map(|part| part.strip_prefix("path="))
            .is_none_or(|path| Path::new(path).exists()),
        None => variable("XDG_RUNTIME_DIR")
            .is_some_and(|folder| Path::new(&folder).join("bus").exists()),
    }
}

fn has_library(file: &str) -> bool {
    let own = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&own).chain(LIBRARY_FOLDERS.iter().map(PathBuf::from));
    folders.any(|folder| folder.join(file).exists())
}

fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
