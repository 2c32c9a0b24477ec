//! `--where`: a query as a selection of images, annotations and predictions.

use crate::eval::{Candidate, EvalImage, EvalInput, Selection, Truth};
use crate::jobs::JobError;
use crate::query::{Fields, Kind, NumberField, Query, QueryError, Schema, Status, TextField};
use crate::structures::{BoxXywh, ClassTable, Detection};

/// Refuses a query that is wrong whatever the classes are.
///
/// # Errors
/// What is wrong and at which column.
pub fn check_filter(text: &str) -> Result<(), QueryError> {
    let classes = ClassTable::default();
    let schema = Schema { classes: &classes };
    Query::parse(text, &schema)?.restriction().map(|_| ())
}

/// What a query selects, with the measured IoUs of `EvalInput::detections`.
///
/// # Errors
/// The query is wrong, or asks for what an evaluation has yet to find.
pub fn select(
    text: &str,
    input: &EvalInput,
    measured: &[Option<f64>],
) -> Result<Selection, JobError> {
    selection(text, input, || Ok(measured.to_vec()))
}

/// What a query selects. `measured` gives the measured IoUs; it is asked only where the query needs them.
pub(super) fn selection(
    text: &str,
    input: &EvalInput,
    measured: impl FnOnce() -> Result<Vec<Option<f64>>, JobError>,
) -> Result<Selection, JobError> {
    let schema = Schema {
        classes: &input.classes,
    };
    let restriction = Query::parse(text, &schema)?.restriction()?;
    let asks_measured = restriction
        .predictions
        .as_ref()
        .is_some_and(Query::asks_evaluation);
    let measured = if asks_measured {
        measured()?
    } else {
        Vec::new()
    };
    let images = restriction.images.as_ref().map(|query| {
        let images = input.images.iter().enumerate();
        images
            .map(|(at, image)| query.matches(&OfImage { input, image, at }))
            .collect()
    });
    let both = restriction.both.as_ref();
    let detections = restrict(both, restriction.predictions.as_ref(), |queries| {
        let detections = input.detections.iter().enumerate();
        detections
            .map(|(at, candidate)| {
                let of = OfPrediction {
                    image: OfImage::new(input, candidate.image),
                    candidate,
                    detection: input.detection(at),
                    measured_iou: measured.get(at).copied().flatten(),
                };
                queries.iter().all(|query| query.matches(&of))
            })
            .collect()
    });
    let truths = restrict(both, restriction.annotations.as_ref(), |queries| {
        let truths = input.truths.iter();
        truths
            .map(|truth| {
                let image = OfImage::new(input, truth.image);
                let of = OfTruth { image, truth };
                queries.iter().all(|query| query.matches(&of))
            })
            .collect()
    });
    Ok(Selection {
        images,
        truths,
        detections,
    })
}

/// The list of a side, where any query restricts it.
fn restrict(
    both: Option<&Query>,
    own: Option<&Query>,
    list: impl FnOnce(&[&Query]) -> Vec<bool>,
) -> Option<Vec<bool>> {
    let queries: Vec<&Query> = both.into_iter().chain(own).collect();
    (!queries.is_empty()).then(|| list(&queries))
}

#[derive(Clone, Copy)]
struct OfImage<'a> {
    input: &'a EvalInput,
    image: &'a EvalImage,
    at: usize,
}

impl<'a> OfImage<'a> {
    fn new(input: &'a EvalInput, at: u32) -> Self {
        let at = at as usize;
        Self {
            input,
            image: &input.images[at],
            at,
        }
    }
}

impl Fields for OfImage<'_> {
    fn number(&self, field: NumberField) -> Option<f64> {
        use NumberField as F;
        match field {
            F::ImageWidth => self.image.size.map(|size| size.width as f64),
            F::ImageHeight => self.image.size.map(|size| size.height as f64),
            F::ImageId => Some(self.image.id as f64),
            F::Instances => Some(self.input.predictions(self.at).len() as f64),
            F::Annotations => Some(self.image.truths.len() as f64),
            _ => None,
        }
    }

    fn text(&self, field: TextField) -> Option<&str> {
        match field {
            TextField::File | TextField::Path => Some(&self.image.name),
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
    area: f64,
    label: u32,
    classes: &ClassTable,
) -> Option<f64> {
    use NumberField as F;
    match field {
        F::Area => Some(area),
        F::Width => Some(bbox.width),
        F::Height => Some(bbox.height),
        F::X => Some(bbox.x),
        F::Y => Some(bbox.y),
        F::Aspect => (bbox.height > 0.0).then(|| bbox.width / bbox.height),
        F::CategoryId => classes.category_id(label as usize).map(|id| id as f64),
        _ => None,
    }
}

struct OfPrediction<'a> {
    image: OfImage<'a>,
    candidate: &'a Candidate,
    detection: &'a Detection,
    measured_iou: Option<f64>,
}

impl Fields for OfPrediction<'_> {
    fn number(&self, field: NumberField) -> Option<f64> {
        use NumberField as F;
        let (it, of) = (self.detection, self.candidate);
        match field {
            F::Score => Some(it.score),
            F::MaskIou => it.mask_iou,
            F::IouScore => Some(it.iou_score),
            F::MeasuredIou => self.measured_iou,
            field if field.is_of_image() => self.image.number(field),
            field => {
                let classes = &self.image.input.classes;
                of_shape(field, it.bbox, of.mask_area, of.label, classes)
            }
        }
    }

    fn text(&self, field: TextField) -> Option<&str> {
        self.image.text(field)
    }

    fn label(&self) -> Option<usize> {
        Some(self.candidate.label as usize)
    }

    fn status(&self) -> Option<Status> {
        None
    }

    fn kind(&self) -> Option<Kind> {
        Some(Kind::Prediction)
    }

    fn is_crowd(&self) -> Option<bool> {
        None
    }
}

struct OfTruth<'a> {
    image: OfImage<'a>,
    truth: &'a Truth,
}

impl Fields for OfTruth<'_> {
    fn number(&self, field: NumberField) -> Option<f64> {
        if field.is_of_image() {
            return self.image.number(field);
        }
        let (it, classes) = (self.truth, &self.image.input.classes);
        of_shape(field, it.bbox, it.area, it.label, classes)
    }

    fn text(&self, field: TextField) -> Option<&str> {
        self.image.text(field)
    }

    fn label(&self) -> Option<usize> {
        Some(self.truth.label as usize)
    }

    fn status(&self) -> Option<Status> {
        None
    }

    fn kind(&self) -> Option<Kind> {
        Some(Kind::Annotation)
    }

    fn is_crowd(&self) -> Option<bool> {
        Some(self.truth.is_crowd)
    }
}
