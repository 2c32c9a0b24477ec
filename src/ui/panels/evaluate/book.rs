//! What became of the instances of the open image at one IoU threshold: the ledger, and the colours of the canvas.

use std::sync::Arc;

use crate::document::Document;
use crate::document::eval::{Area, DetectionOutcome, Kind, Ledger, TruthOutcome, ledger};
use crate::document::evaluation::{Evaluation, Side};
use crate::structures::{ClassTable, Detection, Rle};
use crate::ui::canvas::{InstanceSet, Verdict};

/// What the canvas shows in the Evaluate workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Marks {
    /// Instances by what became of them.
    #[default]
    Outcomes,
    /// Pixels: agreement, false area, missed area.
    Pixels,
    /// As in Browse.
    Plain,
}

impl Marks {
    /// In their order.
    pub const ALL: [Self; 3] = [Self::Outcomes, Self::Pixels, Self::Plain];

    /// As the switch names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Outcomes => "outcomes",
            Self::Pixels => "pixels",
            Self::Plain => "plain",
        }
    }
}

/// The ledger of an image with what the canvas needs of it.
pub struct Book {
    of: Arc<Evaluation>,
    image: usize,
    threshold: usize,
    kind: Kind,
    /// Every detection and every ground truth at every threshold.
    pub ledger: Ledger,
    /// By position among the image's predictions.
    pub detections: Vec<Verdict>,
    /// By position among the image's annotations.
    pub truths: Vec<Verdict>,
    pixels: Option<(Option<usize>, Option<Arc<InstanceSet>>)>,
}

impl Book {
    /// Of an image of the set; `None` where it takes no part in the evaluation.
    pub fn open(of: &Arc<Evaluation>, image: usize, threshold: usize, kind: Kind) -> Option<Self> {
        let base = &of.base;
        let at = (*base.image_of.get(image)?)? as usize;
        let result = of.of(kind);
        let ledger = ledger(
            &base.setup(kind),
            &result.order,
            &of.selection,
            at,
            Area::All,
        )?;
        let mut book = Self {
            of: Arc::clone(of),
            image,
            threshold,
            kind,
            ledger,
            detections: Vec::new(),
            truths: Vec::new(),
            pixels: None,
        };
        book.mark();
        Some(book)
    }

    /// Whether it is the book of these.
    pub fn is(&self, of: &Arc<Evaluation>, image: usize, kind: Kind) -> bool {
        Arc::ptr_eq(&self.of, of) && self.image == image && self.kind == kind
    }

    /// The evaluation.
    pub fn evaluation(&self) -> &Arc<Evaluation> {
        &self.of
    }

    /// Goes to another threshold.
    pub fn at(&mut self, threshold: usize) {
        if self.threshold != threshold {
            self.threshold = threshold;
            self.mark();
        }
    }

    fn mark(&mut self) {
        let input = &self.of.base.input;
        let t = self.threshold;
        let number = self.ledger.image;
        let mut detections = vec![Verdict::Ignored; input.predictions(number).len()];
        for entry in &self.ledger.detections {
            let index = input.detections[entry.detection as usize].index as usize;
            if let Some(verdict) = detections.get_mut(index) {
                *verdict = match entry.outcomes[t] {
                    DetectionOutcome::Matched { .. } => Verdict::TruePositive,
                    DetectionOutcome::Unmatched(_) => Verdict::FalsePositive,
                    _ => Verdict::Ignored,
                };
            }
        }
        let mut truths = Vec::new();
        for entry in &self.ledger.truths {
            let index = input.truths[entry.truth as usize].index as usize;
            if truths.len() <= index {
                truths.resize(index + 1, Verdict::Ignored);
            }
            truths[index] = match entry.outcomes[t] {
                TruthOutcome::Matched { .. } => Verdict::Found,
                TruthOutcome::Missed(_) => Verdict::Missed,
                _ => Verdict::Ignored,
            };
        }
        (self.detections, self.truths, self.pixels) = (detections, truths, None);
    }

    /// Number of detections with a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        let all = self.detections.iter().chain(&self.truths);
        all.filter(|it| **it == verdict).count()
    }

    /// Agreement, false area and missed area as three masks; of one prediction where one is given. `None` where nothing
    /// takes part.
    pub fn pixels(&mut self, prediction: Option<usize>) -> Option<Arc<InstanceSet>> {
        match &self.pixels {
            Some((of, known)) if *of == prediction => known.clone(),
            _ => {
                let made = self.make_pixels(prediction);
                self.pixels = Some((prediction, made.clone()));
                made
            }
        }
    }

    fn make_pixels(&self, prediction: Option<usize>) -> Option<Arc<InstanceSet>> {
        let input = &self.of.base.input;
        let mut areas: Option<[Rle; 3]> = None;
        let mut add = |which: usize, mask: &Rle| {
            let areas = areas.get_or_insert_with(|| [(); 3].map(|()| Rle::empty(mask.size())));
            if let Ok(joined) = areas[which].union(mask) {
                areas[which] = joined;
            }
        };
        let is_asked = |detection: u32| {
            let index = input.detections[detection as usize].index as usize;
            prediction.is_none_or(|wanted| wanted == index)
        };
        for entry in self
            .ledger
            .detections
            .iter()
            .filter(|it| is_asked(it.detection))
        {
            let mask = &input.detection(entry.detection as usize).mask;
            match entry.outcomes[self.threshold] {
                DetectionOutcome::Matched { truth, .. } => {
                    let truth = &input.truths[truth as usize].mask;
                    let (Ok(missed), Ok(wrong)) = (truth.minus(mask), mask.minus(truth)) else {
                        continue;
                    };
                    if let Ok(agreement) = mask.minus(&wrong) {
                        add(0, &agreement);
                    }
                    add(1, &wrong);
                    add(2, &missed);
                }
                DetectionOutcome::Unmatched(_) => add(1, mask),
                _ => {}
            }
        }
        let missed = self.ledger.truths.iter().filter(|_| prediction.is_none());
        for entry in missed {
            if let TruthOutcome::Missed(_) = entry.outcomes[self.threshold] {
                add(2, &input.truths[entry.truth as usize].mask);
            }
        }
        areas.map(|areas| InstanceSet::annotations(&shapes(areas), &names()))
    }
}

/// Verdicts of the three masks of `Book::pixels`.
pub const PIXELS: [Verdict; 3] = [
    Verdict::TruePositive,
    Verdict::FalsePositive,
    Verdict::Missed,
];

fn names() -> ClassTable {
    ClassTable {
        names: ["agreement", "false area", "missed area"]
            .map(String::from)
            .to_vec(),
        ..ClassTable::default()
    }
}

fn shapes(areas: [Rle; 3]) -> Vec<Detection> {
    areas
        .into_iter()
        .enumerate()
        .map(|(label, mask)| Detection {
            bbox: mask.bbox(),
            label,
            score: 1.0,
            mask_iou: None,
            iou_score: 1.0,
            mask,
            quality: None,
        })
        .collect()
}

/// Opens the book of the selected image, or keeps it open.
pub fn renew(
    book: &mut Option<Book>,
    doc: &Document,
    image: Option<usize>,
    threshold: usize,
    kind: Kind,
) {
    let (Some(of), Some(image)) = (doc.evaluation(Side::A), image) else {
        *book = None;
        return;
    };
    match book {
        Some(open) if open.is(of, image, kind) => open.at(threshold),
        _ => *book = Book::open(of, image, threshold, kind),
    }
}
