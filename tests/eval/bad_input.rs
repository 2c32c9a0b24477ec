//! Ground truths and result files with something wrong in them: what must be reported, and what the rest must give.
//!
//! Files have one record a line, so that every report can name a line.

mod own;

use serde_json::{Value, json};

use super::case::{Case, Ids, Kind, Question};
use super::generator::compressed;
use super::pixels::Pixels;
use super::slow;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    GroundTruth,
    Results,
}

/// What becomes of a bad record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It takes no part.
    LeftOut,
    /// It takes part as far as it can be understood.
    Used,
}

/// What must be said about one record.
#[derive(Clone, Debug)]
pub struct Report {
    pub file: File,
    /// Place in its list, from 0.
    pub index: usize,
    /// Line of the file, from 1.
    pub line: usize,
    /// At least one of these words must occur in the message, whatever the case of its letters.
    pub words: &'static [&'static str],
    pub fate: Fate,
}

impl Report {
    /// Whether a message says what it must and names the place: the line, or the place in the list.
    pub fn told_by(&self, message: &str) -> bool {
        let message = message.to_lowercase();
        let mut numbers = message.split(|c: char| !c.is_ascii_digit());
        let places = [self.line.to_string(), self.index.to_string()];
        let placed = numbers.any(|number| places.iter().any(|place| place == number));
        placed && self.words.iter().any(|word| message.contains(word))
    }
}

/// A pair of files.
#[derive(Clone, Debug)]
pub struct BadInput {
    pub name: &'static str,
    /// A COCO ground truth.
    pub ground_truth: Vec<u8>,
    /// A list of COCO results with boxes and masks.
    pub results: Vec<u8>,
    pub reports: Vec<Report>,
    /// Kinds of evaluation for which the numbers must be those of `clean`.
    pub kinds: &'static [Kind],
    /// The same without what takes no part.
    pub clean: Case,
}

impl BadInput {
    /// The twelve numbers that the usable rest must give, in every bit; detections ranked by `score`.
    pub fn clean_numbers(&self, kind: Kind) -> [f64; 12] {
        let rank_by = "score";
        let ids = Ids::Position;
        slow::evaluate(&self.clean, Question { kind, rank_by, ids }).stats
    }

    fn bytes(&self, file: File) -> &[u8] {
        match file {
            File::GroundTruth => &self.ground_truth,
            File::Results => &self.results,
        }
    }
}

/// Height and width of the image with each id.
const IMAGES: [(u64, usize, usize); 2] = [(3, 40, 48), (8, 30, 24)];
const CATEGORIES: [u64; 2] = [1, 5];
/// Where a bad record stands among the good ones: neither first nor last, since what follows must be read as well.
const PLACE: usize = 2;

/// Records as they stand in the files, and which of them a clean file has.
struct Draft {
    images: Vec<(Vec<u8>, bool)>,
    annotations: Vec<(Vec<u8>, bool)>,
    results: Vec<(Vec<u8>, bool)>,
}

fn good(record: &Value) -> (Vec<u8>, bool) {
    (record.to_string().into_bytes(), true)
}

/// A rectangle as box and pixels.
fn rectangle(image: (u64, usize, usize), [x, y, w, h]: [usize; 4]) -> (Value, Pixels) {
    let (_, height, width) = image;
    let mut pixels = Pixels::empty(height, width);
    for column in x..x + w {
        for row in y..y + h {
            pixels.inside[row + height * column] = true;
        }
    }
    (json!([x, y, w, h]), pixels)
}

fn annotation(id: usize, image: (u64, usize, usize), category: u64, place: [usize; 4]) -> Value {
    let (bbox, pixels) = rectangle(image, place);
    let segmentation = json!({"size": [pixels.height, pixels.width], "counts": pixels.runs()});
    json!({
        "id": id, "image_id": image.0, "category_id": category, "iscrowd": 0,
        "bbox": bbox, "area": pixels.area(), "segmentation": segmentation,
    })
}

fn result(image: (u64, usize, usize), category: u64, score: f64, place: [usize; 4]) -> Value {
    let (bbox, pixels) = rectangle(image, place);
    json!({
        "image_id": image.0, "category_id": category, "score": score,
        "bbox": bbox, "segmentation": compressed(&pixels),
    })
}

impl Draft {
    /// Nothing wrong yet; some detections good, some poor, some false.
    fn new() -> Self {
        let [a, b] = IMAGES;
        let [first, second] = CATEGORIES;
        let image = |&(id, height, width): &(u64, usize, usize)| json!({"id": id, "height": height, "width": width, "file_name": format!("{id}.png")});
        let annotations = [
            annotation(11, a, first, [2, 3, 20, 10]),
            annotation(12, a, second, [10, 15, 12, 20]),
            annotation(13, a, first, [30, 5, 10, 30]),
            annotation(14, b, first, [1, 1, 10, 12]),
            annotation(15, b, second, [4, 14, 18, 12]),
        ];
        let results = [
            result(a, first, 0.9, [2, 3, 19, 10]),
            result(a, second, 0.8, [10, 18, 12, 20]),
            result(a, first, 0.7, [20, 25, 8, 8]),
            result(b, first, 0.95, [1, 1, 10, 10]),
            result(b, second, 0.6, [6, 15, 16, 12]),
            result(a, first, 0.4, [30, 5, 10, 28]),
        ];
        Self {
            images: IMAGES.iter().map(|i| good(&image(i))).collect(),
            annotations: annotations.iter().map(good).collect(),
            results: results.iter().map(good).collect(),
        }
    }

    fn ground_truth(&self, keep: impl Fn(bool) -> bool + Copy) -> Vec<u8> {
        let categories: Vec<_> = CATEGORIES
            .iter()
            .map(|id| good(&json!({"id": id, "name": format!("class {id}")})))
            .collect();
        let lists = [
            ("images", &self.images),
            ("categories", &categories),
            ("annotations", &self.annotations),
        ];
        let mut text = b"{\n".to_vec();
        for (number, (key, records)) in lists.into_iter().enumerate() {
            let comma = if number == 0 { "" } else { ",\n" };
            text.extend(format!("{comma}\"{key}\": [\n").bytes());
            text.extend(lines(records, keep));
            text.extend(b"\n]");
        }
        text.extend(b"\n}\n");
        text
    }

    fn results(&self, keep: impl Fn(bool) -> bool) -> Vec<u8> {
        [b"[\n", lines(&self.results, keep).as_slice(), b"\n]\n"].concat()
    }

    fn finish(self, name: &'static str, reports: Vec<Report>, kinds: &'static [Kind]) -> BadInput {
        let parsed = |bytes: Vec<u8>| -> Value { serde_json::from_slice(&bytes).unwrap() };
        let clean = |is_clean: bool| is_clean;
        let dt = parsed(self.results(clean)).as_array().unwrap().clone();
        BadInput {
            name,
            ground_truth: self.ground_truth(|_| true),
            results: self.results(|_| true),
            reports,
            kinds,
            clean: Case {
                gt: parsed(self.ground_truth(clean)),
                dt,
            },
        }
    }

    /// Line of a record of the ground truth's annotations.
    fn annotation_line(&self, index: usize) -> usize {
        // `{`, images with two lines around them, categories likewise, the line that opens the list.
        1 + (self.images.len() + 2) + (CATEGORIES.len() + 2) + 1 + index + 1
    }
}

fn lines(records: &[(Vec<u8>, bool)], keep: impl Fn(bool) -> bool) -> Vec<u8> {
    let kept = records.iter().filter(|(_, clean)| keep(*clean));
    let kept: Vec<&[u8]> = kept.map(|(bytes, _)| bytes.as_slice()).collect();
    kept.join(b",\n".as_slice())
}

/// Line of a record of a result list.
fn result_line(index: usize) -> usize {
    index + 2
}

/// One more result, which takes no part.
fn bad_result(name: &'static str, record: &[u8], words: &'static [&'static str]) -> BadInput {
    let mut draft = Draft::new();
    draft.results.insert(PLACE, (record.to_vec(), false));
    let report = Report {
        file: File::Results,
        index: PLACE,
        line: result_line(PLACE),
        words,
        fate: Fate::LeftOut,
    };
    draft.finish(name, vec![report], &Kind::ALL)
}

/// One more annotation. Where it takes part, the clean file has it as `understood`.
fn bad_annotation(
    name: &'static str,
    record: &[u8],
    words: &'static [&'static str],
    understood: bool,
) -> BadInput {
    let mut draft = Draft::new();
    draft
        .annotations
        .insert(PLACE, (record.to_vec(), understood));
    let report = Report {
        file: File::GroundTruth,
        index: PLACE,
        line: draft.annotation_line(PLACE),
        words,
        fate: if understood {
            Fate::Used
        } else {
            Fate::LeftOut
        },
    };
    draft.finish(name, vec![report], &Kind::ALL)
}

/// A result with one key changed; it would be a good detection otherwise.
fn result_with(key: &str, value: Value) -> Value {
    let mut record = result(IMAGES[0], CATEGORIES[0], 0.99, [30, 5, 10, 29]);
    record[key] = value;
    record
}

/// A result with a key's value in a spelling that JSON does not know.
fn result_with_token(key: &str, token: &str) -> Vec<u8> {
    let text = result_with(key, json!("TOKEN")).to_string();
    text.replace("\"TOKEN\"", token).into_bytes()
}

/// An annotation with one key changed.
fn annotation_with(key: &str, value: Value) -> Value {
    let mut record = annotation(20, IMAGES[1], CATEGORIES[0], [12, 2, 8, 9]);
    record[key] = value;
    record
}

fn bytes(record: &Value) -> Vec<u8> {
    record.to_string().into_bytes()
}

const NOT_A_NUMBER: &[&str] = &["nan", "finite", "not a number"];
const INFINITE: &[&str] = &["infinite", "infinity", "finite"];
const NEGATIVE: &[&str] = &["negative", "size", "width", "height"];
const RUNS: &[&str] = &["run", "counts", "rle"];
const UNKNOWN_IMAGE: &[&str] = &["image"];
const UNKNOWN_CATEGORY: &[&str] = &["category", "class"];
const REPEATED: &[&str] = &["duplicate", "same id", "repeated", "share", "twice"];

/// All of them.
pub fn all() -> Vec<BadInput> {
    let mut found = bad_scores();
    found.extend(bad_sizes());
    found.extend(bad_masks());
    found.extend(bad_ids());
    found.push(image_of_negative_size());
    found.push(repeated_image());
    found.push(name_not_in_utf_8());
    found
}

fn bad_scores() -> Vec<BadInput> {
    let mut without = result_with("score", Value::Null);
    without.as_object_mut().unwrap().remove("score");
    let token = |token: &str| result_with_token("score", token);
    vec![
        bad_result("score NaN", &token("NaN"), NOT_A_NUMBER),
        bad_result("score Infinity", &token("Infinity"), INFINITE),
        bad_result("score -Infinity", &token("-Infinity"), INFINITE),
        bad_result("score null", &token("null"), &["score", "null"]),
        bad_result("score a word", &token("\"high\""), &["score", "string"]),
        bad_result("no score", &bytes(&without), &["score"]),
    ]
}

fn bad_sizes() -> Vec<BadInput> {
    let wide = json!([30, 5, -10, 29]);
    let high = json!([30, 5, 10, -29]);
    let mut negative = bad_annotation(
        "annotation of negative width",
        &bytes(&annotation_with("bbox", json!([12, 2, -8, 9]))),
        NEGATIVE,
        false,
    );
    // Its mask is good: whether it counts among masks is not said here.
    negative.kinds = &[Kind::Bbox];
    vec![
        bad_result(
            "result of negative width",
            &bytes(&result_with("bbox", wide)),
            NEGATIVE,
        ),
        bad_result(
            "result of negative height",
            &bytes(&result_with("bbox", high)),
            NEGATIVE,
        ),
        bad_result(
            "box NaN",
            &result_with_token("bbox", "[30, NaN, 10, 29]"),
            NOT_A_NUMBER,
        ),
        bad_result(
            "box of three numbers",
            &bytes(&result_with("bbox", json!([30, 5, 10]))),
            &["box", "length", "array", "elements"],
        ),
        negative,
    ]
}

fn bad_masks() -> Vec<BadInput> {
    let (_, height, width) = IMAGES[0];
    let size = json!([height, width]);
    let mask = |counts: Value| json!({"size": size, "counts": counts});
    let result = |counts: Value| bytes(&result_with("segmentation", mask(counts)));
    let (_, height, width) = IMAGES[1];
    let beyond = json!({"size": [height, width], "counts": [10, 5, height * width]});
    let long = beyond_string();
    // Runs 0, 0, 4 and then one less than the run two before, which is 0.
    let negative_run = "004O";
    let other = json!({"size": [7, 7], "counts": [0, 49]});
    let short = json!({"size": [height, width], "counts": [3, 20]});
    let two_points = json!([[1.0, 1.0, 9.0, 9.0]]);
    let annotation = |segmentation| bytes(&annotation_with("segmentation", segmentation));
    vec![
        bad_result(
            "runs beyond the mask, as a string",
            &result(json!(long)),
            RUNS,
        ),
        bad_result(
            "counts with a foreign character",
            &result(json!("0 1")),
            RUNS,
        ),
        bad_result(
            "counts that end inside a number",
            &result(json!("0P")),
            RUNS,
        ),
        bad_result("a negative run", &result(json!(negative_run)), RUNS),
        bad_annotation("runs beyond the mask", &annotation(beyond), RUNS, false),
        bad_annotation(
            "a mask of another size",
            &annotation(other),
            &["size", "7"],
            false,
        ),
        bad_annotation("runs that leave pixels out", &annotation(short), RUNS, true),
        bad_annotation(
            "a polygon of two points",
            &annotation(two_points),
            &["polygon", "point", "vertices", "corner"],
            false,
        ),
    ]
}

/// The runs of a mask of twice the height.
fn beyond_string() -> String {
    let (_, height, width) = IMAGES[0];
    let mut large = Pixels::empty(2 * height, width);
    large.inside[height * width..].fill(true);
    compressed(&large)["counts"].as_str().unwrap().to_owned()
}

fn bad_ids() -> Vec<BadInput> {
    let result = |key, id| bytes(&result_with(key, id));
    let annotation = |key, id| bytes(&annotation_with(key, id));
    vec![
        bad_annotation(
            "annotation of a missing image",
            &annotation("image_id", json!(77)),
            UNKNOWN_IMAGE,
            false,
        ),
        bad_annotation(
            "annotation of an unknown category",
            &annotation("category_id", json!(77)),
            UNKNOWN_CATEGORY,
            false,
        ),
        bad_annotation(
            "annotation id 0",
            &annotation("id", json!(0)),
            &["id 0"],
            true,
        ),
        bad_annotation(
            "repeated annotation id",
            &annotation("id", json!(11)),
            REPEATED,
            true,
        ),
        bad_result(
            "unknown image",
            &result("image_id", json!(77)),
            UNKNOWN_IMAGE,
        ),
        bad_result(
            "negative image id",
            &result("image_id", json!(-3)),
            UNKNOWN_IMAGE,
        ),
        bad_result(
            "broken image id",
            &result("image_id", json!(3.5)),
            UNKNOWN_IMAGE,
        ),
        bad_result(
            "unknown category",
            &result("category_id", json!(77)),
            UNKNOWN_CATEGORY,
        ),
        bad_result(
            "negative category",
            &result("category_id", json!(-1)),
            UNKNOWN_CATEGORY,
        ),
    ]
}

/// An image that cannot be, with an annotation and a result that then have no image.
fn image_of_negative_size() -> BadInput {
    const ID: u64 = 20;
    let mut draft = Draft::new();
    let image = json!({"id": ID, "height": -30, "width": 24, "file_name": "20.png"});
    draft.images.insert(1, (bytes(&image), false));
    let orphan = annotation_with("image_id", json!(ID));
    draft.annotations.insert(PLACE, (bytes(&orphan), false));
    let result = result_with("image_id", json!(ID));
    draft.results.insert(PLACE, (bytes(&result), false));
    let report = |file, index, line, words| Report {
        file,
        index,
        line,
        words,
        fate: Fate::LeftOut,
    };
    let reports = vec![
        report(
            File::GroundTruth,
            1,
            4,
            &["negative", "-30", "size", "height"],
        ),
        report(
            File::GroundTruth,
            PLACE,
            draft.annotation_line(PLACE),
            UNKNOWN_IMAGE,
        ),
        report(File::Results, PLACE, result_line(PLACE), UNKNOWN_IMAGE),
    ];
    draft.finish("image of negative size", reports, &Kind::ALL)
}

/// A second record of an image: its annotations and results count once.
fn repeated_image() -> BadInput {
    let mut draft = Draft::new();
    let (id, height, width) = IMAGES[0];
    let again = json!({"id": id, "height": height, "width": width, "file_name": "again.png"});
    draft.images.push((bytes(&again), false));
    let index = draft.images.len() - 1;
    let report = Report {
        file: File::GroundTruth,
        index,
        line: index + 3,
        words: REPEATED,
        fate: Fate::LeftOut,
    };
    draft.finish("repeated image id", vec![report], &Kind::ALL)
}

/// An image's name of bytes that are no UTF-8. Its annotations count.
fn name_not_in_utf_8() -> BadInput {
    let mut draft = Draft::new();
    let (id, height, width) = IMAGES[1];
    let record = json!({"id": id, "height": height, "width": width, "file_name": "NAME"});
    let text = record.to_string();
    let (before, after) = text.split_once("NAME").unwrap();
    let clean = draft.finish("", Vec::new(), &[]).clean;
    draft = Draft::new();
    draft.images[1].0 = [before.as_bytes(), b"caf\xe9.png", after.as_bytes()].concat();
    let report = Report {
        file: File::GroundTruth,
        index: 1,
        line: 4,
        words: &["utf-8", "utf8"],
        fate: Fate::Used,
    };
    BadInput {
        name: "name not in UTF-8",
        ground_truth: draft.ground_truth(|_| true),
        results: draft.results(|_| true),
        reports: vec![report],
        kinds: &Kind::ALL,
        clean,
    }
}

/// Results with a key whose value is nested so deep that a recursive reader would run out of stack: reported, or read
/// with the key ignored; never a crash.
pub fn deeply_nested_results(depth: usize) -> Vec<u8> {
    let nested = "[".repeat(depth) + &"]".repeat(depth);
    let mut draft = Draft::new();
    let record = result_with("extra", json!("TOKEN")).to_string();
    let record = record.replace("\"TOKEN\"", &nested).into_bytes();
    draft.results.insert(PLACE, (record, false));
    draft.results(|_| true)
}
