//! The gallery: thumbnails of all images that pass the filter, with what was found in them. Only visible rows exist.

use std::time::Duration;

use egui::{
    Align2, Color32, CornerRadius, FontId, Id, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};

use super::filter_bar::filter_bar_ui;
use super::virtual_rows::VirtualRows;
use crate::document::filter::{EvaluationFields, Next, best_score};
use crate::document::{Document, ImageEntry, ImageState};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::loader::{ImageRef, Loaded, Loader};
use crate::ui::view::ViewState;
use crate::ui::{colour, icons, theme, widgets};

/// Cells are at least so wide; the width that is left over is shared.
const MIN_CELL: f32 = 112.0;
/// Height over width of a cell.
const CELL_ASPECT: f32 = 0.73;
/// Between cells.
const GAP: f32 = 8.0;
/// Height of a badge.
const BADGE: f32 = 16.0;
/// Between a badge and the edge of its cell.
const BADGE_INSET: f32 = 4.0;
/// What filter and order may take of a frame.
const BUDGET: Duration = Duration::from_millis(4);

/// Draws the gallery with its filter bar.
pub fn gallery_ui(
    ui: &mut Ui,
    doc: &Document,
    view: &mut ViewState,
    loader: &mut Loader,
    out: &mut CommandQueue,
) {
    renew(ui, doc, view);
    filter_bar_ui(ui, doc, view, out);
    ui.add_space(theme::GRID);
    if view.gallery.is_empty() {
        if !doc.images().is_empty() && !view.filter.is_running() {
            nothing_found(ui, view, out);
        }
        return;
    }
    let width = ui.available_width();
    let columns = (((width + GAP) / (MIN_CELL + GAP)) as usize).max(1);
    let cell = (width - GAP * (columns - 1) as f32) / columns as f32;
    let height = (cell * CELL_ASPECT).round();
    let reveal = view
        .image
        .filter(|_| std::mem::take(&mut view.scroll_to_selected))
        .and_then(|image| view.gallery.iter().position(|&index| index == image))
        .map(|place| place / columns);
    let rows = VirtualRows {
        pitch: height + GAP,
        rows: view.gallery.len().div_ceil(columns),
        reveal,
    };
    let view = &*view;
    let evaluated = doc.evaluation_fields().map(AsRef::as_ref);
    rows.show(ui, Id::unique("gallery rows"), |ui, row, rect| {
        for column in 0..columns {
            let Some(&index) = view.gallery.get(row * columns + column) else {
                break;
            };
            let Some(image) = doc.images().get(index) else {
                continue;
            };
            let left = rect.left() + (cell + GAP) * column as f32;
            let at = Rect::from_min_size(pos2(left, rect.top()), vec2(cell, height));
            cell_ui(ui, at, index, image, evaluated, view, loader, out);
        }
    });
}

/// Filters and orders anew where something changed. What takes longer than a few milliseconds goes on in the next frame.
fn renew(ui: &Ui, doc: &Document, view: &mut ViewState) {
    let now = ui.input(|input| input.time);
    let input = doc.filter_input(view.rank_by, view.threshold);
    let next = view
        .filter
        .renew(&mut view.passing, &view.query, &input, now, BUDGET);
    view.renew_gallery();
    match next {
        Next::Change => {}
        Next::Frame => ui.request_repaint(),
        Next::After(wait) => ui.request_repaint_after(wait),
    }
}

fn nothing_found(ui: &mut Ui, view: &mut ViewState, out: &mut CommandQueue) {
    ui.add_space(32.0);
    ui.vertical_centered(|ui| {
        let c = theme::colours(ui);
        ui.label(
            egui::RichText::new(icons::MAGNIFYING_GLASS)
                .size(24.0)
                .color(c.weak),
        );
        if view.picked.is_some() && !view.passing.is_empty() {
            ui.label("No image that passes the filter has a picked instance");
            ui.add_space(theme::GRID);
            if ui.button(Command::ClearPick.label().into_owned()).clicked() {
                out.push(Command::ClearPick);
            }
            return;
        }
        ui.label("No image passes the filter");
        ui.add_space(theme::GRID);
        if ui.button("Clear filter").clicked() {
            view.query.text.clear();
        }
    });
}

/// What a cell says about its image.
struct Summary {
    /// Predictions at or above the threshold.
    count: Option<usize>,
    best: Option<f64>,
    judged: Option<Judged>,
}

/// What the evaluation says about an image.
#[derive(Clone, Copy)]
struct Judged {
    ap: Option<f64>,
    tp: u32,
    fp: u32,
    misses: u32,
}

impl Judged {
    fn of(fields: &EvaluationFields, index: usize) -> Option<Self> {
        let count = |list: &[Option<u32>]| list.get(index).copied().flatten();
        Some(Self {
            ap: fields.ap.get(index).copied().flatten(),
            tp: count(&fields.tp)?,
            fp: count(&fields.fp)?,
            misses: count(&fields.misses)?,
        })
    }

    fn spoken(self) -> String {
        let ap = super::judged::figure(self.ap);
        format!(
            "AP {ap}, {} true, {} false, {} missed",
            self.tp, self.fp, self.misses
        )
    }
}

fn cell_ui(
    ui: &mut Ui,
    rect: Rect,
    index: usize,
    image: &ImageEntry,
    evaluated: Option<&EvaluationFields>,
    view: &ViewState,
    loader: &mut Loader,
    out: &mut CommandQueue,
) {
    let summary = Summary {
        count: image.detections().map(|detections| {
            let shown = detections
                .iter()
                .filter(|d| view.rank_by.admits(d, view.threshold));
            shown.count()
        }),
        best: image.detections().and_then(|d| best_score(d, view.rank_by)),
        judged: evaluated.and_then(|fields| Judged::of(fields, index)),
    };
    let selected = view.image == Some(index);
    let response = ui.interact(rect, Id::unique(("gallery cell", index)), Sense::click());
    let label = label(image, &summary);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, &label));
    if response.clicked() {
        out.push(Command::SelectImage(index));
    }
    let reference = ImageRef {
        index,
        path: &image.path,
        declared: image.declared,
    };
    let failure = picture(ui, rect, loader.thumbnail(reference));
    badges(ui, rect, image, &summary);
    state_mark(ui, rect, &image.state);
    frame(ui, rect, selected, &response);
    response.on_hover_ui(|ui| tooltip(ui, image, &summary, view, failure.as_deref()));
}

/// The accessible name: file and state.
fn label(image: &ImageEntry, summary: &Summary) -> String {
    let state = match (&image.state, summary.count) {
        (ImageState::Done(_), Some(count)) => plural(count, "instance"),
        (ImageState::Queued, _) => "queued".into(),
        (ImageState::Running, _) => "running".into(),
        (ImageState::Failed(_), _) => "failed".into(),
        _ => "no predictions".into(),
    };
    let truth = match image.annotations {
        0 => String::new(),
        count => format!(", {}", plural(count, "annotation")),
    };
    let judged = summary
        .judged
        .map_or_else(String::new, |it| format!(", {}", it.spoken()));
    format!("{}, {state}{truth}{judged}", image.name)
}

fn plural(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", widgets::thousands(count))
}

/// The thumbnail, cropped to the cell; returns why there is none.
fn picture(
    ui: &Ui,
    rect: Rect,
    thumbnail: Loaded<egui::load::SizedTexture>,
) -> Option<std::sync::Arc<str>> {
    let c = theme::colours(ui);
    let radius = CornerRadius::same(theme::RADIUS);
    match thumbnail {
        Loaded::Ready(texture) => {
            let uv = cover(texture.size, rect.size());
            egui::Image::from_texture(texture)
                .uv(uv)
                .corner_radius(radius)
                .paint_at(ui, rect);
            None
        }
        Loaded::Pending => {
            ui.painter().rect_filled(rect, radius, c.field);
            None
        }
        Loaded::Failed(why) => {
            ui.painter().rect_filled(rect, radius, c.field);
            let font = FontId::proportional(24.0);
            let at = rect.center();
            ui.painter()
                .text(at, Align2::CENTER_CENTER, icons::IMAGE_BROKEN, font, c.weak);
            Some(why)
        }
    }
}

/// The part of a texture, centred, that has the shape of the cell.
fn cover(texture: egui::Vec2, cell: egui::Vec2) -> Rect {
    let scale = (cell.x / texture.x.max(1.0)).max(cell.y / texture.y.max(1.0));
    let share = cell / (texture * scale).max(vec2(1.0, 1.0));
    Rect::from_center_size(pos2(0.5, 0.5), share.min(vec2(1.0, 1.0)))
}

/// Instances and annotations at the lower left, the best score at the lower right.
fn badges(ui: &Ui, rect: Rect, image: &ImageEntry, summary: &Summary) {
    let bottom = rect.bottom() - BADGE_INSET - BADGE;
    let mut left = rect.left() + BADGE_INSET;
    let end = rect.right() - BADGE_INSET;
    if let Some(judged) = summary.judged {
        return judged_badges(ui, rect, judged);
    }
    if let Some(count) = summary.count {
        let text = format!("{} {}", icons::SHAPES, widgets::thousands(count));
        let plate = badge(ui, pos2(left, bottom), 0.0, &text, colour::LABEL_TEXT);
        left = plate.right() + BADGE_INSET;
    }
    if image.annotations > 0 {
        let text = format!("{} {}", icons::TAG, widgets::thousands(image.annotations));
        badge(ui, pos2(left, bottom), 0.0, &text, colour::LABEL_TEXT);
    }
    if let Some(best) = summary.best {
        let text = format!("{:.2}", best.clamp(0.0, 1.0));
        badge(ui, pos2(end, bottom), 1.0, &text, colour::LABEL_TEXT);
    }
}

/// AP at the lower left, false positives and misses at the lower right.
fn judged_badges(ui: &Ui, rect: Rect, judged: Judged) {
    let bottom = rect.bottom() - BADGE_INSET - BADGE;
    let mut end = rect.right() - BADGE_INSET;
    let wrong = [
        (judged.misses, "FN", colour::MISSED),
        (judged.fp, "FP", colour::FALSE_POSITIVE),
    ];
    for (count, name, colour) in wrong.into_iter().filter(|(count, ..)| *count > 0) {
        let text = format!("{} {name}", widgets::thousands(count as usize));
        end = badge(ui, pos2(end, bottom), 1.0, &text, colour).left() - BADGE_INSET;
    }
    let left = rect.left() + BADGE_INSET;
    let ap = super::judged::figure(judged.ap);
    let named = format!("AP {ap}");
    // In a narrow cell the number alone.
    let text = match left + badge_width(ui, &named) <= end {
        true => named,
        false => ap,
    };
    badge(ui, pos2(left, bottom), 0.0, &text, colour::LABEL_TEXT);
}

/// Width of a badge's plate.
fn badge_width(ui: &Ui, text: &str) -> f32 {
    let font = FontId::proportional(theme::SMALL - 1.0);
    let painter = ui.painter();
    let galley = painter.layout_no_wrap(text.to_owned(), font, colour::LABEL_TEXT);
    galley.size().x + 10.0
}

/// Text on a dark plate; `align` 0 stands right of `at`, 1 left of it. Returns the plate.
fn badge(ui: &Ui, at: egui::Pos2, align: f32, text: &str, colour: Color32) -> Rect {
    let font = FontId::proportional(theme::SMALL - 1.0);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, colour);
    let width = galley.size().x + 10.0;
    let plate = Rect::from_min_size(pos2(at.x - align * width, at.y), vec2(width, BADGE));
    ui.painter()
        .rect_filled(plate, 3.0, colour::LABEL_BACKGROUND);
    let text_at = plate.center() - galley.size() / 2.0;
    ui.painter().galley(text_at, galley, colour);
    plate
}

/// At the upper right: waits, runs, failed.
fn state_mark(ui: &Ui, rect: Rect, state: &ImageState) {
    let c = &theme::DARK; // on the dark plate, in both themes
    let (icon, colour) = match state {
        ImageState::Idle | ImageState::Done(_) => return,
        ImageState::Queued => (icons::DOTS_THREE, c.weak),
        ImageState::Running => (icons::CIRCLE_HALF, c.accent),
        ImageState::Failed(_) => (icons::WARNING, c.warning),
    };
    let at = pos2(rect.right() - BADGE_INSET, rect.top() + BADGE_INSET);
    badge(ui, at, 1.0, icon, colour);
}

/// The accent around the selected cell, a hint of it around the hovered and the focused one.
fn frame(ui: &Ui, rect: Rect, selected: bool, response: &Response) {
    let c = theme::colours(ui);
    let (width, colour) = if selected {
        (2.0, c.accent)
    } else if response.has_focus() {
        (1.0, c.accent)
    } else if response.hovered() {
        (1.0, c.weak)
    } else {
        return;
    };
    let radius = CornerRadius::same(theme::RADIUS + 1);
    ui.painter().rect_stroke(
        rect.expand(0.5),
        radius,
        Stroke::new(width, colour),
        StrokeKind::Outside,
    );
}

fn tooltip(
    ui: &mut Ui,
    image: &ImageEntry,
    summary: &Summary,
    view: &ViewState,
    failure: Option<&str>,
) {
    let c = theme::colours(ui);
    ui.label(widgets::strong(image.name.as_str(), theme::BODY).color(c.text));
    if let Some(size) = image.size {
        ui.label(format!("{} × {}", size.width, size.height));
    }
    if let Some(count) = summary.count {
        let by = view.rank_by.label();
        let least = view.threshold;
        ui.label(format!(
            "{} with {by} at least {least:.2}",
            plural(count, "instance")
        ));
    }
    if let Some(best) = summary.best {
        ui.label(format!("best {} {best:.2}", view.rank_by.label()));
    }
    if image.annotations > 0 {
        ui.label(format!(
            "{} in the ground truth",
            plural(image.annotations, "annotation")
        ));
    }
    if let Some(judged) = summary.judged {
        ui.label(format!("{} at IoU .50", judged.spoken()));
    }
    match &image.state {
        ImageState::Queued => _ = ui.label("Waits for the model"),
        ImageState::Running => _ = ui.label("The model works on it"),
        ImageState::Failed(why) => _ = ui.colored_label(c.error, &**why),
        ImageState::Idle | ImageState::Done(_) => {}
    }
    if let Some(failure) = failure
        && !matches!(image.state, ImageState::Failed(_))
    {
        ui.colored_label(c.error, failure);
    }
}
