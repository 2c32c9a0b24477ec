//! Masks into the image on a device, straight to runs.
//!
//! Axes: D detections, S rows and columns of a mask.

use std::ops::Range;

use candle_core::{Result, bail};

use super::{Arg, Kernel, Launcher, Size, THREADS, bits, int, size_arg};
use crate::ops::paste::RunBuilder;
use crate::structures::{self, BoxXyxy, Rle};

const fn kernel(name: &'static str) -> Kernel {
    Kernel {
        file: "paste",
        name,
    }
}

/// The largest mask that the kernels hold a column of.
pub const MOST_SIDE: usize = 64;

/// masks (D,S,S) and the box of each in the image -> the pixels with a pasted value of at least `threshold`, of each.
///
/// # Errors
/// Masks larger than `MOST_SIDE`; an image too large for the kernels; the launcher's.
pub fn paste<L: Launcher>(
    on: &L,
    masks: &L::Buffer,
    side: usize,
    boxes: &[BoxXyxy],
    image: structures::Size,
    threshold: f32,
) -> Result<Vec<Rle>> {
    if side > MOST_SIDE {
        bail!("masks of {side}×{side} are larger than the kernels take: {MOST_SIDE}");
    }
    int(image.pixels())?;
    let cells = boxes.len() * image.width;
    if cells == 0 {
        return Ok(boxes.iter().map(|_| Rle::empty(image)).collect());
    }
    let corners = boxes.iter().flat_map(|b| [b.x1, b.y1, b.x2, b.y2]);
    let corners = on.upload(&bits(corners))?;
    let by_column = Size {
        grid: [
            image.width.div_ceil(THREADS as usize) as u32,
            boxes.len() as u32,
            1,
        ],
        threads: THREADS,
    };
    let sizes = [
        size_arg(side)?,
        size_arg(image.width)?,
        size_arg(image.height)?,
        Arg::Float(threshold),
    ];
    let counts = on.alloc(cells)?;
    let mut args = vec![
        Arg::Buffer(masks),
        Arg::Buffer(&corners),
        Arg::Buffer(&counts),
    ];
    args.extend(sizes);
    on.launch(kernel("paste_count"), by_column, &args)?;

    let offsets = on.alloc(cells + 1)?;
    let one_block = Size {
        grid: [1, 1, 1],
        threads: THREADS,
    };
    let args = [
        Arg::Buffer(&counts),
        Arg::Buffer(&offsets),
        size_arg(cells)?,
    ];
    on.launch(kernel("paste_offsets"), one_block, &args)?;
    let places = on.download(&offsets, cells + 1)?;

    let stretches = places.last().map_or(0, |&count| count as usize);
    let runs = on.alloc(2 * stretches.max(1))?;
    let mut args = vec![
        Arg::Buffer(masks),
        Arg::Buffer(&corners),
        Arg::Buffer(&offsets),
        Arg::Buffer(&runs),
    ];
    args.extend(sizes);
    on.launch(kernel("paste_runs"), by_column, &args)?;
    let runs = on.download(&runs, 2 * stretches)?;
    let of_detection = |index: usize| {
        let place = |at: usize| 2 * places[at] as usize;
        joined(
            &runs[place(index * image.width)..place((index + 1) * image.width)],
            image,
        )
    };
    Ok((0..boxes.len()).map(of_detection).collect())
}

/// Pairs of first and end pixel, column by column; stretches that meet at the edge of a column become one.
fn joined(runs: &[u32], image: structures::Size) -> Rle {
    let mut builder = RunBuilder::default();
    for &[start, end] in runs.as_chunks::<2>().0 {
        builder.push(Range {
            start: start as usize,
            end: end as usize,
        });
    }
    builder.finish(image)
}
