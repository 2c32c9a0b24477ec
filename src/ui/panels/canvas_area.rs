//! The canvas with its tools, and what it says when there is nothing to draw.

use std::sync::Arc;

use egui::{Align2, FontId, Popup, Rect, RichText, Ui, UiBuilder, vec2};

use super::canvas_tools::{self, Hint, tools_ui};
use super::evaluate::{Marks, book};
use super::instances::listed_colour;
use super::parts::text;
use super::wipe::{self, SecondSide};
use crate::document::images::DecodedImage;
use crate::document::{Document, ImageEntry, ImageState, ModelState, SourceKind, TruthState};
use crate::ui::canvas::{
    self, CanvasInput, CanvasResponse, InstanceSet, OverlayStyle, Verdict, Wipe,
};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::loader::{ImageRef, Loaded, Loader};
use crate::ui::review_command::ReviewCommand;
use crate::ui::shown::{self, Shown};
use crate::ui::view::{Layers, ViewState, Workspace};
use crate::ui::{icons, navigate, theme, widgets};

/// Images on either side of the selected one that are decoded ahead.
const PREFETCH: usize = 3;
/// Width of a message in the middle of the canvas.
const MESSAGE: f32 = 480.0;
/// Around a fitted picture.
const PADDING: i8 = 16;
/// Below a fitted picture, where hints stand.
const PADDING_BOTTOM: i8 = 64;

/// Draws the canvas area.
pub fn canvas_area_ui(
    ui: &mut Ui,
    doc: &mut Document,
    view: &mut ViewState,
    loader: &mut Loader,
    out: &mut CommandQueue,
) {
    let area = ui.available_rect_before_wrap();
    ui.painter()
        .rect_filled(area, 0.0, theme::colours(ui).canvas);
    let Some(shown) = Shown::of(ui.ctx(), doc, view) else {
        leave(view);
        no_image(ui, area, doc);
        return;
    };
    let doc: &Document = doc;
    let Some(image) = doc.images().get(shown.image) else {
        return;
    };
    let loaded = load(doc, view, loader, shown.image);
    if let Loaded::Failed(why) = &loaded {
        leave(view);
        unreadable(ui, area, image, why, out);
        return;
    }
    let thumbnail = match &loaded {
        Loaded::Ready(_) => None,
        _ => match loader.thumbnail(reference(shown.image, image)) {
            Loaded::Ready(texture) => Some(texture.id),
            _ => None,
        },
    };
    let picture = Picture {
        decoded: match &loaded {
            Loaded::Ready(decoded) => Some(Arc::clone(decoded)),
            _ => None,
        },
        thumbnail,
    };
    if picture.decoded.is_none() && picture.thumbnail.is_none() {
        let at = area.center();
        let c = theme::colours(ui);
        let font = FontId::proportional(theme::BODY);
        text(
            ui,
            at,
            Align2::CENTER_CENTER,
            "Loading the image…",
            &font,
            c.weak,
        );
    }
    if view.workspace == Workspace::Evaluate {
        view.evaluate.renew(doc, view.image);
    }
    let layers = Drawn::of(ui, doc, view, &shown);
    let second = SecondSide::of(ui, doc, view, shown.image, area);
    let response = draw(ui, view, &shown, image, &picture, &layers, second.as_ref());
    if second.is_some() {
        wipe::handle_ui(ui, area, view);
    }
    react(ui, view, &shown, &layers, &response, out);
    let truth = match &shown.truth {
        TruthState::Absent => canvas_tools::Truth::Absent,
        _ if image.detections().is_none() => canvas_tools::Truth::Alone,
        _ => canvas_tools::Truth::Choice,
    };
    tools_ui(ui, area, view, truth, out);
    hint(ui, area, doc, image, view, &shown, out);
}

/// There is nothing to point at.
fn leave(view: &mut ViewState) {
    view.pointer = None;
    (view.over_canvas, view.pointer_down, view.clicked) = (false, false, false);
}

/// What there is of the image itself.
struct Picture {
    decoded: Option<Arc<DecodedImage>>,
    thumbnail: Option<egui::TextureId>,
}

fn reference(index: usize, image: &ImageEntry) -> ImageRef<'_> {
    ImageRef {
        index,
        path: &image.path,
        declared: image.declared,
    }
}

/// The selected image; its neighbours in the gallery are decoded ahead.
fn load(
    doc: &Document,
    view: &ViewState,
    loader: &mut Loader,
    index: usize,
) -> Loaded<Arc<DecodedImage>> {
    let of = |index: usize| Some(reference(index, doc.images().get(index)?));
    let Some(current) = of(index) else {
        return Loaded::Pending;
    };
    let neighbours: Vec<ImageRef<'_>> = navigate::neighbours(&view.gallery, index, PREFETCH)
        .into_iter()
        .filter_map(of)
        .collect();
    loader.image(current, &neighbours)
}

/// The instance sets of this frame and how they are drawn.
struct Drawn {
    /// Filled, and what a click finds.
    filled: Option<Arc<InstanceSet>>,
    /// Outlined only.
    outlined: Option<Arc<InstanceSet>>,
    /// Whether what is filled is what the list holds, so that selection and hover are shared with it.
    is_listed: bool,
    style: OverlayStyle,
    /// What became of the instances, where the workspace asks for it.
    verdicts: Option<Vec<Verdict>>,
    /// The same of what is outlined.
    outlined_verdicts: Option<Vec<Verdict>>,
    /// Which predictions a chart picked.
    picked: Option<Vec<bool>>,
    /// A mask is being drawn, perhaps of an instance that the list does not have yet.
    is_preview: bool,
}

impl Drawn {
    fn of(ui: &Ui, doc: &Document, view: &mut ViewState, shown: &Shown) -> Self {
        let mut drawn = Self::plain(ui, doc, view, shown);
        drawn.picked = picked(view, shown);
        if view.workspace == Workspace::Evaluate {
            drawn.mark(ui, doc, view, shown);
        }
        drawn
    }

    /// In the colours of what became of the instances.
    fn mark(&mut self, ui: &Ui, doc: &Document, view: &mut ViewState, shown: &Shown) {
        let marks = view.evaluate.marks;
        let (Some(book), true) = (&mut view.evaluate.book, shown.detections.is_some()) else {
            return;
        };
        match marks {
            Marks::Plain => {}
            Marks::Pixels => {
                self.filled = book.pixels(view.instance);
                self.outlined = None;
                self.is_listed = false;
                self.style.isolate = false;
                self.verdicts = Some(book::PIXELS.to_vec());
            }
            Marks::Outcomes => {
                let (detections, truths) = (book.detections.clone(), book.truths.clone());
                if view.layers == Layers::GroundTruth {
                    self.verdicts = Some(truths);
                    return;
                }
                // Misses are seen on the annotations alone.
                let truth = shown.annotations();
                self.outlined =
                    truth.map(|it| shown::packed_annotations(ui.ctx(), it, doc.classes()));
                self.verdicts = Some(detections);
                self.outlined_verdicts = Some(truths);
            }
        }
    }

    fn plain(ui: &Ui, doc: &Document, view: &ViewState, shown: &Shown) -> Self {
        let classes = doc.classes();
        let predictions = shown.detections.as_ref();
        let predictions = predictions.map(|it| shown::packed(ui.ctx(), it, classes));
        let truth = shown.annotations();
        let mut is_preview = false;
        let truth = truth.map(|it| {
            let drawn = view.review.drawing.preview(it);
            let drawn = drawn.filter(|_| view.workspace == Workspace::Review);
            is_preview = drawn.is_some();
            drawn
                .cloned()
                .unwrap_or_else(|| shown::packed_annotations(ui.ctx(), it, classes))
        });
        let mut style = view.style.clone();
        let (filled, outlined, is_listed) = match (predictions, view.layers) {
            (None, _) => {
                style.colour_by = listed_colour(style.colour_by, true);
                (truth, None, true)
            }
            (Some(_), Layers::GroundTruth) => {
                style.colour_by = listed_colour(style.colour_by, true);
                style.isolate = false;
                (truth, None, false)
            }
            (predictions, Layers::Both) => (predictions, truth, true),
            (predictions, Layers::Predictions) => (predictions, None, true),
        };
        Self {
            filled,
            outlined,
            is_listed,
            style,
            verdicts: None,
            outlined_verdicts: None,
            picked: None,
            is_preview,
        }
    }
}

/// Which predictions of the image a chart picked; `None` where it picked none of them.
fn picked(view: &ViewState, shown: &Shown) -> Option<Vec<bool>> {
    let (picked, detections) = (view.picked.as_ref()?, shown.detections.as_ref()?);
    let is_picked = |index| picked.has_prediction(shown.image, index);
    let flags: Vec<bool> = (0..detections.len()).map(is_picked).collect();
    flags.contains(&true).then_some(flags)
}

fn draw(
    ui: &mut Ui,
    view: &mut ViewState,
    shown: &Shown,
    image: &ImageEntry,
    picture: &Picture,
    drawn: &Drawn,
    second: Option<&SecondSide>,
) -> CanvasResponse {
    view.canvas.padding = egui::Margin {
        left: PADDING,
        right: PADDING,
        top: canvas_tools::RESERVED,
        bottom: PADDING_BOTTOM,
    };
    let input = CanvasInput {
        image: picture.decoded.as_ref(),
        thumbnail: picture.thumbnail,
        image_size: image.size,
        instances: drawn.filled.as_ref(),
        shown: (drawn.is_listed && !drawn.is_preview).then_some(shown.order.as_slice()),
        verdicts: drawn.verdicts.as_deref(),
        picked: drawn.picked.as_deref().filter(|_| drawn.is_listed),
        wipe: second.map(|second| Wipe {
            instances: &second.instances,
            shown: &second.shown,
            x: second.x,
        }),
        ground_truth: drawn.outlined.as_ref(),
        ground_truth_selected: (view.annotation)
            .filter(|(image, _)| *image == shown.image)
            .map(|(_, index)| index),
        ground_truth_verdicts: drawn.outlined_verdicts.as_deref(),
        style: &drawn.style,
        draws: draws(view),
        selected: view.instance.filter(|_| drawn.is_listed),
        hovered: view.hovered.filter(|_| drawn.is_listed),
    };
    canvas::show(ui, &mut view.canvas, &input)
}

/// Whether a tool of the Review workspace has the pointer.
fn draws(view: &ViewState) -> bool {
    view.workspace == Workspace::Review && view.review.drawing.is_active()
}

/// Selection, hover, zoom to an instance, context menu.
fn react(
    ui: &Ui,
    view: &mut ViewState,
    shown: &Shown,
    drawn: &Drawn,
    response: &CanvasResponse,
    out: &mut CommandQueue,
) {
    view.pointer = response.pointer_in_image;
    let is_down =
        ui.input(|input| input.pointer.primary_down() && !input.key_down(egui::Key::Space));
    view.over_canvas = response.response.hovered();
    view.pointer_down = response.response.is_pointer_button_down_on() && is_down;
    view.clicked = response.response.clicked();
    if draws(view) {
        return; // the pointer draws: nothing is selected by it
    }
    let hovered = response.hovered.filter(|_| drawn.is_listed);
    if hovered.is_some() {
        // The list has been drawn already; it raises the row in the next frame.
        view.hovered = hovered;
        if !response.response.is_pointer_button_down_on() {
            ui.ctx().set_cursor_icon(egui::CursorIcon::PointingHand);
        }
    }
    if response.double_clicked {
        let instance = response
            .hovered
            .and_then(|index| drawn.filled.as_ref()?.get(index));
        match instance {
            Some(instance) => view.canvas.show_box(instance.bbox),
            None => view.canvas.fit(),
        }
        out.push(Command::SelectInstance(hovered));
    } else if response.clicked_empty || (response.clicked.is_some() && drawn.is_listed) {
        // With Shift the one before stays marked.
        if view.workspace == Workspace::Review && ui.input(|input| input.modifiers.shift) {
            out.push(Command::Review(ReviewCommand::KeepMarked));
        }
        out.push(Command::SelectInstance(response.clicked));
    }
    if response.response.secondary_clicked() && hovered.is_some() {
        out.push(Command::SelectInstance(hovered));
    }
    menu(response, view, shown, out);
}

fn menu(response: &CanvasResponse, view: &mut ViewState, shown: &Shown, out: &mut CommandQueue) {
    Popup::context_menu(&response.response).show(|ui| {
        ui.set_width(280.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        let instance = view.instance.and_then(|index| shown.listed().get(index));
        let bbox = instance.map(|instance| instance.bbox);
        let zoom = widgets::Row {
            enabled: bbox.is_some(),
            ..widgets::Row::new("Zoom to the instance")
        };
        if zoom.show(ui, theme::ROW).clicked()
            && let Some(bbox) = bbox
        {
            view.canvas.show_box(bbox);
            ui.close();
        }
        for (command, enabled) in [
            (Command::ToggleIsolate, bbox.is_some()),
            (Command::CopyMask, bbox.is_some()),
            (Command::RevealImage, true),
        ] {
            let label = command.label();
            let key = crate::ui::keys::shortcut_text(&command);
            let row = widgets::Row {
                enabled,
                right: &key,
                ..widgets::Row::new(&label)
            };
            if row.show(ui, theme::ROW).clicked() {
                out.push(command);
                ui.close();
            }
        }
    });
}

/// A picture of what is missing, a sentence, what to do.
fn message(
    ui: &mut Ui,
    area: Rect,
    icon: &str,
    title: &str,
    body: &str,
    more: impl FnOnce(&mut Ui),
) {
    let c = theme::colours(ui);
    let width = MESSAGE.min(area.width() - 32.0);
    let at = Rect::from_center_size(area.center() - vec2(0.0, 24.0), vec2(width, 160.0));
    let mut child = ui.new_child(UiBuilder::new().max_rect(at).id_salt("message"));
    child.vertical_centered(|ui| {
        ui.label(RichText::new(icon).size(32.0).color(c.weak));
        ui.add_space(theme::GRID);
        ui.label(widgets::strong(title, theme::HEADING).color(c.text));
        if !body.is_empty() {
            ui.label(RichText::new(body).color(c.weak));
        }
        ui.add_space(theme::GRID);
        more(ui);
    });
}

fn no_image(ui: &mut Ui, area: Rect, doc: &Document) {
    let (title, body) = if doc.images().is_empty() {
        ("There is no image here", "")
    } else {
        ("No image is selected", "Choose one in the gallery")
    };
    message(ui, area, icons::IMAGE, title, body, |_| {});
}

fn unreadable(ui: &mut Ui, area: Rect, image: &ImageEntry, why: &str, out: &mut CommandQueue) {
    let title = format!("{} cannot be read", image.name);
    message(ui, area, icons::IMAGE_BROKEN, &title, why, |ui| {
        let c = theme::colours(ui);
        ui.label(RichText::new("The other images are not affected.").color(c.weak));
        ui.add_space(theme::GRID);
        let reveal = Command::RevealImage;
        if ui.button(reveal.label().into_owned()).clicked() {
            out.push(reveal);
        }
    });
}

/// What the canvas says about the instances of the image.
fn hint(
    ui: &mut Ui,
    area: Rect,
    doc: &Document,
    image: &ImageEntry,
    view: &ViewState,
    shown: &Shown,
    out: &mut CommandQueue,
) {
    let truth = shown.lists_annotations();
    match &image.state {
        ImageState::Done(_) => below(ui, area, view, shown, out),
        ImageState::Queued | ImageState::Running => {
            let waits = matches!(image.state, ImageState::Queued);
            let text = match (waits, truth) {
                (true, false) => "Waits for the model",
                (true, true) => "Ground truth: the image waits for the model",
                (false, false) => "The model works on this image…",
                (false, true) => "Ground truth: the model works on this image…",
            };
            let icon = if waits {
                icons::DOTS_THREE
            } else {
                icons::CIRCLE_HALF
            };
            Hint {
                icon,
                text,
                details: "",
                action: None,
            }
            .show(ui, area, out);
        }
        ImageState::Failed(why) => {
            let text = format!("The model could not use this image: {why}");
            let hint = Hint {
                icon: icons::WARNING,
                text: &text,
                details: why,
                action: None,
            };
            hint.show(ui, area, out);
        }
        ImageState::Idle => idle(ui, area, doc, truth, out),
    }
}

/// The model has not seen the image.
fn idle(ui: &mut Ui, area: Rect, doc: &Document, truth: bool, out: &mut CommandQueue) {
    let load = || {
        let command = Command::OpenCheckpoint;
        Some((command.label().into_owned(), command))
    };
    let (text, details, action) = match doc.model() {
        ModelState::None => ("no checkpoint is loaded", String::new(), load()),
        ModelState::Failed(_, why) => ("the checkpoint was refused", why.clone(), load()),
        _ => {
            let run = ("Run the model".to_owned(), Command::RunModel);
            (
                "the model has not seen this image",
                String::new(),
                Some(run),
            )
        }
    };
    let is_prediction_file = doc
        .source()
        .is_some_and(|it| it.kind == SourceKind::Predictions);
    if is_prediction_file && !truth {
        return;
    }
    let text = if truth {
        format!("Ground truth: {text}")
    } else {
        let mut letters = text.chars();
        let first = letters.next().map(|c| c.to_uppercase().to_string());
        first.unwrap_or_default() + letters.as_str()
    };
    let icon = if truth { icons::TAG } else { icons::CUBE };
    Hint {
        icon,
        text: &text,
        details: &details,
        action,
    }
    .show(ui, area, out);
}

/// Nothing was found, or nothing of it reaches the threshold.
fn below(ui: &mut Ui, area: Rect, view: &ViewState, shown: &Shown, out: &mut CommandQueue) {
    if !shown.order.is_empty() || view.layers == Layers::GroundTruth {
        return;
    }
    let listed = shown.listed();
    if listed.is_empty() {
        let text = "The model found nothing in this image";
        let hint = Hint {
            icon: icons::SCAN,
            text,
            details: "",
            action: None,
        };
        return hint.show(ui, area, out);
    }
    let best = crate::document::filter::best_score(listed, view.rank_by);
    let by = view.rank_by.label();
    let count = widgets::thousands(listed.len());
    let text = format!("{count} below {by} {:.2}: lower it?", view.threshold);
    // Low enough for the better half of what a threshold of hundredths can tell apart.
    let to = best.map_or(0.0, |best| ((best / 2.0) * 100.0).floor().max(0.0) / 100.0);
    let action = Some((format!("Lower to {to:.2}"), Command::SetThreshold(to)));
    let hint = Hint {
        icon: icons::SCAN,
        text: &text,
        details: "",
        action,
    };
    hint.show(ui, area, out);
}
