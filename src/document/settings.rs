//! What comes back at the next start, kept as JSON in the user's configuration folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Entries of the recent list.
pub const MAX_RECENT: usize = 12;

/// Everything remembered between starts. `view` belongs to the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Opened folders, sets and prediction files, newest first.
    pub recent: Vec<PathBuf>,
    /// Loaded checkpoints, newest first.
    pub recent_checkpoints: Vec<PathBuf>,
    /// The checkpoint last used with a folder or set.
    pub checkpoint_of: BTreeMap<String, PathBuf>,
    /// Theme, panels, filters, display options: written and read by the window.
    pub view: serde_json::Value,
}
