//! What the predictions on screen come from: a verdict on one belongs to the content of its file or checkpoint, not to a name.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use super::review::{PredictionKey, Target};
use super::{Document, Notice, NoticeKind};
use crate::coco::content_hash;
use crate::coco::predictions::file_of;
use crate::structures::Detection;

/// A file whose content is being hashed, or was.
pub(super) struct PredictionSource {
    path: PathBuf,
    hash: Hash,
}

enum Hash {
    Pending(Receiver<Result<String, String>>),
    Known(String),
    /// The file cannot be read any more; that was told.
    Unknown,
}

impl PredictionSource {
    fn start(path: &Path, wake: super::Wake) -> std::io::Result<Self> {
        let (done, answer) = channel();
        let file = file_of(path);
        let work = move || {
            // Nobody listens any more when other predictions were opened meanwhile.
            let _ = done.send(content_hash(&file).map_err(|error| error.to_string()));
            wake();
        };
        std::thread::Builder::new()
            .name("hash predictions".into())
            .spawn(work)?;
        Ok(Self {
            path: path.to_owned(),
            hash: Hash::Pending(answer),
        })
    }
}

impl Document {
    /// What verdicts on a prediction of an image belong to; none where the image is not of a set, and as long as the file of the
    /// predictions is being read for it.
    pub fn prediction_target(&self, image: usize, detection: &Detection) -> Option<Target> {
        let image_id = self.image_id(image)?;
        let key = PredictionKey::new(image_id, self.prediction_hash()?, &detection.mask);
        Some(Target::Prediction(key))
    }

    /// Hash of the checkpoint or file that predictions come from, once it is known.
    pub(super) fn prediction_hash(&self) -> Option<&str> {
        match &self.prediction_source.as_ref()?.hash {
            Hash::Known(hash) => Some(hash),
            Hash::Pending(_) | Hash::Unknown => None,
        }
    }

    /// Whether `prediction_target` will know predictions in a moment.
    pub fn is_reading_prediction_source(&self) -> bool {
        let source = self.prediction_source.as_ref();
        source.is_some_and(|source| matches!(source.hash, Hash::Pending(_)))
    }

    /// Name of the checkpoint or file that predictions come from.
    pub fn prediction_source_name(&self) -> String {
        name_of(self.prediction_file())
    }

    fn prediction_file(&self) -> &Path {
        let path = self.predictions_path.as_deref();
        path.unwrap_or(&self.request.checkpoint)
    }

    /// Keeps the hash in step with what is shown, once there is a review that needs it.
    pub(super) fn renew_prediction_source(&mut self) {
        let path = self.prediction_file().to_owned();
        if self.review().is_none() || path.as_os_str().is_empty() {
            self.prediction_source = None;
            return;
        }
        if let Some(source) = self.prediction_source.as_mut().filter(|it| it.path == path) {
            let Hash::Pending(answer) = &source.hash else {
                return;
            };
            let refused = match answer.try_recv() {
                Err(TryRecvError::Empty) => return,
                Ok(Ok(hash)) => {
                    source.hash = Hash::Known(hash);
                    self.reviewed();
                    return;
                }
                Ok(Err(error)) => error,
                Err(TryRecvError::Disconnected) => "the log holds the details".into(),
            };
            source.hash = Hash::Unknown;
            let text = "Verdicts on predictions cannot be kept: their file cannot be read again";
            let notice = Notice::new(NoticeKind::Error, text).with_details(refused);
            self.notices.push(notice);
            return;
        }
        let started = PredictionSource::start(&path, Arc::clone(&self.wake));
        // Without a thread it is tried again with the next frame.
        self.prediction_source = started.ok();
    }
}

/// Name of a checkpoint or file, as origins hold it.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
