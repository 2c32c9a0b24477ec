//! From the input tensor, and from the picture itself, to detections in the picture's frame.

use candle_core::Tensor;
use maskscope::config::{Config, Dialect};
use maskscope::data::{PreparedImage, RgbImage, prepare};
use maskscope::model::{Detector, InputBatch};
use maskscope::structures::{BoxXyxy, Detection, ImageTransform, Rle, Size};

use super::case::{
    DIALECTS, ImageCase, MASK_PIXELS, ModelCase, PICTURE_PIXELS, TINY, each_image, variant,
};
use super::matching::{Matched, Scored, matches};
use crate::support::compare::Deviation;
use crate::support::device::device;

fn detect(
    detector: &Detector,
    images: Tensor,
    transforms: Vec<ImageTransform>,
) -> Vec<Vec<Detection>> {
    detector.detect(&InputBatch { images, transforms }).unwrap()
}

/// What detections are compared with.
struct Reference {
    boxes: Vec<BoxXyxy>,
    labels: Vec<usize>,
    scores: Vec<f32>,
    mask_ious: Vec<f32>,
    mask_scores: Vec<f32>,
    masks: Vec<Rle>,
}

impl Reference {
    fn stored(image: &ImageCase, dialect: Dialect) -> Self {
        Self {
            boxes: image.boxes(dialect, "boxes_original"),
            labels: image.labels(dialect),
            scores: image.floats(dialect, "det_scores").to_vec(),
            mask_ious: image.floats(dialect, "mask_iou").to_vec(),
            mask_scores: image.floats(dialect, "mask_scores").to_vec(),
            masks: image.masks(dialect),
        }
    }

    fn of(found: &[Detection]) -> Self {
        let corners = |found: &Detection| {
            let b = found.bbox;
            let (right, lower) = (b.x + b.width, b.y + b.height);
            BoxXyxy::new(b.x as f32, b.y as f32, right as f32, lower as f32)
        };
        let narrow =
            |value: fn(&Detection) -> f64| found.iter().map(|found| value(found) as f32).collect();
        Self {
            boxes: found.iter().map(corners).collect(),
            labels: found.iter().map(|found| found.label).collect(),
            scores: narrow(|found| found.score),
            mask_ious: narrow(|found| found.mask_iou.unwrap()),
            mask_scores: narrow(|found| found.iou_score),
            masks: found.iter().map(|found| found.mask.clone()).collect(),
        }
    }

    fn scored(&self) -> Scored<'_> {
        Scored {
            boxes: &self.boxes,
            scores: &self.scores,
            labels: &self.labels,
        }
    }
}

/// Everything that `detect` returns against the reference.
fn check(what: &str, found: &[Detection], want: &Reference) {
    assert!(!found.is_empty(), "{what}: nothing found");
    assert!(
        found.windows(2).all(|pair| pair[0].score >= pair[1].score),
        "{what}: order"
    );
    let got = Reference::of(found);
    let title = format!("{what} boxes_original");
    let matched = matches(&title, &got.scored(), &want.scored());
    for (part, got, want) in [
        ("det_scores", &got.scores, &want.scores),
        ("mask_iou", &got.mask_ious, &want.mask_ious),
        ("mask_scores", &got.mask_scores, &want.mask_scores),
    ] {
        let what = format!("{what} {part}");
        Deviation::of(&what, &matched.got(got), &matched.want(want))
            .absolute_within(&what, TINY.scores);
    }
    check_masks(what, &got.masks, &want.masks, &matched);
}

fn check_masks(what: &str, got: &[Rle], want: &[Rle], matched: &Matched) {
    let (mut total, mut most) = (0, 0);
    for (at, index) in matched.pairs() {
        let pixels = differing(&got[at], &want[index]);
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
            check(&what, &found[0], &Reference::stored(image, dialect));
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
    let (padded, resized) = (transform.padded, transform.resized);
    let limits = [
        padded,
        resized,
        Size::new(padded.width, resized.height),
        Size::new(resized.width, padded.height),
    ];
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
                Tensor::from_vec(prepared.planes, input.shape.as_slice(), device()).unwrap();
            let found = detect(detector, images, vec![prepared.transform]);
            check(&what, &found[0], &Reference::stored(image, dialect));
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
                let what = format!("{} {} in a batch", case.name, variant(dialect));
                check(&what, &together, &Reference::of(&alone[0]));
            }
        }
    }
}
