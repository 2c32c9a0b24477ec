//! `P.bbox.json` and `P.segm.json`: exact form, round trip, joining.

use std::path::Path;

use maskscope::coco::predictions::{self, Joined, Pair, PairImage};
use maskscope::coco::{CocoError, PredictedImage};
use maskscope::structures::{BoxXywh, ClassTable, Detection, Rle, Size};

fn detection(label: usize, score: f64, mask_iou: f64) -> Detection {
    Detection {
        bbox: BoxXywh::new(f64::from(0.1_f32) + score, 0.0, 2.5, 3.0),
        label,
        score,
        mask_iou: Some(mask_iou),
        iou_score: score * mask_iou,
        mask: Rle::new(Size::new(4, 3), vec![1, 4, 7]).unwrap(),
        quality: None,
    }
}

fn classes() -> ClassTable {
    ClassTable {
        names: vec!["category 3".into(), "category 17".into()],
        category_ids: vec![3, 17],
    }
}

/// Not in the order of the files.
fn images() -> Vec<(u64, Vec<Detection>)> {
    vec![
        (12, vec![detection(1, 0.25, 0.5)]),
        (7, vec![detection(0, 0.5, 1.0), detection(1, 0.75, 0.25)]),
    ]
}

fn write(prefix: &Path, images: &[(u64, Vec<Detection>)]) -> Result<(), CocoError> {
    let images = images.iter().map(|(image_id, detections)| PairImage {
        image_id: *image_id,
        detections,
    });
    predictions::write_pair(prefix, images, &classes())
}

fn written(images: &[(u64, Vec<Detection>)]) -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("P");
    write(&prefix, images).unwrap();
    predictions::read_pair(&prefix).unwrap().unwrap()
}

/// By hand from semantics.md 7.2.
const SEGM: &str = r#"[
 {
  "image_id": 7,
  "bbox": [
   0.8500000014901161,
   0.0,
   2.5,
   3.0
  ],
  "score": 0.1875,
  "category_id": 17,
  "segmentation": {
   "size": [
    3,
    4
   ],
   "counts": "147"
  }
 }
]"#;

#[test]
fn the_form_is_that_of_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("run.v2");
    assert_eq!(predictions::read_pair(&prefix).unwrap(), None);
    write(&prefix, &[(7, vec![detection(1, 0.75, 0.25)])]).unwrap();
    let read = |suffix: &str| std::fs::read_to_string(folder.path().join(suffix)).unwrap();
    assert_eq!(read("run.v2.segm.json"), SEGM);
    let cut = SEGM.find(",\n  \"segmentation\"").unwrap();
    let bbox = SEGM[..cut].replace("0.1875", "0.75") + "\n }\n]";
    assert_eq!(read("run.v2.bbox.json"), bbox);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    // One file alone is no pair.
    std::fs::remove_file(folder.path().join("run.v2.bbox.json")).unwrap();
    assert_eq!(predictions::read_pair(&prefix).unwrap(), None);
}

#[test]
fn a_pair_that_runs_parallel_joins_to_what_was_written() {
    let pair = written(&images());
    assert!(!pair.bbox.has_masks && pair.segm.has_masks);
    let scores = |file: &maskscope::coco::PredictionFile| -> Vec<f64> {
        let all = file.images.iter().flat_map(|image| &image.detections);
        all.map(|detection| detection.score).collect()
    };
    assert_eq!(scores(&pair.bbox), [0.75, 0.5, 0.25]);
    assert_eq!(scores(&pair.segm), [0.1875, 0.5, 0.125]);
    let Joined::Whole(file) = pair.join() else {
        panic!("the lists run parallel");
    };
    assert_eq!(file.classes, classes());
    let mut want = images();
    want.sort_by_key(|&(id, _)| id);
    want[0].1.reverse(); // by descending score
    for (image, (id, detections)) in file.images.iter().zip(want) {
        let want = PredictedImage {
            image_id: Some(id),
            ..PredictedImage::new(id.to_string(), Size::new(4, 3), detections)
        };
        assert_eq!(*image, want);
    }
    assert_eq!(file.images.len(), 2);
}

#[test]
fn lists_that_part_stay_apart() {
    let parted = |change: &dyn Fn(&mut Pair), words: &str| {
        let mut pair = written(&images());
        change(&mut pair);
        let before = pair.clone();
        match pair.join() {
            Joined::Apart { pair, reason } => {
                assert!(reason.contains(words), "{words}: {reason}");
                assert_eq!(*pair, before);
            }
            Joined::Whole(_) => panic!("{words}: joined"),
        }
    };
    parted(&|pair| pair.segm.has_masks = false, "no masks");
    parted(
        &|pair| drop(pair.segm.images.pop()),
        "2 images, the segm file 1",
    );
    parted(
        &|pair| pair.bbox.images.reverse(),
        "image 12 of the bbox file",
    );
    parted(
        &|pair| drop(pair.segm.images[0].detections.pop()),
        "image 7 has 2 boxes and 1 masks",
    );
    parted(
        &|pair| pair.segm.images[0].detections.reverse(),
        "prediction 0 on image 7",
    );
    parted(
        &|pair| pair.segm.images[1].detections[0].label = 0,
        "prediction 0 on image 12",
    );
    // Same class, ranked by its own score: only the boxes tell.
    parted(
        &|pair| {
            for file in [&mut pair.bbox, &mut pair.segm] {
                file.images[0]
                    .detections
                    .iter_mut()
                    .for_each(|d| d.label = 0);
            }
            pair.segm.images[0].detections.reverse();
        },
        "prediction 0 on image 7",
    );
}

#[test]
fn a_score_of_zero_has_no_mask_iou() {
    let pair = written(&[(1, vec![detection(0, 0.0, 0.5)])]);
    let Joined::Whole(file) = pair.join() else {
        panic!("the lists run parallel");
    };
    assert_eq!(file.images[0].detections[0].mask_iou, None);
}

#[test]
fn what_cannot_be_written_leaves_the_old_files() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("P");
    write(&prefix, &images()).unwrap();
    let before = predictions::read_pair(&prefix).unwrap();
    let mut broken = images();
    broken[1].1[0].label = 2;
    assert!(matches!(
        write(&prefix, &broken),
        Err(CocoError::NoCategoryId { .. })
    ));
    broken[1].1[0] = detection(0, f64::NAN, 0.5);
    assert!(matches!(
        write(&prefix, &broken),
        Err(CocoError::NotFinite { .. })
    ));
    assert_eq!(predictions::read_pair(&prefix).unwrap(), before);
    assert!(matches!(
        write(&folder.path().join("no/P"), &images()),
        Err(CocoError::Write { .. })
    ));
}
