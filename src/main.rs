//! The program: parse, start logging, run a command or open the window, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use maskscope::cli::args::Cli;
use maskscope::cli::output::{self, Exit};
use maskscope::cli::{self, crash};

fn main() -> ExitCode {
    crash::install();
    let cli = match Cli::try_parse().and_then(|cli| cli::check_usage(&cli).map(|()| cli)) {
        Ok(cli) => cli,
        Err(refused) => return refuse(&refused).into(),
    };
    cli::start_logging(&cli.shared);
    if cli.may_use_device() {
        cli::hand_over(&cli.shared.device);
    }
    let exit = match run(&cli) {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Failed,
        Err(error) => output::fail(&error),
    };
    exit.into()
}

fn run(cli: &Cli) -> anyhow::Result<bool> {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    match &cli.command {
        _ if cli.version => output::version(&mut out)?,
        Some(command) => return cli::run(command, &cli.shared, &mut out),
        None => return open_window(cli),
    }
    out.flush()?;
    Ok(true)
}

/// Prints help to standard output, a usage error to standard error.
fn refuse(error: &clap::Error) -> Exit {
    // Nothing is left to tell where even this cannot be written.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    }
}

#[cfg(feature = "gui")]
fn open_window(cli: &Cli) -> anyhow::Result<bool> {
    cli::window::check_display()?;
    let settings = maskscope::ui::settings_path();
    if let Err(error) = &settings {
        log::warn!("settings are not kept: {error}");
    }
    maskscope::ui::run(maskscope::ui::StartOptions {
        trainer: Default::default(),
        path: cli.window.path.clone(),
        predictions: cli.window.predictions.clone(),
        compare: cli.window.compare.clone(),
        checkpoint: cli.window.checkpoint.clone(),
        config: cli.window.config.clone(),
        set: cli.shared.set.clone(),
        device: cli.shared.device.clone(),
        no_cache: cli.window.no_cache,
        settings: settings.ok(),
    })?;
    Ok(true)
}

#[cfg(not(feature = "gui"))]
fn open_window(_cli: &Cli) -> anyhow::Result<bool> {
    cli::window::check_display()?;
    anyhow::bail!("the window is not part of this build; `maskscope --help` lists the commands")
}
