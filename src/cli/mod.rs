//! Flags to typed jobs: the command line.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap::error::ErrorKind;

pub mod args;
pub mod check;
pub mod completions;
pub mod convert;
pub mod crash;
pub mod doctor;
pub mod eval;
pub mod export;
mod hand_over;
pub mod infer;
pub mod inspect;
pub mod interrupt;
pub mod output;
mod progress;
pub mod review;
pub mod suspects;
pub mod synth;
pub mod train;
pub mod window;

use args::{Cli, Command, Shared};
pub use hand_over::hand_over;

/// Starts logging; the window's log panel reads the same records.
pub fn start_logging(shared: &Shared) {
    crate::jobs::logging::start(shared.quiet);
}

/// Runs a command; false where its result is a failure that it has told itself.
///
/// # Errors
/// Whatever stopped the command.
pub fn run(command: &Command, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<bool> {
    let done = match command {
        Command::Infer(args) => infer::run(args, shared, out)?,
        Command::Eval(args) => eval::run(args, shared, out)?,
        Command::Suspects(args) => suspects::run(args, shared, out).map(|()| true)?,
        Command::Train(args) => train::run(args, shared, out)?,
        Command::Inspect(args) => inspect::run(args, shared, out).map(|()| true)?,
        Command::Convert(args) => convert::run(args, shared, out).map(|()| true)?,
        Command::Check(args) => check::run(args, shared, out).map(|()| true)?,
        Command::Review(args) => review::run(args, shared, out).map(|()| true)?,
        Command::Export(args) => export::run(args, shared, out).map(|()| true)?,
        Command::Synth(args) => synth::run(args, shared, out)?,
        Command::Doctor(args) => doctor::run(args, shared, out)?,
        Command::Completions(args) => completions::run(args, out).map(|()| true)?,
    };
    out.flush()?;
    Ok(done)
}

/// Refuses what clap cannot know: a window's arguments beside a command, and a path that is not there.
///
/// # Errors
/// A usage error to print.
pub fn check_usage(cli: &Cli) -> Result<(), clap::Error> {
    let refuse = |kind, text: String| Err(Cli::command().error(kind, text));
    if cli.command.is_some() && cli.window.is_given() {
        return refuse(
            ErrorKind::ArgumentConflict,
            "a path, --checkpoint or --config before a command: the window's arguments and a command exclude each other"
                .into(),
        );
    }
    match &cli.window.path {
        Some(path) if !path.exists() => refuse(ErrorKind::ValueValidation, not_there(path)),
        _ => Ok(()),
    }
}

/// A path that is not there may be a command misspelt.
fn not_there(path: &Path) -> String {
    let name = path.to_string_lossy();
    let command = Cli::command();
    let nearest = command
        .get_subcommands()
        .map(|known| (strsim::damerau_levenshtein(known.get_name(), &name), known))
        .filter(|(distance, known)| *distance <= 2 && *distance < known.get_name().len())
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, known)) => format!(
            "there is no file, folder or command `{name}`; the nearest command is `{}`",
            known.get_name()
        ),
        None => format!("there is no file or folder `{name}`"),
    }
}
