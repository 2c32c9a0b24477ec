//! `maskscope completions SHELL`.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Cli;

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope completions bash > ~/.local/share/bash-completion/completions/maskscope
  maskscope completions zsh > ~/.zfunc/_maskscope
  maskscope completions fish > ~/.config/fish/completions/maskscope.fish")]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

/// Writes the script.
///
/// # Errors
/// The output cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    // The generator panics where it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "maskscope", &mut script);
    out.write_all(&script)?;
    Ok(())
}
