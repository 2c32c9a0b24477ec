//! What each edit does, in words and numbers, and what is refused.

use maskscope::document::review::{
    Edit, Opinion, Origin, PredictionKey, ReviewError, Shape, Target, Verdict, rasterise_with_holes,
};

use super::{Home, add, disk};

fn square(x: f64, y: f64) -> Shape {
    Shape::Polygons(vec![vec![x, y, x + 5.0, y, x + 5.0, y + 5.0, x, y + 5.0]])
}

#[test]
fn polygons_stay_polygons_until_painted() {
    let home = Home::new();
    let mut review = home.memory();
    assert!(matches!(review.shape(5).unwrap(), Shape::Polygons(parts) if parts.len() == 2));
    let moved = Edit::SetMask {
        id: 5,
        segmentation: square(3.0, 3.0),
    };
    let applied = review.apply(&moved).unwrap();
    assert_eq!(applied.words, "Change the polygon of dog #5 in 000001.png");
    assert!(!applied.is_painted);
    assert!(matches!(review.shape(5).unwrap(), Shape::Polygons(_)));
    let painted = Edit::SetMask {
        id: 5,
        segmentation: Shape::Runs(disk(10.0, 10.0, 4.0)),
    };
    let applied = review.apply(&painted).unwrap();
    let words = &applied.words;
    assert!(words.contains("polygon becomes run lengths"), "{words}");
    assert!(applied.is_painted);
    let again = review.apply(&painted).unwrap();
    assert!(!again.is_change && !again.is_painted, "nothing differs");
    assert_eq!(review.history_position(), 2);
}

#[test]
fn fields_deletion_and_ids() {
    let home = Home::new();
    let mut review = home.memory();
    let class = Edit::SetClass {
        id: 0,
        category_id: 3,
    };
    let words = review.apply(&class).unwrap().words;
    assert_eq!(words, "Make person #0 in 000001.png a dog");
    let crowd = Edit::SetCrowd {
        id: 0,
        iscrowd: true,
    };
    review.apply(&crowd).unwrap();
    let gone = review.apply(&Edit::Delete { ids: vec![0, 12] }).unwrap();
    assert_eq!(gone.words, "Delete 2 annotations");
    let first = review.apply(&add(3, square(1.0, 1.0))).unwrap();
    assert_eq!(first.new_ids, [13], "one above the largest");
    review.undo().unwrap();
    let second = review.apply(&add(3, square(2.0, 2.0))).unwrap();
    assert_eq!(second.new_ids, [14], "13 was given once");
    let counts = review.corrections().counts();
    assert_eq!((counts.deleted, counts.added), (2, 1));
    assert!(matches!(
        review.apply(&class),
        Err(ReviewError::NoAnnotation(0))
    ));
}

#[test]
fn split_and_merge() {
    let home = Home::new();
    let mut review = home.memory();
    let split = Edit::Split {
        id: 5,
        parts: Vec::new(),
    };
    let done = review.apply(&split).unwrap();
    assert_eq!(done.words, "Split dog #5 in 000001.png into 2");
    assert_eq!(done.new_ids, [13]);
    assert!(
        matches!(review.shape(5).unwrap(), Shape::Polygons(p) if p.len() == 1 && p[0][0] == 20.0)
    );
    assert!(matches!(review.shape(13).unwrap(), Shape::Polygons(p) if p[0][0] == 2.0));
    let merged = review.apply(&Edit::Merge { ids: vec![5, 13] }).unwrap();
    assert_eq!(merged.words, "Merge 2 into dog #5 in 000001.png");
    assert!(matches!(review.shape(5).unwrap(), Shape::Polygons(p) if p.len() == 2));
    review.undo().unwrap();
    review.undo().unwrap();
    assert!(review.corrections().is_empty());

    let (left, right) = (disk(8.0, 8.0, 3.0), disk(30.0, 20.0, 5.0));
    let both = left.union(&right).unwrap();
    let id = review.apply(&add(1, Shape::Runs(both))).unwrap().new_ids[0] as u64;
    let parts = Vec::new();
    let new = review.apply(&Edit::Split { id, parts }).unwrap().new_ids;
    assert_eq!(review.mask(id).unwrap(), right, "the largest keeps the id");
    assert_eq!(review.mask(new[0] as u64).unwrap(), left);
    let one = Edit::Split {
        id,
        parts: Vec::new(),
    };
    let refused = review.apply(&one).unwrap_err().to_string();
    assert!(refused.contains("has one part"), "{refused}");
    for ids in [vec![5], vec![5, 5], vec![5, 12]] {
        assert!(matches!(
            review.apply(&Edit::Merge { ids }),
            Err(ReviewError::Impossible { .. })
        ));
    }
}

#[test]
fn an_id_that_the_file_has_is_not_given_again() {
    let mut set = super::set_json();
    // One that is left out, for its box cannot be read.
    let list = set["annotations"].as_array_mut().unwrap();
    list.push(serde_json::json!({"id": 40, "image_id": "one", "category_id": 1}));
    let home = Home::of(&set);
    let mut review = home.memory();
    assert!(review.record(40).is_none(), "it is left out");
    let new = review.apply(&add(1, square(1.0, 1.0))).unwrap().new_ids;
    assert_eq!(new, [41]);
}

#[test]
fn categories_are_unique() {
    let home = Home::new();
    let mut review = home.memory();
    let new = |name: &str, id| Edit::AddCategory {
        name: name.into(),
        id,
    };
    assert_eq!(review.apply(&new("cat", None)).unwrap().new_ids, [4]);
    assert_eq!(review.apply(&new("cow", Some(90))).unwrap().new_ids, [90]);
    assert_eq!(review.apply(&new("hen", None)).unwrap().new_ids, [91]);
    for (name, id) in [
        ("dog", None),
        ("cow", None),
        ("owl", Some(3)),
        ("owl", Some(90)),
        (" ", None),
        (" dog ", None),
        ("owl", Some(-1)),
    ] {
        assert!(review.apply(&new(name, id)).is_err(), "{name} {id:?}");
    }
    let names = review.classes().names;
    assert_eq!(names, ["person", "dog", "cat", "cow", "hen"]);
    let class = Edit::SetClass {
        id: 0,
        category_id: 90,
    };
    review.apply(&class).unwrap();
    let (annotations, _) = review.annotations(0).unwrap();
    assert_eq!(annotations[0].label, 3);
    let unknown = Edit::SetClass {
        id: 0,
        category_id: 77,
    };
    assert!(matches!(
        review.apply(&unknown),
        Err(ReviewError::NoCategory(77))
    ));
}

/// COCO polygons have no holes: one with a hole becomes run lengths.
#[test]
fn a_hole_is_cut_out() {
    let ring = |a: f64, b: f64| vec![a, a, b, a, b, b, a, b];
    let size = maskscope::structures::Size::new(40, 30);
    let parts = [ring(2.0, 20.0)];
    let mask = rasterise_with_holes(&parts, &[ring(5.0, 10.0)], size).unwrap();
    assert_eq!(mask.area(), 18 * 18 - 25);
    assert!(mask.contains(4, 7) && !mask.contains(7, 7));
    let none = rasterise_with_holes(&parts, &[vec![5.0, 5.0, 9.0, 9.0]], size).unwrap();
    assert_eq!(none.area(), 18 * 18, "two points cut nothing");
    assert!(rasterise_with_holes(&[], &parts, size).is_err());
    let home = Home::new();
    let mut review = home.memory();
    let id = review
        .apply(&add(3, Shape::Runs(mask.clone())))
        .unwrap()
        .new_ids[0] as u64;
    assert_eq!(review.mask(id).unwrap(), mask);
}

#[test]
fn opinions_and_promotion() {
    let home = Home::new();
    let mut review = home.memory();
    let prediction = Target::Prediction(PredictionKey::new(2, "abc", &disk(9.0, 9.0, 3.0)));
    for (target, verdict) in [
        (Target::Annotation(5), Verdict::BadMask),
        (prediction.clone(), Verdict::Reject),
        (Target::Image(3), Verdict::MissingObject),
    ] {
        let verdict = Some(verdict);
        review.apply(&Edit::Verdict { target, verdict }).unwrap();
    }
    let tags = vec!["b".into(), "a".into(), "b".into()];
    let target = prediction.clone();
    review.apply(&Edit::Tags { target, tags }).unwrap();
    let note = Edit::Note {
        target: Target::Annotation(5),
        note: "half of it, \"really\"".into(),
    };
    review.apply(&note).unwrap();
    assert_eq!(
        review.opinion(&prediction),
        Opinion {
            verdict: Some(Verdict::Reject),
            tags: vec!["a".into(), "b".into()],
            note: String::new(),
        }
    );
    // The same mask, found again; another one, not.
    let again = Target::Prediction(PredictionKey::new(2, "abc", &disk(9.0, 9.0, 3.0)));
    assert!(review.opinions().contains_key(&again));
    let other = Target::Prediction(PredictionKey::new(2, "abc", &disk(9.0, 9.0, 4.0)));
    assert!(!review.opinions().contains_key(&other));
    for target in [Target::Annotation(77), Target::Image(77)] {
        let verdict = Some(Verdict::Accept);
        assert!(review.apply(&Edit::Verdict { target, verdict }).is_err());
    }

    let promote = Edit::Together {
        words: String::new(),
        edits: vec![
            Edit::Add {
                image_id: 2,
                category_id: 1,
                segmentation: Shape::Runs(disk(9.0, 9.0, 3.0)),
                iscrowd: false,
                origin: Some(Origin {
                    source: "r50.pth".into(),
                    score: 0.9,
                    mask_iou: Some(0.8),
                }),
            },
            Edit::Verdict {
                target: prediction.clone(),
                verdict: Some(Verdict::Accept),
            },
        ],
    };
    let done = review.apply(&promote).unwrap();
    assert_eq!(done.words, "Promote to person #13 in 000002.png");
    let (annotations, _) = review.annotations(1).unwrap();
    assert_eq!(annotations[2].origin.as_ref().map(|o| o.score), Some(0.9));
    let nan = Edit::Add {
        image_id: 2,
        category_id: 1,
        segmentation: Shape::Runs(disk(9.0, 9.0, 3.0)),
        iscrowd: false,
        origin: Some(Origin {
            source: "r50.pth".into(),
            score: f64::NAN,
            mask_iou: None,
        }),
    };
    assert!(matches!(review.apply(&nan), Err(ReviewError::NotFinite)));
    review.undo().unwrap();
    assert_eq!(review.annotations(1).unwrap().0.len(), 2);
    assert_eq!(review.opinion(&prediction).verdict, Some(Verdict::Reject));
}

/// A composite whose second part is refused leaves nothing of its first.
#[test]
fn together_is_all_or_nothing() {
    let home = Home::new();
    let mut review = home.memory();
    let before = review.state().clone();
    let edit = Edit::Together {
        words: "both".into(),
        edits: vec![
            Edit::Delete { ids: vec![0] },
            Edit::Delete { ids: vec![77] },
        ],
    };
    assert!(review.apply(&edit).is_err());
    assert_eq!(*review.state(), before);
    assert!(review.history().is_empty());
}

#[test]
fn edits_are_read_and_written_as_json() {
    for text in [
        r#"{"edit":"set_class","id":5,"category_id":1}"#,
        r#"{"edit":"set_mask","id":5,"segmentation":[[1.0,1.0,9.0,1.0,9.0,9.0]]}"#,
        r#"{"edit":"verdict","target":{"annotation":5},"verdict":"bad_mask"}"#,
        r#"{"edit":"verdict","target":{"prediction":{"image_id":2,"source":"abc","mask":"00ff"}},"verdict":null}"#,
        r#"{"edit":"add_category","name":"cat","id":null}"#,
    ] {
        let edit: Edit = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&edit).unwrap(), text);
    }
    let added: Edit = serde_json::from_str(
        r#"{"edit":"add","image_id":1,"category_id":1,"segmentation":{"size":[30,40],"counts":[100,50,1050]}}"#,
    )
    .unwrap();
    let Edit::Add {
        segmentation: Shape::Runs(mask),
        iscrowd: false,
        ..
    } = added
    else {
        panic!("{added:?}");
    };
    assert_eq!(mask.area(), 50);
}
