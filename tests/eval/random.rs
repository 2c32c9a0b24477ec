//! Ten thousand random cases: the engine against the slow evaluator.

use std::collections::{BTreeMap, BTreeSet};

use maskscope::eval;
use rayon::prelude::*;
use serde_json::Value;

use super::case::{Case, Ids, Kind, Outcome, Question, difference};
use super::pixels::Pixels;
use super::{adapter, generator, slow};

/// Seeds of the cases.
pub const SEEDS: std::ops::Range<u64> = 0..10_000;

/// No image is larger.
const MAX_SIDE: usize = 40;

/// Every question that a case is asked: boxes by `score`, masks by `mask_score`.
pub fn questions() -> Vec<Question> {
    let of = |kind: Kind| {
        let rank_by = match kind {
            Kind::Bbox => "score",
            Kind::Segm => "mask_score",
        };
        [Ids::Position, Ids::Pycocotools].map(|ids| Question { kind, rank_by, ids })
    };
    Kind::ALL.into_iter().flat_map(of).collect()
}

#[test]
fn engine_equals_the_slow_evaluator() {
    let compared: usize = SEEDS
        .into_par_iter()
        .map(|seed| {
            let case = generator::case(seed);
            let asked = questions().into_iter().filter_map(|question| {
                let got = adapter::evaluate(&case, question)?;
                let wrong = difference(&got, &slow::evaluate(&case, question));
                assert_eq!(wrong, None, "seed {seed}, {question:?}");
                Some(())
            });
            asked.count()
        })
        .sum();
    // Repeated ids have no pycocotools mode; they occur in few cases.
    let least = 3 * SEEDS.count();
    assert!(compared >= least, "{compared} compared, not {least}");
    println!("{compared} answers compared");
}

#[test]
fn matches_of_fewer_detections_equal_those_made_anew() {
    let changed: usize = (0..2_000u64)
        .into_par_iter()
        .map(|seed| {
            let case = generator::case(seed);
            let mut changed = 0;
            for question in questions() {
                for (of, is_threshold) in [(2, true), (4, true), (2, false), (3, false)] {
                    let twice = adapter::matches_of_fewer_twice(&case, question, of, is_threshold);
                    let Some([anew, continued]) = twice else {
                        continue;
                    };
                    assert_eq!(
                        continued, anew,
                        "seed {seed}, {question:?}, {of} {is_threshold}"
                    );
                    changed += usize::from(anew.rank_in_cell.contains(&eval::NOT_COUNTED));
                }
            }
            changed
        })
        .sum();
    assert!(changed > 2_000, "few cases lost a detection: {changed}");
}

/// Whether two annotations of one image and class cover the same pixels and box: their IoUs tie.
fn twins(annotations: &[Value]) -> bool {
    let place = |a: &Value| {
        let size = Pixels::read(&a["segmentation"], MAX_SIDE, MAX_SIDE).inside;
        (
            a["image_id"].as_u64(),
            a["category_id"].as_u64(),
            a["bbox"].to_string(),
            size,
        )
    };
    let places: BTreeSet<_> = annotations.iter().map(place).collect();
    places.len() < annotations.len()
}

/// What a case has of the things that it was made to have.
fn traits(case: &Case) -> Vec<&'static str> {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let (images, categories) = (list(&case.gt["images"]), list(&case.gt["categories"]));
    let annotations = list(&case.gt["annotations"]);
    let has_id_0 = |list: &[Value]| list.iter().any(|v| v["id"] == 0);
    let ids: BTreeSet<u64> = annotations
        .iter()
        .map(|a| a["id"].as_u64().unwrap())
        .collect();
    let lacks = |owners: &[Value], things: &[Value], key: &str| {
        let named = |owner: &Value| things.iter().any(|thing| thing[key] == owner["id"]);
        owners.iter().any(|owner| !named(owner))
    };
    let detections = case.dt.as_slice();
    let both = [annotations.as_slice(), detections].concat();
    let area = |limit: f64| annotations.iter().any(|a| a["area"] == limit);
    let square = |side: f64| {
        let is = |d: &Value| d["bbox"][2] == side && d["bbox"][3] == side;
        detections.iter().any(is)
    };
    let facts = [
        ("a crowd", annotations.iter().any(|a| a["iscrowd"] == 1)),
        ("an annotation id of 0", has_id_0(&annotations)),
        ("an image id of 0", has_id_0(&images)),
        ("a category id of 0", has_id_0(&categories)),
        ("repeated annotation ids", ids.len() < annotations.len()),
        ("an empty image", lacks(&images, &both, "image_id")),
        (
            "a class without ground truth",
            lacks(&categories, &annotations, "category_id"),
        ),
        ("no detection", detections.is_empty()),
        ("no ground truth", annotations.is_empty()),
        ("twin ground truths", twins(&annotations)),
        ("area 32^2", area(1024.0)),
        ("area 96^2", area(9216.0)),
        ("no area", annotations.iter().any(|a| a["area"].is_null())),
        ("a detected box of 32^2", square(32.0)),
        ("a detected box of 96^2", square(96.0)),
        (
            "polygons",
            annotations.iter().any(|a| a["segmentation"].is_array()),
        ),
    ];
    let held = facts.into_iter().filter(|(_, held)| *held);
    held.map(|(name, _)| name).collect()
}

/// What an answer shows of the same.
fn signs(got: &Outcome) -> Vec<&'static str> {
    let any = |f: &dyn Fn(&super::case::Cell) -> bool| got.cells.iter().any(f);
    let tied = |scores: &[f64]| scores.windows(2).any(|pair| pair[0] == pair[1]);
    let twice = |row: &Vec<Option<usize>>| {
        let matched: Vec<usize> = row.iter().flatten().copied().collect();
        matched.iter().collect::<BTreeSet<_>>().len() < matched.len()
    };
    let facts = [
        ("equal scores", any(&|c| tied(&c.dt_scores))),
        ("more than 10 detections", any(&|c| c.dts.len() > 10)),
        ("100 detections kept", any(&|c| c.dts.len() == 100)),
        (
            "a crowd matched twice",
            any(&|c| c.dt_matches.iter().any(twice)),
        ),
        (
            "a match lost to a higher threshold",
            any(&|c| c.dt_matches.first() != c.dt_matches.last()),
        ),
        (
            "an ignored detection",
            any(&|c| c.dt_ignore.iter().flatten().any(|ignored| *ignored)),
        ),
        (
            "an AP between 0 and 1",
            got.stats[0] > 0.0 && got.stats[0] < 1.0,
        ),
        ("large objects", got.stats[5] >= 0.0),
    ];
    let held = facts.into_iter().filter(|(_, held)| *held);
    held.map(|(name, _)| name).collect()
}

/// The cases must hold, many times over, what they are there to test.
#[test]
fn generated_cases_hold_what_evaluators_get_wrong() {
    const NAMES: usize = 16 + 8;
    const LEAST: usize = 20;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..2_000 {
        let case = generator::case(seed);
        let answers = questions().into_iter().step_by(2);
        let signs: BTreeSet<&str> = answers
            .flat_map(|question| signs(&slow::evaluate(&case, question)))
            .collect();
        for name in traits(&case).into_iter().chain(signs) {
            *seen.entry(name).or_default() += 1;
        }
    }
    println!("{seen:#?}");
    assert_eq!(seen.len(), NAMES, "{seen:?}");
    assert!(seen.values().all(|&count| count >= LEAST), "{seen:?}");
}
