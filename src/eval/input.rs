//! Ground truth and predictions of a set side by side, in the order in which COCO evaluation walks through them.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::coco::correspond::{ImageNames, ImageRef, corresponding_labels};
use crate::coco::{Annotation, Dataset, DatasetImage};
use crate::structures::{BoxXywh, ClassTable, Detection, Rle, Size};

/// Reasons that are kept; beyond it they are only counted.
const KEPT_REASONS: usize = 10_000;

/// Predictions as a file or the model gives them.
#[derive(Clone, Debug, Default)]
pub struct PredictedImages {
    /// Classes of the labels; matched with the set's by category id, by name, then by order where the counts agree.
    pub classes: ClassTable,
    /// Whether the labels carry the set's category ids (COCO results do, our JSON need not).
    pub by_category_id: bool,
    /// Images in file order. Of two entries of one image the later one's detections follow.
    pub images: Vec<(ImageRef, Arc<Vec<Detection>>)>,
}

/// An image that is evaluated.
#[derive(Clone, Debug)]
pub struct EvalImage {
    /// The set's id.
    pub id: u64,
    /// Position in the set's list of images.
    pub position: usize,
    /// As the set names it.
    pub name: String,
    /// As the set declares it.
    pub size: Option<Size>,
    /// Its ground truths in `EvalInput::truths`.
    pub truths: std::ops::Range<usize>,
    /// Its detections in `EvalInput::detections`.
    pub detections: std::ops::Range<usize>,
}

/// A ground truth.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The set's id of the annotation.
    pub id: u64,
    /// Position in `EvalInput::images`.
    pub image: u32,
    /// Its place among the annotations of its image that could be read.
    pub index: u32,
    /// Class of the set.
    pub label: u32,
    /// Box in pixels of the image.
    pub bbox: BoxXywh,
    /// The annotation's area field, or its mask's area.
    pub area: f64,
    /// Whether it is a crowd region.
    pub is_crowd: bool,
    /// Mask at the size of the image.
    pub mask: Rle,
}

/// A prediction that takes part. Its numbers and mask: `EvalInput::detection`.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Position in `EvalInput::images`.
    pub image: u32,
    /// Position among the predictions of its image.
    pub index: u32,
    /// Class of the set, which may differ from the file's label.
    pub label: u32,
    /// Pixels of the mask.
    pub mask_area: f64,
}

/// What took no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Something of the set.
    Set,
    /// All predictions of an image that the set does not have.
    Image(ImageRef),
    /// All predictions of a class that the set does not have, by the label of their file.
    Class(usize),
    /// A prediction, by the id of its image and its position among the predictions of the image.
    Prediction {
        /// The set's id.
        image_id: u64,
        /// Position.
        index: usize,
    },
}

/// Something that takes no part, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// What it is.
    pub subject: Subject,
    /// The same in words.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// Everything that evaluation reads.
#[derive(Debug, Default)]
pub struct EvalInput {
    /// The set's classes, by ascending category id.
    pub classes: ClassTable,
    /// Images by ascending id, as pycocotools walks through them.
    pub images: Vec<EvalImage>,
    /// Ground truths, image by image, in the JSON's order.
    pub truths: Vec<Truth>,
    /// Detections, image by image, in the file's order.
    pub detections: Vec<Candidate>,
    /// Predictions of each image.
    predictions: Vec<Arc<Vec<Detection>>>,
    /// What takes no part; at most 10,000 of them.
    pub left_out: Vec<LeftOut>,
    /// All that take no part.
    pub left_out_count: usize,
    /// Whether a mask of the set is read otherwise than it stands in the JSON; `coco::check` tells which and how.
    pub is_altered: bool,
}

/// One image with what is known of it, for an input that no COCO file stands behind.
#[derive(Clone, Debug)]
pub struct ImageParts {
    /// The image.
    pub image: DatasetImage,
    /// Its ground truths; their labels index the input's classes.
    pub annotations: Vec<Annotation>,
    /// Its predictions; their labels index the input's classes.
    pub detections: Arc<Vec<Detection>>,
}

impl EvalInput {
    /// An input of parts. The rules of [`build`] hold: images by ascending id, of equal ids the first; predictions with
    /// an unknown label, a number that is not finite, a box of negative size or a mask of another size than the image
    /// are left out with their reason; so are ground truths with an unknown label.
    pub fn from_parts(classes: ClassTable, parts: Vec<ImageParts>) -> Self {
        let count = classes.len();
        let labels: Vec<Option<u32>> = (0..count as u32).map(Some).collect();
        let mut input = Self {
            classes,
            ..Self::default()
        };
        let (images, mut contents): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .map(|part| (part.image, (part.annotations, part.detections)))
            .unzip();
        for position in evaluated_images(&images, &mut input) {
            let (annotations, detections) = std::mem::take(&mut contents[position]);
            let image = &images[position];
            let (known, unknown): (Vec<_>, Vec<_>) =
                annotations.into_iter().partition(|a| a.label < count);
            for annotation in unknown {
                let what = format!("annotation {} of {}", annotation.id, image.file_name);
                let reason = format!("there is no class {}", annotation.label);
                input.leave_out(Subject::Set, what, reason);
            }
            let all = detections.iter().enumerate();
            for (index, detection) in all.filter(|(_, detection)| detection.label >= count) {
                let reason = format!("there is no class {}", detection.label);
                input.leave_out_prediction(image, index, reason);
            }
            let lists = [&detections];
            add_image(&mut input, position, image, known, &lists, &labels);
        }
        input
    }

    /// The prediction behind a position in `detections`.
    ///
    /// # Panics
    /// A position that is none, as with any slice.
    pub fn detection(&self, position: usize) -> &Detection {
        let candidate = &self.detections[position];
        &self.predictions[candidate.image as usize][candidate.index as usize]
    }

    /// All predictions of an image, with those that take no part.
    pub fn predictions(&self, image: usize) -> &[Detection] {
        self.predictions
            .get(image)
            .map_or(&[], |list| list.as_slice())
    }

    /// Whether an annotation has the id 0, which pycocotools takes for "no match".
    pub fn has_id_zero(&self) -> bool {
        self.truths.iter().any(|truth| truth.id == 0)
    }

    fn leave_out_prediction(&mut self, image: &DatasetImage, index: usize, reason: String) {
        let what = format!("prediction {index} of {}", image.file_name);
        let image_id = image.id;
        self.leave_out(Subject::Prediction { image_id, index }, what, reason);
    }

    fn leave_out(&mut self, subject: Subject, what: String, reason: impl Into<String>) {
        self.left_out_count += 1;
        if self.left_out.len() < KEPT_REASONS {
            let reason = reason.into();
            self.left_out.push(LeftOut {
                subject,
                what,
                reason,
            });
        }
    }
}

/// Sets ground truth and predictions side by side; masks of annotations are rasterised on all cores.
///
/// `progress` gets the number of images done and may return false to stop; then there is no result.
pub fn build(
    dataset: &Dataset,
    predicted: &PredictedImages,
    progress: &(dyn Fn(usize) -> bool + Sync),
) -> Option<EvalInput> {
    let mut input = EvalInput {
        classes: dataset.classes().clone(),
        ..EvalInput::default()
    };
    let order = evaluated_images(dataset.images(), &mut input);
    let by_position = place_predictions(dataset, predicted, &mut input);
    let order = with_size(order, dataset, &by_position, &mut input);
    let labels = label_map(predicted, &mut input);
    let done = std::sync::atomic::AtomicUsize::new(0);
    let annotations: Vec<_> = order
        .par_iter()
        .map(|&position| {
            let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress(done).then(|| dataset.annotations(position))
        })
        .collect::<Option<_>>()?;
    for (&position, annotations) in order.iter().zip(annotations) {
        let Some(image) = dataset.images().get(position) else {
            continue;
        };
        input.is_altered |= annotations.is_altered;
        for reason in annotations.dropped {
            input.leave_out(Subject::Set, image.file_name.clone(), reason);
        }
        let lists = by_position.get(&position).map_or(&[][..], Vec::as_slice);
        add_image(
            &mut input,
            position,
            image,
            annotations.kept,
            lists,
            &labels,
        );
    }
    Some(input)
}

/// Positions of the images by ascending id; of equal ids the first.
fn evaluated_images(images: &[DatasetImage], input: &mut EvalInput) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by_key(|&position| images[position].id);
    let mut last = None;
    order.retain(|&position| {
        let image = &images[position];
        let is_new = last != Some(image.id);
        last = Some(image.id);
        if !is_new {
            let what = format!("image {} ({})", image.id, image.file_name);
            input.leave_out(
                Subject::Set,
                what,
                "an earlier image of the set has the same id",
            );
        }
        is_new
    });
    order
}

/// Without a size there is no mask to compare with: such an image is left out with what is annotated and predicted on it.
fn with_size(
    order: Vec<usize>,
    dataset: &Dataset,
    by_position: &Placed<'_>,
    input: &mut EvalInput,
) -> Vec<usize> {
    let images = dataset.images();
    let (sized, without): (Vec<usize>, Vec<usize>) = order
        .into_iter()
        .partition(|&position| images[position].declared.is_some());
    for position in without {
        let image = &images[position];
        let what = format!("image {} ({})", image.id, image.file_name);
        input.leave_out(Subject::Set, what.clone(), NO_SIZE);
        for head in dataset.heads_of(position) {
            let what = format!("annotation {} of {}", head.id, image.file_name);
            input.leave_out(Subject::Set, what, NO_SIZE);
        }
        let lists = by_position.get(&position).into_iter().flatten();
        let count: usize = lists.map(|list| list.len()).sum();
        if count > 0 {
            let subject = Subject::Image(ImageRef::Id(image.id));
            input.leave_out(subject, format!("{count} predictions of {what}"), NO_SIZE);
            input.left_out_count += count - 1;
        }
    }
    sized
}

const NO_SIZE: &str = "the ground truth has no width and height of the image";

type Placed<'a> = HashMap<usize, Vec<&'a Arc<Vec<Detection>>>>;

/// Which predictions belong to which image of the set.
fn place_predictions<'a>(
    dataset: &Dataset,
    predicted: &'a PredictedImages,
    input: &mut EvalInput,
) -> Placed<'a> {
    let names = ImageNames::new(dataset.images());
    let mut placed = Placed::new();
    for (image, detections) in &predicted.images {
        match names.find(image) {
            Ok(position) => placed.entry(position).or_default().push(detections),
            Err(reason) => {
                let count = detections.len();
                let what = format!("{count} predictions of {}", shown(image));
                input.left_out_count += count.saturating_sub(1);
                input.leave_out(Subject::Image(image.clone()), what, reason);
            }
        }
    }
    placed
}

fn shown(image: &ImageRef) -> String {
    match image {
        ImageRef::Position(position) => format!("image number {position}"),
        ImageRef::Id(id) => format!("image id {id}"),
        ImageRef::Path(path) => path.clone(),
    }
}

/// The set's label of each label of the predictions; what fits nowhere is reported once.
fn label_map(predicted: &PredictedImages, input: &mut EvalInput) -> Vec<Option<u32>> {
    let theirs = &predicted.classes;
    let labels = corresponding_labels(&input.classes, theirs, predicted.by_category_id);
    let unknown: Vec<usize> = (0..labels.len())
        .filter(|&label| labels[label].is_none())
        .collect();
    if !unknown.is_empty() {
        let mut counts = vec![0; labels.len()];
        for detection in predicted.images.iter().flat_map(|(_, list)| list.iter()) {
            if let Some(count) = counts.get_mut(detection.label) {
                *count += 1;
            }
        }
        for label in unknown {
            let count: usize = counts[label];
            let what = format!("{count} predictions of class `{}`", theirs.name(label));
            let reason = "the ground truth has no such class";
            input.leave_out(Subject::Class(label), what, reason);
            input.left_out_count += count.saturating_sub(1);
        }
    }
    let narrow = |label: Option<usize>| label.and_then(|label| u32::try_from(label).ok());
    labels.into_iter().map(narrow).collect()
}

fn add_image(
    input: &mut EvalInput,
    position: usize,
    image: &DatasetImage,
    annotations: Vec<Annotation>,
    lists: &[&Arc<Vec<Detection>>],
    labels: &[Option<u32>],
) {
    let number = input.images.len() as u32;
    let (first_truth, first_detection) = (input.truths.len(), input.detections.len());
    let (annotations, refused): (Vec<Annotation>, Vec<Annotation>) = annotations
        .into_iter()
        .partition(|annotation| is_box(annotation.bbox));
    for annotation in refused {
        let what = format!("annotation {} of {}", annotation.id, image.file_name);
        input.leave_out(Subject::Set, what, NO_BOX);
    }
    let truths = (0u32..).zip(annotations).map(|(index, a)| Truth {
        id: a.id,
        image: number,
        index,
        label: a.label as u32,
        bbox: a.bbox,
        area: a.area,
        is_crowd: a.is_crowd,
        mask: a.mask,
    });
    input.truths.extend(truths);
    let predictions = match lists {
        [] => Arc::default(),
        [one] => Arc::clone(one),
        several => Arc::new(
            several
                .iter()
                .flat_map(|list| list.iter().cloned())
                .collect(),
        ),
    };
    for (index, detection) in predictions.iter().enumerate() {
        let label = labels.get(detection.label).copied().flatten();
        let reason = unusable(detection, image.declared);
        match (label, reason) {
            (Some(label), None) => input.detections.push(Candidate {
                image: number,
                index: index as u32,
                label,
                mask_area: detection.mask.area() as f64,
            }),
            // Its class was reported once for all.
            (None, _) => {}
            (Some(_), Some(reason)) => input.leave_out_prediction(image, index, reason),
        }
    }
    input.predictions.push(predictions);
    input.images.push(EvalImage {
        id: image.id,
        position,
        name: image.file_name.clone(),
        size: image.declared,
        truths: first_truth..input.truths.len(),
        detections: first_detection..input.detections.len(),
    });
}

const NO_BOX: &str = "its box has a negative size or a number that is not finite";

fn is_box(bbox: BoxXywh) -> bool {
    let BoxXywh {
        x,
        y,
        width,
        height,
    } = bbox;
    let is_finite = [x, y, width, height].iter().all(|side| side.is_finite());
    is_finite && width >= 0.0 && height >= 0.0
}

/// Why a prediction cannot take part.
fn unusable(detection: &Detection, declared: Option<Size>) -> Option<String> {
    let bbox = detection.bbox;
    let numbers = [detection.score, detection.iou_score];
    if numbers.iter().any(|number| !number.is_finite()) {
        return Some("a number of it is not finite".into());
    }
    if !is_box(bbox) {
        return Some(NO_BOX.into());
    }
    // Results with boxes alone have no mask at all.
    let size = detection.mask.size();
    match declared {
        Some(declared) if size != declared && detection.mask.area() > 0 => {
            Some(format!("its mask is {size}, the image {declared}"))
        }
        _ => None,
    }
}
