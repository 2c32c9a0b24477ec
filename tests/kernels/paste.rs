//! Pasting by kernels gives the processor's runs, to the last pixel.

use maskscope::ops::kernels::paste::{MOST_SIDE, paste};
use maskscope::ops::paste::paste_rle;
use maskscope::structures::{BoxXyxy, Rle, Size};

use super::host::Host;
use super::noise;
use maskscope::model::box_head::DetectedBox;
use maskscope::model::postprocess::{MaskedBox, to_image, to_image_on};
use maskscope::structures::ImageTransform;

fn check(host: &Host, probs: &[f32], boxes: &[BoxXyxy], image: Size, threshold: f32) {
    let cells = probs.len() / boxes.len().max(1);
    let got = paste(
        host,
        &host.floats(probs),
        cells.isqrt(),
        boxes,
        image,
        threshold,
    )
    .unwrap();
    let each = boxes.iter().zip(probs.chunks_exact(cells.max(1)));
    let want: Vec<Rle> = each
        .map(|(&bbox, probs)| paste_rle(probs, bbox, image, threshold))
        .collect();
    assert_eq!(got, want, "{boxes:?} in {image:?} at {threshold}");
}

#[test]
fn golden_masks() {
    let Some(host) = Host::get() else { return };
    crate::ops::each_paste_case(|image, boxes, probs| check(&host, probs, boxes, image, 0.5));
}

#[test]
fn random_masks() {
    let Some(host) = Host::get() else { return };
    for seed in 0..40 {
        let image = Size::new(37 + 13 * (seed as usize % 5), 61);
        let numbers = noise(8 * 4, seed + 100);
        let boxes: Vec<BoxXyxy> = numbers
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&[x, y, w, h]| {
                let (x, y) = (60.0 * x, 60.0 * y);
                BoxXyxy::new(x, y, x + 50.0 * (w + 0.9), y + 70.0 * (h + 0.9))
            })
            .collect();
        // Coarse levels put many values exactly on the threshold.
        let probs = noise(8 * 28 * 28, seed + 1)
            .iter()
            .map(|x| ((x + 1.0) * 4.0).round() / 8.0)
            .collect::<Vec<_>>();
        check(&host, &probs, &boxes, image, 0.5);
    }
}

#[test]
fn full_masks_and_broken_boxes() {
    let Some(host) = Host::get() else { return };
    let image = Size::new(10, 8);
    let whole = BoxXyxy::new(-50.0, -50.0, 60.0, 60.0);
    check(&host, &[1.0; 4], &[whole], image, 0.5); // one run over all columns
    let broken = [
        BoxXyxy::new(f32::NAN, 0.0, 4.0, 4.0),
        BoxXyxy::new(0.0, 0.0, f32::INFINITY, 4.0),
        BoxXyxy::new(3.0, 3.0, 3.0, 6.0),
        BoxXyxy::new(6.0, 3.0, 3.0, 6.0),
        BoxXyxy::new(200.0, 0.0, 240.0, 4.0),
    ];
    for bbox in broken {
        check(&host, &[1.0; 4], &[bbox], image, 0.5);
    }
    check(&host, &[], &[], image, 0.5);
    let large = MOST_SIDE + 1;
    let masks = host.floats(&vec![1.0; large * large]);
    assert!(paste(&host, &masks, large, &[whole], image, 0.5).is_err());
}

/// The whole way from the network's frame to the image's, with and without masks that the kernels have no room for.
#[test]
fn detections_of_an_image() {
    let Some(host) = Host::get() else { return };
    let transform =
        ImageTransform::new(Size::new(97, 64), Size::new(194, 128), Size::new(224, 128));
    for side in [28, MOST_SIDE + 4] {
        let masked = |seed: u32| MaskedBox {
            detected: DetectedBox {
                bbox: BoxXyxy::new(8.0 * seed as f32, 5.0, 8.0 * seed as f32 + 70.0, 90.0),
                label: seed as usize % 3,
                score: 1.0 / seed as f32,
            },
            mask: noise(side * side, seed)
                .iter()
                .map(|x| (x + 1.0) / 2.0)
                .collect(),
            mask_iou: seed.is_multiple_of(2).then_some(0.8),
        };
        let found: Vec<MaskedBox> = (1..8).map(masked).collect();
        let got = to_image_on(&host, &found, &transform, 0.5).unwrap();
        assert_eq!(got, to_image(&found, &transform, 0.5));
        assert!(got.iter().any(|detection| detection.mask.area() > 0));
    }
    assert!(to_image_on(&host, &[], &transform, 0.5).unwrap().is_empty());
}
