//! The tools on the canvas, with the pointer.

use std::path::Path;

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use maskscope::document::review::{Shape, Target};
use maskscope::ui::command::Command;
use maskscope::ui::panels::review::tools::Tool;
use maskscope::ui::review_command::ReviewCommand;
use maskscope::ui::view::Workspace;

use super::{
    click, on_screen, open, pointer, press, reviewed, selected, settle, steps, synthetic, undo,
    until,
};
use crate::panels::{Window, said, send, shot, shot_both, window};
use crate::workspaces::files;

fn corner(window: &Window, id: u64, part: usize, at: usize) -> (f64, f64) {
    match reviewed(window).shape(id) {
        Ok(Shape::Polygons(parts)) => (parts[part][2 * at], parts[part][2 * at + 1]),
        other => panic!("{other:?}"),
    }
}

fn corner_count(window: &Window, id: u64) -> usize {
    match reviewed(window).shape(id) {
        Ok(Shape::Polygons(parts)) => parts.iter().map(|part| part.len() / 2).sum(),
        other => panic!("{other:?}"),
    }
}

fn area(window: &Window, id: u64) -> u64 {
    reviewed(window).mask(id).unwrap().area()
}

fn drag(window: &mut Window, path: &[(f32, f32)]) {
    let path: Vec<egui::Pos2> = path.iter().map(|&(x, y)| on_screen(window, x, y)).collect();
    pointer(window, path[0], None);
    pointer(window, path[0], Some(true));
    for &at in &path[1..] {
        pointer(window, at, None);
    }
    pointer(window, path[path.len() - 1], Some(false));
    settle(window);
}

/// A new annotation with the id 7, corner by corner.
fn draw_square(window: &mut Window) {
    press(window, Key::P);
    for (x, y) in [(60.0, 20.0), (120.0, 20.0), (120.0, 80.0), (60.0, 80.0)] {
        click(window, x, y);
    }
    press(window, Key::Enter);
    until(window, "the new annotation", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
}

/// A synthetic set with the model that knows it.
fn with_model(home: &Path) -> Window {
    let mut window = window(&synthetic(home, 2), egui::Theme::Dark);
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.safetensors");
    send(&mut window, Command::OpenPath(checkpoint));
    until(&mut window, "the predictions", |app| {
        let images = app.document().images();
        images.len() == 2 && images.iter().all(|image| image.detections().is_some())
    });
    send(&mut window, Command::SetWorkspace(Workspace::Review));
    until(&mut window, "the review", |app| {
        app.document().review().is_some()
    });
    settle(&mut window);
    window
}

#[test]
fn masks_are_painted_and_erased() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    assert_eq!(
        (selected(&window), area(&window, 5)),
        (Some(Target::Annotation(5)), 40 * 120)
    );
    press(&mut window, Key::B);
    drag(&mut window, &[(60.0, 60.0), (100.0, 60.0), (120.0, 60.0)]);
    let painted = area(&window, 5);
    // A stroke of 24 px beside the stripe, 70 px long and more.
    assert!(painted > 40 * 120 + 60 * 20, "{painted}");
    assert_eq!(reviewed(&window).history().len(), 1, "a stroke is one step");
    press(&mut window, Key::E);
    drag(&mut window, &[(0.0, 60.0), (149.0, 60.0)]);
    let erased = area(&window, 5);
    assert!(erased < 40 * 120 && erased > 40 * 80, "{erased}");
    undo(&mut window);
    assert_eq!(area(&window, 5), painted);
    undo(&mut window);
    assert_eq!(area(&window, 5), 40 * 120);
    // Nothing selected, the brush begins a new annotation.
    press(&mut window, Key::V);
    send(&mut window, Command::SelectInstance(None));
    settle(&mut window);
    press(&mut window, Key::B);
    drag(&mut window, &[(90.0, 30.0), (110.0, 30.0)]);
    assert!(area(&window, 7) > 400);
    press(&mut window, Key::Escape);
    assert!(!window.state().view().review.drawing.is_active());
}

#[test]
fn polygons_are_drawn_and_cut() {
    let files = files();
    let mut window = open(&files, egui::Theme::Light);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::P);
    for (x, y) in [(60.0, 20.0), (120.0, 20.0), (120.0, 80.0), (60.0, 80.0)] {
        click(&mut window, x, y);
    }
    shot(&mut window, "review-polygon-light");
    press(&mut window, Key::Enter);
    until(&mut window, "the new annotation", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    let drawn = area(&window, 7);
    assert!((3400..3800).contains(&drawn), "{drawn}");
    let shape = |window: &Window| reviewed(window).shape(7).unwrap();
    assert!(matches!(shape(&window), Shape::Polygons(_)));
    press(&mut window, Key::H);
    for (x, y) in [(80.0, 40.0), (100.0, 40.0), (100.0, 60.0), (80.0, 60.0)] {
        click(&mut window, x, y);
    }
    press(&mut window, Key::Enter);
    settle(&mut window);
    let cut = area(&window, 7);
    assert!(cut < drawn - 300 && cut > drawn - 500, "{cut} of {drawn}");
    assert!(
        matches!(shape(&window), Shape::Runs(_)),
        "polygons have no holes"
    );
    assert!(
        said(&window, "The polygons are a painted mask now"),
        "the conversion is announced"
    );
    shot(&mut window, "review-hole-light");
    undo(&mut window);
    assert!(matches!(shape(&window), Shape::Polygons(_)));
}

#[test]
fn corners_are_moved_made_and_deleted() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    draw_square(&mut window);
    press(&mut window, Key::C);
    settle(&mut window);
    drag(&mut window, &[(120.0, 20.0), (125.0, 24.0), (132.0, 30.0)]);
    let (x, y) = corner(&window, 7, 0, 1);
    assert!((x - 132.0).abs() < 1.0 && (y - 30.0).abs() < 1.0, "{x} {y}");
    assert_eq!(steps(&window), 2, "a drag is one step");
    // Near the border it goes onto it.
    drag(&mut window, &[(60.0, 20.0), (40.0, 10.0), (30.0, 1.0)]);
    assert_eq!(corner(&window, 7, 0, 0).1, 0.0);
    // On an edge a new one.
    drag(&mut window, &[(48.75, 50.0), (47.0, 50.0), (40.0, 55.0)]);
    assert_eq!(corner_count(&window, 7), 5);
    let (x, y) = corner(&window, 7, 0, 4);
    assert!((x - 40.0).abs() < 1.5 && (y - 55.0).abs() < 1.5, "{x} {y}");
    shot(&mut window, "review-corners-dark");
    // Delete takes the chosen corner, not the annotation.
    press(&mut window, Key::Delete);
    assert_eq!(corner_count(&window, 7), 4);
    undo(&mut window);
    assert_eq!(corner_count(&window, 7), 5);
    undo(&mut window);
    assert_eq!(corner_count(&window, 7), 4);
    // A click beside everything chooses none: nothing happens.
    let before = steps(&window);
    click(&mut window, 10.0, 100.0);
    press(&mut window, Key::Backspace);
    assert_eq!(steps(&window), before);
    assert_eq!(corner_count(&window, 7), 4);
    // A painted mask has none, and that is said.
    press(&mut window, Key::V);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    press(&mut window, Key::C);
    assert!(said(&window, "A painted mask has no corners"));
}

#[test]
fn boxes_move_and_stretch_what_they_are_around() {
    let files = files();
    let mut window = open(&files, egui::Theme::Light);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::D);
    drag(&mut window, &[(60.0, 30.0), (80.0, 50.0), (100.0, 70.0)]);
    until(&mut window, "the rectangle", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    let drawn = area(&window, 7);
    assert!((1500..1700).contains(&drawn), "{drawn}");
    settle(&mut window);
    // Inside it moves, and stays in the image.
    drag(&mut window, &[(80.0, 50.0), (90.0, 60.0), (149.0, 60.0)]);
    assert_eq!(area(&window, 7), drawn);
    let bbox = reviewed(&window).mask(7).unwrap().bbox();
    assert_eq!(bbox.x + bbox.width, 150.0);
    shot(&mut window, "review-box-light");
    // By its left side it becomes twice as wide.
    let middle = (bbox.y + bbox.height / 2.0) as f32;
    drag(
        &mut window,
        &[
            (bbox.x as f32, middle),
            (90.0, middle),
            ((bbox.x - bbox.width) as f32, middle),
        ],
    );
    let wide = area(&window, 7);
    assert!(wide.abs_diff(2 * drawn) < 100, "{wide} of {drawn}");
    assert_eq!(steps(&window), 3);
    // A press and a slip of the hand are no edit: inside, on a handle and beside it.
    let bbox = reviewed(&window).mask(7).unwrap().bbox();
    let left = bbox.x as f32;
    for x in [120.0, left, left + 1.0, 149.5] {
        click(&mut window, x, middle);
        assert_eq!(steps(&window), 3, "{x}");
    }
    // A painted mask moves as it is: the stripe of 40 columns by ten.
    press(&mut window, Key::V);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    let was = reviewed(&window).mask(5).unwrap();
    press(&mut window, Key::D);
    let bbox = was.bbox();
    let inside = (bbox.x as f32 + 15.0, 60.0);
    drag(
        &mut window,
        &[inside, (inside.0 + 4.0, 60.0), (inside.0 + 10.0, 60.0)],
    );
    let now = reviewed(&window).mask(5).unwrap();
    assert_eq!(now.area(), was.area());
    assert_eq!(now.bbox().x, bbox.x + 10.0);
    undo(&mut window);
    let back = reviewed(&window).mask(5).unwrap();
    assert_eq!(back, was);
}

/// One gesture with each tool, seen while it lasts.
#[test]
fn each_tool_says_how_it_is_used_and_shows_what_it_leads_to() {
    let tools = [
        (Tool::Brush, Key::B, "size"),
        (Tool::Eraser, Key::E, "size"),
        (Tool::Polygon, Key::P, "closes"),
        (Tool::Cut, Key::H, "hole"),
        (Tool::Corners, Key::C, "Drag a corner"),
        (Tool::Box, Key::D, "handles"),
        (Tool::Predict, Key::R, "the model's mask"),
    ];
    for (theme, name) in [(egui::Theme::Dark, "dark"), (egui::Theme::Light, "light")] {
        let files = files();
        let mut window = open(&files, theme);
        send(&mut window, Command::SelectImage(2));
        settle(&mut window);
        draw_square(&mut window);
        for (tool, key, hint) in tools {
            press(&mut window, key);
            assert_eq!(window.state().view().review.drawing.tool, tool);
            assert!(said(&window, hint), "{tool:?}");
            let (before, is_polygon) = (steps(&window), matches!(tool, Tool::Polygon | Tool::Cut));
            if is_polygon {
                for (x, y) in [(80.0, 40.0), (110.0, 45.0), (100.0, 90.0)] {
                    click(&mut window, x, y);
                }
            } else {
                let path = [(120.0, 20.0), (110.0, 40.0), (90.0, 70.0)];
                let path = path.map(|(x, y)| on_screen(&window, x, y));
                pointer(&mut window, path[0], None);
                pointer(&mut window, path[0], Some(true));
                pointer(&mut window, path[1], None);
                pointer(&mut window, path[2], None);
            }
            assert!(window.state().view().review.drawing.is_begun(), "{tool:?}");
            let label = tool.label().to_lowercase().replace(' ', "-");
            shot(&mut window, &format!("review-tool-{label}-{name}"));
            // What is begun is taken back, corner by corner.
            let takes = if is_polygon { 3 } else { 1 };
            (0..takes).for_each(|_| undo(&mut window));
            let at = on_screen(&window, 90.0, 70.0);
            pointer(&mut window, at, Some(false));
            settle(&mut window);
            assert_eq!(steps(&window), before, "{tool:?}");
        }
    }
}

/// Leads the pointer of the tool by so many steps of the arrows.
fn lead(window: &mut Window, x: i32, y: i32) {
    let ways = [
        (x, Key::ArrowRight, Key::ArrowLeft),
        (y, Key::ArrowDown, Key::ArrowUp),
    ];
    for (by, on, back) in ways {
        let key = if by > 0 { on } else { back };
        for _ in 0..by.abs() / 10 {
            window.key_press_modifiers(Modifiers::ALT | Modifiers::SHIFT, key);
        }
        for _ in 0..by.abs() % 10 {
            window.key_press_modifiers(Modifiers::ALT, key);
        }
        settle(window);
    }
}

fn press_pointer(window: &mut Window) {
    window.key_press_modifiers(Modifiers::ALT, Key::Enter);
    settle(window);
}

#[test]
fn every_tool_is_used_with_keys_alone() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    let image = window.state().view().image;
    // From the middle of the image of 150 x 120: a square, corner by corner.
    press(&mut window, Key::P);
    for (x, y) in [(0, 0), (40, 0), (0, 40), (-40, 0)] {
        lead(&mut window, x, y);
        press_pointer(&mut window);
    }
    // In a slow frame Alt is let go together with the key: it is the pointer's still.
    lead(&mut window, 0, -20);
    window.input_mut().events.push(egui::Event::Key {
        key: Key::Enter,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers: Modifiers::ALT,
    });
    settle(&mut window);
    assert_eq!(steps(&window), 0, "a fifth corner, not the end");
    press(&mut window, Key::Backspace);
    press(&mut window, Key::Enter);
    until(&mut window, "the new annotation", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    assert_eq!(
        reviewed(&window).shape(7).unwrap(),
        Shape::Polygons(vec![vec![
            75.0, 60.0, 115.0, 60.0, 115.0, 100.0, 75.0, 100.0
        ]])
    );
    assert_eq!(
        window.state().view().image,
        image,
        "the arrows were the tool's"
    );
    // A corner: pressed, led, let go, the pointer being on the last one.
    press(&mut window, Key::C);
    lead(&mut window, 0, 20);
    press_pointer(&mut window);
    lead(&mut window, -5, 3);
    assert_eq!(corner(&window, 7, 0, 3), (75.0, 100.0), "not let go yet");
    press_pointer(&mut window);
    assert_eq!(corner(&window, 7, 0, 3), (70.0, 103.0));
    press(&mut window, Key::Delete);
    assert_eq!(corner_count(&window, 7), 3);
    undo(&mut window);
    // The box, from inside.
    press(&mut window, Key::D);
    lead(&mut window, 20, -20);
    press_pointer(&mut window);
    lead(&mut window, -12, 2);
    shot(&mut window, "review-keys-dark");
    press_pointer(&mut window);
    assert_eq!(corner(&window, 7, 0, 1), (103.0, 62.0));
    // A stroke, and one that is taken back while it is pressed.
    let before = area(&window, 7);
    press(&mut window, Key::E);
    press_pointer(&mut window);
    lead(&mut window, 10, 0);
    let steps_before = steps(&window);
    undo(&mut window);
    lead(&mut window, 10, 0);
    assert_eq!((steps(&window), area(&window, 7)), (steps_before, before));
    press_pointer(&mut window);
    lead(&mut window, -10, 0);
    press_pointer(&mut window);
    assert_eq!(steps(&window), steps_before + 1);
    assert!(area(&window, 7) < before - 300);
    // Far away the canvas follows; the mouse takes the pointer back.
    for _ in 0..8 {
        press(&mut window, Key::Plus);
    }
    lead(&mut window, -60, 0);
    let view = window.state().view();
    let frame = view.canvas.frame().unwrap();
    let (x, _) = frame.image_from_points(frame.rect.left_center());
    assert!(x < 40.0, "{x}");
    pointer(&mut window, frame.rect.center(), None);
    shot(&mut window, "review-keys-mouse-dark");
}

#[test]
fn marked_annotations_are_merged() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    let count = |window: &Window| {
        let review = reviewed(window);
        review.annotation_ids(0).len()
    };
    let before = count(&window);
    assert!(before > 1);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    let Some(Target::Annotation(first)) = selected(&window) else {
        panic!("nothing is selected");
    };
    press(&mut window, Key::U);
    assert_eq!(count(&window), before, "one alone is not merged");
    press(&mut window, Key::X);
    assert_eq!(window.state().view().review.marked, [first]);
    send(&mut window, Command::SelectInstance(Some(1)));
    settle(&mut window);
    let Some(Target::Annotation(second)) = selected(&window) else {
        panic!("nothing is selected");
    };
    assert!(said(&window, "Marked: "));
    shot_both(&mut window, "review-marked");
    let mask = |window: &Window, id| reviewed(window).mask(id).unwrap();
    let union = mask(&window, first).union(&mask(&window, second)).unwrap();
    press(&mut window, Key::U);
    assert_eq!(count(&window), before - 1);
    assert_eq!(mask(&window, first), union);
    assert_eq!(selected(&window), Some(Target::Annotation(first)));
    assert!(!said(&window, "Marked: "));
    undo(&mut window);
    assert_eq!(count(&window), before);
    // Shift and a click mark the one before, which may be marked already.
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    press(&mut window, Key::X);
    let other = mask(&window, second).bbox();
    let at = (other.x + other.width / 2.0, other.y + other.height / 2.0);
    let at = on_screen(&window, at.0 as f32, at.1 as f32);
    pointer(&mut window, at, None);
    for pressed in [true, false] {
        window.event_modifiers(
            egui::Event::PointerButton {
                pos: at,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: Modifiers::SHIFT,
            },
            Modifiers::SHIFT,
        );
        window.step();
    }
    settle(&mut window);
    assert_eq!(window.state().view().review.marked, [first]);
    // Another image has other annotations.
    send(&mut window, Command::SelectImage(1));
    settle(&mut window);
    assert!(window.state().view().review.marked.is_empty());
}

#[test]
fn what_is_begun_is_taken_back_first() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::P);
    for (x, y) in [(60.0, 20.0), (120.0, 20.0), (120.0, 80.0), (140.0, 110.0)] {
        click(&mut window, x, y);
    }
    undo(&mut window);
    undo(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    settle(&mut window);
    press(&mut window, Key::Enter);
    until(&mut window, "the triangle", |app| {
        app.view().review.selected == Some(Target::Annotation(7))
    });
    assert_eq!(corner_count(&window, 7), 3);
    let drawn = area(&window, 7);
    // A stroke that is in hand.
    press(&mut window, Key::B);
    let from = on_screen(&window, 30.0, 90.0);
    pointer(&mut window, from, None);
    pointer(&mut window, from, Some(true));
    let to = on_screen(&window, 50.0, 100.0);
    pointer(&mut window, to, None);
    undo(&mut window);
    pointer(&mut window, to, Some(false));
    settle(&mut window);
    assert_eq!(area(&window, 7), drawn);
    assert_eq!(steps(&window), 1);
}

#[test]
fn the_model_fills_a_box() {
    let home = tempfile::tempdir().unwrap();
    let mut window = with_model(home.path());
    let size = maskscope::structures::Size::new(256, 256);
    send(&mut window, Command::SelectImage(0));
    settle(&mut window);
    let detections = window.state().document().images()[0].detections().unwrap();
    let best = detections[0].clone();
    assert!(best.score > 0.5, "the model knows this set");
    let review_of = |window: &Window| reviewed(window).annotation_ids(0);
    let before = review_of(&window);
    press(&mut window, Key::R);
    let at = |window: &Window, x: f64, y: f64| {
        let canvas = window.get_by_label("Canvas").rect();
        let view = &window.state().view().canvas;
        let points = window.ctx.pixels_per_point();
        view.screen_from_image(canvas, points, size, (x as f32, y as f32))
    };
    let b = best.bbox;
    let path = [
        at(&window, b.x, b.y),
        at(&window, b.x + b.width / 2.0, b.y + b.height / 2.0),
        at(&window, b.x + b.width, b.y + b.height),
    ];
    pointer(&mut window, path[0], None);
    pointer(&mut window, path[0], Some(true));
    pointer(&mut window, path[1], None);
    pointer(&mut window, path[2], None);
    shot_both(&mut window, "review-predict");
    pointer(&mut window, path[2], Some(false));
    until(&mut window, "the mask", |app| {
        app.document().review().unwrap().annotation_ids(0).len() > before.len()
    });
    settle(&mut window);
    let new = *review_of(&window).last().unwrap();
    // With the tool in hand the next box is another object.
    assert_eq!(selected(&window), None);
    let review = reviewed(&window);
    let mask = review.mask(new).unwrap();
    let iou = mask.iou(&best.mask).unwrap();
    assert!(iou > 0.9, "the mask of the detection in that box: {iou}");
    let record = review.record(new).unwrap();
    let names = &window.state().document().classes().category_ids;
    assert_eq!(record.category_id, names[best.label]);
    let origin = record.origin.unwrap();
    assert!(origin.mask_iou.is_some());
    assert!((origin.score - best.score).abs() < 0.2);
    shot_both(&mut window, "review-predicted");
    pointer(&mut window, path[0], None);
    pointer(&mut window, path[0], Some(true));
    pointer(&mut window, path[1], None);
    pointer(&mut window, path[2], None);
    pointer(&mut window, path[2], Some(false));
    until(&mut window, "another mask", |app| {
        app.document().review().unwrap().annotation_ids(0).len() == before.len() + 2
    });
    undo(&mut window);

    // The box of an annotation: its mask becomes the model's.
    press(&mut window, Key::V);
    let drawn = before[0];
    let bbox = reviewed(&window).mask(drawn).unwrap().bbox();
    let (right, bottom) = (bbox.x + bbox.width, bbox.y + bbox.height);
    let corners = [bbox.x, bbox.y, right, bbox.y, right, bottom, bbox.x, bottom];
    let drawn_over = ReviewCommand::Drawn {
        id: Some(drawn),
        image: 0,
        shape: Shape::Polygons(vec![corners.to_vec()]),
    };
    send(&mut window, Command::Review(drawn_over));
    settle(&mut window);
    let was = reviewed(&window).mask(drawn).unwrap();
    let index = review_of(&window)
        .iter()
        .position(|&id| id == drawn)
        .unwrap();
    send(&mut window, Command::ShowAnnotation(0, index));
    settle(&mut window);
    assert_eq!(selected(&window), Some(Target::Annotation(drawn)));
    let steps_before = steps(&window);
    window.key_press_modifiers(Modifiers::SHIFT, Key::R);
    until(&mut window, "the answer", |app| {
        app.document().asked_masks() == 0
            && app.document().review().unwrap().history_position() > steps_before
    });
    let now = reviewed(&window).mask(drawn).unwrap();
    let iou = now.iou(&was).unwrap();
    assert!(iou > 0.5 && now != was, "{iou}");
    assert!(said(&window, "The polygons are a painted mask now"));
    undo(&mut window);
    let back = reviewed(&window).mask(drawn).unwrap();
    assert_eq!(back, was);
}

#[test]
fn without_a_model_a_box_is_refused() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectInstance(Some(0)));
    settle(&mut window);
    window.key_press_modifiers(Modifiers::SHIFT, Key::R);
    settle(&mut window);
    assert!(said(&window, "No checkpoint is loaded"));
    assert_eq!(steps(&window), 0);
}

#[test]
fn corners_stay_with_their_image() {
    let files = files();
    let mut window = open(&files, egui::Theme::Dark);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::P);
    for (x, y) in [(60.0, 20.0), (120.0, 20.0), (120.0, 80.0)] {
        click(&mut window, x, y);
    }
    send(&mut window, Command::SelectImage(1));
    settle(&mut window);
    press(&mut window, Key::Enter);
    send(&mut window, Command::SelectImage(2));
    settle(&mut window);
    press(&mut window, Key::Enter);
    let review = reviewed(&window);
    assert_eq!(review.history().len(), 0);
}
