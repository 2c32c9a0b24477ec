//! What images, predictions and annotations answer to a query.

use super::FilterInput;
use crate::coco::dataset::Dataset;
use crate::document::ImageEntry;
use crate::query::{Fields, Kind, NumberField, Query, Status, Suspicion, TextField};
use crate::structures::{BoxXywh, ClassTable, Detection};

/// What an evaluation found, image by image in the order of `Document::images`. A list that ends early and a `None`
/// both mean that the number does not exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvaluationFields {
    /// True positives of each image.
    pub tp: Vec<Option<u32>>,
    /// False positives of each image.
    pub fp: Vec<Option<u32>>,
    /// Annotations of each image that no prediction found.
    pub misses: Vec<Option<u32>>,
    /// Average precision of each image alone, 0..1.
    pub ap: Vec<Option<f64>>,
    /// What became of each prediction, in the order of the image's predictions.
    pub statuses: Vec<Vec<Option<Status>>>,
    /// Why somebody should look at each prediction, in the same order.
    pub suspicions: Vec<Vec<Option<Suspicion>>>,
    /// The same of each annotation, in the set's order.
    pub annotation_suspicions: Vec<Vec<Option<Suspicion>>>,
    /// Measured IoU of each prediction, in the same order.
    pub measured_iou: Vec<Vec<Option<f64>>>,
    /// What became of each annotation, in the set's order; `None` for one that was found.
    pub annotation_statuses: Vec<Vec<Option<Status>>>,
}

/// What a query can ask of an annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnotationFields {
    /// The set's id.
    pub id: u64,
    /// Index of the class.
    pub label: usize,
    /// Box in pixels of the image.
    pub bbox: BoxXywh,
    /// Area as the JSON has it, that of the mask where it has none.
    pub area: f64,
    /// Whether it stands for many objects.
    pub is_crowd: bool,
}

/// Annotations by image, quick enough for all images of a set.
pub trait GroundTruth {
    /// The set's id of an image.
    fn image_id(&self, image: usize) -> Option<u64>;
    /// The annotations of an image, in the set's order.
    fn annotations(&self, image: usize) -> Vec<AnnotationFields>;
}

impl GroundTruth for Dataset {
    fn image_id(&self, image: usize) -> Option<u64> {
        self.images().get(image).map(|image| image.id)
    }

    fn annotations(&self, image: usize) -> Vec<AnnotationFields> {
        let outlines = self.outlines(image).into_iter();
        outlines
            .map(|outline| AnnotationFields {
                id: outline.id,
                label: outline.label,
                bbox: outline.bbox,
                area: outline.area,
                is_crowd: outline.is_crowd,
            })
            .collect()
    }
}

/// An image, which every instance of it knows.
struct OfImage<'a> {
    index: usize,
    entry: &'a ImageEntry,
    input: &'a FilterInput<'a>,
}

impl OfImage<'_> {
    fn evaluated<T: Copy>(&self, list: impl Fn(&EvaluationFields) -> &Vec<Option<T>>) -> Option<T> {
        let evaluation = self.input.evaluation?;
        list(evaluation).get(self.index).copied().flatten()
    }
}

impl Fields for OfImage<'_> {
    fn number(&self, field: NumberField) -> Option<f64> {
        use NumberField as F;
        let side = |side: usize| side as f64;
        match field {
            F::ImageWidth => self.entry.size.map(|size| side(size.width)),
            F::ImageHeight => self.entry.size.map(|size| side(size.height)),
            F::ImageId => self.input.truth?.image_id(self.index).map(|id| id as f64),
            F::ImageAp => self.evaluated(|evaluation| &evaluation.ap),
            F::Instances => self.entry.detections().map(|all| all.len() as f64),
            F::Annotations => self.input.truth.map(|_| self.entry.annotations as f64),
            F::Tp => self.evaluated(|evaluation| &evaluation.tp).map(f64::from),
            F::Fp => self.evaluated(|evaluation| &evaluation.fp).map(f64::from),
            F::Fn => self
                .evaluated(|evaluation| &evaluation.misses)
                .map(f64::from),
            _ => None,
        }
    }

    fn text(&self, field: TextField) -> Option<&str> {
        match field {
            TextField::File => Some(&self.entry.name),
            TextField::Path => self.entry.path.to_str(),
        }
    }

    fn label(&self) -> Option<usize> {
        None
    }

    fn status(&self) -> Option<Status> {
        None
    }

    fn kind(&self) -> Option<Kind> {
        None
    }

    fn is_crowd(&self) -> Option<bool> {
        None
    }
}

/// Numbers that predictions and annotations share.
fn of_shape(
    field: NumberField,
    bbox: BoxXywh,
    area: impl FnOnce() -> f64,
    label: usize,
    classes: &ClassTable,
) -> Option<f64> {
    use NumberField as F;
    match field {
        F::Area => Some(area()),
        F::Width => Some(bbox.width),
        F::Height => Some(bbox.height),
        F::X => Some(bbox.x),
        F::Y => Some(bbox.y),
        F::Aspect => (bbox.height > 0.0).then(|| bbox.width / bbox.height),
        F::CategoryId => classes.category_id(label).map(|id| id as f64),
        _ => None,
    }
}

struct OfPrediction<'a> {
    image: &'a OfImage<'a>,
    index: usize,
    detection: &'a Detection,
}

impl OfPrediction<'_> {
    fn evaluated<T: Copy>(
        &self,
        list: impl Fn(&EvaluationFields) -> &Vec<Vec<Option<T>>>,
    ) -> Option<T> {
        let evaluation = self.image.input.evaluation?;
        let of_image = list(evaluation).get(self.image.index)?;
        of_image.get(self.index).copied().flatten()
    }
}

impl Fields for OfPrediction<'_> {
    fn number(&self, field: NumberField) -> Option<f64> {
        use NumberField as F;
        let it = self.detection;
        match field {
            F::Score => Some(it.score),
            F::MaskIou => it.mask_iou,
            F::IouScore => Some(it.iou_score),
            F::MeasuredIou => self.evaluated(|evaluation| &evaluation.measured_iou),
            field if field.is_of_image() => self.image.number(field),
            field => {
                let classes = self.image.input.classes;
                of_shape(field, it.bbox, || it.mask.area() as f64, it.label, classes)
            }
        }
    }

    fn text(&self, field: TextField) -> Option<&str> {
        self.image.text(field)
    }

    fn label(&self) -> Option<usize> {
        Some(self.detection.label)
    }

    fn status(&self) -> Option<Status> {
        self.evaluated(|evaluation| &evaluation.statuses)
    }

    fn suspicion(&self) -> Option<Suspicion> {
        self.evaluated(|evaluation| &evaluation.suspicions)
    }

    fn kind(&self) -> Option<Kind> {
        Some(Kind::Prediction)
    }

    fn is_crowd(&self) -> Option<bool> {
        None
    }
}

struct OfAnnotation<'a> {
    image: &'a OfImage<'a>,
    index: usize,
    annotation: &'a AnnotationFields,
}

impl Fields for OfAnnotation<'_> {
    fn number(&self, field: NumberField) -> Option<f64> {
        if field.is_of_image() {
            return self.image.number(field);
        }
        let (it, classes) = (self.annotation, self.image.input.classes);
        of_shape(field, it.bbox, || it.area, it.label, classes)
    }

    fn text(&self, field: TextField) -> Option<&str> {
        self.image.text(field)
    }

    fn label(&self) -> Option<usize> {
        Some(self.annotation.label)
    }

    fn status(&self) -> Option<Status> {
        let evaluation = self.image.input.evaluation?;
        let of_image = evaluation.annotation_statuses.get(self.image.index)?;
        of_image.get(self.index).copied().flatten()
    }

    fn suspicion(&self) -> Option<Suspicion> {
        let evaluation = self.image.input.evaluation?;
        let of_image = evaluation.annotation_suspicions.get(self.image.index)?;
        of_image.get(self.index).copied().flatten()
    }

    fn kind(&self) -> Option<Kind> {
        Some(Kind::Annotation)
    }

    fn is_crowd(&self) -> Option<bool> {
        Some(self.annotation.is_crowd)
    }
}

/// Whether an image shows: the image alone decides, or one of its instances passes. Its instances are the predictions at
/// or above the threshold, and the annotations where it has no predictions or the query means them.
pub(super) fn shows(
    query: &Query,
    input: &FilterInput<'_>,
    index: usize,
    entry: &ImageEntry,
) -> bool {
    let image = OfImage {
        index,
        entry,
        input,
    };
    if let Some(decided) = query.decide(&image) {
        return decided;
    }
    let detections = entry.detections();
    let by_prediction = detections.is_some_and(|detections| {
        detections.iter().enumerate().any(|(index, detection)| {
            input.rank_by.admits(detection, input.threshold)
                && query.matches(&OfPrediction {
                    image: &image,
                    index,
                    detection,
                })
        })
    });
    if by_prediction || (detections.is_some() && !query.asks_annotations()) {
        return by_prediction;
    }
    let Some(truth) = input.truth else {
        return false;
    };
    let annotations = truth.annotations(index);
    annotations.iter().enumerate().any(|(index, annotation)| {
        query.matches(&OfAnnotation {
            image: &image,
            index,
            annotation,
        })
    })
}

/// Places of the predictions of an image that pass, at or above the threshold; all those where the query asks for no instances.
pub fn passing_predictions(query: &Query, input: &FilterInput<'_>, index: usize) -> Vec<usize> {
    let Some(entry) = input.images.get(index) else {
        return Vec::new();
    };
    let image = OfImage {
        index,
        entry,
        input,
    };
    let asks = query.asks_instances();
    let detections = entry.detections().into_iter().flat_map(|all| all.iter());
    let passes = |&(index, detection): &(usize, &Detection)| {
        let fields = OfPrediction {
            image: &image,
            index,
            detection,
        };
        input.rank_by.admits(detection, input.threshold) && (!asks || query.matches(&fields))
    };
    let kept = detections.enumerate().filter(passes);
    kept.map(|(index, _)| index).collect()
}

/// Ids of the annotations of an image that pass, as the file has them.
pub fn passing_annotations(query: &Query, input: &FilterInput<'_>, index: usize) -> Vec<u64> {
    let (Some(entry), Some(truth)) = (input.images.get(index), input.truth) else {
        return Vec::new();
    };
    let image = OfImage {
        index,
        entry,
        input,
    };
    let annotations = truth.annotations(index);
    let passes = |&(index, annotation): &(usize, &AnnotationFields)| {
        query.matches(&OfAnnotation {
            image: &image,
            index,
            annotation,
        })
    };
    let kept = annotations.iter().enumerate().filter(passes);
    kept.map(|(_, annotation)| annotation.id).collect()
}

/// How many of these predictions of an image pass.
pub(super) fn count(
    query: &Query,
    input: &FilterInput<'_>,
    index: usize,
    predictions: &[usize],
) -> usize {
    let Some(entry) = input.images.get(index) else {
        return 0;
    };
    let Some(detections) = entry.detections() else {
        return 0;
    };
    let image = OfImage {
        index,
        entry,
        input,
    };
    let passes = |&&index: &&usize| {
        detections.get(index).is_some_and(|detection| {
            query.matches(&OfPrediction {
                image: &image,
                index,
                detection,
            })
        })
    };
    predictions.iter().filter(passes).count()
}
