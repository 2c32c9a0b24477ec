//! `maskscope infer`: an image or a folder to a prediction JSON.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Shared;
use super::interrupt;
use super::progress::left;
use crate::jobs::infer::{ModelRequest, ModelSummary};
use crate::jobs::infer_file::{InferFileEvent, InferFileRequest, InferSummary, infer_to_file};

/// Lines of progress where no terminal shows a bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Run a model on an image, a folder or a COCO set and write the prediction JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope infer --checkpoint r50_coco.safetensors photos/ predictions.json
  maskscope infer --checkpoint ms_rcnn.ckpt --config my.yaml photo.jpg out.json --json
  maskscope infer --checkpoint mmdet.pth --set test_cfg.rcnn.score_thr=0.3 photos/ out.json

An interrupted run is kept in OUTPUT.partial; the same command goes on from there.
Exit code 1 if any image failed; the rest is done all the same.")]
pub struct Args {
    /// Weights: safetensors, PyTorch .pth or MindSpore .ckpt
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Configuration YAML; the checkpoint's own without
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Images in folders within INPUT too
    #[arg(long)]
    pub recursive: bool,
    /// Images a forward pass takes at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub batch: Option<u16>,
    /// An image, a folder of images, or the JSON of a COCO set
    pub input: PathBuf,
    /// The prediction JSON to write
    pub output: PathBuf,
}

/// Runs the command; false if an image failed.
///
/// # Errors
/// Model, input or output refused; stopped by Ctrl-C.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<bool> {
    let mut set = shared.set.clone();
    set.extend(args.batch.map(|batch| format!("test_batch_size={batch}")));
    let request = InferFileRequest {
        model: ModelRequest {
            checkpoint: args.checkpoint.clone(),
            config: args.config.clone(),
            set,
            device: shared.device.clone(),
        },
        input: args.input.clone(),
        output: args.output.clone(),
        recursive: args.recursive,
    };
    let stop = interrupt::flag()?;
    let mut progress = Progress::new(shared.quiet);
    let summary = infer_to_file(&request, &stop, &mut |event| progress.show(event));
    progress.end();
    let summary = summary?;
    if shared.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?;
    } else if !shared.quiet {
        print_summary(&summary, out)?;
    }
    Ok(summary.failed.is_empty())
}

fn print_summary(summary: &InferSummary, out: &mut dyn Write) -> anyhow::Result<()> {
    for failed in &summary.failed {
        writeln!(out, "failed: {}", failed.error)?;
    }
    let resumed = match summary.resumed {
        0 => String::new(),
        n => format!(" ({n} of an earlier run)"),
    };
    let memory = summary.peak_memory_bytes.map_or(String::new(), |bytes| {
        format!(", peak memory {} MiB", bytes >> 20)
    });
    writeln!(
        out,
        "{} images{resumed}, {} detections, {} failed; {:.1} s, {:.2} images/s{memory}\n{}",
        summary.images,
        summary.detections,
        summary.failed.len(),
        summary.seconds,
        summary.images_per_second,
        summary.output.display(),
    )?;
    Ok(())
}

/// A bar on a terminal, plain lines when piped, nothing when quiet; always on standard error.
struct Progress {
    bar: ProgressBar,
    lines: bool,
    last_line: Option<Instant>,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if quiet || !terminal {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            bar,
            lines: !quiet && !terminal,
            last_line: None,
        }
    }

    fn show(&mut self, event: InferFileEvent<'_>) {
        match event {
            InferFileEvent::Begins {
                model,
                todo,
                total,
                note,
            } => self.begin(model, todo, total, note),
            InferFileEvent::Failed(failed) => self.say(&format!("failed: {}", failed.error)),
            InferFileEvent::Progress {
                done,
                total,
                images_per_second,
                eta,
            } => {
                let left = eta.map_or(String::from("–"), left);
                self.bar.set_position(done as u64);
                self.bar
                    .set_message(format!("{images_per_second:.2} images/s, {left} left"));
                if self.lines && self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                    self.last_line = Some(Instant::now());
                    eprintln!(
                        "{done}/{total} images, {images_per_second:.2} images/s, {left} left"
                    );
                }
            }
        }
    }

    fn begin(&mut self, model: &ModelSummary, todo: usize, total: usize, note: Option<String>) {
        self.bar.set_length(total as u64);
        self.bar.set_position((total - todo) as u64);
        self.say(&format!(
            "{}: {}, {} classes, {} values, dialect {}, {}, {}{}",
            model.checkpoint.display(),
            model.backbone,
            model.classes.len(),
            model.parameters,
            model.dialect,
            model.device,
            model.precision,
            if model.mask_scoring {
                ""
            } else {
                ", mask scoring not trained"
            },
        ));
        for line in model.notes.iter().chain(&note) {
            self.say(&format!("note: {line}"));
        }
    }

    fn say(&self, line: &str) {
        if self.lines {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
