//! Masks over a picture as a PNG, for people without the program.

use std::io::Write;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::RgbImage;
use crate::structures::{EditableMask, Rle, gamma_from_linear, linear_from_oklch};

/// How much of a pixel is the mask's colour, inside and on its border.
const FILL: f32 = 0.45;
const BORDER: f32 = 1.0;
/// Colours of equal lightness; the golden ratio keeps neighbouring classes apart, however many there are.
const LIGHTNESS: f32 = 0.74;
const CHROMA: f32 = 0.15;
const TURN: f32 = 0.618_034;

/// The colour of a class.
pub fn class_colour(label: usize) -> [u8; 3] {
    let hue = (label as f32 * TURN).fract();
    let linear = linear_from_oklch(LIGHTNESS, CHROMA, hue);
    linear.map(|value| (gamma_from_linear(value.clamp(0.0, 1.0)) * 255.0).round() as u8)
}

/// Lays a mask over a picture: filled, with a border of one pixel. A mask of another size is cut to the picture.
pub fn draw_mask(picture: &mut RgbImage, mask: &Rle, colour: [u8; 3]) {
    let bitmap = EditableMask::from_rle(mask);
    let Some(bounds) = bitmap.bounds() else {
        return;
    };
    let is_inside = |x: usize, y: usize| bitmap.contains(x, y);
    let size = picture.size;
    for y in bounds.top..bounds.bottom.min(size.height) {
        for x in bounds.left..bounds.right.min(size.width) {
            if !is_inside(x, y) {
                continue;
            }
            let is_border = x == 0
                || y == 0
                || !is_inside(x - 1, y)
                || !is_inside(x, y - 1)
                || !is_inside(x + 1, y)
                || !is_inside(x, y + 1);
            let share = if is_border { BORDER } else { FILL };
            let at = (y * size.width + x) * 3;
            let pixel = picture.rgb.get_mut(at..at + 3).unwrap_or_default();
            for (value, &over) in pixel.iter_mut().zip(&colour) {
                let mixed = f32::from(*value) * (1.0 - share) + f32::from(over) * share;
                *value = mixed.round() as u8;
            }
        }
    }
}

/// Writes a picture as PNG.
///
/// # Errors
/// The output refuses.
pub fn write_png(picture: &RgbImage, out: &mut dyn Write) -> std::io::Result<()> {
    let (width, height) = (picture.size.width as u32, picture.size.height as u32);
    PngEncoder::new(out)
        .write_image(&picture.rgb, width, height, ExtendedColorType::Rgb8)
        .map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::{BoxXywh, Size};

    #[test]
    fn inside_and_border_differ_and_the_rest_stays() {
        let size = Size::new(6, 6);
        let mut bytes = vec![0u8; 36];
        for y in 1..5 {
            bytes[y * 6 + 1..y * 6 + 5].fill(1);
        }
        let mask = Rle::from_row_major(size, &bytes).unwrap();
        assert_eq!(mask.bbox(), BoxXywh::new(1.0, 1.0, 4.0, 4.0));
        let mut picture = RgbImage {
            size,
            rgb: vec![100; 108],
        };
        draw_mask(&mut picture, &mask, [200, 0, 100]);
        let pixel = |x: usize, y: usize| &picture.rgb[(y * 6 + x) * 3..][..3];
        assert_eq!(pixel(0, 0), [100, 100, 100]);
        assert_eq!(pixel(1, 1), [200, 0, 100]);
        assert_eq!(pixel(2, 2), [145, 55, 100]);
    }
}
