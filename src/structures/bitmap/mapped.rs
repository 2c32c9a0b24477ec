//! A mask that is moved and stretched with its box.

use std::ops::Range;

use super::{EditableMask, Paint};
use crate::structures::{BoxXywh, Rle};

impl EditableMask {
    /// The mask as it is when the box `from` becomes `to`, both in pixels of the image: each pixel takes the value that lies
    /// under its centre. Where the size stays, it moves by whole pixels, so that nothing changes but what leaves the image.
    /// A box without area changes nothing.
    pub fn mapped(mask: &Rle, from: BoxXywh, to: BoxXywh) -> Self {
        let (Some(across), Some(down)) = (
            Axis::new((from.x, from.width), (to.x, to.width)),
            Axis::new((from.y, from.height), (to.y, to.height)),
        ) else {
            return Self::from_rle(mask);
        };
        let mut spans: Vec<(usize, Range<usize>)> = Vec::new();
        mask.column_spans(|x, rows| spans.push((x, rows)));
        let mut mapped = Self::new(mask.size());
        for x in 0..mapped.size.width {
            let source = across.back(x as f64 + 0.5).floor();
            if source < 0.0 {
                continue;
            }
            let source = source as usize;
            let first = spans.partition_point(|(column, _)| *column < source);
            let of_column = spans[first..]
                .iter()
                .take_while(|(column, _)| *column == source);
            for (_, rows) in of_column {
                let end = |row: usize| (down.there(row as f64) - 0.5).ceil().max(0.0) as usize;
                mapped.paint_rows(x, end(rows.start), end(rows.end), Paint::Add);
            }
        }
        mapped
    }
}

/// One axis: position `from` goes to `to`, lengths are scaled.
struct Axis {
    from: f64,
    to: f64,
    scale: f64,
}

impl Axis {
    fn new(from: (f64, f64), to: (f64, f64)) -> Option<Self> {
        let is_sound = [from.0, from.1, to.0, to.1].iter().all(|it| it.is_finite());
        if !is_sound || from.1 <= 0.0 || to.1 <= 0.0 {
            return None;
        }
        Some(if from.1 == to.1 {
            Self {
                from: 0.0,
                to: (to.0 - from.0).round(),
                scale: 1.0,
            }
        } else {
            Self {
                from: from.0,
                to: to.0,
                scale: to.1 / from.1,
            }
        })
    }

    fn there(&self, at: f64) -> f64 {
        self.to + (at - self.from) * self.scale
    }

    fn back(&self, at: f64) -> f64 {
        self.from + (at - self.to) / self.scale
    }
}
