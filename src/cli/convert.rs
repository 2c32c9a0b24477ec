//! `maskscope convert`: a checkpoint of any format to our own safetensors.

use std::io::Write;
use std::path::PathBuf;

use crate::jobs::checkpoint::{self, ConvertRequest};

use super::args::Shared;
use super::inspect::thousands;
use super::output;

/// Convert a checkpoint to safetensors with its configuration inside
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope convert epoch_12.pth ms_rcnn.safetensors
  maskscope convert MSRCNN-12_7393.ckpt ms_rcnn.safetensors --config my.yaml
  maskscope convert ms_rcnn.safetensors small.safetensors --half")]
pub struct Args {
    /// Checkpoint to read: .pth, .ckpt, .safetensors
    input: PathBuf,
    /// File to write; replaced when the new one is whole
    output: PathBuf,
    /// Configuration (YAML); without it the checkpoint's own, or sizes read off its tensors
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Mask-IoU columns of a MindSpore checkpoint: as they are, or one further where training counted labels from 1
    #[arg(long, value_enum, value_name = "COLUMNS", default_value_t = IouColumns::Keep)]
    iou_columns: IouColumns,
    /// Write float16, half the size
    #[arg(long)]
    half: bool,
}

/// How mask-IoU columns are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum IouColumns {
    /// Column c is class c
    Keep,
    /// Column c + 1 is class c
    Shift,
}

/// Converts and says what was written.
///
/// # Errors
/// A checkpoint that cannot be read or does not fit; a file that cannot be written.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<()> {
    let converted = checkpoint::convert(&ConvertRequest {
        input: args.input.clone(),
        output: args.output.clone(),
        config: args.config.clone(),
        set: shared.set.clone(),
        shift_iou_columns: args.iou_columns == IouColumns::Shift,
        half: args.half,
    })?;
    if shared.json {
        return output::json(&converted, out);
    }
    for note in &converted.notes {
        writeln!(out, "note        {note}")?;
    }
    writeln!(
        out,
        "model       {}, {} classes, dialect {}, mask IoU {}",
        converted.backbone, converted.classes, converted.dialect, converted.iou_head
    )?;
    writeln!(
        out,
        "parameters  {} in {} tensors (BatchNorm statistics included)",
        thousands(converted.parameters),
        converted.tensors
    )?;
    writeln!(
        out,
        "written     {} ({} bytes)",
        converted.output.display(),
        thousands(usize::try_from(converted.bytes).unwrap_or(usize::MAX))
    )?;
    Ok(())
}
