//! The command line's shape: flags that every command shares, and the commands.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Style, Styles};
use clap::{Parser, Subcommand};

use super::{
    check, completions, convert, doctor, eval, export, infer, inspect, review, suspects, synth,
    train,
};
use crate::config::Config;

const EXAMPLES: &str = "Examples:
  maskscope                                    open the window
  maskscope photos/ --checkpoint r50.pth       look at a folder while the model runs over it
  maskscope infer --checkpoint r50.pth photos/ out.json
                                               the same as JSON
  maskscope train --config tiny --train-data synth/train
                                               train a small model
  maskscope inspect ms_rcnn.ckpt               what is in a checkpoint, and what is missing
  maskscope doctor                             what this machine has, and what to install

A folder that is named like a command is opened with ./NAME.
Results go to standard output, messages to standard error. Exit code 0: done, 1: failed, 2: wrong usage.
MASKSCOPE_LOG sets what is logged, for example MASKSCOPE_LOG=info.";

const STYLES: Styles = Styles::styled()
    .header(Style::new().bold())
    .usage(Style::new().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Runs, judges and fine-tunes Mask Scoring R-CNN: a desktop window and a command line
#[derive(Debug, Parser)]
#[command(name = "maskscope", after_help = EXAMPLES, styles = STYLES, max_term_width = 100)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub shared: Shared,
    /// What the window opens.
    #[command(flatten)]
    pub window: WindowArgs,
    /// Print the version with features and devices
    #[arg(short = 'V', long)]
    pub version: bool,
    /// The window without one.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the window opens.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct WindowArgs {
    /// A folder of images, an image, a COCO JSON or a predictions JSON to open in the window
    pub path: Option<PathBuf>,
    /// Predictions to show for the COCO set at PATH: our JSON or COCO results
    #[arg(long, value_name = "FILE", requires = "path")]
    pub predictions: Option<PathBuf>,
    /// Predictions to compare those with
    #[arg(long, value_name = "FILE", requires = "predictions")]
    pub compare: Option<PathBuf>,
    /// Weights to run in the window: safetensors, PyTorch .pth or MindSpore .ckpt
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Configuration YAML; the checkpoint's own without
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep no thumbnails on disk
    #[arg(long)]
    pub no_cache: bool,
}

impl Cli {
    /// Whether what was asked for may run a network, so that it is worth looking for a device.
    pub fn may_use_device(&self) -> bool {
        let runs = match &self.command {
            None => true,
            Some(command) => matches!(
                command,
                Command::Infer(_) | Command::Eval(_) | Command::Train(_) | Command::Doctor(_)
            ),
        };
        runs && !self.version
    }
}

impl WindowArgs {
    /// Whether anything was given that only the window reads.
    pub fn is_given(&self) -> bool {
        self.path.is_some() || self.checkpoint.is_some() || self.config.is_some() || self.no_cache
    }
}

/// What the flags that every command shares say.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Shared {
    /// Where the network runs: auto, cpu, cuda or cuda:N
    #[arg(long, global = true, value_name = "DEVICE", default_value = "auto", value_parser = device, help_heading = SHARED)]
    pub device: String,
    /// Set a key of the configuration, for example --set test_cfg.rcnn.score_thr=0.3; repeatable
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting, help_heading = SHARED)]
    pub set: Vec<String>,
    /// Print the result as JSON on standard output, and nothing else there
    #[arg(long, global = true, help_heading = SHARED)]
    pub json: bool,
    /// No progress and no notes, only errors
    #[arg(short, long, global = true, help_heading = SHARED)]
    pub quiet: bool,
}

const SHARED: &str = "Options of every command";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a model on an image or a folder and write the prediction JSON
    Infer(infer::Args),
    /// Evaluate predictions, or a checkpoint, against the ground truth of a COCO set
    Eval(eval::Args),
    /// List what to look at next: suspicious labels, masks and misses, each with its reason
    Suspects(suspects::Args),
    /// Train or fine-tune on a COCO set, or go on with a run
    Train(train::Args),
    /// List the tensors of a checkpoint: format, what maps where, what is missing or left over
    Inspect(inspect::Args),
    /// Convert a checkpoint to safetensors with its configuration inside
    Convert(convert::Args),
    /// Report everything in a COCO set that is left out, altered or suspicious
    Check(check::Args),
    /// List verdicts, tags, notes and edits of a set's review, or apply edits from a file
    Review(review::Args),
    /// Write a set as it stands after its review, or predictions of it, in one of many formats
    Export(export::Args),
    /// Write a synthetic COCO set: overlapping textured shapes with exact masks
    Synth(synth::Args),
    /// What this machine has, what will be used and why, and what to install
    Doctor(doctor::Args),
    /// Print the completion script of a shell
    Completions(completions::Args),
}

/// The device's name, refused early where it cannot be one.
fn device(text: &str) -> Result<String, String> {
    let numbered = || text.strip_prefix("cuda:")?.parse::<u16>().ok();
    if matches!(text, "auto" | "cpu" | "cuda") || numbered().is_some() {
        Ok(text.into())
    } else {
        Err("expected auto, cpu, cuda or cuda:N".into())
    }
}

/// A setting whose key and type are right; ranges and relations show when the whole configuration is known.
fn setting(text: &str) -> Result<String, String> {
    match Config::default().set(text) {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn shared_flags_stand_before_and_after_the_command() {
        for line in [
            "maskscope --json --set lr=1 doctor",
            "maskscope doctor --json --set lr=1",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.shared.json, "{line}");
            assert_eq!(cli.shared.set, ["lr=1"], "{line}");
            assert_eq!(cli.shared.device, "auto");
        }
    }

    #[test]
    fn devices_and_settings_are_refused_early() {
        for name in ["auto", "cpu", "cuda", "cuda:0", "cuda:15"] {
            assert_eq!(device(name), Ok(name.to_owned()));
        }
        for name in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            assert!(device(name).is_err(), "{name}");
        }
        assert!(setting("lr=0.1").is_ok());
        assert!(setting("lrr=0.1").unwrap_err().contains("`lr`"));
    }
}
