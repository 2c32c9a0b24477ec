//! The list of instances: class, score, mask IoU, iou score; or the annotations where there are no predictions.

use egui::{Align2, FontId, Id, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::numbers::{Number, Numbers};
use super::parts::{bar, text};
use super::virtual_rows::VirtualRows;
use crate::document::ranking::RankBy;
use crate::structures::ClassTable;
use crate::ui::canvas::{InstanceSet, instance_colour};
use crate::ui::colour::{self, ColourBy};
use crate::ui::command::{Command, CommandQueue};
use crate::ui::shown::Shown;
use crate::ui::view::ViewState;
use crate::ui::{fonts, theme, widgets};

/// Height of a row.
pub const ROW: f32 = 22.0;
/// Side of the square in the colour of the instance.
const SWATCH: f32 = 10.0;
/// Width of the bar beside mask IoU.
const BAR: f32 = 34.0;
/// Narrower lists go without that bar.
const BAR_FROM: f32 = 270.0;

/// Draws the list, at most `height` points high. `matching`: how many of them pass the filter, where it asks for that.
pub fn instances_ui(
    ui: &mut Ui,
    shown: &Shown,
    set: Option<&InstanceSet>,
    classes: &ClassTable,
    view: &mut ViewState,
    height: f32,
    matching: Option<usize>,
    out: &mut CommandQueue,
) {
    let what = if shown.lists_annotations() {
        "Ground truth"
    } else {
        "Instances"
    };
    let count = widgets::thousands(shown.listed().len());
    let heading_text = match matching {
        Some(matching) => format!("{what} · {matching} of {count} match"),
        None => format!("{what} · {count}"),
    };
    widgets::section(ui, &heading_text);
    ui.add_space(theme::GRID);
    let columns = Columns::new(ui, shown.lists_annotations());
    heading(ui, &columns, view.rank_by, out);
    // As high as all instances need, so that nothing below moves while the threshold does.
    let wanted = (shown.listed().len() as f32 * ROW).min((height / ROW).floor().max(3.0) * ROW);
    let visible = (shown.order.len() as f32 * ROW).min(wanted);
    let reveal = reveal(ui, shown, view);
    let mut hovered = None;
    let list = ui.available_rect_before_wrap();
    let list = Rect::from_min_size(list.min, vec2(list.width(), visible));
    ui.spacing_mut().item_spacing.y = 0.0;
    ui.scope_builder(egui::UiBuilder::new().max_rect(list), |ui| {
        let rows = VirtualRows {
            pitch: ROW,
            rows: shown.order.len(),
            reveal,
        };
        rows.show(ui, Id::unique("instance rows"), |ui, row, rect| {
            let Some(&index) = shown.order.get(row) else {
                return;
            };
            let line = Line {
                shown,
                set,
                classes,
                view: &*view,
                columns: &columns,
                index,
            };
            let response = line.show(ui, rect);
            if response.hovered() {
                hovered = Some(index);
            }
            if response.clicked() {
                out.push(Command::SelectInstance(Some(index)));
            }
        });
    });
    view.hovered = hovered;
    below(ui, shown, view);
    let used = visible + if shown.below() > 0 { ROW } else { 0.0 };
    ui.add_space((wanted - used).max(0.0));
}

/// The row of an instance that was selected since the last frame.
fn reveal(ui: &Ui, shown: &Shown, view: &ViewState) -> Option<usize> {
    let id = Id::unique("instance revealed");
    let now = (shown.image, view.instance);
    let before = ui.data_mut(|data| {
        let before = data.get_temp::<(usize, Option<usize>)>(id);
        data.insert_temp(id, now);
        before
    });
    let selected = view.instance.filter(|_| before != Some(now))?;
    shown.order.iter().position(|&index| index == selected)
}

/// How many the threshold hides.
fn below(ui: &mut Ui, shown: &Shown, view: &ViewState) {
    let below = shown.below();
    if below == 0 {
        return;
    }
    let c = theme::colours(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let by = view.rank_by.label();
    let line = format!(
        "{} below {by} {:.2}",
        widgets::thousands(below),
        view.threshold
    );
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &line));
    let font = FontId::proportional(theme::BODY);
    text(
        ui,
        rect.left_center(),
        Align2::LEFT_CENTER,
        &line,
        &font,
        c.weak,
    );
}

/// Right ends of the columns, from the right edge of the list.
struct Columns {
    annotations: bool,
    /// Left end of the class.
    class: f32,
    score: f32,
    bar: Option<f32>,
    mask_iou: f32,
    iou_score: f32,
}

impl Columns {
    fn new(ui: &Ui, annotations: bool) -> Self {
        let area = ui.available_rect_before_wrap();
        let right = area.right();
        let has_bar = area.width() >= BAR_FROM;
        let left = area.left() + theme::GRID;
        Self {
            annotations,
            class: left + SWATCH + 6.0,
            score: right - if has_bar { 154.0 } else { 118.0 },
            bar: has_bar.then_some(right - 68.0 - 34.0 - BAR),
            mask_iou: right - 68.0,
            iou_score: right - theme::GRID,
        }
    }
}

fn heading(ui: &mut Ui, columns: &Columns, rank_by: RankBy, out: &mut CommandQueue) {
    let c = theme::colours(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let font = FontId::proportional(theme::SMALL);
    let middle = rect.center().y;
    let left = pos2(rect.left() + theme::GRID, middle);
    text(ui, left, Align2::LEFT_CENTER, "class", &font, c.weak);
    if columns.annotations {
        let crowd = pos2(columns.score, middle);
        text(ui, crowd, Align2::RIGHT_CENTER, "crowd", &font, c.weak);
        let area = pos2(columns.iou_score, middle);
        text(ui, area, Align2::RIGHT_CENTER, "area, px", &font, c.weak);
        return;
    }
    let ends = [columns.score, columns.mask_iou, columns.iou_score];
    for (by, end) in RankBy::ALL.into_iter().zip(ends) {
        let is_on = by == rank_by;
        let colour = if is_on { c.text } else { c.weak };
        let at = text(
            ui,
            pos2(end, middle),
            Align2::RIGHT_CENTER,
            by.label(),
            &font,
            colour,
        );
        let id = ui.scope_id().with(("rank", by.label()));
        let response = ui.interact(at.expand2(vec2(2.0, 4.0)), id, Sense::click());
        let name = format!("Rank by {}", by.label());
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_on, &name));
        if response.on_hover_text(&name).clicked() {
            out.push(Command::SetRankBy(by));
        }
    }
}

/// One row.
struct Line<'a> {
    shown: &'a Shown,
    set: Option<&'a InstanceSet>,
    classes: &'a ClassTable,
    view: &'a ViewState,
    columns: &'a Columns,
    index: usize,
}

impl Line<'_> {
    fn show(&self, ui: &mut Ui, rect: Rect) -> Response {
        let id = Id::unique(("instance row", self.index));
        let response = ui.interact(rect, id, Sense::click());
        let selected = self.view.instance == Some(self.index);
        let c = theme::colours(ui);
        let raised =
            response.hovered() || response.has_focus() || self.view.hovered == Some(self.index);
        let fill = match (selected, raised) {
            (true, _) => c.selection,
            (false, true) => c.field,
            (false, false) => egui::Color32::TRANSPARENT,
        };
        ui.painter().rect_filled(rect, 3.0, fill);
        let Some(instance) = self.shown.listed().get(self.index) else {
            return response;
        };
        let middle = rect.center().y;
        let swatch = pos2(rect.left() + theme::GRID + SWATCH / 2.0, middle);
        let swatch = Rect::from_center_size(swatch, vec2(SWATCH, SWATCH));
        ui.painter().rect_filled(swatch, 2.0, self.colour());
        let name = self.classes.name(instance.label);
        let body = FontId::proportional(theme::BODY);
        let at = pos2(self.columns.class, middle);
        let end = self.columns.score - 36.0;
        widgets::elided(ui, at, end, &name, &body, c.text);
        let label = if self.columns.annotations {
            self.annotation(ui, middle, &name, instance.mask.area())
        } else {
            let numbers = Numbers::of(instance, self.index, &self.shown.truth);
            self.numbers(ui, middle, &name, &numbers)
        };
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, &label));
        response
    }

    /// The colour that the canvas gives it.
    fn colour(&self) -> egui::Color32 {
        let colour_by = listed_colour(self.view.style.colour_by, self.columns.annotations);
        self.set
            .and_then(|set| set.get(self.index))
            .map_or(colour::NO_SCORE, |it| instance_colour(it, colour_by, None))
    }

    fn annotation(&self, ui: &Ui, middle: f32, name: &str, area: u64) -> String {
        let c = theme::colours(ui);
        let body = FontId::proportional(theme::BODY);
        let truth = self.shown.annotations();
        let truth = truth.and_then(|truth| truth.instances.get(self.index));
        let is_crowd = truth.is_some_and(|it| it.is_crowd);
        let area = widgets::thousands(usize::try_from(area).unwrap_or(usize::MAX));
        let crowd = if is_crowd { "crowd" } else { "" };
        let at = pos2(self.columns.score, middle);
        text(ui, at, Align2::RIGHT_CENTER, crowd, &body, c.weak);
        let at = pos2(self.columns.iou_score, middle);
        text(ui, at, Align2::RIGHT_CENTER, &area, &body, c.text);
        let crowd = if is_crowd { ", crowd" } else { "" };
        format!("{name}, {area} px{crowd}")
    }

    fn numbers(&self, ui: &Ui, middle: f32, name: &str, numbers: &Numbers) -> String {
        let c = theme::colours(ui);
        let body = FontId::proportional(theme::BODY);
        let bold = FontId::new(theme::BODY, fonts::semibold());
        let write = |end: f32, number: Number, font: &FontId| {
            let colour = match number {
                Number::Value(_) => c.text,
                Number::OutOfRange(_) => c.warning,
                Number::Missing(_) | Number::Pending => c.weak,
            };
            let number = number.text();
            let at = pos2(end, middle);
            text(ui, at, Align2::RIGHT_CENTER, &number, font, colour);
            number
        };
        let score = write(self.columns.score, numbers.score, &body);
        let mask_iou = write(self.columns.mask_iou, numbers.mask_iou, &body);
        let iou_score = write(self.columns.iou_score, numbers.iou_score, &bold);
        if let (Some(left), Some(value)) = (self.columns.bar, numbers.mask_iou.value()) {
            bar(ui, left, middle, BAR, value);
        }
        format!("{name}, score {score}, mask IoU {mask_iou}, iou score {iou_score}")
    }
}

/// Annotations have no scores to be coloured by.
pub fn listed_colour(colour_by: ColourBy, annotations: bool) -> ColourBy {
    match colour_by {
        ColourBy::Score | ColourBy::MaskIou | ColourBy::IouScore if annotations => ColourBy::Class,
        colour_by => colour_by,
    }
}
