//! The ledger of an image: for each detection and each ground truth, at each threshold, with whom it matched or why not.
//!
//! It is read off [`cell_match`], the rule behind the numbers, so it cannot disagree with them; the overlaps only say why.
//! With overlaps of any class it also sees what lies on an object of another class.

use serde::Serialize;

use super::matching::{
    Area, CellMatch, IdPolicy, MAX_DETECTIONS, Selection, Setup, THRESHOLDS, cell_match,
    iou_thresholds,
};
use super::{Cell, EvalImage, Order};

mod sentence;

/// What became of everything in an image, within a range of areas.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ledger {
    /// Position in `EvalInput::images`.
    pub image: usize,
    /// Detections that could take part, in the file's order.
    pub detections: Vec<DetectionEntry>,
    /// Ground truths, in the JSON's order.
    pub truths: Vec<TruthEntry>,
}

/// A detection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DetectionEntry {
    /// Position in `EvalInput::detections`.
    pub detection: u32,
    /// By threshold.
    pub outcomes: [DetectionOutcome; THRESHOLDS],
}

/// A ground truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TruthEntry {
    /// Position in `EvalInput::truths`.
    pub truth: u32,
    /// By threshold.
    pub outcomes: [TruthOutcome; THRESHOLDS],
}

/// What became of a detection at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectionOutcome {
    /// True positive.
    Matched {
        /// Its ground truth.
        truth: u32,
        /// Their IoU.
        iou: f64,
    },
    /// False positive.
    Unmatched(Unmatched),
    /// Neither.
    Ignored(Ignored),
    /// Ranks behind the first 100 of its class in the image.
    BeyondMaxDets {
        /// Its rank there, from 0.
        rank: usize,
    },
    /// It or its image takes no part.
    Deselected,
}

/// Why a detection has no match.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// It overlaps none of its class enough.
    BestIouTooLow {
        /// The one it overlaps most.
        truth: u32,
        /// Their IoU.
        iou: f64,
    },
    /// What it overlaps enough belongs to a detection of higher rank.
    Taken {
        /// That detection.
        by: u32,
        /// The one it overlaps most.
        truth: u32,
        /// Their IoU.
        iou: f64,
    },
    /// It lies on an object of another class.
    ClassDiffers {
        /// That object.
        truth: u32,
        /// Their IoU.
        iou: f64,
    },
    /// Objects of its class are in the image, but it touches none.
    Apart,
    /// The image has none of its class.
    NoTruthOfClass,
    /// It would match the annotation with the id 0, which pycocotools takes for no match.
    IdZero {
        /// That annotation.
        truth: u32,
        /// Their IoU.
        iou: f64,
    },
}

/// Why a detection counts neither as true nor as false.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ignored {
    /// It lies on a crowd region.
    CrowdRegion {
        /// The region.
        truth: u32,
        /// Share of the detection that lies on it.
        share: f64,
    },
    /// It matched a ground truth outside the range of areas.
    TruthOutOfRange {
        /// The ground truth.
        truth: u32,
        /// Their IoU.
        iou: f64,
    },
    /// It has no match and lies itself outside the range.
    AreaOutOfRange {
        /// Its area in pixels.
        area: f64,
    },
}

/// What became of a ground truth at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TruthOutcome {
    /// A detection has it.
    Matched {
        /// The detection.
        by: u32,
        /// Their IoU.
        iou: f64,
    },
    /// False negative.
    Missed(Missed),
    /// A crowd region: cannot be missed.
    CrowdRegion,
    /// Outside the range of areas: cannot be missed.
    AreaOutOfRange {
        /// Its area in pixels.
        area: f64,
    },
    /// It or its image takes no part.
    Deselected,
}

/// Why no detection has a ground truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// A detection overlaps it enough and matched another one.
    PreferredAnother {
        /// The detection that overlaps it most.
        detection: u32,
        /// Their IoU.
        iou: f64,
        /// What the detection matched.
        other: u32,
        /// Their IoU.
        other_iou: f64,
    },
    /// A detection overlaps it enough, but takes no part or ranks behind the first 100.
    NotCounted {
        /// The detection.
        detection: u32,
        /// Their IoU.
        iou: f64,
    },
    /// A detection of another class lies on it.
    OfAnotherClass {
        /// The detection.
        detection: u32,
        /// Their IoU.
        iou: f64,
    },
    /// No detection of its class overlaps it enough.
    BestIouTooLow {
        /// The one that overlaps it most.
        detection: u32,
        /// Their IoU.
        iou: f64,
    },
    /// No detection of its class touches it.
    NoneNear,
    /// Its id is 0, which pycocotools takes for no match.
    IdZero {
        /// The detection that would have it.
        by: u32,
        /// Their IoU.
        iou: f64,
    },
}

/// Keeps the ledger of an image; `None` where there is no such image.
pub fn ledger(
    setup: &Setup<'_>,
    order: &Order,
    selection: &Selection,
    image: usize,
    area: Area,
) -> Option<Ledger> {
    let of_image = setup.input.images.get(image)?;
    let book = Book::new(setup, order, selection, image, of_image, area);
    Some(Ledger {
        image,
        detections: positions(&of_image.detections)
            .map(|detection| DetectionEntry {
                detection,
                outcomes: std::array::from_fn(|t| book.detection_outcome(detection, t)),
            })
            .collect(),
        truths: positions(&of_image.truths)
            .map(|truth| TruthEntry {
                truth,
                outcomes: std::array::from_fn(|t| book.truth_outcome(truth, t)),
            })
            .collect(),
    })
}

fn positions(range: &std::ops::Range<usize>) -> std::ops::Range<u32> {
    range.start as u32..range.end as u32
}

/// How a detection stands among those of its class.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Counted,
    Beyond(usize),
    Deselected,
}

/// A detection that overlaps a ground truth.
#[derive(Clone, Copy)]
struct Near {
    detection: u32,
    iou: f64,
}

/// What is known of an image before the reasons are sought. Lists by detection or truth begin at the image's first.
struct Book<'a> {
    setup: &'a Setup<'a>,
    selection: &'a Selection,
    of_image: &'a EvalImage,
    is_selected: bool,
    area: Area,
    standing: Vec<Standing>,
    /// By detection: what the matcher gave it.
    truth_of: Vec<[Option<u32>; THRESHOLDS]>,
    /// By detection: thresholds at which that counts, which it does not always with `IdPolicy::Pycocotools`.
    counts: Vec<u16>,
    /// By truth: the best ranked detection that the matcher gave it.
    detection_of: Vec<[Option<u32>; THRESHOLDS]>,
    /// By truth: every detection that touches it.
    near: Vec<Vec<Near>>,
}

impl<'a> Book<'a> {
    fn new(
        setup: &'a Setup<'a>,
        order: &Order,
        selection: &'a Selection,
        image: usize,
        of_image: &'a EvalImage,
        area: Area,
    ) -> Self {
        let (detections, truths) = (of_image.detections.len(), of_image.truths.len());
        let mut book = Self {
            setup,
            selection,
            of_image,
            is_selected: selection.has_image(image as u32),
            area,
            standing: vec![Standing::Deselected; detections],
            truth_of: vec![[None; THRESHOLDS]; detections],
            counts: vec![0; detections],
            detection_of: vec![[None; THRESHOLDS]; truths],
            near: vec![Vec::new(); truths],
        };
        for label in 0..setup.cells.of_class.len() as u32 {
            if let Some(cell) = setup.cells.find(label, image as u32) {
                book.enter(order, cell);
            }
        }
        for detection in positions(&of_image.detections) {
            for pair in setup.overlaps.of(detection as usize) {
                let iou = pair.iou;
                book.near[pair.truth as usize - of_image.truths.start]
                    .push(Near { detection, iou });
            }
        }
        book
    }

    /// Matches a cell and notes the result.
    fn enter(&mut self, order: &Order, cell: &Cell) {
        let by_index = Setup {
            ids: IdPolicy::ByIndex,
            ..*self.setup
        };
        let found = cell_match(&by_index, order, self.selection, cell, self.area);
        for (row, &detection) in found.detections.iter().enumerate() {
            let at = self.detection(detection);
            for t in 0..THRESHOLDS {
                let truth = partner(&found, row, t);
                self.truth_of[at][t] = truth;
                if let Some(truth) = truth {
                    let of_truth = self.truth(truth);
                    self.detection_of[of_truth][t].get_or_insert(detection);
                }
            }
        }
        let counted = match self.setup.ids {
            IdPolicy::ByIndex => found,
            IdPolicy::Pycocotools => cell_match(self.setup, order, self.selection, cell, self.area),
        };
        for (row, &detection) in counted.detections.iter().enumerate() {
            let bits = (0..THRESHOLDS).filter(|&t| partner(&counted, row, t).is_some());
            let at = self.detection(detection);
            self.counts[at] = bits.map(|t| 1 << t).sum();
        }
        let ranked = order.in_cell[cell.slots.clone()]
            .iter()
            .map(|&slot| self.setup.cells.detections[slot as usize])
            .filter(|&detection| self.is_selected && self.selection.has_detection(detection));
        for (rank, detection) in ranked.enumerate() {
            let at = detection as usize - self.of_image.detections.start;
            self.standing[at] = if rank < MAX_DETECTIONS {
                Standing::Counted
            } else {
                Standing::Beyond(rank)
            };
        }
    }

    fn detection(&self, position: u32) -> usize {
        position as usize - self.of_image.detections.start
    }

    fn truth(&self, position: u32) -> usize {
        position as usize - self.of_image.truths.start
    }

    fn label(&self, detection: u32) -> u32 {
        self.setup.input.detections[detection as usize].label
    }

    fn has_truth(&self, truth: u32) -> bool {
        self.is_selected && self.selection.has_truth(truth)
    }

    fn iou(&self, detection: u32, truth: u32) -> f64 {
        self.setup.overlaps.iou(detection as usize, truth)
    }

    fn detection_outcome(&self, detection: u32, t: usize) -> DetectionOutcome {
        let at = self.detection(detection);
        match self.standing[at] {
            Standing::Counted => {}
            Standing::Beyond(rank) => return DetectionOutcome::BeyondMaxDets { rank },
            Standing::Deselected => return DetectionOutcome::Deselected,
        }
        let area = self.setup.area_of(detection);
        let out_of_range = !self.area.contains(area);
        let Some(truth) = self.truth_of[at][t] else {
            return if out_of_range {
                DetectionOutcome::Ignored(Ignored::AreaOutOfRange { area })
            } else {
                DetectionOutcome::Unmatched(self.why_unmatched(detection, t))
            };
        };
        let iou = self.iou(detection, truth);
        let matched = &self.setup.input.truths[truth as usize];
        if matched.is_crowd {
            DetectionOutcome::Ignored(Ignored::CrowdRegion { truth, share: iou })
        } else if !matched.counts_in(self.area) {
            DetectionOutcome::Ignored(Ignored::TruthOutOfRange { truth, iou })
        } else if self.counts[at] >> t & 1 == 1 {
            DetectionOutcome::Matched { truth, iou }
        } else if out_of_range {
            DetectionOutcome::Ignored(Ignored::AreaOutOfRange { area })
        } else {
            DetectionOutcome::Unmatched(Unmatched::IdZero { truth, iou })
        }
    }

    fn why_unmatched(&self, detection: u32, t: usize) -> Unmatched {
        let (input, label) = (self.setup.input, self.label(detection));
        let pairs = self.setup.overlaps.of(detection as usize);
        let best = |is_candidate: &dyn Fn(u32, bool) -> bool| {
            pairs
                .iter()
                .filter(|pair| {
                    let truth = &input.truths[pair.truth as usize];
                    self.has_truth(pair.truth) && is_candidate(truth.label, truth.is_crowd)
                })
                .max_by(|a, b| a.iou.total_cmp(&b.iou))
        };
        // An ordinary ground truth explains more than a crowd region of which too little is covered.
        let own = best(&|of, is_crowd| of == label && !is_crowd)
            .or_else(|| best(&|of, is_crowd| of == label && is_crowd));
        let other = best(&|of, is_crowd| of != label && !is_crowd);
        if let Some(own) = own
            && let Some(by) = self.detection_of[self.truth(own.truth)][t]
            && own.iou >= iou_thresholds()[t]
        {
            let (truth, iou) = (own.truth, own.iou);
            return Unmatched::Taken { by, truth, iou };
        }
        let own_iou = own.map_or(0.0, |own| own.iou);
        if let Some(other) = other.filter(|o| o.iou >= iou_thresholds()[t] && o.iou > own_iou) {
            let (truth, iou) = (other.truth, other.iou);
            return Unmatched::ClassDiffers { truth, iou };
        }
        match own {
            Some(own) => Unmatched::BestIouTooLow {
                truth: own.truth,
                iou: own.iou,
            },
            None if self.has_class(label) => Unmatched::Apart,
            None => Unmatched::NoTruthOfClass,
        }
    }

    fn has_class(&self, label: u32) -> bool {
        positions(&self.of_image.truths).any(|truth| {
            self.has_truth(truth) && self.setup.input.truths[truth as usize].label == label
        })
    }

    fn truth_outcome(&self, truth: u32, t: usize) -> TruthOutcome {
        if !self.has_truth(truth) {
            return TruthOutcome::Deselected;
        }
        let of = &self.setup.input.truths[truth as usize];
        if of.is_crowd {
            return TruthOutcome::CrowdRegion;
        }
        if !of.counts_in(self.area) {
            return TruthOutcome::AreaOutOfRange { area: of.area };
        }
        let Some(by) = self.detection_of[self.truth(truth)][t] else {
            return TruthOutcome::Missed(self.why_missed(truth, t));
        };
        let iou = self.iou(by, truth);
        if self.counts[self.detection(by)] >> t & 1 == 1 {
            TruthOutcome::Matched { by, iou }
        } else {
            TruthOutcome::Missed(Missed::IdZero { by, iou })
        }
    }

    fn why_missed(&self, truth: u32, t: usize) -> Missed {
        let label = self.setup.input.truths[truth as usize].label;
        let near = &self.near[self.truth(truth)];
        let best = |is_candidate: &dyn Fn(u32) -> bool| {
            let candidates = near.iter().filter(|near| is_candidate(near.detection));
            candidates.max_by(|a, b| a.iou.total_cmp(&b.iou))
        };
        let counts = |detection| self.standing[self.detection(detection)] == Standing::Counted;
        let reaches = |near: &&Near| near.iou >= iou_thresholds()[t];
        let own = best(&|d| self.label(d) == label && counts(d));
        if let Some(&Near { detection, iou }) = own.filter(reaches)
            && let Some(other) = self.truth_of[self.detection(detection)][t]
        {
            let other_iou = self.iou(detection, other);
            return Missed::PreferredAnother {
                detection,
                iou,
                other,
                other_iou,
            };
        }
        let uncounted = best(&|d| self.label(d) == label && !counts(d));
        if let Some(&Near { detection, iou }) = uncounted.filter(reaches) {
            return Missed::NotCounted { detection, iou };
        }
        let other = best(&|d| self.label(d) != label && counts(d));
        if let Some(&Near { detection, iou }) = other.filter(reaches) {
            return Missed::OfAnotherClass { detection, iou };
        }
        match own {
            Some(&Near { detection, iou }) => Missed::BestIouTooLow { detection, iou },
            None => Missed::NoneNear,
        }
    }
}

fn partner(found: &CellMatch, row: usize, t: usize) -> Option<u32> {
    let index = found.matched.get(row)?.get(t).copied().flatten()?;
    found.truths.get(usize::from(index)).copied()
}
