//! The ranks of `mpirun`. Every wait looks at the stop flag, so that a lost rank does not hold the others for ever.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::request::{Request, Scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use super::buckets::Buckets;
use super::{Summing, Sums};
use crate::jobs::train::TrainJobError;
use crate::model::GradientTap;

/// Between two looks at a request.
pub(super) const PAUSE: Duration = Duration::from_micros(100);
/// So long after a stop the others may still answer.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// This process and the others.
pub(super) struct Ranks {
    rank: usize,
    size: usize,
    /// Ended by `leave` alone: after an error the others would never come to end it too.
    universe: ManuallyDrop<Universe>,
}

/// A gradient that is whole: its bucket, its part, its values.
type Arrived = (usize, usize, Vec<f32>);

impl Ranks {
    pub fn join() -> Result<Self, TrainJobError> {
        let refused = |why: &str| TrainJobError::Mpi { why: why.into() };
        let (universe, given) = mpi::initialize_with_threading(Threading::Serialized)
            .ok_or_else(|| refused("it was begun before"))?;
        if given < Threading::Serialized {
            return Err(refused("it was built without support for threads"));
        }
        let world = universe.world();
        let ranks = Self {
            rank: world.rank() as usize,
            size: world.size() as usize,
            universe: ManuallyDrop::new(universe),
        };
        ranks.share_cores();
        Ok(ranks)
    }

    /// Ranks of one machine share its cores: as many threads each as there are for it.
    fn share_cores(&self) {
        let local = std::env::var("OMPI_COMM_WORLD_LOCAL_SIZE").ok();
        let local = local.and_then(|size| size.parse().ok()).unwrap_or(1usize);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (cores / local.max(1)).max(1);
        // Somebody who set the number of threads has chosen already.
        if std::env::var_os("RAYON_NUM_THREADS").is_none() {
            let _ = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global();
        }
    }

    /// Ends MPI together with the others.
    pub fn leave(self) {
        drop(ManuallyDrop::into_inner(self.universe));
    }

    pub fn rank(&self) -> usize {
        self.rank
    }

    pub fn size(&self) -> usize {
        self.size
    }

    pub fn share(&self, values: &mut [f32], stop: &AtomicBool) -> Result<(), TrainJobError> {
        let world = SimpleCommunicator::world();
        let root = world.process_at_rank(0);
        mpi::request::scope(|scope| wait(root.immediate_broadcast_into(scope, values), stop))
    }

    pub fn share_text(&self, text: &str, stop: &AtomicBool) -> Result<String, TrainJobError> {
        let world = SimpleCommunicator::world();
        let root = world.process_at_rank(0);
        let mut len = text.len() as u64;
        mpi::request::scope(|scope| wait(root.immediate_broadcast_into(scope, &mut len), stop))?;
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(len as usize, 0);
        self.share_bytes(&mut bytes, stop)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Gives every process the bytes of the first; of as many.
    pub fn share_bytes(&self, bytes: &mut [u8], stop: &AtomicBool) -> Result<(), TrainJobError> {
        let world = SimpleCommunicator::world();
        let root = world.process_at_rank(0);
        mpi::request::scope(|scope| wait(root.immediate_broadcast_into(scope, bytes), stop))
    }

    pub fn largest(&self, own: u8, stop: &AtomicBool) -> Result<u8, TrainJobError> {
        let world = SimpleCommunicator::world();
        let mut found = 0u8;
        mpi::request::scope(|scope| {
            let operation = SystemOperation::max();
            wait(
                world.immediate_all_reduce_into(scope, &own, &mut found, operation),
                stop,
            )
        })?;
        Ok(found)
    }

    /// A thread sums bucket after bucket while the backward pass brings gradients.
    pub fn begin_sum(
        &self,
        sizes: Vec<(String, usize)>,
        gathered: &BTreeMap<String, Tensor>,
    ) -> Result<Summing, TrainJobError> {
        let buckets = Arc::new(Buckets::new(sizes));
        let mut sums: Vec<Vec<f32>> = buckets.all.iter().map(|b| vec![0.0; b.len]).collect();
        for (name, tensor) in gathered {
            let values = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
            let values = values.map_err(|error| TrainJobError::Mpi {
                why: error.to_string(),
            })?;
            if let Some((bucket, part)) = buckets.place(name) {
                add(&mut sums, &buckets, (bucket, part, values));
            }
        }
        let (sender, arrived) = channel::<Arrived>();
        let stopped = Arc::new(AtomicBool::new(false));
        let (layout, flag) = (Arc::clone(&buckets), Arc::clone(&stopped));
        let thread = std::thread::Builder::new()
            .name("gradients".into())
            .spawn(move || sum_all(&layout, sums, &arrived, &flag))
            .map_err(|source| TrainJobError::Thread { source })?;
        let sender = Arc::new(Mutex::new(Some(sender)));
        let tap = tap(Arc::clone(&buckets), Arc::clone(&sender));
        let finish = move |stop: &AtomicBool| {
            // Without a sender the thread knows that nothing more comes.
            drop(sender.lock().unwrap_or_else(PoisonError::into_inner).take());
            while !thread.is_finished() {
                stopped.store(stop.load(Ordering::Relaxed), Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            }
            let broken = |_| TrainJobError::Mpi {
                why: "the thread that sums gradients broke".into(),
            };
            let sums = thread.join().map_err(broken)??;
            by_name(&buckets, &sums).map_err(|error| TrainJobError::Mpi {
                why: error.to_string(),
            })
        };
        Ok(Summing {
            tap,
            finish: Box::new(finish),
        })
    }
}

/// Sends every gradient on its way as soon as the backward pass has it.
fn tap(buckets: Arc<Buckets>, sender: Arc<Mutex<Option<Sender<Arrived>>>>) -> GradientTap {
    Arc::new(move |name, gradient| {
        let values = gradient.flatten_all()?.to_vec1::<f32>()?;
        let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some((bucket, part)), Some(sender)) = (buckets.place(name), &*sender) {
            // The thread ends early only where a rank is lost; `finish` tells.
            let _ = sender.send((bucket, part, values));
        }
        Ok(())
    })
}

fn sum_all(
    buckets: &Buckets,
    mut sums: Vec<Vec<f32>>,
    arrived: &Receiver<Arrived>,
    stop: &AtomicBool,
) -> Result<Vec<Vec<f32>>, TrainJobError> {
    let mut missing: Vec<usize> = buckets
        .all
        .iter()
        .map(|bucket| bucket.parts.len())
        .collect();
    let world = SimpleCommunicator::world();
    for at in 0..sums.len() {
        // A gradient that never comes is zero: the backward pass is over when all senders are gone.
        while missing[at] > 0 {
            let Ok(gradient) = arrived.recv() else { break };
            missing[gradient.0] -= 1;
            add(&mut sums, buckets, gradient);
        }
        let own = std::mem::take(&mut sums[at]);
        let mut sum = vec![0.0; own.len()];
        mpi::request::scope(|scope| {
            let operation = SystemOperation::sum();
            wait(
                world.immediate_all_reduce_into(scope, &own[..], &mut sum[..], operation),
                stop,
            )
        })?;
        sums[at] = sum;
    }
    Ok(sums)
}

fn add(sums: &mut [Vec<f32>], buckets: &Buckets, (bucket, part, values): Arrived) {
    let (_, start, len) = &buckets.all[bucket].parts[part];
    for (sum, value) in sums[bucket][*start..start + len].iter_mut().zip(values) {
        *sum += value;
    }
}

fn by_name(buckets: &Buckets, sums: &[Vec<f32>]) -> candle_core::Result<Sums> {
    let mut named = Sums::new();
    for (bucket, sums) in buckets.all.iter().zip(sums) {
        for (name, start, len) in &bucket.parts {
            let part = Tensor::from_slice(&sums[*start..start + len], *len, &Device::Cpu)?;
            named.insert(name.clone(), part);
        }
    }
    Ok(named)
}

/// Waits for a request; after a stop not for ever.
fn wait<'a, D: ?Sized, S: Scope<'a>>(
    mut request: Request<'a, D, S>,
    stop: &AtomicBool,
) -> Result<(), TrainJobError> {
    let mut stopped: Option<Instant> = None;
    loop {
        match request.test() {
            Ok(_) => return Ok(()),
            Err(pending) => request = pending,
        }
        if stop.load(Ordering::Relaxed) {
            let since = *stopped.get_or_insert_with(Instant::now);
            if since.elapsed() > GRACE {
                // What the request writes to must stay as long as MPI lives, and MPI cannot end without the others.
                eprintln!("error: {}", TrainJobError::LostRank);
                std::process::exit(1);
            }
        }
        std::thread::sleep(PAUSE);
    }
}
