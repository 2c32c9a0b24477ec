//! The processes that train together: one alone, or the ranks of `mpirun` (feature `mpi`).

mod buckets;
#[cfg(feature = "nccl")]
mod cards;
mod filling;
#[cfg(feature = "mpi")]
mod ranks;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use candle_core::{Device, Tensor};

use super::TrainJobError;
use crate::model::GradientTap;

#[cfg(feature = "mpi")]
use ranks::Ranks;

/// Set by Open MPI and by MPICH for every process they start.
const LAUNCHED: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// The number of a process among those of its machine: Open MPI, MPICH, Slurm.
const LOCAL_RANK: [&str; 3] = [
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "SLURM_LOCALID",
];

/// This process among those that train together.
pub(super) struct World {
    #[cfg(feature = "mpi")]
    ranks: Option<Ranks>,
    /// Set once the device is known, where NCCL sums.
    #[cfg(feature = "nccl")]
    cards: std::cell::OnceCell<cards::Cards>,
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
            #[cfg(feature = "nccl")]
            cards: std::cell::OnceCell::new(),
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
            #[cfg(feature = "nccl")]
            cards: std::cell::OnceCell::new(),
        }
    }

    /// Lets NCCL sum gradients on the cards of the ranks, where this build has it and each rank has a card of its own. Else they go
    /// through the host; why is returned, where a person may want to know.
    ///
    /// # Errors
    /// A process is lost.
    pub fn use_cards(
        &self,
        device: &Device,
        stop: &AtomicBool,
    ) -> Result<Option<String>, TrainJobError> {
        // All of them or none.
        if self.size() == 1 || self.largest(u8::from(!device.is_cuda()), stop)? > 0 {
            return Ok(None);
        }
        #[cfg(feature = "nccl")]
        return self.join_cards(device, stop);
        #[cfg(not(feature = "nccl"))]
        {
            let _ = stop;
            Ok(Some(
                "gradients are summed on the host: this build has no NCCL (feature nccl)".into(),
            ))
        }
    }

    #[cfg(feature = "nccl")]
    fn join_cards(
        &self,
        device: &Device,
        stop: &AtomicBool,
    ) -> Result<Option<String>, TrainJobError> {
        use crate::model::{Lane, Ring};
        let on_host = |why: &str| Ok(Some(format!("gradients are summed on the host: {why}")));
        let id = match self.leads() {
            true => Ring::id(),
            false => Ok([0; 128]),
        };
        // Who fails by himself says so before the others wait for him.
        let made = id.and_then(|id| Ok((id, Lane::of(device)?)));
        let failed = self.largest(u8::from(made.is_err()), stop)? > 0;
        let (mut id, lane) = match made {
            Ok(made) if !failed => made,
            Ok(_) => return on_host("another rank cannot use NCCL"),
            Err(error) => return on_host(&error.to_string()),
        };
        if let Some(ranks) = &self.ranks {
            ranks.share_bytes(&mut id, stop)?;
        }
        let joined = Ring::join(lane, self.rank(), self.size(), id);
        if self.largest(u8::from(joined.is_err()), stop)? > 0 {
            let why = joined.err().map(|error| error.to_string());
            return on_host(why.as_deref().unwrap_or("another rank cannot use NCCL"));
        }
        if let Ok(ring) = joined {
            // It is set once: a world joins one ring.
            let _ = self.cards.set(cards::Cards::new(ring, device));
        }
        Ok(None)
    }

    /// This process among those of its machine: which card it takes.
    pub fn local_rank(&self) -> usize {
        let found = LOCAL_RANK.iter().find_map(|name| std::env::var(name).ok());
        let rank = found.and_then(|rank| rank.parse().ok()).unwrap_or(0);
        if self.size() > 1 { rank } else { 0 }
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
        #[cfg(feature = "nccl")]
        if let Some(cards) = self.cards.get() {
            return Ok(Some(cards.begin_sum(sizes, gathered)));
        }
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.begin_sum(sizes, gathered).map(Some);
        }
        let _ = (sizes, gathered);
        Ok(None)
    }
}

/// Sums of gradients by name, flat; on the host or on the card.
pub(super) type Sums = BTreeMap<String, Tensor>;

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
