//! `maskscope train`: a training run, begun or gone on with.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::args::Shared;
use super::progress::Progress;
use super::{interrupt, output};
use crate::jobs::train::records::{PreflightReport, Severity};
use crate::jobs::train::{SetChanges, TrainEvent, TrainRequest, preflight, train};

/// Train or fine-tune on a COCO set.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope train --config tiny --train-data synth/train --val-data synth/val --out runs --brief tiny
  maskscope train --pretrained r50_coco.safetensors --set finetune=1 --train-data balloon --val-data balloon
  maskscope train --config ms_rcnn_r50_caffe_fpn_1x_coco --train-data coco/train2017 --val-data coco/val2017
  maskscope train --resume runs/261127_MSRCNN_tiny

The shell scripts of the original:
  run_standalone_train_gpu.sh CONFIG TRAIN VAL OUT BRIEF [PRETRAINED]
    maskscope train --config CONFIG --train-data TRAIN --val-data VAL --out OUT --brief BRIEF [--pretrained PRETRAINED]
  run_distribute_train_gpu.sh CONFIG DEVICE_NUM TRAIN VAL OUT BRIEF [PRETRAINED]
    mpirun -n DEVICE_NUM maskscope train ... with the same options
  run_eval_gpu.sh CONFIG VAL CKPT [PREDICTIONS]
    maskscope eval --config CONFIG --checkpoint CKPT VAL [--predictions PREDICTIONS]
  run_infer_gpu.sh CONFIG CKPT INPUT OUTPUT
    maskscope infer --config CONFIG --checkpoint CKPT INPUT OUTPUT

A run's folder is OUT/<yymmdd>_MSRCNN_<BRIEF>. Ctrl-C, or a file named `stop` in that folder, ends the run after its step,
with a checkpoint that --resume goes on from.")]
pub struct Args {
    /// Configuration YAML, or the name of a shipped one such as `tiny`; a checkpoint's own without
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Training set: a folder of any COCO layout, or a JSON
    #[arg(long, value_name = "SET")]
    pub train_data: Option<PathBuf>,
    /// Validation set that AP is measured on
    #[arg(long, value_name = "SET")]
    pub val_data: Option<PathBuf>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Suffix of the run's folder
    #[arg(long, value_name = "TEXT")]
    pub brief: Option<String>,
    /// Weights to start from: safetensors, PyTorch .pth or MindSpore .ckpt
    #[arg(long, value_name = "FILE")]
    pub pretrained: Option<PathBuf>,
    /// Go on with a run from its last complete checkpoint
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "brief", "pretrained", "classes_from_data", "val_fraction", "rename", "drop_class"])]
    pub resume: Option<PathBuf>,
    /// Take the classes of the training set instead of the configuration's
    #[arg(long)]
    pub classes_from_data: bool,
    /// Keep this share of the training images for validation instead, drawn by `seed`
    #[arg(long, value_name = "F", conflicts_with = "val_data", value_parser = fraction)]
    pub val_fraction: Option<f64>,
    /// Rename a class before training; several old names with one new name are merged; repeatable
    #[arg(long, value_name = "OLD=NEW", value_parser = rename)]
    pub rename: Vec<(String, String)>,
    /// Leave the annotations of a class out; repeatable
    #[arg(long, value_name = "NAME")]
    pub drop_class: Vec<String>,
    /// Look at sets, checkpoint, memory and classes, and train nothing
    #[arg(long, conflicts_with = "resume")]
    pub preflight: bool,
    /// With --preflight: take a few steps and time them
    #[arg(long, requires = "preflight")]
    pub trial: bool,
    /// Write the path of the run's folder into this file as soon as it is known
    #[arg(long, value_name = "FILE", hide = true)]
    pub run_record: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Configuration, sets or weights refused; a folder that cannot be written; NaN.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<bool> {
    let request = TrainRequest {
        config: args.config.clone(),
        set: shared.set.clone(),
        device: shared.device.clone(),
        train_data: args.train_data.clone(),
        val_data: args.val_data.clone(),
        out: args.out.clone(),
        brief: args.brief.clone(),
        pretrained: args.pretrained.clone(),
        resume: args.resume.clone(),
        classes_from_data: args.classes_from_data,
        changes: SetChanges {
            renames: args.rename.clone(),
            drops: args.drop_class.clone(),
            val_fraction: args.val_fraction,
        },
        run_record: args.run_record.clone(),
        command: without_run_record(output::command_words()),
    };
    let stop = interrupt::flag()?;
    if args.preflight {
        let report = preflight(&request, args.trial, &stop)?;
        if shared.json {
            output::json(&report, out)?;
        } else {
            tell(&report, out)?;
        }
        return Ok(true);
    }
    let mut progress = Progress::new(shared.quiet);
    let trained = train(&request, &stop, &mut |event| match event {
        TrainEvent::Log(line) => progress.say(line),
        TrainEvent::Step {
            done, seconds_left, ..
        } => {
            let left = seconds_left.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
            progress.show("steps", done.0, done.1, left);
        }
        TrainEvent::Evaluated(done, total) => progress.show("images evaluated", done, total, None),
    });
    progress.end();
    let trained = trained?;
    if shared.json {
        output::json(&trained.record, out)?;
    } else {
        writeln!(out, "{}", trained.folder.display())?;
    }
    Ok(true)
}

/// The option is between a window and the run that it starts: nobody types it again.
fn without_run_record(words: Vec<String>) -> Vec<String> {
    const OPTION: &str = "--run-record";
    let mut kept = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == OPTION {
            words.next(); // its file
        } else if !word
            .strip_prefix(OPTION)
            .is_some_and(|rest| rest.starts_with('='))
        {
            kept.push(word);
        }
    }
    kept
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a share between 0 and 1, such as 0.2".into()),
    }
}

fn rename(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.into(), new.into())),
        _ => Err("expected OLD=NEW".into()),
    }
}

/// The preflight in words.
fn tell(report: &PreflightReport, out: &mut dyn Write) -> std::io::Result<()> {
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(out, "{severity}: {}", finding.what)?;
        for more in [&finding.place, &finding.fix] {
            if !more.is_empty() {
                write!(out, "; {more}")?;
            }
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "{} images to train on, {} to validate on; {} steps an epoch, {} epochs; {}",
        report.train_images,
        report.val_images,
        report.steps_per_epoch,
        report.epochs,
        report.device
    )?;
    for class in &report.classes {
        let known = if class.known {
            ", known to the checkpoint"
        } else {
            ""
        };
        writeln!(
            out,
            "  {}: {} annotations in {} images{known}",
            class.name, class.annotations, class.images
        )?;
    }
    if !report.reinitialised.is_empty() {
        writeln!(out, "re-initialised: {}", report.reinitialised.join(", "))?;
    }
    writeln!(
        out,
        "memory: about {:.0} MiB, {:.0} MiB are free",
        report.memory_mib, report.memory_free_mib
    )?;
    if let (Some(step), Some(total)) = (report.seconds_per_step, report.seconds_total) {
        let total = Duration::from_secs_f64(total.max(0.0));
        writeln!(
            out,
            "time: {step:.2} s a step, {} in all",
            super::progress::left(total)
        )?;
    }
    for proposal in &report.proposals {
        writeln!(
            out,
            "proposal: --set {}={}  ({})",
            proposal.key, proposal.value, proposal.why
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_command_is_without_the_run_record() {
        let check = |line: &str| {
            let words = line.split(' ').map(str::to_owned).collect();
            assert_eq!(
                without_run_record(words).join("|"),
                "maskscope|train|--out|my=runs"
            );
        };
        check("maskscope train --out my=runs");
        check("maskscope train --out my=runs --run-record /tmp/launch-1.run");
        check("maskscope train --run-record /tmp/launch-1.run --out my=runs");
        check("maskscope train --run-record=/tmp/launch-1.run --out my=runs");
    }
}
