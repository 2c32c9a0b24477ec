//! The Compare and the Evaluate workspace in the real window: what a chart picks is what gallery and canvas show.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, PointerButton, Pos2, pos2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use maskscope::document::coco_rle;
use maskscope::document::evaluation::Side;
use maskscope::document::ranking::RankBy;
use maskscope::structures::{Rle, Size};
use maskscope::ui::App;
use maskscope::ui::canvas::Verdict;
use maskscope::ui::command::Command;
use maskscope::ui::panels::compare::{CompareTab, Quantity};
use maskscope::ui::panels::evaluate::{EvaluateTab, Marks};
use maskscope::ui::view::{Layers, Workspace};
use serde_json::{Value, json};

use crate::infer::photos;
use crate::panels::{Window, frames, said, send, shot, window};

const SIZE: Size = Size {
    width: 150,
    height: 120,
};
const CLASSES: [&str; 3] = ["cat", "dog", "bird"];

type Columns = std::ops::Range<u32>;

/// Image, class, columns of the mask.
const TRUTHS: [(usize, usize, Columns); 6] = [
    (0, 0, 0..40),
    (0, 1, 30..60),
    (0, 2, 110..125),
    (1, 0, 20..90),
    (2, 1, 10..50),
    (3, 0, 52..90),
];

/// Image, class, score, mask IoU, columns of the mask.
type Found = (usize, usize, f64, f64, Columns);

/// IoU with the truth of their class: 1, .75, none, .5; other class; none, .95.
const FIRST: [Found; 7] = [
    (0, 0, 0.9, 0.5, 0..40),
    (0, 1, 0.8, 0.9, 30..70),
    (0, 0, 0.3, 0.4, 80..100),
    (0, 2, 0.7, 0.6, 110..140),
    (1, 1, 0.95, 0.95, 20..90),
    (3, 0, 0.2, 0.5, 0..20),
    (3, 0, 0.35, 0.6, 50..90),
];

/// Wins the cat of 001, loses that of 003.
const SECOND: [Found; 4] = [
    (0, 0, 0.9, 0.5, 0..40),
    (0, 1, 0.8, 0.9, 30..60),
    (0, 2, 0.7, 0.6, 110..140),
    (1, 0, 0.95, 0.95, 20..90),
];

fn stripe(columns: &Columns) -> Rle {
    let height = SIZE.height as u32;
    let runs = [
        columns.start,
        columns.end - columns.start,
        SIZE.width as u32 - columns.end,
    ];
    Rle::new(SIZE, runs.map(|run| run * height).to_vec()).unwrap()
}

fn rle(columns: &Columns) -> Value {
    serde_json::from_str(&coco_rle(&stripe(columns))).unwrap()
}

pub struct Files {
    _home: tempfile::TempDir,
    pub set: PathBuf,
    pub first: PathBuf,
    pub second: PathBuf,
}

pub fn files() -> Files {
    let home = tempfile::tempdir().unwrap();
    let photos = photos(home.path(), 4);
    let box_of = |columns: &Columns| {
        let width = columns.end - columns.start;
        json!([columns.start, 0, width, SIZE.height])
    };
    let images: Vec<Value> = (0..4)
        .map(|at| json!({"id": at + 1, "file_name": format!("{at:03}.png"), "width": SIZE.width, "height": SIZE.height}))
        .collect();
    let categories = CLASSES
        .iter()
        .zip(1..)
        .map(|(name, id)| json!({"id": id, "name": name}));
    let annotations = TRUTHS.iter().zip(1..).map(|((image, class, columns), id)| {
        json!({
            "id": id, "image_id": image + 1, "category_id": class + 1, "iscrowd": 0,
            "bbox": box_of(columns), "area": stripe(columns).area(), "segmentation": rle(columns),
        })
    });
    let set = json!({
        "images": images,
        "categories": categories.collect::<Vec<_>>(),
        "annotations": annotations.collect::<Vec<_>>(),
    });
    let write = |name: &str, value: Value| {
        let path = photos.join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path
    };
    let predictions = |found: &[Found]| {
        let of_image = |at: usize| {
            let of = found.iter().filter(|it| it.0 == at);
            let list: Vec<Value> = of
                .map(|(_, class, score, mask_iou, columns)| {
                    json!({
                        "bbox": {"x_min": columns.start, "y_min": 0,
                            "width": columns.end - columns.start, "height": SIZE.height},
                        "class": {"label": class, "category_id": class + 1, "name": CLASSES[*class]},
                        "mask": rle(columns), "score": score, "iou_score": score * mask_iou, "mask_iou": mask_iou,
                    })
                })
                .collect();
            json!({"height": SIZE.height, "width": SIZE.width, "predictions": list})
        };
        let all = (0..4).map(|at| {
            (
                photos.join(format!("{at:03}.png")).display().to_string(),
                of_image(at),
            )
        });
        Value::Object(all.collect())
    };
    Files {
        set: write("set.json", set),
        first: write("first.json", predictions(&FIRST)),
        second: write("second.json", predictions(&SECOND)),
        _home: home,
    }
}

fn until(window: &mut Window, what: &str, holds: impl Fn(&App) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds(window.state()) {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
    frames(window, 3);
}

pub fn is_analysed(app: &App) -> bool {
    let doc = app.document();
    let done = |side| doc.evaluation_progress(side).is_none();
    done(Side::A)
        && done(Side::B)
        && doc.analysis_progress().is_none()
        && doc
            .analysis()
            .is_some_and(|analysis| analysis.knowledge.is_some())
}

/// The set with its first predictions, analysed.
fn open(files: &Files, theme: egui::Theme) -> Window {
    let mut window = window(&files.set, theme);
    send(&mut window, Command::OpenPath(files.first.clone()));
    until(&mut window, "the analysis", is_analysed);
    window
}

fn gallery(window: &Window) -> Vec<usize> {
    window.state().view().gallery.clone()
}

fn workspace(window: &mut Window, workspace: Workspace) {
    send(window, Command::SetWorkspace(workspace));
    // Points are sorted on a thread.
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
}

fn button(window: &mut Window, at: Pos2, pressed: bool) {
    window.event(Event::PointerButton {
        pos: at,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    });
    window.step();
}

fn drag(window: &mut Window, path: &[Pos2]) {
    window.hover_at(path[0]);
    window.step();
    button(window, path[0], true);
    for &at in &path[1..] {
        window.event(Event::PointerMoved(at));
        window.step();
    }
    button(window, path[path.len() - 1], false);
    pause(window);
}

/// So long that what follows makes no double click.
fn pause(window: &mut Window) {
    let now = window.input().time.unwrap_or(0.0);
    window.input_mut().time = Some(now + 2.0);
    frames(window, 3);
}

fn press(window: &mut Window, key: Key) {
    window.key_press(key);
    frames(window, 3);
}

fn choose(window: &mut Window, label: &str) {
    window.get_by_label(label).click();
    frames(window, 3);
}

fn starting_with<'a>(window: &'a Window, start: &str) -> egui_kittest::Node<'a> {
    let named = |node: &egui_kittest::Node<'a>| {
        let node = node.accesskit_node();
        node.label()
            .or_else(|| node.value())
            .is_some_and(|name| name.starts_with(start))
    };
    let mut all = window.root().children_recursive().filter(named);
    all.next()
        .unwrap_or_else(|| panic!("nothing is called {start}…"))
}

/// Images with a detection whose numbers lie in the brush, by the engine's measured IoU.
fn images_in_brush(window: &Window) -> Vec<usize> {
    let (doc, view) = (window.state().document(), window.state().view());
    let evaluation = doc.evaluation(Side::A).unwrap();
    let brush = view.compare.cloud.scatter.brush().unwrap();
    let [x, y] = view.compare.cloud.axes;
    let input = &evaluation.base.input;
    let inside = (0..input.detections.len()).filter(|&at| {
        let value = |quantity: Quantity| quantity.of(evaluation, at).unwrap_or(f64::NAN);
        brush.contains(value(x), value(y))
    });
    let images: BTreeSet<usize> = inside
        .map(|at| input.images[input.detections[at].image as usize].position)
        .collect();
    images.into_iter().collect()
}

#[test]
fn a_brush_in_the_scatter_filters_the_gallery() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    workspace(&mut window, Workspace::Compare);
    shot(&mut window, "compare-dark");
    assert_eq!(gallery(&window), [0, 1, 2, 3]);
    let plot = window.get_by_label("Scatter of the instances").rect();
    // The right upper part: high mask IoU, high measured IoU.
    let at = |x: f32, y: f32| {
        pos2(
            plot.left() + x * plot.width(),
            plot.top() + y * plot.height(),
        )
    };
    drag(&mut window, &[at(0.5, 0.2), at(0.7, 0.4), at(0.85, 0.6)]);
    let picked = images_in_brush(&window);
    assert!(!picked.is_empty() && picked.len() < 4, "{picked:?}");
    assert_eq!(gallery(&window), picked);
    assert!(said(&window, "Picked: "), "a chip says so");
    assert!(
        said(&window, "picked instances"),
        "the right side counts them"
    );
    shot(&mut window, "compare-brushed-dark");

    // One Esc, one step: the brush goes with its pick.
    press(&mut window, Key::Escape);
    press(&mut window, Key::Escape);
    assert_eq!(gallery(&window), [0, 1, 2, 3]);
    assert!(
        window
            .state()
            .view()
            .compare
            .cloud
            .scatter
            .brush()
            .is_none()
    );
    assert!(!said(&window, "Picked: "));

    // A lasso, and the chip's way back.
    choose(&mut window, "Lasso");
    let ring: Vec<Pos2> = (0..24)
        .map(|i| {
            let angle = i as f32 / 24.0 * std::f32::consts::TAU;
            at(0.6 + 0.25 * angle.cos(), 0.45 + 0.3 * angle.sin())
        })
        .collect();
    drag(&mut window, &ring);
    let picked = images_in_brush(&window);
    assert!(!picked.is_empty());
    assert_eq!(gallery(&window), picked);
    choose(&mut window, "Clear the pick");
    assert_eq!(gallery(&window).len(), 4);
    assert!(
        window
            .state()
            .view()
            .compare
            .cloud
            .scatter
            .brush()
            .is_none()
    );
}

#[test]
fn axes_and_tabs_of_compare_show_what_they_say() {
    let files = files();
    let mut window = open(&files, egui::Theme::Light);
    workspace(&mut window, Workspace::Compare);
    let value = |window: &Window| {
        let plot = window.get_by_label("Scatter of the instances");
        plot.accesskit_node().value().unwrap()
    };
    assert!(
        value(&window).starts_with("measured IoU against mask IoU, 7 instances"),
        "{}",
        value(&window)
    );
    let axes = [Quantity::Score, Quantity::MaskIou];
    window.state_mut().view_mut().compare.cloud.set_axes(axes);
    workspace(&mut window, Workspace::Compare);
    assert!(
        value(&window).starts_with("mask IoU against score, 7 instances"),
        "{}",
        value(&window)
    );
    shot(&mut window, "compare-light");
    for tab in CompareTab::ALL {
        window.state_mut().view_mut().compare.tab = tab;
        frames(&mut window, 3);
        shot(&mut window, &format!("compare-{tab:?}-light"));
    }
    assert!(
        said(&window, "Compare with predictions…"),
        "the way to a second file"
    );
    window.state_mut().view_mut().compare.tab = CompareTab::Headroom;
    frames(&mut window, 3);
    assert!(said(&window, "measured IoU (limit)") || said(&window, "Ranking headroom"));
    assert!(
        said(&window, "only for predictions of our own model") || said(&window, "what is free")
    );
}

#[test]
fn a_point_that_is_clicked_is_selected_everywhere() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    workspace(&mut window, Workspace::Compare);
    let plot = window.get_by_label("Scatter of the instances").rect();
    // Pulls the pointer over the plot until a point is under it: the tooltip names it.
    let mut clicked = None;
    'search: for row in 0..60 {
        for column in 0..60 {
            let at = pos2(
                plot.left() + plot.width() * column as f32 / 60.0,
                plot.top() + plot.height() * row as f32 / 60.0,
            );
            window.hover_at(at);
            window.step();
            if said(&window, "cat in 003.png") {
                drag(&mut window, &[at]);
                clicked = Some(at);
                break 'search;
            }
        }
    }
    assert!(clicked.is_some(), "a point of 003.png is there");
    let view = window.state().view();
    assert_eq!(view.image, Some(3));
    assert!(view.instance.is_some());
}

#[test]
fn two_files_are_compared_and_wiped() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    window.state_mut().attach(&files.second, Side::B);
    until(&mut window, "the comparison", |app| {
        is_analysed(app)
            && app
                .document()
                .analysis()
                .is_some_and(|it| it.comparison.is_some())
    });
    workspace(&mut window, Workspace::Compare);
    window.state_mut().view_mut().compare.tab = CompareTab::Sides;
    frames(&mut window, 3);
    assert!(said(&window, "won 1"), "the cat of 001");
    assert!(said(&window, "lost 1"), "the cat of 003");
    shot(&mut window, "compare-sides-dark");
    choose(&mut window, "lost 1");
    starting_with(&window, "cat, 003.png, IoU").click();
    frames(&mut window, 3);
    assert_eq!(window.state().view().image, Some(3));
    assert!(window.state().view().instance.is_some());

    assert!(window.query_by_label("Wipe").is_none());
    send(&mut window, Command::SelectImage(0));
    press(&mut window, Key::W);
    assert_eq!(window.state().view().wipe, Some(0.5));
    let line = window.get_by_label("Wipe").rect().center();
    shot(&mut window, "compare-wipe-dark");
    drag(
        &mut window,
        &[
            line,
            line + egui::vec2(40.0, 0.0),
            line + egui::vec2(80.0, 0.0),
        ],
    );
    assert!(window.state().view().wipe.unwrap() > 0.55);
    press(&mut window, Key::W);
    assert_eq!(window.state().view().wipe, None);
    send(&mut window, Command::CloseComparison);
    until(&mut window, "the end of the comparison", |app| {
        is_analysed(app)
            && app
                .document()
                .analysis()
                .is_some_and(|it| it.comparison.is_none())
    });
}

#[test]
fn a_confusion_cell_opens_its_instances() {
    let files = files();
    let mut window = open(&files, egui::Theme::Light);
    workspace(&mut window, Workspace::Evaluate);
    window.state_mut().view_mut().evaluate.tab = EvaluateTab::Confusion;
    // By score: all of the cat in 001, called a dog with .95.
    send(&mut window, Command::SetRankBy(RankBy::Score));
    until(&mut window, "the numbers by score", is_analysed);
    shot(&mut window, "evaluate-confusion-light");
    let matrix = window.get_by_label("Confusion matrix").rect();
    drag(&mut window, &[matrix.center()]);
    send(&mut window, Command::ClearPick);
    let said_by = |window: &Window| {
        let matrix = window.get_by_label("Confusion matrix");
        matrix.accesskit_node().value().unwrap_or_default()
    };
    for key in [Key::ArrowUp; 4]
        .into_iter()
        .chain([Key::ArrowLeft; 4])
        .chain([Key::ArrowRight])
    {
        press(&mut window, key);
    }
    assert!(
        said_by(&window).starts_with("true cat, predicted dog"),
        "{}",
        said_by(&window)
    );
    press(&mut window, Key::Enter);
    assert_eq!(
        gallery(&window),
        [1],
        "the image with the cat that is called a dog"
    );
    assert!(said(&window, "Picked: true cat, predicted dog"));
    assert_eq!(window.state().view().image, Some(1), "it is opened");
    assert_eq!(window.state().view().instance, Some(0));
    shot(&mut window, "evaluate-confusion-picked-light");
}

#[test]
fn the_iou_slider_recolours() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    workspace(&mut window, Workspace::Evaluate);
    send(&mut window, Command::SelectImage(0));
    shot(&mut window, "evaluate-dark");
    let verdicts = |window: &Window| {
        let book = window.state().view().evaluate.book.as_ref().unwrap();
        (book.detections.clone(), book.truths.clone())
    };
    let (right, wrong) = (Verdict::TruePositive, Verdict::FalsePositive);
    // IoU 1, .75, none, .5.
    assert_eq!(verdicts(&window).0, [right, right, wrong, right]);
    assert_eq!(verdicts(&window).1, [Verdict::Found; 3]);
    assert!(said(&window, "matched"), "the ledger says with whom");
    let before = window.render().unwrap();
    // The number beside it has the same name.
    window.get_by_role(Role::Slider).focus();
    frames(&mut window, 2);
    for _ in 0..4 {
        press(&mut window, Key::ArrowRight);
    }
    assert_eq!(window.state().view().evaluate.threshold, 4);
    assert_eq!(
        verdicts(&window).0,
        [right, right, wrong, wrong],
        "at IoU .70"
    );
    assert_eq!(
        verdicts(&window).1,
        [Verdict::Found, Verdict::Found, Verdict::Missed]
    );
    assert!(said(&window, "lower IoU than"), "and why not");
    let after = window.render().unwrap();
    let changed = before
        .pixels()
        .zip(after.pixels())
        .filter(|(a, b)| a != b)
        .count();
    assert!(changed > 500, "the canvas shows it: {changed} pixels");
    shot(&mut window, "evaluate-slider-dark");

    // Pixels: agreement 0..40 and 30..60, false 60..70, 80..100, 110..140, missed 110..125.
    window.state_mut().view_mut().evaluate.marks = Marks::Pixels;
    frames(&mut window, 3);
    let areas: Vec<u64> = {
        let view = window.state_mut().view_mut();
        let set = view.evaluate.book.as_mut().unwrap().pixels(None).unwrap();
        set.instances()
            .iter()
            .map(|it| it.area / SIZE.height as u64)
            .collect()
    };
    assert_eq!(areas, [60, 10 + 20 + 30, 15]);
    shot(&mut window, "evaluate-pixels-dark");
}

#[test]
fn threshold_filter_and_order_act_on_the_numbers() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    workspace(&mut window, Workspace::Evaluate);
    let ap = |window: &Window| {
        let evaluation = window.state().document().evaluation(Side::A).unwrap();
        evaluation.segm.numbers.ap()
    };
    let whole = ap(&window);
    send(&mut window, Command::SetThreshold(0.5));
    assert_eq!(
        ap(&window),
        whole,
        "a display threshold alone changes no number"
    );
    send(&mut window, Command::ToggleEvaluateAboveThreshold);
    until(&mut window, "the numbers above the threshold", is_analysed);
    let above = ap(&window);
    assert!(above < whole, "{above} {whole}: the cat of 003 is lost");
    send(&mut window, Command::ToggleEvaluateAboveThreshold);
    send(&mut window, Command::SetThreshold(0.0));
    until(&mut window, "all numbers again", is_analysed);
    assert_eq!(ap(&window), whole);

    // As `eval --where` counts.
    window.state_mut().view_mut().query.text = "class = dog".into();
    frames(&mut window, 3);
    send(&mut window, Command::ToggleEvaluateFiltered);
    until(&mut window, "the numbers of dogs", is_analysed);
    assert!(said(&window, "only class = dog"));
    let printed = eval_where(&files, "class = dog");
    assert_eq!(ap(&window), printed);
    assert_ne!(printed, whole);
    window.state_mut().view_mut().query.text.clear();
    frames(&mut window, 3);
    until(&mut window, "everything again", is_analysed);
    assert_eq!(ap(&window), whole);

    let names = |window: &Window| {
        let mut rows: Vec<(f32, String)> = window
            .root()
            .children_recursive()
            .filter_map(|node| {
                let label = node.accesskit_node().label()?;
                let (name, _) = label.split_once(", AP ")?;
                CLASSES
                    .contains(&name)
                    .then(|| (node.rect().top(), name.to_owned()))
            })
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        rows.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
    };
    choose(&mut window, "Sort classes by class");
    assert_eq!(names(&window), ["bird", "cat", "dog"]);
    choose(&mut window, "Sort classes by class");
    assert_eq!(names(&window), ["dog", "cat", "bird"]);
}

fn eval_where(files: &Files, query: &str) -> f64 {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_maskscope"))
        .args(["eval", "--json", "--where", query, "--predictions"])
        .arg(&files.first)
        .arg(&files.set)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    value["segm"]["AP"].as_f64().unwrap()
}

#[test]
fn suspects_and_error_bars_lead_to_their_instances() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    workspace(&mut window, Workspace::Evaluate);
    window.state_mut().view_mut().evaluate.tab = EvaluateTab::Suspects;
    frames(&mut window, 3);
    shot(&mut window, "evaluate-suspects-dark");
    let suspects = window
        .state()
        .document()
        .analysis()
        .unwrap()
        .diagnosis
        .suspects
        .list
        .clone();
    assert!(!suspects.is_empty());
    starting_with(&window, "Swapped class, 001.png").click();
    frames(&mut window, 3);
    assert_eq!(window.state().view().image, Some(1));
    assert_eq!(window.state().view().instance, Some(0));
    choose(&mut window, "Show these in the gallery");
    assert!(said(&window, "suspects"));
    assert!(gallery(&window).contains(&1));

    send(&mut window, Command::ClearPick);
    window.state_mut().view_mut().query.text = "suspect = swapped_class".into();
    frames(&mut window, 5);
    assert_eq!(gallery(&window), [1]);
    window.state_mut().view_mut().query.text = "suspect = missed_object".into();
    frames(&mut window, 5);
    assert_eq!(gallery(&window), [2]);
    window.state_mut().view_mut().query.text.clear();
    frames(&mut window, 5);
    window.state_mut().view_mut().evaluate.tab = EvaluateTab::Suspects;
    frames(&mut window, 3);
    starting_with(&window, "Missed object, 002.png").click();
    frames(&mut window, 3);
    assert_eq!(
        window.state().view().annotation,
        Some((2, 0)),
        "the annotation is shown"
    );
    assert_eq!(window.state().view().layers, Layers::Both);
    window.state_mut().view_mut().evaluate.tab = EvaluateTab::Errors;
    frames(&mut window, 3);
    choose(&mut window, "Measure boundary AP");
    until(&mut window, "boundary AP", |app| {
        matches!(
            app.document().boundary(),
            maskscope::document::evaluation::Boundary::Ready(_)
        )
    });
    assert!(said(&window, "boundary"));
    shot(&mut window, "evaluate-errors-dark");
    window.state_mut().view_mut().evaluate.tab = EvaluateTab::Curves;
    frames(&mut window, 3);
    window.get_by_label("Precision over recall");
    shot(&mut window, "evaluate-curves-dark");
}

#[test]
fn the_gallery_says_what_the_evaluation_found() {
    let files = files();
    let window = open(&files, egui::Theme::Dark);
    starting_with(&window, "000.png, 4 instances, 3 annotations, AP ");
    assert!(said(&window, "3 true, 1 false, 0 missed"));
    assert!(
        said(&window, "0 true, 0 false, 1 missed"),
        "002 has one object and nothing found"
    );
}

#[test]
fn without_truth_or_predictions_both_say_what_to_do() {
    let files = files();
    let mut window = window(&files.set, egui::Theme::Light);
    workspace(&mut window, Workspace::Evaluate);
    assert!(said(&window, "There are no predictions"));
    assert!(said(&window, "Open predictions…"));
    shot(&mut window, "evaluate-empty-light");
    workspace(&mut window, Workspace::Compare);
    assert!(said(&window, "There are no predictions"));
    let photos = files.set.parent().unwrap().join("alone");
    std::fs::create_dir(&photos).unwrap();
    std::fs::copy(files.set.with_file_name("000.png"), photos.join("000.png")).unwrap();
    let mut window = crate::panels::window(Path::new(&photos), egui::Theme::Light);
    workspace(&mut window, Workspace::Compare);
    assert!(said(&window, "There is no ground truth"));
    assert!(said(&window, "Open COCO set…"));
}

#[test]
fn the_health_report_of_the_set_is_shown() {
    let files = files();
    let text = std::fs::read_to_string(&files.set).unwrap();
    let mut set: Value = serde_json::from_str(&text).unwrap();
    set["annotations"][1]["bbox"] = json!([0, 0, 9, 9]);
    set["annotations"][2]["image_id"] = json!(77);
    std::fs::write(&files.set, set.to_string()).unwrap();
    let mut window = window(&files.set, egui::Theme::Dark);
    send(&mut window, Command::CheckSet);
    until(&mut window, "the report", |app| {
        matches!(
            app.document().health(),
            Some(maskscope::document::health::Health::Ready(_))
        )
    });
    assert!(said(&window, "1 annotation is left out"));
    assert!(said(
        &window,
        "Annotations of images that the set does not have"
    ));
    shot(&mut window, "health-dark");
    press(&mut window, Key::Escape);
    assert!(!said(&window, "Health of the set"));
}
