//! One training sample: image and ground truth flipped, resized and padded together (semantics.md 4.1).

use rayon::prelude::*;

use super::{PreparedImage, RgbImage, prepare, resize_mask};
use crate::config::{Config, Dialect};
use crate::structures::{BoxXywh, BoxXyxy, GroundTruth, ImageTransform, MaskGrid, Rle, Size};

/// An annotation that is trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledObject {
    /// 0-based foreground class.
    pub label: usize,
    /// In the image frame.
    pub bbox: BoxXywh,
    /// At the size of the image.
    pub mask: Rle,
}

/// What the network sees of a training image, and what is true of it.
#[derive(Clone, Debug)]
pub struct TrainSample {
    /// Pixels and transform.
    pub image: PreparedImage,
    /// Objects in the input frame.
    pub truth: GroundTruth,
    /// Objects left out: no area inside the image, or an empty mask.
    pub left_out: usize,
    /// Objects beyond `num_gts`.
    pub truncated: usize,
}

/// Makes a sample of an upright picture and its objects, in file order.
pub fn train_sample(
    picture: &RgbImage,
    objects: &[LabelledObject],
    config: &Config,
    dialect: Dialect,
    flip: bool,
) -> TrainSample {
    let size = picture.size;
    let image = if flip {
        prepare(&mirrored(picture), config, dialect)
    } else {
        prepare(picture, config, dialect)
    };
    let usable = |object: &&LabelledObject| {
        let bbox = inside(object.bbox, size);
        bbox.width() >= 1.0 && bbox.height() >= 1.0 && object.mask.area() > 0
    };
    let kept: Vec<&LabelledObject> = objects.iter().filter(usable).collect();
    let left_out = objects.len() - kept.len();
    let truncated = kept.len().saturating_sub(config.num_gts);
    let kept = &kept[..kept.len() - truncated];
    let transform = image.transform;
    let (grid, resized) = mask_grid(&transform, config.mask_divider);
    let boxes = kept.iter().map(|object| {
        let bbox = inside(object.bbox, size);
        transform.input_from_image(if flip { mirrored_box(bbox, size) } else { bbox })
    });
    let masks = kept
        .par_iter()
        .map(|object| on_grid(&object.mask, grid.size, resized, flip))
        .collect();
    TrainSample {
        truth: GroundTruth {
            boxes: boxes.collect(),
            labels: kept.iter().map(|object| object.label).collect(),
            masks,
            grid,
        },
        image,
        left_out,
        truncated,
    }
}

/// Corners, clipped to the image.
fn inside(bbox: BoxXywh, size: Size) -> BoxXyxy {
    bbox.to_xyxy()
        .clamp_to(size.width as f32, size.height as f32)
}

fn mirrored_box(bbox: BoxXyxy, size: Size) -> BoxXyxy {
    let width = size.width as f32;
    BoxXyxy::new(width - bbox.x2, bbox.y1, width - bbox.x1, bbox.y2)
}

/// Column i becomes column w − 1 − i.
fn mirrored(picture: &RgbImage) -> RgbImage {
    let mut rgb = Vec::with_capacity(picture.rgb.len());
    for row in picture.rgb.chunks_exact((picture.size.width * 3).max(1)) {
        rgb.extend(row.as_chunks::<3>().0.iter().rev().flatten());
    }
    RgbImage {
        size: picture.size,
        rgb,
    }
}

/// The grid of an image's masks, and the part of it that the resized image fills.
fn mask_grid(transform: &ImageTransform, divider: f64) -> (MaskGrid, Size) {
    let rounded = |side: usize| ((side as f64 / divider + 0.5).floor() as usize).max(1);
    let resized = Size::new(
        rounded(transform.resized.width),
        rounded(transform.resized.height),
    );
    let whole = |side: usize, part: usize| ((side as f64 / divider).ceil() as usize).max(part);
    let grid = MaskGrid {
        size: Size::new(
            whole(transform.padded.width, resized.width),
            whole(transform.padded.height, resized.height),
        ),
        scale_x: (resized.width as f64 / transform.resized.width as f64) as f32,
        scale_y: (resized.height as f64 / transform.resized.height as f64) as f32,
    };
    (grid, resized)
}

/// A mask of the image on its grid, zero in the padding.
fn on_grid(mask: &Rle, grid: Size, resized: Size, flip: bool) -> Vec<u8> {
    let mut pixels = mask.to_row_major();
    if flip {
        for row in pixels.chunks_exact_mut(mask.size().width.max(1)) {
            row.reverse();
        }
    }
    let small = resize_mask(&pixels, mask.size(), resized);
    let mut out = vec![0; grid.pixels()];
    let rows = out.chunks_exact_mut(grid.width.max(1));
    for (to, from) in rows.zip(small.chunks_exact(resized.width.max(1))) {
        to[..resized.width].copy_from_slice(from);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize) -> RgbImage {
        let rgb = (0..width * height * 3).map(|at| (at % 251) as u8).collect();
        RgbImage {
            size: Size::new(width, height),
            rgb,
        }
    }

    fn object(size: Size, x: usize, width: usize) -> LabelledObject {
        let mut pixels = vec![0u8; size.pixels()];
        for row in pixels.chunks_exact_mut(size.width) {
            row[x..x + width].fill(1);
        }
        let bbox = BoxXywh::new(x as f64, 0.0, width as f64, size.height as f64);
        LabelledObject {
            label: 1,
            bbox,
            mask: Rle::from_row_major(size, &pixels).unwrap_or_else(|_| Rle::empty(size)),
        }
    }

    fn config(side: usize) -> Config {
        Config {
            img_width: side,
            img_height: side,
            divider: 32,
            num_gts: 2,
            ..Config::default()
        }
    }

    #[test]
    fn a_flip_mirrors_pixels_boxes_and_masks_together() {
        let size = Size::new(64, 64);
        let objects = [object(size, 8, 16)];
        let sample = |flip| {
            train_sample(
                &picture(64, 64),
                &objects,
                &config(64),
                Dialect::Mindspore,
                flip,
            )
        };
        let (plain, flipped) = (sample(false), sample(true));
        assert_eq!(plain.truth.boxes, [BoxXyxy::new(8.0, 0.0, 24.0, 64.0)]);
        assert_eq!(flipped.truth.boxes, [BoxXyxy::new(40.0, 0.0, 56.0, 64.0)]);
        // mask_divider 2: columns 4..12 and 20..28 of 32.
        let columns = |mask: &[u8]| (0..32).filter(|&x| mask[x] == 1).collect::<Vec<_>>();
        assert_eq!(columns(&plain.truth.masks[0]), (4..12).collect::<Vec<_>>());
        assert_eq!(
            columns(&flipped.truth.masks[0]),
            (20..28).collect::<Vec<_>>()
        );
        let row = |sample: &TrainSample| sample.image.planes[..64].to_vec();
        let mut mirrored = row(&flipped);
        mirrored.reverse();
        assert_eq!(row(&plain), mirrored);
    }

    #[test]
    fn what_cannot_be_learnt_is_left_out_and_counted() {
        let size = Size::new(64, 32);
        let mut outside = object(size, 0, 8);
        outside.bbox = BoxXywh::new(70.0, 0.0, 10.0, 10.0);
        let mut hollow = object(size, 0, 8);
        hollow.mask = Rle::empty(size);
        let rest = (0..3).map(|at| object(size, 8 * at, 8));
        let objects: Vec<_> = [outside, hollow].into_iter().chain(rest).collect();
        let sample = train_sample(
            &picture(64, 32),
            &objects,
            &config(64),
            Dialect::Mmdet,
            false,
        );
        assert_eq!((sample.left_out, sample.truncated), (2, 1));
        assert_eq!(sample.truth.boxes.len(), 2);
        // The input is 64×32, the grid half of it.
        assert_eq!(sample.truth.grid.size, Size::new(32, 16));
    }
}
