//! How the overlay looks: what the user switches, and what that means for each instance.

use crate::ui::colour::ColourBy;

/// What the user can switch about the overlay.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayStyle {
    /// Fill the masks.
    pub masks: bool,
    /// Draw the outlines of the masks.
    pub outlines: bool,
    /// Draw the boxes.
    pub boxes: bool,
    /// Write class and scores.
    pub labels: bool,
    /// Opacity of the fill, 0..1.
    pub opacity: f32,
    /// Width of the outline in points, whatever the zoom.
    pub outline_width: f32,
    /// Where the colours come from.
    pub colour_by: ColourBy,
    /// Draw the selected instance alone.
    pub isolate: bool,
}

impl Default for OverlayStyle {
    fn default() -> Self {
        Self {
            masks: true,
            outlines: true,
            boxes: false,
            labels: true,
            opacity: 0.45,
            outline_width: 1.5,
            colour_by: ColourBy::Instance,
            isolate: false,
        }
    }
}

/// How an outline is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LineStyle {
    /// Without gaps.
    #[default]
    Solid,
    /// Dashes of six points.
    Dashed,
    /// Dots of two points.
    Dotted,
}

/// How an instance compares with the annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Matches an annotation.
    TruePositive,
    /// Matches none.
    FalsePositive,
    /// An annotation that no prediction matches.
    Missed,
}
