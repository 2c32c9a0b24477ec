//! From the input tensor, and from the picture itself, to detections in the picture's frame.

use candle_core::{Device, Tensor};
use maskscope::config::{Config, Dialect};
use maskscope::data::{PreparedImage, RgbImage, prepare};
use maskscope::model::{Detector, InputBatch};
use maskscope::structures::{BoxXyxy, Detection, ImageTransform, Rle, Size};

use super::case::{DIALECTS, ImageCase, ModelCase, TINY, each_image, variant};
use super::matching::{Scored, matches, reorder};
use crate::support::compare::Deviation;

const MASK_PIXELS: u64 = 3;
const PICTURE_PIXELS: u64 = 20;

fn detect(
    detector: &Detector,
    images: Tensor,
    transforms: Vec<ImageTransform>,
) -> Vec<Vec<Detection>> {
    detector.detect(&InputBatch { images, transforms }).unwrap()
}

/// Everything that `detect` returns against the reference.
fn check(what: &str, found: &[Detection], image: &ImageCase, dialect: Dialect) {
    let corners = |found: &Detection| {
        let b = found.bbox;
        let (right, lower) = (b.x + b.width, b.y + b.height);
        BoxXyxy::new(b.x as f32, b.y as f32, right as f32, lower as f32)
    };
    let boxes: Vec<_> = found.iter().map(corners).collect();
    let narrow =
        |value: fn(&Detection) -> f64| found.iter().map(|f| value(f) as f32).collect::<Vec<_>>();
    let scores = narrow(|found| found.score);
    let labels: Vec<_> = found.iter().map(|found| found.label).collect();
    let want_scores = image.floats(dialect, "det_scores");
    let order = matches(
        &format!("{what} boxes_original"),
        &Scored {
            boxes: &boxes,
            scores: &scores,
            labels: &labels,
        },
        &Scored {
            boxes: &image.boxes(dialect, "boxes_original"),
            scores: want_scores,
            labels: &image.labels(dialect),
        },
    );
    let parts = [
        ("det_scores", scores),
        ("mask_iou", narrow(|found| found.mask_iou.unwrap())),
        ("mask_scores", narrow(|found| found.iou_score)),
    ];
    for (part, got) in parts {
        let what = format!("{what} {part}");
        let want = reorder(image.floats(dialect, part), &order);
        Deviation::of(&what, &got, &want).absolute_within(&what, TINY.scores);
    }
    check_masks(what, found, &image.masks(dialect), &order);
    assert!(
        found.windows(2).all(|pair| pair[0].score >= pair[1].score),
        "{what}: order"
    );
}

fn check_masks(what: &str, found: &[Detection], want: &[Rle], order: &[usize]) {
    let (mut total, mut most) = (0, 0);
    for (found, &index) in found.iter().zip(order) {
        let pixels = differing(&found.mask, &want[index]);
        assert!(
            pixels <= MASK_PIXELS,
            "{what}: mask {index} differs in {pixels} pixels"
        );
        most = most.max(pixels);
        total += pixels;
    }
    println!("{what} masks: {total} pixels of the picture differ, {most} of a mask");
    assert!(total <= PICTURE_PIXELS, "{what}: {total} pixels differ");
}

fn differing(a: &Rle, b: &Rle) -> u64 {
    assert_eq!(a.size(), b.size());
    let mut edges: Vec<u64> = [a, b]
        .into_iter()
        .flat_map(|mask| mask.spans().flat_map(|(start, end)| [start, end]))
        .collect();
    // Between the 1st and 2nd edge exactly one mask is set, between the 2nd and 3rd none or both, and so on.
    edges.sort_unstable();
    edges.chunks_exact(2).map(|pair| pair[1] - pair[0]).sum()
}

#[test]
fn golden_detections_from_input_tensor() {
    for dialect in DIALECTS {
        each_image(dialect, |_, detector, image| {
            let found = detect(detector, image.candle("input"), vec![image.transform()]);
            let what = format!("{} {}", image.name, variant(dialect));
            check(&what, &found[0], image, dialect);
        });
    }
}

/// The picture prepared under limits that lead to the stored sizes.
fn prepared(config: &Config, image: &ImageCase, dialect: Dialect) -> Option<PreparedImage> {
    let transform = image.transform();
    let picture = image.tensors.get("image_u8");
    let picture = RgbImage {
        size: Size::new(picture.shape[1], picture.shape[0]),
        rgb: picture.u8().to_vec(),
    };
    assert_eq!(picture.size, transform.image);
    let limits = [transform.padded, transform.resized];
    limits.into_iter().find_map(|limit| {
        let mut config = config.clone();
        (config.img_width, config.img_height, config.divider) = (limit.width, limit.height, 32);
        let prepared = prepare(&picture, &config, dialect);
        (prepared.transform == transform).then_some(prepared)
    })
}

#[test]
fn golden_detections_from_picture() {
    for dialect in DIALECTS {
        each_image(dialect, |case, detector, image| {
            let what = format!("{} {} from the picture", image.name, variant(dialect));
            let transform = image.transform();
            if dialect == Dialect::Mmdet && transform.resized != transform.padded {
                // The stored input is padded before it is normalised, which only dialect mindspore does.
                return;
            }
            let prepared = prepared(&case.config, image, dialect)
                .unwrap_or_else(|| panic!("{what}: no limits lead to {transform:?}"));
            let input = image.tensors.get("input");
            Deviation::of(&what, &prepared.planes, input.f32())
                .relative_within(&format!("{what} input"), 1e-6);
            let images =
                Tensor::from_vec(prepared.planes, input.shape.as_slice(), &Device::Cpu).unwrap();
            let found = detect(detector, images, vec![prepared.transform]);
            check(&what, &found[0], image, dialect);
        });
    }
}

/// Images of different padded sizes in one batch: each gives what it gives alone on the same canvas.
#[test]
fn a_batch_gives_what_its_images_give_alone() {
    for dialect in DIALECTS {
        for case in ModelCase::all() {
            let detector = case.detector(dialect);
            let mut images = case.images();
            images.truncate(2);
            let largest = |axis: usize| {
                let inputs = images.iter().map(|image| image.candle("input"));
                inputs.map(|input| input.dims()[axis]).max().unwrap()
            };
            let (height, width) = (largest(2), largest(3));
            let pad = |input: Tensor| {
                let (_, _, h, w) = input.dims4().unwrap();
                let input = input.pad_with_zeros(2, 0, height - h).unwrap();
                input.pad_with_zeros(3, 0, width - w).unwrap()
            };
            let mut rows: Vec<Tensor> = images
                .iter()
                .map(|image| pad(image.candle("input")))
                .collect();
            let mut transforms: Vec<_> = images.iter().map(ImageCase::transform).collect();
            // The first image once more, upside down, so that there are always different neighbours.
            rows.push(rows[0].flip(&[2]).unwrap());
            transforms.push(transforms[0]);
            let together = detect(
                &detector,
                Tensor::cat(&rows, 0).unwrap(),
                transforms.clone(),
            );
            for ((row, transform), together) in rows.iter().zip(transforms).zip(together) {
                let alone = detect(&detector, row.clone(), vec![transform]);
                assert!(!together.is_empty());
                assert_eq!(together, alone[0], "{} {}", case.name, variant(dialect));
            }
        }
    }
}
