//! Folders that refuse, disks that are full, databases that are damaged, polygons that are none.

use std::time::{Duration, Instant};

use maskscope::document::review::{Access, Edit, ReviewError, SaveState, Shape, beside};

use super::{Home, add, disk, whole};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_folder_that_refuses() {
    let home = Home::new();
    // A folder where the lock should be: nobody can open it as a file, root neither.
    let lock = home.path().join("labels.json.maskscope.db.lock");
    std::fs::create_dir(&lock).unwrap();
    let mut review = home.open();
    assert!(
        review.notes()[0].contains("cannot be written"),
        "{:?}",
        review.notes()
    );
    let database = review.database().unwrap().to_owned();
    assert!(database.starts_with(home.path().join("data")));
    review.apply(&Edit::Delete { ids: vec![0] }).unwrap();
    review.close(PATIENCE).unwrap();
    assert!(!beside(&home.json).exists());
    let review = home.try_open(Access::Read).unwrap();
    assert_eq!(
        review.corrections().counts().deleted,
        1,
        "found there again"
    );
    // Neither place.
    drop(review);
    let home = Home::new();
    std::fs::create_dir(home.path().join("labels.json.maskscope.db.lock")).unwrap();
    std::fs::write(home.path().join("data"), "no folder").unwrap();
    assert!(matches!(
        home.try_open(Access::Edit),
        Err(ReviewError::Folder { .. })
    ));
}

#[test]
fn a_review_goes_on_where_its_folder_refuses() {
    let home = Home::new();
    let mut review = home.open();
    review.apply(&Edit::Delete { ids: vec![0] }).unwrap();
    review.close(PATIENCE).unwrap();
    // From now on nobody can lock what lies beside the set.
    let lock = home.path().join("labels.json.maskscope.db.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let mut review = home.open();
    assert!(!review.is_read_only());
    assert_eq!(review.history().len(), 1, "what was there is here");
    review.apply(&Edit::Delete { ids: vec![5] }).unwrap();
    review.close(PATIENCE).unwrap();
    let deleted = |access| {
        let review = home.try_open(access).unwrap();
        review.corrections().counts().deleted
    };
    assert_eq!(deleted(Access::Read), 2);
    assert_eq!(deleted(Access::Edit), 2);
    // It can be written again: the later of both goes on.
    std::fs::remove_dir(&lock).unwrap();
    assert_eq!(deleted(Access::Read), 2);
    assert_eq!(deleted(Access::Edit), 2);
    // A clock that runs ahead beside the set changes nothing, what somebody writes there does; then nothing is lost either.
    let data = home.path().join("data");
    let there = || std::fs::read_dir(&data).unwrap().count();
    let before = there();
    std::fs::create_dir(&lock).unwrap();
    assert_eq!(deleted(Access::Edit), 2);
    let later = std::time::SystemTime::now() + Duration::from_secs(60);
    let beside_set = std::fs::File::options()
        .append(true)
        .open(beside(&home.json))
        .unwrap();
    beside_set.set_modified(later).unwrap();
    let review = home.open();
    assert_eq!(review.corrections().counts().deleted, 1);
    assert!(review.notes()[0].contains("older"), "{:?}", review.notes());
    assert!(there() > before);
    drop(review);
    // The clock is still ahead: what was done since stays all the same.
    let mut review = home.open();
    review.apply(&Edit::Delete { ids: vec![9] }).unwrap();
    review.close(PATIENCE).unwrap();
    assert_eq!(deleted(Access::Edit), 2);
    // It can be written again and is the later one: where the other lies is told.
    std::fs::remove_dir(&lock).unwrap();
    beside_set
        .set_modified(later + Duration::from_secs(60))
        .unwrap();
    let review = home.open();
    assert_eq!(review.corrections().counts().deleted, 1);
    assert!(review.notes()[0].contains("older"), "{:?}", review.notes());
}

#[test]
fn a_full_disk_loses_nothing_acknowledged() {
    let home = Home::new();
    let mut review = home.open();
    let first = review.apply(&Edit::Delete { ids: vec![0] }).unwrap();
    review.wait_saved(first.ticket, PATIENCE).unwrap();
    review.limit_database(1); // no page more than there are
    let mut last = first.ticket;
    for step in 0..200u8 {
        let at = 5.0 + f32::from(step) * 0.1;
        last = review
            .apply(&add(1, Shape::Runs(disk(at, 9.0, 4.0))))
            .unwrap()
            .ticket;
    }
    let refused = review
        .wait_saved(last, Duration::from_millis(100))
        .unwrap_err();
    assert!(matches!(refused, ReviewError::NotSaved { .. }), "{refused}");
    assert!(refused.to_string().contains("full"), "{refused}");
    assert!(matches!(review.save_state(), SaveState::NotSaved(_)));
    // Who reads now finds what was acknowledged.
    let acknowledged = review.saved();
    let reader = home.try_open(Access::Read).unwrap();
    assert!(reader.history().len() as u64 >= acknowledged && acknowledged >= 1);
    assert!(reader.history().len() < 201);
    drop(reader);
    // Room again: everything comes to disk by itself.
    review.limit_database(0);
    review.wait_saved(last, PATIENCE).unwrap();
    assert_eq!(review.save_state(), SaveState::Saved);
    review.close(PATIENCE).unwrap();
    assert_eq!(home.open().history().len(), 201);
}

/// What happens to the file.
type Damage = fn(&mut Vec<u8>);

#[test]
fn a_damaged_database_is_put_aside() {
    let damages: [(&str, Damage); 3] = [
        ("no database at all", |bytes| {
            *bytes = b"this is no database, it is a letter".repeat(200)
        }),
        ("a broken page", |bytes| {
            let end = bytes.len();
            bytes[4096..end].fill(0xa5);
        }),
        ("cut off", |bytes| bytes.truncate(bytes.len() / 2)),
    ];
    for (name, damage) in damages {
        let home = Home::new();
        let source = std::fs::read(&home.json).unwrap();
        let mut review = home.open();
        for step in 0..40u8 {
            review
                .apply(&add(1, Shape::Runs(disk(f32::from(step), 9.0, 4.0))))
                .unwrap();
        }
        review.close(PATIENCE).unwrap();
        let database = beside(&home.json);
        let mut bytes = std::fs::read(&database).unwrap();
        damage(&mut bytes);
        std::fs::write(&database, &bytes).unwrap();
        let reading = home.try_open(Access::Read);
        assert!(
            matches!(reading, Err(ReviewError::Database { .. })),
            "{name}: told, not moved"
        );
        let error = home
            .try_open(Access::Edit)
            .err()
            .unwrap_or_else(|| panic!("{name}: opened"));
        let ReviewError::Damaged { backup, .. } = &error else {
            panic!("{name}: {error}");
        };
        assert!(
            std::fs::read(backup).unwrap() == bytes,
            "{name}: kept as it was"
        );
        assert!(!database.exists(), "{name}");
        assert!(std::fs::read(&home.json).unwrap() == source, "{name}");
        let mut review = home.open();
        assert!(review.corrections().is_empty(), "{name}");
        review.apply(&Edit::Delete { ids: vec![0] }).unwrap();
        review.close(PATIENCE).unwrap();
    }
}

#[test]
fn a_later_version_is_left_alone() {
    let home = Home::new();
    home.open().close(PATIENCE).unwrap();
    let connection = rusqlite::Connection::open(beside(&home.json)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    for access in [Access::Edit, Access::Read] {
        assert!(matches!(
            home.try_open(access),
            Err(ReviewError::TooNew { found: 99, .. })
        ));
    }
}

#[test]
fn an_entry_of_another_version_is_told() {
    let home = Home::new();
    let mut review = home.open();
    review.apply(&Edit::Delete { ids: vec![0] }).unwrap();
    review.close(PATIENCE).unwrap();
    let connection = rusqlite::Connection::open(beside(&home.json)).unwrap();
    let changed = "UPDATE entries SET changes = '[{\"rename\": 1}]'";
    connection.execute(changed, []).unwrap();
    drop(connection);
    for access in [Access::Edit, Access::Read] {
        let refused = home.try_open(access);
        assert!(matches!(refused, Err(ReviewError::UnknownEntry { seq: 1 })));
    }
}

#[test]
fn polygons_of_all_kinds() {
    let mut review = home_review();
    let mask = |points: &[f64]| add(1, Shape::Polygons(vec![points.to_vec()]));
    for (points, words) in [
        (vec![], "0 points"),
        (vec![1.0, 1.0, 5.0, 5.0], "2 points"),
        (vec![1.0, 1.0, 5.0, 5.0, 9.0], "2 points"),
        (vec![1.0, 1.0, f64::NAN, 5.0, 9.0, 1.0], "no finite number"),
    ] {
        let refused = review.apply(&mask(&points)).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    let none = review
        .apply(&add(1, Shape::Polygons(Vec::new())))
        .unwrap_err();
    assert!(none.to_string().contains("no part"), "{none}");
    // A bow tie: both halves are inside.
    let tie = [5.0, 5.0, 25.0, 25.0, 25.0, 5.0, 5.0, 25.0];
    let id = review.apply(&mask(&tie)).unwrap().new_ids[0] as u64;
    let tie = review.mask(id).unwrap();
    assert!(
        tie.contains(7, 14) && tie.contains(22, 14) && !tie.contains(14, 7),
        "{}",
        tie.area()
    );
    // Far outside on every side.
    let far = [-1e4, -1e4, 1e4, -1e4, 1e4, 1e4, -1e4, 1e4];
    let id = review.apply(&mask(&far)).unwrap().new_ids[0] as u64;
    assert_eq!(review.mask(id).unwrap(), whole());
    let touching = review.apply(&add(1, Shape::Runs(whole()))).unwrap();
    assert_eq!(
        review.mask(touching.new_ids[0] as u64).unwrap().area(),
        1200
    );
    let wrong = add(
        1,
        Shape::Runs(maskscope::structures::Rle::empty(
            maskscope::structures::Size::new(3, 3),
        )),
    );
    assert!(matches!(review.apply(&wrong), Err(ReviewError::Shape(_))));
}

fn home_review() -> maskscope::document::review::ReviewSession {
    Home::new().memory()
}

#[test]
fn a_hundred_thousand_vertices() {
    let mut set = super::set_json();
    for image in set["images"].as_array_mut().unwrap() {
        image["width"] = 4096.into();
        image["height"] = 4096.into();
    }
    let home = Home::of(&set);
    let mut review = home.open();
    let corner = |at: usize| {
        let angle = at as f64 / 100_000.0 * std::f64::consts::TAU;
        let radius = if at.is_multiple_of(2) { 1500.0 } else { 1510.0 };
        [2048.0 + radius * angle.cos(), 2048.0 + radius * angle.sin()]
    };
    let points: Vec<f64> = (0..100_000).flat_map(corner).collect();
    let begin = Instant::now();
    let shape = Shape::Polygons(vec![points]);
    let done = review.apply(&add(1, shape.clone())).unwrap();
    review.wait_saved(done.ticket, PATIENCE).unwrap();
    println!(
        "an edit with 100,000 vertices, checked and on disk: {:?}",
        begin.elapsed()
    );
    let area = review.mask(done.new_ids[0] as u64).unwrap().area() as f64;
    let circle = std::f64::consts::PI * 1505.0f64.powi(2);
    assert!((area / circle - 1.0).abs() < 0.01, "{area}");
    review.close(PATIENCE).unwrap();
    assert_eq!(home.open().shape(done.new_ids[0] as u64).unwrap(), shape);
}
