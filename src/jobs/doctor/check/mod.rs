//! `doctor --check`: the reference numbers on every device that is found, then how fast it is. Needs nothing but the binary:
//! a full-size model whose weights and input come from a formula, and what mmdetection made of them.

mod model;
mod roi_align;
mod timing;
mod training;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;
use serde::Serialize;

use crate::jobs::roi_work::RoiWork;
use crate::jobs::{JobError, device};
use crate::structures::Precision;
use crate::weights::{Weights, WeightsError, load_tensors_of_bytes};

pub use training::TrainingStep;

/// What to check.
#[derive(Clone, Debug, Default)]
pub struct CheckRequest {
    /// One device by name; all that are found where it is empty.
    pub device: String,
    /// Leave the timings out.
    pub no_timings: bool,
    /// A folder of images to time the whole way with.
    pub images: Option<PathBuf>,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `cpu`, `cuda:0`, or the name of a graphics adapter.
    pub device: String,
    /// What was compared or timed.
    pub what: String,
    /// Largest deviation from the reference, in the measure that the tolerance is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// What it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Seconds of one pass, the fastest of some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Most memory of a card that was in use, what the model takes included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<f64>,
    /// Whether all is well.
    pub passed: bool,
    /// What went wrong, or what the numbers mean.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Row {
    fn of(device: &str, what: &str) -> Self {
        Self {
            device: device.to_owned(),
            what: what.to_owned(),
            deviation: None,
            tolerance: None,
            seconds: None,
            memory_mib: None,
            passed: true,
            note: String::new(),
        }
    }
}

/// What was found; `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Line by line.
    pub rows: Vec<Row>,
    /// Whether every comparison held.
    pub passed: bool,
    /// Devices that were asked for or looked for and are not there.
    pub missing: Vec<String>,
}

/// Why a part could not be done: any error of the network, in words.
type Found<T> = Result<T, Box<dyn std::error::Error>>;

/// Checks and times. `report` is told what begins.
///
/// # Errors
/// A device asked for by name that is not there; interrupted.
pub fn check(
    request: &CheckRequest,
    stop: &AtomicBool,
    report: &mut dyn FnMut(&str),
) -> Result<Checked, JobError> {
    let mut missing = Vec::new();
    let devices = devices(&request.device, &mut missing)?;
    let mut checks = Checks {
        stop,
        report,
        rows: Vec::new(),
    };
    for (name, device) in &devices {
        checks.on_device(name, device, request)?;
    }
    #[cfg(feature = "gpu")]
    if is_any(&request.device) {
        match crate::ops::compute::Compute::open() {
            Ok(compute) => {
                let compute = std::sync::Arc::new(compute);
                let name = compute.name().to_owned();
                for (part, what) in roi_align::Part::ALL {
                    let what = format!("{what}, shader");
                    checks.compared(&name, &what, roi_align::TOLERANCE, || {
                        roi_align::deviation_on(&compute, part)
                    })?;
                }
                if !request.no_timings {
                    checks.timed(&name, RoiWork::NAME, None, || {
                        roi_align::seconds_on(&compute)
                    })?;
                }
            }
            Err(error) => missing.push(format!("graphics adapter: {error}")),
        }
    }
    let rows = checks.rows;
    Ok(Checked {
        passed: rows.iter().all(|row| row.passed),
        rows,
        missing,
    })
}

fn is_any(asked: &str) -> bool {
    asked.is_empty() || asked == "auto"
}

fn devices(asked: &str, missing: &mut Vec<String>) -> Result<Vec<(String, Device)>, JobError> {
    if !is_any(asked) {
        return Ok(vec![(asked.to_owned(), device::choose(asked)?)]);
    }
    let mut devices = vec![("cpu".to_owned(), Device::Cpu)];
    for ordinal in 0..device::cards().max(1) {
        let name = format!("cuda:{ordinal}");
        match device::choose(&name) {
            Ok(device) => devices.push((name, device)),
            Err(error) => missing.push(error.to_string()),
        }
    }
    Ok(devices)
}

struct Checks<'a> {
    stop: &'a AtomicBool,
    report: &'a mut dyn FnMut(&str),
    rows: Vec<Row>,
}

impl Checks<'_> {
    fn on_device(
        &mut self,
        name: &str,
        device: &Device,
        request: &CheckRequest,
    ) -> Result<(), JobError> {
        for (part, what) in roi_align::Part::ALL {
            self.compared(name, what, roi_align::TOLERANCE, || {
                roi_align::deviation(device, part)
            })?;
        }
        self.begin(name, "full-size model")?;
        match model::compare(device) {
            Ok(found) => self.rows.extend(found.into_iter().map(|found| Row {
                what: found.what,
                passed: found.deviation <= found.tolerance,
                deviation: Some(found.deviation),
                tolerance: Some(found.tolerance),
                ..Row::of(name, "")
            })),
            Err(error) => self.failed(name, "full-size model", error.to_string()),
        }
        if !device.is_cpu() {
            self.rounded(name, device)?;
            self.trained(name, device)?;
        }
        if request.no_timings {
            return Ok(());
        }
        self.timings(name, device)?;
        match &request.images {
            Some(folder) => self.folder(name, folder),
            None => Ok(()),
        }
    }

    /// On CUDA what reports of detectors usually have; on the processor one of each.
    fn timings(&mut self, name: &str, device: &Device) -> Result<(), JobError> {
        let (passes, steps) = if device.is_cpu() {
            (vec![timing::INFERENCE], vec![Precision::Float32])
        } else {
            let steps = [
                Precision::Float32,
                Precision::TensorFloat32,
                Precision::Float16,
            ];
            (timing::Inference::all(), steps.to_vec())
        };
        self.timed(name, RoiWork::NAME, None, || roi_align::seconds(device))?;
        for pass in passes {
            self.timed(name, &pass.describe(), Some(device), || pass.time(device))?;
        }
        for precision in steps {
            let what = format!("training step, R-50, 512x512, one image, {precision}");
            self.timed(name, &what, Some(device), || {
                timing::training(device, precision)
            })?;
        }
        Ok(())
    }

    fn folder(&mut self, name: &str, folder: &Path) -> Result<(), JobError> {
        let what = "folder of images";
        self.begin(name, what)?;
        match timing::folder(name, folder) {
            Ok(found) => self.rows.push(Row {
                what: format!("{what}, {} from files to detections", found.images),
                seconds: Some(found.whole),
                note: format!(
                    "{:.2} a second, {:.1} % longer than the network alone",
                    1.0 / found.whole,
                    100.0 * (found.whole / found.network - 1.0)
                ),
                ..Row::of(name, what)
            }),
            Err(error) => self.failed(name, what, error.to_string()),
        }
        Ok(())
    }

    /// Precisions that give up digits: how many of a pyramid's.
    fn rounded(&mut self, name: &str, device: &Device) -> Result<(), JobError> {
        for precision in [
            Precision::TensorFloat32,
            Precision::Float16,
            Precision::Bfloat16,
        ] {
            let what = format!("pyramid in {precision}");
            self.compared(name, &what, model::rounding(precision), || {
                model::pyramid_deviation(device, precision)
            })?;
        }
        Ok(())
    }

    /// A training step in every precision beside the processor's in float32.
    fn trained(&mut self, name: &str, device: &Device) -> Result<(), JobError> {
        for precision in [
            Precision::Float32,
            Precision::TensorFloat32,
            Precision::Float16,
            Precision::Bfloat16,
        ] {
            let what = format!("training step in {precision}");
            self.begin(name, &what)?;
            let found = match training::deviations(device, precision) {
                Ok(found) => found,
                Err(error) => {
                    self.failed(name, &what, error.to_string());
                    continue;
                }
            };
            let notes = [String::new(), format!("of {}", found.parameter)];
            let parts = ["losses", "gradients"].into_iter().zip(notes);
            let bounds = found.worst.into_iter().zip(training::tolerances(precision));
            for ((part, note), (deviation, tolerance)) in parts.zip(bounds) {
                self.rows.push(Row {
                    what: format!("{what}: {part}"),
                    passed: deviation <= tolerance,
                    deviation: Some(deviation),
                    tolerance: Some(tolerance),
                    note,
                    ..Row::of(name, "")
                });
            }
        }
        Ok(())
    }

    fn begin(&mut self, device: &str, what: &str) -> Result<(), JobError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(JobError::Interrupted);
        }
        (self.report)(&format!("{device}: {what}"));
        Ok(())
    }

    fn compared(
        &mut self,
        device: &str,
        what: &str,
        tolerance: f64,
        work: impl FnOnce() -> Found<f64>,
    ) -> Result<(), JobError> {
        self.begin(device, what)?;
        match work() {
            Ok(deviation) => self.rows.push(Row {
                passed: deviation <= tolerance,
                deviation: Some(deviation),
                tolerance: Some(tolerance),
                ..Row::of(device, what)
            }),
            Err(error) => self.failed(device, what, error.to_string()),
        }
        Ok(())
    }

    /// Of `card` also the memory is told.
    fn timed(
        &mut self,
        device: &str,
        what: &str,
        card: Option<&Device>,
        work: impl FnOnce() -> Found<f64>,
    ) -> Result<(), JobError> {
        self.begin(device, what)?;
        let used = card.and_then(device::MemoryUse::of);
        match work() {
            Ok(seconds) => self.rows.push(Row {
                seconds: Some(seconds),
                memory_mib: used.and_then(|used| used.most_mib()),
                note: format!("{:.2} a second", 1.0 / seconds),
                ..Row::of(device, what)
            }),
            Err(error) => self.failed(device, what, error.to_string()),
        }
        Ok(())
    }

    fn failed(&mut self, device: &str, what: &str, note: String) {
        self.rows.push(Row {
            passed: false,
            note,
            ..Row::of(device, what)
        });
    }
}

/// Tensors of a file inside the binary.
fn embedded(name: &str, bytes: &[u8]) -> Result<Weights, WeightsError> {
    load_tensors_of_bytes(Path::new(name), bytes.to_vec())
}

/// Largest difference over the largest reference value; infinite where something is not finite or lengths differ.
fn relative(got: &[f32], want: &[f32], largest: Option<f64>) -> f64 {
    let off = absolute(got, want);
    let of_want = || {
        let sizes = want.iter().map(|v| f64::from(v.abs()));
        sizes.fold(f64::MIN_POSITIVE, f64::max)
    };
    off / largest.unwrap_or_else(of_want)
}

/// Largest difference; infinite where something is not finite or lengths differ.
fn absolute(got: &[f32], want: &[f32]) -> f64 {
    if got.len() != want.len() || got.iter().any(|value| !value.is_finite()) {
        return f64::INFINITY;
    }
    let off = got.iter().zip(want).map(|(a, b)| f64::from((a - b).abs()));
    off.fold(0.0, f64::max)
}
