//! The query language: reading, meaning, errors with their columns, completion, restriction of an evaluation.

use std::time::Instant;

use maskscope::query::{
    FIELDS, Fields, Kind, NumberField, Query, QueryError, Schema, Status, TextField, complete,
    spelled,
};
use maskscope::structures::ClassTable;

fn classes() -> ClassTable {
    ClassTable {
        names: ["person", "cat", "traffic light", "Hot Dog", "and"]
            .map(String::from)
            .to_vec(),
        category_ids: vec![1, 17, 10, 58, 99],
    }
}

fn parse(text: &str) -> Result<Query, QueryError> {
    let classes = classes();
    Query::parse(text, &Schema { classes: &classes })
}

/// An instance whose every field is said.
#[derive(Clone, Default)]
struct Instance {
    numbers: Vec<(NumberField, f64)>,
    file: Option<&'static str>,
    label: Option<usize>,
    status: Option<Status>,
    kind: Option<Kind>,
    is_crowd: Option<bool>,
}

impl Fields for Instance {
    fn number(&self, field: NumberField) -> Option<f64> {
        let found = self.numbers.iter().find(|(name, _)| *name == field);
        found.map(|&(_, number)| number)
    }
    fn text(&self, field: TextField) -> Option<&str> {
        self.file.filter(|_| field == TextField::File)
    }
    fn label(&self) -> Option<usize> {
        self.label
    }
    fn status(&self) -> Option<Status> {
        self.status
    }
    fn kind(&self) -> Option<Kind> {
        self.kind
    }
    fn is_crowd(&self) -> Option<bool> {
        self.is_crowd
    }
}

/// A cat without a mask IoU, area exactly 32².
fn cat() -> Instance {
    use NumberField as F;
    Instance {
        numbers: vec![
            (F::Score, 0.75),
            (F::IouScore, 0.75),
            (F::Area, 1024.0),
            (F::Width, 40.0),
            (F::Height, 30.0),
            (F::X, 5.0),
            (F::Y, 0.0),
            (F::CategoryId, 17.0),
            (F::ImageWidth, 640.0),
            (F::Instances, 3.0),
        ],
        file: Some("val2017/000000000785.JPG"),
        label: Some(1),
        status: Some(Status::FalsePositive),
        kind: Some(Kind::Prediction),
        is_crowd: None,
    }
}

#[test]
fn conditions_mean_what_they_say() {
    let table: &[(&str, bool)] = &[
        ("", true),
        ("  ", true),
        ("score > 0.5", true),
        ("score>.5 and area<=32^2", true),
        (
            "class = person and score > 0.5 and mask_iou < 0.4 and area < 32^2",
            false,
        ),
        ("score = 75%", true),
        ("score == 7.5e-1", true),
        ("0.5 < score", true),
        ("score <> 0.75", false),
        ("score ≥ 0.75 && ! (score > 0.75)", true),
        // Precedence: `and` before `or`, `not` before `and`.
        ("score > 0 or score > 0 and score > 1", true),
        ("(score > 0 or score > 0) and score > 1", false),
        ("not score > 1 and score > 0.5", true),
        ("not (score > 1 or score > 0.5)", false),
        // Arithmetic.
        ("area = 2^2^3 * 4", true),
        ("-2^2 = 0 - 4", true),
        ("2 - 1 - 1 = 0", true),
        (
            "12 / 3 / 2 = 2 and 2 + 3 * 4 = 14 and (2 + 3) * 4 = 20",
            true,
        ),
        ("2^-1 = 0.5 and --1 = +1", true),
        ("width / height > 1.3 and width * height = 1200", true),
        ("(score + 1) * 2 > 3.4", true),
        // What does not exist compares with nothing, in either sense.
        ("mask_iou > 0", false),
        ("mask_iou <= 0", false),
        ("mask_iou != 0.4", false),
        ("0.4 != mask_iou", false),
        ("mask_iou between 0 and 1", false),
        ("mask_iou not between 0 and 1", false),
        ("mask_iou in (0.1, 0.2)", false),
        ("mask_iou not in (0.1, 0.2)", false),
        ("mask_iou^0 = 1", false),
        ("not mask_iou > 0", true),
        ("missing mask_iou", true),
        ("has mask_iou", false),
        ("has score and HAS class and missing iscrowd", true),
        ("0 / (area - 1024) != 7", false),
        ("iscrowd", false),
        ("iscrowd = false", false),
        ("path != x", false),
        ("image.ap < 1", false),
        // Texts, never by case.
        ("class = CAT", true),
        ("class = 'cat'", true),
        ("class != cat", false),
        ("class ~ a", true),
        ("class !~ person", true),
        ("class in (person, cat)", true),
        ("class not in (person, \"traffic light\")", true),
        ("class = \"hot dog\"", false),
        ("class = \"and\" or category_id = 17", true),
        ("file ~ 785.jpg", true),
        ("file = val2017/000000000785.jpg", true),
        ("file = 785.jpg", false),
        ("file !~ 2017", false),
        ("file ~ val2017/0000 and score > 0.5", true),
        // Text without an operator looks into names.
        ("000000785", true),
        (" .jpg", true),
        ("000000786", false),
        ("\"785\" and score > 0.5", true),
        // Named values.
        ("status = fp", true),
        ("status in (TP, fn)", false),
        ("status not in (tp, fn)", true),
        ("kind = prediction", true),
        ("kind != prediction", false),
        // Both ends of a range of areas belong to it.
        ("size = small", true),
        ("size = medium", true),
        ("size = large", false),
        ("size != large", true),
        ("size != small", false),
        ("size in (small, large)", true),
        // Fields of the image and of the box.
        (
            "image.width = 640 and instances = 3 and x = 5 and y = 0",
            true,
        ),
        ("IMAGE.WIDTH > 100 AND Score > 0", true),
        ("category_id in (1, 10 + 7)", true),
        ("area between 1000 and 32^2", true),
        ("area not between 1000 and 32^2", false),
    ];
    for (text, expected) in table {
        let query = parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(query.matches(&cat()), *expected, "{text}");
        let canonical = query.to_string();
        let again = parse(&canonical).unwrap_or_else(|error| panic!("{canonical}\n{error}"));
        assert_eq!(again, query, "{text} -> {canonical}");
        assert_eq!(again.to_string(), canonical);
    }
}

#[test]
fn the_canonical_spelling_is_short() {
    for (text, expected) in [
        (
            "class=\"person\"&&score>50%",
            "class = person and score > 0.5",
        ),
        ("cat.jpg", "file ~ cat.jpg"),
        ("my photo 3", "file ~ \"my photo 3\""),
        (
            "((score > 1)) or (area < 2 or x = 1)",
            "score > 1 or area < 2 or x = 1",
        ),
        ("x = 1 and (x = 2 or x = 3)", "x = 1 and (x = 2 or x = 3)"),
        ("(2*x)+((3)) > (x-(1-2))", "2 * x + 3 > x - (1 - 2)"),
        ("(-2)^2 = x and -2^2 < x", "(-2)^2 = x and -2^2 < x"),
        ("(2^3)^x = 2^(3^x)", "(2^3)^x = 2^3^x"),
        (
            "iscrowd and iscrowd != true",
            "iscrowd = true and iscrowd = false",
        ),
        ("class = 'traffic light'", "class = \"traffic light\""),
        ("class in (\"and\", Cat)", "class in (\"and\", Cat)"),
        ("file ~ \"a\\\"b\\\\\"", "file ~ \"a\\\"b\\\\\""),
        ("not (score > 1 and x = 2)", "not (score > 1 and x = 2)"),
    ] {
        let query = parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(query.to_string(), expected, "{text}");
        assert_eq!(parse(expected).unwrap(), query, "{text}");
    }
}

/// The column is marked by carets below the query.
#[test]
fn errors_point_at_what_is_wrong() {
    let table: &[(&str, &str, &str, &str)] = &[
        ("scor > 0.5", "^^^^", "no field is named `scor`", "`score`"),
        (
            "class = persn",
            "        ^^^^^",
            "no class is named `persn`",
            "person",
        ),
        (
            "class = traffic light",
            "        ^^^^^^^",
            "no class is named `traffic`",
            "\"traffic light\"",
        ),
        (
            "class in (cat, dgo)",
            "               ^^^",
            "no class is named `dgo`",
            "menu",
        ),
        (
            "class ~ zebra",
            "        ^^^^^",
            "no class has a name with `zebra`",
            "",
        ),
        (
            "score > person",
            "        ^^^^^^",
            "`score` is a number, `person` is text",
            "number",
        ),
        (
            "score > \"0.5\"",
            "        ^^^^^",
            "`score` is a number, `0.5` is text",
            "number",
        ),
        (
            "score > class",
            "        ^^^^^",
            "`score` is a number, `class` is text",
            "number",
        ),
        (
            "area < 2 * perso",
            "           ^^^^^",
            "no field is named `perso`",
            "quotes",
        ),
        ("class > 3", "      ^", "`class` is no number", "~"),
        (
            "class between a and b",
            "      ^^^^^^^",
            "`class` is no number",
            "~",
        ),
        (
            "score ~ 5",
            "      ^",
            "`score` is a number, `~` looks into texts",
            "between",
        ),
        (
            "status = tpp",
            "         ^^^",
            "`status` is never `tpp`",
            "`tp`",
        ),
        (
            "size = huge",
            "       ^^^^",
            "`size` is never `huge`",
            "small, medium, large",
        ),
        (
            "iscrowd = 7",
            "          ^",
            "true or false",
            "iscrowd = true",
        ),
        ("score", "^^^^^", "`score` is not compared", "score >"),
        (
            "class person",
            "^^^^^",
            "`class` is not compared",
            "class =",
        ),
        ("score >", "       ^", "ends too early", ""),
        ("class =", "       ^", "compared with nothing", "name"),
        ("score > 0.5 and", "               ^", "ends too early", ""),
        (
            "score > 0.5 and and x = 1",
            "                ^^^",
            "missing before `and`",
            "",
        ),
        (
            "score > 0.5 x = 1",
            "            ^",
            "`and` or `or` is missing",
            "",
        ),
        (
            "0.3 < score < 0.5",
            "            ^",
            "two sides",
            "between 0.3 and 0.5",
        ),
        ("(score > 0.5", "^", "not closed", "`)`"),
        ("score > 0.5)", "           ^", "closes nothing", "leave"),
        (
            "class = \"person",
            "        ^^^^^^^",
            "quote is not closed",
            "quote",
        ),
        (
            "score > 0.5 and class = persn",
            "                        ^^^^^",
            "persn",
            "person",
        ),
        ("score in 5", "         ^", "list in brackets", "in ("),
        (
            "class in (cat person)",
            "              ^^^^^^",
            "comma or a closing bracket",
            "quotes",
        ),
        (
            "score between 1",
            "               ^",
            "needs an `and`",
            "between",
        ),
        (
            "score not > 3",
            "          ^",
            "`in` or `between`",
            "not in",
        ),
        (
            "has 5",
            "    ^",
            "needs the name of a field",
            "has mask_iou",
        ),
        ("score > 1e999", "        ^^^^^", "no number", "quotes"),
        ("score > 07a", "        ^^^", "no number", "quotes"),
        ("score # 3 > 1", "      ^", "means nothing", "quotes"),
        ("3 > 1 and 5", "          ^", "a number alone", "compare"),
        ("ärger > 3", "^^^^^", "no field is named `ärger`", ""),
        (
            "file ~ ä and scor > 1",
            "             ^^^^",
            "`scor`",
            "`score`",
        ),
    ];
    for (text, carets, message, hint) in table {
        let error = match parse(text) {
            Ok(query) => panic!("{text} is {query}"),
            Err(error) => error,
        };
        let marked = format!("{}{}", " ".repeat(error.column), "^".repeat(error.length));
        assert_eq!(&marked, carets, "{text}\n{error}");
        assert!(error.message.contains(message), "{text}\n{error}");
        assert!(error.hint.contains(hint), "{text}\n{error}");
        let shown = error.to_string();
        assert!(
            shown.contains(&format!("column {}: ", error.column + 1)),
            "{shown}"
        );
        assert_eq!(
            shown.lines().nth(2),
            Some(format!("  {carets}").as_str()),
            "{shown}"
        );
    }
}

#[test]
fn size_and_depth_have_limits() {
    let deep = |open: &str, n: usize| format!("{}score > 1", open.repeat(n));
    for text in [
        deep("(", 100_000),
        deep("(", 9_000),
        deep("not ", 2_000),
        deep("!", 9_000),
        deep("-", 9_000),
        format!("{}1 > 0", "2^".repeat(4_000)),
        format!("{}1 > 0", "1+".repeat(4_000)),
        format!("file ~ {}", "x".repeat(20_000)),
        format!("score > {}", "y".repeat(9_000)),
        format!("class = {}", "y".repeat(9_000)),
    ] {
        let error = parse(&text).expect_err("too large");
        assert!(!error.message.is_empty() && error.column <= text.chars().count());
    }
    assert!(parse(&format!("{}score > 1{}", "(".repeat(60), ")".repeat(60))).is_ok());
    let long = vec!["score > 1"; 600].join(" or ");
    assert!(!parse(&long).unwrap().matches(&cat()));
}

/// A small linear congruential generator, so that a failure comes back.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

#[test]
fn random_texts_neither_panic_nor_hang() {
    const PIECES: [&str; 46] = [
        "score",
        "class",
        "status",
        "size",
        "iscrowd",
        "file",
        "image.ap",
        "person",
        "\"traffic light\"",
        "tp",
        "small",
        "and",
        "or",
        "not",
        "in",
        "between",
        "has",
        "missing",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        ">=",
        "~",
        "!~",
        "+",
        "-",
        "*",
        "/",
        "^",
        "0.5",
        "50%",
        "1e9",
        ".",
        "\"",
        "'",
        "\\",
        "ä",
        "\u{0}",
        "🦀",
        "&&",
        "||",
        "\t",
        "32",
    ];
    let table = classes();
    let schema = Schema { classes: &table };
    let mut random = Random(7);
    let (start, mut read) = (Instant::now(), 0);
    for _ in 0..20_000 {
        let length = random.below(14);
        let mut text = String::new();
        for _ in 0..length {
            text += PIECES[random.below(PIECES.len())];
            text += ["", " "][random.below(2)];
        }
        let characters = text.chars().count();
        match Query::parse(&text, &schema) {
            Ok(query) => {
                read += 1;
                let (canonical, one, whole) = (
                    query.to_string(),
                    query.matches(&cat()),
                    query.decide(&cat()),
                );
                let again = Query::parse(&canonical, &schema);
                let again =
                    again.unwrap_or_else(|error| panic!("{text:?} -> {canonical}\n{error}"));
                assert_eq!(again.matches(&cat()), one, "{text:?} -> {canonical}");
                assert!(whole.is_none_or(|decided| decided == one), "{text:?}");
                if let Ok(parts) = query.restriction() {
                    let parts = [
                        parts.images,
                        parts.both,
                        parts.predictions,
                        parts.annotations,
                    ];
                    let all = parts.iter().flatten().all(|part| part.matches(&cat()));
                    assert_eq!(all, one, "the parts of {text:?} together mean the same");
                }
            }
            Err(error) => {
                assert!(
                    error.column <= characters && error.length >= 1,
                    "{text:?}\n{error}"
                );
                assert!(
                    error.column + error.length <= characters + 1,
                    "{text:?}\n{error}"
                );
            }
        }
        for completion in complete(&text, random.below(characters + 2), &schema) {
            assert!(
                completion.replace.end <= characters,
                "{text:?} {completion:?}"
            );
        }
    }
    println!(
        "20,000 random queries, {read} of them right: {:?}",
        start.elapsed()
    );
    assert!(read > 500, "the generator makes right ones too: {read}");
}

#[test]
fn images_decide_what_they_can() {
    let image = Instance {
        numbers: vec![(NumberField::Instances, 3.0)],
        file: Some("a.jpg"),
        ..Instance::default()
    };
    for (text, expected) in [
        ("", Some(true)),
        ("a.jpg", Some(true)),
        ("file ~ b", Some(false)),
        ("score > 0.5", None),
        ("file ~ a and score > 0.5", None),
        ("file ~ b and score > 0.5", Some(false)),
        ("file ~ a or score > 0.5", Some(true)),
        ("file ~ b or score > 0.5", None),
        ("not (file ~ b and score > 0.5)", Some(true)),
        ("not score > 0.5", None),
        ("instances > score", None),
        ("instances = 3", Some(true)),
    ] {
        assert_eq!(parse(text).unwrap().decide(&image), expected, "{text}");
    }
}

#[test]
fn an_evaluation_is_restricted_side_by_side() {
    for (text, images, both, predictions) in [
        ("score > 0.5", "", "", "score > 0.5"),
        ("000785", "file ~ 000785", "", ""),
        (
            "class = person and score > 0.5 and area < 32^2 and file ~ x and mask_iou < 0.4",
            "file ~ x",
            "class = person and area < 32^2",
            "score > 0.5 and mask_iou < 0.4",
        ),
        (
            "class = cat or size = small",
            "",
            "class = cat or size = small",
            "",
        ),
        (
            "score > 0.9 or mask_iou > 0.9",
            "",
            "",
            "score > 0.9 or mask_iou > 0.9",
        ),
        (
            "not (score > 0.9 or class = cat)",
            "",
            "not class = cat",
            "not score > 0.9",
        ),
        ("score > area / 10000", "", "", "score > area / 10000"),
        (
            "image.width > 500 or annotations > 3",
            "image.width > 500 or annotations > 3",
            "",
            "",
        ),
        ("file ~ x or class = cat", "", "file ~ x or class = cat", ""),
        ("", "", "", ""),
    ] {
        let parts = parse(text)
            .unwrap()
            .restriction()
            .unwrap_or_else(|e| panic!("{text}\n{e}"));
        let spelled = |part: &Option<Query>| part.as_ref().map_or(String::new(), Query::to_string);
        assert_eq!(spelled(&parts.images), images, "{text}");
        assert_eq!(spelled(&parts.both), both, "{text}");
        assert_eq!(spelled(&parts.predictions), predictions, "{text}");
        assert!(parts.annotations.is_none(), "{text}");
    }
    let crowds = parse("not iscrowd").unwrap().restriction().unwrap();
    assert_eq!(
        crowds.annotations.unwrap().to_string(),
        "not iscrowd = true"
    );
    for (text, column, message) in [
        (
            "class = cat or score > 0.5",
            15,
            "`score` is known of predictions alone",
        ),
        (
            "class = cat and not (file ~ x and score > 0.5)",
            34,
            "`score`",
        ),
        (
            "score > 0.5 and status = tp",
            16,
            "outcome of the evaluation",
        ),
        ("image.ap < 0.3", 0, "outcome"),
        ("kind = prediction", 0, "both sides"),
        ("iscrowd or score > 0.5", 11, "`score`"),
    ] {
        let error = parse(text).unwrap().restriction().expect_err(text);
        assert_eq!(error.column, column, "{text}\n{error}");
        assert!(error.message.contains(message), "{text}\n{error}");
    }
}

/// Labels offered at the `|` of a text.
fn offered(text: &str) -> Vec<String> {
    let table = classes();
    let cursor = text.chars().position(|c| c == '|').unwrap();
    let whole: String = text.chars().filter(|c| *c != '|').collect();
    let found = complete(&whole, cursor, &Schema { classes: &table });
    found
        .into_iter()
        .map(|completion| completion.label)
        .collect()
}

#[test]
fn completion_knows_what_comes_next() {
    let has = |text: &str, wanted: &[&str]| {
        let found = offered(text);
        for wanted in wanted {
            assert!(
                found.iter().any(|label| label == wanted),
                "{text}: {wanted} in {found:?}"
            );
        }
    };
    let is = |text: &str, wanted: &[&str]| assert_eq!(offered(text), wanted, "{text}");
    let all = offered("|");
    assert!(
        FIELDS
            .iter()
            .all(|info| all.iter().any(|label| label == info.name))
    );
    is("sco|", &["score", "iou_score"]);
    has("iou|", &["iou_score", "mask_iou", "measured_iou"]);
    is("score|", &[]);
    has("score |", &[">", "<=", "between", "in"]);
    assert!(!offered("score |").contains(&"~".to_owned()));
    has("class |", &["=", "!=", "~", "not in"]);
    assert!(!offered("class |").contains(&"<".to_owned()));
    is("status |", &["=", "!=", "in", "not in"]);
    is(
        "class = |",
        &["person", "cat", "traffic light", "Hot Dog", "and"]
            .map(spelled)
            .each_ref()
            .map(String::as_str),
    );
    is("class = tr|", &["\"traffic light\""]);
    is("class = \"traffic li|", &["\"traffic light\""]);
    is("class = cat|", &[]);
    is("class in (cat, per|", &["person"]);
    is("class in (cat |", &[",", ")"]);
    is("class not |", &["in"]);
    has("class in |", &["("]);
    is("status = |", &["tp", "fp", "fn", "ignored", "crowd"]);
    is("size = m|", &["medium", "small"]);
    is("iscrowd = |", &["true", "false"]);
    is("area < |", &["32^2", "96^2"]);
    is("area < 3|", &["32^2"]);
    is("score > 0.5 |", &["and", "or"]);
    is("score > 0.5 a|", &["and"]);
    has("score > 0.5 and |", &["class", "area"]);
    is("score > 0.5 and mea|", &["measured_iou"]);
    is("score between 0.3 |", &["and"]);
    is("score between 0.3 and 0.5 |", &["and", "or"]);
    has("(sco|", &["score"]);
    has("not |", &["class"]);
    has("has |", &["mask_iou"]);
    is("has mask_iou |", &["and", "or"]);
    is("traff|", &["class = \"traffic light\""]);
    is("scor| > 0.5 and x = 1", &["score", "iou_score"]);
    is("2017_00|", &[]);

    let table = classes();
    let schema = Schema { classes: &table };
    let found = complete("class = \"traf", 13, &schema);
    assert_eq!(
        (found[0].insert.as_str(), found[0].replace.clone()),
        ("\"traffic light\" ", 8..13)
    );
    let found = complete("ä = 1 or sc = 1", 11, &schema);
    assert_eq!(
        (found[0].insert.as_str(), found[0].replace.clone()),
        ("score", 9..11)
    );
}

#[test]
fn the_class_menu_changes_only_the_class() {
    let table = classes();
    let schema = Schema { classes: &table };
    for (text, class, expected) in [
        ("", Some("cat"), "class = cat"),
        ("class = person", Some("cat"), "class = cat"),
        ("class = person", None, ""),
        (
            "score > 0.5 and class = person",
            Some("traffic light"),
            "score > 0.5 and class = \"traffic light\"",
        ),
        (
            "score > 0.5 or x = 1",
            Some("cat"),
            "(score > 0.5 or x = 1) and class = cat",
        ),
        (
            "class != person",
            Some("cat"),
            "class != person and class = cat",
        ),
        ("a.jpg", Some("cat"), "file ~ a.jpg and class = cat"),
    ] {
        let query = parse(text).unwrap().with_class(class, &schema);
        assert_eq!(query.to_string(), expected, "{text}");
        assert_eq!(query.class(), class);
        assert_eq!(parse(expected).unwrap(), query);
    }
}

#[test]
fn classes_that_are_not_known_yet_are_taken_on_trust() {
    let none = ClassTable::default();
    let query = Query::parse("class = zebra", &Schema { classes: &none }).unwrap();
    assert!(!query.matches(&cat()));
}

#[test]
fn a_quarter_of_a_million_instances_take_milliseconds() {
    struct Flat {
        score: f64,
        mask_iou: f64,
        area: f64,
        label: usize,
    }
    impl Fields for Flat {
        fn number(&self, field: NumberField) -> Option<f64> {
            match field {
                NumberField::Score => Some(self.score),
                NumberField::MaskIou => Some(self.mask_iou),
                NumberField::Area => Some(self.area),
                _ => None,
            }
        }
        fn text(&self, _: TextField) -> Option<&str> {
            None
        }
        fn label(&self) -> Option<usize> {
            Some(self.label)
        }
        fn status(&self) -> Option<Status> {
            None
        }
        fn kind(&self) -> Option<Kind> {
            None
        }
        fn is_crowd(&self) -> Option<bool> {
            None
        }
    }
    let mut random = Random(3);
    let mut unit = || random.below(10_000) as f64 / 10_000.0;
    let instances: Vec<Flat> = (0..250_000)
        .map(|n| Flat {
            score: unit(),
            mask_iou: unit(),
            area: unit() * 5_000.0,
            label: n % 5,
        })
        .collect();
    let query =
        parse("class in (person, cat) and score > 0.5 and mask_iou < 0.4 and area < 32^2").unwrap();
    let expected = instances
        .iter()
        .filter(|it| it.label < 2 && it.score > 0.5 && it.mask_iou < 0.4 && it.area < 1024.0)
        .count();
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        let found = instances.iter().filter(|it| query.matches(*it)).count();
        best = best.min(start.elapsed().as_secs_f64());
        assert_eq!(found, expected);
    }
    println!(
        "250,000 instances against four conditions: {:.2} ms",
        best * 1e3
    );
    assert!(best < 0.1, "{best} s");
}
