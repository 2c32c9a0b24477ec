//! Random edits, undos and redos: the state is always what replaying the history gives, and undoing everything gives the set.

use maskscope::document::review::{Change, Edit, ReviewSession, Shape, State, Target, Verdict};
use maskscope::structures::Random;

use super::{Home, disk};

/// Ids that can be meant: those of the set and new ones, some of which do not exist.
fn some_id(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => [0, 5, 9, 12][random.below(4)],
        _ => random.below(60) as u64,
    }
}

fn shape(random: &mut Random) -> Shape {
    let (x, y) = (random.unit() * 40.0, random.unit() * 30.0);
    if random.below(2) == 0 {
        return Shape::Polygons(vec![vec![x, y, x + 6.0, y, x + 3.0, y + 7.0]]);
    }
    Shape::Runs(disk(x as f32, y as f32, 1.0 + random.unit() as f32 * 5.0))
}

fn edit(random: &mut Random) -> Edit {
    let id = some_id(random);
    let target = match random.below(2) {
        0 => Target::Annotation(id),
        _ => Target::Image(1 + id % 3),
    };
    match random.below(12) {
        0 | 1 => Edit::SetMask {
            id,
            segmentation: shape(random),
        },
        2 => Edit::SetClass {
            id,
            category_id: [1, 3, 4][random.below(3)],
        },
        3 => Edit::SetCrowd {
            id,
            iscrowd: random.below(2) == 0,
        },
        4 => Edit::Delete { ids: vec![id] },
        5 => Edit::Add {
            image_id: 1 + random.below(3) as u64,
            category_id: 1,
            segmentation: shape(random),
            iscrowd: false,
            origin: None,
        },
        6 => Edit::Split {
            id,
            parts: vec![shape(random), shape(random)],
        },
        7 => Edit::Merge {
            ids: vec![id, some_id(random)],
        },
        8 => Edit::AddCategory {
            name: format!("class {}", random.below(40)),
            id: None,
        },
        9 => Edit::Verdict {
            target,
            verdict: Verdict::ALL.get(random.below(6)).copied(),
        },
        10 => Edit::Note {
            target,
            note: ["", "look", "again"][random.below(3)].into(),
        },
        _ => Edit::Together {
            words: String::new(),
            edits: vec![
                Edit::Delete { ids: vec![id] },
                Edit::SetClass {
                    id: some_id(random),
                    category_id: 3,
                },
            ],
        },
    }
}

/// What the history says, made by hand: the last value of each thing wins.
fn check_replayed(review: &ReviewSession, file: &[u64]) {
    let mut records = std::collections::BTreeMap::new();
    let mut opinions = std::collections::BTreeMap::new();
    let mut categories = std::collections::BTreeMap::new();
    for line in &review.history()[..review.history_position()] {
        for change in line.changes() {
            match change {
                Change::Annotation { id, after, .. } => {
                    records.insert(id, after);
                }
                Change::Base { .. } => {}
                Change::Category { id, after, .. } => {
                    categories.insert(id, after);
                }
                Change::Opinion { target, after, .. } => {
                    opinions.insert(target, after);
                }
            }
        }
    }
    opinions.retain(|_, opinion| !opinion.is_empty());
    assert_eq!(*review.opinions(), opinions);
    let kept = categories
        .into_iter()
        .filter_map(|(id, name)| Some((id, name?)));
    assert_eq!(review.corrections().categories, kept.collect());
    for (id, record) in &records {
        match review.corrections().annotations.get(id) {
            Some(now) => assert_eq!(now, record),
            // As in the file, or never there.
            None if file.contains(id) => {
                let record = record.as_ref().unwrap();
                assert!(record.shape.is_none() && !record.is_new, "{record:?}");
            }
            None => assert_eq!(*record, None),
        }
    }
    let unknown = review.corrections().annotations.keys();
    assert!(unknown.into_iter().all(|id| records.contains_key(id)));
}

#[derive(Default)]
struct Done {
    edits: usize,
    refused: usize,
    moves: usize,
}

fn go(review: &mut ReviewSession, random: &mut Random, steps: usize, check_every: usize) -> Done {
    let mut done = Done::default();
    for step in 0..steps {
        match random.below(10) {
            0..3 => done.moves += usize::from(review.undo().unwrap().is_some()),
            3..5 => done.moves += usize::from(review.redo().unwrap().is_some()),
            _ => {
                let before = (step % check_every == 0).then(|| review.state().clone());
                match review.apply(&edit(random)) {
                    Ok(_) => done.edits += 1,
                    Err(_) => {
                        done.refused += 1;
                        assert!(before.is_none_or(|before| before == *review.state()));
                    }
                }
            }
        }
        if step % check_every == 0 {
            check_replayed(review, &[0, 5, 9, 12]);
        }
    }
    done
}

#[test]
fn a_hundred_thousand_edits_and_undos() {
    let home = Home::new();
    let mut review = home.memory();
    let mut random = Random::new(2026);
    let done = go(&mut review, &mut random, 100_000, 5_000);
    println!(
        "{} edits, {} refused, {} undos and redos, history of {}",
        done.edits,
        done.refused,
        done.moves,
        review.history().len()
    );
    assert!(done.edits > 20_000 && done.refused > 1_000 && done.moves > 20_000);
    check_replayed(&review, &[0, 5, 9, 12]);
    let last = review.state().clone();
    while review.undo().unwrap().is_some() {}
    assert_eq!(*review.state(), State::default(), "the original set");
    while review.redo().unwrap().is_some() {}
    assert_eq!(*review.state(), last);
}

#[test]
fn the_database_remembers_all_of_it() {
    let home = Home::new();
    let mut random = Random::new(7);
    let mut last = None;
    for round in 0..8 {
        let mut review = home.open();
        if let Some((state, position, lines)) = last.take() {
            assert_eq!(*review.state(), state, "round {round}");
            assert_eq!(review.history_position(), position);
            assert_eq!(review.history(), lines);
        }
        go(&mut review, &mut random, 60, 20);
        last = Some((
            review.state().clone(),
            review.history_position(),
            review.history().to_vec(),
        ));
        review.close(std::time::Duration::from_secs(20)).unwrap();
    }
    let mut review = home.open();
    while review.undo().unwrap().is_some() {}
    assert_eq!(*review.state(), State::default(), "undone after restarts");
}
