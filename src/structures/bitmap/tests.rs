use super::*;
use crate::structures::{BoxXywh, Random};

const SIZES: [Size; 6] = [
    Size {
        width: 1,
        height: 1,
    },
    Size {
        width: 5,
        height: 63,
    },
    Size {
        width: 7,
        height: 64,
    },
    Size {
        width: 9,
        height: 65,
    },
    Size {
        width: 130,
        height: 129,
    },
    Size {
        width: 200,
        height: 3,
    },
];

fn noise(size: Size, random: &mut Random, share: f64) -> Vec<u8> {
    (0..size.pixels())
        .map(|_| u8::from(random.unit() < share))
        .collect()
}

#[test]
fn run_lengths_come_back() {
    let mut random = Random::new(1);
    for size in SIZES {
        for share in [0.0, 0.02, 0.5, 0.98, 1.0] {
            let rle = Rle::from_column_major(size, &noise(size, &mut random, share)).unwrap();
            let bitmap = EditableMask::from_rle(&rle);
            assert_eq!(bitmap.to_rle(), rle, "{size} {share}");
            assert_eq!(bitmap.area(), rle.area());
            let bbox = rle.bbox();
            let bounds = bitmap.bounds().map(|r| (r.left, r.top, r.right, r.bottom));
            let want = (rle.area() > 0).then(|| {
                let (left, top) = (bbox.x as usize, bbox.y as usize);
                (
                    left,
                    top,
                    left + bbox.width as usize,
                    top + bbox.height as usize,
                )
            });
            assert_eq!(bounds, want);
        }
    }
}

/// Distance of a point from a segment, squared.
fn distance(p: (f64, f64), a: (f64, f64), b: (f64, f64)) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let t = if length == 0.0 {
        0.0
    } else {
        (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length).clamp(0.0, 1.0)
    };
    (p.0 - a.0 - t * dx).powi(2) + (p.1 - a.1 - t * dy).powi(2)
}

#[test]
fn a_stroke_is_every_pixel_near_the_way() {
    let mut random = Random::new(2);
    for step in 0..400 {
        let size = SIZES[step % SIZES.len()];
        let mut point = || {
            let along = |side: usize, unit: f64| (unit * 1.6 - 0.3) * side as f64;
            (
                along(size.width, random.unit()) as f32,
                along(size.height, random.unit()) as f32,
            )
        };
        let (from, mut to) = (point(), point());
        match step % 5 {
            0 => to = from,
            1 => to.0 = from.0,
            2 => to.1 = from.1,
            _ => {}
        }
        let radius = (random.unit() * 40.0) as f32;
        let before = EditableMask::from_rle(
            &Rle::from_column_major(size, &noise(size, &mut random, 0.3)).unwrap(),
        );
        let paint = if step % 2 == 0 {
            Paint::Add
        } else {
            Paint::Erase
        };
        let mut mask = before.clone();
        let dirty = mask.stroke(from, to, radius, paint);
        let wide = |p: (f32, f32)| (f64::from(p.0), f64::from(p.1));
        let mut changed: Option<PixelRect> = None;
        for x in 0..size.width {
            for y in 0..size.height {
                let square = distance((x as f64 + 0.5, y as f64 + 0.5), wide(from), wide(to));
                let is_touched = square.sqrt() <= f64::from(radius);
                let is_edge = (square.sqrt() - f64::from(radius)).abs() < 1e-9;
                let want = match (is_touched, paint) {
                    (true, Paint::Add) => true,
                    (true, Paint::Erase) => false,
                    (false, _) => before.contains(x, y),
                };
                let got = mask.contains(x, y);
                assert!(got == want || is_edge, "{x},{y} of step {step}");
                if got != before.contains(x, y) {
                    let (right, bottom) = (x + 1, y + 1);
                    let here = PixelRect {
                        left: x,
                        top: y,
                        right,
                        bottom,
                    };
                    changed = Some(changed.map_or(here, |known| known.around(here)));
                }
            }
        }
        assert_eq!(dirty, changed, "step {step}");
    }
}

#[test]
fn nonsense_paints_nothing() {
    let mut mask = EditableMask::new(Size::new(8, 8));
    for (at, radius) in [
        (f32::NAN, 1.0),
        (f32::INFINITY, 1.0),
        (1.0, f32::NAN),
        (1.0, -1.0),
    ] {
        assert_eq!(mask.stroke((at, 1.0), (2.0, 2.0), radius, Paint::Add), None);
    }
    let far = mask.stroke((1e30, 1e30), (1e30, 1e30), 3.0, Paint::Add);
    assert_eq!((far, mask.area()), (None, 0));
    let all = mask.stroke((-1e6, 4.0), (1e6, 4.0), 1e6, Paint::Add);
    assert_eq!(mask.area(), 64);
    assert_eq!(
        all,
        Some(PixelRect {
            left: 0,
            top: 0,
            right: 8,
            bottom: 8
        })
    );
    assert_eq!(
        mask.stroke((4.0, 4.0), (4.0, 4.0), 2.0, Paint::Add),
        None,
        "nothing changes"
    );
    let mut none = EditableMask::new(Size::new(0, 0));
    assert_eq!(none.stroke((0.0, 0.0), (1.0, 1.0), 5.0, Paint::Add), None);
    assert_eq!(none.to_rle().area(), 0);
}

#[test]
fn masks_are_laid_over_each_other() {
    let mut random = Random::new(3);
    for size in SIZES {
        let a = Rle::from_column_major(size, &noise(size, &mut random, 0.5)).unwrap();
        let b = Rle::from_column_major(size, &noise(size, &mut random, 0.5)).unwrap();
        let combined = |how| {
            let mut mask = EditableMask::from_rle(&a);
            mask.combine(&b, how).unwrap();
            mask.to_rle()
        };
        assert_eq!(combined(Combine::Union), a.union(&b).unwrap());
        assert_eq!(combined(Combine::Subtract), a.minus(&b).unwrap());
        let both = combined(Combine::Intersect);
        assert_eq!(both.area(), a.intersection_area(&b).unwrap());
        assert_eq!(both.minus(&a).unwrap().area(), 0);
    }
    let mut mask = EditableMask::new(Size::new(4, 4));
    let other = Rle::empty(Size::new(5, 4));
    assert!(mask.combine(&other, Combine::Union).is_err());
}

#[test]
fn a_rectangle_reaches_every_border() {
    let size = Size::new(9, 65);
    let mut mask = EditableMask::new(size);
    let whole = PixelRect {
        left: 0,
        top: 0,
        right: 100,
        bottom: 100,
    };
    let dirty = mask.rectangle(whole, Paint::Add);
    assert_eq!(
        dirty,
        Some(PixelRect {
            left: 0,
            top: 0,
            right: 9,
            bottom: 65
        })
    );
    assert_eq!(mask.area(), 9 * 65);
    let inner = PixelRect {
        left: 1,
        top: 1,
        right: 8,
        bottom: 64,
    };
    assert_eq!(mask.rectangle(inner, Paint::Erase), Some(inner));
    assert_eq!(mask.area(), 9 * 65 - 7 * 63);
}

#[test]
fn points_near_the_border_go_to_it() {
    let size = Size::new(100, 50);
    for (point, want) in [
        ((3.0, 25.0), (0.0, 25.0)),
        ((97.5, 48.0), (100.0, 50.0)),
        ((-20.0, 60.0), (0.0, 50.0)),
        ((50.0, 25.0), (50.0, 25.0)),
    ] {
        assert_eq!(snapped_to_border(point, size, 3.0), want);
    }
}

/// The value under each pixel's centre, pixel by pixel.
fn mapped_slowly(mask: &Rle, from: BoxXywh, to: BoxXywh) -> Rle {
    let size = mask.size();
    let back = |at: usize, from: (f64, f64), to: (f64, f64)| {
        let centre = at as f64 + 0.5;
        match from.1 == to.1 {
            true => centre - (to.0 - from.0).round(),
            false => from.0 + (centre - to.0) * from.1 / to.1,
        }
        .floor()
    };
    let mut bytes = Vec::with_capacity(size.pixels());
    for x in 0..size.width {
        for y in 0..size.height {
            let x = back(x, (from.x, from.width), (to.x, to.width));
            let y = back(y, (from.y, from.height), (to.y, to.height));
            let is_inside = x >= 0.0 && y >= 0.0;
            bytes.push(u8::from(is_inside && mask.contains(x as usize, y as usize)));
        }
    }
    Rle::from_column_major(size, &bytes).unwrap()
}

#[test]
fn a_mask_follows_its_box() {
    let mut random = Random::new(9);
    for step in 0..300 {
        let size = SIZES[step % SIZES.len()];
        let mask = Rle::from_column_major(size, &noise(size, &mut random, 0.4)).unwrap();
        // Sides of powers of two: both ways of reckoning are exact then, and no centre falls between two pixels by chance.
        let mut side = || 2f64.powi((random.unit() * 7.0) as i32);
        let (width, height) = (side(), side());
        let mut place = |side: usize| (random.unit() * side as f64).floor();
        let from = BoxXywh::new(place(size.width), place(size.height), width, height);
        let mut to = BoxXywh {
            x: place(size.width) - 3.0,
            y: place(size.height) - 3.0,
            ..from
        };
        if step % 3 == 1 {
            to.width *= 2.0;
            to.height *= 0.5;
        }
        if step % 3 == 2 {
            to.height *= 4.0;
        }
        let mapped = EditableMask::mapped(&mask, from, to).to_rle();
        assert_eq!(mapped, mapped_slowly(&mask, from, to), "{from:?} {to:?}");
    }
    let mask = Rle::from_column_major(SIZES[4], &noise(SIZES[4], &mut random, 0.4)).unwrap();
    let flat = BoxXywh::new(3.0, 4.0, 0.0, 5.0);
    let whole = BoxXywh::new(0.0, 0.0, 9.0, 9.0);
    for (from, to) in [(flat, whole), (whole, flat)] {
        assert_eq!(EditableMask::mapped(&mask, from, to).to_rle(), mask);
    }
}
