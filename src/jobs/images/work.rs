//! The worker threads: decode, shrink, keep.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::queue::Work;
use super::{DecodedImage, ImageEvent, ImageResult, Shared};
use crate::data::{self, RgbImage};
use crate::jobs::infer::ImageTask;
use crate::structures::Size;

/// Pixels of an image that is shown whole: 400 MB on the graphics card. A larger one is shown at a half, a third, ...
const MAX_SHOWN: usize = 100_000_000;

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
            Work::Full(task) => Some(guarded(&task.path, || full(task))),
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

/// A whole image.
fn full(task: &ImageTask) -> ImageResult {
    let image = decode(task)?;
    let factor = (1..).find(|factor| {
        let Size { width, height } = image.size;
        width.div_ceil(*factor) * height.div_ceil(*factor) <= MAX_SHOWN
    });
    Ok(Arc::new(match factor {
        Some(factor) if factor > 1 => {
            let small = shrink(&image, factor);
            DecodedImage::scaled(image.size, small.size, &small.rgb)
        }
        _ => DecodedImage::from_rgb(image.size, &image.rgb),
    }))
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
            let image = decode(task)?;
            let longer = image.size.width.max(image.size.height);
            let small = shrink(&image, longer.div_ceil(side));
            if let Some((disk, place)) = &place {
                disk.write(place, &small);
            }
            small
        }
    };
    Ok(Arc::new(DecodedImage::from_rgb(small.size, &small.rgb)))
}

fn decode(task: &ImageTask) -> Result<RgbImage, Arc<str>> {
    data::decode(&task.path, task.declared).map_err(|error| error.to_string().into())
}

/// Means of `factor × factor` pixels; those at the right and lower edge of fewer.
fn shrink(image: &RgbImage, factor: usize) -> RgbImage {
    if factor <= 1 {
        return image.clone();
    }
    let Size { width, height } = image.size;
    let size = Size::new(width.div_ceil(factor), height.div_ceil(factor));
    let mut rgb = Vec::with_capacity(size.pixels() * 3);
    let mut sums = vec![[0u32; 4]; size.width];
    for rows in image.rgb.chunks(factor * width * 3) {
        sums.fill([0; 4]);
        for row in rows.chunks_exact(width * 3) {
            let pixels = row.as_chunks::<3>().0;
            for (sum, group) in sums.iter_mut().zip(pixels.chunks(factor)) {
                for &[r, g, b] in group {
                    sum[0] += u32::from(r);
                    sum[1] += u32::from(g);
                    sum[2] += u32::from(b);
                    sum[3] += 1;
                }
            }
        }
        for &[r, g, b, count] in &sums {
            let count = count.max(1);
            rgb.extend([r, g, b].map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    RgbImage { size, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrink_takes_means_and_keeps_the_edge() {
        let rgb = (0..5 * 3).flat_map(|i| [i as u8 * 10, 0, 255]).collect();
        let image = RgbImage {
            size: Size::new(5, 3),
            rgb,
        };
        let small = shrink(&image, 2);
        assert_eq!(small.size, Size::new(3, 2));
        let red: Vec<u8> = small.rgb.iter().step_by(3).copied().collect();
        // (0+10+50+60)/4, (20+30+70+80)/4, (40+90)/2; (100+110)/2, (120+130)/2, 140
        assert_eq!(red, [30, 50, 65, 105, 125, 140]);
        assert!(small.rgb.iter().skip(2).step_by(3).all(|&blue| blue == 255));
    }
}
