//! From OKLCH, in which equal steps look equal, to sRGB. Matrices: Björn Ottosson, "A perceptual color space for image
//! processing" (2020).

/// Linear sRGB of OKLCH, hue in turns; may lie outside 0..1.
pub fn linear_from_oklch(lightness: f32, chroma: f32, hue_turns: f32) -> [f32; 3] {
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
pub fn gamma_from_linear(linear: f32) -> f32 {
    if linear <= 0.003_130_8 {
        12.92 * linear
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    }
}
