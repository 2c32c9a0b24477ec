//! Ranges of the values and relations between them (semantics.md section 1). Everything wrong is reported at once.

mod network;
mod training;

use std::fmt::Display;

use super::error::{ConfigError, Problem};
use super::{Config, DialectChoice};

/// Wider layers and larger canvases are typing errors, and sizes below it cannot overflow.
const LARGEST: usize = 1 << 16;
/// What the size of training images may be multiplied by.
const SCALES: std::ops::RangeInclusive<f64> = 0.1..=4.0;
/// The size for which mmdetection's zoo publishes its AP.
const MMDET_SIZE: (usize, usize) = (1333, 800);

impl Config {
    /// Checks ranges and relations. Returns warnings: what works, but perhaps not as meant.
    ///
    /// # Errors
    /// `Problems` with all that is wrong.
    pub fn validate(&self) -> Result<Vec<String>, ConfigError> {
        let mut check = Check::default();
        network::check(self, &mut check);
        training::check(self, &mut check);
        images(self, &mut check);
        if check.problems.is_empty() {
            Ok(check.warnings)
        } else {
            Err(ConfigError::Problems {
                problems: check.problems,
                origin: "configuration".into(),
            })
        }
    }

    /// Checks what becomes part of a path, before anything is made there.
    ///
    /// # Errors
    /// `Problems` where `brief` is no part of a name.
    pub fn check_brief(&self) -> Result<(), ConfigError> {
        let mut check = Check::default();
        training::brief(self, &mut check);
        if check.problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError::Problems {
            problems: check.problems,
            origin: "configuration".into(),
        })
    }

    /// Checks the files that only training reads. Returns warnings.
    ///
    /// # Errors
    /// `Problems` where `pre_trained` names no file.
    pub fn validate_starting_weights(&self) -> Result<Vec<String>, ConfigError> {
        let mut check = Check::default();
        let exists = |path: &str| std::path::Path::new(path).is_file();
        check.that(
            self.pre_trained.is_empty() || exists(&self.pre_trained),
            "pre_trained",
            &self.pre_trained,
            "an existing file, or ''",
        );
        if self.pre_trained.is_empty() && !exists(&self.backbone.pretrained) {
            check.warn(format!(
                "Backbone weights were not loaded: backbone.pretrained is '{}', which is no file",
                self.backbone.pretrained
            ));
        }
        if check.problems.is_empty() {
            Ok(check.warnings)
        } else {
            Err(ConfigError::Problems {
                problems: check.problems,
                origin: "configuration".into(),
            })
        }
    }

    /// What to tell where the mmdet dialect runs with another size than the one its published AP are for.
    pub fn mmdet_size_note(&self) -> Option<String> {
        let (width, height) = MMDET_SIZE;
        let (w, h) = (self.img_width, self.img_height);
        (w.max(h) != width || w.min(h) != height).then(|| {
            format!(
                "images are resized to {w}x{h}; mmdetection's published AP are for {width}x{height}"
            )
        })
    }
}

fn images(config: &Config, check: &mut Check) {
    for (key, side) in [
        ("img_width", config.img_width),
        ("img_height", config.img_height),
    ] {
        check.that(
            (64..=LARGEST).contains(&side),
            key,
            side,
            format!("64 to {LARGEST}"),
        );
        let divider = config.divider.max(1);
        if !side.is_multiple_of(divider)
            && side <= LARGEST
            && config.dialect != DialectChoice::Mmdet
        {
            check.warn(format!(
                "{key} is {side}: the padded canvas is rounded up to {}, the next multiple of divider",
                side.div_ceil(divider).saturating_mul(divider)
            ));
        }
    }
    let divider = config.divider;
    check.that(
        divider > 0 && divider.is_multiple_of(32) && divider <= LARGEST,
        "divider",
        divider,
        "a multiple of 32",
    );
    check.that(
        config.mask_divider >= 1.0,
        "mask_divider",
        config.mask_divider,
        "at least 1",
    );
    check.that(
        config.img_mean.iter().all(|mean| mean.is_finite()),
        "img_mean",
        show(&config.img_mean),
        "finite numbers",
    );
    check.all_above_zero("img_std", &config.img_std);
    check.within("flip_ratio", config.flip_ratio, 0.0, 1.0);
    let [least, most] = config.scale_range;
    check.that(
        SCALES.contains(&least) && SCALES.contains(&most) && least <= most,
        "scale_range",
        show(&config.scale_range),
        format!(
            "two numbers from {} to {}, the smaller first",
            SCALES.start(),
            SCALES.end()
        ),
    );
    classes(config, check);
    if config.dialect == DialectChoice::Mmdet {
        check.warnings.extend(config.mmdet_size_note());
    }
}

fn classes(config: &Config, check: &mut Check) {
    let names = &config.coco_classes;
    check.that(
        names.first().is_some_and(|name| name == "background"),
        "coco_classes",
        names.first().map_or("empty".into(), |name| {
            format!("a list that begins with '{name}'")
        }),
        "a list that begins with 'background'",
    );
    let mut seen = std::collections::HashSet::new();
    for name in names {
        check.that(
            !name.trim().is_empty(),
            "coco_classes",
            "a list with an empty name",
            "a name for every class",
        );
        check.that(
            seen.insert(name),
            "coco_classes",
            format!("a list with '{name}' twice"),
            "every name once",
        );
    }
    check.that(
        config.num_classes >= 2,
        "num_classes",
        config.num_classes,
        "at least 2: background and one class",
    );
    check.that(
        config.num_classes == names.len(),
        "num_classes",
        config.num_classes,
        format!(
            "{}, the length of coco_classes (background counts)",
            names.len()
        ),
    );
}

/// Collects what is wrong.
#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Check {
    fn that(&mut self, holds: bool, key: &str, got: impl Display, expected: impl Into<String>) {
        if !holds {
            let got = got.to_string();
            self.problems.push(Problem::Invalid {
                key: key.into(),
                got: if got.is_empty() { "''".into() } else { got },
                expected: expected.into(),
            });
        }
    }

    fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    fn one_of(&mut self, key: &str, got: &str, known: &[&str]) {
        self.that(
            known.contains(&got),
            key,
            format!("'{got}'"),
            known.join(" or "),
        );
    }

    fn positive(&mut self, key: &str, got: usize) {
        self.that(
            (1..=LARGEST).contains(&got),
            key,
            got,
            format!("1 to {LARGEST}"),
        );
    }

    fn at_least_one(&mut self, key: &str, got: usize) {
        self.that(got >= 1, key, got, "at least 1");
    }

    fn equal(&mut self, key: &str, got: usize, other: &str, want: usize) {
        self.that(got == want, key, got, format!("{want}, as {other}"));
    }

    fn within(&mut self, key: &str, got: f64, low: f64, high: f64) {
        self.that(
            (low..=high).contains(&got),
            key,
            got,
            format!("{low} to {high}"),
        );
    }

    fn between(&mut self, key: &str, got: f64, low: f64, high: f64) {
        self.that(
            low < got && got < high,
            key,
            got,
            format!("more than {low} and less than {high}"),
        );
    }

    fn not_negative(&mut self, key: &str, got: f64) {
        self.that(got >= 0.0 && got.is_finite(), key, got, "at least 0");
    }

    fn above_zero(&mut self, key: &str, got: f64) {
        self.that(got > 0.0 && got.is_finite(), key, got, "more than 0");
    }

    fn all_above_zero(&mut self, key: &str, got: &[f64]) {
        self.that(
            !got.is_empty() && got.iter().all(|value| *value > 0.0 && value.is_finite()),
            key,
            show(got),
            "numbers above 0",
        );
    }

    fn increasing(&mut self, key: &str, got: &[usize]) {
        self.that(
            got.is_sorted_by(|a, b| a < b),
            key,
            show(got),
            "strictly increasing",
        );
    }
}

/// A list as in the file.
fn show<T: Display>(values: &[T]) -> String {
    let values: Vec<_> = values.iter().map(T::to_string).collect();
    format!("[{}]", values.join(", "))
}
