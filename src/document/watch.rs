//! Notices that another program changed the file of the open set.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::Wake;
use crate::coco::dataset::Dataset;

/// Between two looks at the file.
const PAUSE: Duration = Duration::from_secs(1);

/// A thread that looks at the file; it ends with this, or when the file is another.
pub(super) struct FileWatch {
    is_changed: Arc<AtomicBool>,
    is_told: bool,
    /// Dropped, it ends the thread.
    _stop: Sender<()>,
}

impl FileWatch {
    /// Watches the file of `dataset`. `wake` is called once, when it is another.
    pub fn start(dataset: Arc<Dataset>, wake: Wake) -> std::io::Result<Self> {
        let is_changed = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = channel();
        let told = Arc::clone(&is_changed);
        std::thread::Builder::new()
            .name("file watch".into())
            .spawn(move || {
                while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    if dataset.check_unchanged().is_err() {
                        told.store(true, Ordering::Relaxed);
                        wake();
                        return;
                    }
                }
            })?;
        Ok(Self {
            is_changed,
            is_told: false,
            _stop: stop,
        })
    }

    pub fn is_changed(&self) -> bool {
        self.is_changed.load(Ordering::Relaxed)
    }

    /// Whether it is another since this was last asked.
    pub fn take_news(&mut self) -> bool {
        let is_news = self.is_changed() && !self.is_told;
        self.is_told |= is_news;
        is_news
    }
}
