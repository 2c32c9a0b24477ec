//! Tables and prediction files: annotations with the score 1, or predictions without those that were rejected.

use std::io::Write;
use std::path::Path;

use super::{ExportSummary, Job, Remark};
use crate::coco::correspond::{ImageNames, ImageRef, corresponding_labels};
use crate::coco::predictions::{self, PairImage, write_pair};
use crate::coco::{CocoError, Corrected, PredictedImage, content_hash, write_whole};
use crate::jobs::JobError;
use crate::structures::{ClassTable, Detection, Size, csv_field};

type Tick<'a> = &'a mut dyn FnMut(usize) -> bool;

/// The instances of one image of the set.
pub(super) struct OfImage {
    image_id: u64,
    path: String,
    size: Size,
    detections: Vec<Detection>,
}

impl Job<'_> {
    /// One row an annotation.
    pub(super) fn write_csv(
        &self,
        summary: &mut ExportSummary,
        tick: Tick<'_>,
    ) -> Result<(), JobError> {
        let mut failed = None;
        let written = write_whole(&self.request.out, |out| {
            writeln!(
                out,
                "image_id,file_name,annotation_id,category_id,category,x,y,width,height,area,mask_area,is_crowd,edited,\
                 verdict,tags,note"
            )?;
            for (number, image) in self.set.set().images().iter().enumerate() {
                let found = if tick(number) {
                    self.set.annotations(number)
                } else {
                    Err(self.cancelled())
                };
                let (annotations, dropped) = match found {
                    Ok(found) => found,
                    Err(error) => {
                        failed = Some(error);
                        return Err(std::io::Error::other("stopped"));
                    }
                };
                summary.notes.extend(dropped);
                for annotation in annotations {
                    summary.instances += 1;
                    let file = csv_field(&image.file_name);
                    self.row(image.id, &file, &annotation, out)?;
                }
            }
            Ok(())
        });
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(written?),
        }
    }

    fn row(
        &self,
        image_id: u64,
        file: &str,
        annotation: &Corrected,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let none = Remark::default();
        let remark = self
            .remarks
            .annotations
            .get(&annotation.id)
            .unwrap_or(&none);
        let b = annotation.bbox;
        writeln!(
            out,
            "{image_id},{file},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            annotation.id,
            annotation.category_id,
            csv_field(&self.set.classes().name(annotation.label)),
            b.x,
            b.y,
            b.width,
            b.height,
            annotation.area,
            annotation.mask.area(),
            u8::from(annotation.is_crowd),
            u8::from(annotation.is_edited),
            remark.verdict,
            csv_field(&remark.tags.join(",")),
            csv_field(&remark.note)
        )
    }

    /// The prediction JSON.
    pub(super) fn write_predictions(
        &self,
        summary: &mut ExportSummary,
        tick: Tick<'_>,
    ) -> Result<(), JobError> {
        let (images, classes) = self.instances(summary, tick)?;
        Ok(write_images(&self.request.out, images, &classes)?)
    }

    /// The pair of COCO results.
    pub(super) fn write_results(
        &self,
        summary: &mut ExportSummary,
        tick: Tick<'_>,
    ) -> Result<(), JobError> {
        let (images, classes) = self.instances(summary, tick)?;
        let images = images.iter().map(|image| PairImage {
            image_id: image.image_id,
            detections: &image.detections,
        });
        summary.written = predictions::pair_paths(&self.request.out).to_vec();
        Ok(write_pair(&self.request.out, images, &classes)?)
    }

    fn instances(
        &self,
        summary: &mut ExportSummary,
        tick: Tick<'_>,
    ) -> Result<(Vec<OfImage>, ClassTable), JobError> {
        let found = match &self.request.predictions {
            Some(_) => self.predicted(summary)?,
            None => self.annotated(summary, tick)?,
        };
        summary.images = found.len();
        summary.instances = found.iter().map(|image| image.detections.len()).sum();
        Ok((found, self.set.classes().clone()))
    }

    fn annotated(
        &self,
        summary: &mut ExportSummary,
        tick: Tick<'_>,
    ) -> Result<Vec<OfImage>, JobError> {
        let mut images = Vec::new();
        for (number, image) in self.set.set().images().iter().enumerate() {
            if !tick(number) {
                return Err(self.cancelled().into());
            }
            let (annotations, dropped) = self.set.annotations(number)?;
            summary.notes.extend(dropped);
            images.push(OfImage {
                image_id: image.id,
                path: image.file_name.clone(),
                size: image.declared.unwrap_or_default(),
                detections: annotations.into_iter().map(detection).collect(),
            });
        }
        Ok(images)
    }

    /// What verdicts on the predictions belong to.
    pub(super) fn prediction_hash(&self, path: &Path) -> Result<String, JobError> {
        Ok(match &self.request.prediction_hash {
            Some(hash) => hash.clone(),
            None => content_hash(&predictions::file_of(path))?,
        })
    }

    /// The predictions of the set's images and classes that were not rejected.
    pub(super) fn predicted(&self, summary: &mut ExportSummary) -> Result<Vec<OfImage>, JobError> {
        let path = self.request.predictions.clone().unwrap_or_default();
        let file = predictions::read_any(&path)?;
        let source = self.prediction_hash(&path)?;
        summary.notes.extend(file.notes);
        let set = self.set.set();
        let names = ImageNames::new(set.images());
        let by_id = file.images.iter().any(|image| image.image_id.is_some());
        let labels = corresponding_labels(self.set.classes(), &file.classes, by_id);
        let (mut images, mut rejected, mut strangers) = (Vec::new(), 0, 0);
        for image in file.images {
            let name = image.image_id.map(ImageRef::Id);
            let name = name.unwrap_or_else(|| ImageRef::Path(image.path.clone()));
            let known = names.find(&name).ok().and_then(|at| set.images().get(at));
            let Some(known) = known else {
                strangers += image.detections.len();
                continue;
            };
            let mut kept = Vec::new();
            for mut detection in image.detections {
                let mask = format!("{:016x}", detection.mask.fingerprint());
                let label = labels.get(detection.label).copied().flatten();
                match label {
                    None => strangers += 1,
                    Some(_)
                        if self
                            .remarks
                            .rejected
                            .contains(&(known.id, source.clone(), mask)) =>
                    {
                        rejected += 1;
                    }
                    Some(label) => {
                        detection.label = label;
                        kept.push(detection);
                    }
                }
            }
            // COCO results know ids alone, the prediction JSON paths.
            let path = match image.image_id {
                Some(_) => known.file_name.clone(),
                None => image.path,
            };
            images.push(OfImage {
                image_id: known.id,
                path,
                size: image.size,
                detections: kept,
            });
        }
        for (count, why) in [
            (rejected, "were rejected in the review"),
            (
                strangers,
                "are of an image or class that the set does not have",
            ),
        ] {
            if count > 0 {
                let note = format!("{count} predictions {why} and are left out");
                summary.notes.push(note);
            }
        }
        Ok(images)
    }
}

/// An annotation as a prediction that is certain.
fn detection(annotation: Corrected) -> Detection {
    Detection {
        bbox: annotation.bbox,
        label: annotation.label,
        score: 1.0,
        mask_iou: Some(1.0),
        iou_score: 1.0,
        mask: annotation.mask,
        quality: None,
    }
}

/// Writes the prediction JSON.
pub(super) fn write_images(
    out: &Path,
    images: Vec<OfImage>,
    classes: &ClassTable,
) -> Result<(), CocoError> {
    let images = images.into_iter();
    let images: Vec<PredictedImage> = images
        .map(|image| PredictedImage::new(image.path, image.size, image.detections))
        .collect();
    predictions::write(out, &images, classes)
}
