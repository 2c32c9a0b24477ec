//! The sets a run works on: as they are, or derived ones in the run's folder where classes are renamed, merged or left
//! out, or a part of the training set is kept for validation.

use std::path::{Path, PathBuf};

use super::{TrainJobError, TrainRequest};
use crate::coco::dataset::{Dataset, Role};
use crate::coco::{Derivation, write_derived};
use crate::config::Config;
use crate::jobs::JobError;
use crate::structures::Random;

/// Sets the stream of the split apart.
const SPLIT: u64 = 0x7370;

/// Changes of the sets before training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetChanges {
    /// Old and new name of a class; several old ones with one new name are merged.
    pub renames: Vec<(String, String)>,
    /// Classes whose annotations are left out.
    pub drops: Vec<String>,
    /// Share of the training set that is kept for validation.
    pub val_fraction: Option<f64>,
}

impl SetChanges {
    fn of_classes(&self) -> bool {
        !self.renames.is_empty() || !self.drops.is_empty()
    }
}

/// Writes what has to be derived into `folder` and puts the paths into `config`.
pub(super) fn sets(
    request: &TrainRequest,
    config: &mut Config,
    folder: &Path,
    notes: &mut Vec<String>,
) -> Result<(), JobError> {
    let changes = &request.changes;
    if !changes.of_classes() && changes.val_fraction.is_none() {
        return Ok(());
    }
    let train = Dataset::open_as(Path::new(&config.train_dataset), Role::Train, None)?;
    let (kept, held_back) = match changes.val_fraction {
        Some(fraction) => {
            let (kept, held_back) = split(train.images().len(), fraction, config.seed);
            if kept.is_empty() || held_back.is_empty() {
                return Err(TrainJobError::Split {
                    path: train.json().to_owned(),
                    images: train.images().len(),
                    fraction,
                }
                .into());
            }
            notes.push(format!(
                "{} images are trained on, {} are kept for validation",
                kept.len(),
                held_back.len()
            ));
            (Some(kept), Some(held_back))
        }
        None => (None, None),
    };
    let classes = classes(&train, changes)?;
    if let Some(held_back) = held_back {
        let part = derived(
            &train,
            Some(held_back),
            classes.clone(),
            &folder.join("val.json"),
        )?;
        config.val_dataset = part;
    } else if changes.of_classes() && !config.val_dataset.is_empty() {
        let val = Dataset::open_as(Path::new(&config.val_dataset), Role::Val, None)?;
        let names = lenient(&val, changes);
        config.val_dataset = derived(&val, None, names, &folder.join("val.json"))?;
    }
    config.train_dataset = derived(&train, kept, classes, &folder.join("train.json"))?;
    Ok(())
}

fn derived(
    set: &Dataset,
    images: Option<Vec<usize>>,
    classes: Vec<Option<String>>,
    output: &Path,
) -> Result<String, JobError> {
    write_derived(set, &Derivation { images, classes }, output)?;
    Ok(absolute(output).to_string_lossy().into_owned())
}

/// A path that means the same from any folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The new name of every class; a name in the request that the set does not have is an error.
fn classes(set: &Dataset, changes: &SetChanges) -> Result<Vec<Option<String>>, TrainJobError> {
    let asked = changes
        .renames
        .iter()
        .map(|(old, _)| old)
        .chain(&changes.drops);
    for name in asked {
        if !set.classes().names.contains(name) {
            return Err(TrainJobError::NoSuchClass {
                path: set.json().to_owned(),
                name: name.clone(),
                names: set.classes().names.join(", "),
            });
        }
    }
    Ok(lenient(set, changes))
}

fn lenient(set: &Dataset, changes: &SetChanges) -> Vec<Option<String>> {
    let renamed = |name: &String| {
        let new = changes.renames.iter().find(|(old, _)| old == name);
        new.map_or_else(|| name.clone(), |(_, new)| new.clone())
    };
    let names = set.classes().names.iter();
    names
        .map(|name| (!changes.drops.contains(name)).then(|| renamed(name)))
        .collect()
}

/// Positions that stay and positions that are kept back, both ascending.
fn split(images: usize, fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let all: Vec<usize> = (0..images).collect();
    let wanted = (images as f64 * fraction).round().max(1.0) as usize;
    let held_back = Random::of(&[seed, SPLIT]).choose(&all, wanted);
    let kept = all
        .into_iter()
        .filter(|image| held_back.binary_search(image).is_err());
    (kept.collect(), held_back)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_whole_and_repeats() {
        let (kept, held_back) = split(50, 0.2, 1);
        assert_eq!((kept.len(), held_back.len()), (40, 10));
        let mut all: Vec<usize> = kept.iter().chain(&held_back).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        assert_eq!(split(50, 0.2, 1), (kept.clone(), held_back));
        assert_ne!(split(50, 0.2, 2).0, kept);
        assert_eq!(split(3, 0.01, 1).1.len(), 1);
    }
}
