//! The configuration: one YAML document with the key names of the MindSpore `ms_rcnn` model.
//!
//! `yaml` turns text into a tree with lines, `keys` holds the one table of keys, `value` says how each type is read
//! and written, `validate` checks ranges and relations.

use std::io::Read as _;
use std::path::Path;

mod defaults;
mod dialect;
mod error;
mod keys;
mod presets;
mod schema;
mod validate;
mod value;
mod yaml;

pub use defaults::COCO_CLASSES;
pub use dialect::{Dialect, DialectChoice, UnknownDialect};
pub use error::{ConfigError, Line, Problem};
pub use keys::key_paths;
pub use presets::{PRESETS, preset};
pub use schema::*;

use value::Report;

impl Config {
    /// Reads a configuration; keys that `text` does not give keep their defaults. Only the first YAML document counts.
    /// `origin` names the file in errors. The second result is what the user should know. Ranges and relations are
    /// not checked here, because settings of the command line may follow: call [`Config::validate`].
    ///
    /// # Errors
    /// No YAML, unknown or repeated keys, wrong types: all of them, with their lines.
    pub fn from_yaml(text: &str, origin: &str) -> Result<(Self, Vec<String>), ConfigError> {
        let mut config = Self::default();
        let mut report = Report::new(true);
        match yaml::parse(text, origin)? {
            Some(node) if !node.is_null() => {
                keys::read_document(&mut config, &node, &mut report);
            }
            _ => report.notes.push(format!(
                "{origin} holds no settings: every key has its default"
            )),
        }
        finish(config, report, origin)
    }

    /// As [`Config::from_yaml`], from a file.
    ///
    /// # Errors
    /// As there, and where the file cannot be read.
    pub fn load(path: &Path) -> Result<(Self, Vec<String>), ConfigError> {
        let read_error = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(read_error)?;
        let mut bytes = Vec::new();
        // One byte more than is read tells a larger file, and a device without end.
        file.take(yaml::MAX_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(read_error)?;
        if bytes.len() > yaml::MAX_BYTES {
            return Err(ConfigError::TooLarge {
                limit: yaml::MAX_BYTES,
                origin: path.display().to_string(),
            });
        }
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::NotText {
            path: path.to_owned(),
        })?;
        Self::from_yaml(&text, &path.display().to_string())
    }

    /// Changes one key: `a.b.c=value`, the value as YAML. Nothing changes on an error. Returns what the user should
    /// know.
    ///
    /// # Errors
    /// No `=`, an unknown key, a value of the wrong type.
    pub fn set(&mut self, assignment: &str) -> Result<Vec<String>, ConfigError> {
        let (path, text) = assignment
            .split_once('=')
            .map(|(path, text)| (path.trim(), text.trim()))
            .filter(|(path, _)| !path.is_empty())
            .ok_or_else(|| ConfigError::NotASetting(assignment.into()))?;
        let origin = format!("--set {path}");
        // `--set pre_trained=` empties a text.
        let node = match yaml::parse(text, &origin)? {
            Some(node) if !text.is_empty() => node,
            _ => yaml::Node::text(""),
        };
        let mut changed = self.clone();
        let mut report = Report::new(false);
        keys::read_path(&mut changed, path, node, &mut report);
        let (changed, notes) = finish(changed, report, &origin)?;
        *self = changed;
        Ok(notes)
    }

    /// Reads `path` (the defaults without one), applies the settings in their order and checks the result. Returns
    /// notes and warnings beside it.
    ///
    /// # Errors
    /// As [`Config::load`], [`Config::set`] and [`Config::validate`].
    pub fn resolve(
        path: Option<&Path>,
        settings: &[String],
    ) -> Result<(Self, Vec<String>), ConfigError> {
        let (mut config, mut notes) = match path {
            Some(path) => Self::load(path)?,
            None => (Self::default(), Vec::new()),
        };
        for setting in settings {
            notes.extend(config.set(setting)?);
        }
        notes.extend(config.validate()?);
        Ok((config, notes))
    }

    /// The configuration as YAML, every key in the order of the shipped file; reading it gives an equal one.
    pub fn to_yaml(&self) -> String {
        keys::to_yaml(self)
    }
}

fn finish(
    config: Config,
    report: Report,
    origin: &str,
) -> Result<(Config, Vec<String>), ConfigError> {
    if report.problems.is_empty() {
        return Ok((config, report.notes));
    }
    Err(ConfigError::Problems {
        problems: report.problems,
        origin: origin.into(),
    })
}
