//! What is on disk: acknowledged edits, one editor at a time, merging with a changed file, queues, the audit trail.

use std::time::Duration;

use maskscope::document::review::{
    Access, ConflictKind, Edit, Keep, Queue, ReviewError, SaveState, Shape, Target, Verdict,
};
use serde_json::json;

use super::{Home, add, disk, set_json};

const PATIENCE: Duration = Duration::from_secs(20);

fn reject(id: u64) -> Edit {
    Edit::Verdict {
        target: Target::Annotation(id),
        verdict: Some(Verdict::Reject),
    }
}

#[test]
fn a_second_window_reads() {
    let home = Home::new();
    let mut first = home.open();
    let ticket = first.apply(&Edit::Delete { ids: vec![5] }).unwrap().ticket;
    first.wait_saved(ticket, PATIENCE).unwrap();
    assert_eq!(first.save_state(), SaveState::Saved);
    assert!(first.saved() >= ticket);
    let mut second = home.open();
    assert!(second.is_read_only());
    assert!(
        second.notes()[0].contains("another window"),
        "{:?}",
        second.notes()
    );
    assert_eq!(second.corrections(), first.corrections());
    assert!(matches!(
        second.apply(&reject(0)),
        Err(ReviewError::ReadOnly { .. })
    ));
    assert!(second.undo().is_err() && second.redo().is_err());
    first.close(PATIENCE).unwrap();
    let third = home.open();
    assert!(!third.is_read_only(), "the lock went with the first");
    assert_eq!(third.history().len(), 1);
}

#[test]
fn reading_makes_nothing() {
    let home = Home::new();
    let review = home.try_open(Access::Read).unwrap();
    assert!(review.is_read_only() && review.corrections().is_empty());
    drop(review);
    let names = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(names, 1, "the JSON alone");
}

#[test]
fn the_source_is_never_touched() {
    let home = Home::new();
    let before = std::fs::read(&home.json).unwrap();
    let mut review = home.open();
    review.apply(&Edit::Delete { ids: vec![0] }).unwrap();
    review
        .apply(&add(2, Shape::Runs(disk(5.0, 5.0, 2.0))))
        .unwrap();
    review.close(PATIENCE).unwrap();
    assert!(std::fs::read(&home.json).unwrap() == before);
}

#[test]
fn edits_follow_a_changed_file() {
    let home = Home::new();
    let mut review = home.open();
    for id in [0, 5, 9, 12] {
        let crowd = Edit::SetCrowd {
            id,
            iscrowd: id != 9,
        };
        review.apply(&crowd).unwrap();
    }
    let painted = Shape::Runs(disk(9.0, 9.0, 3.0));
    let new = review.apply(&add(3, painted.clone())).unwrap().new_ids;
    assert_eq!(new, [13]);
    assert!(review.set().check_unchanged().is_ok());

    // Another program: 5 gets another class, 12 goes, 13 is new; 0 and 9 stay, written with other space.
    let mut set = set_json();
    set["annotations"][1]["category_id"] = json!(1);
    let fresh = json!({"id": 13, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 4, "bbox": [0, 0, 2, 2],
                       "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]});
    let list = set["annotations"].as_array_mut().unwrap();
    list.remove(3);
    list.push(fresh);
    std::fs::write(&home.json, set.to_string()).unwrap();
    assert!(review.set().check_unchanged().is_err());
    let refused = review.apply(&Edit::Delete { ids: vec![0] });
    assert!(refused.is_ok(), "its record is known already: {refused:?}");
    review.undo().unwrap();
    review.close(PATIENCE).unwrap();

    let mut review = home.open();
    let kinds: Vec<(u64, ConflictKind)> =
        review.conflicts().iter().map(|c| (c.id, c.kind)).collect();
    assert_eq!(
        kinds,
        [
            (5, ConflictKind::Changed),
            (12, ConflictKind::Gone),
            (13, ConflictKind::SameId)
        ]
    );
    assert!(review.corrections().annotations.contains_key(&0), "went on");
    assert!(review.settle(0, Keep::Mine).is_err());
    review.settle(5, Keep::Theirs).unwrap();
    assert!(!review.corrections().annotations.contains_key(&5));
    review.settle(12, Keep::Mine).unwrap();
    review.settle(13, Keep::Mine).unwrap();
    assert!(review.conflicts().is_empty());
    review.undo().unwrap();
    assert_eq!(review.conflicts().len(), 1, "the decision was taken back");
    review.redo().unwrap();
    assert!(review.conflicts().is_empty());
    let (third, _) = review.annotations(2).unwrap();
    assert_eq!(third[0].id, 14, "another id, since the file has 13 now");
    assert_eq!(third[0].shape, painted);
    let (second, _) = review.annotations(1).unwrap();
    assert!(
        second
            .iter()
            .any(|a| a.id == 12 && a.is_crowd && a.area > 60.0),
        "it is back"
    );
    review.close(PATIENCE).unwrap();
    let review = home.open();
    assert!(
        review.conflicts().is_empty(),
        "settled for good: {:?}",
        review.conflicts()
    );
}

#[test]
fn mine_over_theirs_is_asked_once() {
    let home = Home::new();
    let mut review = home.open();
    review
        .apply(&Edit::SetClass {
            id: 0,
            category_id: 3,
        })
        .unwrap();
    review.close(PATIENCE).unwrap();
    let mut set = set_json();
    set["annotations"][0]["area"] = json!(1.0);
    std::fs::write(&home.json, set.to_string()).unwrap();
    let mut review = home.open();
    assert_eq!(review.conflicts().len(), 1);
    review.settle(0, Keep::Mine).unwrap();
    assert!(review.history()[1].words.starts_with("Keep mine: "));
    // The decision is taken back like everything else.
    review.undo().unwrap();
    assert_eq!(review.conflicts().len(), 1);
    review.redo().unwrap();
    assert!(review.conflicts().is_empty());
    review.close(PATIENCE).unwrap();
    let mut review = home.open();
    assert!(review.conflicts().is_empty());
    assert_eq!(review.annotations(0).unwrap().0[0].category_id, 3);
    // All taken back, it is what the file has now, not what it had.
    review.undo().unwrap();
    review.undo().unwrap();
    assert!(review.corrections().is_empty());
    assert!(review.conflicts().is_empty());
}

#[test]
fn what_is_done_again_is_held_against_the_file() {
    let home = Home::new();
    let mut review = home.open();
    let class = Edit::SetClass {
        id: 0,
        category_id: 3,
    };
    review.apply(&class).unwrap();
    review.undo().unwrap();
    review.close(PATIENCE).unwrap();
    let mut set = set_json();
    set["annotations"][0]["area"] = json!(1.0);
    std::fs::write(&home.json, set.to_string()).unwrap();
    let mut review = home.open();
    assert!(review.conflicts().is_empty(), "nothing is edited");
    review.redo().unwrap();
    assert_eq!(review.conflicts()[0].kind, ConflictKind::Changed);
    assert!(matches!(
        review.check_settled(),
        Err(ReviewError::Conflicts(1))
    ));
    review.undo().unwrap();
    assert!(review.conflicts().is_empty());
    // Edited here after the other program: two bases, one history.
    review.close(PATIENCE).unwrap();
    let mut review = home.open();
    review.apply(&class).unwrap();
    assert_eq!(review.annotations(0).unwrap().0[0].category_id, 3);
    review.close(PATIENCE).unwrap();
    let mut review = home.open();
    assert!(
        review.conflicts().is_empty(),
        "it was made on what is there"
    );
    review.undo().unwrap();
    assert!(review.corrections().is_empty());
}

#[test]
fn a_category_of_another_program_does_not_take_the_place_of_ours() {
    let home = Home::new();
    let mut review = home.open();
    for (name, id) in [("cart", 4), ("bus", 5)] {
        let new = Edit::AddCategory {
            name: name.into(),
            id: Some(id),
        };
        review.apply(&new).unwrap();
    }
    for (id, category_id) in [(0, 4), (5, 5)] {
        review.apply(&Edit::SetClass { id, category_id }).unwrap();
    }
    review.close(PATIENCE).unwrap();
    // They have another one under the id of one, and the other one under another id.
    let mut set = set_json();
    let categories = set["categories"].as_array_mut().unwrap();
    categories.push(json!({"id": 4, "name": "truck"}));
    categories.push(json!({"id": 9, "name": "bus"}));
    std::fs::write(&home.json, set.to_string()).unwrap();
    let check = |review: &maskscope::document::review::ReviewSession| {
        let (annotations, _) = review.annotations(0).unwrap();
        let classes = review.classes();
        let names: Vec<String> = annotations
            .iter()
            .map(|it| classes.name(it.label))
            .collect();
        assert_eq!(names, ["cart", "bus"]);
        assert_eq!(annotations[1].category_id, 9);
        assert!(annotations[0].category_id > 9, "an id that nobody has");
        assert_eq!(classes.names, ["person", "dog", "truck", "bus", "cart"]);
    };
    let reader = home.try_open(Access::Read).unwrap();
    check(&reader);
    let mut review = home.open();
    check(&review);
    let told = |note: &String| note.contains("category cart is");
    assert!(review.notes().iter().any(told), "{:?}", review.notes());
    assert_eq!(review.history().len(), 4, "no entry of its own");
    // Undo and redo know no other id.
    for _ in 0..4 {
        review.undo().unwrap();
    }
    assert!(review.corrections().is_empty());
    for _ in 0..4 {
        review.redo().unwrap();
    }
    check(&review);
    review.close(PATIENCE).unwrap();
    let review = home.open();
    check(&review);
    assert_eq!(review.history().len(), 4);
    assert!(!review.notes().iter().any(told), "once");
}

#[test]
fn categories_that_change_places_are_not_mixed_up() {
    let home = Home::new();
    let mut review = home.open();
    for name in ["ship", "car"] {
        let new = Edit::AddCategory {
            name: name.into(),
            id: None,
        };
        review.apply(&new).unwrap();
    }
    for (id, category_id) in [(0, 4), (5, 5)] {
        review.apply(&Edit::SetClass { id, category_id }).unwrap();
    }
    // What is undone is another one's by the time it is done again.
    review.undo().unwrap();
    review.close(PATIENCE).unwrap();
    let mut set = set_json();
    let categories = set["categories"].as_array_mut().unwrap();
    categories.push(json!({"id": 4, "name": "car"}));
    categories.push(json!({"id": 5, "name": "ship"}));
    std::fs::write(&home.json, set.to_string()).unwrap();
    let mut review = home.open();
    review.redo().unwrap();
    let (annotations, _) = review.annotations(0).unwrap();
    let ids: Vec<i64> = annotations.iter().map(|it| it.category_id).collect();
    assert_eq!(ids, [5, 4], "a ship and a car");
    assert_eq!(review.classes().names, ["person", "dog", "car", "ship"]);
}

#[test]
fn an_image_that_is_gone_is_a_conflict() {
    let home = Home::new();
    let mut review = home.open();
    let painted = Shape::Runs(disk(9.0, 9.0, 3.0));
    review.apply(&add(3, painted)).unwrap();
    review.close(PATIENCE).unwrap();
    let mut set = set_json();
    set["images"].as_array_mut().unwrap().remove(2);
    std::fs::write(&home.json, set.to_string()).unwrap();
    let mut review = home.open();
    let conflict = review.conflicts()[0].clone();
    assert_eq!((conflict.id, conflict.kind), (13, ConflictKind::ImageGone));
    let refused = review.settle(13, Keep::Mine).unwrap_err();
    assert!(refused.to_string().contains("image 3 is gone"), "{refused}");
    assert_eq!(review.conflicts().len(), 1, "still to be decided");
    review.settle(13, Keep::Theirs).unwrap();
    assert!(review.conflicts().is_empty() && review.corrections().is_empty());
}

#[test]
fn what_is_gone_is_done_in_a_queue() {
    let home = Home::new();
    let mut review = home.open();
    let items = [0, 5, 9, 12].map(Target::Annotation).to_vec();
    review.keep_queue(Queue::new("queue", items)).unwrap();
    review.apply(&Edit::Merge { ids: vec![0, 5] }).unwrap();
    let next = |review: &mut maskscope::document::review::ReviewSession| {
        let step = review.walk_queue("queue", |queue, said| queue.next(said).cloned());
        step.unwrap()
    };
    assert_eq!(next(&mut review), Some(Target::Annotation(9)));
    review.apply(&Edit::Delete { ids: vec![9, 12] }).unwrap();
    assert_eq!(next(&mut review), Some(Target::Annotation(0)));
    review.apply(&reject(0)).unwrap();
    assert_eq!(next(&mut review), None);
    let words = review.progress(&review.queues()["queue"]).words();
    assert_eq!(words, "4 of 4, 1 rejected");
    review.undo().unwrap();
    review.undo().unwrap();
    assert_eq!(next(&mut review), Some(Target::Annotation(9)));
}

#[test]
fn queues_and_the_trail_survive() {
    let home = Home::new();
    let mut review = home.open();
    let items = [0, 5, 9, 12].map(Target::Annotation).to_vec();
    let mut queue = Queue::new("suspects", items);
    review.apply(&reject(0)).unwrap();
    queue.next(&|item| review.standing(item));
    queue.skip(&|item| review.standing(item));
    review.keep_queue(queue.clone()).unwrap();
    review.undo().unwrap();
    review.redo().unwrap();
    review.undo().unwrap();
    let note = Edit::Note {
        target: Target::Annotation(9),
        note: "a \"crowd\", or not".into(),
    };
    review.apply(&note).unwrap();
    review.close(PATIENCE).unwrap();

    let review = home.open();
    assert_eq!(review.queues()["suspects"], queue);
    assert_eq!(review.history().len(), 1, "the other branch is gone");
    let mut csv = Vec::new();
    review.audit().write(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 6, "{csv}");
    let actions: Vec<&str> = rows[1..]
        .iter()
        .map(|row| row.split(',').nth(3).unwrap())
        .collect();
    assert_eq!(actions, ["do", "undo", "redo", "undo", "do"]);
    assert!(rows[5].contains(r#"\""crowd\"", or not"#), "{}", rows[5]);
}

#[test]
fn the_trail_holds_the_mask_that_was_changed() {
    let home = Home::new();
    let mut review = home.memory();
    let painted = Edit::SetMask {
        id: 0,
        segmentation: Shape::Runs(disk(9.0, 9.0, 3.0)),
    };
    review.apply(&painted).unwrap();
    let mut csv = Vec::new();
    review.audit().write(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert!(
        csv.contains("[[1.0,2.0,9.0,2.0,9.0,10.0,1.0,10.0]]"),
        "{csv}"
    );
}
