//! Inference over a list of images in the background.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::batches::{Fitting, is_out_of_memory};
use super::lineup::Lineup;
use super::model::{self, LoadedModel, Prepared};
use super::queue::TaskQueue;
use crate::data;

use crate::structures::{ClassTable, Detection, Size};

/// Which model to run and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelRequest {
    /// Checkpoint file of any format.
    pub checkpoint: PathBuf,
    /// Configuration file; the checkpoint's own without.
    pub config: Option<PathBuf>,
    /// `a.b=c` settings.
    pub set: Vec<String>,
    /// `auto`, `cpu`, `cuda` or `cuda:N`; empty is `auto`.
    pub device: String,
}

/// What is known of a loaded model.
#[derive(Clone, Debug)]
pub struct ModelSummary {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Foreground classes.
    pub classes: ClassTable,
    /// For example `ResNet-50 caffe`.
    pub backbone: String,
    /// `mindspore` or `mmdet`.
    pub dialect: &'static str,
    /// For example `CPU, 2 threads, AVX-512`.
    pub device: String,
    /// `float32`.
    pub precision: &'static str,
    /// Values of all tensors, BatchNorm statistics included.
    pub parameters: usize,
    /// Whether `mask_iou` means something.
    pub mask_scoring: bool,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// An image to run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageTask {
    /// The caller's number of the image, returned with every event.
    pub index: usize,
    /// The file.
    pub path: PathBuf,
    /// Size that a COCO JSON declares, which decides about EXIF rotation.
    pub declared: Option<Size>,
}

/// What happens during a job, in order.
#[derive(Clone, Debug)]
pub enum InferEvent {
    /// The model is ready.
    ModelLoaded(ModelSummary),
    /// Work on an image begins.
    Started {
        /// The caller's number.
        index: usize,
    },
    /// An image is done.
    Detected {
        /// The caller's number.
        index: usize,
        /// Size of the image as decoded.
        size: Size,
        /// Instances, best score first.
        detections: Arc<Vec<Detection>>,
    },
    /// An image could not be used; the rest goes on.
    Failed {
        /// The caller's number.
        index: usize,
        /// What, where, what to do.
        error: String,
    },
    /// How far the job is.
    Progress {
        /// Images done or failed.
        done: usize,
        /// All images.
        total: usize,
        /// Over the last images.
        images_per_second: f64,
        /// Time left at that speed.
        eta: Option<Duration>,
    },
    /// The job ended: every image was tried.
    Finished {
        /// Images that failed.
        failed: usize,
    },
    /// The job was cancelled; what was reported stays.
    Cancelled,
    /// The model could not be loaded, or broke.
    Fatal(String),
}

/// Images over which the speed is averaged.
const SPEED_WINDOW: usize = 16;
/// A thread that waits looks at the cancel flag this often at least.
const PATIENCE: Duration = Duration::from_millis(200);

/// A running job. Dropping it cancels.
pub struct InferJob {
    shared: Arc<Shared>,
    positions: HashMap<usize, usize>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    cancelled: AtomicBool,
    paused: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

struct State {
    queue: TaskQueue<ImageTask>,
    ready: Lineup<Ready, (usize, String)>,
    /// Threads that may still bring an image.
    decoders: usize,
    failed: usize,
    events: VecDeque<InferEvent>,
    ended: bool,
}

struct Ready {
    index: usize,
    size: Size,
    prepared: Prepared,
}

impl InferJob {
    /// Loads the model and runs it over `tasks` on a thread of its own. `wake` is called after every event.
    pub fn start(
        model: ModelRequest,
        tasks: Vec<ImageTask>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let positions = tasks
            .iter()
            .enumerate()
            .map(|(at, task)| (task.index, at))
            .collect();
        let total = tasks.len();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: TaskQueue::new(tasks),
                ready: Lineup::new(),
                decoders: 0,
                failed: 0,
                events: VecDeque::new(),
                ended: false,
            }),
            changed: Condvar::new(),
            cancelled: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            wake: Box::new(wake),
        });
        let worker = Arc::clone(&shared);
        let started = std::thread::Builder::new()
            .name("infer".into())
            .spawn(move || {
                let work = std::panic::AssertUnwindSafe(|| run(&worker, &model, total));
                // A bug in one operation must end the job with a message, not the program.
                let last = std::panic::catch_unwind(work).unwrap_or_else(|_| {
                    InferEvent::Fatal("the job broke; the log holds the details".into())
                });
                worker.finish(last);
                // What the network's tensors left waiting goes back to the system.
                crate::alloc::release();
                model::release();
            });
        if let Err(error) = started {
            shared.finish(InferEvent::Fatal(format!("cannot start a thread: {error}")));
        }
        Self { shared, positions }
    }

    /// The image that the user looks at comes first, then its neighbours.
    pub fn prioritise(&self, index: usize) {
        if let Some(&position) = self.positions.get(&index) {
            self.shared.lock().queue.prioritise(position);
        }
    }

    /// Holds the job between images, or lets it go on.
    pub fn set_paused(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::Relaxed);
        self.shared.changed.notify_all();
    }

    /// Whether the job is held.
    pub fn is_paused(&self) -> bool {
        self.shared.paused.load(Ordering::Relaxed)
    }

    /// Stops after the image in hand.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
        self.shared.changed.notify_all();
    }

    /// Events since the last call, without waiting.
    pub fn events(&self) -> Vec<InferEvent> {
        self.shared.lock().events.drain(..).collect()
    }

    /// The next event; waits for it at most `patience`. `None` when time is up or the job has ended.
    pub fn wait_event(&self, patience: Duration) -> Option<InferEvent> {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                return Some(event);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.shared.wait(state, left);
        }
    }
}

impl Drop for InferJob {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, patience: Duration) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, patience)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn send(&self, event: InferEvent) {
        self.lock().events.push_back(event);
        self.changed.notify_all();
        (self.wake)();
    }

    fn fail(&self, index: usize, error: String) {
        self.lock().failed += 1;
        self.send(InferEvent::Failed { index, error });
    }

    fn finish(&self, last: InferEvent) {
        self.lock().ended = true;
        self.send(last);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Loads, then decodes on other threads while the network runs on this one.
fn run(shared: &Shared, request: &ModelRequest, total: usize) -> InferEvent {
    let model = match model::load(request) {
        Ok(model) => model,
        Err(error) => return InferEvent::Fatal(error.to_string()),
    };
    shared.send(InferEvent::ModelLoaded(model.summary.clone()));
    let count = decoders(&model);
    // One batch in hand and one image ahead: hides decoding, bounds memory for large photos.
    let capacity = model.batch_size() + 1 + count;
    shared.lock().decoders = count;
    std::thread::scope(|scope| {
        let _end = EndOfDecoders(shared);
        for number in 0..count {
            let decoder = std::thread::Builder::new()
                .name(format!("infer-decode {number}"))
                .spawn_scoped(scope, || decode_all(shared, &model, capacity));
            if let Err(error) = decoder {
                return InferEvent::Fatal(format!("cannot start a thread: {error}"));
            }
        }
        detect_all(shared, &model, total)
    })
}

/// Lets decoders end that wait for room, however the network's thread leaves.
struct EndOfDecoders<'a>(&'a Shared);

impl Drop for EndOfDecoders<'_> {
    fn drop(&mut self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
        self.0.changed.notify_all();
    }
}

/// A card is quicker than one decoder; on the processor the network wants the cores itself.
fn decoders(model: &LoadedModel) -> usize {
    const MOST: usize = 8;
    if model.is_on_cpu() {
        return 1;
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    (cores / 2).clamp(1, MOST)
}

fn decode_all(shared: &Shared, model: &LoadedModel, capacity: usize) {
    while let Some((place, task)) = next_task(shared, capacity) {
        let work = std::panic::AssertUnwindSafe(|| ready(model, &task));
        let ready = std::panic::catch_unwind(work).unwrap_or_else(|_| {
            let file = task.path.display();
            Err(format!("{file}: the program broke on this file"))
        });
        let ready = ready.map_err(|error| (task.index, error));
        let failures = shared.lock().ready.finish(place, ready);
        for (index, error) in failures {
            shared.fail(index, error);
        }
        shared.changed.notify_all();
    }
    shared.lock().decoders -= 1;
    shared.changed.notify_all();
}

/// The image of a task as the network takes it, or why there is none.
fn ready(model: &LoadedModel, task: &ImageTask) -> Result<Ready, String> {
    let file = task.path.display();
    let image = data::decode(&task.path, task.declared).map_err(|error| error.to_string())?;
    let prepared = model.prepare(&image);
    Ok(Ready {
        index: task.index,
        size: image.size,
        prepared: prepared.map_err(|error| format!("{file}: {error}"))?,
    })
}

/// Waits for room and hands out the next image with its place; `None` at the end or when cancelled.
fn next_task(shared: &Shared, capacity: usize) -> Option<(usize, ImageTask)> {
    let mut state = shared.lock();
    loop {
        if shared.is_cancelled() {
            return None;
        }
        if state.ready.waiting() < capacity {
            let task = state.queue.next()?;
            return Some((state.ready.begin(), task));
        }
        state = shared.wait(state, PATIENCE);
    }
}

/// Where a single image does not fit either.
const NO_MEMORY: &str = "the device has no memory for one image: run on smaller ones (--set img_width=.. and img_height=..), \
                         with --set precision=f16, or with --device cpu; what was found so far is kept";

fn detect_all(shared: &Shared, model: &LoadedModel, total: usize) -> InferEvent {
    let mut meter = Meter::new(total);
    let mut fitting = Fitting::default();
    loop {
        let batch = next_batch(shared, model.batch_size());
        if shared.is_cancelled() {
            return InferEvent::Cancelled;
        }
        if batch.is_empty() {
            return InferEvent::Finished {
                failed: shared.lock().failed,
            };
        }
        let sizes: Vec<_> = batch
            .iter()
            .map(|ready| (ready.index, ready.size))
            .collect();
        for &(index, _) in &sizes {
            shared.send(InferEvent::Started { index });
        }
        let images: Vec<Prepared> = batch.into_iter().map(|ready| ready.prepared).collect();
        let halved = |most| {
            let images = if most == 1 { "image" } else { "images" };
            log::warn!(
                "no memory on the device for the batch: it takes {most} {images} at once from now on"
            )
        };
        match fitting.run(&images, |part| model.detect(part), is_out_of_memory, halved) {
            Ok(detections) => {
                meter.detected += sizes.len();
                for ((index, size), detections) in sizes.into_iter().zip(detections) {
                    let detections = Arc::new(detections);
                    shared.send(InferEvent::Detected {
                        index,
                        size,
                        detections,
                    });
                }
            }
            // NaN or a failed allocation would meet every further image too.
            Err(error) if is_out_of_memory(&error) => return InferEvent::Fatal(NO_MEMORY.into()),
            Err(error) => return InferEvent::Fatal(error.to_string()),
        }
        let failed = shared.lock().failed;
        shared.send(meter.progress(failed));
    }
}

/// Waits for decoded images; empty when there are no more or the job is cancelled.
fn next_batch(shared: &Shared, batch: usize) -> Vec<Ready> {
    let mut state = shared.lock();
    loop {
        let paused = shared.paused.load(Ordering::Relaxed);
        if shared.is_cancelled() {
            return Vec::new();
        }
        let is_last = state.decoders == 0;
        if !paused && let Some(batch) = state.ready.next(batch, is_last) {
            shared.changed.notify_all();
            return batch;
        }
        state = shared.wait(state, PATIENCE);
    }
}

/// Speed over the last images and the time left.
struct Meter {
    detected: usize,
    total: usize,
    times: VecDeque<(Instant, usize)>,
}

impl Meter {
    fn new(total: usize) -> Self {
        Self {
            detected: 0,
            total,
            times: VecDeque::from([(Instant::now(), 0)]),
        }
    }

    fn progress(&mut self, failed: usize) -> InferEvent {
        let now = Instant::now();
        self.times.push_back((now, self.detected));
        if self.times.len() > SPEED_WINDOW + 1 {
            self.times.pop_front();
        }
        let (since, before) = self.times.front().copied().unwrap_or((now, 0));
        let seconds = now.duration_since(since).as_secs_f64().max(1e-9);
        let images_per_second = (self.detected - before) as f64 / seconds;
        let done = self.detected + failed;
        let left = self.total.saturating_sub(done);
        let eta = Duration::try_from_secs_f64(left as f64 / images_per_second).ok();
        InferEvent::Progress {
            done,
            total: self.total,
            images_per_second,
            eta,
        }
    }
}
