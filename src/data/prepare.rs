//! Resize, normalise, pad: from an upright picture to what the network sees (semantics.md 2.2 and 2.3).

use rayon::prelude::*;

use super::{PreparedImage, RgbImage, resize};
use crate::config::{Config, Dialect};
use crate::structures::{ImageTransform, Size};

/// Resizes, normalises and pads one image per configuration and dialect.
pub fn prepare(image: &RgbImage, config: &Config, dialect: Dialect) -> PreparedImage {
    let resized = resize(image, resized_size(image.size, config, dialect));
    let padded = padded_size(resized.size, config, dialect);
    let transform = ImageTransform::new(image.size, resized.size, padded);
    let planes = normalise(&resized, padded, config, dialect);
    PreparedImage { planes, transform }
}

/// Size after the resize: inside the canvas (mindspore), or within the long and short side limits (mmdet).
pub fn resized_size(image: Size, config: &Config, dialect: Dialect) -> Size {
    let limit = Size::new(config.img_width, config.img_height);
    if !config.keep_ratio {
        return limit;
    }
    let ratio = |to: usize, from: usize| to as f64 / from as f64;
    let scale = match dialect {
        Dialect::Mindspore => {
            ratio(limit.height, image.height).min(ratio(limit.width, image.width))
        }
        Dialect::Mmdet => {
            let long = limit.width.max(limit.height);
            let short = limit.width.min(limit.height);
            ratio(long, image.width.max(image.height))
                .min(ratio(short, image.width.min(image.height)))
        }
    };
    let scaled = |side: usize| ((side as f64 * scale + 0.5) as usize).max(1);
    Size::new(scaled(image.width), scaled(image.height))
}

/// Size after padding: the whole canvas (mindspore), or the next multiple of the divider (mmdet).
pub fn padded_size(resized: Size, config: &Config, dialect: Dialect) -> Size {
    let inner = match dialect {
        // The canvas holds every resized picture; the maximum only guards a size made elsewhere.
        Dialect::Mindspore => Size::new(
            config.img_width.max(resized.width),
            config.img_height.max(resized.height),
        ),
        Dialect::Mmdet => resized,
    };
    let divider = config.divider.max(1);
    Size::new(
        inner.width.next_multiple_of(divider),
        inner.height.next_multiple_of(divider),
    )
}

/// Normalises a resized picture and pads it right and below: (3,H,W) in the configuration's channel order.
/// `padded` holds the picture.
pub fn normalise(resized: &RgbImage, padded: Size, config: &Config, dialect: Dialect) -> Vec<f32> {
    let tables = normalised_values(config);
    let order = if config.to_rgb { [0, 1, 2] } else { [2, 1, 0] };
    let mut planes = vec![0.0f32; 3 * padded.pixels()];
    let row = resized.size.width * 3;
    planes
        .par_chunks_mut(padded.pixels())
        .zip(tables.par_iter().zip(order.par_iter()))
        .for_each(|(plane, (table, &channel))| {
            let fill = match dialect {
                Dialect::Mindspore => table[0], // raw 0, then normalised
                Dialect::Mmdet => 0.0,
            };
            let (picture, below) = plane.split_at_mut(resized.size.height * padded.width);
            below.fill(fill);
            picture
                .par_chunks_mut(padded.width)
                .zip(resized.rgb.par_chunks(row))
                .for_each(|(out, pixels)| {
                    let (inside, right) = out.split_at_mut(resized.size.width);
                    right.fill(fill);
                    for (value, pixel) in inside.iter_mut().zip(pixels.chunks_exact(3)) {
                        *value = table[usize::from(pixel[channel])];
                    }
                });
        });
    planes
}

/// `(v − mean)·(1/std)` in f32 for every byte, the reciprocal rounded once; channels as the network sees them.
fn normalised_values(config: &Config) -> [[f32; 256]; 3] {
    std::array::from_fn(|channel| {
        let mean = config.img_mean[channel] as f32;
        let scale = (1.0 / config.img_std[channel]) as f32;
        std::array::from_fn(|value| (value as f32 - mean) * scale)
    })
}
