//! `maskscope eval`: the COCO numbers of boxes and masks, from predictions or a checkpoint.

use std::io::Write;
use std::path::PathBuf;

use super::args::Shared;
use super::progress::Progress;
use super::{interrupt, output};
use crate::jobs::evaluate::{
    EvaluateEvent, EvaluateRequest, Evaluated, LeftOutEntry, ReportFacts, check_filter, evaluate,
    write_report,
};
use crate::jobs::infer::{ModelRequest, ModelSummary};
use crate::structures::ranking::RankBy;
use crate::structures::shell;

/// Left-out predictions and annotations that are told one by one.
const SHOWN: usize = 5;

/// Evaluate predictions, or a checkpoint, against the ground truth of a COCO set.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope eval val2017/ --predictions results.json
  maskscope eval instances_val.json --predictions predictions.json --json
  maskscope eval --checkpoint r50_coco.safetensors val2017/ --predictions run/val
  maskscope eval instances_val.json --predictions results.json --rank-by score --out report/

Boxes are ranked by score, masks by iou_score. PREDICTIONS is our prediction JSON, a list of COCO results, or the
prefix P of the pair P.bbox.json and P.segm.json. With --checkpoint the pair is written where nothing is there yet.
Images without predictions count as having none; VAL_DATA may be a bare JSON unless a checkpoint runs.")]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(true).args(["predictions", "checkpoint"]))]
pub struct Args {
    /// Weights: safetensors, PyTorch .pth or MindSpore .ckpt
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Configuration YAML; the checkpoint's own without
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    pub config: Option<PathBuf>,
    /// Predictions to evaluate, or to keep those of the checkpoint in
    #[arg(long, value_name = "P")]
    pub predictions: Option<PathBuf>,
    /// Folder of the set's images, where they lie elsewhere
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// The score that ranks masks
    #[arg(long, value_name = "SCORE", value_enum, default_value_t = RankArg::IouScore)]
    pub rank_by: RankArg,
    /// Only what a query selects, for example 'class = person and area < 32^2'
    #[arg(long = "where", value_name = "QUERY", value_parser = filter)]
    pub filter: Option<String>,
    /// Count an annotation with the id 0 as unmatched, as pycocotools does
    #[arg(long)]
    pub pycocotools_ids: bool,
    /// Write report.html and tables of images, matches and annotations into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The set: a folder of any COCO layout, or a JSON
    #[arg(value_name = "VAL_DATA")]
    pub data: PathBuf,
}

/// Which score ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum RankArg {
    /// Class score
    Score,
    /// Predicted mask IoU
    MaskIou,
    /// Their product
    IouScore,
}

impl From<RankArg> for RankBy {
    fn from(rank: RankArg) -> Self {
        match rank {
            RankArg::Score => Self::Score,
            RankArg::MaskIou => Self::MaskIou,
            RankArg::IouScore => Self::IouScore,
        }
    }
}

/// Runs the command; false if an image failed.
///
/// # Errors
/// Set, predictions or model refused; stopped by Ctrl-C.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<bool> {
    let request = EvaluateRequest {
        data: args.data.clone(),
        images: args.images.clone(),
        predictions: args.predictions.clone(),
        model: args.checkpoint.as_ref().map(|checkpoint| ModelRequest {
            checkpoint: checkpoint.clone(),
            config: args.config.clone(),
            set: shared.set.clone(),
            device: shared.device.clone(),
        }),
        rank_by: args.rank_by.into(),
        pycocotools_ids: args.pycocotools_ids,
        filter: args.filter.clone(),
        details: args.out.is_some(),
    };
    let stop = interrupt::flag()?;
    let mut progress = Progress::new(shared.quiet);
    let found = evaluate(&request, &stop, &mut show(&mut progress));
    progress.end();
    let found = found?;
    tell(&found, &progress);
    if let Some(folder) = &args.out {
        let facts = ReportFacts {
            command_line: shell::line(output::command_words().iter().map(String::as_str)),
            filter: args.filter.clone(),
        };
        let written = write_report(&found, &facts, folder, &stop, &mut show(&mut progress));
        progress.end();
        written?;
        progress.say(&format!("report: {}", folder.join("report.html").display()));
    }
    if shared.json {
        output::json(&found.to_numbers(), out)?;
    } else {
        write!(out, "{}", found.block())?;
    }
    Ok(found.failed.is_empty())
}

/// A query, refused early where it is wrong whatever the classes are.
pub(super) fn filter(text: &str) -> Result<String, String> {
    match check_filter(text) {
        Ok(()) => Ok(text.into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Shows events as they come.
pub(super) fn show(progress: &mut Progress) -> impl FnMut(EvaluateEvent<'_>) + Send {
    let mut what = "";
    move |event| match event {
        EvaluateEvent::Stage(stage) => {
            what = stage.label();
            progress.stage(what);
        }
        EvaluateEvent::Progress { done, total, eta } => {
            progress.show(what, done, total, eta);
        }
        EvaluateEvent::Model(summary) => tell_model(summary, progress),
        EvaluateEvent::Failed(failed) => progress.say(&format!("failed: {}", failed.error)),
        EvaluateEvent::Note(note) => progress.say(note),
    }
}

fn tell_model(summary: &ModelSummary, progress: &Progress) {
    progress.say(&format!(
        "{}: {}, {} classes, dialect {}, {}{}",
        summary.checkpoint.display(),
        summary.backbone,
        summary.classes.len(),
        summary.dialect,
        summary.device,
        if summary.mask_scoring {
            ""
        } else {
            ", mask scoring not trained"
        },
    ));
    for note in &summary.notes {
        progress.say(&format!("note: {note}"));
    }
}

/// Notes and what was left out, on standard error.
pub(super) fn tell(found: &Evaluated, progress: &Progress) {
    for path in &found.written {
        progress.say(&format!("predictions are kept in {}", path.display()));
    }
    for note in &found.notes {
        progress.say(&format!("note: {note}"));
    }
    if found.left_out_count == 0 {
        return;
    }
    progress.say(&format!("left out: {}", found.left_out_count));
    for LeftOutEntry { file, what, reason } in found.left_out.iter().take(SHOWN) {
        progress.say(&format!("  {}: {what}: {reason}", file.display()));
    }
    if found.left_out_count > SHOWN {
        progress.say("  --json lists them, --out writes them into left_out.csv");
    }
}
