//! The model's mask in a box that somebody drew: asked of a thread, and made an edit of the review when it is here.

use std::collections::HashMap;
use std::sync::Arc;

use super::prediction_source::name_of;
use super::review::{Edit, Origin, Shape};
use super::{Document, ImageTask, Notice, NoticeKind};
use crate::jobs::mask_in_box::{BoxJob, BoxRequest, FoundMask};
use crate::structures::BoxXywh;

/// A box to find a mask in.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxPrompt {
    /// Position of the image in `Document::images`.
    pub image: usize,
    /// In pixels of the image.
    pub bbox: BoxXywh,
    /// The annotation that gets the mask; a new one without.
    pub annotation: Option<u64>,
    /// The class of a new annotation where the set does not have the one that the model finds.
    pub or_category: i64,
}

/// The thread that answers, and what it was asked.
pub(super) struct BoxPrompts {
    job: BoxJob,
    number: u64,
    /// With the name of the checkpoint that was asked.
    asked: HashMap<u64, (BoxPrompt, String)>,
    /// The latest annotation that came of it.
    new: Option<u64>,
}

impl Document {
    /// Asks the model for the mask in a box; it becomes an edit of the review as soon as it is here. A refusal is told.
    pub fn ask_mask(&mut self, prompt: BoxPrompt) {
        let text = match self.try_ask_mask(prompt) {
            Ok(()) => return,
            Err(text) => text,
        };
        self.notices.push(Notice::new(NoticeKind::Warning, text));
    }

    fn try_ask_mask(&mut self, prompt: BoxPrompt) -> Result<(), String> {
        if self.request.checkpoint.as_os_str().is_empty() {
            return Err("No checkpoint is loaded: choose one to predict masks with".into());
        }
        let image = self.images.get(prompt.image);
        let image = image.ok_or("The image is no longer open")?;
        let task = ImageTask {
            index: prompt.image,
            path: image.path.clone(),
            declared: image.declared,
        };
        let class = prompt.annotation.and_then(|id| {
            let category = self.review()?.record(id)?.category_id;
            let label = self.categories.label(category)?;
            Some(self.classes.name(label))
        });
        if self.box_prompts.is_none() {
            let wake = Arc::clone(&self.wake);
            let job = BoxJob::start(move || wake());
            self.box_prompts = Some(BoxPrompts {
                job: job.map_err(|error| format!("Cannot start a thread: {error}"))?,
                number: 0,
                asked: HashMap::new(),
                new: None,
            });
        }
        let prompts = self.box_prompts.as_mut().ok_or("It is not there")?;
        prompts.number += 1;
        let request = BoxRequest {
            number: prompts.number,
            model: self.request.clone(),
            image: task,
            bbox: prompt.bbox,
            class,
        };
        if !prompts.job.ask(request) {
            self.box_prompts = None; // the next box starts another thread
            return Err("The model broke; the log holds why".into());
        }
        let asked = (prompt, name_of(&self.request.checkpoint));
        prompts.asked.insert(prompts.number, asked);
        Ok(())
    }

    /// Boxes whose masks are not here yet.
    pub fn asked_masks(&self) -> usize {
        self.box_prompts
            .as_ref()
            .map_or(0, |prompts| prompts.asked.len())
    }

    /// The annotation that the latest box without one has become, once.
    pub fn take_new_of_box(&mut self) -> Option<u64> {
        self.box_prompts.as_mut()?.new.take()
    }

    pub(super) fn take_masks(&mut self) {
        let Some(prompts) = &mut self.box_prompts else {
            return;
        };
        let answers: Vec<_> = prompts
            .job
            .answers()
            .into_iter()
            .filter_map(|answer| Some((prompts.asked.remove(&answer.number)?, answer.found)))
            .collect();
        for ((prompt, checkpoint), found) in answers {
            match found {
                Ok(found) => self.take_mask(&prompt, checkpoint, found),
                Err(error) => {
                    let notice = Notice::new(NoticeKind::Error, "No mask was predicted");
                    self.notices.push(notice.with_details(error));
                }
            }
        }
    }

    fn take_mask(&mut self, prompt: &BoxPrompt, checkpoint: String, found: FoundMask) {
        let detection = found.detection;
        let mut said = format!("Predicted: {}, score {:.2}", found.class, detection.score);
        if let Some(mask_iou) = detection.mask_iou {
            said.push_str(&format!(", mask IoU {mask_iou:.2}"));
        }
        if detection.mask.area() == 0 {
            let text = "The model sees nothing in this box: nothing was changed";
            let notice = Notice::new(NoticeKind::Warning, text).with_details(said);
            self.notices.push(notice);
            return;
        }
        let names = &self.classes.names;
        let label = names.iter().position(|name| *name == found.class);
        let category = label.and_then(|label| self.categories.id(label));
        let is_unsure = found.is_other_class || (prompt.annotation.is_none() && category.is_none());
        let edit = match prompt.annotation {
            Some(id) => Edit::SetMask {
                id,
                segmentation: Shape::Runs(detection.mask),
            },
            None => {
                let Some(image_id) = self.image_id(prompt.image) else {
                    return;
                };
                Edit::Add {
                    image_id,
                    category_id: category.unwrap_or(prompt.or_category),
                    segmentation: Shape::Runs(detection.mask),
                    iscrowd: false,
                    origin: Some(Origin {
                        source: checkpoint,
                        score: detection.score,
                        mask_iou: detection.mask_iou,
                    }),
                }
            }
        };
        let file = self.images.get(prompt.image);
        let file = file.map_or("", |image| image.name.as_str());
        let edit = Edit::Together {
            words: match prompt.annotation {
                Some(id) => format!("Predict the mask of #{id} in {file}"),
                None => format!("Predict a {} in {file}", found.class),
            },
            edits: vec![edit],
        };
        let Some(applied) = self.edit(&edit) else {
            return;
        };
        if let (None, Some(&new), Some(prompts)) = (
            prompt.annotation,
            applied.new_ids.first(),
            &mut self.box_prompts,
        ) {
            prompts.new = Some(new.cast_unsigned());
        }
        let notice = match is_unsure {
            true => Notice::new(NoticeKind::Warning, said)
                .with_details("The model and the set do not share the class: look at it"),
            false => Notice::new(NoticeKind::Info, said),
        };
        self.notices.push(notice);
    }
}
