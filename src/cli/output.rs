//! What every command prints alike: JSON, errors with their causes, the version; and the exit codes.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use crate::jobs::doctor;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done,
    /// Something failed; standard error says what.
    Failed,
    /// The command line makes no sense.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
        })
    }
}

/// Writes a result as JSON.
///
/// # Errors
/// The output cannot be written.
pub fn json(value: &impl Serialize, out: &mut dyn Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Version, features and devices.
///
/// # Errors
/// The output cannot be written.
pub fn version(out: &mut dyn Write) -> anyhow::Result<()> {
    let features = match doctor::features().as_slice() {
        [] => "none".to_owned(),
        features => features.join(", "),
    };
    writeln!(out, "maskscope {}", doctor::VERSION)?;
    writeln!(out, "features: {features}")?;
    for device in doctor::devices() {
        writeln!(out, "{device}")?;
    }
    Ok(())
}

/// Prints an error with its causes, the only place that does, and tells how to end.
pub fn fail(error: &anyhow::Error) -> Exit {
    if is_closed_pipe(error) {
        // `maskscope .. | head`: the reader has seen enough.
        return Exit::Done;
    }
    eprintln!("error: {}", chain(error));
    Exit::Failed
}

/// The causes, outermost first; one whose text the one before already holds is left out.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().map(|io| io.kind());
        let json = cause
            .downcast_ref::<serde_json::Error>()
            .and_then(|json| json.io_error_kind());
        io.or(json) == Some(std::io::ErrorKind::BrokenPipe)
    })
}

/// The words of the command as the program got them: a shell needs some of them quoted.
pub(super) fn command_words() -> Vec<String> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let mut words: Vec<String> = words.collect();
    if let Some(program) = words.first_mut() {
        *program = "maskscope".into();
    }
    words
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let io = || std::io::Error::other("disk on fire");
        let error = anyhow::Error::from(io()).context("cannot read x.yaml: disk on fire");
        assert_eq!(chain(&error), "cannot read x.yaml: disk on fire");
        let error = anyhow::Error::from(io()).context("cannot read x.yaml");
        assert_eq!(chain(&error), "cannot read x.yaml: disk on fire");
        assert_eq!(chain(&anyhow!("alone")), "alone");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let plain: anyhow::Result<()> = Err(closed()).context("writing the result");
        assert!(is_closed_pipe(&plain.unwrap_err()));
        let error = serde_json::Error::io(closed());
        assert!(is_closed_pipe(&anyhow::Error::from(error)));
        assert!(!is_closed_pipe(&anyhow!("other")));
    }
}
