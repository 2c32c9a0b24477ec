//! The wipe of the canvas: predictions A left of a line, predictions B right of it. The line can be dragged.

use std::sync::{Arc, LazyLock};

use egui::{
    Align2, CursorIcon, FontId, Id, Key, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};

use super::parts::text;
use crate::document::Document;
use crate::document::ranking::ranked;
use crate::structures::Detection;
use crate::ui::canvas::InstanceSet;
use crate::ui::view::ViewState;
use crate::ui::{colour, shown, theme};

/// So near to the line, in points, it is caught.
const REACH: f32 = 6.0;
/// A step of the arrow keys, as a share of the width.
const STEP: f32 = 0.02;

/// Of an image that the second file does not name.
static NONE: LazyLock<Arc<Vec<Detection>>> = LazyLock::new(Arc::default);

/// The second predictions of an image.
pub struct SecondSide {
    /// Packed for the canvas.
    pub instances: Arc<InstanceSet>,
    /// Those at or above the threshold, best first.
    pub shown: Vec<usize>,
    /// The line, in points of the screen.
    pub x: f32,
}

impl SecondSide {
    /// Of an image, where the canvas is wiped.
    pub fn of(ui: &Ui, doc: &Document, view: &ViewState, image: usize, area: Rect) -> Option<Self> {
        let (share, second) = (view.wipe?, doc.second()?);
        let detections = second.images.get(image)?.as_ref().unwrap_or(&NONE);
        Some(Self {
            instances: shown::packed(ui.ctx(), detections, doc.classes()),
            shown: ranked(detections, view.rank_by, view.threshold),
            x: area.left() + area.width() * share,
        })
    }
}

/// Draws the line and lets it be moved.
pub fn handle_ui(ui: &mut Ui, area: Rect, view: &mut ViewState) {
    let Some(share) = view.wipe else { return };
    let c = theme::colours(ui);
    let x = area.left() + area.width() * share;
    let grip = Rect::from_center_size(pos2(x, area.center().y), vec2(2.0 * REACH, area.height()));
    let response = ui.interact(grip, Id::unique("wipe"), Sense::click_and_drag());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Slider, true, "Wipe");
        info.value = Some(f64::from(share));
        info
    });
    let mut moved = share + response.drag_delta().x / area.width().max(1.0);
    if response.has_focus() {
        let pressed = |key| ui.input(|input| input.key_pressed(key));
        moved += STEP * (f32::from(pressed(Key::ArrowRight)) - f32::from(pressed(Key::ArrowLeft)));
    }
    view.wipe = Some(moved.clamp(0.0, 1.0));
    let is_raised = response.hovered() || response.dragged() || response.has_focus();
    if is_raised {
        ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
    }
    let line = if is_raised {
        c.accent
    } else {
        colour::LABEL_TEXT
    };
    let painter = ui.painter();
    painter.vline(x, area.y_range(), Stroke::new(2.0, line));
    painter.circle_filled(pos2(x, area.center().y), 5.0, line);
    let font = FontId::proportional(theme::SMALL);
    for (name, side) in [("A", -1.0), ("B", 1.0)] {
        let at = pos2(x + side * 16.0, area.bottom() - 20.0);
        let plate = Rect::from_center_size(at, vec2(18.0, 18.0));
        ui.painter()
            .rect_filled(plate, 3.0, colour::LABEL_BACKGROUND);
        text(
            ui,
            at,
            Align2::CENTER_CENTER,
            name,
            &font,
            colour::LABEL_TEXT,
        );
    }
}
