//! `maskscope doctor`: the examination of the machine as a table.

use std::io::Write;
use std::path::PathBuf;

use crate::jobs::doctor::check::{self, CheckRequest, Checked};
use crate::jobs::doctor::{Check, Remedy, Report, State, examine};

use super::args::Shared;
use super::{interrupt, output};

/// Columns of the table.
const WIDTH: usize = 100;
/// Where the findings begin, behind name and state.
const INDENT: usize = 22;

/// Examine this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope doctor
  maskscope doctor --json
  maskscope doctor --check
  maskscope doctor --check --device cpu --no-timings
  maskscope doctor --check --images photos/

Each part of the machine: what was found, what will be used of it and why, and what to install.
`ok` is as it should be, `limited` works slowly or in part, `missing` will not work.

--check compares a full-size model and RoIAlign with the reference's numbers on every device that is found, or on --device,
and times inference and training; with --images also the way from a folder's files to detections, beside the network alone.
Exit code 1 if a comparison fails. It takes some minutes on a small machine.")]
pub struct Args {
    /// Compare with the reference's numbers, and time
    #[arg(long)]
    pub check: bool,
    /// With --check: compare only
    #[arg(long, requires = "check")]
    pub no_timings: bool,
    /// With --check: a folder of images to time from files to detections
    #[arg(long, requires = "check", value_name = "DIR")]
    pub images: Option<PathBuf>,
}

/// Examines and prints; false if a comparison failed.
///
/// # Errors
/// The output cannot be written; a device that is not there; interrupted.
pub fn run(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<bool> {
    if args.check {
        return check(args, shared, out);
    }
    let report = examine();
    if shared.json {
        output::json(&report, out)?;
    } else {
        write!(out, "{}", table(&report))?;
    }
    Ok(true)
}

fn check(args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<bool> {
    let stop = interrupt::flag()?;
    let request = CheckRequest {
        device: shared.device.clone(),
        no_timings: args.no_timings,
        images: args.images.clone(),
    };
    let found = check::check(&request, &stop, &mut |what| {
        if !shared.quiet {
            eprintln!("{what}");
        }
    })?;
    if shared.json {
        output::json(&found, out)?;
    } else {
        write!(out, "{}", checked(&found))?;
    }
    Ok(found.passed)
}

/// One line for each comparison and timing.
fn checked(found: &Checked) -> String {
    let widths = [
        found
            .rows
            .iter()
            .map(|row| row.device.chars().count())
            .max(),
        found.rows.iter().map(|row| row.what.chars().count()).max(),
    ]
    .map(Option::unwrap_or_default);
    let mut text = String::new();
    for row in &found.rows {
        let state = if row.passed { "ok" } else { "FAILED" };
        let mut numbers = Vec::new();
        match (row.deviation, row.tolerance) {
            (Some(deviation), Some(tolerance)) => {
                numbers.push(format!("deviation {deviation:.1e}, may be {tolerance:.0e}"));
            }
            (Some(deviation), None) => numbers.push(format!("deviation {deviation:.1e}")),
            (None, _) => {}
        }
        if let Some(seconds) = row.seconds {
            numbers.push(match seconds {
                ..0.1 => format!("{:.2} ms", 1e3 * seconds),
                _ => format!("{seconds:.3} s"),
            });
        }
        if let Some(memory) = row.memory_mib {
            numbers.push(format!("{memory:.0} MiB"));
        }
        if !row.note.is_empty() {
            numbers.push(row.note.clone());
        }
        text.push_str(&format!(
            "{:<device$}  {:<what$}  {state:<6}  {}\n",
            row.device,
            row.what,
            numbers.join(", "),
            device = widths[0],
            what = widths[1],
        ));
    }
    for missing in &found.missing {
        text.push_str(&format!("not checked: {missing}\n"));
    }
    text
}

fn table(report: &Report) -> String {
    let features = match report.features.as_slice() {
        [] => "none".to_owned(),
        features => features.join(", "),
    };
    let mut text = format!(
        "maskscope {}, features: {features}; {}\n",
        report.version, report.system
    );
    for check in &report.checks {
        text.push_str(&format!("\n{}", entry(check)));
    }
    text
}

fn entry(check: &Check) -> String {
    let state = match check.state {
        State::Ok => "ok",
        State::Limited => "limited",
        State::Missing => "missing",
    };
    let head = format!("{:<12} {state:<8} ", check.id.replace('_', " "));
    let mut text = wrapped(&head, INDENT, &check.found);
    let line = |label: &str, indent: usize, words: &str| {
        wrapped(&format!("{:INDENT$}{label}", ""), indent, words)
    };
    text.push_str(&line("use: ", INDENT + 5, &check.used));
    if let Some(Remedy {
        advice,
        debian,
        fedora,
    }) = &check.remedy
    {
        text.push_str(&line("do:  ", INDENT + 5, advice));
        for (system, packages) in [("Debian, Ubuntu", debian), ("Fedora", fedora)] {
            if !packages.is_empty() {
                let label = format!("     {system}: ");
                text.push_str(&line(&label, INDENT + 7, &packages.join(", ")));
            }
        }
    }
    text
}

/// `head` and then the words, on lines of at most `WIDTH`, the later ones indented.
fn wrapped(head: &str, indent: usize, words: &str) -> String {
    let mut text = head.to_owned();
    let mut column = head.chars().count();
    let mut first = true;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if !first && column + 1 + length > WIDTH {
            text.push_str(&format!("\n{:indent$}", ""));
            column = indent;
        } else if !first {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
        first = false;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_line_that_says_how_far_off_it_was() {
        let row = |what: &str, deviation, passed| check::Row {
            device: "cpu".into(),
            what: what.into(),
            deviation: Some(deviation),
            tolerance: Some(1e-4),
            seconds: None,
            memory_mib: None,
            passed,
            note: String::new(),
        };
        let found = Checked {
            rows: vec![row("RoIAlign", 2e-6, true), row("scores", 0.5, false)],
            passed: false,
            missing: vec!["no CUDA".into()],
        };
        assert_eq!(
            checked(&found),
            "cpu  RoIAlign  ok      deviation 2.0e-6, may be 1e-4\n\
             cpu  scores    FAILED  deviation 5.0e-1, may be 1e-4\n\
             not checked: no CUDA\n"
        );
    }

    #[test]
    fn an_entry_says_what_was_found_what_is_used_and_what_to_do() {
        let check = Check {
            id: "file_dialog",
            state: State::Missing,
            found: "no portal".into(),
            used: "nothing".into(),
            remedy: Some(Remedy {
                advice: "Install zenity.".into(),
                debian: vec!["zenity"],
                fedora: vec![],
            }),
            details: serde_json::Value::Null,
        };
        assert_eq!(
            entry(&check),
            "file dialog  missing  no portal\n                      use: nothing\n                      \
             do:  Install zenity.\n                           Debian, Ubuntu: zenity\n"
        );
    }

    #[test]
    fn long_findings_are_wrapped() {
        let text = wrapped("head ", 5, &"word ".repeat(40));
        assert_eq!(text.split_whitespace().count(), 41);
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.starts_with("     word"))
        );
    }
}
