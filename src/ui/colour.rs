//! Colours of data: classes, instances, scores, verdicts. Those of the window itself are in the theme.
//!
//! Classes are evenly spaced in OKLCH at equal lightness, so that none shouts and all carry black or white text alike.

use egui::Color32;

/// Where the colour of an instance comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum ColourBy {
    /// One colour a class.
    Class,
    /// One colour an instance; neighbours of one class differ.
    #[default]
    Instance,
    /// viridis over `score`.
    Score,
    /// viridis over `mask_iou`.
    MaskIou,
    /// viridis over `iou_score`.
    IouScore,
}

impl ColourBy {
    /// In the order of menus.
    pub const ALL: [Self; 5] = [
        Self::Class,
        Self::Instance,
        Self::Score,
        Self::MaskIou,
        Self::IouScore,
    ];

    /// Sentence case, as menus show it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Instance => "instance",
            Self::Score => "score",
            Self::MaskIou => "mask IoU",
            Self::IouScore => "iou score",
        }
    }
}

/// An annotation on the picture.
pub const ANNOTATION: Color32 = Color32::from_rgb(245, 245, 245);
/// A prediction that matches an annotation.
pub const TRUE_POSITIVE: Color32 = Color32::from_rgb(76, 155, 255);
/// A prediction that matches none.
pub const FALSE_POSITIVE: Color32 = Color32::from_rgb(250, 160, 50);
/// An annotation that no prediction matches.
pub const MISSED: Color32 = Color32::from_rgb(228, 86, 208);
/// An instance whose score does not exist.
pub const NO_SCORE: Color32 = Color32::from_rgb(150, 150, 150);
/// Text of labels on the picture, in both themes.
pub const LABEL_TEXT: Color32 = Color32::from_rgb(244, 245, 247);
/// Behind that text: dark enough for 4.5:1 on a white picture.
pub const LABEL_BACKGROUND: Color32 = Color32::from_rgba_premultiplied(11, 12, 14, 215);

/// The outline of what is hovered: halfway to white.
pub fn raised(colour: Color32) -> Color32 {
    colour.lerp_to_gamma(Color32::WHITE, 0.5)
}

/// Lightness of all class and instance colours.
const LIGHTNESS: f32 = 0.74;
/// Chroma of all class and instance colours: the largest that sRGB holds nearly everywhere at this lightness.
const CHROMA: f32 = 0.125;
/// Hue of category 0 in turns: a warm red, away from the blue of the accent.
const FIRST_HUE: f32 = 0.055;
/// The golden ratio's fraction: consecutive ids are far apart, any number of them is evenly spread.
const GOLDEN: f32 = 0.618_034;

/// Colour of a class, stable by category id.
pub fn class_colour(category_id: i64) -> Color32 {
    // rem_euclid first: ids beyond 2^24 would lose their fraction in f32.
    let step = category_id.rem_euclid(4096) as f32;
    oklch(LIGHTNESS, CHROMA, (FIRST_HUE + step * GOLDEN).fract())
}

/// Number of instance colours.
pub const INSTANCE_HUES: usize = 16;

/// Colour of an instance, by `Instance::hue`.
pub fn instance_colour(hue: usize) -> Color32 {
    oklch(LIGHTNESS, CHROMA, hue_turns(hue))
}

/// How alike two instance colours are: 1 the same, 0 opposite.
pub fn hue_closeness(a: usize, b: usize) -> f32 {
    let apart = (hue_turns(a) - hue_turns(b)).abs();
    let apart = 2.0 * apart.min(1.0 - apart);
    (1.0 - apart) * (1.0 - apart)
}

/// Hue of an instance colour: consecutive ones are far apart (7 and 16 have no common divisor).
fn hue_turns(hue: usize) -> f32 {
    (FIRST_HUE + ((hue * 7) % INSTANCE_HUES) as f32 / INSTANCE_HUES as f32).fract()
}

/// viridis at a score in 0..1; outside values are clamped, NaN is the lowest.
pub fn score_colour(score: f64) -> Color32 {
    let at = if score.is_nan() {
        0.0
    } else {
        score.clamp(0.0, 1.0)
    };
    let colour = colorous::VIRIDIS.eval_continuous(at);
    Color32::from_rgb(colour.r, colour.g, colour.b)
}

/// sRGB of OKLCH: lightness 0..1, chroma, hue in turns. Chroma shrinks where sRGB cannot hold it.
pub fn oklch(lightness: f32, chroma: f32, hue_turns: f32) -> Color32 {
    let mut chroma = chroma;
    loop {
        let rgb = linear_from_oklch(lightness, chroma, hue_turns);
        let inside = rgb.iter().all(|&c| (-1e-4..=1.0001).contains(&c));
        if inside || chroma < 1e-3 {
            let [r, g, b] =
                rgb.map(|c| (gamma_from_linear(c.clamp(0.0, 1.0)) * 255.0).round() as u8);
            return Color32::from_rgb(r, g, b);
        }
        chroma *= 0.97;
    }
}

/// Linear sRGB of OKLCH; may lie outside 0..1. Matrices: Björn Ottosson, "A perceptual color space for image
/// processing" (2020).
fn linear_from_oklch(lightness: f32, chroma: f32, hue_turns: f32) -> [f32; 3] {
    let (sin, cos) = (hue_turns * std::f32::consts::TAU).sin_cos();
    let (a, b) = (chroma * cos, chroma * sin);
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_38 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ]
}

/// The sRGB transfer function.
fn gamma_from_linear(linear: f32) -> f32 {
    if linear <= 0.003_130_8 {
        12.92 * linear
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lightness of OKLab, the other way round.
    fn lightness(colour: Color32) -> f32 {
        let linear = |c: u8| {
            let c = f32::from(c) / 255.0;
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        let [r, g, b] = [colour.r(), colour.g(), colour.b()].map(linear);
        let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
        let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
        let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s
    }

    #[test]
    fn classes_are_equally_light_and_differ() {
        let colours: Vec<Color32> = (1..=90).map(class_colour).collect();
        for &colour in &colours {
            assert!((lightness(colour) - LIGHTNESS).abs() < 0.01, "{colour:?}");
        }
        let mut unique = colours.clone();
        unique.sort_by_key(|colour| colour.to_array());
        unique.dedup();
        assert_eq!(unique.len(), colours.len());
        assert_eq!(class_colour(17), class_colour(17));
        class_colour(i64::MIN);
        class_colour(i64::MAX);
    }

    #[test]
    fn known_colours_of_oklch() {
        // CSS Color 4: oklch(0.62796 0.25768 29.234deg) is red.
        let red = oklch(0.627_96, 0.257_68, 29.234 / 360.0);
        assert!(red.r() >= 253 && red.g() <= 8 && red.b() <= 8, "{red:?}");
        assert_eq!(oklch(1.0, 0.0, 0.3), Color32::WHITE);
        assert_eq!(oklch(0.0, 0.0, 0.3), Color32::BLACK);
    }

    #[test]
    fn scores_run_through_viridis() {
        assert_eq!(score_colour(0.0), Color32::from_rgb(68, 1, 84));
        assert_eq!(score_colour(f64::NAN), score_colour(0.0));
        assert_eq!(score_colour(7.0), score_colour(1.0));
        assert_eq!(score_colour(1.0), Color32::from_rgb(253, 231, 37));
    }
}
