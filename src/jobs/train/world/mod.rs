//! The processes that train together: one alone, or the ranks of `mpirun` (feature `mpi`).

mod buckets;
#[cfg(feature = "mpi")]
mod ranks;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use candle_core::Tensor;

use super::TrainJobError;
use crate::model::GradientTap;

#[cfg(feature = "mpi")]
use ranks::Ranks;

/// Set by Open MPI and by MPICH for every process they start.
const LAUNCHED: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// This process among those that train together.
pub(super) struct World {
    #[cfg(feature = "mpi")]
    ranks: Option<Ranks>,
}

impl World {
    /// Joins the processes that `mpirun` started; a process by itself is alone.
    ///
    /// # Errors
    /// More than one process without MPI in this build, or MPI cannot begin.
    pub fn join() -> Result<Self, TrainJobError> {
        let asked = LAUNCHED.iter().find_map(|name| std::env::var(name).ok());
        let size: usize = asked.and_then(|size| size.parse().ok()).unwrap_or(1);
        #[cfg(feature = "mpi")]
        return Ok(Self {
            ranks: if size > 1 { Some(Ranks::join()?) } else { None },
        });
        #[cfg(not(feature = "mpi"))]
        if size > 1 {
            Err(TrainJobError::NoMpi { size })
        } else {
            Ok(Self::alone())
        }
    }

    /// This process by itself.
    pub fn alone() -> Self {
        Self {
            #[cfg(feature = "mpi")]
            ranks: None,
        }
    }

    /// Parts from the others after a run that ended well.
    pub fn leave(self) {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = self.ranks {
            ranks.leave();
        }
    }

    /// This process; 0 evaluates and writes.
    pub fn rank(&self) -> usize {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.rank();
        }
        0
    }

    /// All of them.
    pub fn size(&self) -> usize {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.size();
        }
        1
    }

    /// Whether this process writes files and evaluates.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// Gives every process the values of the first.
    ///
    /// # Errors
    /// A process is lost.
    pub fn share(&self, values: &mut [f32], stop: &AtomicBool) -> Result<(), TrainJobError> {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.share(values, stop);
        }
        let _ = (values, stop);
        Ok(())
    }

    /// Gives every process the text of the first.
    ///
    /// # Errors
    /// A process is lost.
    pub fn share_text(&self, text: &str, stop: &AtomicBool) -> Result<String, TrainJobError> {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.share_text(text, stop);
        }
        let _ = stop;
        Ok(text.to_owned())
    }

    /// The largest of the numbers that the processes give: how they agree to stop.
    ///
    /// # Errors
    /// A process is lost.
    pub fn largest(&self, own: u8, stop: &AtomicBool) -> Result<u8, TrainJobError> {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.largest(own, stop);
        }
        let _ = stop;
        Ok(own)
    }

    /// Begins to sum gradients over the processes while they arrive; `None` where there is no other process.
    /// `sizes` are names and lengths of all of them in the order of the network, `gathered` what earlier micro-batches gave.
    pub fn begin_sum(
        &self,
        sizes: Vec<(String, usize)>,
        gathered: &BTreeMap<String, Tensor>,
    ) -> Result<Option<Summing>, TrainJobError> {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.begin_sum(sizes, gathered).map(Some);
        }
        let _ = (sizes, gathered);
        Ok(None)
    }
}

/// Sums of gradients by name.
pub(super) type Sums = BTreeMap<String, Vec<f32>>;

/// Waits for a sum that has begun.
type Finish = dyn FnOnce(&AtomicBool) -> Result<Sums, TrainJobError>;

/// A sum over the processes that goes on beside the backward pass.
pub(super) struct Summing {
    /// Hears of every gradient as soon as it is whole.
    pub tap: GradientTap,
    /// Waits for the rest and gives the sums by name.
    finish: Box<Finish>,
}

impl Summing {
    /// The sums, once the backward pass is over.
    ///
    /// # Errors
    /// A process is lost.
    pub fn finish(self, stop: &AtomicBool) -> Result<Sums, TrainJobError> {
        (self.finish)(stop)
    }
}
