//! `maskscope check`: the health report of a COCO set.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Shared;
use super::{interrupt, output};
use crate::jobs::check::{self, CheckProgress, CheckRequest, KindCount, Report, Severity};
use crate::structures::thousands;

/// Findings of a kind that are printed one by one.
const SHOWN: usize = 5;

/// Report everything in a COCO set that is left out, altered or suspicious
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope check coco/val2017
  maskscope check annotations/instances_val.json --images photos/
  maskscope check set/ --json > report.json

Reads every record, every mask and the header of every image file. Exit code 0 whatever is found; 1 if the set cannot
be opened. The text shows the first few findings of each kind, --json all of them with line and column.")]
pub struct Args {
    /// A COCO JSON, or a folder with one
    #[arg(value_name = "SET")]
    pub data: PathBuf,
    /// Where the set's images lie, if not where its layout says
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
}

/// Prints the report.
///
/// # Errors
/// The set cannot be opened, or Ctrl-C.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(folder) = args.images.as_deref().filter(|folder| !folder.is_dir()) {
        anyhow::bail!("--images: {} is no folder", folder.display());
    }
    let request = CheckRequest {
        path: args.data.clone(),
        images: args.images.clone(),
    };
    let stop = interrupt::flag()?;
    let bar = bar(shared.quiet || !std::io::stderr().is_terminal());
    let report = check::run(&request, &mut |progress| {
        let (done, total, what) = match progress {
            CheckProgress::Opening(done, total) => (done, total, "reading"),
            CheckProgress::Checking(done, total) => (done as u64, total as u64, "checking"),
        };
        bar.set_message(what);
        bar.set_length(total);
        bar.set_position(done);
        !stop.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    let report = report?;
    if shared.json {
        output::json(&report, out)
    } else {
        print(&report, out)
    }
}

fn bar(is_hidden: bool) -> ProgressBar {
    let bar = if is_hidden {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(0)
    };
    bar.set_style(
        ProgressStyle::with_template("{msg} {bar:30} {percent} % {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

fn print(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{}", report.json.display())?;
    writeln!(out, "images in {}", report.folder.display())?;
    writeln!(
        out,
        "{} images, {} annotations ({} left out), {} categories",
        thousands(report.images),
        thousands(report.annotations),
        thousands(report.left_out),
        thousands(report.categories)
    )?;
    for severity in [Severity::Error, Severity::Warning, Severity::Info] {
        let of_severity = report
            .counts
            .iter()
            .filter(|known| known.severity == severity);
        for known in of_severity {
            writeln!(out)?;
            print_kind(report, known, out)?;
        }
    }
    let total = |severity| {
        let of_severity = report
            .counts
            .iter()
            .filter(|known| known.severity == severity);
        thousands(of_severity.map(|known| known.count).sum())
    };
    writeln!(
        out,
        "\n{} errors, {} warnings, {} notes",
        total(Severity::Error),
        total(Severity::Warning),
        total(Severity::Info)
    )?;
    Ok(())
}

fn print_kind(report: &Report, known: &KindCount, out: &mut dyn Write) -> anyhow::Result<()> {
    let word = match known.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    writeln!(
        out,
        "{word}: {}: {}",
        known.kind.title(),
        thousands(known.count)
    )?;
    for finding in report.of(known.kind).iter().take(SHOWN) {
        match (finding.line, finding.column) {
            (Some(line), Some(column)) => {
                writeln!(out, "  {line}:{column}: {}", finding.text)?;
            }
            _ => writeln!(out, "  {}", finding.text)?,
        }
    }
    if known.count > SHOWN {
        writeln!(out, "  and {} more", thousands(known.count - SHOWN))?;
    }
    Ok(())
}
