//! `maskscope suspects`: what to look at next, with reasons.

use std::io::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::args::Shared;
use super::progress::Progress;
use super::{eval, interrupt, output};
use crate::jobs::evaluate::{EvaluateRequest, SuspectList, evaluate, suspect_kinds};
use crate::structures::ranking::RankBy;

/// List what to look at next: suspicious labels, masks and misses, each with its reason
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope suspects val2017/ --predictions predictions.json
  maskscope suspects instances_val.json --predictions results.json --kind missing_label --limit 20
  maskscope suspects val2017/ --predictions run/val --where 'class = person' --json

label: high mask IoU but low measured IoU. head: low mask IoU but high measured IoU. missing_label: confident without
ground truth near. missed_object: ground truth that nothing found. swapped_class: confident of another class.
The strongest contradictions come first.")]
pub struct Args {
    /// The set: a folder of any COCO layout, or a JSON
    #[arg(value_name = "VAL_DATA")]
    pub data: PathBuf,
    /// Predictions: our JSON, COCO results, or the prefix P of P.bbox.json and P.segm.json
    #[arg(long, value_name = "P")]
    pub predictions: PathBuf,
    /// Only suspects of this kind
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(suspect_kinds()))]
    pub kind: Option<String>,
    /// How many to list; 0 lists all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// Only among what a query selects, for example 'class = person and area < 32^2'
    #[arg(long = "where", value_name = "QUERY", value_parser = eval::filter)]
    pub filter: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Set or predictions refused; stopped by Ctrl-C.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<()> {
    let request = EvaluateRequest {
        data: args.data.clone(),
        images: None,
        predictions: Some(args.predictions.clone()),
        model: None,
        rank_by: RankBy::IouScore,
        pycocotools_ids: false,
        filter: args.filter.clone(),
        details: true,
    };
    let stop = interrupt::flag()?;
    let mut progress = Progress::new(shared.quiet);
    let found = evaluate(&request, &stop, &mut eval::show(&mut progress));
    progress.end();
    let found = found?;
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let list = found.suspects(args.kind.as_deref(), limit)?;
    eval::tell(&found, &progress);
    if shared.json {
        output::json(&list, out)?;
    } else {
        print(&list, out)?;
        if let Some(reason) = list.without_mask_iou {
            progress.say(&format!("note: {reason}"));
        }
        let more = list.found - list.suspects.len();
        if more > 0 {
            progress.say(&format!("{more} more; --limit 0 lists all"));
        }
    }
    Ok(())
}

fn print(list: &SuspectList, out: &mut dyn Write) -> anyhow::Result<()> {
    let width = |text: fn(&crate::jobs::evaluate::SuspectRow) -> usize| {
        list.suspects.iter().map(text).max().unwrap_or(0)
    };
    let kinds = width(|row| row.kind.len());
    let files = width(|row| row.file.chars().count());
    for row in &list.suspects {
        writeln!(
            out,
            "{:.2}  {:kinds$}  {:files$}  {}",
            row.severity, row.kind, row.file, row.reason
        )?;
    }
    Ok(())
}
