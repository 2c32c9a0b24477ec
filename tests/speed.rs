//! Measurements of the operators at the network's full size. Run with `--ignored --nocapture` and an optimised crate.

use std::time::Instant;

use candle_core::{Device, Tensor};
use maskscope::ops::paste::paste_rle;
use maskscope::ops::roi_align::{RoiAlign, roi_align};
use maskscope::ops::{MaxPool2d, add_upsampled, max_pool2d};
use maskscope::structures::Size;

use crate::ops::detections;

/// Prints the fastest of several runs.
fn measure<T>(what: &str, mut run: impl FnMut() -> T) {
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        std::hint::black_box(run());
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{what}: {:.2} ms", best * 1e3);
}

fn random(shape: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap()
}

/// RoIs of a 1024x800 image on a level of `stride`, `cells` cells wide on average.
fn rois(count: usize, stride: usize, cells: f32) -> Tensor {
    let image = Size::new(1024, 800);
    let rows = detections(count, image).into_iter().flat_map(|found| {
        let side = cells * stride as f32;
        let b = found.detected.bbox;
        [0.0, b.x1, b.y1, b.x1 + side, b.y1 + side]
    });
    Tensor::from_vec(rows.collect::<Vec<f32>>(), (count, 5), &Device::Cpu).unwrap()
}

#[test]
#[ignore = "a measurement"]
fn speed_of_ops() {
    for (count, size, cells) in [(1000, 7, 18.0), (100, 14, 18.0)] {
        let map = random(&[1, 256, 200, 256]);
        let rois = rois(count, 4, cells);
        let align = RoiAlign {
            out_height: size,
            out_width: size,
            spatial_scale: 0.25,
            sampling_ratio: 0,
        };
        let what = format!("roi_align, {count} RoIs of {cells} cells to {size}x{size}");
        measure(&what, || roi_align(&map, &rois, align).unwrap());
    }
    let stem = random(&[1, 64, 400, 512]);
    let pool = MaxPool2d {
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    measure("max pool of the stem", || max_pool2d(&stem, pool).unwrap());
    let (fine, coarse) = (random(&[1, 256, 200, 256]), random(&[1, 256, 100, 128]));
    measure("add_upsampled, P3 to P2", || {
        add_upsampled(&fine, &coarse).unwrap()
    });
    let (rows, masks) = (random(&[100, 1, 256]), random(&[100, 256, 784]));
    measure("own-class logits of 100 masks", || {
        rows.matmul(&masks).unwrap()
    });
    let image = Size::new(1333, 800);
    let found = detections(100, image);
    measure("paste of 100 detections at 1333x800, one core", || {
        let runs = |found: &maskscope::model::postprocess::MaskedBox| {
            paste_rle(&found.mask, found.detected.bbox, image, 0.5)
                .runs()
                .len()
        };
        found.iter().map(runs).sum::<usize>()
    });
}
