//! The suspects queue: labels, masks and objects that somebody should look at, each with its reason.

use std::sync::Arc;

use egui::{FontId, Id, Rect, Role, Sense, Ui, WidgetInfo, pos2};

use crate::document::eval::{Diagnosis, Suspect, SuspectKind};
use crate::document::evaluation::Analysis;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged;
use crate::ui::panels::virtual_rows::VirtualRows;
use crate::ui::picked::Picked;
use crate::ui::view::ViewState;
use crate::ui::{theme, widgets};

const ROW: f32 = 40.0;

/// Which suspects are listed.
#[derive(Default)]
pub struct SuspectsView {
    /// `None`: all.
    pub kind: Option<SuspectKind>,
    made: Option<(Arc<Diagnosis>, Option<SuspectKind>, Vec<usize>)>,
    selected: Option<usize>,
}

/// Draws the queue into the rest of `ui`.
pub fn suspects_ui(ui: &mut Ui, analysis: &Analysis, view: &mut ViewState, out: &mut CommandQueue) {
    let diagnosis = &analysis.diagnosis;
    let mut shown = std::mem::take(&mut view.evaluate.suspects);
    kinds_ui(ui, diagnosis, &mut shown);
    shown.renew(diagnosis);
    if let Some((_, _, list)) = &shown.made {
        if list.is_empty() {
            judged::absent(ui, "Nothing is suspicious by these rules");
        } else {
            if ui.button("Show these in the gallery").clicked() {
                out.push(Command::Pick(all(analysis, list, shown.kind)));
            }
            let rows = VirtualRows {
                pitch: ROW,
                rows: list.len(),
                reveal: None,
            };
            let mut selected = shown.selected;
            rows.show(ui, Id::unique("suspects"), |ui, row, rect| {
                let suspect = list
                    .get(row)
                    .and_then(|&at| Some((at, diagnosis.suspects.list.get(at)?)));
                if let Some((at, suspect)) = suspect
                    && row_ui(ui, rect, row, analysis, suspect, selected == Some(at))
                {
                    selected = Some(at);
                    go_to(analysis, suspect, out);
                }
            });
            shown.selected = selected;
        }
    }
    view.evaluate.suspects = shown;
}

fn kinds_ui(ui: &mut Ui, diagnosis: &Diagnosis, shown: &mut SuspectsView) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        let list = &diagnosis.suspects.list;
        let text = format!("all {}", widgets::thousands(list.len()));
        ui.selectable_value(&mut shown.kind, None, text);
        for kind in SuspectKind::ALL {
            let count = list.iter().filter(|suspect| suspect.kind == kind).count();
            let text = format!("{} {}", kind.label(), widgets::thousands(count));
            ui.selectable_value(&mut shown.kind, Some(kind), text);
        }
    });
    if let Some(why) = diagnosis.suspects.without_mask_iou {
        judged::absent(ui, why);
    }
}

impl SuspectsView {
    fn renew(&mut self, diagnosis: &Arc<Diagnosis>) {
        let kind = self.kind;
        let is_made = |(of, of_kind, _): &(Arc<Diagnosis>, Option<SuspectKind>, Vec<usize>)| {
            Arc::ptr_eq(of, diagnosis) && *of_kind == kind
        };
        if self.made.as_ref().is_some_and(is_made) {
            return;
        }
        let list = diagnosis.suspects.list.iter().enumerate();
        let list = list.filter(|(_, it)| kind.is_none_or(|kind| it.kind == kind));
        self.made = Some((
            Arc::clone(diagnosis),
            kind,
            list.map(|(at, _)| at).collect(),
        ));
        self.selected = None;
    }
}

fn all(analysis: &Analysis, list: &[usize], kind: Option<SuspectKind>) -> Arc<Picked> {
    let suspects = || {
        list.iter()
            .filter_map(|&at| analysis.diagnosis.suspects.list.get(at))
    };
    let name = kind.map_or("suspects", SuspectKind::label);
    let label = format!("{} {name}", widgets::thousands(list.len()));
    let detections = suspects().filter_map(|it| it.detection);
    let truths = suspects().filter_map(|it| it.truth);
    judged::pick(&analysis.evaluation, label, detections, truths)
}

/// Selects what is suspected, and shows it among both layers.
fn go_to(analysis: &Analysis, suspect: &Suspect, out: &mut CommandQueue) {
    let of_detection = suspect
        .detection
        .and_then(|it| judged::of_detection(&analysis.evaluation, it));
    let of_truth = || {
        suspect
            .truth
            .and_then(|it| judged::of_truth(&analysis.evaluation, it))
    };
    if let Some(instance) = of_detection.or_else(of_truth) {
        judged::go_to(instance, out);
    }
}

fn row_ui(
    ui: &mut Ui,
    rect: Rect,
    row: usize,
    analysis: &Analysis,
    suspect: &Suspect,
    is_selected: bool,
) -> bool {
    let c = theme::colours(ui);
    let response = ui.interact(rect, Id::unique(("suspect", row)), Sense::click());
    let image = analysis
        .evaluation
        .base
        .input
        .images
        .get(suspect.image as usize);
    let image = image.map_or("", |image| image.name.as_str());
    let spoken = format!("{}, {image}: {}", suspect.kind.label(), suspect.reason);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_selected, &spoken));
    let fill = match (is_selected, response.hovered() || response.has_focus()) {
        (true, _) => c.selection,
        (false, true) => c.field_hovered,
        (false, false) => egui::Color32::TRANSPARENT,
    };
    ui.painter()
        .rect_filled(rect, f32::from(theme::RADIUS), fill);
    let (left, end) = (rect.left() + 8.0, rect.right() - 8.0);
    let body = FontId::proportional(theme::BODY);
    let small = FontId::proportional(theme::SMALL);
    let at = pos2(left, rect.top() + 12.0);
    let after = widgets::elided(ui, at, end, suspect.kind.label(), &small, c.accent);
    let at = pos2(after + 8.0, at.y);
    widgets::elided(ui, at, end, image, &small, c.weak);
    widgets::elided(
        ui,
        pos2(left, rect.top() + 28.0),
        end,
        &suspect.reason,
        &body,
        c.text,
    );
    response.on_hover_text(&suspect.reason).clicked()
}
