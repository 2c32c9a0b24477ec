//! What can be wrong with a configuration, each problem with its place, what was found and what was expected.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Far larger than any configuration.
    #[error(
        "the configuration has more than {limit} bytes: is it another kind of file? (in {origin})"
    )]
    TooLarge {
        /// The most that is read.
        limit: usize,
        /// The file, or the setting.
        origin: String,
    },
    /// Not text.
    #[error("the configuration is not UTF-8 text (in {path})")]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// Not YAML, or YAML of a kind that is not read.
    #[error("line {line}, column {column}: {what} (in {origin})")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong and what to do.
        what: String,
        /// The file, or the setting.
        origin: String,
    },
    /// Readable, but with keys or values that cannot be. Lists every problem.
    #[error("{}", list(.problems, .origin))]
    Problems {
        /// At least one.
        problems: Vec<Problem>,
        /// The file, or the setting.
        origin: String,
    },
    /// A setting without `=`.
    #[error("`--set {0}` is no setting, expected KEY=VALUE, for example --set lr=0.01")]
    NotASetting(String),
    /// No shipped configuration of that name.
    #[error("there is no shipped configuration `{name}`; the nearest is `{nearest}`")]
    UnknownPreset {
        /// As asked for.
        name: String,
        /// The most similar name.
        nearest: &'static str,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A key that does not exist.
    #[error("{line}unknown key `{key}`; the nearest known key is `{nearest}`")]
    UnknownKey {
        /// Where.
        line: Line,
        /// Dotted path of the key.
        key: String,
        /// Dotted path of the most similar key.
        nearest: String,
    },
    /// A key given twice.
    #[error("{line}`{key}` is given twice, first in line {first}: remove one")]
    DuplicateKey {
        /// Where the second one is.
        line: Line,
        /// Line of the first one.
        first: usize,
        /// Dotted path of the key.
        key: String,
    },
    /// A value of the wrong type.
    #[error("{line}`{key}` is {got}, expected {expected}")]
    WrongType {
        /// Where.
        line: Line,
        /// Dotted path of the key.
        key: String,
        /// What stands there.
        got: String,
        /// What should.
        expected: String,
    },
    /// A value out of its range, or at odds with another key.
    #[error("`{key}` is {got}, expected {expected}")]
    Invalid {
        /// Dotted path of the key.
        key: String,
        /// Its value.
        got: String,
        /// What would be right, and why where another key decides.
        expected: String,
    },
    /// So many problems that the rest is not listed.
    #[error("…: is it another kind of file?")]
    More,
}

/// Line of a problem; displayed as a prefix, empty where there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line(pub Option<usize>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, "line {line}: "))
    }
}

fn list(problems: &[Problem], origin: &str) -> String {
    if let [only] = problems {
        return format!("{only} (in {origin})");
    }
    let mut text = match problems {
        [listed @ .., Problem::More] => format!("more than {} problems in {origin}:", listed.len()),
        all => format!("{} problems in {origin}:", all.len()),
    };
    for problem in problems {
        text.push_str(&format!("\n  {problem}"));
    }
    text
}
