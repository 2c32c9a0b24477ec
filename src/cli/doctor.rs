//! `maskscope doctor`: the examination of the machine as a table.

use std::io::Write;

use crate::jobs::doctor::{Check, Remedy, Report, State, examine};

use super::args::Shared;
use super::output;

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
    let mut text = format!(
        "{:<12} {state:<8} {}\n{:21} use: {}\n",
        check.id.replace('_', " "),
        check.found,
        "",
        check.used
    );
    if let Some(Remedy {
        advice,
        debian,
        fedora,
    }) = &check.remedy
    {
        text.push_str(&format!("{:21} do:  {advice}\n", ""));
        for (system, packages) in [("Debian, Ubuntu", debian), ("Fedora", fedora)] {
            if !packages.is_empty() {
                text.push_str(&format!("{:26} {system}: {}\n", "", packages.join(" ")));
            }
        }
    }
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
}
