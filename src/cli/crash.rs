//! The last resort: a panic becomes one sentence and a report on disk.

use std::backtrace::Backtrace;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::path::PathBuf;

use crate::jobs::{doctor, logging};

/// Replaces the text that a panic prints. The exit code stays 101.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        if thread == doctor::CUDA_PROBE_THREAD {
            return;
        }
        let report = report(info, thread);
        let place = match write(&report) {
            Ok(path) => format!("The report is in {}.", path.display()),
            Err(error) => format!("No report could be written ({error}):\n{report}"),
        };
        // Standard error may be closed, and a panic in here would abort.
        let _ = writeln!(
            std::io::stderr(),
            "error: maskscope has a defect and the work in hand stopped: {}. {place}",
            message(info)
        );
    }));
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("no message")
}

fn report(info: &PanicHookInfo<'_>, thread: &str) -> String {
    let place = info
        .location()
        .map_or_else(String::new, ToString::to_string);
    let mut text = format!(
        "maskscope {} ({}), {} {}\nthread {thread}, {place}\n{}\n\nLog:\n",
        doctor::VERSION,
        doctor::features().join(", "),
        std::env::consts::OS,
        std::env::consts::ARCH,
        message(info),
    );
    for line in logging::lines_since(0) {
        text.push_str(&format!(
            "{} {}: {}\n",
            line.level, line.target, line.message
        ));
    }
    text.push_str(&format!("\nBacktrace:\n{}\n", Backtrace::force_capture()));
    text
}

/// Appends to one file per process, so that threads that fail together do not overwrite each other.
fn write(report: &str) -> std::io::Result<PathBuf> {
    let folder = directories::ProjectDirs::from("", "", "maskscope")
        .map_or_else(std::env::temp_dir, |project| project.cache_dir().to_owned());
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("crash-{}.txt", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)?;
    file.write_all(report.as_bytes())?;
    Ok(path)
}
