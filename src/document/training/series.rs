//! The numbers of a run over its steps and epochs, and curves made of them.

use crate::jobs::train::records::{EvalRecord, MetricsLine, StepRecord};

/// A number that is followed over the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Quantity {
    /// Sum of the losses.
    #[default]
    Loss,
    /// Region proposals: object or not.
    RpnClass,
    /// Region proposals: boxes.
    RpnBox,
    /// Class of a region.
    Class,
    /// Box of a region.
    Box,
    /// Mask.
    Mask,
    /// Predicted mask IoU.
    MaskIou,
    /// Learning rate.
    LearningRate,
    /// Norm of the gradients before clipping.
    GradNorm,
    /// Images per second.
    Speed,
    /// Average precision after each epoch.
    Ap,
}

impl Quantity {
    /// In the order of the tiles.
    pub const ALL: [Self; 11] = [
        Self::Loss,
        Self::RpnClass,
        Self::RpnBox,
        Self::Class,
        Self::Box,
        Self::Mask,
        Self::MaskIou,
        Self::LearningRate,
        Self::GradNorm,
        Self::Speed,
        Self::Ap,
    ];
    /// Those with a value at every step.
    const STEPS: usize = 10;

    /// As tiles and axes name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Loss => "total loss",
            Self::RpnClass => "rpn class",
            Self::RpnBox => "rpn box",
            Self::Class => "class",
            Self::Box => "box",
            Self::Mask => "mask",
            Self::MaskIou => "mask IoU",
            Self::LearningRate => "learning rate",
            Self::GradNorm => "gradient norm",
            Self::Speed => "images/s",
            Self::Ap => "AP",
        }
    }
}

/// Which AP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApKind {
    /// Of masks, ranked by `iou_score`.
    Mask,
    /// Of boxes.
    Box,
    /// Of masks, ranked by `score`.
    MaskByScore,
}

impl ApKind {
    /// In the order of legends.
    pub const ALL: [Self; 3] = [Self::Mask, Self::Box, Self::MaskByScore];

    /// As legends name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Mask => "mask AP",
            Self::Box => "box AP",
            Self::MaskByScore => "mask AP by score",
        }
    }

    /// Its value; NaN without ground truth.
    pub fn of(self, eval: &EvalRecord) -> f64 {
        let value = match self {
            Self::Mask => eval.seg_map,
            Self::Box => eval.bbox_map,
            Self::MaskByScore => eval.seg_map_by_score,
        };
        if value < 0.0 { f64::NAN } else { value }
    }
}

/// What stands to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Over {
    /// Data steps of the run.
    #[default]
    Steps,
    /// Epochs and parts of them: runs of different batches compare.
    Epochs,
}

/// How a curve is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurveOptions {
    /// What stands to the right.
    pub over: Over,
    /// Weight of the past, 0 to below 1.
    pub smoothing: f64,
    /// At most so many points: the mean of neighbours stands for them.
    pub most: usize,
}

/// All lines of a run, as columns: a long run has a million.
#[derive(Clone, Debug, Default)]
pub struct RunSeries {
    steps: Vec<u32>,
    /// Epoch of each step, and its place in it.
    epochs: Vec<(u32, u32)>,
    columns: [Vec<f32>; Quantity::STEPS],
    evals: Vec<EvalRecord>,
    last: Option<StepRecord>,
}

impl RunSeries {
    /// Adds a line.
    pub fn push(&mut self, line: MetricsLine) {
        match line {
            MetricsLine::Step(step) => self.push_step(step),
            MetricsLine::Eval(eval) => self.evals.push(eval),
        }
    }

    fn push_step(&mut self, step: StepRecord) {
        let losses = &step.losses;
        let values = [
            step.loss,
            losses.rpn_cls,
            losses.rpn_box,
            losses.cls,
            losses.bbox,
            losses.mask,
            losses.mask_iou,
            step.lr,
            step.grad_norm.unwrap_or(f64::NAN),
            step.images_per_second,
        ];
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value as f32);
        }
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.steps.push(small(step.global_step));
        self.epochs.push((small(step.epoch), small(step.step)));
        self.last = Some(step);
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is neither step nor evaluation.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.evals.is_empty()
    }

    /// The newest step.
    pub fn last(&self) -> Option<&StepRecord> {
        self.last.as_ref()
    }

    /// All evaluations in their order.
    pub fn evals(&self) -> &[EvalRecord] {
        &self.evals
    }

    /// The newest value.
    pub fn latest(&self, quantity: Quantity) -> Option<f64> {
        let value = match quantity {
            Quantity::Ap => ApKind::Mask.of(self.evals.last()?),
            _ => f64::from(
                *self
                    .column(quantity)?
                    .iter()
                    .rfind(|value| !value.is_nan())?,
            ),
        };
        Some(value)
    }

    fn column(&self, quantity: Quantity) -> Option<&Vec<f32>> {
        let at = Quantity::ALL.iter().position(|it| *it == quantity)?;
        self.columns.get(at)
    }

    /// (x, y) of a quantity of steps; of AP that of masks.
    pub fn curve(&self, quantity: Quantity, options: &CurveOptions) -> Vec<[f64; 2]> {
        let Some(column) = self.column(quantity) else {
            return self.ap_curve(ApKind::Mask, options.over);
        };
        let per_epoch = self.epochs.iter().map(|(_, step)| *step).max();
        let per_epoch = f64::from(per_epoch.unwrap_or(1).max(1));
        let x = |at: usize| match options.over {
            Over::Steps => f64::from(self.steps[at]),
            Over::Epochs => {
                let (epoch, step) = self.epochs[at];
                f64::from(epoch.saturating_sub(1)) + f64::from(step) / per_epoch
            }
        };
        let size = column.len().div_ceil(options.most.max(1)).max(1);
        let points = column.chunks(size).enumerate().map(|(chunk, values)| {
            let known = values.iter().filter(|value| value.is_finite());
            let (sum, count) = known.fold((0.0, 0), |(sum, count), value| {
                (sum + f64::from(*value), count + 1)
            });
            let middle = chunk * size + values.len() / 2;
            let mean = if count > 0 {
                sum / f64::from(count)
            } else {
                f64::NAN
            };
            [x(middle), mean]
        });
        // Gradient norms exist at updates alone: gaps of accumulation are no gaps of the curve.
        let keeps_gaps = quantity != Quantity::GradNorm;
        let points = points.filter(|point| keeps_gaps || point[1].is_finite());
        smoothed(points, options.smoothing)
    }

    /// AP after each epoch.
    pub fn ap_curve(&self, kind: ApKind, over: Over) -> Vec<[f64; 2]> {
        let points = self.evals.iter().map(|eval| {
            let x = match over {
                Over::Steps => eval.global_step,
                Over::Epochs => eval.epoch,
            };
            [x as f64, kind.of(eval)]
        });
        points.collect()
    }
}

/// An exponential mean that does not begin at zero; gaps stay.
fn smoothed(points: impl Iterator<Item = [f64; 2]>, weight: f64) -> Vec<[f64; 2]> {
    let (mut mean, mut known) = (0.0, 0.0);
    let smooth = |[x, y]: [f64; 2]| {
        if !y.is_finite() {
            return [x, f64::NAN];
        }
        mean = weight * mean + (1.0 - weight) * y;
        known = weight * known + (1.0 - weight);
        [x, mean / known]
    };
    points.map(smooth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::train::records::LossValues;

    fn step(number: usize, loss: f64) -> MetricsLine {
        MetricsLine::Step(StepRecord {
            epoch: (number - 1) / 4 + 1,
            step: (number - 1) % 4 + 1,
            global_step: number,
            loss,
            losses: LossValues::default(),
            lr: 0.01,
            grad_norm: number.is_multiple_of(2).then_some(1.0),
            loss_scale: None,
            images_per_second: 2.0,
            data_time: 0.0,
            step_time: 0.5,
            memory_mib: 1.0,
        })
    }

    fn series(losses: &[f64]) -> RunSeries {
        let mut series = RunSeries::default();
        for (at, loss) in losses.iter().enumerate() {
            series.push(step(at + 1, *loss));
        }
        series
    }

    const PLAIN: CurveOptions = CurveOptions {
        over: Over::Steps,
        smoothing: 0.0,
        most: 1000,
    };

    #[test]
    fn curves_are_thinned_and_smoothed() {
        let series = series(&[4.0, 2.0, 4.0, 2.0]);
        let curve = |options: CurveOptions| series.curve(Quantity::Loss, &options);
        assert_eq!(
            curve(PLAIN),
            [[1.0, 4.0], [2.0, 2.0], [3.0, 4.0], [4.0, 2.0]]
        );
        assert_eq!(
            curve(CurveOptions { most: 2, ..PLAIN }),
            [[2.0, 3.0], [4.0, 3.0]]
        );
        let smooth = curve(CurveOptions {
            smoothing: 0.5,
            ..PLAIN
        });
        assert_eq!(smooth[0], [1.0, 4.0]); // no pull to zero
        assert!((smooth[1][1] - 8.0 / 3.0).abs() < 1e-9);
        let epochs = curve(CurveOptions {
            over: Over::Epochs,
            ..PLAIN
        });
        assert_eq!(epochs[3][0], 1.0);
        assert_eq!(series.curve(Quantity::GradNorm, &PLAIN).len(), 2);
        assert_eq!(series.latest(Quantity::GradNorm), Some(1.0));
    }

    #[test]
    fn what_is_not_finite_interrupts() {
        let series = series(&[1.0, f64::NAN, 3.0]);
        let curve = series.curve(
            Quantity::Loss,
            &CurveOptions {
                smoothing: 0.9,
                ..PLAIN
            },
        );
        assert!(curve[1][1].is_nan() && curve[2][1].is_finite());
        assert_eq!(series.latest(Quantity::Loss), Some(3.0));
    }
}
