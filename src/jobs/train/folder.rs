//! The folder of a run: its name, its lock, and which checkpoints stay (semantics.md 7.4).

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;

use super::TrainJobError;
use super::records::BestCheckpoint;

/// Asks a run to stop.
pub(super) const STOP_FILE: &str = "stop";
const LOCK_FILE: &str = "run.lock";
const BEST_FOLDER: &str = "best_ckpt";
/// Tries to take the lock, and the time between them.
const LOCK_TRIES: usize = 6;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// Optimiser states kept: should the newest be lost, the one before can be resumed from.
const STATES_KEPT: usize = 2;

/// A run's folder, locked for this process.
pub(super) struct RunFolder {
    pub path: PathBuf,
    /// Held as long as the run lives, by the process that leads.
    _lock: Option<File>,
}

/// A periodic checkpoint by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Periodic {
    /// 1-based.
    pub epoch: usize,
    /// Data steps done in it.
    pub step: usize,
    pub path: PathBuf,
}

/// The configuration that a run was begun with.
pub(super) fn config_path(folder: &Path) -> PathBuf {
    folder.join("config.yaml")
}

impl RunFolder {
    /// Makes `<outputs>/<yymmdd>_MSRCNN[_<brief>]`, with a number behind it where a run lies there already. The second
    /// result tells that the folder was there.
    pub fn create(outputs: &Path, brief: &str) -> Result<(Self, bool), TrainJobError> {
        let mut name = format!("{}_MSRCNN", ZonedDateTime::now().strftime("%y%m%d"));
        if !brief.is_empty() {
            name = format!("{name}_{brief}");
        }
        for number in 0.. {
            let path = match number {
                0 => outputs.join(&name),
                _ => outputs.join(format!("{name}_{number}")),
            };
            let was_there = path.exists();
            std::fs::create_dir_all(path.join(BEST_FOLDER))
                .and_then(|()| std::fs::create_dir_all(path.join("logs")))
                .map_err(|source| TrainJobError::Write {
                    path: path.clone(),
                    source,
                })?;
            match Self::lock(&path) {
                Ok(folder) if !holds_run(&path) => return Ok((folder, was_there)),
                Ok(_) | Err(TrainJobError::InUse { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("there is always another number")
    }

    /// Takes a folder over, to go on with its run.
    pub fn lock(path: &Path) -> Result<Self, TrainJobError> {
        let file = path.join(LOCK_FILE);
        let write = |source| TrainJobError::Write {
            path: file.clone(),
            source,
        };
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .map_err(write)?;
        for _ in 0..LOCK_TRIES {
            match lock.try_lock() {
                Ok(()) => {
                    // A request that came after the run had ended.
                    remove(&path.join(STOP_FILE));
                    return Ok(Self {
                        path: path.to_owned(),
                        _lock: Some(lock),
                    });
                }
                // A window that looks whether the run lives holds it for a moment.
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(source)) => return Err(write(source)),
            }
        }
        Err(TrainJobError::InUse {
            path: path.to_owned(),
        })
    }

    /// The folder that the leading process holds.
    pub fn follow(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            _lock: None,
        }
    }

    /// Takes a folder away in which nothing was trained yet.
    pub fn remove(self) {
        // What cannot be removed does no harm: the next run takes it.
        let _ = std::fs::remove_dir_all(&self.path);
    }

    /// Where the checkpoint after `step` data steps of an epoch goes.
    pub fn checkpoint(&self, rank: usize, epoch: usize, step: usize) -> PathBuf {
        let name = format!("MSRCNN_{rank}-{epoch}_{step}.safetensors");
        self.path.join(name)
    }

    /// Where the best checkpoint of an epoch goes.
    pub fn best(&self, epoch: usize, seg_map: f64) -> PathBuf {
        let name = format!("MSRCNN_epoch={epoch}_seg_mAP={seg_map:.3}.safetensors");
        self.path.join(BEST_FOLDER).join(name)
    }

    /// A path as it stands in records: relative to the folder, with slashes.
    pub fn relative(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.path).unwrap_or(path);
        inside.to_string_lossy().replace('\\', "/")
    }

    /// Removes what is beyond `keep` periodic checkpoints, oldest first, and states that no one will resume from.
    pub fn retain_periodic(&self, keep: usize) {
        let mut all = periodic(&self.path);
        all.reverse(); // newest first
        for (at, checkpoint) in all.iter().enumerate() {
            if at >= keep {
                remove(&checkpoint.path);
            }
            if at >= keep.min(STATES_KEPT) {
                remove(&state_path(&checkpoint.path));
            }
        }
    }

    /// Removes periodic checkpoints whose names come after that of a place, with their states.
    pub fn forget_after(&self, epoch: usize, step: usize) {
        let all = periodic(&self.path).into_iter();
        for later in all.filter(|found| (found.epoch, found.step) > (epoch, step)) {
            remove(&later.path);
            remove(&state_path(&later.path));
        }
    }

    /// Removes the oldest of the best beyond `keep`; what leaves the list leaves the disk.
    pub fn retain_best(&self, best: &mut Vec<BestCheckpoint>, keep: usize) {
        while best.len() > keep {
            let oldest = best.remove(0);
            remove(&self.path.join(oldest.path));
        }
    }

    /// Whether someone asked this run to stop; the request is taken.
    pub fn stop_asked(&self) -> bool {
        let file = self.path.join(STOP_FILE);
        file.exists() && std::fs::remove_file(&file).is_ok()
    }
}

/// A file that may be gone already.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        ::log::warn!("cannot remove {}: {error}", path.display());
    }
}

/// Whether a training ran here.
fn holds_run(folder: &Path) -> bool {
    folder.join("metrics.jsonl").exists() || folder.join("run.json").exists()
}

/// The training state beside a checkpoint.
pub(super) fn state_path(checkpoint: &Path) -> PathBuf {
    checkpoint.with_extension("state.safetensors")
}

/// Periodic checkpoints of a folder, oldest first.
pub(super) fn periodic(folder: &Path) -> Vec<Periodic> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<Periodic> = entries.filter_map(|entry| named(entry.path())).collect();
    found.sort();
    found
}

/// `MSRCNN_<rank>-<epoch>_<step>.safetensors`
fn named(path: PathBuf) -> Option<Periodic> {
    let name = path.file_name()?.to_str()?;
    let rest = name.strip_prefix("MSRCNN_")?.strip_suffix(".safetensors")?;
    let (epoch, step) = rest.split_once('-')?.1.split_once('_')?;
    Some(Periodic {
        epoch: epoch.parse().ok()?,
        step: step.parse().ok()?,
        path,
    })
}
