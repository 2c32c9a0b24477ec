//! What a run would meet: problems of sets and checkpoint, classes, memory, time; and values that would suit better.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::Device;

use super::estimate::memory_mib;
use super::folder::RunFolder;
use super::order::subset;
use super::prepare::absolute;
use super::records::{ClassCount, Finding, PreflightReport, Proposal, Severity};
use super::setup::{Setup, configuration};
use super::{TrainRequest, session};
use crate::coco::check::{self, Kind};
use crate::coco::dataset::{Dataset, Role};
use crate::config::{Config, OptType};
use crate::jobs::{JobError, check as health, device};
use crate::weights::{self, LoadOptions};

/// Annotations of a class below which little can be learnt of it.
const FEW: usize = 10;
/// How many times more of one class than of another is told.
const IMBALANCE: usize = 50;
/// Findings of one kind that are listed with their place.
const LISTED: usize = 3;
/// Share of the free memory from which on it is tight.
const TIGHT: f64 = 0.9;
/// Images of an update that the learning rate .02 belongs to (mmdetection's linear scaling rule).
const RULE_IMAGES: f64 = 16.0;
const RULE_RATE: f64 = 0.02;
/// A usual rate of Adam for detectors, and one that is too high.
const ADAM_RATE: f64 = 1e-4;
const ADAM_MOST: f64 = 1e-3;

/// Looks at everything a run would use without training. With `trial` a few steps are taken and timed.
///
/// # Errors
/// Only what keeps the look itself from happening, such as no temporary folder; what would keep a run from starting is a
/// finding.
pub fn preflight(
    request: &TrainRequest,
    trial: bool,
    stop: &AtomicBool,
) -> Result<PreflightReport, JobError> {
    let folder = tempfile::tempdir().map_err(|source| JobError::Read {
        path: std::env::temp_dir(),
        source,
    })?;
    let setup = configuration(request)
        .and_then(|(config, notes)| Setup::of(request, config, notes, folder.path()));
    // A device that is not to be had is an error of the command.
    let device = device::choose(&match &setup {
        Ok(setup) => device::asked(&request.device, &setup.config, 1),
        Err(_) => request.device.clone(),
    })?;
    let mut report = empty(device::describe(&device));
    let setup = match setup {
        Ok(setup) => setup,
        Err(error) => {
            report
                .findings
                .push(finding(Severity::Error, &error.to_string(), "", ""));
            return Ok(report);
        }
    };
    for note in &setup.notes {
        let (severity, fix) = match setup.by_order.as_ref() == Some(note) {
            true => (
                Severity::Warning,
                "check that both lists are in the same order, or give --classes-from-data",
            ),
            false => (Severity::Note, ""),
        };
        report.findings.push(finding(severity, note, "", fix));
    }
    output_findings(&setup.config, &mut report.findings);
    set_findings(&setup.train, "training set", stop, &mut report.findings)?;
    report.val_images = validation(&setup, stop, &mut report.findings)?;
    let config = setup.config.clone();
    let all = setup.train.images().len();
    report.train_images = subset(all, config.train_dataset_num, config.train_dataset_divider).len();
    report.classes = classes(&setup);
    class_findings(&report.classes, &mut report.findings);
    report.reinitialised.clone_from(&setup.start.reinitialised);
    let images = report.train_images;
    report.steps_per_epoch = images / config.batch_size;
    report.epochs = config.epoch_size;
    if report.steps_per_epoch == 0 && images > 0 {
        let text = format!(
            "{images} images are fewer than a batch of {}",
            config.batch_size
        );
        report.findings.push(finding(
            Severity::Error,
            &text,
            "batch_size",
            "choose a smaller batch",
        ));
    }
    report.memory_mib = memory_mib(&config);
    let is_host = device.is_cpu();
    report.memory_free_mib = device::free_memory(&device).unwrap_or(0) as f64 / f64::from(1 << 20);
    report.proposals = proposals(&config, images);
    let can_start = report
        .findings
        .iter()
        .all(|f| f.severity != Severity::Error);
    if trial && can_start {
        let folder = RunFolder::lock(folder.path())?;
        time(setup, request, folder, device, stop, &mut report)?;
    }
    memory_findings(&mut report, is_host);
    report
        .findings
        .sort_by_key(|found| std::cmp::Reverse(found.severity));
    Ok(report)
}

fn empty(device: String) -> PreflightReport {
    PreflightReport {
        findings: Vec::new(),
        train_images: 0,
        val_images: 0,
        classes: Vec::new(),
        reinitialised: Vec::new(),
        memory_mib: 0.0,
        memory_free_mib: 0.0,
        seconds_per_step: None,
        steps_per_epoch: 0,
        epochs: 0,
        seconds_total: None,
        proposals: Vec::new(),
        device,
    }
}

fn finding(severity: Severity, what: &str, place: &str, fix: &str) -> Finding {
    Finding {
        severity,
        what: what.into(),
        place: place.into(),
        fix: fix.into(),
    }
}

/// Whether the folder of the runs can be written.
fn output_findings(config: &Config, findings: &mut Vec<Finding>) {
    let folder = Path::new(&config.train_outputs);
    let absolute = absolute(folder);
    // What is not there yet is made when a run begins, in the first folder above that is.
    let there = absolute.ancestors().find(|path| path.exists());
    let writable = tempfile::Builder::new()
        .prefix(".maskscope-")
        .tempfile_in(there.unwrap_or(folder));
    if let Err(error) = writable {
        findings.push(finding(
            Severity::Error,
            &format!("the folder of the runs cannot be written: {error}"),
            &folder.display().to_string(),
            "choose another folder with --out",
        ));
    }
}

/// What the health report of a set says, one finding a kind.
fn set_findings(
    set: &Dataset,
    role: &str,
    stop: &AtomicBool,
    findings: &mut Vec<Finding>,
) -> Result<(), JobError> {
    let mut go_on = |_, _| !stop.load(std::sync::atomic::Ordering::Relaxed);
    let report = health::of_set(set, &mut go_on)?;
    for count in &report.counts {
        let severity = match count.severity {
            // The run skips what it cannot use.
            check::Severity::Error | check::Severity::Warning => Severity::Warning,
            check::Severity::Info => Severity::Note,
        };
        let listed = report.of(count.kind).iter().take(LISTED);
        let places: Vec<String> = listed
            .map(|found| found.image.clone().unwrap_or_else(|| found.text.clone()))
            .collect();
        let what = format!("{role}: {}, {}", count.kind.title(), count.count);
        let fix = match count.kind {
            Kind::MissingFile | Kind::CorruptFile => "they are skipped; mend or remove them",
            _ => "`maskscope check` lists them all",
        };
        findings.push(finding(severity, &what, &places.join(", "), fix));
    }
    let bare = (0..set.images().len()).filter(|&image| set.annotations_of(image) == 0);
    let bare = bare.count();
    if bare > 0 {
        let what = format!(
            "{role}: {bare} of {} images have no annotation",
            set.images().len()
        );
        findings.push(finding(
            Severity::Note,
            &what,
            "",
            "they are trained on as background",
        ));
    }
    Ok(())
}

/// Images of the validation set, and what is the matter with it.
fn validation(
    setup: &Setup,
    stop: &AtomicBool,
    findings: &mut Vec<Finding>,
) -> Result<usize, JobError> {
    let Some(path) = &setup.val else {
        let what = "no validation set: AP is not measured and no best checkpoint is kept";
        findings.push(finding(
            Severity::Warning,
            what,
            "",
            "name one, or keep a share of the images",
        ));
        return Ok(0);
    };
    let val = match Dataset::open_as(path, Role::Val, None) {
        Ok(val) => val,
        Err(error) => {
            findings.push(finding(
                Severity::Error,
                &error.to_string(),
                "validation set",
                "",
            ));
            return Ok(0);
        }
    };
    set_findings(&val, "validation set", stop, findings)?;
    let known = |name: &&String| !setup.classes.names.contains(name);
    let strange: Vec<&str> = val
        .classes()
        .names
        .iter()
        .filter(known)
        .map(String::as_str)
        .collect();
    if !strange.is_empty() {
        let is_as_many = val.classes().names.len() == setup.classes.names.len();
        let (what, fix) = match is_as_many && strange.len() == val.classes().names.len() {
            true => (
                "no class of the validation set is one of the model: they are matched by their order",
                "check that both lists are in the same order",
            ),
            false => (
                "the validation set has classes that the model will not know: nothing of them is found",
                "rename or drop them",
            ),
        };
        findings.push(finding(Severity::Warning, what, &strange.join(", "), fix));
    }
    if val.json() == setup.train.json() {
        let what = "training and validation set are the same: AP says nothing about new images";
        findings.push(finding(
            Severity::Warning,
            what,
            "",
            "keep a share of the images apart",
        ));
    }
    Ok(val.images().len())
}

/// Annotations and images of each class of the model.
fn classes(setup: &Setup) -> Vec<ClassCount> {
    let count = setup.classes.len();
    let (mut annotations, mut images) = (vec![0; count], vec![0; count]);
    let ids = &setup.train.classes().category_ids;
    for image in 0..setup.train.images().len() {
        let mut seen = vec![false; count];
        for head in setup.train.heads_of(image).filter(|head| !head.is_crowd) {
            let of_set = ids.iter().position(|&id| id == head.category_id);
            let label = of_set.and_then(|label| setup.labels.get(label).copied().flatten());
            if let Some(label) = label.filter(|&label| label < count) {
                annotations[label] += 1;
                images[label] += usize::from(!std::mem::replace(&mut seen[label], true));
            }
        }
    }
    let known = setup.start.checkpoint.as_ref().and_then(|path| {
        let loaded = weights::load(path, None, &LoadOptions::default()).ok()?;
        Some(loaded.classes.names)
    });
    let known = known.unwrap_or_default();
    let rows = setup.classes.names.iter().enumerate();
    rows.map(|(label, name)| ClassCount {
        name: name.clone(),
        annotations: annotations[label],
        images: images[label],
        known: known.contains(name),
    })
    .collect()
}

fn class_findings(classes: &[ClassCount], findings: &mut Vec<Finding>) {
    let names = |of: &dyn Fn(&&ClassCount) -> bool| {
        let found = classes.iter().filter(of).map(|class| class.name.as_str());
        found.collect::<Vec<_>>().join(", ")
    };
    if classes.iter().all(|class| class.annotations == 0) {
        let what = "no annotation belongs to a class of the model: nothing could be learnt";
        findings.push(finding(Severity::Error, what, "", "check the class names"));
        return;
    }
    let without = names(&|class| class.annotations == 0);
    if !without.is_empty() {
        let what = "classes without any annotation in the training set";
        findings.push(finding(
            Severity::Warning,
            what,
            &without,
            "drop them, or label some",
        ));
    }
    let few = names(&|class| (1..FEW).contains(&class.annotations));
    if !few.is_empty() {
        let what = format!("classes with fewer than {FEW} annotations");
        findings.push(finding(
            Severity::Warning,
            &what,
            &few,
            "label more of them",
        ));
    }
    let counts = || {
        classes
            .iter()
            .map(|class| class.annotations)
            .filter(|&count| count > 0)
    };
    let (most, least) = (counts().max().unwrap_or(0), counts().min().unwrap_or(0));
    if least > 0 && most / least >= IMBALANCE {
        let what = format!("class imbalance: {most} annotations of one class, {least} of another");
        findings.push(finding(
            Severity::Warning,
            &what,
            "",
            "rare classes will be learnt late",
        ));
    }
}

/// An estimate keeps nobody from trying.
fn memory_findings(report: &mut PreflightReport, is_host: bool) {
    if report.memory_free_mib <= 0.0 || report.memory_mib <= TIGHT * report.memory_free_mib {
        return;
    }
    let what = format!(
        "training needs about {:.0} MiB, {:.0} MiB are free{}",
        report.memory_mib,
        report.memory_free_mib,
        if is_host { "" } else { " on the card" }
    );
    let fix = "choose a smaller batch or smaller images; else the run may end for want of memory";
    report
        .findings
        .push(finding(Severity::Warning, &what, "memory", fix));
}

/// A few steps for real: their time and memory.
fn time(
    setup: Setup,
    request: &TrainRequest,
    folder: RunFolder,
    device: Device,
    stop: &AtomicBool,
    report: &mut PreflightReport,
) -> Result<(), JobError> {
    let is_host = device.is_cpu();
    let val_images = report.val_images as f64;
    let evaluations = setup.config.epoch_size.div_ceil(setup.config.eval_every) as f64;
    let batch = setup.config.batch_size as f64;
    match session::trial(setup, request, folder, device, stop) {
        Ok(found) => {
            let steps = (report.steps_per_epoch * report.epochs) as f64;
            // Inference is about a third of a step: no backward pass.
            let per_image = found.seconds_per_step / batch / 3.0;
            report.seconds_per_step = Some(found.seconds_per_step);
            report.seconds_total =
                Some(steps * found.seconds_per_step + evaluations * val_images * per_image);
            if is_host {
                // What was seen, and what later steps have more of: objects.
                report.memory_mib = report.memory_mib.max(found.memory_mib);
            }
        }
        Err(JobError::Interrupted) => return Err(JobError::Interrupted),
        Err(error) => {
            let what = format!("the trial failed: {error}");
            report
                .findings
                .push(finding(Severity::Error, &what, "", ""));
        }
    }
    Ok(())
}

fn proposals(config: &Config, images: usize) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    let mut propose = |key: &str, value: String, why: String| {
        proposals.push(Proposal {
            key: key.into(),
            value,
            why,
        });
    };
    let per_update = config.batch_size * config.accumulate_step * config.device_num;
    let rate = RULE_RATE * per_update as f64 / RULE_IMAGES;
    if config.opt_type == OptType::Adam {
        // Its steps are about as long as the rate, whatever the gradient.
        if config.lr > ADAM_MOST {
            propose(
                "lr",
                format!("{ADAM_RATE}"),
                format!(
                    "Adam's steps are as long as the rate: {} would be very long",
                    config.lr
                ),
            );
        }
    } else if (config.lr - rate).abs() > 1e-9 {
        propose(
            "lr",
            format!("{rate}"),
            format!(
                "linear scaling: {RULE_RATE} for {RULE_IMAGES} images an update, here {per_update}"
            ),
        );
    }
    if images > 0 && config.batch_size > images {
        propose(
            "batch_size",
            images.to_string(),
            format!("the set has {images} images"),
        );
    }
    let updates = (images / config.batch_size.max(1)).div_ceil(config.accumulate_step);
    let all = updates * config.epoch_size;
    if all > 0 && config.warmup_step * 4 > all {
        let value = (all / 10).max(1);
        propose(
            "warmup_step",
            value.to_string(),
            format!(
                "a tenth of the {all} updates of this run; {} would be most of it",
                config.warmup_step
            ),
        );
    }
    let epochs = config.epoch_size;
    let late = config.lr_steps.iter().all(|&drop| drop >= epochs);
    if late && epochs >= 3 {
        let drops = [epochs * 2 / 3, epochs * 11 / 12].map(|drop| drop.clamp(1, epochs - 1));
        let value = if drops[0] == drops[1] {
            format!("[{}]", drops[0])
        } else {
            format!("[{}, {}]", drops[0], drops[1])
        };
        let why = format!(
            "the rate would not fall within {epochs} epochs; these are the shares of the 1x schedule"
        );
        propose("lr_steps", value, why);
    }
    let steps = images / config.batch_size.max(1);
    if steps > 0 && config.save_every > steps {
        propose(
            "save_every",
            steps.to_string(),
            format!("an epoch has {steps} steps: so each leaves a line in the log"),
        );
    }
    proposals
}
