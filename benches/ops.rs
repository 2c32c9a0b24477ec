//! The operators beside convolution at the network's full size: `cargo bench --bench ops`. Prints the fastest of ten runs.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at what goes wrong and prints"
)]

use std::time::Instant;

use candle_core::{Device, Tensor};
use maskscope::model::box_head::DetectedBox;
use maskscope::model::postprocess::MaskedBox;
use maskscope::ops::paste::paste_rle;
use maskscope::ops::roi_align::{RoiAlign, roi_align};
use maskscope::ops::{MaxPool2d, add_upsampled, max_pool2d};
use maskscope::structures::{BoxXyxy, Size};

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

/// Detections of an image, their boxes as small and large as objects of COCO are, their masks smooth or noise.
fn detections(count: usize, image: Size) -> Vec<MaskedBox> {
    let mut state = 7u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let (width, height) = (image.width as f32, image.height as f32);
    let mut next = |index: usize| {
        // 41 % small, 34 % medium, 25 % large
        let share = match index % 100 {
            0..41 => 0.04,
            41..75 => 0.14,
            _ => 0.5,
        };
        let (w, h) = (
            width * share * (0.5 + random()),
            height * share * (0.5 + random()),
        );
        let (x, y) = (random() * (width - w), random() * (height - h));
        let mut cell = |at: usize| {
            let (row, column) = ((at / 28) as f32 - 13.5, (at % 28) as f32 - 13.5);
            let disc = 1.0 / (1.0 + (row.hypot(column) - 11.0).exp());
            if index.is_multiple_of(2) {
                disc
            } else {
                random()
            }
        };
        let mask = (0..784).map(&mut cell).collect();
        MaskedBox {
            detected: DetectedBox {
                bbox: BoxXyxy::new(x, y, x + w, y + h),
                label: 0,
                score: 0.9,
            },
            mask,
            mask_iou: None,
        }
    };
    (0..count).map(&mut next).collect()
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

fn main() {
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
        let runs = |found: &MaskedBox| {
            paste_rle(&found.mask, found.detected.bbox, image, 0.5)
                .runs()
                .len()
        };
        found.iter().map(runs).sum::<usize>()
    });
}
