//! The worker threads: decode, shrink, keep.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::queue::Work;
use super::{DecodedImage, ImageEvent, ImageResult, Shared};
use crate::data::{self, ImageError};
use crate::jobs::infer::ImageTask;
use crate::structures::Size;

/// Works until the service is dropped.
pub(super) fn run(shared: &Shared, number: usize) {
    while let Some((epoch, work)) = next(shared, number) {
        let event = match &work {
            Work::ClearCache => {
                if let Some(disk) = &shared.disk {
                    disk.clear();
                }
                None
            }
            Work::Full(task) => Some(guarded(&task.path, || {
                full(task, shared.options.max_pixels)
            })),
            Work::Thumbnail(task) => Some(guarded(&task.path, || thumbnail(shared, task))),
        };
        let mut state = shared.lock();
        if state.epoch != epoch {
            continue; // another set is open; its queue knows nothing of this work
        }
        state.queue.finish(&work);
        match (work, event) {
            (Work::Full(task), Some(result)) => {
                let index = task.index;
                state
                    .memory
                    .insert(index, result, shared.options.memory_bytes);
                state.events.push(ImageEvent::Full { index });
            }
            (Work::Thumbnail(task), Some(result)) => {
                let index = task.index;
                state.events.push(ImageEvent::Thumbnail { index, result });
            }
            _ => continue,
        }
        drop(state);
        (shared.wake)();
    }
}

/// Waits for work; `None` when the service is gone.
fn next(shared: &Shared, number: usize) -> Option<(u64, Work)> {
    let mut state = shared.lock();
    loop {
        if state.stop {
            return None;
        }
        if let Some(work) = state.queue.take(number) {
            return Some((state.epoch, work));
        }
        state = shared
            .work
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

/// A decoder that panics on a damaged file is an image that cannot be shown, not the end of the window.
fn guarded(path: &Path, make: impl FnOnce() -> ImageResult) -> ImageResult {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| {
        Err(format!("{} made the decoder fail: copy it again", path.display()).into())
    })
}

/// A whole image; a very large one smaller, but in the frame of the whole.
fn full(task: &ImageTask, max_pixels: usize) -> ImageResult {
    let upright = data::probe(&task.path).map_err(message)?;
    if upright.pixels() <= max_pixels {
        let image = data::decode(&task.path, task.declared).map_err(message)?;
        return Ok(Arc::new(DecodedImage::from_rgb(image.size, &image.rgb)));
    }
    let longer = upright.width.max(upright.height) as f64;
    let side = longer * (max_pixels as f64 / upright.pixels() as f64).sqrt();
    let small =
        data::decode_thumbnail(&task.path, side as usize, task.declared).map_err(message)?;
    // A declared size can mean that the picture is not turned, which the header alone does not know.
    let turned = (small.size.width > small.size.height) != (upright.width > upright.height);
    let size = if turned {
        Size::new(upright.height, upright.width)
    } else {
        upright
    };
    Ok(Arc::new(DecodedImage::scaled(size, small.size, &small.rgb)))
}

/// A thumbnail, from the disk where it is there.
fn thumbnail(shared: &Shared, task: &ImageTask) -> ImageResult {
    let side = shared.options.thumbnail_side.max(1);
    let disk = shared.disk.as_ref();
    let place = disk.and_then(|disk| Some((disk, disk.place(&task.path, side)?)));
    let kept = place.as_ref().and_then(|(disk, place)| disk.read(place));
    let small = match kept {
        Some(kept) => kept,
        None => {
            let small = data::decode_thumbnail(&task.path, side, task.declared).map_err(message)?;
            if let Some((disk, place)) = &place {
                disk.write(place, &small);
            }
            small
        }
    };
    Ok(Arc::new(DecodedImage::from_rgb(small.size, &small.rgb)))
}

fn message(error: ImageError) -> Arc<str> {
    error.to_string().into()
}
