//! Log records: to standard error as the user filters them, and into a bounded buffer that the window's log panel and
//! the report of a crash read.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Overrides the filter of standard error, in env_logger's syntax.
pub const FILTER_VARIABLE: &str = "MASKSCOPE_LOG";
/// Mesa and the Vulkan loader report harmless errors through wgpu_hal.
const DEFAULT_FILTER: &str = "warn,wgpu_hal=off";
const QUIET_FILTER: &str = "error,wgpu_hal=off";
/// Lines kept; the oldest go first.
const KEPT: usize = 2_000;
/// Longer messages are cut in the buffer.
const LONGEST_MESSAGE: usize = 4_000;

/// A log record as the window shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Counts up from 0 over the life of the process.
    pub number: u64,
    /// How bad it is.
    pub level: Level,
    /// Module that says it.
    pub target: String,
    /// What it says.
    pub message: String,
}

/// Starts logging; a second call changes nothing.
pub fn start(quiet: bool) {
    let filter = std::env::var(FILTER_VARIABLE)
        .unwrap_or_else(|_| if quiet { QUIET_FILTER } else { DEFAULT_FILTER }.into());
    let stderr = env_logger::Builder::new()
        .parse_filters(&filter)
        .format_target(false)
        .build();
    let level = stderr.filter().max(LevelFilter::Info);
    if log::set_boxed_logger(Box::new(Tee { stderr })).is_ok() {
        log::set_max_level(level);
    }
}

/// The lines from `number` on that are still kept, oldest first.
pub fn lines_since(number: u64) -> Vec<LogLine> {
    let buffer = BUFFER.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = buffer.lines.iter().rev();
    let mut lines: Vec<_> = fresh
        .take_while(|line| line.number >= number)
        .cloned()
        .collect();
    lines.reverse();
    lines
}

static BUFFER: Mutex<Buffer> = Mutex::new(Buffer {
    lines: VecDeque::new(),
    next: 0,
});

struct Buffer {
    lines: VecDeque<LogLine>,
    next: u64,
}

impl Buffer {
    fn push(&mut self, level: Level, target: &str, message: String) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(LogLine {
            number: self.next,
            level,
            target: target.into(),
            message: message.chars().take(LONGEST_MESSAGE).collect(),
        });
        self.next += 1;
    }
}

/// Standard error and the buffer, each with a filter of its own.
struct Tee {
    stderr: env_logger::Logger,
}

/// Our own information, the warnings of everyone but wgpu_hal.
fn buffered(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let ours = target == "maskscope" || target.starts_with("maskscope::");
    let most = if ours { Level::Info } else { Level::Warn };
    metadata.level() <= most && !target.starts_with("wgpu_hal")
}

impl Log for Tee {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        buffered(metadata) || self.stderr.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if buffered(record.metadata()) {
            let message = record.args().to_string();
            let mut buffer = BUFFER.lock().unwrap_or_else(PoisonError::into_inner);
            buffer.push(record.level(), record.target(), message);
        }
        if self.stderr.matches(record) {
            self.stderr.log(record);
        }
    }

    fn flush(&self) {
        self.stderr.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_keeps_the_newest_lines() {
        let mut buffer = Buffer {
            lines: VecDeque::new(),
            next: 0,
        };
        for n in 0..KEPT + 10 {
            buffer.push(Level::Info, "maskscope", format!("line {n}"));
        }
        assert_eq!(buffer.lines.len(), KEPT);
        assert_eq!(buffer.lines.front().map(|line| line.number), Some(10));
        assert_eq!(
            buffer.lines.back().map(|line| line.message.clone()),
            Some(format!("line {}", KEPT + 9))
        );
    }

    #[test]
    fn the_buffer_takes_our_information_and_the_warnings_of_others() {
        for (target, level, expected) in [
            ("maskscope::jobs", Level::Info, true),
            ("maskscope::jobs", Level::Debug, false),
            ("wgpu_core", Level::Info, false),
            ("wgpu_core", Level::Warn, true),
            ("wgpu_hal::vulkan", Level::Error, false),
            ("maskscopes", Level::Info, false),
        ] {
            let metadata = Metadata::builder().target(target).level(level).build();
            assert_eq!(buffered(&metadata), expected, "{target} {level}");
        }
    }

    #[test]
    fn records_reach_the_buffer_in_order() {
        start(true);
        let from = lines_since(0).last().map_or(0, |line| line.number + 1);
        log::info!("first of two");
        log::warn!("second of two");
        let lines: Vec<_> = lines_since(from)
            .into_iter()
            .filter(|line| line.message.ends_with("of two"))
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].level, lines[1].level), (Level::Info, Level::Warn));
    }
}
