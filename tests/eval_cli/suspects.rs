//! What to look at next.

use serde_json::{Value, json};

use super::{done, maskscope, run, write};

#[test]
fn suspects_are_listed_with_reasons() {
    let home = tempfile::tempdir().unwrap();
    let square = |x: u32, y: u32, side: u32| {
        let (a, b) = (x + side, y + side);
        json!([[x, y, a, y, a, b, x, b]])
    };
    let annotation = |id: u32, category: u32, x: u32| {
        json!({
            "id": id, "image_id": 1, "category_id": category, "iscrowd": 0, "area": 400,
            "bbox": [x, 10, 20, 20], "segmentation": square(x, 10, 20),
        })
    };
    let set = json!({
        "images": [{"id": 1, "width": 100, "height": 50, "file_name": "one.png"}],
        "categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "bowl"}],
        "annotations": [annotation(5, 1, 10), annotation(6, 2, 70)],
    });
    let gt = write(&home.path().join("gt.json"), &set);
    // Column by column: 50 rows; the runs of a square at (40, 10) of side 20.
    let mut runs = vec![40 * 50 + 10, 20];
    for _ in 1..20 {
        runs.extend([30, 20]);
    }
    runs.push(100 * 50 - runs.iter().sum::<i32>());
    let results = json!([{
        "image_id": 1, "category_id": 1, "score": 0.95, "bbox": [40, 10, 20, 20],
        "segmentation": {"size": [50, 100], "counts": runs},
    }]);
    let dt = write(&home.path().join("dt.json"), &results);
    let suspects = || {
        let mut command = maskscope("suspects");
        command.arg(&gt).arg("--predictions").arg(&dt);
        command
    };
    let found: Value = serde_json::from_str(&done(suspects().arg("--json"))).unwrap();
    assert_eq!(found["found"], 3);
    let list = found["suspects"].as_array().unwrap();
    let of = |kind: &str| list.iter().filter(|row| row["kind"] == kind).count();
    assert_eq!((of("missing_label"), of("missed_object")), (1, 2));
    let missing = list
        .iter()
        .find(|row| row["kind"] == "missing_label")
        .unwrap();
    assert_eq!(
        (&missing["file"], &missing["class"]),
        (&json!("one.png"), &json!("cup"))
    );
    assert_eq!(
        (&missing["score"], &missing["prediction"]),
        (&json!(0.95), &json!(0))
    );
    assert!(found["without_mask_iou"].is_string());
    let severities: Vec<f64> = list
        .iter()
        .map(|row| row["severity"].as_f64().unwrap())
        .collect();
    assert!(severities.is_sorted_by(|a, b| a >= b));

    let (code, stdout, stderr) = run(suspects().args(["--limit", "1"]));
    assert_eq!(code, Some(0));
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    assert!(stderr.contains("2 more"), "{stderr}");
    let only = done(suspects().args(["--kind", "missed_object"]));
    assert_eq!(
        only.lines()
            .filter(|line| line.contains("missed_object"))
            .count(),
        2
    );
    let bowls = done(suspects().args(["--where", "class = bowl"]));
    assert!(
        bowls.contains("annotation 6") && !bowls.contains("annotation 5"),
        "{bowls}"
    );
}
