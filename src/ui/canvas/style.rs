//! How the overlay looks: what the user switches, and what that means for each instance.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use egui::Color32;

use super::instances::{Instance, InstanceSet};
use crate::ui::colour::{self, ColourBy};
use crate::ui::gpu::InstanceStyle;

/// Share of fill and outline that is left of the others while one is selected.
const DIMMED: f32 = 0.4;
/// How much more opaque the hovered one is filled.
const RAISED_FILL: f32 = 0.18;
/// How much wider the outline of the hovered and of the selected one is.
const RAISED_LINE: f32 = 1.6;

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
    /// Dashes.
    Dashed,
    /// Dots.
    Dotted,
}

/// How an instance compares with the annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Matches an annotation.
    TruePositive,
    /// Matches none.
    FalsePositive,
    /// An annotation that no prediction matches.
    Missed,
    /// An annotation that a prediction matches.
    Found,
    /// Neither true nor false: a crowd region, or out of range.
    Ignored,
}

impl Verdict {
    /// Colour and line: told apart without red against green, and without colour at all.
    pub fn look(self) -> (Color32, LineStyle) {
        match self {
            Self::TruePositive => (colour::TRUE_POSITIVE, LineStyle::Solid),
            Self::FalsePositive => (colour::FALSE_POSITIVE, LineStyle::Dashed),
            Self::Missed => (colour::MISSED, LineStyle::Dotted),
            Self::Found => (colour::ANNOTATION, LineStyle::Solid),
            Self::Ignored => (colour::NO_SCORE, LineStyle::Dotted),
        }
    }
}

/// What decides, beside the style, how the instances of a set look.
#[derive(Clone, Copy)]
pub(super) struct Emphasis<'a> {
    pub(super) shown: Option<&'a [usize]>,
    pub(super) verdicts: Option<&'a [Verdict]>,
    pub(super) picked: Option<&'a [bool]>,
    pub(super) selected: Option<usize>,
    pub(super) hovered: Option<usize>,
    pub(super) pixels_per_point: f32,
    /// Annotations: outlines alone, in one colour.
    pub(super) annotations: bool,
}

/// Styles of a set, kept until something about them changes.
#[derive(Clone)]
pub(super) struct StyleCache {
    key: u64,
    pub(super) styles: Arc<Vec<InstanceStyle>>,
}

impl StyleCache {
    /// The styles of `set`, made anew only where set, style or emphasis differ from those of `old`.
    pub(super) fn renew(
        old: Option<Self>,
        set: &InstanceSet,
        style: &OverlayStyle,
        emphasis: &Emphasis<'_>,
    ) -> Self {
        let key = key(set, style, emphasis);
        match old {
            Some(old) if old.key == key => old,
            _ => Self {
                key,
                styles: Arc::new(instance_styles(set, style, emphasis)),
            },
        }
    }
}

/// A hash of everything that styles depend on.
fn key(set: &InstanceSet, style: &OverlayStyle, emphasis: &Emphasis<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    set.id().hash(&mut hasher);
    (style.masks, style.outlines, style.isolate, style.colour_by).hash(&mut hasher);
    (style.opacity.to_bits(), style.outline_width.to_bits()).hash(&mut hasher);
    (emphasis.shown, emphasis.verdicts, emphasis.picked).hash(&mut hasher);
    (emphasis.selected, emphasis.hovered, emphasis.annotations).hash(&mut hasher);
    emphasis.pixels_per_point.to_bits().hash(&mut hasher);
    hasher.finish()
}

/// Which instances are drawn.
pub(super) fn shown_flags(
    set: &InstanceSet,
    shown: Option<&[usize]>,
    isolated: Option<usize>,
) -> Vec<bool> {
    let mut flags = vec![shown.is_none(); set.len()];
    for &i in shown.unwrap_or_default() {
        if let Some(flag) = flags.get_mut(i) {
            *flag = true;
        }
    }
    if let Some(isolated) = isolated {
        for (i, flag) in flags.iter_mut().enumerate() {
            *flag &= i == isolated;
        }
    }
    flags
}

/// The colour of an instance.
pub fn instance_colour(
    instance: &Instance,
    colour_by: ColourBy,
    verdict: Option<Verdict>,
) -> Color32 {
    if let Some(verdict) = verdict {
        return verdict.look().0;
    }
    match colour_by {
        ColourBy::Class => colour::class_colour(instance.category),
        ColourBy::Instance => colour::instance_colour(instance.hue),
        ColourBy::Score => colour::score_colour(instance.score),
        ColourBy::MaskIou => instance
            .mask_iou
            .map_or(colour::NO_SCORE, colour::score_colour),
        ColourBy::IouScore => colour::score_colour(instance.iou_score),
    }
}

/// One style an instance, in drawing order.
fn instance_styles(
    set: &InstanceSet,
    style: &OverlayStyle,
    emphasis: &Emphasis<'_>,
) -> Vec<InstanceStyle> {
    let isolated = emphasis.selected.filter(|_| style.isolate);
    let flags = shown_flags(set, emphasis.shown, isolated);
    set.by_area()
        .iter()
        .map(|&i| match (set.get(i), flags.get(i)) {
            (Some(instance), Some(true)) => instance_style(i, instance, style, emphasis),
            _ => bytemuck::Zeroable::zeroed(),
        })
        .collect()
}

/// The style of an instance that is drawn.
fn instance_style(
    i: usize,
    instance: &Instance,
    style: &OverlayStyle,
    emphasis: &Emphasis<'_>,
) -> InstanceStyle {
    let verdict = emphasis.verdicts.and_then(|all| all.get(i)).copied();
    let selected = emphasis.selected == Some(i);
    let hovered = emphasis.hovered == Some(i);
    let is_picked = |picked: &[bool]| picked.get(i).copied().unwrap_or(true);
    let stands_out = emphasis.selected.is_none() && emphasis.picked.is_none_or(is_picked);
    let strength = if stands_out || selected || hovered {
        1.0
    } else {
        DIMMED
    };
    let mut fill = if style.masks && !emphasis.annotations {
        style.opacity.clamp(0.0, 1.0)
    } else {
        0.0
    };
    if hovered && fill > 0.0 {
        fill = (fill + RAISED_FILL).min(1.0);
    }
    let line_shown = style.outlines || selected || hovered || emphasis.annotations;
    let width = style.outline_width * emphasis.pixels_per_point;
    let base = match verdict {
        None if emphasis.annotations => colour::ANNOTATION,
        _ => instance_colour(instance, style.colour_by, verdict),
    };
    let line_colour = if hovered { colour::raised(base) } else { base };
    InstanceStyle {
        fill: with_alpha(base, fill * strength),
        line: with_alpha(line_colour, if line_shown { strength } else { 0.0 }),
        width: if selected || hovered {
            width * RAISED_LINE
        } else {
            width
        },
        pattern: match verdict.map_or(LineStyle::Solid, |verdict| verdict.look().1) {
            LineStyle::Solid => 0,
            LineStyle::Dashed => 1,
            LineStyle::Dotted => 2,
        },
    }
}

/// Straight alpha.
fn with_alpha(colour: Color32, alpha: f32) -> [u8; 4] {
    let alpha = (alpha.clamp(0.0, 1.0) * 255.0).round() as u8;
    [colour.r(), colour.g(), colour.b(), alpha]
}
