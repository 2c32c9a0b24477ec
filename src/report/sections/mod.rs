//! The sections of the page, each from its part of the results.

mod classes;
mod curves;
mod errors;
mod images;
mod knows;
mod numbers;
mod remarks;

use super::Report;
use super::page::Section;

/// Every section that has something to show, in order.
pub(super) fn all(report: &Report<'_>) -> Vec<Section> {
    [
        remarks::notes(report),
        numbers::section(report),
        classes::section(report),
        curves::section(report),
        knows::calibration(report),
        knows::headroom(report),
        knows::agreement(report),
        knows::thresholds(report),
        errors::tide(report),
        errors::confusion(report),
        images::worst(report),
        images::suspects(report),
        remarks::left_out(report),
    ]
    .into_iter()
    .flatten()
    .collect()
}
