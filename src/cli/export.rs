//! `maskscope export`: the reviewed set in any format.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::Shared;
use super::progress::Progress;
use super::{interrupt, output};
use crate::document::review::{Access, ReviewSession};
use crate::jobs::export::{ExportRequest, ExportSummary, Format, check_output, export, goes_on};
use crate::jobs::sets::open_set;
use crate::structures::shell;

/// Write a set as it stands after its review, or predictions of it, in one of many formats
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope export val2017/ --format coco --out corrected.json
  maskscope export labels.json --format yolo --out yolo/
  maskscope export labels.json --format audit --out changes.csv
  maskscope export val2017/ --format results --predictions predictions.json --out run/val
  maskscope export val2017/ --format html --predictions predictions.json --out report/

coco: the set's JSON with what was edited replaced and all else to the byte. results: OUT.bbox.json and OUT.segm.json.
results and predictions hold the annotations with the score 1, or with --predictions those predictions without the rejected ones.
yolo, voc, overlays and html write a folder. audit: what was changed when, before and after.
The set itself is never changed. What a format cannot hold is told.")]
pub struct Args {
    /// The set: a folder of any COCO layout, or a JSON
    #[arg(value_name = "SET")]
    pub data: PathBuf,
    /// The format
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: FormatArg,
    /// The file or folder to write
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// Where the set's images lie, if not where its layout says
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// Predictions, for results, predictions and html
    #[arg(long, value_name = "P")]
    pub predictions: Option<PathBuf>,
}

/// What `--format` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FormatArg {
    /// The corrected COCO JSON
    Coco,
    /// COCO results, boxes and masks
    Results,
    /// Maskscope's prediction JSON
    Predictions,
    /// A table, one row an annotation
    Csv,
    /// YOLO segmentation labels
    Yolo,
    /// Pascal VOC boxes
    Voc,
    /// CVAT for images 1.1
    Cvat,
    /// Pictures with their masks
    Overlays,
    /// The report of an evaluation
    Html,
    /// The audit trail
    Audit,
}

impl FormatArg {
    /// `None` for the audit trail, which the review itself writes.
    fn format(self) -> Option<Format> {
        Some(match self {
            Self::Coco => Format::Coco,
            Self::Results => Format::Results,
            Self::Predictions => Format::Predictions,
            Self::Csv => Format::Csv,
            Self::Yolo => Format::Yolo,
            Self::Voc => Format::Voc,
            Self::Cvat => Format::Cvat,
            Self::Overlays => Format::Overlays,
            Self::Html => Format::Html,
            Self::Audit => return None,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// The set, its review or the output refused; unsettled conflicts; Ctrl-C.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<()> {
    let set = Arc::new(open_set(&args.data, args.images.as_deref())?);
    let review = ReviewSession::open(Arc::clone(&set), Access::Read)?;
    check_output(&set, &args.out)?;
    let Some(format) = args.format.format() else {
        review.export_audit(&args.out)?;
        let written = serde_json::json!({ "format": "audit", "written": [args.out] });
        return match shared.json {
            true => output::json(&written, out),
            false => Ok(writeln!(out, "{}", args.out.display())?),
        };
    };
    review.check_settled()?;
    let request = ExportRequest {
        format,
        out: args.out.clone(),
        predictions: args.predictions.clone(),
        prediction_hash: None,
        command_line: shell::line(output::command_words().iter().map(String::as_str)),
    };
    let stop = interrupt::flag()?;
    let mut progress = Progress::new(shared.quiet);
    let done = export(
        &set,
        review.corrections(),
        &review.remarks(),
        &request,
        &mut |done, total| {
            progress.show("exporting", done, total, None);
            goes_on(&stop)
        },
    );
    progress.end();
    print(&done?, shared, &progress, out)
}

fn print(
    done: &ExportSummary,
    shared: &Shared,
    progress: &Progress,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if shared.json {
        return output::json(done, out);
    }
    for note in &done.notes {
        progress.say(&format!("note: {note}"));
    }
    progress.say(&format!(
        "{} images, {} instances",
        done.images, done.instances
    ));
    for path in &done.written {
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}
