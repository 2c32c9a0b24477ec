//! The inspector: the selected image, its instances, the selected one, and how they are shown.

use egui::{Align, Align2, FontId, Layout, RichText, ScrollArea, Sense, Ui, vec2};

use super::parts::text;
use super::{instances, selected, show};
use crate::document::{Document, ImageEntry, ImageState, ModelState};
use crate::ui::command::CommandQueue;
use crate::ui::shown::{self, Shown};
use crate::ui::view::ViewState;
use crate::ui::{fonts, theme, widgets};

/// Between the parts.
const GAP: f32 = 12.0;
/// Height of the line with name and size.
const HEADER: f32 = 24.0;

/// Draws the inspector.
pub fn inspector_ui(ui: &mut Ui, doc: &mut Document, view: &mut ViewState, out: &mut CommandQueue) {
    let shown = Shown::of(ui.ctx(), doc, view);
    let Some(shown) = shown else {
        view.hovered = None;
        nothing(ui);
        return;
    };
    let Some(image) = doc.images().get(shown.image) else {
        return;
    };
    let height = ui.available_height();
    ScrollArea::vertical()
        .id_salt("inspector")
        .auto_shrink([false, false])
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            header(ui, image);
            ui.add_space(GAP);
            let fixed = HEADER + 3.0 * GAP + 2.0 * instances::ROW + 24.0;
            let rest = height - fixed - selected::HEIGHT - show::HEIGHT;
            list(ui, doc, image, &shown, view, rest, out);
            ui.add_space(GAP);
            selected::selected_ui(ui, &shown, doc.classes(), view);
            ui.add_space(GAP);
            show::show_ui(ui, view, out);
        });
}

/// The image's name and its instances alone, for a workspace that has its own parts below.
pub fn instances_part_ui(
    ui: &mut Ui,
    doc: &mut Document,
    view: &mut ViewState,
    height: f32,
    out: &mut CommandQueue,
) {
    let Some(shown) = Shown::of(ui.ctx(), doc, view) else {
        view.hovered = None;
        nothing(ui);
        return;
    };
    let Some(image) = doc.images().get(shown.image) else {
        return;
    };
    ui.spacing_mut().item_spacing.y = 0.0;
    header(ui, image);
    ui.add_space(GAP);
    list(ui, doc, image, &shown, view, height - HEADER - GAP, out);
    ui.spacing_mut().item_spacing.y = theme::GRID;
}

fn nothing(ui: &mut Ui) {
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        let c = theme::colours(ui);
        ui.add_space(32.0);
        ui.label(RichText::new("No image is selected").color(c.weak));
    });
}

/// File name at the left, size at the right.
fn header(ui: &mut Ui, image: &ImageEntry) {
    let c = theme::colours(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), HEADER), Sense::hover());
    let size = image
        .size
        .map(|size| format!("{} × {}", size.width, size.height))
        .unwrap_or_default();
    let font = FontId::proportional(theme::BODY);
    let at = text(
        ui,
        rect.right_center(),
        Align2::RIGHT_CENTER,
        &size,
        &font,
        c.weak,
    );
    let bold = FontId::new(theme::HEADING, fonts::semibold());
    let end = at.left() - 2.0 * theme::GRID;
    widgets::elided(ui, rect.left_center(), end, &image.name, &bold, c.text);
    let name = format!("{}, {size}", image.name);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Heading, true, &name));
    response.on_hover_text(image.path.display().to_string());
}

/// The instances, or why there are none.
fn list(
    ui: &mut Ui,
    doc: &Document,
    image: &ImageEntry,
    shown: &Shown,
    view: &mut ViewState,
    height: f32,
    out: &mut CommandQueue,
) {
    if shown.listed().is_empty() {
        view.hovered = None;
        widgets::section(ui, "Instances · 0");
        let c = theme::colours(ui);
        let why = match &image.state {
            ImageState::Done(_) => "The model found nothing in this image",
            ImageState::Queued => "The image waits for the model",
            ImageState::Running => "The model works on this image",
            ImageState::Failed(_) => "The image could not be used",
            ImageState::Idle if matches!(doc.model(), ModelState::None) => {
                "No checkpoint is loaded"
            }
            ImageState::Idle => "The model has not seen this image yet",
        };
        ui.add_space(theme::GRID);
        ui.label(RichText::new(why).color(c.weak));
        return;
    }
    let classes = doc.classes();
    let set = match (&shown.detections, shown.annotations()) {
        (Some(detections), _) => Some(shown::packed(ui.ctx(), detections, classes)),
        (None, Some(truth)) => Some(shown::packed_annotations(ui.ctx(), truth, classes)),
        (None, None) => None,
    };
    // Annotations that stand in for predictions are not counted: their areas are in the JSON, not in the shapes.
    let matching = shown.detections.as_ref().and_then(|_| {
        let input = doc.filter_input(view.rank_by, view.threshold);
        view.filter.count_of(&input, shown.image, &shown.order)
    });
    instances::instances_ui(
        ui,
        shown,
        set.as_deref(),
        classes,
        view,
        height,
        matching,
        out,
    );
}
