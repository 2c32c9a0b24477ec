//! Gradients summed on the cards by NCCL (feature `nccl`), bucket after bucket while the backward pass goes on. Everything else
//! the ranks exchange goes through MPI.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use candle_core::{Device, Tensor};

use super::Summing;
use super::buckets::Buckets;
use super::filling::Filling;
use super::ranks::{GRACE, PAUSE};
use crate::jobs::train::TrainJobError;
use crate::model::Ring;

/// The card of this rank among those of the others.
pub(super) struct Cards {
    ring: Arc<Ring>,
    device: Device,
}

impl Cards {
    pub fn new(ring: Ring, device: &Device) -> Self {
        Self {
            ring: Arc::new(ring),
            device: device.clone(),
        }
    }

    pub fn begin_sum(
        &self,
        sizes: Vec<(String, usize)>,
        gathered: &BTreeMap<String, Tensor>,
    ) -> Summing {
        let filling = Filling::new(Buckets::new(sizes), gathered.clone(), &self.device);
        let filling = Arc::new(Mutex::new(filling));
        let (theirs, ring) = (Arc::clone(&filling), Arc::clone(&self.ring));
        let tap = Arc::new(move |name: &str, gradient: &Tensor| {
            let mut filling = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            filling.take(name, gradient, &|parts| ring.sum(parts))
        });
        let ring = Arc::clone(&self.ring);
        let finish = move |stop: &AtomicBool| {
            let mut filling = filling.lock().unwrap_or_else(PoisonError::into_inner);
            let failed = |error: candle_core::Error| TrainJobError::Mpi {
                why: error.to_string(),
            };
            filling.rest(&|parts| ring.sum(parts)).map_err(failed)?;
            wait(&ring, stop).map_err(failed)?;
            filling.by_name().map_err(failed)
        };
        Summing {
            tap,
            finish: Box::new(finish),
        }
    }
}

/// Waits for what the cards sum; after a stop not for ever.
fn wait(ring: &Ring, stop: &AtomicBool) -> candle_core::Result<()> {
    let pending = ring.pending()?;
    let mut stopped: Option<Instant> = None;
    while !pending.is_over()? {
        if stop.load(Ordering::Relaxed)
            && stopped.get_or_insert_with(Instant::now).elapsed() > GRACE
        {
            // The cards cannot be called back, and MPI cannot end without the others.
            eprintln!("error: {}", TrainJobError::LostRank);
            std::process::exit(1);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
