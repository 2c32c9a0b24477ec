//! The thread that opens a path. Where annotations take long, the images come first and can be looked at meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use super::Wake;
use super::open::{OpenError, Opened};

/// How far an opening is.
#[derive(Clone, Debug, PartialEq)]
pub struct OpeningProgress<'a> {
    /// What is being opened.
    pub path: &'a Path,
    /// Images found so far.
    pub images: usize,
    /// Share of the file that is read, 0..1; 0 where that is not known.
    pub share: f32,
}

/// What the thread hands over.
pub(super) enum Step {
    /// The images of a set whose annotations are still being read.
    Images(Opened),
    /// Everything, or why not.
    Done(Result<Opened, OpenError>),
}

#[derive(Default)]
struct Shared {
    images: AtomicUsize,
    read: AtomicU64,
    length: AtomicU64,
    is_cancelled: AtomicBool,
}

/// The thread's side.
pub(super) struct Teller {
    shared: Arc<Shared>,
    steps: Sender<Step>,
    wake: Wake,
}

impl Teller {
    /// Counts images.
    pub fn found(&self, images: usize) {
        self.shared.images.store(images, Ordering::Relaxed);
    }

    /// Bytes read, of all; false where the opening was cancelled.
    pub fn read(&self, bytes: u64, of: u64) -> bool {
        self.shared.read.store(bytes, Ordering::Relaxed);
        self.shared.length.store(of, Ordering::Relaxed);
        (self.wake)();
        !self.shared.is_cancelled.load(Ordering::Relaxed)
    }

    /// Hands over the images before the rest.
    pub fn images(&self, opened: Opened) {
        self.found(opened.images.len());
        self.send(Step::Images(opened));
    }

    fn send(&self, step: Step) {
        // The receiver is gone when another path was opened meanwhile.
        let _ = self.steps.send(step);
        (self.wake)();
    }
}

/// A path that a thread is opening; dropping it ends the thread at its next step.
pub(super) struct Opening {
    path: PathBuf,
    shared: Arc<Shared>,
    steps: Receiver<Step>,
    /// Its images are shown already.
    pub shows_images: bool,
}

impl Opening {
    /// Starts the thread.
    pub fn start(
        path: &Path,
        wake: &Wake,
        work: impl FnOnce(&Teller) -> Result<Opened, OpenError> + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (sender, steps) = channel();
        let teller = Teller {
            shared: Arc::clone(&shared),
            steps: sender,
            wake: Arc::clone(wake),
        };
        std::thread::Builder::new()
            .name("open".into())
            .spawn(move || teller.send(Step::Done(work(&teller))))?;
        Ok(Self {
            path: path.to_owned(),
            shared,
            steps,
            shows_images: false,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn progress(&self) -> OpeningProgress<'_> {
        let of = self.shared.length.load(Ordering::Relaxed);
        let read = self.shared.read.load(Ordering::Relaxed);
        OpeningProgress {
            path: &self.path,
            images: self.shared.images.load(Ordering::Relaxed),
            share: if of == 0 {
                0.0
            } else {
                read as f32 / of as f32
            },
        }
    }

    /// What came since; an error where the thread broke.
    pub fn poll(&self) -> Result<Option<Step>, TryRecvError> {
        match self.steps.try_recv() {
            Ok(step) => Ok(Some(step)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(TryRecvError::Disconnected),
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.shared.is_cancelled.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::settings::Settings;
    use super::super::{Document, ModelRequest, NoticeKind, open};
    use super::*;
    use crate::document::evaluation::Side;

    const SET: &str = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8},
        {"id": 2, "file_name": "b.png", "width": 8, "height": 8}], "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 2, "category_id": 1, "bbox": [1, 1, 4, 4], "area": 16,
        "segmentation": [[1, 1, 5, 1, 5, 5, 1, 5]], "iscrowd": 0}]}"#;
    const RESULTS: &str =
        r#"[{"image_id": 2, "category_id": 1, "bbox": [1, 1, 4, 4], "score": 0.5}]"#;

    fn until(doc: &mut Document, is_so: impl Fn(&Document) -> bool) -> Vec<String> {
        let mut errors = Vec::new();
        for _ in 0..10_000 {
            let notices = doc.poll();
            errors.extend(
                (notices.into_iter())
                    .filter(|notice| notice.kind == NoticeKind::Error)
                    .map(|notice| notice.text),
            );
            if is_so(doc) {
                return errors;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("never came: {errors:?}");
    }

    /// A document whose opening waits for a word between the images and the rest.
    fn half_open(folder: &Path, ends_well: bool) -> (Document, Sender<()>) {
        let set = folder.join("set.json");
        std::fs::write(&set, SET).unwrap();
        let mut doc = Document::new(
            ModelRequest::default(),
            Settings::default(),
            Arc::new(|| {}),
        );
        let (go, gate) = channel::<()>();
        let path = set.clone();
        doc.start_opening(&set, move |teller| {
            let whole = open::open(&path, teller);
            gate.recv().unwrap();
            match ends_well {
                true => whole,
                false => Err(OpenError::Absent(path)),
            }
        });
        until(&mut doc, Document::awaits_annotations);
        (doc, go)
    }

    #[test]
    fn images_come_before_their_annotations() {
        let folder = tempfile::tempdir().unwrap();
        let (mut doc, go) = half_open(folder.path(), true);
        assert_eq!(doc.images().len(), 2);
        assert!(!doc.has_truth());
        assert_eq!(doc.opening().unwrap().images, 2);

        // Predictions wait for the annotations.
        let results = folder.path().join("results.json");
        std::fs::write(&results, RESULTS).unwrap();
        doc.attach_predictions(&results, Side::A);
        doc.attach_predictions(&results, Side::B);
        doc.poll();
        assert!(doc.awaits_annotations() && doc.images()[1].detections().is_none());

        go.send(()).unwrap();
        let errors = until(&mut doc, |doc| !doc.is_busy());
        assert!(errors.is_empty(), "{errors:?}");
        assert!(doc.has_truth() && !doc.awaits_annotations());
        assert_eq!(doc.images()[1].annotations, 1);
        assert_eq!(doc.images()[1].detections().unwrap().len(), 1);
        assert!(doc.second().is_some());
    }

    #[test]
    fn predictions_of_a_model_that_found_nothing_are_some() {
        let folder = tempfile::tempdir().unwrap();
        let (mut doc, go) = half_open(folder.path(), true);
        let nothing = folder.path().join("nothing");
        for kind in ["bbox", "segm"] {
            std::fs::write(nothing.with_extension(format!("{kind}.json")), "[]").unwrap();
        }
        let results = folder.path().join("results.json");
        std::fs::write(&results, RESULTS).unwrap();
        doc.attach_predictions(&nothing, Side::A);
        doc.attach_predictions(&results, Side::B);
        go.send(()).unwrap();
        let errors = until(&mut doc, |doc| !doc.is_busy());
        assert!(errors.is_empty(), "{errors:?}");
        assert!(doc.has_truth() && doc.second().is_some());
        assert_eq!(doc.images()[1].detections().unwrap().len(), 0);
    }

    #[test]
    fn a_set_that_breaks_off_is_closed_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut doc, go) = half_open(folder.path(), false);
        go.send(()).unwrap();
        let errors = until(&mut doc, |doc| !doc.is_busy());
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(doc.source().is_none() && doc.images().is_empty());
    }

    #[test]
    fn closing_ends_the_thread() {
        let folder = tempfile::tempdir().unwrap();
        let (mut doc, go) = half_open(folder.path(), true);
        doc.close();
        go.send(()).unwrap();
        until(&mut doc, |doc| !doc.is_busy());
        assert!(doc.source().is_none() && doc.images().is_empty());
    }
}
