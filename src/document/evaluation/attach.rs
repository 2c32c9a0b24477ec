//! Predictions beside a set: those that are shown (A), and a second file to compare them with (B).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use super::{Analysis, EvalProgress, EvalSettings, Evaluation, Evaluator};
use crate::coco::correspond::{ImageNames, ImageRef, corresponding_labels};
use crate::coco::dataset::Dataset;
use crate::coco::{CocoError, predictions};
use crate::document::ImageState;
use crate::document::state::{Document, Notice, NoticeKind};
use crate::eval::PredictedImages;
use crate::structures::{ClassTable, Detection};

/// Which of two prediction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The predictions that are shown and edited.
    A,
    /// What they are compared with.
    B,
}

/// Predictions to compare with.
pub struct Second {
    /// The file.
    pub path: PathBuf,
    /// Predictions by image of the set, labels as the document numbers them.
    pub images: Vec<Option<Arc<Vec<Detection>>>>,
    /// Changes when the predictions do.
    number: u64,
    evaluator: Option<Evaluator>,
}

/// A prediction file that a thread is reading.
pub(in crate::document) struct Attaching {
    path: PathBuf,
    side: Side,
    result: Receiver<Result<Attached, CocoError>>,
}

/// A prediction file, its entries placed at the set's images.
struct Attached {
    classes: ClassTable,
    /// By image of the set.
    images: Vec<Option<Vec<Detection>>>,
    /// Entries that found no image.
    unplaced: usize,
    /// The file's classes that the set does not have.
    unknown: Vec<String>,
    notes: Vec<String>,
}

impl Attached {
    /// Whether it has predictions, and none of them for an image of the set. A file without any is one of a model that
    /// found nothing.
    fn is_of_another_set(&self) -> bool {
        self.unplaced > 0 && self.images.iter().all(Option::is_none)
    }
}

/// The first names and how many more there are.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

fn read(path: &Path, dataset: &Dataset) -> Result<Attached, CocoError> {
    let file = predictions::read_any(path)?;
    // COCO results name images and classes by the set's ids.
    let by_id = file.images.iter().any(|image| image.image_id.is_some());
    let labels = corresponding_labels(dataset.classes(), &file.classes, by_id);
    let names = ImageNames::new(dataset.images());
    let mut classes = dataset.classes().clone();
    let mut unknown = Vec::new();
    // Classes of the file alone follow those of the set, so that nothing is hidden.
    let labels: Vec<usize> = labels
        .into_iter()
        .enumerate()
        .map(|(label, found)| {
            found.unwrap_or_else(|| {
                unknown.push(file.classes.name(label));
                classes.names.push(file.classes.name(label));
                classes.names.len() - 1
            })
        })
        .collect();
    let mut images: Vec<Option<Vec<Detection>>> = vec![None; dataset.images().len()];
    let mut unplaced = 0;
    for image in file.images {
        let name = image
            .image_id
            .map_or(ImageRef::Path(image.path), ImageRef::Id);
        let Some(place) = names.find(&name).ok().and_then(|at| images.get_mut(at)) else {
            unplaced += 1;
            continue;
        };
        let relabelled = image.detections.into_iter().map(|mut detection| {
            detection.label = labels
                .get(detection.label)
                .copied()
                .unwrap_or(detection.label);
            detection
        });
        place.get_or_insert_default().extend(relabelled);
    }
    Ok(Attached {
        classes,
        images,
        unplaced,
        unknown,
        notes: file.notes,
    })
}

impl Document {
    /// Reads a prediction file for the open set on a thread: as what is shown (A), or to compare with (B). It waits for
    /// a set that is still being opened and for a file that is being read; of several for a side the last one counts.
    /// Without a set with annotations the file is opened on its own.
    pub fn attach_predictions(&mut self, path: &Path, side: Side) {
        if self.dataset.is_none() && !self.awaits_annotations() {
            self.open(path);
            return;
        }
        self.to_attach.retain(|(_, of)| *of != side);
        self.to_attach.push((path.to_owned(), side));
        if self.attaching.as_ref().is_some_and(|it| it.side == side) {
            self.attaching = None;
        }
        self.attach_next();
    }

    fn attach_next(&mut self) {
        let Some(dataset) = self.dataset.clone() else {
            return;
        };
        if self.attaching.is_some() || self.to_attach.is_empty() {
            return;
        }
        let (path, side) = self.to_attach.remove(0);
        let (sender, result) = channel();
        let (given, wake) = (path.clone(), Arc::clone(&self.wake));
        let thread = std::thread::Builder::new()
            .name("predictions".into())
            .spawn(move || {
                // The receiver is gone when another file was chosen meanwhile.
                let _ = sender.send(read(&given, &dataset));
                wake();
            });
        match thread {
            Ok(_) => {
                self.attaching = Some(Attaching { path, side, result });
            }
            Err(error) => {
                let text = format!("cannot start a thread: {error}");
                self.notices.push(Notice::new(NoticeKind::Error, text));
            }
        }
    }

    /// The prediction file that is being read.
    pub fn attaching(&self) -> Option<&Path> {
        self.attaching
            .as_ref()
            .map(|attaching| attaching.path.as_path())
    }

    /// What the predictions are compared with.
    pub fn second(&self) -> Option<&Second> {
        self.second.as_ref()
    }

    /// The file that the shown predictions come from; `None` where the model made them.
    pub fn predictions_path(&self) -> Option<&Path> {
        self.predictions_path.as_deref()
    }

    /// Ends the comparison.
    pub fn close_second(&mut self) {
        self.second = None;
    }

    pub(in crate::document) fn take_attached(&mut self) {
        self.take_read();
        self.attach_next();
    }

    fn take_read(&mut self) {
        let Some(attaching) = &self.attaching else {
            return;
        };
        let result = match attaching.result.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                let path = attaching.path.display();
                let text = format!("reading {path} broke; the log holds the details");
                self.notices.push(Notice::new(NoticeKind::Error, text));
                self.attaching = None;
                return;
            }
        };
        let Some(Attaching { path, side, .. }) = self.attaching.take() else {
            return;
        };
        match result {
            // Of another set: it is opened on its own.
            Ok(attached) if attached.is_of_another_set() && side == Side::A => {
                self.open(&path);
            }
            Ok(attached) if attached.is_of_another_set() => {
                let text = format!(
                    "{} has predictions for no image of this set",
                    path.display()
                );
                let notice = Notice::new(NoticeKind::Error, text);
                self.notices
                    .push(notice.with_details(attached.notes.join("\n")));
            }
            Ok(attached) => self.install_attached(path, side, attached),
            Err(error) => {
                let notice = Notice::new(NoticeKind::Error, error.to_string());
                self.notices.push(notice);
            }
        }
    }

    fn install_attached(&mut self, path: PathBuf, side: Side, attached: Attached) {
        self.tell_attached(&path, &attached);
        let map = self.merge_classes(&attached.classes);
        let relabelled = |mut detections: Vec<Detection>| {
            for detection in &mut detections {
                detection.label = map.get(detection.label).copied().unwrap_or(detection.label);
            }
            Arc::new(detections)
        };
        let images = attached
            .images
            .into_iter()
            .map(|image| image.map(relabelled));
        match side {
            Side::A => {
                self.cancel();
                for (index, image) in images.enumerate() {
                    // Images that the file does not name count as having no predictions.
                    self.set_state(index, ImageState::Done(image.unwrap_or_default()));
                }
                self.predictions_path = Some(path);
                self.prediction_source = None; // of the same name, maybe of another content
            }
            Side::B => {
                let number = self.revision() + 1;
                let dataset = self.dataset.clone();
                let evaluator =
                    dataset.and_then(|set| Evaluator::new(set, Arc::clone(&self.wake)).ok());
                self.second = Some(Second {
                    path,
                    images: images.collect(),
                    number,
                    evaluator,
                });
            }
        }
    }

    fn tell_attached(&mut self, path: &Path, attached: &Attached) {
        let mut remarks = attached.notes.clone();
        if attached.unplaced > 0 {
            let count = attached.unplaced;
            remarks.push(format!("{count} images of the file are not in this set"));
        }
        if !attached.unknown.is_empty() {
            remarks.push(format!(
                "classes that the set does not have: {}",
                some_of(&attached.unknown)
            ));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let notice = match remarks.as_slice() {
            [] => Notice::new(NoticeKind::Info, format!("{name} is read")),
            [one] => Notice::new(NoticeKind::Warning, format!("{name}: {one}")),
            many => Notice::new(
                NoticeKind::Warning,
                format!("{name}: {} remarks", many.len()),
            ),
        };
        self.notices.push(notice.with_details(remarks.join("\n")));
    }

    /// Asks for an evaluation of what is shown, and of what it is compared with, unless it is known. Nothing is asked
    /// for while the model runs: each image would begin it anew.
    pub fn evaluate(&mut self, settings: &EvalSettings) {
        if self.running.is_some() {
            return;
        }
        let number = self.predictions_number;
        if let Some(evaluator) = &mut self.evaluator
            && self.images.iter().any(|image| image.detections().is_some())
        {
            let (images, classes) = (&self.images, &self.classes);
            evaluator.ask(number, settings, || PredictedImages {
                classes: classes.clone(),
                by_category_id: false,
                images: images
                    .iter()
                    .enumerate()
                    .filter_map(|(at, image)| {
                        Some((ImageRef::Position(at), Arc::clone(image.detections()?)))
                    })
                    .collect(),
            });
        }
        if let Some(second) = &mut self.second
            && let Some(evaluator) = &mut second.evaluator
        {
            let (images, classes) = (&second.images, &self.classes);
            evaluator.ask(second.number, settings, || PredictedImages {
                classes: classes.clone(),
                by_category_id: false,
                images: images
                    .iter()
                    .enumerate()
                    .filter_map(|(at, image)| {
                        Some((ImageRef::Position(at), Arc::clone(image.as_ref()?)))
                    })
                    .collect(),
            });
        }
    }

    /// The latest evaluation of a side; it may be of earlier settings while `evaluation_progress` says so.
    pub fn evaluation(&self, side: Side) -> Option<&Arc<Evaluation>> {
        self.evaluator_of(side)?.latest()
    }

    /// How far a new evaluation of a side is; `None` where none is under way.
    pub fn evaluation_progress(&self, side: Side) -> Option<EvalProgress> {
        self.evaluator_of(side)?.progress()
    }

    fn evaluator_of(&self, side: Side) -> Option<&Evaluator> {
        match side {
            Side::A => self.evaluator.as_ref(),
            Side::B => self.second.as_ref()?.evaluator.as_ref(),
        }
    }

    /// What is learnt from the latest evaluation of the shown predictions; it may be of an earlier one while
    /// `analysis_progress` says so.
    pub fn analysis(&self) -> Option<&Analysis> {
        self.analyst.as_ref()?.latest()
    }

    /// Share of a new analysis that is done, 0..1; `None` where none is under way.
    pub fn analysis_progress(&self) -> Option<f32> {
        self.analyst.as_ref()?.progress()
    }

    /// Lets the analysis follow the evaluations that are done.
    fn take_analysis(&mut self) {
        let Some(analyst) = &mut self.analyst else {
            return;
        };
        if analyst.poll() {
            let fields = analyst
                .latest()
                .map(|analysis| Arc::clone(&analysis.fields));
            let is_new = match (&fields, self.evaluation_fields()) {
                (Some(new), Some(old)) => !Arc::ptr_eq(new, old),
                _ => fields.is_some(),
            };
            if is_new {
                self.set_evaluation(fields);
            }
        }
        let done = |evaluator: &Evaluator| match evaluator.progress() {
            None => evaluator.latest().cloned(),
            Some(_) => None,
        };
        let Some(first) = self.evaluator.as_ref().and_then(done) else {
            return;
        };
        let second = self
            .second
            .as_ref()
            .and_then(|second| second.evaluator.as_ref());
        let second = match second.map(done) {
            Some(None) => return, // under way
            Some(Some(second)) => Some(second),
            None => None,
        };
        if let Some(analyst) = &mut self.analyst {
            analyst.ask(&first, second.as_ref());
        }
    }

    pub(in crate::document) fn take_evaluations(&mut self) {
        let second = self
            .second
            .as_mut()
            .and_then(|second| second.evaluator.as_mut());
        for evaluator in self.evaluator.iter_mut().chain(second) {
            evaluator.poll();
        }
        self.take_analysis();
    }
}
