//! The mask that the model's heads see in a box that somebody drew. The features of the last image stay, so that the next
//! box in it costs the heads alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use super::infer::{ImageTask, ModelRequest};
use super::model::{self, Features, LoadedModel};
use crate::data;
use crate::structures::{BoxXywh, Detection};

/// What is asked.
#[derive(Clone, Debug)]
pub struct BoxRequest {
    /// The caller's number, returned with the answer.
    pub number: u64,
    /// The model.
    pub model: ModelRequest,
    /// The image.
    pub image: ImageTask,
    /// In pixels of the image.
    pub bbox: BoxXywh,
    /// Name of the class that the mask is to be of; without, the class that the model finds.
    pub class: Option<String>,
}

/// What the model sees in the box.
#[derive(Clone, Debug)]
pub struct BoxAnswer {
    /// The caller's number.
    pub number: u64,
    /// The mask, or a sentence that says why there is none.
    pub found: Result<FoundMask, String>,
}

/// A mask with its class.
#[derive(Clone, Debug)]
pub struct FoundMask {
    /// Mask, scores; its label is the model's own.
    pub detection: Detection,
    /// Name of its class.
    pub class: String,
    /// The class that was asked for is none of the model's: the mask is of the one it found.
    pub is_other_class: bool,
}

/// A thread that answers one box after the other; it ends with this.
pub struct BoxJob {
    requests: Sender<BoxRequest>,
    answers: Receiver<BoxAnswer>,
}

impl BoxJob {
    /// Starts the thread; nothing is loaded before the first box. `wake` is called after every answer.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (requests, work) = channel::<BoxRequest>();
        let (done, answers) = channel();
        std::thread::Builder::new()
            .name("mask in a box".into())
            .spawn(move || {
                let mut last = None;
                while let Ok(request) = work.recv() {
                    let answer = std::panic::AssertUnwindSafe(|| answer(&request, &mut last));
                    // A bug in one operation must not leave the window waiting.
                    let found = std::panic::catch_unwind(answer)
                        .unwrap_or_else(|_| Err("the model broke; the log holds why".into()));
                    let number = request.number;
                    if done.send(BoxAnswer { number, found }).is_err() {
                        return;
                    }
                    wake();
                }
            })?;
        Ok(Self { requests, answers })
    }

    /// Asks; false where the thread is gone.
    pub fn ask(&self, request: BoxRequest) -> bool {
        self.requests.send(request).is_ok()
    }

    /// What was answered since the last call.
    pub fn answers(&self) -> Vec<BoxAnswer> {
        self.answers.try_iter().collect()
    }
}

/// The last image, as the last model sees it.
struct Last {
    path: PathBuf,
    modified: Option<SystemTime>,
    request: ModelRequest,
    model: Arc<LoadedModel>,
    features: Features,
}

fn answer(request: &BoxRequest, last: &mut Option<Last>) -> Result<FoundMask, String> {
    // The old one goes first: two models at once would double the peak.
    last.take_if(|last| last.request != request.model);
    let model = model::load(&request.model).map_err(|error| error.to_string())?;
    let classes = &model.summary.classes.names;
    let wanted = request.class.as_ref();
    let label = wanted.and_then(|class| classes.iter().position(|name| name == class));
    let path = &request.image.path;
    let modified = path.metadata().and_then(|file| file.modified()).ok();
    let is_last = last.as_ref().is_some_and(|last| {
        last.path == *path && last.modified == modified && Arc::ptr_eq(&last.model, &model)
    });
    if !is_last {
        *last = None; // its memory goes before the next one's comes
        let image = data::decode(path, request.image.declared).map_err(|e| e.to_string())?;
        let prepared = model.prepare(&image).map_err(|e| e.to_string())?;
        let features = model.features(prepared).map_err(|e| e.to_string())?;
        *last = Some(Last {
            path: path.clone(),
            modified,
            request: request.model.clone(),
            model: Arc::clone(&model),
            features,
        });
    }
    let Some(Last { features, .. }) = last else {
        return Err("the image has no features".into());
    };
    let detection = model
        .detect_in(features, request.bbox.to_xyxy(), label)
        .map_err(|error| error.to_string())?;
    Ok(FoundMask {
        class: model.summary.classes.name(detection.label),
        is_other_class: wanted.is_some() && label.is_none(),
        detection,
    })
}
