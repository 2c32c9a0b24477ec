//! Going on as the build for CUDA where that can run.

use std::path::Path;
use std::process::Command;

use crate::jobs::companion::{self, Companion, HANDED_OVER};

/// Goes on as the build for CUDA beside this one, with the same arguments, where a device answers and it starts. Returns
/// where this program is to go on itself; of a build that is there and cannot be used it says why.
pub fn hand_over(device: &str) {
    if device == "cpu" {
        return;
    }
    match companion::look() {
        Companion::Ready(place) => become_it(&place),
        found @ (Companion::CannotStart(..) | Companion::OtherVersion(..)) => {
            let why = found.describe().unwrap_or_default();
            log::warn!("{why}; going on without CUDA");
        }
        Companion::Itself | Companion::Off | Companion::NotThere(_) | Companion::NoDevice(_) => {}
    }
}

fn become_it(place: &Path) {
    let mut command = Command::new(place);
    command
        .args(std::env::args_os().skip(1))
        .env(HANDED_OVER, "done");
    let error = take_its_place(command);
    log::warn!("{}: {error}; going on without CUDA", place.display());
}

/// Same process, same number: signals, ranks of MPI and whoever waits for this program find the other one in its place.
#[cfg(unix)]
fn take_its_place(mut command: Command) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    command.exec()
}

#[cfg(not(unix))]
fn take_its_place(mut command: Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}
