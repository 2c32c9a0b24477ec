//! The scatter: every detection by two of the four numbers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use egui::{Color32, Ui};

use crate::document::eval::{Candidate, DetectionStatus};
use crate::document::evaluation::{Analysis, Evaluation};
use crate::structures::is_same;
use crate::ui::colour;
use crate::ui::command::{Command, CommandQueue};
use crate::ui::panels::judged;
use crate::ui::panels::parts::drop_down;
use crate::ui::picked::{Picked, PickedInstance, PickedKind};
use crate::ui::plot::axes::Axes;
use crate::ui::plot::points::set_bit;
use crate::ui::plot::{Axis, Points, Region, Scatter, ScatterEvent, ScatterState};
use crate::ui::view::ViewState;
use crate::ui::{theme, widgets};

/// Width of the lists of axes.
const CHOICE: f32 = 128.0;

/// One of the four numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Class score.
    Score,
    /// Predicted mask IoU.
    MaskIou,
    /// Their product.
    IouScore,
    /// Measured mask IoU.
    Measured,
}

impl Quantity {
    /// In their order.
    pub const ALL: [Self; 4] = [Self::Score, Self::MaskIou, Self::IouScore, Self::Measured];

    /// Its name, everywhere the same.
    pub fn label(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::MaskIou => "mask IoU",
            Self::IouScore => "iou score",
            Self::Measured => "measured IoU",
        }
    }

    /// Of a detection; `None` where it does not exist.
    pub fn of(self, evaluation: &Evaluation, detection: usize) -> Option<f64> {
        let base = &evaluation.base;
        match self {
            Self::Score => Some(base.input.detection(detection).score),
            Self::MaskIou => base.input.detection(detection).mask_iou,
            Self::IouScore => Some(base.input.detection(detection).iou_score),
            Self::Measured => base.measured.get(detection).copied().flatten(),
        }
    }
}

/// What colours the points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PointColour {
    /// True positive, false positive, neither; at IoU .50.
    #[default]
    Outcome,
    /// Class.
    Class,
    /// One colour.
    None,
}

impl PointColour {
    const ALL: [Self; 3] = [Self::Outcome, Self::Class, Self::None];

    fn label(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Class => "class",
            Self::None => "nothing",
        }
    }
}

/// What the points were made of.
#[derive(Clone)]
struct Key {
    analysis: Analysis,
    axes: [Quantity; 2],
    colour: PointColour,
}

impl Key {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.analysis.diagnosis, &other.analysis.diagnosis)
            && self.axes == other.axes
            && self.colour == other.colour
    }
}

struct Cloud {
    key: Key,
    points: Points,
    palette: Vec<Color32>,
}

/// The scatter and what it needs from frame to frame.
pub struct CloudView {
    /// To the right, upwards.
    pub axes: [Quantity; 2],
    /// What colours the points.
    pub colour: PointColour,
    /// Brush, tool, zoom.
    pub scatter: ScatterState,
    cloud: Option<Cloud>,
    making: Option<(Key, Receiver<Cloud>)>,
    /// The user chose the axes.
    are_chosen: bool,
    bright: Option<Bright>,
    /// What the brush picked.
    picked: Option<Arc<Picked>>,
}

impl Default for CloudView {
    fn default() -> Self {
        Self {
            axes: [Quantity::MaskIou, Quantity::Measured],
            colour: PointColour::default(),
            scatter: ScatterState::default(),
            cloud: None,
            making: None,
            are_chosen: false,
            bright: None,
            picked: None,
        }
    }
}

/// What another chart picked, or the points of the images that pass the filter.
struct Bright {
    generation: u64,
    picked: Option<Arc<Picked>>,
    of: Arc<Evaluation>,
    flags: Option<Vec<u64>>,
}

/// Draws the scatter with its choices into the rest of `ui`.
pub fn cloud_ui(ui: &mut Ui, analysis: &Analysis, view: &mut ViewState, out: &mut CommandQueue) {
    let mut cloud_view = std::mem::take(&mut view.compare.cloud);
    choices(ui, &mut cloud_view);
    cloud_view.renew(ui.ctx(), analysis);
    cloud_view.renew_bright(view, &analysis.evaluation);
    cloud_view.drop_old_brush(view);
    cloud_view.show(ui, view, out);
    view.compare.cloud = cloud_view;
}

fn choices(ui: &mut Ui, cloud: &mut CloudView) {
    let c = theme::colours(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = theme::GRID;
        let label = |quantity: Quantity| quantity.label();
        if let Some(y) = drop_down(ui, "Upwards", CHOICE, cloud.axes[1], &Quantity::ALL, label) {
            cloud.set_axes([cloud.axes[0], y]);
        }
        ui.colored_label(c.weak, "over");
        if let Some(x) = drop_down(
            ui,
            "To the right",
            CHOICE,
            cloud.axes[0],
            &Quantity::ALL,
            label,
        ) {
            cloud.set_axes([x, cloud.axes[1]]);
        }
        ui.add_space(theme::GRID);
        ui.colored_label(c.weak, "colour");
        let all = PointColour::ALL;
        if let Some(colour) = drop_down(
            ui,
            "Colour of the points",
            88.0,
            cloud.colour,
            &all,
            PointColour::label,
        ) {
            cloud.colour = colour;
        }
    });
}

impl CloudView {
    /// Another pair of numbers; the brush meant the old one.
    pub fn set_axes(&mut self, axes: [Quantity; 2]) {
        self.are_chosen = true;
        if self.axes != axes {
            self.axes = axes;
            self.scatter.set_brush(None);
            self.scatter.view.reset();
        }
    }

    /// Sorts the points anew where evaluation, axes or colours changed, on a thread: half a million take a while. The old
    /// ones stay until then.
    fn renew(&mut self, ctx: &egui::Context, analysis: &Analysis) {
        if !self.are_chosen {
            self.axes = first_axes(&analysis.evaluation);
        }
        let key = Key {
            analysis: analysis.clone(),
            axes: self.axes,
            colour: self.colour,
        };
        if let Some((_, made)) = &self.making
            && let Ok(cloud) = made.try_recv()
        {
            self.cloud = Some(cloud);
            self.making = None;
        }
        let is_made = self.cloud.as_ref().is_some_and(|cloud| cloud.key.is(&key));
        let is_being_made = self.making.as_ref().is_some_and(|(of, _)| of.is(&key));
        if is_made || is_being_made {
            return;
        }
        let (sender, made) = channel();
        let (of_thread, ctx) = (key.clone(), ctx.clone());
        let thread = std::thread::Builder::new().name("scatter".into());
        let started = thread.spawn(move || {
            // The receiver is gone when the axes changed meanwhile.
            let _ = sender.send(Cloud::new(of_thread));
            ctx.request_repaint();
        });
        match started {
            Ok(_) => self.making = Some((key, made)),
            Err(error) => log::error!("cannot start a thread: {error}"),
        }
    }

    fn renew_bright(&mut self, view: &ViewState, evaluation: &Arc<Evaluation>) {
        let generation = view.filter.generation();
        let is_ours = |picked: &&Arc<Picked>| {
            self.picked
                .as_ref()
                .is_some_and(|ours| Arc::ptr_eq(ours, picked))
        };
        let picked = view.picked.as_ref().filter(|picked| !is_ours(picked));
        let is_known = self.bright.as_ref().is_some_and(|it| {
            is_same(it.picked.as_ref(), picked)
                && it.generation == generation
                && Arc::ptr_eq(&it.of, evaluation)
        });
        if is_known {
            return;
        }
        let all = evaluation.base.image_of.len();
        let flags = match picked {
            Some(picked) => Some(picked_flags(evaluation, picked)),
            None if view.passing.len() < all => Some(image_flags(evaluation, &view.passing)),
            None => None,
        };
        self.bright = Some(Bright {
            generation,
            picked: picked.cloned(),
            of: Arc::clone(evaluation),
            flags,
        });
    }

    /// A pick that was cleared elsewhere takes its brush along.
    fn drop_old_brush(&mut self, view: &ViewState) {
        let Some(ours) = &self.picked else { return };
        let holds = (view.picked.as_ref()).is_some_and(|picked| Arc::ptr_eq(picked, ours));
        if !holds {
            self.scatter.set_brush(None);
            self.picked = None;
        }
    }

    fn show(&mut self, ui: &mut Ui, view: &ViewState, out: &mut CommandQueue) {
        let Some(cloud) = &self.cloud else {
            ui.spinner();
            return;
        };
        let evaluation = &cloud.key.analysis.evaluation;
        let axes = cloud.key.axes;
        let selected = view.image.zip(view.instance);
        let selected = selected.and_then(|(at, index)| evaluation.base.detection_at(at, index));
        let describe = |number: usize| description(evaluation, number);
        let bright = self
            .bright
            .as_ref()
            .filter(|it| Arc::ptr_eq(&it.of, evaluation));
        let [x, y] = axes.map(|quantity| Axis::unit(quantity.label()));
        let plot = Scatter {
            name: "Scatter of the instances",
            points: &cloud.points,
            x,
            y,
            palette: &cloud.palette,
            bright: bright.and_then(|it| it.flags.as_deref()),
            selected,
            diagonal: true,
            margins: ui.available_width() > 420.0,
            noun: ["instance", "instances"],
            describe: Some(&describe),
            empty: empty(axes, cloud.points.is_empty()),
        };
        let response = plot.show(ui, &mut self.scatter);
        match response.event {
            Some(ScatterEvent::Clicked(number)) => {
                if let Some(instance) = judged::of_detection(evaluation, number as u32) {
                    judged::go_to(instance, out);
                }
            }
            Some(ScatterEvent::Brushed(region)) => {
                let numbers = cloud.points.numbers_in(&region);
                let label = label(&region, numbers.len(), axes);
                let numbers = numbers.into_iter().map(|number| number as u32);
                let picked = judged::pick(evaluation, label, numbers, []);
                self.picked = Some(Arc::clone(&picked));
                out.push(Command::Pick(picked));
            }
            Some(ScatterEvent::Cleared) if view.picked.is_some() => out.push(Command::ClearPick),
            Some(ScatterEvent::Cleared) => out.push(Command::SelectInstance(None)),
            Some(ScatterEvent::Brushing(_)) | None => {}
        }
    }
}

/// What there is to see first: without mask IoU the score.
fn first_axes(evaluation: &Evaluation) -> [Quantity; 2] {
    let first = evaluation.base.input.detections.first();
    let has_mask_iou = first.is_none() || Quantity::MaskIou.of(evaluation, 0).is_some();
    match has_mask_iou {
        true => [Quantity::MaskIou, Quantity::Measured],
        false => [Quantity::Score, Quantity::Measured],
    }
}

/// As the filter bar names it: `412 with mask IoU .20–.45, measured IoU .70–1.00`.
fn label(region: &Region, count: usize, axes: [Quantity; 2]) -> String {
    let [x, y] = axes.map(|quantity| Axis::unit(quantity.label()));
    let axes = Axes {
        x,
        y,
        diagonal: false,
    };
    format!("{} with {}", widgets::thousands(count), region.text(&axes))
}

fn empty(axes: [Quantity; 2], is_without: bool) -> &'static str {
    match axes.contains(&Quantity::MaskIou) {
        _ if is_without => "No prediction takes part: none is of a class and an image of this set",
        true => {
            "No prediction has a mask IoU: choose other axes, or predictions of a model with a mask-IoU head"
        }
        false => "No prediction has both numbers",
    }
}

fn description(evaluation: &Evaluation, number: usize) -> String {
    let input = &evaluation.base.input;
    let Some(candidate) = input.detections.get(number) else {
        return String::new();
    };
    let image = input.images.get(candidate.image as usize);
    let image = image.map_or("", |image| image.name.as_str());
    format!(
        "{} in {image}",
        input.classes.name(candidate.label as usize)
    )
}

fn no_flags(evaluation: &Evaluation) -> Vec<u64> {
    vec![0; evaluation.base.input.detections.len().div_ceil(64)]
}

/// Flags of picked detections.
fn picked_flags(evaluation: &Evaluation, picked: &Picked) -> Vec<u64> {
    let mut flags = no_flags(evaluation);
    for detection in detections_of(evaluation, picked) {
        set_bit(&mut flags, detection as usize);
    }
    flags
}

/// Flags of the detections of some images of the set.
fn image_flags(evaluation: &Evaluation, images: &[usize]) -> Vec<u64> {
    let base = &evaluation.base;
    let mut flags = no_flags(evaluation);
    let known = images.iter().filter_map(|&at| *base.image_of.get(at)?);
    for image in known.filter_map(|image| base.input.images.get(image as usize)) {
        image
            .detections
            .clone()
            .for_each(|at| set_bit(&mut flags, at));
    }
    flags
}

impl Cloud {
    fn new(key: Key) -> Self {
        let evaluation = &key.analysis.evaluation;
        let count = evaluation.base.input.detections.len();
        let takes_part = |at: usize| {
            let chosen = evaluation.selection.detections.as_ref();
            chosen.is_none_or(|list| list.get(at).copied().unwrap_or(false))
        };
        let values = |quantity: Quantity| -> Vec<f32> {
            let value = |at: usize| match takes_part(at) {
                true => quantity
                    .of(evaluation, at)
                    .map_or(f32::NAN, |v| v.clamp(0.0, 1.0) as f32),
                false => f32::NAN,
            };
            (0..count).map(value).collect()
        };
        let [x, y] = key.axes.map(values);
        let (classes, palette) = key.colours();
        let points = Points::new(&x, &y, classes.as_deref());
        Self {
            points,
            palette,
            key,
        }
    }
}

impl Key {
    fn colours(&self) -> (Option<Vec<u16>>, Vec<Color32>) {
        let input = &self.analysis.evaluation.base.input;
        match self.colour {
            PointColour::None => (None, Vec::new()),
            PointColour::Class => {
                let of = |it: &Candidate| it.label as u16;
                let ids = input.classes.category_ids.iter();
                (
                    Some(input.detections.iter().map(of).collect()),
                    ids.map(|&id| colour::class_colour(id)).collect(),
                )
            }
            PointColour::Outcome => {
                let of = |status: &DetectionStatus| match status {
                    DetectionStatus::TruePositive => 0,
                    DetectionStatus::FalsePositive => 1,
                    DetectionStatus::Ignored | DetectionStatus::NotCounted => 2,
                };
                let statuses = &self.analysis.diagnosis.per_image.detections;
                let palette = [
                    colour::TRUE_POSITIVE,
                    colour::FALSE_POSITIVE,
                    colour::NO_SCORE,
                ];
                (Some(statuses.iter().map(of).collect()), palette.to_vec())
            }
        }
    }
}

/// Detections among picked instances, as numbers of the evaluation.
pub fn detections_of(evaluation: &Evaluation, picked: &Picked) -> Vec<u32> {
    let of = |instance: &PickedInstance| match instance.what {
        PickedKind::Prediction(index) => evaluation.base.detection_at(instance.image, index),
        PickedKind::Annotation(_) | PickedKind::Image => None,
    };
    let found = picked.instances().iter().filter_map(of);
    found.map(|at| at as u32).collect()
}
