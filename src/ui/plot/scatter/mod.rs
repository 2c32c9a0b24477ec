//! A scatter of two numbers: dots while there are few, density when there are many, and dots again when zoomed in. Brush
//! with a rectangle or a lasso, move and resize it, hover and click points.
//!
//! Drag: brush, or what the tool says. Shift + drag: lasso. Middle or Space + drag: pan. Wheel, pinch: zoom. Double click:
//! all. Esc, Delete or a click beside all points: clear. With the focus: arrows move the brush (with Shift they resize it)
//! or, without one, the view; Enter brushes the middle; Page up, Page down zoom; Home shows all.

mod brush;
mod cache;
mod paint;

use egui::{Key, Pos2, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::axes::{self, Axes, Axis, PlainDrag, Plane, View};
use super::points::{Points, count_bits};
use super::region::Region;
use crate::structures::thousands;
use crate::ui::{icons, theme};

use self::brush::Drag;
use self::cache::Cache;

/// A point so near to the pointer, in points of the screen, is hovered.
const REACH: f64 = 8.0;
/// Height of the row of tools.
const TOOLS: f32 = 24.0;
/// Height, and width, of the marginal histograms.
const MARGIN: f32 = 36.0;
/// Between plot and histograms.
const GAP: f32 = 4.0;

/// What a drag of the main button does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Draws a rectangle.
    #[default]
    Rectangle,
    /// Draws a lasso.
    Lasso,
    /// Moves the view.
    Pan,
}

impl Tool {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (
            Self::Rectangle,
            "Rectangle",
            "Drag to brush a rectangle; drag its inside to move it, its edges to resize it",
        ),
        (
            Self::Lasso,
            "Lasso",
            "Drag to brush freehand (with any tool: Shift + drag)",
        ),
        (
            Self::Pan,
            "Pan",
            "Drag to move the view (with any tool: Space + drag, middle drag)",
        ),
    ];
}

/// What is shown.
pub struct Scatter<'a> {
    /// The accessible name, and what tells scatters of one panel apart.
    pub name: &'a str,
    /// The points.
    pub points: &'a Points,
    /// To the right.
    pub x: Axis<'a>,
    /// Upwards.
    pub y: Axis<'a>,
    /// Colours by class of the points; empty: one colour for all. Density has none.
    pub palette: &'a [egui::Color32],
    /// Flags by number (bit `i % 64` of word `i / 64`) of points that stand out without a brush, such as those of the
    /// selected image.
    pub bright: Option<&'a [u64]>,
    /// The number of the selected point, ringed.
    pub selected: Option<usize>,
    /// The line on which x and y are equal.
    pub diagonal: bool,
    /// Histograms of x above and of y to the right.
    pub margins: bool,
    /// What one point and what several are called.
    pub noun: [&'a str; 2],
    /// More lines for the tooltip of a point, by number.
    pub describe: Option<&'a dyn Fn(usize) -> String>,
    /// What stands in the middle where there is no point.
    pub empty: &'a str,
}

/// What outlives a frame.
#[derive(Default)]
pub struct ScatterState {
    /// What a drag does.
    pub tool: Tool,
    /// Zoom.
    pub view: View,
    brush: Option<Region>,
    drag: Option<Drag>,
    cache: Cache,
}

impl ScatterState {
    /// What is brushed.
    pub fn brush(&self) -> Option<&Region> {
        self.brush.as_ref()
    }

    /// Brushes from outside, as a saved view does; ends a drag.
    pub fn set_brush(&mut self, brush: Option<Region>) {
        self.brush = brush;
        self.drag = None;
    }
}

/// What the user did.
#[derive(Clone, Debug, PartialEq)]
pub enum ScatterEvent {
    /// A click on the point with this number.
    Clicked(usize),
    /// The brush is being drawn, moved or resized; more will come.
    Brushing(Region),
    /// The brush has its place.
    Brushed(Region),
    /// There is no brush any more, or a click went beside all points: the selection can be cleared.
    Cleared,
}

/// The answer of a frame.
pub struct ScatterResponse {
    /// The widget of the plot.
    pub response: Response,
    /// The number of the point under the pointer.
    pub hovered: Option<usize>,
    /// How many points are inside the brush; 0 without one.
    pub brushed: usize,
    /// What happened.
    pub event: Option<ScatterEvent>,
    /// Where the plot stands, for what the caller draws over it.
    pub plane: Plane,
}

/// The parts of the area.
#[derive(Clone, Copy)]
struct Layout {
    plane: Plane,
    above: Option<Rect>,
    right: Option<Rect>,
}

impl Scatter<'_> {
    /// Draws it into the rest of `ui` and reacts.
    pub fn show(&self, ui: &mut Ui, state: &mut ScatterState) -> ScatterResponse {
        ui.push_id(self.name, |ui| self.show_inside(ui, state))
            .inner
    }

    fn show_inside(&self, ui: &mut Ui, state: &mut ScatterState) -> ScatterResponse {
        let free = self.tools(ui, state);
        let size = ui.available_size().max(vec2(120.0, 100.0));
        let (area, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        let axes = self.axes();
        let mut layout = self.layout(ui, area, &axes, &state.view);
        let drag_pans = match state.tool {
            Tool::Pan => PlainDrag::Pans,
            Tool::Rectangle | Tool::Lasso => PlainDrag::IsFree,
        };
        let view = &mut state.view;
        let panning = axes::navigate(ui, &response, &axes, &layout.plane, view, drag_pans);
        super::keep_focus(ui, &response, state.brush.is_some());
        if response.has_focus() {
            axes::keys(ui, &axes, &layout.plane, view, state.brush.is_none());
        }
        layout = self.layout(ui, area, &axes, &state.view);
        let hovered = self.hover(&response, &layout.plane, state);
        let event = brush::react(
            ui,
            &response,
            &axes,
            &layout.plane,
            state,
            hovered.map(|it| it.0),
            panning,
        );
        state
            .cache
            .update(ui, self, state.brush.as_ref(), &layout.plane);
        let brushed = state.cache.brushed();
        self.paint(ui, &response, &axes, &layout, state, hovered, brushed);
        self.caption(ui, free, &state.cache);
        self.info(ui, &response, &axes, state, brushed);
        ScatterResponse {
            hovered: hovered.map(|(number, _)| number),
            response,
            brushed,
            event,
            plane: layout.plane,
        }
    }

    fn axes(&self) -> Axes<'_> {
        Axes {
            x: self.x,
            y: self.y,
            diagonal: self.diagonal,
        }
    }

    fn layout(&self, ui: &Ui, area: Rect, axes: &Axes<'_>, view: &View) -> Layout {
        let room = if self.margins {
            MARGIN + GAP
        } else {
            2.0 * GAP
        };
        let inner = Rect::from_min_max(
            pos2(area.left(), area.top() + room),
            pos2(area.right() - room, area.bottom()),
        );
        let plane = axes.place(ui, inner, view);
        let frame = plane.frame;
        let above = Rect::from_min_max(
            pos2(frame.left(), frame.top() - GAP - MARGIN),
            pos2(frame.right(), frame.top() - GAP),
        );
        let right = Rect::from_min_max(
            pos2(frame.right() + GAP, frame.top()),
            pos2(frame.right() + GAP + MARGIN, frame.bottom()),
        );
        Layout {
            plane,
            above: self.margins.then_some(above),
            right: self.margins.then_some(right),
        }
    }

    /// The tools, and what shows all again. Returns what is free between them.
    fn tools(&self, ui: &mut Ui, state: &mut ScatterState) -> Rect {
        let row = ui.horizontal(|ui| {
            ui.set_height(TOOLS);
            ui.spacing_mut().item_spacing.x = theme::GRID;
            for (tool, label, hint) in Tool::ALL {
                let text = egui::RichText::new(label).size(theme::SMALL);
                let button = ui.selectable_label(state.tool == tool, text);
                if button.on_hover_text(hint).clicked() {
                    state.tool = tool;
                }
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if state.view.is_zoomed() {
                    let text = format!("{} Show all", icons::FRAME_CORNERS);
                    let text = egui::RichText::new(text).size(theme::SMALL);
                    let button = ui.add(egui::Button::new(text).frame_when_inactive(false));
                    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Show all"));
                    if button.on_hover_text("Double click, Home").clicked() {
                        state.view.reset();
                    }
                }
                ui.available_rect_before_wrap()
            })
            .inner
        });
        row.inner
    }

    /// Number and place of the point under the pointer.
    fn hover(
        &self,
        response: &Response,
        plane: &Plane,
        state: &ScatterState,
    ) -> Option<(usize, Pos2)> {
        let pointer = response.hover_pos().or(response.interact_pointer_pos())?;
        if state.drag.is_some() || response.dragged() || !plane.frame.contains(pointer) {
            return None;
        }
        let at = plane.transform.value(pointer);
        let found = self.points.nearest(at, plane.transform.scale(), REACH)?;
        let place = plane.transform.screen(self.points.value(found));
        Some((self.points.number(found), place))
    }

    fn info(
        &self,
        ui: &Ui,
        response: &Response,
        axes: &Axes<'_>,
        state: &ScatterState,
        brushed: usize,
    ) {
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Image, ui.is_enabled(), self.name);
            let count = self.counted(self.points.placed());
            let mut text = format!("{} against {}, {count}", self.y.name, self.x.name);
            if let Some(region) = &state.brush {
                text += &format!("; {} brushed: {}", thousands(brushed), region.text(axes));
            }
            info.current_text_value = Some(text);
            info
        });
    }

    /// "1,204 instances".
    fn counted(&self, count: usize) -> String {
        let noun = if count == 1 {
            self.noun[0]
        } else {
            self.noun[1]
        };
        format!("{} {noun}", thousands(count))
    }
}

/// Whether Esc or Delete is meant for the plot: it has the focus, or the pointer is over it.
fn asks_to_clear(ui: &Ui, response: &Response) -> bool {
    // What has the focus is meant first.
    let is_free = || ui.memory(|memory| memory.focused().is_none());
    let is_meant = response.has_focus() || (response.hovered() && is_free());
    is_meant && ui.input(|input| input.key_pressed(Key::Escape) || input.key_pressed(Key::Delete))
}

/// Number of bits set, for the cache.
fn count(bits: &[u64]) -> usize {
    count_bits(bits)
}
