//! The synthetic set: repeatable, exact, a COCO set as any other.

use maskscope::coco::Dataset;
use maskscope::data::decode;
use maskscope::data::synth::{self, CLASSES, Contents, Shapes, Stats, SynthError, write_set};
use maskscope::structures::Size;

#[test]
fn the_same_seed_gives_the_same_picture() {
    let size = Size::new(96, 64);
    let (a, b) = (synth::scene(1, 5, size), synth::scene(1, 5, size));
    assert_eq!(a.image.rgb, b.image.rgb);
    assert_eq!(a.instances, b.instances);
    assert_ne!(a.image.rgb, synth::scene(1, 6, size).image.rgb);
    assert_ne!(a.image.rgb, synth::scene(2, 5, size).image.rgb);
}

#[test]
fn masks_are_disjoint_and_boxes_enclose_them() {
    let (mut count, mut classes) = (0, [0usize; CLASSES.len()]);
    let pictures = 60;
    for index in 0..pictures {
        let scene = synth::scene(7, index, Size::new(256, 256));
        assert!(scene.instances.len() <= 8);
        let mut owned = vec![0u8; scene.image.size.pixels()];
        for instance in &scene.instances {
            assert_eq!(instance.mask.size(), scene.image.size);
            assert_eq!(instance.bbox, instance.mask.bbox());
            assert!(instance.mask.area() > 0);
            for (owned, set) in owned.iter_mut().zip(instance.mask.to_row_major()) {
                *owned += set;
            }
            classes[instance.class] += 1;
        }
        assert!(owned.iter().all(|&owners| owners <= 1), "picture {index}");
        count += scene.instances.len();
    }
    // 3 to 8 with equal chance, mean 5.5; a few find no place.
    let mean = count as f64 / pictures as f64;
    assert!((4.6..6.2).contains(&mean), "mean {mean}");
    assert!(classes.iter().all(|&n| n > count / 10), "{classes:?}");
}

#[test]
fn a_ring_s_hole_is_not_mask() {
    let ring = CLASSES.iter().position(|&name| name == "ring");
    let scene = (0..50)
        .map(|index| synth::scene(11, index, Size::new(256, 256)))
        .find(|scene| scene.instances.last().map(|i| i.class) == ring)
        .unwrap();
    let instance = scene.instances.last().unwrap(); // on top: whole unless the border cuts it
    let bbox = instance.bbox;
    let inside = bbox.x > 0.0 && bbox.y > 0.0;
    assert!(inside && bbox.x + bbox.width < 256.0 && bbox.y + bbox.height < 256.0);
    let centre = (bbox.x + bbox.width / 2.0, bbox.y + bbox.height / 2.0);
    assert!(!instance.mask.contains(centre.0 as usize, centre.1 as usize));
}

#[test]
fn coco_statistics_have_coco_s_shape() {
    let (mut counts, mut areas) = (Vec::new(), Vec::new());
    for index in 0..120 {
        let scene = synth::scene_with(3, index, Size::new(320, 240), Stats::Coco.into());
        counts.push(scene.instances.len());
        // In pixels of 640×480.
        areas.extend(scene.instances.iter().map(|i| 4.0 * i.mask.area() as f64));
    }
    let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    assert!((5.0..9.0).contains(&mean), "{mean} a picture");
    assert!(counts.iter().any(|&n| n >= 20), "no long tail");
    let share = |low: f64, high: f64| {
        let n = areas
            .iter()
            .filter(|&&area| area >= low && area < high)
            .count();
        n as f64 / areas.len() as f64
    };
    let shares = [
        share(0.0, 1024.0),
        share(1024.0, 9216.0),
        share(9216.0, 1e9),
    ];
    for (got, want) in shares.iter().zip([0.41, 0.34, 0.25]) {
        assert!((got - want).abs() < 0.1, "{shares:?}");
    }
}

#[test]
fn a_written_set_opens_as_coco() {
    let folder = tempfile::tempdir().unwrap();
    let mut calls = Vec::new();
    let summary = write_set(
        folder.path(),
        20,
        4,
        Size::new(64, 48),
        Stats::Plain.into(),
        &mut |done, total| {
            calls.push((done, total));
            true
        },
    )
    .unwrap();
    assert!(summary.complete);
    assert_eq!(calls.last(), Some(&(20, 20)));
    let set = Dataset::open(folder.path()).unwrap();
    assert_eq!((set.images().len(), set.missing()), (20, 0));
    assert_eq!(set.annotation_count(), summary.instances);
    assert_eq!(set.classes().names, CLASSES);
    assert_eq!(set.images()[7].file_name, "000007.png");
    let scene = synth::scene(4, 7, Size::new(64, 48));
    assert_eq!(
        decode(&set.images()[7].path, None).unwrap().rgb,
        scene.image.rgb
    );
    let found = set.annotations(7);
    assert!(found.dropped.is_empty(), "{:?}", found.dropped);
    let masks: Vec<_> = found
        .kept
        .iter()
        .map(|a| (a.label, &a.mask, a.bbox))
        .collect();
    let want: Vec<_> = scene
        .instances
        .iter()
        .map(|i| (i.class, &i.mask, i.bbox))
        .collect();
    assert_eq!(masks, want);
}

#[test]
fn other_shapes_have_classes_of_their_own() {
    let contents = Contents {
        shapes: Shapes::Other,
        ..Contents::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let size = Size::new(128, 128);
    write_set(folder.path(), 6, 9, size, contents, &mut |_, _| true).unwrap();
    let set = Dataset::open(folder.path()).unwrap();
    assert_eq!(set.classes().names, ["cross", "hexagon", "crescent"]);
    // Share of its box that a shape fills, on average over turns.
    let mut shares: [Vec<f64>; 3] = Default::default();
    for index in 0..600 {
        let scene = synth::scene_with(5, index, Size::new(256, 256), contents);
        // The last one is covered by none.
        let Some(last) = scene.instances.last() else {
            continue;
        };
        let b = last.bbox;
        if b.x >= 1.0 && b.y >= 1.0 && b.x + b.width <= 255.0 && b.y + b.height <= 255.0 {
            shares[last.class].push(last.mask.area() as f64 / (b.width * b.height));
        }
    }
    let means = shares.map(|shares| {
        assert!(shares.len() > 50);
        shares.iter().sum::<f64>() / shares.len() as f64
    });
    let [cross, hexagon, crescent] = means;
    assert!((0.45..0.65).contains(&cross), "{cross}");
    assert!((0.70..0.85).contains(&hexagon), "{hexagon}");
    assert!((0.40..0.65).contains(&crescent), "{crescent}");
}

#[test]
fn a_stopped_set_has_no_labels() {
    let folder = tempfile::tempdir().unwrap();
    let summary = write_set(
        folder.path(),
        40,
        4,
        Size::new(32, 32),
        Stats::Plain.into(),
        &mut |_, _| false,
    )
    .unwrap();
    assert!(!summary.complete && summary.images < 40);
    assert!(!folder.path().join("labels.json").exists());
}

#[test]
fn sets_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let go = |out: &std::path::Path, size| {
        write_set(out, 1, 1, size, Stats::Plain.into(), &mut |_, _| true)
    };
    let error = go(&file.join("set"), Size::new(64, 64)).unwrap_err();
    assert!(matches!(error, SynthError::Write { .. }), "{error}");
    let error = go(folder.path(), Size::new(64, 9_000_000)).unwrap_err();
    assert!(matches!(error, SynthError::Size { .. }), "{error}");
}
