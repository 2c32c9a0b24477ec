//! Decodes images and thumbnails for the window on worker threads, newest request first.
//!
//! Nothing here waits: requests go into a queue, results come out of `events` and `full`, and `wake` says that there are
//! some. What was decoded stays in memory up to a limit; thumbnails also on disk, by path, size and time.

mod disk;
mod memory;
mod queue;
mod work;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use self::disk::DiskCache;
use self::memory::Memory;
use self::queue::Queue;
use crate::jobs::infer::ImageTask;
use crate::structures::Size;

/// Bytes of decoded images kept in memory: seven images of 4K and some.
const MEMORY_BYTES: usize = 384 << 20;
/// Pixels of an image that is shown whole: 400 MB, once in memory and once on the graphics card.
const MAX_PIXELS: usize = 100_000_000;
/// Bytes of thumbnails on disk: about fifty thousand.
const CACHE_BYTES: u64 = 1 << 30;
/// Pixels of a thumbnail's longer side: 128 points on a screen of high density.
const THUMBNAIL_SIDE: usize = 256;
/// Worker threads.
const THREADS: usize = 2;

/// A decoded image, ready for a texture.
#[derive(Debug)]
pub struct DecodedImage {
    /// Unique in the process: textures are cached by it.
    pub id: u64,
    /// Size of the image, upright: the frame of boxes and masks.
    pub size: Size,
    /// Size of `rgba`: smaller than `size` where the image is too large to show whole, or for a thumbnail.
    pub pixels: Size,
    /// Row-major, four bytes a pixel, sRGB, opaque.
    pub rgba: Vec<u8>,
}

impl DecodedImage {
    /// From the RGB bytes of an image of `size`, row-major. Work for a worker thread.
    pub fn from_rgb(size: Size, rgb: &[u8]) -> Self {
        Self::scaled(size, size, rgb)
    }

    /// From the RGB bytes of `pixels` pixels that stand for an image of `size`.
    pub(crate) fn scaled(size: Size, pixels: Size, rgb: &[u8]) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let mut rgba = Vec::with_capacity(rgb.len() / 3 * 4);
        for &[r, g, b] in rgb.as_chunks::<3>().0 {
            rgba.extend_from_slice(&[r, g, b, u8::MAX]);
        }
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            size,
            pixels,
            rgba,
        }
    }
}

/// How the service works.
#[derive(Clone, Debug)]
pub struct ImageServiceOptions {
    /// Folder of the thumbnail cache; `None` keeps nothing on disk (`--no-cache`).
    pub cache_dir: Option<PathBuf>,
    /// Limit of the thumbnail cache on disk.
    pub cache_bytes: u64,
    /// Limit of decoded images in memory.
    pub memory_bytes: usize,
    /// Pixels of an image that is shown whole; a larger one is shown smaller.
    pub max_pixels: usize,
    /// Longest side of a thumbnail in pixels.
    pub thumbnail_side: usize,
    /// Worker threads.
    pub threads: usize,
}

impl Default for ImageServiceOptions {
    /// The cache in the user's cache folder, where there is one.
    fn default() -> Self {
        Self {
            cache_dir: directories::ProjectDirs::from("", "", "maskscope")
                .map(|folders| folders.cache_dir().join("thumbnails")),
            cache_bytes: CACHE_BYTES,
            memory_bytes: MEMORY_BYTES,
            max_pixels: MAX_PIXELS,
            thumbnail_side: THUMBNAIL_SIDE,
            threads: THREADS,
        }
    }
}

/// An image, or why there is none: what, where, what to do.
pub type ImageResult = Result<Arc<DecodedImage>, Arc<str>>;

/// Something arrived.
#[derive(Clone, Debug)]
pub enum ImageEvent {
    /// An image that was requested or prefetched; `full` has it.
    Full {
        /// The caller's number.
        index: usize,
    },
    /// A thumbnail.
    Thumbnail {
        /// The caller's number.
        index: usize,
        /// Its pixels; `size` is that of the thumbnail.
        result: ImageResult,
    },
}

/// Decodes in the background. Dropping it stops the threads after the image in hand.
pub struct ImageService {
    shared: Arc<Shared>,
}

/// What service and workers share.
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    options: ImageServiceOptions,
    disk: Option<DiskCache>,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// All that changes.
#[derive(Default)]
struct State {
    /// Counts `clear`: results of an older one are dropped.
    epoch: u64,
    queue: Queue,
    memory: Memory,
    events: Vec<ImageEvent>,
    stop: bool,
}

impl Shared {
    /// A worker that panicked holds no half-made state: the state is only touched between decodes.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ImageService {
    /// Starts the threads. `wake` is called from them whenever something arrived.
    pub fn start(options: ImageServiceOptions, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let disk = options
            .cache_dir
            .clone()
            .map(|folder| DiskCache::new(folder, options.cache_bytes));
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            disk,
            wake: Box::new(wake),
            options,
        });
        for number in 0..shared.options.threads.max(1) {
            let shared = Arc::clone(&shared);
            let started = std::thread::Builder::new()
                .name(format!("images-{number}"))
                .spawn(move || work::run(&shared, number));
            if let Err(error) = started {
                log::error!("cannot start a thread that decodes images: {error}");
            }
        }
        Self { shared }
    }

    /// The image that the user looks at: comes before everything else. Asking again costs nothing.
    pub fn request_full(&self, task: ImageTask) {
        let mut state = self.shared.lock();
        if !state.memory.touch(task.index) {
            state.queue.request_full(task);
            self.shared.work.notify_one();
        }
    }

    /// The images that the user may look at next, the likeliest first. Replaces the list before.
    pub fn prefetch(&self, tasks: Vec<ImageTask>) {
        let mut state = self.shared.lock();
        let missing = tasks
            .into_iter()
            .filter(|task| !state.memory.touch(task.index))
            .collect();
        state.queue.prefetch(missing);
        self.shared.work.notify_all();
    }

    /// A thumbnail of something visible; ask in each frame until it arrives. Requests of the highest `turn` (the frame's
    /// number) come first, within it those made first; the oldest beyond a limit are forgotten.
    pub fn request_thumbnail(&self, task: ImageTask, turn: u64) {
        self.shared.lock().queue.request_thumbnail(task, turn);
        self.shared.work.notify_one();
    }

    /// An image that is in memory, or that could not be decoded.
    pub fn full(&self, index: usize) -> Option<ImageResult> {
        self.shared.lock().memory.get(index)
    }

    /// What arrived since the last call, without waiting.
    pub fn events(&self) -> Vec<ImageEvent> {
        std::mem::take(&mut self.shared.lock().events)
    }

    /// Another set is open: numbers mean other files. Forgets requests, results and images.
    pub fn clear(&self) {
        let mut state = self.shared.lock();
        *state = State {
            epoch: state.epoch + 1,
            ..State::default()
        };
    }

    /// Deletes the thumbnails on disk, in the background.
    pub fn clear_cache(&self) {
        self.shared.lock().queue.request_clearing();
        self.shared.work.notify_one();
    }
}

impl Drop for ImageService {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.work.notify_all();
    }
}
