//! `maskscope inspect`: what a checkpoint holds, what maps where, what is missing.

pub(super) use crate::structures::thousands;
use std::io::Write;
use std::path::PathBuf;

use super::args::Shared;
use super::output;
use crate::jobs::checkpoint::{self, InspectedModel, Inspection};

/// List the tensors of a checkpoint: format, what maps where, what is missing or left over
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope inspect model.pth
  maskscope inspect model.ckpt --json | jq .parameters")]
pub struct Args {
    /// Checkpoint: .safetensors, .pth, .ckpt
    file: PathBuf,
}

/// Prints the listing.
///
/// # Errors
/// A file that cannot be read; output that cannot be written.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<()> {
    let inspection = checkpoint::inspect(&args.file)?;
    if shared.json {
        return output::json(&inspection, out);
    }
    print_tensors(&inspection, out)?;
    print_mismatch(&inspection, out)?;
    print_summary(&inspection, out)
}

fn print_tensors(inspection: &Inspection, out: &mut dyn Write) -> anyhow::Result<()> {
    let width = |length: &dyn Fn(usize) -> usize, least: usize| {
        (0..inspection.tensors.len())
            .map(length)
            .max()
            .unwrap_or(0)
            .max(least)
    };
    let shapes: Vec<String> = inspection
        .tensors
        .iter()
        .map(|tensor| shape_text(&tensor.shape))
        .collect();
    let name_width = width(
        &|i| inspection.tensors.get(i).map_or(0, |t| t.name.len()),
        6,
    );
    let shape_width = width(&|i| shapes.get(i).map_or(0, String::len), 5);
    writeln!(
        out,
        "{:name_width$}  type  {:shape_width$}  goes to",
        "tensor", "shape"
    )?;
    for (tensor, shape) in inspection.tensors.iter().zip(&shapes) {
        let place = match &tensor.canonical {
            Some(canonical) if *canonical == tensor.name && tensor.place == "taken" => {
                "the same name".into()
            }
            Some(canonical) if tensor.place == "taken" => canonical.clone(),
            Some(canonical) => format!("{canonical} ({})", tensor.place),
            None => tensor.place.to_owned(),
        };
        writeln!(
            out,
            "{:name_width$}  {:4}  {shape:shape_width$}  {place}",
            tensor.name, tensor.dtype
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn print_mismatch(inspection: &Inspection, out: &mut dyn Write) -> anyhow::Result<()> {
    if !inspection.mismatch.is_empty() {
        writeln!(out, "{:#}", inspection.mismatch)?;
        writeln!(out)?;
    }
    Ok(())
}

fn print_summary(inspection: &Inspection, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "file        {}", inspection.path.display())?;
    writeln!(
        out,
        "format      {}, names of {}",
        inspection.format, inspection.naming
    )?;
    writeln!(
        out,
        "tensors     {} with {} values",
        thousands(inspection.tensors.len()),
        thousands(inspection.values)
    )?;
    if let Some(model) = &inspection.model {
        print_model(model, out)?;
    }
    if inspection.compared {
        writeln!(
            out,
            "parameters  {} (BatchNorm statistics included)",
            thousands(inspection.parameters)
        )?;
        let mismatch = &inspection.mismatch;
        writeln!(
            out,
            "missing     {}, of another shape {}, twice {}, left over {}",
            mismatch.missing.len(),
            mismatch.misshapen.len(),
            mismatch.doubled.len(),
            mismatch.left_over.len()
        )?;
    }
    for note in &inspection.notes {
        writeln!(out, "note        {note}")?;
    }
    match &inspection.refusal {
        Some(refusal) => writeln!(out, "result      cannot run as it is: {refusal}")?,
        None if inspection.complete => writeln!(out, "result      complete")?,
        None => writeln!(out, "result      does not load, see above")?,
    }
    Ok(())
}

fn print_model(model: &InspectedModel, out: &mut dyn Write) -> anyhow::Result<()> {
    const SHOWN: usize = 8;
    writeln!(
        out,
        "model       {}, base_channels {}",
        model.backbone, model.base_channels
    )?;
    let Some(iou_head) = model.iou_head else {
        return Ok(());
    };
    let names: Vec<&str> = model
        .classes
        .iter()
        .map(String::as_str)
        .take(SHOWN)
        .collect();
    writeln!(
        out,
        "classes     {}: {}{}",
        model.classes.len(),
        names.join(", "),
        if model.classes.len() > SHOWN {
            ", …"
        } else {
            ""
        }
    )?;
    let (width, height) = model.image_size;
    writeln!(
        out,
        "dialect     {}, images fitted into {width}x{height}",
        model.dialect
    )?;
    writeln!(out, "mask IoU    {iou_head}")?;
    Ok(())
}

/// `64x3x7x7`; `-` for a scalar.
fn shape_text(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "-".into();
    }
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    sizes.join("x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups_of_three_digits() {
        let check = |number, text| assert_eq!(thousands(number), text);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(60_789_760, "60,789,760");
    }
}
