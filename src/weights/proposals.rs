//! What mmdetection's configuration text says, by a few patterns. The text is Python and is never evaluated
//! (semantics.md 5.3).

use crate::config::{Config, Style};

/// What the patterns found; each is a proposal that the user is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposals {
    /// `style='caffe'`.
    pub style: Option<Style>,
    /// `depth=50`.
    pub depth: Option<usize>,
    /// `to_rgb=False`, `bgr_to_rgb=False`.
    pub to_rgb: Option<bool>,
    /// `mean=[103.53, 116.28, 123.675]`.
    pub mean: Option<[f64; 3]>,
    /// `std=[1.0, 1.0, 1.0]`.
    pub std: Option<[f64; 3]>,
    /// `img_scale=(1333, 800)`, `scale=(1333, 800)`.
    pub scale: Option<(usize, usize)>,
}

/// Longest text that is searched.
const MAX_TEXT: usize = 4 << 20;

impl Proposals {
    /// Searches a text.
    pub fn search(text: &str) -> Self {
        let text = text.get(..MAX_TEXT).unwrap_or(text);
        Self {
            style: values(text, "style").find_map(|v| match quoted(v)? {
                "caffe" => Some(Style::Caffe),
                "pytorch" => Some(Style::Pytorch),
                _ => None,
            }),
            depth: values(text, "depth").find_map(|v| digits(v)?.parse().ok()),
            to_rgb: ["to_rgb", "bgr_to_rgb"]
                .iter()
                .find_map(|key| values(text, key).find_map(boolean)),
            mean: values(text, "mean").find_map(triple),
            std: values(text, "std").find_map(triple),
            scale: ["img_scale", "scale"]
                .iter()
                .find_map(|key| values(text, key).find_map(pair)),
        }
    }

    /// Puts them into a configuration; returns one line a value.
    pub(super) fn apply(&self, config: &mut Config) -> Vec<String> {
        let mut notes = Vec::new();
        let mut say =
            |what: String| notes.push(format!("from the checkpoint's meta.config: {what}"));
        if let Some(style) = self.style {
            config.backbone.style = style;
            say(format!("backbone.style {style}"));
        }
        if let Some(to_rgb) = self.to_rgb {
            config.to_rgb = to_rgb;
            say(format!("to_rgb {}", u8::from(to_rgb)));
        }
        if let Some(mean) = self.mean {
            config.img_mean = mean;
            say(format!("img_mean {mean:?}"));
        }
        if let Some(std) = self.std.filter(|std| std.iter().all(|&s| s > 0.0)) {
            config.img_std = std;
            say(format!("img_std {std:?}"));
        }
        if let Some((width, height)) = self.scale {
            config.img_width = width;
            config.img_height = height;
            say(format!("img_width {width}, img_height {height}"));
        }
        notes
    }
}

/// The text after each `key=`, where `key` is a whole word.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(key).filter_map(move |(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let rest = text.get(at + key.len()..)?.trim_start();
        rest.strip_prefix('=').map(str::trim_start)
    })
}

fn quoted(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    value.get(1..)?.split(quote).next()
}

fn digits(value: &str) -> Option<&str> {
    let end = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    value.get(..end).filter(|digits| !digits.is_empty())
}

fn boolean(value: &str) -> Option<bool> {
    if value.starts_with("True") {
        Some(true)
    } else if value.starts_with("False") {
        Some(false)
    } else {
        None
    }
}

/// `[a, b, c]`.
fn triple(value: &str) -> Option<[f64; 3]> {
    let inside = value.strip_prefix('[')?.split(']').next()?;
    let mut numbers = inside.split(',').map(|part| part.trim().parse::<f64>());
    let mut next = || numbers.next()?.ok().filter(|number| number.is_finite());
    let triple = [next()?, next()?, next()?];
    Some(triple)
}

/// `(1333, 800)`; sizes that no image has are no sizes.
fn pair(value: &str) -> Option<(usize, usize)> {
    let inside = value.strip_prefix('(')?.split(')').next()?;
    let (first, second) = inside.split_once(',')?;
    let size = |text: &str| {
        let size: usize = text.trim().parse().ok()?;
        (64..=1 << 15).contains(&size).then_some(size)
    };
    Some((size(first)?, size(second)?))
}
