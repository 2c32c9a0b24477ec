//! The CUDA driver, looked up at run time: a machine without one is an answer, not an error.
#![allow(
    unsafe_code,
    reason = "cudarc declares the look-up of the driver library and its calls unsafe"
)]

use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use cudarc::driver::{result, sys};
use serde_json::{Value, json};

use super::cpu::gib;
use super::{Check, Remedy, State};
use crate::config;
use crate::jobs::device::LEAST_CAPABILITY;
use crate::jobs::{companion, device};

/// Name of the thread on which the driver is asked. cudarc panics where a library of the driver's name lacks the
/// driver's functions; a panic on this thread is an answer and not to be reported.
pub const PROBE_THREAD: &str = "cuda-probe";

/// What the driver said.
#[derive(Debug)]
struct Driver {
    /// As `13.0`: the newest CUDA that it runs.
    version: String,
    devices: Vec<Device>,
}

#[derive(Debug)]
struct Device {
    name: String,
    memory: u64,
    /// Major and minor.
    capability: (i32, i32),
}

/// A driver that does not answer for so long does not work.
const PATIENCE: Duration = Duration::from_secs(20);

impl Driver {
    /// The first device that the kernels run on.
    fn usable(&self) -> Option<usize> {
        let mut devices = self.devices.iter();
        devices.position(|device| device.capability >= LEAST_CAPABILITY)
    }
}

/// Why there is no driver to use.
#[derive(Debug, thiserror::Error)]
enum NoDriver {
    #[error("no driver library (libcuda)")]
    NotThere,
    #[error("the driver library does not work: {0}")]
    Broken(String),
    #[error("the driver does not answer")]
    Silent,
}

/// For `--version`: `no driver`, or what stands in the way.
pub(super) fn summary() -> String {
    let built_in = candle_core::utils::cuda_is_available();
    match (is_present(), built_in) {
        (false, false) => "not in this build; no driver".into(),
        (true, false) => "not in this build; driver present".into(),
        (false, true) => "no driver".into(),
        (true, true) => "driver present".into(),
    }
}

pub(super) fn check() -> Check {
    let built_in = candle_core::utils::cuda_is_available();
    let driver = probe();
    let (found, details) = match driver {
        Ok(driver) => (describe(driver), facts(driver, built_in)),
        Err(why) => (
            why.to_string(),
            json!({"built_in": built_in, "driver": null, "devices": [], "problem": why.to_string()}),
        ),
    };
    let has_device = driver
        .as_ref()
        .is_ok_and(|driver| !driver.devices.is_empty());
    // Opened, because a card that answers may still refuse work.
    let chosen = (built_in && driver.is_ok()).then(|| device::choose("auto"));
    let has_opened = matches!(&chosen, Some(Ok(device)) if device.is_cuda());
    let used = match (chosen, driver) {
        _ if !built_in => match companion::look().describe() {
            Some(why) => format!("the CPU: this build has no CUDA support; {why}"),
            None => "the CPU: this build has no CUDA support".into(),
        },
        (Some(Ok(device)), _) if device.is_cuda() => format!(
            "{} (--device cuda:N chooses another), {} by default (--set precision=..)",
            device::describe(&device),
            device::precision(config::Precision::Auto, &device).0.name()
        ),
        (_, Ok(driver)) if has_device && driver.usable().is_none() => format!(
            "the CPU: the kernels need compute capability {}.{}",
            LEAST_CAPABILITY.0, LEAST_CAPABILITY.1
        ),
        (_, Ok(driver)) if has_device => {
            let name = format!("cuda:{}", driver.usable().unwrap_or(0));
            let why = device::choose(&name).err().map(|error| error.to_string());
            format!("the CPU: {}", why.unwrap_or_default())
        }
        _ => "the CPU: no CUDA device answers".into(),
    };
    let remedy = match (built_in, driver) {
        (false, _) => None,
        (true, Err(_)) => Some(Remedy::packages(
            "To use an NVIDIA card install its driver and restart.",
            &[
                "nvidia-driver (Debian)",
                "ubuntu-drivers-common, then `ubuntu-drivers install` (Ubuntu)",
            ],
            &["akmod-nvidia and xorg-x11-drv-nvidia-cuda (RPM Fusion)"],
        )),
        (true, Ok(_)) if !has_device => Some(Remedy::advice(
            "The driver sees no card: check `nvidia-smi` and CUDA_VISIBLE_DEVICES.",
        )),
        (true, Ok(_)) => None,
    };
    let state = match (built_in, has_opened) {
        (true, false) => State::Limited,
        _ => State::Ok,
    };
    Check {
        id: "cuda",
        state,
        found,
        used,
        remedy,
        details,
    }
}

/// Whether a CUDA device answers that the kernels run on. Starts the driver where there is one.
pub fn has_device() -> bool {
    let driver = probe();
    driver.as_ref().is_ok_and(|it| it.usable().is_some())
}

fn describe(driver: &Driver) -> String {
    let names: Vec<_> = driver
        .devices
        .iter()
        .map(|device| {
            let (major, minor) = device.capability;
            format!(
                "{} ({}, compute capability {major}.{minor})",
                device.name,
                gib(device.memory)
            )
        })
        .collect();
    let names = if names.is_empty() {
        "no device".into()
    } else {
        names.join(", ")
    };
    format!("driver for CUDA up to {}: {names}", driver.version)
}

fn facts(driver: &Driver, built_in: bool) -> Value {
    let devices: Vec<_> = driver
        .devices
        .iter()
        .map(|device| {
            json!({
                "name": device.name,
                "memory_bytes": device.memory,
                "compute_capability": format!("{}.{}", device.capability.0, device.capability.1),
            })
        })
        .collect();
    json!({"built_in": built_in, "driver": driver.version, "devices": devices, "problem": null})
}

/// A build for CUDA does not start without the driver's library.
#[cfg(feature = "cuda")]
fn is_present() -> bool {
    true
}

#[cfg(not(feature = "cuda"))]
fn is_present() -> bool {
    // SAFETY: loads the driver library, whose initialisation is the driver's own; nothing of it is called.
    unsafe { sys::is_culib_present() }
}

/// What the driver answers; asked once.
fn probe() -> &'static Result<Driver, NoDriver> {
    static ANSWER: OnceLock<Result<Driver, NoDriver>> = OnceLock::new();
    ANSWER.get_or_init(asked)
}

/// Asks the driver on a thread of its own, because cudarc panics at a library without the driver's functions.
fn asked() -> Result<Driver, NoDriver> {
    if !is_present() {
        return Err(NoDriver::NotThere);
    }
    let (sender, answer) = channel();
    std::thread::Builder::new()
        .name(PROBE_THREAD.into())
        .spawn(move || {
            // Nobody listens any more where it took too long.
            let _ = sender.send(ask());
        })
        .map_err(|error| NoDriver::Broken(error.to_string()))?;
    match answer.recv_timeout(PATIENCE) {
        Ok(Ok(driver)) => Ok(driver),
        Ok(Err(error)) => Err(NoDriver::Broken(text(error))),
        Err(RecvTimeoutError::Timeout) => Err(NoDriver::Silent),
        Err(RecvTimeoutError::Disconnected) => Err(NoDriver::Broken(
            "it lacks functions of a CUDA driver".into(),
        )),
    }
}

fn ask() -> Result<Driver, result::DriverError> {
    let mut version = 0;
    // SAFETY: writes one integer through the pointer; allowed before initialisation.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result()?;
    result::init()?;
    let mut devices = Vec::new();
    for ordinal in 0..result::device::get_count()? {
        let device = result::device::get(ordinal)?;
        use sys::CUdevice_attribute_enum as Attribute;
        // SAFETY: `device` comes from the driver just now.
        let (memory, major, minor) = unsafe {
            (
                result::device::total_mem(device)?,
                result::device::get_attribute(
                    device,
                    Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                )?,
                result::device::get_attribute(
                    device,
                    Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                )?,
            )
        };
        devices.push(Device {
            name: result::device::get_name(device)?,
            memory: memory as u64,
            capability: (major, minor),
        });
    }
    Ok(Driver {
        // 13000 is 13.0, 12040 is 12.4.
        version: format!("{}.{}", version / 1000, version % 1000 / 10),
        devices,
    })
}

/// The driver's own words, such as `no CUDA-capable device is detected`.
fn text(error: result::DriverError) -> String {
    error.error_string().map_or_else(
        |_| format!("error {}", error.0 as u32),
        |text| text.to_string_lossy().into_owned(),
    )
}
