//! AP of each class, by size, as a table that can be sorted.

use std::sync::Arc;

use egui::{Align2, FontId, Id, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::document::eval::{Area, Kind};
use crate::document::evaluation::Analysis;
use crate::structures::is_same;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged::{self, figure, signed};
use crate::ui::panels::parts::{bar, text};
use crate::ui::panels::virtual_rows::VirtualRows;
use crate::ui::view::ViewState;
use crate::ui::{icons, theme, widgets};

const ROW: f32 = 22.0;
const NAME: f32 = 0.26;
const BAR: f32 = 0.16;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Name of the class.
    Class,
    /// Number of objects.
    Count,
    /// AP.
    Ap,
    /// AP at IoU .50.
    Ap50,
    /// AP at IoU .75.
    Ap75,
    /// AP of small objects.
    Small,
    /// AP of medium objects.
    Medium,
    /// AP of large objects.
    Large,
    /// Recall.
    Recall,
    /// AP of the second file less this one.
    Delta,
}

impl Column {
    const ALL: [Self; 10] = [
        Self::Class,
        Self::Count,
        Self::Ap,
        Self::Ap50,
        Self::Ap75,
        Self::Small,
        Self::Medium,
        Self::Large,
        Self::Recall,
        Self::Delta,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Count => "objects",
            Self::Ap => "AP",
            Self::Ap50 => "AP50",
            Self::Ap75 => "AP75",
            Self::Small => "APs",
            Self::Medium => "APm",
            Self::Large => "APl",
            Self::Recall => "AR",
            Self::Delta => "B−A",
        }
    }
}

struct Line {
    label: usize,
    name: String,
    objects: u32,
    /// By `Column::ALL` from `Ap` on.
    numbers: [Option<f64>; 8],
}

impl Line {
    fn number(&self, column: Column) -> Option<f64> {
        match column {
            Column::Class => None,
            Column::Count => Some(f64::from(self.objects)),
            column => self
                .numbers
                .get(column as usize - Column::Ap as usize)
                .copied()
                .flatten(),
        }
    }
}

/// Order of the table, and its rows while nothing changes.
pub struct ClassesView {
    /// What orders the rows.
    pub sort: Column,
    /// The largest first.
    pub descending: bool,
    lines: Option<Made>,
}

struct Made {
    of: Analysis,
    kind: Kind,
    sort: (Column, bool),
    lines: Vec<Line>,
}

impl Default for ClassesView {
    fn default() -> Self {
        Self {
            sort: Column::Ap,
            descending: false,
            lines: None,
        }
    }
}

/// Draws the table into the rest of `ui`.
pub fn classes_ui(ui: &mut Ui, analysis: &Analysis, view: &mut ViewState, out: &mut CommandQueue) {
    kind_choice(ui, &mut view.evaluate.kind);
    let kind = view.evaluate.kind;
    let classes = &mut view.evaluate.classes;
    classes.renew(analysis, kind);
    let columns: Vec<Column> = Column::ALL
        .into_iter()
        .filter(|column| *column != Column::Delta || analysis.comparison.is_some())
        .collect();
    header(ui, &columns, classes);
    let Some(made) = &classes.lines else { return };
    if made.lines.is_empty() {
        return judged::absent(ui, "The set has no classes");
    }
    let rows = VirtualRows {
        pitch: ROW,
        rows: made.lines.len(),
        reveal: None,
    };
    let mut clicked = None;
    rows.show(
        ui,
        Id::unique("classes of the evaluation"),
        |ui, row, rect| {
            let Some(line) = made.lines.get(row) else {
                return;
            };
            if line_ui(ui, rect, row, line, &columns) {
                clicked = Some((line.label, line.name.clone()));
            }
        },
    );
    if let Some((label, name)) = clicked {
        out.push(Command::Pick(of_class(analysis, label, &name)));
    }
}

/// Masks or boxes.
pub fn kind_choice(ui: &mut Ui, kind: &mut Kind) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        for (value, name) in [(Kind::Segm, "masks"), (Kind::Bbox, "boxes")] {
            ui.selectable_value(kind, value, name);
        }
    });
}

fn of_class(analysis: &Analysis, label: usize, name: &str) -> Arc<crate::ui::picked::Picked> {
    let input = &analysis.evaluation.base.input;
    let detections = input.detections.iter().enumerate();
    let detections = detections.filter(|(_, it)| it.label as usize == label);
    let truths = input
        .truths
        .iter()
        .enumerate()
        .filter(|(_, it)| it.label as usize == label);
    let label = format!("{name}: objects and predictions");
    let truths = truths.map(|(at, _)| at as u32);
    judged::pick(
        &analysis.evaluation,
        label,
        detections.map(|(at, _)| at as u32),
        truths,
    )
}

impl ClassesView {
    fn renew(&mut self, analysis: &Analysis, kind: Kind) {
        let sort = (self.sort, self.descending);
        let is_made = self.lines.as_ref().is_some_and(|made| {
            let same = is_same(made.of.comparison.as_ref(), analysis.comparison.as_ref());
            same && Arc::ptr_eq(&made.of.evaluation, &analysis.evaluation)
                && made.kind == kind
                && made.sort == sort
        });
        if is_made {
            return;
        }
        let mut lines = lines(analysis, kind);
        lines.sort_by(|a, b| match self.sort {
            Column::Class => a.name.cmp(&b.name),
            column => {
                let key = |line: &Line| line.number(column).unwrap_or(f64::INFINITY);
                key(a).total_cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
            }
        });
        if self.descending {
            lines.reverse();
            // What has no number stays at the end.
            let column = self.sort;
            lines.sort_by_key(|line| column != Column::Class && line.number(column).is_none());
        }
        self.lines = Some(Made {
            of: analysis.clone(),
            kind,
            sort,
            lines,
        });
    }
}

fn lines(analysis: &Analysis, kind: Kind) -> Vec<Line> {
    const AT_50: usize = 0;
    const AT_75: usize = 5;
    let evaluation = &analysis.evaluation;
    let (result, input) = (evaluation.of(kind), &evaluation.base.input);
    let curves = &result.curves;
    let known = |value: f64| (value >= 0.0).then_some(value);
    let deltas = analysis.comparison.as_ref().map(|it| match kind {
        Kind::Segm => &it.segm,
        Kind::Bbox => &it.bbox,
    });
    (0..input.classes.len())
        .map(|label| Line {
            label,
            name: input.classes.name(label),
            objects: result
                .matches
                .truths
                .get(label)
                .map_or(0, |counts| counts[Area::All as usize]),
            numbers: [
                known(curves.class_ap(label, Area::All)),
                known(curves.class_ap_at(label, Area::All, AT_50)),
                known(curves.class_ap_at(label, Area::All, AT_75)),
                known(curves.class_ap(label, Area::Small)),
                known(curves.class_ap(label, Area::Medium)),
                known(curves.class_ap(label, Area::Large)),
                known(curves.class_ar(label, Area::All)),
                deltas.and_then(|it| it.classes.get(label)?.delta()),
            ],
        })
        .collect()
}

/// Where the columns stand: the name, a bar, then numbers of equal width up to the right end.
fn places(rect: Rect, columns: usize) -> (f32, f32, impl Fn(usize) -> f32) {
    let name = rect.width() * NAME;
    let bar = rect.width() * BAR;
    let start = rect.left() + name + bar;
    let each = (rect.right() - start) / (columns - 1).max(1) as f32;
    (rect.left() + name, bar - 12.0, move |column| {
        start + each * column as f32
    })
}

fn header(ui: &mut Ui, columns: &[Column], view: &mut ClassesView) {
    let c = theme::colours(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let (bar_left, _, end) = places(rect, columns.len());
    let font = FontId::proportional(theme::SMALL);
    for (at, &column) in columns.iter().enumerate() {
        let area = match at {
            0 => Rect::from_min_max(rect.min, pos2(bar_left, rect.bottom())),
            at => Rect::from_min_max(pos2(end(at - 1), rect.top()), pos2(end(at), rect.bottom())),
        };
        let response = ui.interact(
            area,
            Id::unique(("classes by", column.label())),
            Sense::click(),
        );
        let is_sorted = view.sort == column;
        let name = format!("Sort classes by {}", column.label());
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_sorted, &name));
        let arrow = match (is_sorted, view.descending) {
            (false, _) => "",
            (true, true) => icons::ARROW_DOWN,
            (true, false) => icons::ARROW_UP,
        };
        let colour = if is_sorted || response.hovered() {
            c.text
        } else {
            c.weak
        };
        let label = format!("{arrow} {}", column.label());
        let label = label.trim_start();
        match at {
            0 => text(
                ui,
                area.left_center() + vec2(8.0, 0.0),
                Align2::LEFT_CENTER,
                label,
                &font,
                colour,
            ),
            _ => text(
                ui,
                area.right_center() - vec2(4.0, 0.0),
                Align2::RIGHT_CENTER,
                label,
                &font,
                colour,
            ),
        };
        if response.clicked() {
            let begins_descending = column == Column::Count;
            view.descending = if is_sorted {
                !view.descending
            } else {
                begins_descending
            };
            view.sort = column;
        }
    }
}

fn line_ui(ui: &mut Ui, rect: Rect, row: usize, line: &Line, columns: &[Column]) -> bool {
    let c = theme::colours(ui);
    let response = ui.interact(
        rect,
        Id::unique(("class of the evaluation", row)),
        Sense::click(),
    );
    let spoken = format!("{}, AP {}", line.name, figure(line.number(Column::Ap)));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &spoken));
    if response.hovered() || response.has_focus() {
        ui.painter()
            .rect_filled(rect, f32::from(theme::RADIUS), c.field_hovered);
    }
    let font = FontId::proportional(theme::BODY);
    let (bar_left, bar_width, end) = places(rect, columns.len());
    let middle = rect.center().y;
    widgets::elided(
        ui,
        pos2(rect.left() + 8.0, middle),
        bar_left - 8.0,
        &line.name,
        &font,
        c.text,
    );
    if let Some(ap) = line.number(Column::Ap) {
        bar(ui, bar_left, middle, bar_width, ap);
    }
    for (at, &column) in columns.iter().enumerate().skip(1) {
        let number = line.number(column);
        let shown = match column {
            Column::Count => widgets::thousands(line.objects as usize),
            Column::Delta => number.map_or_else(|| crate::ui::plot::MISSING.to_owned(), signed),
            _ => figure(number),
        };
        let colour = if number.is_some() { c.text } else { c.weak };
        let place = pos2(end(at) - 4.0, middle);
        text(ui, place, Align2::RIGHT_CENTER, &shown, &font, colour);
    }
    let hint = match line.objects {
        0 => "The set has no object of this class, so it has no AP",
        _ => "Click: show the images of this class",
    };
    response.on_hover_text(hint).clicked()
}
