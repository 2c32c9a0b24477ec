//! Finding out what a path is, and opening it on a thread.

use std::path::Path;

use super::PathKind;

pub(super) fn kind_of(path: &Path) -> PathKind {
    if path.is_dir() {
        PathKind::Folder
    } else {
        PathKind::Unknown
    }
}
