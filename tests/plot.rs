//! The plots, each alone in a window: what a drag, a click or a key comes to, and that they draw in both themes.

use egui::{Event, Key, Modifiers, PointerButton, Pos2, Rect, Theme, Ui, Vec2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use maskscope::ui::plot::stat::Better;
use maskscope::ui::plot::{
    Axis, Bar, Bars, Bin, Lines, LinesState, Matrix, MatrixState, Plane, Points, Range, Region,
    Reliability, Scatter, ScatterEvent, ScatterState, Series, Stat,
};
use maskscope::ui::theme;

mod scatter;

/// Everything that a test shows, and what came of it.
struct Scene {
    points: Points,
    classes: Vec<egui::Color32>,
    scatter: ScatterState,
    lines: LinesState,
    matrix: MatrixState,
    margins: bool,
    bright: Option<Vec<u64>>,
    events: Vec<ScatterEvent>,
    hovered: Option<usize>,
    brushed: usize,
    plane: Plane,
    /// Clicks on anything but a scatter.
    clicked: Vec<String>,
}

impl Scene {
    fn new(points: Points) -> Self {
        let frame = Rect::ZERO;
        Self {
            points,
            classes: Vec::new(),
            scatter: ScatterState::default(),
            lines: LinesState::default(),
            matrix: MatrixState::default(),
            margins: false,
            bright: None,
            events: Vec::new(),
            hovered: None,
            brushed: 0,
            plane: Plane {
                frame,
                transform: maskscope::ui::plot::Transform {
                    rect: frame,
                    x: Range::UNIT,
                    y: Range::UNIT,
                },
            },
            clicked: Vec::new(),
        }
    }

    fn scatter_ui(&mut self, ui: &mut Ui) {
        let describe = |number: usize| format!("instance {number}");
        let scatter = Scatter {
            name: "scatter",
            points: &self.points,
            x: Axis::unit("score"),
            y: Axis::unit("mask IoU"),
            palette: &self.classes,
            bright: self.bright.as_deref(),
            selected: Some(4),
            diagonal: true,
            margins: self.margins,
            noun: ["instance", "instances"],
            describe: Some(&describe),
            empty: "No instance has both numbers",
        };
        let response = scatter.show(ui, &mut self.scatter);
        self.events.extend(response.event);
        (self.hovered, self.brushed, self.plane) =
            (response.hovered, response.brushed, response.plane);
    }
}

type Window<'a> = Harness<'a, Scene>;

fn window<'a>(
    scene: Scene,
    size: Vec2,
    theme: Theme,
    ui: impl FnMut(&mut Ui, &mut Scene) + 'a,
) -> Window<'a> {
    let mut ui = ui;
    let mut ready = false;
    let mut window = Harness::builder()
        .with_size(size)
        .with_theme(theme)
        .with_render_cursor(false)
        .wgpu()
        .build_ui_state(
            move |outer, scene| {
                if !ready {
                    theme::install(outer.ctx());
                    ready = true;
                    return; // fonts count from the next frame on
                }
                let fill = theme::colours(outer).panel;
                outer
                    .painter()
                    .rect_filled(outer.max_rect().expand(16.0), 0.0, fill);
                ui(outer, scene);
            },
            scene,
        );
    window.run_steps(3);
    window
}

/// Renders; keeps the picture where `MASKSCOPE_SHOTS` names a folder, to be looked at.
fn shot(window: &mut Window<'_>, name: &str) -> image::RgbaImage {
    let picture = window.render().unwrap();
    if let Some(folder) = std::env::var_os("MASKSCOPE_SHOTS") {
        picture
            .save(std::path::Path::new(&folder).join(format!("{name}.png")))
            .unwrap();
    }
    picture
}

fn button(
    window: &mut Window<'_>,
    at: Pos2,
    pressed: bool,
    which: PointerButton,
    modifiers: Modifiers,
) {
    window.event(Event::ModifiersChanged(modifiers));
    window.event(Event::PointerButton {
        pos: at,
        button: which,
        pressed,
        modifiers,
    });
    window.step();
}

/// Presses at the first place, moves through the others, releases at the last.
fn drag(window: &mut Window<'_>, path: &[Pos2], which: PointerButton, modifiers: Modifiers) {
    let (first, last) = (path[0], path[path.len() - 1]);
    window.hover_at(first);
    window.step();
    button(window, first, true, which, modifiers);
    for &at in &path[1..] {
        window.event(Event::PointerMoved(at));
        window.step();
    }
    button(window, last, false, which, modifiers);
    window.event(Event::ModifiersChanged(Modifiers::NONE));
    pause(window);
}

/// So long that what follows makes no double click.
fn pause(window: &mut Window<'_>) {
    let now = window.input().time.unwrap_or(0.0);
    window.input_mut().time = Some(now + 2.0);
    window.step();
}

fn click(window: &mut Window<'_>, at: Pos2) {
    drag(window, &[at], PointerButton::Primary, Modifiers::NONE);
}

fn press(window: &mut Window<'_>, key: Key, modifiers: Modifiers) {
    window.event(Event::ModifiersChanged(modifiers));
    for pressed in [true, false] {
        window.event(Event::Key {
            key,
            physical_key: None,
            pressed,
            repeat: false,
            modifiers,
        });
    }
    window.step();
    window.event(Event::ModifiersChanged(Modifiers::NONE));
    window.step();
}

/// A lattice of 9 × 9 points at 0.1 to 0.9, numbered row by row.
fn lattice() -> Points {
    let value = |i: usize| (i + 1) as f32 / 10.0;
    let x: Vec<f32> = (0..81).map(|i| value(i % 9)).collect();
    let y: Vec<f32> = (0..81).map(|i| value(i / 9)).collect();
    Points::new(&x, &y, None)
}

fn random(seed: u64) -> impl FnMut() -> f32 {
    let mut seed = seed;
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// Points along the diagonal, dense at its upper end, as predictions are.
fn cloud(count: usize, classes: u16) -> Points {
    let mut next = random(0x9e37_79b9_7f4a_7c15);
    let (mut x, mut y, mut class) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..count {
        let score = next().sqrt();
        x.push(if i % 401 == 7 { f32::NAN } else { score });
        y.push((score + 0.25 * (next() + next() + next() - 1.5)).clamp(0.0, 1.0));
        class.push(i as u16 % classes);
    }
    Points::new(&x, &y, Some(&class))
}

const NAMES: [&str; 6] = [
    "person",
    "dog",
    "skis",
    "dining table",
    "cell phone",
    "background",
];

fn matrix_ui(ui: &mut Ui, scene: &mut Scene, names: &[&str]) {
    let mut next = random(7);
    let side = names.len();
    let counts: Vec<u64> = (0..side * side)
        .map(|at| match (at / side, at % side) {
            (row, column) if row == column && row + 1 < side => 40 + (next() * 2000.0) as u64,
            (row, column) if row + 1 == side && column + 1 == side => 0,
            _ => (next() * next() * 90.0) as u64 / 12 * 3,
        })
        .collect();
    let matrix = Matrix {
        name: "confusion",
        row_role: "true",
        column_role: "predicted",
        rows: names,
        columns: names,
        counts: &counts,
        background: true,
        empty: "Nothing is evaluated",
    };
    if let Some((row, column)) = matrix.show(ui, &mut scene.matrix) {
        scene.clicked.push(matrix.text(row, column));
    }
}

#[test]
fn a_cell_of_the_matrix_is_clicked_by_pointer_and_keys() {
    let size = vec2(520.0, 480.0);
    let mut window = window(Scene::new(lattice()), size, Theme::Light, |ui, scene| {
        matrix_ui(ui, scene, &NAMES)
    });
    let rect = window.get_by_label("confusion").rect();
    click(&mut window, rect.center());
    let clicked = window
        .state()
        .clicked
        .last()
        .expect("a cell was clicked")
        .clone();
    assert!(
        clicked.starts_with("true ") && clicked.contains(", predicted "),
        "{clicked}"
    );
    assert!(
        window.query_by_label(&clicked).is_some(),
        "the tooltip says the same: {clicked}"
    );
    window.remove_cursor();
    for key in [Key::ArrowDown, Key::ArrowDown, Key::ArrowRight] {
        press(&mut window, key, Modifiers::NONE);
    }
    let said = window
        .get_by_label("confusion")
        .accesskit_node()
        .value()
        .unwrap();
    assert!(said.starts_with("true dog, predicted dog: "), "{said}");
    press(&mut window, Key::Enter, Modifiers::NONE);
    assert_eq!(window.state().clicked.last(), Some(&said));
}

#[test]
fn a_matrix_of_80_classes_scrolls() {
    let names: Vec<String> = (0..80)
        .map(|i| format!("class {i}"))
        .chain(["background".into()])
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let size = vec2(700.0, 560.0);
    let mut window = window(Scene::new(lattice()), size, Theme::Dark, |ui, scene| {
        matrix_ui(ui, scene, &names)
    });
    let rect = window.get_by_label("confusion").rect();
    let corner = rect.max - vec2(20.0, 20.0);
    window.hover_at(corner);
    window.step();
    for _ in 0..12 {
        window.event(Event::MouseWheel {
            source: egui::MouseWheelSource::Trackpad,
            unit: egui::MouseWheelUnit::Point,
            delta: vec2(-200.0, -200.0),
            phase: egui::TouchPhase::Move,
            modifiers: Modifiers::NONE,
        });
        window.run_steps(6);
    }
    shot(&mut window, "plot-matrix-80");
    click(&mut window, corner);
    let clicked = window.state().clicked.last().expect("a cell was clicked");
    assert!(
        clicked.starts_with("true background, predicted background"),
        "{clicked}"
    );
}

fn headroom() -> Vec<Bar<'static>> {
    let row = |label, value, interval, delta| Bar {
        interval: Some(interval),
        delta: Some(delta),
        ..Bar::new(label, Some(value))
    };
    vec![
        row("score", 0.344, [0.331, 0.358], 0.0),
        row("mask IoU", 0.331, [0.317, 0.345], -0.013),
        Bar {
            selected: true,
            ..row("iou score", 0.359, [0.346, 0.372], 0.015)
        },
        row("recalibrated product", 0.363, [0.350, 0.377], 0.019),
        Bar {
            colour: Some(theme::DARK.weak),
            ..row("measured IoU (limit)", 0.452, [0.440, 0.465], 0.108)
        },
        Bar {
            hint: "The model has no mask-IoU head".into(),
            ..Bar::new("stability", None)
        },
    ]
}

fn bars_ui(ui: &mut Ui, scene: &mut Scene) {
    let bars = Bars {
        name: "headroom",
        rows: &headroom(),
        range: Range { min: 0.0, max: 0.5 },
        decimals: 3,
        most_height: 400.0,
        empty: "Nothing is evaluated",
    };
    if let Some(row) = bars.show(ui) {
        scene.clicked.push(bars.rows[row].label.into());
    }
}

#[test]
fn a_bar_is_clicked_by_pointer_and_keys() {
    let size = vec2(560.0, 220.0);
    let mut window = window(Scene::new(lattice()), size, Theme::Dark, bars_ui);
    window.get_by_label("recalibrated product 0.363").click();
    window.run_steps(2);
    window.get_by_label("stability –").focus();
    window.run_steps(2);
    press(&mut window, Key::Enter, Modifiers::NONE);
    assert_eq!(
        window.state().clicked,
        ["recalibrated product", "stability"]
    );
}

fn curve(top: f64, fall: f64) -> Vec<[f64; 2]> {
    let recall = |i: i32| f64::from(i) / 100.0;
    let point = |i| [recall(i), top * (1.0 - recall(i).powf(fall))];
    (0..=100)
        .map(|i| {
            if recall(i) > 0.93 {
                [recall(i), f64::NAN]
            } else {
                point(i)
            }
        })
        .collect()
}

fn lines_ui(ui: &mut Ui, scene: &mut Scene) {
    let [a, b, c] = [curve(0.96, 3.0), curve(0.9, 2.2), curve(0.6, 1.2)];
    let band: Vec<[f64; 2]> = a
        .iter()
        .map(|[x, y]| [y - 0.02 - 0.05 * x, y + 0.02 + 0.05 * x])
        .collect();
    let sparse: Vec<[f64; 2]> = c.iter().step_by(10).copied().collect();
    let series = [
        Series {
            band: &band,
            ..Series::new("IoU 0.50", &a)
        },
        Series {
            dashed: true,
            ..Series::new("IoU 0.75", &b)
        },
        Series {
            marks: true,
            ..Series::new("IoU 0.95", &sparse)
        },
    ];
    let lines = Lines {
        name: "precision and recall",
        series: &series,
        x: Axis::unit("recall"),
        y: Axis::unit("precision"),
        diagonal: false,
        marked: Some(0.62),
        decimals: [3, 3],
        empty: "Nothing is evaluated",
    };
    if let Some(x) = lines.show(ui, &mut scene.lines).clicked {
        scene.clicked.push(format!("{x:.2}"));
    }
}

#[test]
fn curves_are_hidden_read_and_clicked() {
    let size = vec2(560.0, 420.0);
    let mut window = window(Scene::new(lattice()), size, Theme::Light, lines_ui);
    window.get_by_label("IoU 0.75").click();
    window.run_steps(2);
    assert!(!window.state().lines.shows("IoU 0.75"));
    let rect = window.get_by_label("precision and recall").rect();
    click(&mut window, rect.center());
    window.run_steps(2);
    let first = window
        .state()
        .clicked
        .first()
        .expect("a click has its x")
        .clone();
    let told = window.query_by_label_contains("IoU 0.50 0.");
    assert!(told.is_some(), "the crosshair tells values");
    assert!(
        window.query_by_label_contains("IoU 0.75 0.").is_none(),
        "what is hidden is not told"
    );
    assert!(
        first.starts_with("0.4") || first.starts_with("0.5"),
        "{first}"
    );
    window.remove_cursor();
    window.run_steps(2);
    press(&mut window, Key::ArrowRight, Modifiers::NONE);
    press(&mut window, Key::ArrowRight, Modifiers::NONE);
    press(&mut window, Key::Enter, Modifiers::NONE);
    assert_eq!(
        window.state().clicked.last().map(String::as_str),
        Some("0.01")
    );
}

fn bins() -> Vec<Bin> {
    let bin = |i: u32| {
        let min = f64::from(i) / 10.0;
        Bin {
            range: Range {
                min,
                max: min + 0.1,
            },
            confidence: min + 0.055,
            accuracy: (min + 0.05).powf(1.6),
            count: if i == 1 {
                0
            } else {
                7 + 40 * i as usize * i as usize
            },
        }
    };
    (0..10).map(bin).collect()
}

fn reliability_ui(ui: &mut Ui, scene: &mut Scene) {
    let diagram = Reliability {
        name: "mask IoU",
        ece: Some(0.0412),
        promised: "predicted",
        found: "measured",
        bins: &bins(),
        empty: "Nothing is evaluated",
    };
    if let Some(bin) = diagram.show(ui) {
        scene.clicked.push(format!("bin {bin}"));
    }
}

#[test]
fn a_bin_is_clicked_by_pointer_and_keys() {
    let size = vec2(320.0, 280.0);
    let mut window = window(Scene::new(lattice()), size, Theme::Dark, reliability_ui);
    let rect = window.get_by_label("mask IoU · ECE 0.041").rect();
    click(&mut window, rect.right_center() - vec2(24.0, 0.0));
    assert_eq!(window.state().clicked, ["bin 9"]);
    window.remove_cursor();
    window.run_steps(2);
    for _ in 0..4 {
        press(&mut window, Key::ArrowRight, Modifiers::NONE);
    }
    let said = window
        .get_by_label("mask IoU · ECE 0.041")
        .accesskit_node()
        .value()
        .unwrap();
    assert!(
        said.contains("367 instances") && said.contains("predicted 0.355"),
        "{said}"
    );
    press(&mut window, Key::Enter, Modifiers::NONE);
    assert_eq!(window.state().clicked, ["bin 9", "bin 3"]);
}

fn stats_ui(ui: &mut Ui) {
    let stat = |label, value, second, better| Stat {
        label,
        value,
        second,
        decimals: 3,
        better,
        hint: "",
    };
    let tiles = [
        stat("segm AP", Some(0.4745), Some(0.461), Better::Higher),
        stat("segm AP50", Some(0.702), Some(0.711), Better::Higher),
        stat("oLRP", Some(0.58), Some(0.601), Better::Lower),
        stat("AR small", Some(0.3), None, Better::Higher),
        stat("AP large", None, Some(0.3), Better::Higher),
    ];
    ui.horizontal_wrapped(|ui| {
        for tile in tiles {
            tile.show(ui, 128.0);
        }
    });
}

/// All plots side by side.
fn page(ui: &mut Ui, scene: &mut Scene) {
    let area = ui.max_rect();
    let cell = |ui: &mut Ui, column: f32, row: f32, wide: f32, high: f32| {
        let unit = vec2(area.width() / 12.0, area.height() / 12.0);
        let min = area.min + vec2(column, row) * unit;
        let rect = Rect::from_min_size(min, vec2(wide, high) * unit).shrink(8.0);
        ui.new_child(
            egui::UiBuilder::new()
                .max_rect(rect)
                .id_salt((column as i32, row as i32)),
        )
    };
    scene.scatter_ui(&mut cell(ui, 0.0, 0.0, 5.0, 7.0));
    reliability_ui(&mut cell(ui, 5.0, 0.0, 2.5, 4.0), scene);
    lines_ui(&mut cell(ui, 7.5, 0.0, 4.5, 5.5), scene);
    bars_ui(&mut cell(ui, 0.0, 7.2, 5.0, 4.8), scene);
    matrix_ui(&mut cell(ui, 7.5, 5.5, 4.5, 6.5), scene, &NAMES);
    stats_ui(&mut cell(ui, 5.0, 4.0, 2.5, 4.0));
    let empty = Points::new(&[], &[], None);
    let mut other = Scene::new(empty);
    other.scatter_ui(&mut cell(ui, 5.0, 8.0, 2.5, 4.0));
}

#[test]
fn every_plot_draws_in_both_themes_and_two_sizes() {
    for (theme, name) in [(Theme::Dark, "dark"), (Theme::Light, "light")] {
        for (size, brush) in [(vec2(1280.0, 800.0), false), (vec2(2560.0, 1440.0), true)] {
            let points = if brush {
                cloud(500_000, 1)
            } else {
                cloud(1200, 3)
            };
            let mut scene = Scene::new(points);
            scene.margins = true;
            let lasso = [
                [0.55, 0.2],
                [0.8, 0.15],
                [0.9, 0.45],
                [0.7, 0.55],
                [0.6, 0.42],
            ];
            scene.scatter.set_brush(Some(if brush {
                Region::Lasso(lasso.to_vec())
            } else {
                Region::rect([0.62, 0.0], [0.9, 0.62])
            }));
            let mut window = window(scene, size, theme, page);
            window.run_steps(2);
            let picture = shot(&mut window, &format!("plots-{name}-{}", size.x));
            let background = *picture.get_pixel(1, 1);
            let drawn = picture
                .pixels()
                .filter(|pixel| **pixel != background)
                .count();
            let share = drawn as f32 / (size.x * size.y);
            assert!(
                (0.03..0.7).contains(&share),
                "{name}: {share} of the page is drawn"
            );
        }
    }
}
