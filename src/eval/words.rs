//! Numbers and names as sentences of the analysis write them.

use super::EvalInput;

/// Digits at which two unequal numbers are told apart at the latest.
const MOST_DIGITS: usize = 6;

/// Two digits without a leading zero: `.83`, `1.00`.
pub(super) fn short(value: f64) -> String {
    digits(value, 2)
}

/// Two numbers with as many digits as it takes to tell them apart, at least two.
pub(super) fn told_apart(a: f64, b: f64) -> (String, String) {
    let with = |count| (digits(a, count), digits(b, count));
    (2..MOST_DIGITS)
        .map(with)
        .find(|(a, b)| a != b)
        .unwrap_or_else(|| with(MOST_DIGITS))
}

fn digits(value: f64, count: usize) -> String {
    let text = format!("{value:.count$}");
    match text.split_once('.') {
        Some(("0", rest)) => format!(".{rest}"),
        Some(("-0", rest)) => format!("-.{rest}"),
        _ => text,
    }
}

/// `annotation 17`.
pub(super) fn annotation(input: &EvalInput, truth: u32) -> String {
    let id = input.truths.get(truth as usize).map(|truth| truth.id);
    id.map_or_else(
        || "an unknown annotation".into(),
        |id| format!("annotation {id}"),
    )
}

/// `annotation 17 (dog)`.
pub(super) fn annotation_with_class(input: &EvalInput, truth: u32) -> String {
    let label = input.truths.get(truth as usize).map(|truth| truth.label);
    let class = label.map_or_else(String::new, |label| class(input, label));
    format!("{} ({class})", annotation(input, truth))
}

/// Name of a class.
pub(super) fn class(input: &EvalInput, label: u32) -> String {
    input.classes.name(label as usize)
}

/// `#3`: place among the predictions of the image, from 1 as the window counts.
pub(super) fn number(input: &EvalInput, detection: u32) -> String {
    let index = input.detections.get(detection as usize).map(|d| d.index);
    index.map_or_else(
        || "an unknown prediction".into(),
        |index| format!("#{}", index + 1),
    )
}
