//! `maskscope doctor`: the examination of the machine as a table.

use std::io::Write;

use crate::jobs::doctor::{Check, Remedy, Report, State, examine};

use super::args::Shared;
use super::output;

/// Columns of the table.
const WIDTH: usize = 100;
/// Where the findings begin, behind name and state.
const INDENT: usize = 22;

/// Examine this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  maskscope doctor
  maskscope doctor --json

Each part of the machine: what was found, what will be used of it and why, and what to install.
`ok` is as it should be, `limited` works slowly or in part, `missing` will not work.")]
pub struct Args {}

/// Examines and prints.
///
/// # Errors
/// The output cannot be written.
pub fn run(_args: &Args, shared: &Shared, out: &mut dyn Write) -> anyhow::Result<()> {
    let report = examine();
    if shared.json {
        return output::json(&report, out);
    }
    write!(out, "{}", table(&report))?;
    Ok(())
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
