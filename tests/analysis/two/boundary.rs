//! Rims of masks against a slow erosion and golden numbers; boundary AP through the engine.

use maskscope::eval::{
    Area, Selection, Setup, accumulate, band_width, boundary_iou, boundary_overlaps, matches,
};
use maskscope::structures::{Rle, Size};

use super::scene::{Drawing, Random, ellipse, fixture_scenes, random_drawing, rectangle};

/// Size, two ellipses `cx, cy, a, b`, then pixels of the rims: shared, of the first, of the second. Made by:
/// ```python
/// import math
/// def ellipse(w, h, cx, cy, a, b):
///     return [[(x-cx)**2*b*b + (y-cy)**2*a*a <= a*a*b*b for x in range(w)] for y in range(h)]
/// def erode(m, w, h, times):
///     for _ in range(times):
///         m = [[all(0 <= y+j < h and 0 <= x+i < w and m[y+j][x+i] for j in (-1, 0, 1) for i in (-1, 0, 1))
///               for x in range(w)] for y in range(h)]
///     return m
/// def rim(m, w, h):
///     inner = erode(m, w, h, max(1, round(0.02 * math.sqrt(h*h + w*w))))
///     return {(x, y) for y in range(h) for x in range(w) if m[y][x] and not inner[y][x]}
/// # for each case: a, b = rim(...), rim(...); len(a & b), len(a), len(b)
/// ```
const GOLDEN: [([usize; 2], [i64; 4], [i64; 4], [u32; 3]); 6] = [
    ([90, 70], [40, 30, 25, 20], [44, 32, 24, 18], [75, 340, 316]),
    (
        [300, 200],
        [150, 100, 90, 80],
        [152, 99, 92, 77],
        [3505, 4540, 4512],
    ),
    (
        [200, 300],
        [10, 290, 60, 70],
        [14, 280, 60, 70],
        [1115, 1892, 2088],
    ),
    ([64, 64], [32, 32, 3, 2], [33, 32, 3, 3], [15, 19, 28]),
    (
        [500, 130],
        [250, 65, 300, 90],
        [250, 70, 240, 80],
        [6249, 12200, 11772],
    ),
    ([20, 10], [9, 5, 40, 40], [9, 5, 40, 40], [56, 56, 56]),
];

#[test]
fn equals_golden_numbers() {
    for ([width, height], a, b, [shared, of_a, of_b]) in GOLDEN {
        let size = Size::new(width, height);
        let (a, b) = (ellipse(size, a), ellipse(size, b));
        let want = f64::from(shared) / f64::from(of_a + of_b - shared);
        assert_eq!(boundary_iou(&a, &b), want, "{size}");
        assert_eq!(boundary_iou(&b, &a), want, "{size}, swapped");
    }
}

/// Erosion by a square pixel by pixel; what lies outside the image is background.
fn slow_rim(mask: &Rle) -> Vec<bool> {
    let Size { width, height } = mask.size();
    let band = band_width(mask.size()) as isize;
    let bytes = mask.to_row_major();
    let is_set = |x: isize, y: isize| {
        let inside = (0..width as isize).contains(&x) && (0..height as isize).contains(&y);
        inside && bytes[x as usize + y as usize * width] == 1
    };
    (0..(width * height) as isize)
        .map(|at| {
            let (x, y) = (at % width as isize, at / width as isize);
            let survives = (-band..=band).all(|dy| (-band..=band).all(|dx| is_set(x + dx, y + dy)));
            is_set(x, y) && !survives
        })
        .collect()
}

fn slow_iou(a: &Rle, b: &Rle) -> f64 {
    let (a, b) = (slow_rim(a), slow_rim(b));
    let count = |of: &dyn Fn(bool, bool) -> bool| {
        a.iter().zip(&b).filter(|(a, b)| of(**a, **b)).count() as f64
    };
    let union = count(&|a, b| a || b);
    if union == 0.0 {
        0.0
    } else {
        count(&|a, b| a && b) / union
    }
}

/// A few rectangles minus a few, so with holes, parts and pixels at every border.
fn random_mask(random: &mut Random, size: Size) -> Rle {
    let mut mask = Rle::empty(size);
    for part in 0..1 + random.below(5) {
        let (w, h) = (1 + random.below(size.width), 1 + random.below(size.height));
        let (x, y) = (
            random.below(size.width - w + 1),
            random.below(size.height - h + 1),
        );
        let other = rectangle(size, [x, y, w, h]);
        mask = if part == 0 || random.chance(60) {
            mask.union(&other).unwrap()
        } else {
            mask.minus(&rectangle(size, [x, y, w.div_ceil(3), h.div_ceil(3)]))
                .unwrap()
        };
    }
    mask
}

#[test]
fn equals_a_slow_erosion() {
    let mut random = Random(3);
    for round in 0..300 {
        let size = Size::new(1 + random.below(140), 1 + random.below(140));
        let (a, b) = (
            random_mask(&mut random, size),
            random_mask(&mut random, size),
        );
        assert_eq!(
            boundary_iou(&a, &b),
            slow_iou(&a, &b),
            "round {round}, {size}"
        );
    }
}

/// Files may split a run by an empty one; the mask is the same, and so is its rim.
#[test]
fn a_run_split_by_an_empty_one_is_one_run() {
    let size = Size::new(1, 30);
    let whole = Rle::new(size, vec![5, 20, 5]).unwrap();
    let split = Rle::new(size, vec![5, 9, 0, 11, 5]).unwrap();
    assert_eq!(boundary_iou(&whole, &split), 1.0);
    let size = Size::new(9, 9);
    let whole = Rle::new(size, vec![0, 81]).unwrap();
    let split = Rle::new(size, vec![0, 40, 0, 41]).unwrap();
    assert_eq!(boundary_iou(&whole, &split), 1.0);
}

#[test]
fn the_band_is_two_percent_of_the_diagonal() {
    for (width, height, band) in [(640, 480, 16), (1333, 800, 31), (10, 10, 1), (1, 1, 1)] {
        assert_eq!(band_width(Size::new(width, height)), band);
    }
}

#[test]
fn overlaps_are_the_smaller_of_both() {
    let scenes = fixture_scenes().into_iter().map(|(_, scene)| scene);
    for scene in scenes.chain((0..60).map(|seed| random_drawing(seed).finish())) {
        let found = boundary_overlaps(&scene.input, &scene.overlaps, &|_| true).unwrap();
        for position in 0..scene.input.detections.len() {
            for pair in scene.overlaps.of(position) {
                let truth = &scene.input.truths[pair.truth as usize];
                let mask = &scene.input.detection(position).mask;
                let want = if pair.iou < 0.5 {
                    0.0
                } else if truth.is_crowd {
                    pair.iou
                } else {
                    pair.iou.min(slow_iou(mask, &truth.mask))
                };
                assert_eq!(found.iou(position, pair.truth), want);
            }
        }
    }
    let scene = random_drawing(1).finish();
    assert!(boundary_overlaps(&scene.input, &scene.overlaps, &|_| false).is_none());
}

/// A large object whose rim is wrong all round keeps its mask AP and loses its boundary AP.
#[test]
fn boundary_ap_sees_the_rim_of_large_objects() {
    let size = Size::new(400, 300);
    let mut drawing = Drawing::new(size, 1, &["cat"]);
    let truth = ellipse(size, [200, 150, 120, 110]);
    let loose = ellipse(size, [200, 150, 114, 105]);
    drawing
        .truth_mask(1, 1, 1, false, &truth)
        .detection_mask(1, 1, 0.9, &loose);
    let scene = drawing.finish();
    let rims = boundary_overlaps(&scene.input, &scene.overlaps, &|_| true).unwrap();
    let ap = |setup: &Setup<'_>| {
        let found = matches(setup, &scene.order, &Selection::default());
        accumulate(&scene.cells, &scene.order, &found).ap(Area::All)
    };
    let with_rims = Setup {
        overlaps: &rims,
        ..scene.setup()
    };
    let (masks, rims) = (ap(&scene.setup()), ap(&with_rims));
    // mask IoU .907: nine of ten thresholds; boundary IoU below .5: none
    assert!((masks - 0.9).abs() < 1e-12, "{masks}");
    assert_eq!(rims, 0.0);
}
