//! Rows of equal height of which only the visible ones are laid out. Positions are f64: a set of 118,000 images is six
//! million points high, where the f32 of egui's scroll area steps by half a point and content trembles.

use egui::{Id, Rect, Sense, Ui, UiBuilder, pos2, vec2};

use crate::ui::theme;

/// Width of the scroll bar; it lies right of the rows, in the margin of the panel.
const BAR: f32 = 4.0;
/// Its handle never gets shorter.
const MIN_HANDLE: f32 = 24.0;
/// Room around the rows in which frames of cells may draw.
const OVERDRAW: f32 = 3.0;

/// Where the rows stand.
#[derive(Clone, Copy, Default)]
struct State {
    offset: f64,
    pitch: f64,
    rows: usize,
}

/// A list of rows of equal height.
pub struct VirtualRows {
    /// Distance from row to row, in points.
    pub pitch: f32,
    /// Number of rows.
    pub rows: usize,
    /// A row to bring into view.
    pub reveal: Option<usize>,
}

impl VirtualRows {
    /// Fills the rest of `ui`; `row` draws one row into its rectangle.
    pub fn show(self, ui: &mut Ui, id: Id, mut row: impl FnMut(&mut Ui, usize, Rect)) {
        let (rect, _) = ui.allocate_exact_size(ui.available_size(), Sense::hover());
        if rect.height() < 1.0 {
            return;
        }
        let pitch = f64::from(self.pitch);
        let height = f64::from(rect.height());
        let most = (self.rows as f64 * pitch - height).max(0.0);
        let mut state: State = ui.data(|data| data.get_temp(id)).unwrap_or_default();
        if state.pitch != pitch && state.pitch > 0.0 {
            // Another width: the same part of the list stays in view.
            state.offset *= self.rows as f64 * pitch / (state.rows.max(1) as f64 * state.pitch);
        }
        (state.pitch, state.rows) = (pitch, self.rows);
        if most > 0.0 && ui.rect_contains_pointer(rect) {
            state.offset -= f64::from(take_scroll(ui));
        }
        if let Some(at) = self.reveal {
            let top = at as f64 * pitch;
            state.offset = state.offset.clamp((top + pitch - height).min(top), top);
        }
        if most > 0.0 {
            drag_bar(ui, rect, id, &mut state, most, height);
        }
        state.offset = state.offset.clamp(0.0, most);
        ui.data_mut(|data| data.insert_temp(id, state));

        let mut inner = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(id));
        let clip = rect.expand(OVERDRAW).intersect(ui.clip_rect());
        inner.set_clip_rect(clip);
        let first = (state.offset / pitch) as usize;
        for index in first..self.rows {
            // The difference is small and exact in f32, however far down the list is.
            let top = rect.top() + (index as f64 * pitch - state.offset) as f32;
            if top >= rect.bottom() {
                break;
            }
            let at = Rect::from_min_size(pos2(rect.left(), top), vec2(rect.width(), self.pitch));
            row(&mut inner, index, at);
        }
    }
}

/// The wheel of this frame, which no scroll area outside gets any more.
fn take_scroll(ui: &Ui) -> f32 {
    ui.input_mut(|input| std::mem::take(&mut input.smooth_scroll_delta.y))
}

fn drag_bar(ui: &mut Ui, rect: Rect, id: Id, state: &mut State, most: f64, height: f64) {
    let left = rect.right() + theme::GRID - 1.0;
    let track = Rect::from_min_max(pos2(left, rect.top()), pos2(left + BAR, rect.bottom()));
    let response = ui.interact(track.expand2(vec2(2.0, 0.0)), id.with("bar"), Sense::drag());
    let share = (height / (height + most)) as f32;
    let handle = (track.height() * share).max(MIN_HANDLE).min(track.height());
    let travel = track.height() - handle;
    if let Some(pointer) = response.interact_pointer_pos() {
        let along = (pointer.y - track.top() - handle / 2.0) / travel.max(1.0);
        state.offset = f64::from(along.clamp(0.0, 1.0)) * most;
    }
    let c = theme::colours(ui);
    let top = track.top() + travel * (state.offset / most).clamp(0.0, 1.0) as f32;
    let handle = Rect::from_min_size(pos2(track.left(), top), vec2(BAR, handle));
    let fill = if response.hovered() || response.dragged() {
        c.weak
    } else {
        c.field_pressed
    };
    ui.painter().rect_filled(handle, BAR / 2.0, fill);
}
