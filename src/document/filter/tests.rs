//! Filter and order on a few images of every kind.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::document::ImageState;
use crate::structures::{BoxXywh, Detection, Rle, Size};

const LONG: Duration = Duration::from_secs(60);

fn detection(label: usize, score: f64, mask_iou: Option<f64>) -> Detection {
    Detection {
        bbox: BoxXywh::new(0.0, 0.0, 2.0, 1.0),
        label,
        score,
        mask_iou,
        iou_score: score * mask_iou.unwrap_or(1.0),
        mask: Rle::empty(Size::new(4, 4)),
        quality: None,
    }
}

fn image(name: &str, detections: Option<Vec<Detection>>) -> ImageEntry {
    ImageEntry {
        path: name.into(),
        name: name.into(),
        key: name.into(),
        declared: None,
        size: Some(Size::new(name.len(), 10)),
        state: detections.map_or(ImageState::Idle, |d| ImageState::Done(Arc::new(d))),
        annotations: name.len(),
    }
}

fn images() -> Vec<ImageEntry> {
    let anton = vec![detection(0, 0.9, Some(0.5)), detection(1, 0.2, Some(0.9))];
    vec![
        image("Anton.jpg", Some(anton)),
        image("berta.jpg", None),
        image("Ärger.jpg", Some(vec![detection(1, 0.8, Some(0.8)); 3])),
        image("caesar.png", Some(Vec::new())),
    ]
}

fn classes() -> ClassTable {
    ClassTable {
        names: vec!["cat".into(), "dog".into()],
        category_ids: vec![17, 18],
    }
}

fn evaluation() -> EvaluationFields {
    EvaluationFields {
        tp: vec![Some(1), None, Some(0), Some(0)],
        fp: vec![Some(1), None, Some(3), Some(0)],
        misses: vec![Some(0), None, Some(2), Some(7)],
        ap: vec![Some(0.9), None, Some(0.1), Some(0.0)],
        suspicions: Vec::new(),
        annotation_suspicions: Vec::new(),
        statuses: vec![vec![
            Some(Status::TruePositive),
            Some(Status::FalsePositive),
        ]],
        measured_iou: vec![vec![Some(0.7), Some(0.0)]],
        annotation_statuses: vec![vec![], vec![], vec![], vec![Some(Status::FalseNegative)]],
    }
}

/// Each image has one crowd of dogs of its index in area.
struct Truth;

impl GroundTruth for Truth {
    fn image_id(&self, image: usize) -> Option<u64> {
        Some(100 + image as u64)
    }

    fn annotations(&self, image: usize) -> Vec<AnnotationFields> {
        vec![AnnotationFields {
            id: 1,
            label: 1,
            bbox: BoxXywh::new(0.0, 0.0, 4.0, 4.0),
            area: 1000.0 * image as f64,
            is_crowd: true,
        }]
    }
}

fn found(images: &[ImageEntry], order: &ImageQuery, threshold: f64, full: bool) -> Vec<usize> {
    let (classes, evaluation) = (classes(), evaluation());
    let input = FilterInput {
        images,
        classes: &classes,
        revision: 1,
        evaluation: full.then_some(&evaluation),
        truth: if full { Some(&Truth) } else { None },
        rank_by: RankBy::Score,
        threshold,
    };
    let (mut filter, mut gallery) = (GalleryFilter::default(), Vec::new());
    let next = filter.renew(&mut gallery, order, &input, 0.0, LONG);
    assert_eq!(next, Next::Change, "{order:?}: {:?}", filter.error());
    assert!(filter.error().is_none(), "{:?}", filter.error());
    gallery
}

#[track_caller]
fn check(order: &ImageQuery, threshold: f64, expected: &[usize]) {
    assert_eq!(
        found(&images(), order, threshold, false),
        expected,
        "{order:?}"
    );
}

fn sorted(sort: SortBy, descending: bool) -> ImageQuery {
    ImageQuery {
        sort,
        descending,
        ..ImageQuery::default()
    }
}

fn typed(text: &str) -> ImageQuery {
    ImageQuery {
        text: text.into(),
        ..ImageQuery::default()
    }
}

#[test]
fn names_and_instances_filter() {
    check(&typed(""), 0.0, &[0, 1, 2, 3]);
    check(&typed(" JPG"), 0.0, &[0, 1, 2]);
    check(&typed("ärg"), 0.0, &[2]);
    check(&typed("none"), 0.0, &[]);
    check(&typed("class = dog"), 0.0, &[0, 2]);
    check(&typed("class = dog"), 0.5, &[2]);
    check(&typed("category_id = 18 and mask_iou > 0.85"), 0.0, &[0]);
    check(&typed("instances = 0"), 0.0, &[3]);
    check(&typed("not instances = 0"), 0.0, &[0, 1, 2]);
    check(&typed("file ~ png or score > 0.85"), 0.0, &[0, 3]);
    check(&typed("aspect = 2 and width = 2"), 0.0, &[0, 2]);
    check(&typed("image.width < 10"), 0.0, &[0, 1]);
    check(
        &typed("tp >= 0 or status = tp or measured_iou >= 0"),
        0.0,
        &[],
    );
    check(&typed("kind = annotation"), 0.0, &[]);
}

#[test]
fn evaluation_and_annotations_are_asked_where_they_are() {
    let check = |text: &str, expected: &[usize]| {
        assert_eq!(
            found(&images(), &typed(text), 0.0, true),
            expected,
            "{text}"
        );
    };
    check("tp >= 0", &[0, 2, 3]);
    check("fn > 1 and image.ap < 0.05", &[3]);
    check("status = tp", &[0]);
    check("measured_iou = 0", &[0]);
    check("status = fn", &[3]);
    check("image.id = 102", &[2]);
    check("annotations > 9", &[2, 3]);
    // Annotations count where there are no predictions, or where they are meant.
    check("class = dog and area >= 1000", &[1]);
    check("kind = annotation and area >= 2000", &[2, 3]);
    check("iscrowd and size = small", &[0, 1]);
    check("kind = prediction", &[0, 2]);
}

#[test]
fn orders_put_what_has_no_number_last() {
    check(&sorted(SortBy::FileOrder, true), 0.0, &[3, 2, 1, 0]);
    check(&sorted(SortBy::Count, true), 0.0, &[2, 0, 3, 1]);
    check(&sorted(SortBy::Count, false), 0.5, &[3, 0, 2, 1]);
    check(&sorted(SortBy::BestScore, true), 0.0, &[0, 2, 1, 3]);
    check(&sorted(SortBy::BestScore, false), 0.0, &[2, 0, 1, 3]);
    check(&sorted(SortBy::MeanScore, true), 0.0, &[2, 0, 1, 3]);
    check(&sorted(SortBy::MeanScore, true), 0.5, &[0, 2, 1, 3]);
    check(&sorted(SortBy::LowestMaskIou, false), 0.5, &[0, 2, 1, 3]);
    check(&sorted(SortBy::ImageAp, false), 0.0, &[0, 1, 2, 3]);
    let full = |sort, descending| found(&images(), &sorted(sort, descending), 0.0, true);
    assert_eq!(full(SortBy::ImageAp, false), [3, 2, 0, 1]);
    assert_eq!(full(SortBy::TruePositives, true), [0, 2, 3, 1]);
    assert_eq!(full(SortBy::FalsePositives, true), [2, 0, 3, 1]);
    assert_eq!(full(SortBy::FalseNegatives, true), [3, 2, 0, 1]);
}

#[test]
fn annotations_count_where_there_are_no_predictions_at_all() {
    let images = [image("a", None), image("ccc", None), image("bb", None)];
    assert_eq!(
        found(&images, &sorted(SortBy::Count, true), 0.3, false),
        [1, 2, 0]
    );
}

#[test]
fn a_wrong_text_leaves_the_list_and_says_where() {
    let (images, classes) = (images(), classes());
    let mut input = FilterInput {
        images: &images,
        classes: &classes,
        revision: 1,
        evaluation: None,
        truth: None,
        rank_by: RankBy::Score,
        threshold: 0.0,
    };
    let (mut filter, mut gallery) = (GalleryFilter::default(), Vec::new());
    filter.renew(&mut gallery, &typed("class = dog"), &input, 0.0, LONG);
    assert_eq!(gallery, [0, 2]);
    filter.renew(
        &mut gallery,
        &typed("class = dog and scor"),
        &input,
        0.1,
        LONG,
    );
    assert_eq!(
        (gallery.as_slice(), filter.error().unwrap().column),
        (&[0, 2][..], 16)
    );
    assert_eq!(filter.count_of(&input, 2, &[0, 1, 2]), Some(3));
    filter.renew(&mut gallery, &typed("Anton"), &input, 0.2, LONG);
    assert_eq!((gallery.as_slice(), filter.error()), (&[0][..], None));
    assert_eq!(
        filter.count_of(&input, 0, &[0, 1]),
        None,
        "names alone are asked for"
    );
    // Predictions arrive: the list is renewed, at the latest after a while.
    input.revision = 2;
    let next = filter.renew(&mut gallery, &typed("Anton"), &input, 100.0, LONG);
    assert_eq!(next, Next::Change);
}

#[test]
fn a_long_pass_takes_turns_and_keeps_the_old_list() {
    let many: Vec<ImageEntry> = (0..5_000)
        .map(|n| image(&format!("{n:05}"), Some(vec![detection(n % 2, 0.5, None)])))
        .collect();
    let classes = classes();
    let input = FilterInput {
        images: &many,
        classes: &classes,
        revision: 1,
        evaluation: None,
        truth: None,
        rank_by: RankBy::Score,
        threshold: 0.0,
    };
    let (mut filter, mut gallery) = (GalleryFilter::default(), vec![7]);
    let (order, mut turns) = (typed("class = dog"), 1);
    while filter.renew(&mut gallery, &order, &input, 0.0, Duration::ZERO) == Next::Frame {
        assert!(filter.is_running());
        assert_eq!(gallery, [7], "the old list stays");
        turns += 1;
    }
    assert_eq!(turns, 5_000_usize.div_ceil(64));
    assert_eq!(gallery.len(), 2_500);
    assert!(gallery.iter().all(|index| index % 2 == 1));
    // Another text in the middle begins anew.
    filter.renew(
        &mut gallery,
        &typed("class = cat"),
        &input,
        0.0,
        Duration::ZERO,
    );
    let next = filter.renew(&mut gallery, &typed("00042"), &input, 0.0, LONG);
    assert_eq!((next, gallery.as_slice()), (Next::Change, &[42][..]));
}
