//! Decodes samples ahead of the steps, on threads of its own, in an order that does not depend on them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::order::{Order, scaled};
use crate::coco::dataset::Dataset;
use crate::config::{Config, Dialect};
use crate::data::{LabelledObject, TrainSample, decode, train_sample};
use crate::train::Draw;

/// Steps prepared ahead at least.
const AHEAD: usize = 3;

/// The images of one step.
#[derive(Debug, Default)]
pub(super) struct Fed {
    pub samples: Vec<Sample>,
    /// Images that could not be read: path and reason.
    pub skipped: Vec<(String, String)>,
}

/// One image of a step.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub path: PathBuf,
    pub draw: Draw,
    pub sample: TrainSample,
}

/// Where the samples come from.
pub(super) struct Source {
    pub dataset: Dataset,
    /// Label of the model for each of the set's.
    pub labels: Vec<Option<usize>>,
    pub order: Order,
    pub config: Config,
    pub dialect: Dialect,
}

/// Threads that work ahead. Dropping it ends them.
pub(super) struct Feed {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    next: usize,
}

struct Shared {
    source: Arc<Source>,
    state: Mutex<State>,
    changed: Condvar,
    ended: AtomicBool,
}

struct State {
    /// The next step that a thread takes, counted over epochs.
    untaken: usize,
    /// The step that the run asks for.
    wanted: usize,
    /// Steps that may wait there.
    ahead: usize,
    /// One more than the last step.
    end: usize,
    ready: BTreeMap<usize, Fed>,
    /// Order of an epoch, kept while steps of it are prepared.
    epochs: BTreeMap<usize, Arc<Vec<usize>>>,
}

impl Feed {
    /// Begins at data step `first`, counted from 0 over all epochs, and ends before `end`.
    pub fn start(
        source: Arc<Source>,
        first: usize,
        end: usize,
        on_card: bool,
    ) -> std::io::Result<Self> {
        let count = source
            .config
            .num_parallel_workers
            .clamp(1, most_workers(on_card));
        let shared = Arc::new(Shared {
            source,
            state: Mutex::new(State {
                untaken: first,
                wanted: first,
                ahead: if count > AHEAD { count + 1 } else { AHEAD },
                end,
                ready: BTreeMap::new(),
                epochs: BTreeMap::new(),
            }),
            changed: Condvar::new(),
            ended: AtomicBool::new(false),
        });
        let mut feed = Self {
            shared,
            threads: Vec::new(),
            next: first,
        };
        for number in 0..count {
            let shared = Arc::clone(&feed.shared);
            let thread = std::thread::Builder::new()
                .name(format!("samples {number}"))
                .spawn(move || shared.work())?;
            feed.threads.push(thread);
        }
        Ok(feed)
    }

    /// The images of the next step; `None` behind the last one, or where a thread broke.
    pub fn next(&mut self) -> Option<Fed> {
        let mut state = self.shared.lock();
        state.wanted = self.next;
        self.shared.changed.notify_all();
        loop {
            if let Some(fed) = state.ready.remove(&self.next) {
                self.next += 1;
                state.wanted = self.next;
                self.shared.changed.notify_all();
                return Some(fed);
            }
            let alive = self.threads.iter().any(|thread| !thread.is_finished());
            if self.next >= state.end || !alive {
                return None;
            }
            let waited = self.shared.changed.wait_timeout(state, PATIENCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// On the processor the network wants the cores itself; more threads than cores would only wait for each other.
fn most_workers(on_card: bool) -> usize {
    match on_card {
        true => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        false => AHEAD,
    }
}

/// A broken thread is noticed after this long.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(200);

impl Drop for Feed {
    fn drop(&mut self) {
        {
            // Under the lock: a thread between its look and its wait would miss the call.
            let _state = self.shared.lock();
            self.shared.ended.store(true, Ordering::Relaxed);
        }
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some((step, images)) = self.take() {
            let fed = self.source.load(step, &images);
            self.lock().ready.insert(step, fed);
            self.changed.notify_all();
        }
    }

    /// The next step and its images, once it is near enough.
    fn take(&self) -> Option<(usize, Vec<usize>)> {
        let mut state = self.lock();
        while !self.ended.load(Ordering::Relaxed) && state.untaken < state.end {
            if state.untaken >= state.wanted + state.ahead {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let step = state.untaken;
            state.untaken += 1;
            let order = &self.source.order;
            let (epoch, within) = (step / order.steps(), step % order.steps());
            let known = state.epochs.entry(epoch);
            let images = Arc::clone(known.or_insert_with(|| Arc::new(order.epoch(epoch))));
            state.epochs.retain(|&kept, _| kept + 1 >= epoch);
            let first = within * order.batch;
            return Some((step, images[first..first + order.batch].to_vec()));
        }
        None
    }
}

impl Source {
    /// The samples of a step's images; steps are counted over all epochs.
    pub fn load(&self, step: usize, images: &[usize]) -> Fed {
        let (epoch, within) = (step / self.order.steps(), step % self.order.steps());
        let scaled = (self.config.scale_range != [1.0, 1.0])
            .then(|| scaled(&self.config, self.order.seed, epoch, within));
        let config = scaled.as_ref().unwrap_or(&self.config);
        let mut fed = Fed::default();
        for &image in images {
            // A decoder that breaks on one file must not end the run, nor leave its step unready for ever.
            let sample = catch_unwind(AssertUnwindSafe(|| self.sample(config, epoch, image)));
            match sample.unwrap_or_else(|_| Err("the program broke on it".to_owned())) {
                Ok(sample) => fed.samples.push(sample),
                Err(reason) => {
                    let path = self.dataset.images().get(image).map(|image| &image.path);
                    let path = path.map(|path| path.display().to_string());
                    fed.skipped.push((path.unwrap_or_default(), reason));
                }
            }
        }
        fed
    }

    fn sample(&self, config: &Config, epoch: usize, index: usize) -> Result<Sample, String> {
        let image = self
            .dataset
            .images()
            .get(index)
            .ok_or("it is not in the set")?;
        let picture = decode(&image.path, image.declared).map_err(|error| error.to_string())?;
        if let Some(declared) = image.declared
            && declared != picture.size
        {
            return Err(format!(
                "the file is {}, the JSON says {declared}",
                picture.size
            ));
        }
        let annotations = self.dataset.read_annotations(index);
        let annotations = annotations.map_err(|error| error.to_string())?;
        let objects: Vec<LabelledObject> = annotations
            .kept
            .into_iter()
            .filter(|annotation| !annotation.is_crowd)
            .filter_map(|annotation| {
                Some(LabelledObject {
                    label: self.labels.get(annotation.label).copied().flatten()?,
                    bbox: annotation.bbox,
                    mask: annotation.mask,
                })
            })
            .collect();
        let flip = self.order.is_flipped(epoch, image.id, config.flip_ratio);
        Ok(Sample {
            path: image.path.clone(),
            draw: Draw {
                seed: self.order.seed,
                epoch,
                image: image.id,
            },
            sample: train_sample(&picture, &objects, config, self.dialect, flip),
        })
    }
}
