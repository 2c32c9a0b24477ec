//! A bar on a terminal, plain lines when piped, nothing when quiet; always on standard error.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Lines of progress where no terminal shows a bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress of a command.
pub(super) struct Progress {
    bar: ProgressBar,
    lines: bool,
    quiet: bool,
    last_line: Instant,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
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
            quiet,
            last_line: Instant::now(),
        }
    }

    /// `done` of `total` of something.
    pub fn show(&mut self, what: &str, done: usize, total: usize, eta: Option<Duration>) {
        let left = eta.map_or(String::from("–"), left);
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message(format!("{what}, {left} left"));
        if self.lines && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            eprintln!("{done}/{total} {what}, {left} left");
        }
    }

    /// What is being done, where no count is known yet.
    pub fn stage(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// A line above the bar.
    pub fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        if self.lines {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Time left, as short as it is useful.
pub(super) fn left(eta: Duration) -> String {
    match eta.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}
