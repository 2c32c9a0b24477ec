//! What a new run is to be, as the fine-tune dialog holds it, and the command line that it stands for.

use std::path::Path;

use crate::config::{Config, preset};
use crate::structures::shell;

pub use crate::config::PRESETS;

/// The learning rate that the linear scaling rule takes for granted, and the images of an update it belongs to
/// (Goyal et al. 2017; the 1x schedules of Mask R-CNN have 8 devices with 2 images).
const RULE: (f64, f64) = (0.02, 16.0);

/// Where AP is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Validation {
    /// A part of the training set, kept out of training.
    #[default]
    Fraction,
    /// A set of its own.
    Set,
    /// Nowhere.
    None,
}

impl Validation {
    /// In the order of the list.
    pub const ALL: [Self; 3] = [Self::Fraction, Self::Set, Self::None];

    /// As the list names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Fraction => "Share of the training set",
            Self::Set => "A set of its own",
            Self::None => "None: AP is not measured",
        }
    }
}

/// What the weights begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Beginning {
    /// A checkpoint.
    #[default]
    Checkpoint,
    /// Random weights, or the backbone that the configuration names.
    Configuration,
}

impl Beginning {
    /// In the order of the list.
    pub const ALL: [Self; 2] = [Self::Checkpoint, Self::Configuration];

    /// As the list names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Checkpoint => "A checkpoint",
            Self::Configuration => "Nothing: a configuration alone",
        }
    }
}

/// A field of the dialog that a sentence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are named as in `FineTune`")]
pub enum Field {
    TrainData,
    ValData,
    ValFraction,
    Checkpoint,
    Config,
    Epochs,
    Batch,
    Accumulate,
    LearningRate,
    Width,
    Height,
    Output,
    Renames,
    Settings,
}

/// What a new run is to be. Fields hold what was typed; an empty number is the configuration's.
#[derive(Clone, Debug, PartialEq)]
pub struct FineTune {
    /// Folder or COCO JSON.
    pub train_data: String,
    /// Where AP is measured.
    pub validation: Validation,
    /// Folder or COCO JSON, of `Validation::Set`.
    pub val_data: String,
    /// Above 0 and below 1, of `Validation::Fraction`.
    pub val_fraction: String,
    /// What the weights begin with.
    pub beginning: Beginning,
    /// Of `Beginning::Checkpoint`.
    pub checkpoint: String,
    /// A file or a shipped name; empty: the checkpoint's own.
    pub config: String,
    /// The layers that know the classes start anew, of `Beginning::Checkpoint`.
    pub fresh_heads: bool,
    /// The model learns the classes of the training set alone, not those of checkpoint or configuration.
    pub own_classes: bool,
    /// Passes over the training set.
    pub epochs: String,
    /// Images of a step.
    pub batch: String,
    /// Steps of an update.
    pub accumulate: String,
    /// Learning rate.
    pub lr: String,
    /// Images are brought within so many pixels.
    pub width: String,
    /// See `width`.
    pub height: String,
    /// `auto`, `cpu`, `cuda`, `cuda:N`.
    pub device: String,
    /// Where the run folder is made.
    pub output: String,
    /// A word in the name of the run folder.
    pub brief: String,
    /// Old and new names of classes; several old ones with one new name are merged.
    pub renames: Vec<(String, String)>,
    /// Classes that are left out.
    pub drops: Vec<String>,
    /// Further settings, `key=value`.
    pub settings: Vec<String>,
}

impl Default for FineTune {
    fn default() -> Self {
        Self {
            train_data: String::new(),
            validation: Validation::default(),
            val_data: String::new(),
            val_fraction: "0.2".into(),
            beginning: Beginning::default(),
            checkpoint: String::new(),
            config: String::new(),
            fresh_heads: true,
            own_classes: true,
            epochs: String::new(),
            batch: String::new(),
            accumulate: String::new(),
            lr: String::new(),
            width: String::new(),
            height: String::new(),
            device: "auto".into(),
            output: String::new(),
            brief: String::new(),
            renames: Vec::new(),
            drops: Vec::new(),
            settings: Vec::new(),
        }
    }
}

impl FineTune {
    /// The arguments of the program that starts this run.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = vec!["train".to_owned()];
        option(&mut words, "--config", &self.config);
        option(&mut words, "--train-data", &self.train_data);
        match self.validation {
            Validation::Set => option(&mut words, "--val-data", &self.val_data),
            Validation::Fraction => option(&mut words, "--val-fraction", &self.val_fraction),
            Validation::None => option(&mut words, "--set", "run_eval=0"),
        }
        option(&mut words, "--out", &self.output);
        option(&mut words, "--brief", &self.brief);
        if self.beginning == Beginning::Checkpoint {
            option(&mut words, "--pretrained", &self.checkpoint);
        }
        if self.takes_own_classes() {
            words.push("--classes-from-data".into());
        }
        if self.device.trim() != "auto" {
            option(&mut words, "--device", &self.device);
        }
        for (old, new) in &self.renames {
            option_of_name(&mut words, "--rename", format!("{old}={new}"));
        }
        for name in &self.drops {
            option_of_name(&mut words, "--drop-class", name.clone());
        }
        if self.beginning == Beginning::Checkpoint {
            option(
                &mut words,
                "--set",
                &format!("finetune={}", u8::from(self.fresh_heads)),
            );
        }
        for (key, value) in self.numbers() {
            if !value.trim().is_empty() {
                option(&mut words, "--set", &format!("{key}={}", value.trim()));
            }
        }
        for setting in &self.settings {
            option(&mut words, "--set", setting);
        }
        words
    }

    /// Heads that go on from what they know keep their classes.
    pub fn can_take_own_classes(&self) -> bool {
        self.beginning == Beginning::Configuration || self.fresh_heads
    }

    fn takes_own_classes(&self) -> bool {
        self.own_classes && self.can_take_own_classes()
    }

    /// What does the same in a terminal.
    pub fn command_line(&self) -> String {
        let arguments = self.arguments();
        let words = std::iter::once("maskscope").chain(arguments.iter().map(String::as_str));
        shell::line(words)
    }

    /// Configuration keys of the numbers, with what was typed.
    fn numbers(&self) -> [(&'static str, &String); 6] {
        [
            ("epoch_size", &self.epochs),
            ("batch_size", &self.batch),
            ("accumulate_step", &self.accumulate),
            ("lr", &self.lr),
            ("img_width", &self.width),
            ("img_height", &self.height),
        ]
    }

    /// Takes over a proposed value of a configuration key.
    pub fn apply(&mut self, key: &str, value: &str) {
        let field = match key {
            "epoch_size" => &mut self.epochs,
            "batch_size" => &mut self.batch,
            "accumulate_step" => &mut self.accumulate,
            "lr" => &mut self.lr,
            "img_width" => &mut self.width,
            "img_height" => &mut self.height,
            "device" => &mut self.device,
            "finetune" => {
                self.fresh_heads = !matches!(value.trim(), "0" | "false" | "False");
                return;
            }
            _ => {
                let start = format!("{key}=");
                self.settings.retain(|known| !known.starts_with(&start));
                self.settings.push(format!("{key}={value}"));
                return;
            }
        };
        value.clone_into(field);
    }

    /// Whether a proposed value is what holds already.
    pub fn has(&self, key: &str, value: &str) -> bool {
        match key {
            "finetune" => self.fresh_heads != matches!(value.trim(), "0" | "false" | "False"),
            "device" => self.device == value,
            _ => {
                let typed = self.numbers().into_iter().find(|(known, _)| *known == key);
                match typed {
                    Some((_, typed)) => typed.trim() == value,
                    None => self.settings.contains(&format!("{key}={value}")),
                }
            }
        }
    }

    /// Leaves a class out, also where others were merged into it.
    pub fn drop_class(&mut self, name: &str) {
        let merged: Vec<_> = (self.renames.iter())
            .filter(|(_, new)| new == name)
            .map(|(old, _)| old.clone())
            .collect();
        self.renames.retain(|(_, new)| new != name);
        for name in merged.into_iter().chain([name.to_owned()]) {
            if !self.drops.contains(&name) {
                self.drops.push(name);
            }
        }
    }

    /// What the check of the sets depends on: when it changes they are checked again.
    pub fn data_key(&self) -> String {
        let of_data = Self {
            epochs: String::new(),
            batch: String::new(),
            accumulate: String::new(),
            lr: String::new(),
            brief: String::new(),
            ..self.clone()
        };
        of_data.command_line()
    }

    /// What has to be mended before anything can be checked, in the order of the fields.
    pub fn problems(&self) -> Vec<(Field, String)> {
        let mut found = Vec::new();
        let mut needs = |is_missing: bool, field, text: &str| {
            if is_missing {
                found.push((field, text.to_owned()));
            }
        };
        let is_empty = |text: &String| text.trim().is_empty();
        needs(
            is_empty(&self.train_data),
            Field::TrainData,
            "Choose a training set",
        );
        let of_set = self.validation == Validation::Set;
        needs(
            of_set && is_empty(&self.val_data),
            Field::ValData,
            "Choose a validation set",
        );
        let share = self.val_fraction.trim().parse::<f64>();
        let is_share = share.is_ok_and(|share| 0.0 < share && share < 1.0);
        let of_share = self.validation == Validation::Fraction;
        let text = "The share for validation lies between 0 and 1";
        needs(of_share && !is_share, Field::ValFraction, text);
        let from_checkpoint = self.beginning == Beginning::Checkpoint;
        let is_missing = from_checkpoint && is_empty(&self.checkpoint);
        needs(
            is_missing,
            Field::Checkpoint,
            "Choose a checkpoint to start from",
        );
        let is_missing = !from_checkpoint && is_empty(&self.config);
        needs(is_missing, Field::Config, "Choose a configuration");
        let whole = [
            (Field::Epochs, "Epochs", &self.epochs),
            (Field::Batch, "Batch", &self.batch),
            (Field::Accumulate, "Accumulate", &self.accumulate),
            (Field::Width, "Image width", &self.width),
            (Field::Height, "Image height", &self.height),
        ];
        for (field, name, typed) in whole {
            let is_whole = typed.trim().parse::<u32>().is_ok_and(|number| number > 0);
            let text = format!("{name}: “{}” is no whole number above 0", typed.trim());
            needs(!is_empty(typed) && !is_whole, field, &text);
        }
        let lr = self.lr.trim().parse::<f64>();
        let is_rate = lr.is_ok_and(|lr| lr > 0.0 && lr.is_finite());
        let text = format!("Learning rate: “{}” is no number above 0", self.lr.trim());
        needs(!is_empty(&self.lr) && !is_rate, Field::LearningRate, &text);
        needs(
            is_empty(&self.output),
            Field::Output,
            "Choose a folder for the run",
        );
        let unnamed = self.renames.iter().find(|(_, new)| new.trim().is_empty());
        let text = unnamed.map(|(old, _)| format!("Give “{old}” a new name, or drop it"));
        needs(
            text.is_some(),
            Field::Renames,
            text.as_deref().unwrap_or_default(),
        );
        let odd = self.settings.iter().find(|setting| !setting.contains('='));
        let text = odd.map(|setting| format!("“{setting}” is no setting: write key=value"));
        needs(
            text.is_some(),
            Field::Settings,
            text.as_deref().unwrap_or_default(),
        );
        found
    }

    /// Images of an update, where batch and accumulation are known from here or from the configuration.
    pub fn update(&self, configured: Option<&Configured>) -> Option<usize> {
        let typed = |text: &str| text.trim().parse::<usize>().ok();
        let batch = typed(&self.batch).or(configured.map(|it| it.batch))?;
        let accumulate = typed(&self.accumulate).or(configured.map(|it| it.accumulate));
        Some(batch * accumulate.unwrap_or(1))
    }
}

/// An option with its value; none where nothing was typed.
fn option(words: &mut Vec<String>, name: &str, value: &str) {
    let value = value.trim();
    if !value.is_empty() {
        words.extend([name.to_owned(), value.to_owned()]);
    }
}

/// An option with a class name: to the letter, since spaces around it belong to it.
fn option_of_name(words: &mut Vec<String>, name: &str, value: String) {
    match value.starts_with('-') {
        // Else it would be taken for another option.
        true => words.push(format!("{name}={value}")),
        false => words.extend([name.to_owned(), value]),
    }
}

/// The learning rate of the linear scaling rule for updates of so many images.
pub fn scaled_lr(images: usize) -> f64 {
    let (rate, of) = RULE;
    rate * images as f64 / of
}

/// What a configuration says where the dialog's fields are empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Configured {
    /// Passes over the training set.
    pub epochs: usize,
    /// Images of a step.
    pub batch: usize,
    /// Steps of an update.
    pub accumulate: usize,
    /// Learning rate.
    pub lr: f64,
    /// Images are brought within so many pixels.
    pub width: usize,
    /// See `width`.
    pub height: usize,
}

impl Configured {
    /// Of a file or a shipped name; `None` where it cannot be read, which the preflight explains. Reads a file: not for
    /// a frame.
    pub fn read(config: &str) -> Option<Self> {
        let path = Path::new(config.trim());
        let config = match path.is_file() {
            true => Config::load(path).map(|(config, _)| config),
            false => preset(config.trim()),
        };
        config.ok().map(|config| Self {
            epochs: config.epoch_size,
            batch: config.batch_size,
            accumulate: config.accumulate_step,
            lr: config.lr,
            width: config.img_width,
            height: config.img_height,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> FineTune {
        FineTune {
            train_data: "my set/train".into(),
            checkpoint: "r50.safetensors".into(),
            output: "runs".into(),
            ..FineTune::default()
        }
    }

    #[test]
    fn fields_become_a_command_line() {
        let mut draft = draft();
        assert_eq!(draft.problems(), []);
        assert_eq!(
            draft.command_line(),
            "maskscope train --train-data 'my set/train' --val-fraction 0.2 --out runs \
             --pretrained r50.safetensors --classes-from-data --set finetune=1"
        );
        draft.beginning = Beginning::Configuration;
        draft.config = "tiny".into();
        draft.validation = Validation::Set;
        draft.val_data = "val".into();
        draft.epochs = " 3 ".into();
        draft.lr = "0.0025".into();
        draft.device = "cuda:1".into();
        draft.brief = "tools".into();
        draft.renames = vec![("van".into(), "car".into())];
        draft.drops = vec!["it's".into()];
        draft.apply("lr_steps", "[2, 3]");
        assert_eq!(
            draft.command_line(),
            r"maskscope train --config tiny --train-data 'my set/train' --val-data val --out runs --brief tools --classes-from-data --device cuda:1 --rename van=car --drop-class 'it'\''s' --set epoch_size=3 --set lr=0.0025 --set 'lr_steps=[2, 3]'"
        );
    }

    #[test]
    fn class_names_are_kept_to_the_letter() {
        let mut draft = draft();
        draft.renames = vec![(" van".into(), "car ".into()), ("-x".into(), "y".into())];
        draft.drops = vec!["bolt ".into(), "--all".into()];
        let words = draft.arguments();
        let from = words.iter().position(|word| word == "--rename").unwrap();
        let expected = [
            "--rename",
            " van=car ",
            "--rename=-x=y",
            "--drop-class",
            "bolt ",
            "--drop-class=--all",
        ];
        assert_eq!(words[from..from + expected.len()], expected);
    }

    #[test]
    fn problems_name_their_field() {
        let check = |change: fn(&mut FineTune), field: Field| {
            let mut draft = draft();
            change(&mut draft);
            let fields: Vec<_> = draft.problems().into_iter().map(|(it, _)| it).collect();
            assert_eq!(fields, [field]);
        };
        check(|it| it.train_data.clear(), Field::TrainData);
        check(|it| it.val_fraction = "1".into(), Field::ValFraction);
        check(|it| it.validation = Validation::Set, Field::ValData);
        check(|it| it.checkpoint.clear(), Field::Checkpoint);
        check(|it| it.beginning = Beginning::Configuration, Field::Config);
        check(|it| it.epochs = "many".into(), Field::Epochs);
        check(|it| it.batch = "0".into(), Field::Batch);
        check(|it| it.lr = "-1".into(), Field::LearningRate);
        check(|it| it.output.clear(), Field::Output);
        check(
            |it| it.renames.push(("a".into(), " ".into())),
            Field::Renames,
        );
        check(|it| it.settings.push("lr".into()), Field::Settings);
    }

    #[test]
    fn proposals_are_taken_over_once() {
        let mut draft = draft();
        for (key, value) in [("lr", "0.005"), ("finetune", "0"), ("lr_steps", "[1]")] {
            assert!(!draft.has(key, value), "{key}");
            draft.apply(key, value);
            draft.apply(key, value);
            assert!(draft.has(key, value), "{key}");
        }
        assert_eq!(draft.settings, ["lr_steps=[1]"]);
        assert!(!draft.fresh_heads);
    }

    #[test]
    fn a_merged_class_is_dropped_whole() {
        let mut draft = draft();
        draft.renames = vec![("van".into(), "car".into()), ("a".into(), "b".into())];
        draft.drop_class("car");
        assert_eq!(draft.drops, ["van", "car"]);
        assert_eq!(draft.renames, [("a".into(), "b".into())]);
    }

    #[test]
    fn the_rate_scales_with_the_update() {
        let configured = Configured::read("tiny").unwrap();
        let mut draft = draft();
        assert_eq!(draft.update(None), None);
        let of_file = configured.batch * configured.accumulate;
        assert_eq!(draft.update(Some(&configured)), Some(of_file));
        draft.batch = "4".into();
        draft.accumulate = "2".into();
        assert_eq!(draft.update(None), Some(8));
        assert!((scaled_lr(8) - 0.01).abs() < 1e-12);
        assert_eq!(Configured::read("no such"), None);
    }
}
