//! Ground truth of one image: rasterised and measured against the predictions on a thread when it is first asked for.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::review::{self, CorrectedSet, Corrections};
use super::{Categories, Wake};
use crate::coco::dataset::{Annotation, Dataset};
use crate::eval::best_overlap;
use crate::structures::Detection;

/// Images whose annotations stay in memory.
const KEPT: usize = 64;

/// An annotation as the window shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct TruthInstance {
    /// Id in the JSON.
    pub id: u64,
    /// A group of objects that is never a match.
    pub is_crowd: bool,
}

/// Annotations of an image. `shapes` and `instances` run in parallel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Box, label and mask of each annotation; score 1, no mask IoU.
    pub shapes: Vec<Detection>,
    /// The rest of it.
    pub instances: Vec<TruthInstance>,
    /// Measured IoU of each prediction that it was computed with: the largest mask IoU with a non-crowd annotation of
    /// its class; `None` where the prediction lies mostly on a crowd region.
    pub measured: Vec<Option<f64>>,
}

/// Where the annotations of an image are.
#[derive(Clone, Debug)]
pub enum TruthState {
    /// Nothing open has ground truth.
    Absent,
    /// On their way.
    Pending,
    /// Here.
    Ready(Arc<Truth>),
}

type Predictions = Option<Arc<Vec<Detection>>>;
/// What a review made of an image, and the labels of its categories.
type Corrected = Option<(Arc<Corrections>, Arc<Categories>)>;
type Request = (usize, Predictions, Corrected);

/// What is known of an image, and for which predictions.
struct Known {
    truth: Option<Arc<Truth>>,
    asked_with: usize,
    last_used: u64,
}

/// Asks a thread for annotations and keeps the latest.
pub(super) struct TruthKeeper {
    requests: Sender<Request>,
    answers: Receiver<(usize, Arc<Truth>)>,
    known: HashMap<usize, Known>,
    corrections: HashMap<usize, Arc<Corrections>>,
    categories: Arc<Categories>,
    clock: u64,
}

impl TruthKeeper {
    /// A thread of its own for `dataset`; it ends with the keeper.
    pub fn new(dataset: Arc<Dataset>, wake: Wake) -> std::io::Result<Self> {
        let (requests, work) = channel::<Request>();
        let (done, answers) = channel();
        let done = Mutex::new(done);
        std::thread::Builder::new()
            .name("annotations".into())
            .spawn(move || {
                while let Ok((index, predictions, corrections)) = work.recv() {
                    let annotations = match corrections {
                        Some((corrections, categories)) => {
                            corrected(&dataset, index, &corrections, &categories)
                        }
                        None => dataset.annotations(index).kept,
                    };
                    let truth = Arc::new(measure(&annotations, predictions.as_deref()));
                    let sender = done.lock().unwrap_or_else(PoisonError::into_inner);
                    if sender.send((index, truth)).is_err() {
                        return;
                    }
                    wake();
                }
            })?;
        Ok(Self {
            requests,
            answers,
            known: HashMap::new(),
            corrections: HashMap::new(),
            categories: Arc::default(),
            clock: 0,
        })
    }

    /// From now on corrected annotations have these labels.
    pub fn set_categories(&mut self, categories: Arc<Categories>) {
        self.categories = categories;
    }

    /// The annotations of an image are asked for anew, with other corrections; what is known stays until they are here.
    pub fn correct(&mut self, index: usize, corrections: Option<Corrections>) {
        match corrections {
            Some(corrections) => self.corrections.insert(index, Arc::new(corrections)),
            None => self.corrections.remove(&index),
        };
        if let Some(known) = self.known.get_mut(&index) {
            known.asked_with = usize::MAX;
        }
    }

    /// As `correct`, for all images: those that are not named have no corrections any more.
    pub fn correct_all(&mut self, all: HashMap<usize, Corrections>) {
        for (image, known) in &mut self.known {
            if all.contains_key(image) || self.corrections.contains_key(image) {
                known.asked_with = usize::MAX;
            }
        }
        let all = all.into_iter().map(|(image, it)| (image, Arc::new(it)));
        self.corrections = all.collect();
    }

    /// The annotations of an image, measured against `predictions` as soon as the thread is done with it.
    pub fn get(&mut self, index: usize, predictions: &Predictions) -> TruthState {
        for (index, truth) in self.answers.try_iter() {
            if let Some(known) = self.known.get_mut(&index) {
                known.truth = Some(truth);
            }
        }
        self.clock += 1;
        // The address tells one vector of predictions from the next; the entry keeps none alive.
        let asked_with = predictions.as_ref().map_or(0, |p| Arc::as_ptr(p) as usize);
        let known = self.known.entry(index).or_insert(Known {
            truth: None,
            asked_with: usize::MAX,
            last_used: 0,
        });
        known.last_used = self.clock;
        if known.asked_with != asked_with {
            known.asked_with = asked_with;
            // A thread that is gone leaves the answer pending; the log has its reason.
            let corrections = self.corrections.get(&index);
            let corrections = corrections.map(|it| (Arc::clone(it), Arc::clone(&self.categories)));
            let _ = self
                .requests
                .send((index, predictions.clone(), corrections));
        }
        let state = known
            .truth
            .clone()
            .map_or(TruthState::Pending, TruthState::Ready);
        self.forget();
        state
    }

    fn forget(&mut self) {
        while self.known.len() > KEPT {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.last_used);
            let Some((&index, _)) = oldest else { return };
            self.known.remove(&index);
        }
    }
}

/// The annotations of an image as a review left them; none where the file was changed meanwhile.
fn corrected(
    dataset: &Dataset,
    index: usize,
    corrections: &Corrections,
    categories: &Categories,
) -> Vec<Annotation> {
    let set = CorrectedSet::new(dataset, corrections);
    let annotations = set
        .annotations(index)
        .map(|(kept, _)| kept)
        .unwrap_or_default();
    let annotation = |corrected: review::Corrected| Annotation {
        id: corrected.id,
        label: (categories.label(corrected.category_id)).unwrap_or(corrected.label),
        category_id: corrected.category_id,
        bbox: corrected.bbox,
        area: corrected.area,
        is_crowd: corrected.is_crowd,
        mask: corrected.mask,
    };
    annotations.into_iter().map(annotation).collect()
}

fn measure(annotations: &[Annotation], predictions: Option<&Vec<Detection>>) -> Truth {
    let measured = predictions.map_or_else(Vec::new, |predictions| {
        predictions
            .iter()
            .map(|p| measured_iou(p, annotations))
            .collect()
    });
    let shape = |annotation: &Annotation| Detection {
        bbox: annotation.bbox,
        label: annotation.label,
        score: 1.0,
        mask_iou: None,
        iou_score: 1.0,
        mask: annotation.mask.clone(),
        quality: None,
    };
    Truth {
        shapes: annotations.iter().map(shape).collect(),
        instances: annotations
            .iter()
            .map(|a| TruthInstance {
                id: a.id,
                is_crowd: a.is_crowd,
            })
            .collect(),
        measured,
    }
}

/// The largest mask IoU with an annotation of the class; `None` where it cannot be said. Masks of another size do not
/// overlap: the JSON and the file disagree.
fn measured_iou(prediction: &Detection, annotations: &[Annotation]) -> Option<f64> {
    let area = prediction.mask.area() as f64;
    let of_class = annotations.iter().filter(|a| a.label == prediction.label);
    best_overlap(of_class.map(|a| {
        let overlap = match a.is_crowd {
            false => prediction.mask.iou(&a.mask).unwrap_or(0.0),
            true if area == 0.0 => 0.0,
            true => prediction.mask.intersection_area(&a.mask).unwrap_or(0) as f64 / area,
        };
        (a.is_crowd, overlap)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::{BoxXywh, Rle, Size};

    fn mask(columns: std::ops::Range<u32>) -> Rle {
        let size = Size::new(10, 4);
        let runs = vec![
            columns.start * 4,
            (columns.end - columns.start) * 4,
            (10 - columns.end) * 4,
        ];
        Rle::new(size, runs).unwrap()
    }

    fn annotation(label: usize, is_crowd: bool, columns: std::ops::Range<u32>) -> Annotation {
        let bbox = BoxXywh::new(0.0, 0.0, 1.0, 1.0);
        Annotation {
            id: 1,
            label,
            category_id: 1,
            bbox,
            area: 1.0,
            is_crowd,
            mask: mask(columns),
        }
    }

    fn prediction(columns: std::ops::Range<u32>) -> Detection {
        Detection {
            bbox: BoxXywh::default(),
            label: 3,
            score: 0.5,
            mask_iou: None,
            iou_score: 0.5,
            mask: mask(columns),
            quality: None,
        }
    }

    #[test]
    fn the_best_of_the_class_counts() {
        let annotations = [
            annotation(3, false, 0..4),
            annotation(3, false, 2..6),
            annotation(1, false, 2..8),
        ];
        let half = measured_iou(&prediction(2..8), &annotations);
        assert_eq!(half, Some(4.0 / 6.0));
        assert_eq!(measured_iou(&prediction(8..10), &annotations), Some(0.0));
        assert_eq!(measured_iou(&prediction(2..8), &[]), Some(0.0));
    }

    #[test]
    fn mostly_on_a_crowd_is_not_measured() {
        let annotations = [annotation(3, true, 0..5)];
        assert_eq!(measured_iou(&prediction(3..7), &annotations), None);
        assert_eq!(measured_iou(&prediction(4..7), &annotations), Some(0.0));
    }
}
