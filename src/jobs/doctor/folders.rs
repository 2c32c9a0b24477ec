//! The folders for settings and caches.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Check, Remedy, State};

pub(super) fn check() -> Check {
    let Some(project) = directories::ProjectDirs::from("", "", "maskscope") else {
        return Check {
            id: "folders",
            state: State::Limited,
            found: "no home folder: HOME is not set".into(),
            used: "none: settings and thumbnails are forgotten at the end".into(),
            remedy: Some(Remedy::advice("Set HOME to a folder that can be written.")),
            details: json!({}),
        };
    };
    let folders = [
        ("settings", project.config_dir().to_owned()),
        ("cache", project.cache_dir().to_owned()),
    ];
    let states = folders.map(|(what, path)| (what, writable(&path), path));
    let locked: Vec<_> = states
        .iter()
        .filter(|(_, writable, _)| !writable)
        .map(|(what, _, path)| format!("{what} ({})", path.display()))
        .collect();
    let list = states
        .iter()
        .map(|(what, _, path)| format!("{what}: {}", path.display()))
        .collect::<Vec<_>>()
        .join(", ");
    let details = states
        .iter()
        .map(|(what, writable, path)| {
            let facts = json!({"path": path.display().to_string(), "writable": writable});
            ((*what).to_owned(), facts)
        })
        .collect();
    Check {
        id: "folders",
        state: if locked.is_empty() {
            State::Ok
        } else {
            State::Limited
        },
        found: list,
        used: if locked.is_empty() {
            "both can be written".into()
        } else {
            format!("not {}: it cannot be written", locked.join(" and "))
        },
        remedy: (!locked.is_empty()).then(|| {
            Remedy::advice(
                "Make the folder writable, or set XDG_CONFIG_HOME and XDG_CACHE_HOME to others.",
            )
        }),
        details: serde_json::Value::Object(details),
    }
}

/// Whether a file can be made in `path`, or, where it does not exist yet, in the folder it would be made in.
fn writable(path: &Path) -> bool {
    let existing: Option<PathBuf> = path
        .ancestors()
        .find(|folder| folder.exists())
        .map(Into::into);
    existing.is_some_and(|folder| tempfile::tempfile_in(folder).is_ok())
}
