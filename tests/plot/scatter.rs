//! The scatter: brush, lasso, hover, zoom, keys, density.

use egui::{Event, Key, Modifiers, PointerButton, Pos2, Rect, Theme, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use maskscope::ui::plot::{Axis, Points, Range, Region, ScatterEvent, Tool};

use super::{Scene, Window, button, click, cloud, drag, lattice, press, shot, window};

fn scatter_window<'a>(points: Points) -> Window<'a> {
    window(
        Scene::new(points),
        vec2(620.0, 520.0),
        Theme::Dark,
        |ui, scene| scene.scatter_ui(ui),
    )
}

/// Where values stand in the scatter of this window.
fn at(window: &Window<'_>, x: f64, y: f64) -> Pos2 {
    window.state().plane.transform.screen([x, y])
}

fn bounds(window: &Window<'_>) -> [f64; 4] {
    let region = window.state().scatter.brush().expect("there is a brush");
    let [x, y] = region.bounds().unwrap();
    [x.min, x.max, y.min, y.max]
}

/// A pixel is some thousandths of the axis.
fn close(got: [f64; 4], want: [f64; 4]) {
    for (got_one, want_one) in got.iter().zip(want) {
        assert!((got_one - want_one).abs() < 0.004, "{got:?}, not {want:?}");
    }
}

#[test]
fn a_drag_brushes_what_it_encloses() {
    let mut window = scatter_window(lattice());
    let path = [
        at(&window, 0.15, 0.15),
        at(&window, 0.3, 0.3),
        at(&window, 0.45, 0.65),
    ];
    drag(&mut window, &path, PointerButton::Primary, Modifiers::NONE);
    close(bounds(&window), [0.15, 0.45, 0.15, 0.65]);
    // Columns 0.2, 0.3, 0.4 and rows 0.2 to 0.6.
    assert_eq!(window.state().brushed, 15);
    let events = &window.state().events;
    assert!(matches!(events[0], ScatterEvent::Brushing(_)), "{events:?}");
    let Some(ScatterEvent::Brushed(region)) = events.last() else {
        panic!("{events:?}")
    };
    let numbers = window.state().points.numbers_in(region);
    assert_eq!(numbers.len(), 15);
    assert!(
        numbers.contains(&10) && !numbers.contains(&0),
        "{numbers:?}"
    );
    let name = window.get_by_label("scatter");
    let said = name.accesskit_node().value().unwrap();
    assert!(said.contains("15 brushed: score 0.15 to 0.45"), "{said}");
}

#[test]
fn a_brush_is_moved_resized_and_cleared() {
    let mut window = scatter_window(lattice());
    let begin = [at(&window, 0.2, 0.2), at(&window, 0.5, 0.6)];
    drag(&mut window, &begin, PointerButton::Primary, Modifiers::NONE);
    let inside = [at(&window, 0.35, 0.45), at(&window, 0.45, 0.35)];
    drag(
        &mut window,
        &inside,
        PointerButton::Primary,
        Modifiers::NONE,
    );
    close(bounds(&window), [0.3, 0.6, 0.1, 0.5]);
    let edge = [at(&window, 0.6, 0.25), at(&window, 0.85, 0.4)];
    drag(&mut window, &edge, PointerButton::Primary, Modifiers::NONE);
    close(bounds(&window), [0.3, 0.85, 0.1, 0.5]);
    let corner = [at(&window, 0.3, 0.5), at(&window, 0.25, 0.75)];
    drag(
        &mut window,
        &corner,
        PointerButton::Primary,
        Modifiers::NONE,
    );
    close(bounds(&window), [0.25, 0.85, 0.1, 0.75]);
    // It never leaves the axes.
    let far = [at(&window, 0.55, 0.45), at(&window, 0.99, 0.99)];
    drag(&mut window, &far, PointerButton::Primary, Modifiers::NONE);
    close(bounds(&window), [0.4, 1.0, 0.35, 1.0]);
    // A click beside all points clears; one on a point does not.
    let point = at(&window, 0.5, 0.5);
    click(&mut window, point);
    assert_eq!(
        window.state().events.last(),
        Some(&ScatterEvent::Clicked(40))
    );
    assert!(window.state().scatter.brush().is_some());
    let beside = at(&window, 0.15, 0.15);
    click(&mut window, beside);
    assert_eq!(window.state().events.last(), Some(&ScatterEvent::Cleared));
    assert!(window.state().scatter.brush().is_none());
}

#[test]
fn esc_brings_back_what_a_drag_replaces_and_clears_the_rest() {
    let mut window = scatter_window(lattice());
    let region = Region::rect([0.1, 0.1], [0.3, 0.3]);
    window.state_mut().scatter.set_brush(Some(region.clone()));
    let (start, end) = (at(&window, 0.5, 0.5), at(&window, 0.8, 0.8));
    window.hover_at(start);
    window.step();
    button(
        &mut window,
        start,
        true,
        PointerButton::Primary,
        Modifiers::NONE,
    );
    window.event(Event::PointerMoved(end));
    window.step();
    assert_ne!(window.state().scatter.brush(), Some(&region));
    press(&mut window, Key::Escape, Modifiers::NONE);
    assert_eq!(window.state().scatter.brush(), Some(&region));
    button(
        &mut window,
        end,
        false,
        PointerButton::Primary,
        Modifiers::NONE,
    );
    assert_eq!(window.state().scatter.brush(), Some(&region));
    press(&mut window, Key::Escape, Modifiers::NONE);
    assert!(window.state().scatter.brush().is_none());
    assert_eq!(window.state().events.last(), Some(&ScatterEvent::Cleared));
}

#[test]
fn shift_draws_a_lasso_and_so_does_its_tool() {
    let mut window = scatter_window(lattice());
    // A triangle below the diagonal.
    let corners = |window: &Window<'_>| {
        let ends = [[0.1, 0.05], [0.95, 0.05], [0.95, 0.9], [0.11, 0.06]];
        let mut path = Vec::new();
        for pair in ends.windows(2) {
            for step in 0..20 {
                let along = |axis: usize| {
                    pair[0][axis] + (pair[1][axis] - pair[0][axis]) * f64::from(step) / 20.0
                };
                path.push(at(window, along(0), along(1)));
            }
        }
        path
    };
    let path = corners(&window);
    drag(&mut window, &path, PointerButton::Primary, Modifiers::SHIFT);
    // Below the diagonal: 8 + 7 + … + 1.
    assert!(matches!(
        window.state().scatter.brush(),
        Some(Region::Lasso(_))
    ));
    assert_eq!(window.state().brushed, 36);
    window.state_mut().scatter.set_brush(None);
    window.state_mut().scatter.tool = Tool::Lasso;
    drag(&mut window, &path, PointerButton::Primary, Modifiers::NONE);
    assert_eq!(window.state().brushed, 36);
    // Moved up by 0.1, as far as the axes let it, it holds the diagonal too, without its last row.
    let inside = [at(&window, 0.8, 0.3), at(&window, 0.8, 0.4)];
    drag(
        &mut window,
        &inside,
        PointerButton::Primary,
        Modifiers::NONE,
    );
    let region = window.state().scatter.brush().unwrap();
    let naive = (0..81).filter(|i| {
        region.contains(
            f64::from((i % 9 + 1) as f32 / 10.0),
            f64::from((i / 9 + 1) as f32 / 10.0),
        )
    });
    assert_eq!(window.state().brushed, naive.count());
    assert!(window.state().brushed > 0 && bounds(&window)[2] > 0.13);
}

#[test]
fn the_view_pans_zooms_and_comes_back_while_the_brush_stays() {
    let mut window = scatter_window(lattice());
    let region = Region::rect([0.42, 0.42], [0.58, 0.58]);
    window.state_mut().scatter.set_brush(Some(region.clone()));
    let middle = at(&window, 0.5, 0.5);
    window.hover_at(middle);
    window.step();
    for _ in 0..5 {
        window.event(Event::MouseWheel {
            source: egui::MouseWheelSource::Wheel,
            unit: egui::MouseWheelUnit::Point,
            delta: vec2(0.0, 60.0),
            phase: egui::TouchPhase::Move,
            modifiers: Modifiers::NONE,
        });
        window.run_steps(12);
    }
    let zoomed = window.state().plane.transform;
    assert!(zoomed.x.width() < 0.5, "{:?}", zoomed.x);
    assert!(at(&window, 0.5, 0.5).distance(middle) < 0.5);
    assert_eq!(window.state().scatter.brush(), Some(&region));
    let path = [middle, middle + vec2(30.0, 0.0), middle + vec2(60.0, 20.0)];
    drag(&mut window, &path, PointerButton::Middle, Modifiers::NONE);
    let moved = at(&window, 0.5, 0.5) - middle;
    assert!((moved - vec2(60.0, 20.0)).length() < 1.5, "{moved:?}");
    assert_eq!(window.state().scatter.brush(), Some(&region));
    assert_eq!(window.state().brushed, 1);
    window.get_by_label("Show all").click();
    window.run_steps(3);
    assert_eq!(window.state().plane.transform.x, Range::UNIT);
    // In pan mode a plain drag moves the view, and nothing is brushed.
    window.state_mut().scatter.set_brush(None);
    window.get_by_label("Pan").click();
    window.run_steps(2);
    let half = Range {
        min: 0.25,
        max: 0.75,
    };
    let axes = maskscope::ui::plot::Axes {
        x: Axis::unit(""),
        y: Axis::unit(""),
        diagonal: false,
    };
    window.state_mut().scatter.view.show(half, half, &axes);
    window.step();
    drag(&mut window, &path, PointerButton::Primary, Modifiers::NONE);
    assert!(window.state().plane.transform.x.min < 0.24);
    assert!(window.state().scatter.brush().is_none());
    // A double click shows all.
    let empty = at(&window, 0.55, 0.55);
    for pressed in [true, false, true, false] {
        button(
            &mut window,
            empty,
            pressed,
            PointerButton::Primary,
            Modifiers::NONE,
        );
    }
    window.step();
    assert_eq!(window.state().plane.transform.x, Range::UNIT);
}

#[test]
fn keys_brush_move_resize_zoom_and_clear() {
    let mut window = scatter_window(lattice());
    // Past the three tools.
    for _ in 0..4 {
        press(&mut window, Key::Tab, Modifiers::NONE);
    }
    assert!(window.get_by_label("scatter").accesskit_node().is_focused());
    press(&mut window, Key::Enter, Modifiers::NONE);
    close(bounds(&window), [0.25, 0.75, 0.25, 0.75]);
    press(&mut window, Key::ArrowRight, Modifiers::NONE);
    press(&mut window, Key::ArrowDown, Modifiers::NONE);
    close(bounds(&window), [0.3, 0.8, 0.2, 0.7]);
    press(&mut window, Key::ArrowUp, Modifiers::SHIFT);
    press(&mut window, Key::ArrowLeft, Modifiers::SHIFT);
    close(bounds(&window), [0.3, 0.75, 0.2, 0.75]);
    press(&mut window, Key::PageUp, Modifiers::NONE);
    assert!((window.state().plane.transform.x.width() - 0.8).abs() < 1e-6);
    press(&mut window, Key::Escape, Modifiers::NONE);
    assert!(window.state().scatter.brush().is_none());
    let before = window.state().plane.transform.x.min;
    press(&mut window, Key::ArrowRight, Modifiers::NONE);
    assert!(window.state().plane.transform.x.min > before);
    press(&mut window, Key::Home, Modifiers::NONE);
    assert_eq!(window.state().plane.transform.x, Range::UNIT);
}

#[test]
fn the_nearest_point_is_hovered_and_clicked() {
    let mut window = scatter_window(lattice());
    let near = at(&window, 0.3, 0.2) + vec2(5.0, -4.0);
    window.hover_at(near);
    window.run_steps(3);
    assert_eq!(window.state().hovered, Some(11));
    assert!(
        window.query_by_label_contains("instance 11").is_some(),
        "the tooltip tells of it"
    );
    click(&mut window, near);
    assert_eq!(window.state().events, [ScatterEvent::Clicked(11)]);
    let away = at(&window, 0.35, 0.25);
    window.hover_at(away);
    window.run_steps(2);
    assert_eq!(window.state().hovered, None);
}

/// Half a million points: density, and what is brushed in its colour; single dots after zooming in.
#[test]
fn many_points_become_density_and_dots_again() {
    let mut scene = Scene::new(cloud(500_000, 1));
    scene.margins = true;
    let mut window = window(scene, vec2(700.0, 560.0), Theme::Dark, |ui, scene| {
        scene.scatter_ui(ui)
    });
    let colours = |window: &mut Window<'_>, from: [f64; 2], to: [f64; 2]| {
        let (a, b) = (at(window, from[0], from[1]), at(window, to[0], to[1]));
        let picture = window.render().unwrap();
        let area = Rect::from_two_pos(a, b);
        let (mut orange, mut blue) = (0, 0);
        for y in area.top() as u32..area.bottom() as u32 {
            for x in area.left() as u32..area.right() as u32 {
                let [r, _, b, _] = picture.get_pixel(x, y).0;
                orange += u32::from(i16::from(r) - i16::from(b) > 30);
                blue += u32::from(i16::from(b) - i16::from(r) > 30);
            }
        }
        (orange, blue)
    };
    let (orange, blue) = colours(&mut window, [0.5, 0.5], [0.9, 0.9]);
    assert!(orange == 0 && blue > 1000, "{orange} {blue}");
    window
        .state_mut()
        .scatter
        .set_brush(Some(Region::rect([0.5, 0.5], [0.9, 0.9])));
    window.run_steps(2);
    let (orange, blue) = colours(&mut window, [0.52, 0.52], [0.88, 0.85]);
    assert!(orange > 10 * blue.max(1), "{orange} {blue}");
    assert!(window.state().brushed > 100_000);
    shot(&mut window, "plot-density");
    let range = |min: f64| Range {
        min,
        max: min + 0.02,
    };
    let axes = maskscope::ui::plot::Axes {
        x: Axis::unit(""),
        y: Axis::unit(""),
        diagonal: false,
    };
    window
        .state_mut()
        .scatter
        .view
        .show(range(0.49), range(0.49), &axes);
    window.run_steps(2);
    shot(&mut window, "plot-density-near");
    // Dots are round: some pixels of the frame are of the panel, between them.
    let (orange, blue) = colours(&mut window, [0.491, 0.491], [0.499, 0.509]);
    assert!(blue > 0 && orange == 0, "{orange} {blue}");
}
