use proptest::prelude::*;

use super::*;

fn masks() -> impl Strategy<Value = (Size, Vec<u8>, Vec<u8>)> {
    (1usize..9, 1usize..9).prop_flat_map(|(width, height)| {
        let bytes = proptest::collection::vec(0u8..2, width * height);
        (Just(Size::new(width, height)), bytes.clone(), bytes)
    })
}

fn transposed(size: Size, row_major: &[u8]) -> Vec<u8> {
    (0..size.pixels())
        .map(|at| row_major[at / size.height + at % size.height * size.width])
        .collect()
}

proptest! {
    #[test]
    fn row_and_column_major_agree_and_come_back((size, a, _) in masks()) {
        let rle = Rle::from_row_major(size, &a).unwrap();
        prop_assert_eq!(&rle, &Rle::from_column_major(size, &transposed(size, &a)).unwrap());
        prop_assert_eq!(&Rle::new(size, rle.runs().to_vec()).unwrap(), &rle);
        prop_assert_eq!(rle.to_row_major(), a);
    }

    #[test]
    fn sets_equal_pixels((size, a, b) in masks()) {
        let (ra, rb) = (Rle::from_row_major(size, &a).unwrap(), Rle::from_row_major(size, &b).unwrap());
        let both = |f: fn(u8, u8) -> u8| a.iter().zip(&b).map(|(&x, &y)| f(x, y)).collect::<Vec<u8>>();
        let inter = both(|x, y| x & y).iter().map(|&v| u64::from(v)).sum::<u64>();
        let union = both(|x, y| x | y);
        prop_assert_eq!(ra.intersection_area(&rb).unwrap(), inter);
        prop_assert_eq!(ra.union(&rb).unwrap().to_row_major(), union.clone());
        prop_assert_eq!(ra.minus(&rb).unwrap().to_row_major(), both(|x, y| x & (1 - y)));
        let total = union.iter().map(|&v| u64::from(v)).sum::<u64>();
        let iou = if total == 0 { 0.0 } else { inter as f64 / total as f64 };
        prop_assert_eq!(ra.iou(&rb).unwrap(), iou);
    }

    #[test]
    fn contains_and_bbox_equal_pixels((size, a, _) in masks()) {
        let rle = Rle::from_row_major(size, &a).unwrap();
        let ends = rle.ends();
        let mut found: Option<(usize, usize, usize, usize)> = None;
        for y in 0..size.height {
            for x in 0..size.width {
                let set = a[y * size.width + x] == 1;
                prop_assert_eq!(rle.contains(x, y), set);
                let at = (x * size.height + y) as u32;
                prop_assert_eq!(ends.partition_point(|&end| end <= at) % 2 == 1, set);
                if set {
                    let (l, t, r, b) = found.unwrap_or((x, y, x, y));
                    found = Some((l.min(x), t.min(y), r.max(x), b.max(y)));
                }
            }
        }
        let want = found.map_or(BoxXywh::default(), |(l, t, r, b)| {
            BoxXywh::new(l as f64, t as f64, (r - l + 1) as f64, (b - t + 1) as f64)
        });
        prop_assert_eq!(rle.bbox(), want);
    }
}

#[test]
fn outside_is_background() {
    let rle = Rle::new(Size::new(2, 2), vec![0, 4]).unwrap();
    assert!(rle.contains(1, 1));
    assert!(!rle.contains(2, 0));
    assert!(!rle.contains(0, 2));
}

#[test]
fn different_sizes_are_refused() {
    let (a, b) = (Rle::empty(Size::new(2, 3)), Rle::empty(Size::new(3, 2)));
    assert!(matches!(a.iou(&b), Err(RleError::Sizes { .. })));
    assert!(matches!(a.union(&b), Err(RleError::Sizes { .. })));
    assert!(matches!(
        Rle::from_row_major(Size::new(2, 2), &[0; 3]),
        Err(RleError::Bytes { got: 3, .. })
    ));
}

#[test]
fn a_mask_beyond_u32_still_sums_up() {
    let size = Size::new(1 << 17, 1 << 16);
    let rle = Rle::empty(size);
    assert_eq!(rle.area(), 0);
    assert!(Rle::new(size, rle.runs().to_vec()).is_ok());
}
