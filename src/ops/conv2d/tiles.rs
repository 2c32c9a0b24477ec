//! Where the 16 tiles of a lane group lie: which runs of the input they read, which of the output they write.
//!
//! A tile is 4×4 output pixels and reads 6×6 input pixels. Neighbours in a row overlap by two columns, so a row of a
//! group is kept as 4 columns a tile, and the two columns behind only for the last tile of each run and of each vector.
#![allow(
    unsafe_code,
    reason = "copies between image rows and vectors through pointers, clipped when the plan is made"
)]

use super::shape::ConvShape;
use super::simd::{GROUP, Simd};

/// Output pixels of a tile along an axis.
pub(super) const TILE: usize = 4;
/// Input pixels of a tile along an axis.
pub(super) const PATCH: usize = TILE + 2;

/// `len` values at `image` of the map belong to `line` of row `row`.
#[derive(Clone, Copy, Debug)]
struct Piece {
    row: usize,
    line: usize,
    image: usize,
    len: usize,
}

/// The pieces of one lane group; offsets in images are for channel 0.
#[derive(Debug)]
pub(super) struct GroupPlan {
    reads: Vec<Piece>,
    /// Columns 4 and 5 of tiles that are last: `line` is `2·lane + (0 or 1)`, `len` 1.
    end_reads: Vec<Piece>,
    writes: Vec<Piece>,
    /// Bit t: tile t is the last of its run or of its vector.
    pub ends: u32,
    /// The rows can be read in place, from here.
    in_place: Option<[usize; PATCH]>,
}

/// The 6 rows that 16 tiles read.
pub(super) struct Lines {
    rows: [*const f32; PATCH],
    staged: [Row; PATCH],
    /// `[row][0 or 1][lane]`
    ends: [[[f32; GROUP]; 2]; PATCH],
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Row([f32; TILE * GROUP]);

impl Lines {
    /// 64 columns, 4 a tile.
    #[inline(always)]
    pub(super) fn row(&self, y: usize) -> *const f32 {
        self.rows[y]
    }

    /// Column 4 + `which` of the tiles that end a run.
    #[inline(always)]
    pub(super) fn end(&self, y: usize, which: usize) -> *const f32 {
        self.ends[y][which].as_ptr()
    }
}

impl GroupPlan {
    /// Tiles `16·group..`, counted over rows and images, for vectors of `lanes`.
    pub(super) fn new(s: &ConvShape, group: usize, lanes: usize) -> Self {
        let (rows, columns) = (s.oh.div_ceil(TILE), s.ow.div_ceil(TILE));
        let total = s.n * rows * columns;
        let mut plan = Self {
            reads: Vec::new(),
            end_reads: Vec::new(),
            writes: Vec::new(),
            ends: (0..GROUP)
                .filter(|t| (t + 1) % lanes == 0)
                .fold(0, |m, t| m | 1 << t),
            in_place: None,
        };
        let mut lane = 0;
        while lane < GROUP && group * GROUP + lane < total {
            let tile = group * GROUP + lane;
            let (line, tx) = (tile / columns, tile % columns);
            let count = (columns - tx).min(GROUP - lane).min(total - tile);
            plan.add_run(s, [line / rows, line % rows, tx], lane, count);
            lane += count;
        }
        plan.in_place = plan.full_rows();
        plan
    }

    /// `count` neighbouring tiles from (image, tile row, tile column) on.
    fn add_run(&mut self, s: &ConvShape, [n, ty, tx]: [usize; 3], lane: usize, count: usize) {
        self.ends |= 1 << (lane + count - 1);
        // Columns and rows are counted in the padded input until they are clipped.
        let (left, right) = (s.padding, s.padding + s.w);
        for row in 0..PATCH {
            let y = TILE * ty + row;
            if !(s.padding..s.padding + s.h).contains(&y) {
                continue;
            }
            let image = (n * s.i * s.h + y - s.padding) * s.w;
            let (first, end) = (TILE * tx, TILE * (tx + count));
            let (lo, hi) = (first.max(left), end.min(right));
            if lo < hi {
                self.reads.push(Piece {
                    row,
                    line: TILE * lane + lo - first,
                    image: image + lo - left,
                    len: hi - lo,
                });
            }
            for t in (lane..lane + count).filter(|t| self.ends >> t & 1 == 1) {
                let end = TILE * (tx + t - lane + 1);
                for x in (end..end + 2).filter(|x| (left..right).contains(x)) {
                    self.end_reads.push(Piece {
                        row,
                        line: 2 * t + x - end,
                        image: image + x - left,
                        len: 1,
                    });
                }
            }
        }
        for row in 0..TILE.min(s.oh - TILE * ty) {
            let (y, x) = (TILE * ty + row, TILE * tx);
            self.writes.push(Piece {
                row,
                line: TILE * lane,
                image: (n * s.o * s.oh + y) * s.ow + x,
                len: (TILE * count).min(s.ow - x),
            });
        }
    }

    /// The offsets of the rows if each is one piece of full length.
    fn full_rows(&self) -> Option<[usize; PATCH]> {
        let full = self.reads.iter().all(|p| p.len == TILE * GROUP);
        (full && self.reads.len() == PATCH)
            .then(|| std::array::from_fn(|row| self.reads[row].image))
    }

    /// Empty lines: what no piece fills stays 0 for all channels.
    pub(super) fn lines(&self) -> Lines {
        Lines {
            rows: [std::ptr::null(); PATCH],
            staged: [Row([0.0; TILE * GROUP]); PATCH],
            ends: [[[0.0; GROUP]; 2]; PATCH],
        }
    }

    /// Reads the rows of a channel.
    ///
    /// # Safety
    /// `channel` points to the channel's map in image 0 of a tensor of the plan's shape.
    #[inline(always)]
    pub(super) unsafe fn load<S: Simd>(&self, channel: *const f32, lines: &mut Lines) {
        // SAFETY: pieces were clipped to the image and to the line.
        unsafe {
            if let Some(offsets) = self.in_place {
                lines.rows = offsets.map(|at| channel.add(at));
            } else {
                for p in &self.reads {
                    let to = lines.staged[p.row].0.as_mut_ptr().add(p.line);
                    let from = channel.add(p.image);
                    for at in (0..p.len).step_by(S::LANES) {
                        let n = (p.len - at).min(S::LANES);
                        S::store_n(to.add(at), S::load_n(from.add(at), n), n);
                    }
                }
                for (row, staged) in lines.rows.iter_mut().zip(&lines.staged) {
                    *row = staged.0.as_ptr();
                }
            }
            for p in &self.end_reads {
                lines.ends[p.row][p.line % 2][p.line / 2] = *channel.add(p.image);
            }
        }
    }

    /// Reads the output rows of a channel, the inverse of `store`. What no piece fills stays as it is.
    ///
    /// # Safety
    /// `channel` points to the channel's map in image 0 of a tensor of the plan's output shape.
    #[inline(always)]
    pub(super) unsafe fn load_output<S: Simd>(
        &self,
        channel: *const f32,
        lines: &mut [[f32; TILE * GROUP]; TILE],
    ) {
        for p in &self.writes {
            // SAFETY: pieces were clipped to the image and to the line.
            unsafe {
                let to = lines[p.row].as_mut_ptr().add(p.line);
                let from = channel.add(p.image);
                for at in (0..p.len).step_by(S::LANES) {
                    let n = (p.len - at).min(S::LANES);
                    S::store_n(to.add(at), S::load_n(from.add(at), n), n);
                }
            }
        }
    }

    /// Writes the rows of a channel, with the residual and the activation.
    ///
    /// # Safety
    /// `channel` and `residual` point to the channel's map in image 0 of tensors of the plan's output shape.
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd>(
        &self,
        lines: &[[f32; TILE * GROUP]; TILE],
        channel: *mut f32,
        residual: Option<*const f32>,
        relu: bool,
    ) {
        for p in &self.writes {
            // SAFETY: pieces were clipped to the image and to the line.
            unsafe {
                let from = lines[p.row].as_ptr().add(p.line);
                for at in (0..p.len).step_by(S::LANES) {
                    let n = (p.len - at).min(S::LANES);
                    let mut v = S::load_n(from.add(at), n);
                    if let Some(residual) = residual {
                        v = S::add(v, S::load_n(residual.add(p.image + at), n));
                    }
                    if relu {
                        v = S::relu(v);
                    }
                    S::store_n(channel.add(p.image + at), v, n);
                }
            }
        }
    }
}
