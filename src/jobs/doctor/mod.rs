//! What this machine has, what will be used of it and why, and what to install where something is missing.

pub mod check;
mod cpu;
mod cuda;
mod desktop;
mod folders;
#[cfg(feature = "gui")]
mod graphics;
#[cfg(feature = "gpu")]
mod roi_align;

use serde::Serialize;
use serde_json::Value;

pub use cuda::{PROBE_THREAD as CUDA_PROBE_THREAD, has_device as has_cuda_device};

/// The examination of this machine; `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of the program.
    pub version: &'static str,
    /// Cargo features of this build.
    pub features: Vec<&'static str>,
    /// For example `linux x86_64`.
    pub system: String,
    /// One entry per part, in the order of the program's needs.
    pub checks: Vec<Check>,
}

/// One part of the machine.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Stable name for machines: `cpu`, `memory`, `cuda`, `graphics`, `roi_align`, `display`, `file_dialog`, `folders`.
    pub id: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What will be used, and why.
    pub used: String,
    /// What to do where something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
    /// The findings as numbers and names.
    pub details: Value,
}

/// How a part of the machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Works, but slowly or in part.
    Limited,
    /// Not there; what needs it will not work.
    Missing,
}

/// What to do where something is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// In words.
    pub advice: String,
    /// Packages of Debian and Ubuntu.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub debian: Vec<&'static str>,
    /// Packages of Fedora.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fedora: Vec<&'static str>,
}

impl Remedy {
    fn advice(advice: impl Into<String>) -> Self {
        Self {
            advice: advice.into(),
            debian: Vec::new(),
            fedora: Vec::new(),
        }
    }

    fn packages(advice: &str, debian: &[&'static str], fedora: &[&'static str]) -> Self {
        Self {
            advice: advice.into(),
            debian: debian.into(),
            fedora: fedora.into(),
        }
    }
}

/// Version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Cargo features of this build.
pub fn features() -> Vec<&'static str> {
    let mut features = Vec::new();
    if cfg!(feature = "gui") {
        features.push("gui");
    }
    if cfg!(feature = "gpu") {
        features.push("gpu");
    }
    if candle_core::utils::cuda_is_available() {
        features.push("cuda");
    }
    if cfg!(feature = "mpi") {
        features.push("mpi");
    }
    if cfg!(feature = "nccl") {
        features.push("nccl");
    }
    features
}

/// Devices that the network can run on, one line each, for `--version`. Looks for libraries, starts no driver.
pub fn devices() -> Vec<String> {
    vec![
        format!("cpu: {}", cpu::summary()),
        format!("cuda: {}", cuda::summary()),
    ]
}

/// Examines the display server alone: variables and libraries, nothing is opened.
#[cfg(feature = "gui")]
pub fn examine_display() -> Check {
    desktop::check_display()
}

/// Examines the machine. Opens the graphics drivers, which takes up to a second.
pub fn examine() -> Report {
    let checks = vec![
        cpu::check(),
        cpu::check_memory(),
        cuda::check(),
        #[cfg(feature = "gui")]
        graphics::check(),
        #[cfg(feature = "gpu")]
        roi_align::check(),
        #[cfg(feature = "gui")]
        desktop::check_display(),
        #[cfg(feature = "gui")]
        desktop::check_file_dialog(),
        folders::check(),
    ];
    Report {
        version: VERSION,
        features: features(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        checks,
    }
}
