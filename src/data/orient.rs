//! EXIF orientation: the eight ways a stored picture is turned upright.

use image::metadata::Orientation;

use super::RgbImage;
use crate::structures::Size;

/// Size after turning.
pub(super) fn upright_size(stored: Size, orientation: Orientation) -> Size {
    match orientation {
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => stored,
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => Size::new(stored.height, stored.width),
    }
}

/// Turns a stored picture upright.
pub(super) fn orient(stored: RgbImage, orientation: Orientation) -> RgbImage {
    if orientation == Orientation::NoTransforms {
        return stored;
    }
    let size = upright_size(stored.size, orientation);
    let (w, h) = (stored.size.width, stored.size.height);
    // Stored column and row of the upright pixel (x, y).
    let from: fn(usize, usize, usize, usize) -> (usize, usize) = match orientation {
        Orientation::NoTransforms => |x, y, _, _| (x, y),
        Orientation::FlipHorizontal => |x, y, w, _| (w - 1 - x, y),
        Orientation::Rotate180 => |x, y, w, h| (w - 1 - x, h - 1 - y),
        Orientation::FlipVertical => |x, y, _, h| (x, h - 1 - y),
        Orientation::Rotate90FlipH => |x, y, _, _| (y, x),
        Orientation::Rotate90 => |x, y, _, h| (y, h - 1 - x),
        Orientation::Rotate270FlipH => |x, y, w, h| (w - 1 - y, h - 1 - x),
        Orientation::Rotate270 => |x, y, w, _| (w - 1 - y, x),
    };
    let mut rgb = vec![0u8; stored.rgb.len()];
    for (at, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        let (x, y) = from(at % size.width, at / size.width, w, h);
        let source = 3 * (y * w + x);
        pixel.copy_from_slice(&stored.rgb[source..source + 3]);
    }
    RgbImage { size, rgb }
}
