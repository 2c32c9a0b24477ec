//! From scores and deltas to the boxes that are kept, on a device; the host sees the result alone.
//!
//! Axes: N images, A anchors a cell, H and W of a level; R RoIs, C classes.

use candle_core::Result;

use super::{Arg, Kernel, Launcher, Size, THREADS, bits, each, size_arg};
use crate::structures::BoxXyxy;

const fn kernel(name: &'static str) -> Kernel {
    Kernel {
        file: "boxes",
        name,
    }
}

/// Candidates of a row: what the shared memory of a block holds.
pub const MOST_CANDIDATES: usize = 4096;

/// Bits of a word of overlaps.
const WORD: usize = 32;

/// Threads of a block that works on a row alone.
const ROW_THREADS: u32 = 1024;

/// Four means, four standard deviations, and the limit of dw and dh.
pub type Coder = [f32; 9];

/// A kept box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// In the frame of the references.
    pub bbox: BoxXyxy,
    /// Its class; 0 for a proposal.
    pub label: usize,
    /// NaN where score or box was no number.
    pub score: f32,
}

/// What the proposal network says of one level.
#[derive(Clone, Copy, Debug)]
pub struct Level<'a, B> {
    /// (N,A,H,W)
    pub logits: &'a B,
    /// (N,4A,H,W)
    pub deltas: &'a B,
    /// H and W
    pub size: (usize, usize),
    /// Pixels per cell.
    pub stride: usize,
    /// The anchors of the cell at 0.
    pub base: &'a [BoxXyxy],
}

impl<B> Level<'_, B> {
    fn anchors(&self) -> usize {
        self.base.len() * self.size.0 * self.size.1
    }
}

/// How proposals are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProposalRules {
    /// Candidates of a level.
    pub nms_pre: usize,
    /// Proposals of an image.
    pub max_per_img: usize,
    /// A better box with an IoU above it suppresses.
    pub iou_threshold: f32,
    /// Least width and height.
    pub min_size: f32,
    /// Whether a box of just that size stays.
    pub keeps_equal: bool,
}

impl ProposalRules {
    /// Whether the kernels have room for so many.
    pub fn fit(&self) -> bool {
        self.nms_pre <= MOST_CANDIDATES && self.max_per_img <= MOST_CANDIDATES
    }
}

/// Candidates (rows, total): boxes of four, scores, and labels where there are classes.
struct Candidates<B> {
    boxes: B,
    scores: B,
    labels: Option<B>,
    rows: usize,
    total: usize,
}

/// The proposals of each image, best first. `limits`: width and height to clip to, of each image.
///
/// # Errors
/// The launcher's.
pub fn proposals<L: Launcher>(
    on: &L,
    levels: &[Level<'_, L::Buffer>],
    limits: &[(f32, f32)],
    coder: &Coder,
    rules: &ProposalRules,
) -> Result<Vec<Vec<Kept>>> {
    let images = limits.len();
    let count_of = |level: &Level<'_, L::Buffer>| level.anchors().min(rules.nms_pre);
    let total = levels.iter().map(count_of).sum::<usize>();
    let candidates = Candidates {
        boxes: on.alloc(4 * images * total)?,
        scores: on.alloc(images * total)?,
        labels: None,
        rows: images,
        total,
    };
    if images * total * rules.max_per_img == 0 {
        return Ok(vec![Vec::new(); images]);
    }
    let coder = on.upload(&bits(coder.iter().copied()))?;
    let limits = on.upload(&bits(limits.iter().flat_map(|&(w, h)| [w, h])))?;
    let mut first = 0;
    for level in levels {
        let count = count_of(level);
        if count > 0 {
            let share = first..first + count;
            decode_level(on, level, (&coder, &limits), rules, &candidates, share)?;
            suppress(on, &candidates, first, count, rules.iou_threshold)?;
        }
        first += count;
    }
    best(on, &candidates, rules.max_per_img)
}

/// The best of a level, decoded, into their share of the candidates.
fn decode_level<L: Launcher>(
    on: &L,
    level: &Level<'_, L::Buffer>,
    (coder, limits): (&L::Buffer, &L::Buffer),
    rules: &ProposalRules,
    candidates: &Candidates<L::Buffer>,
    share: std::ops::Range<usize>,
) -> Result<()> {
    let (images, count) = (candidates.rows, share.len());
    let (anchors, shapes) = (level.anchors(), level.base.len());
    let (height, width) = level.size;
    let scores = on.alloc(images * anchors)?;
    let args = [
        Arg::Buffer(level.logits),
        Arg::Buffer(&scores),
        size_arg(images * anchors)?,
        size_arg(shapes)?,
        size_arg(height * width)?,
    ];
    on.launch(kernel("rpn_scores"), each(images * anchors)?, &args)?;
    let top = top_k(on, &scores, images, anchors, count)?;
    let corners = level.base.iter().flat_map(|b| [b.x1, b.y1, b.x2, b.y2]);
    let base = on.upload(&bits(corners))?;
    let args = [
        Arg::Buffer(&top.indices),
        Arg::Buffer(&top.scores),
        Arg::Buffer(level.deltas),
        Arg::Buffer(&base),
        Arg::Buffer(coder),
        Arg::Buffer(limits),
        Arg::Buffer(&candidates.boxes),
        Arg::Buffer(&candidates.scores),
        size_arg(images)?,
        size_arg(count)?,
        size_arg(candidates.total)?,
        size_arg(share.start)?,
        size_arg(shapes)?,
        size_arg(height)?,
        size_arg(width)?,
        size_arg(level.stride)?,
        Arg::Float(rules.min_size),
        Arg::Int(i32::from(rules.keeps_equal)),
    ];
    on.launch(kernel("decode_proposals"), each(images * count)?, &args)
}

/// The outputs of a box head for the RoIs of one image.
#[derive(Clone, Copy, Debug)]
pub struct BoxOutputs<'a, B> {
    /// (R,C+1), the background last.
    pub logits: &'a B,
    /// (R,4C), or (R,4) where all classes share.
    pub deltas: &'a B,
    /// C
    pub classes: usize,
    /// Whether all classes share.
    pub agnostic: bool,
}

/// How detections are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectionRules {
    /// A pair of RoI and class must be above it.
    pub score_threshold: f32,
    /// As of proposals.
    pub iou_threshold: f32,
    /// Detections of an image.
    pub max_per_img: usize,
    /// Width and height to clip to.
    pub limit: Option<(f32, f32)>,
}

/// The detections of one image, best first; none where more pairs pass the threshold than the kernels have room for.
///
/// # Errors
/// The launcher's.
pub fn detections<L: Launcher>(
    on: &L,
    outputs: BoxOutputs<'_, L::Buffer>,
    rois: &[BoxXyxy],
    coder: &Coder,
    rules: &DetectionRules,
) -> Result<Option<Vec<Kept>>> {
    let pairs = rois.len() * outputs.classes;
    if pairs * rules.max_per_img == 0 {
        return Ok(Some(Vec::new()));
    }
    let scores = on.alloc(pairs)?;
    let args = [
        Arg::Buffer(outputs.logits),
        Arg::Buffer(&scores),
        size_arg(rois.len())?,
        size_arg(outputs.classes)?,
        Arg::Float(rules.score_threshold),
    ];
    on.launch(kernel("class_scores"), each(rois.len())?, &args)?;
    let count = pairs.min(MOST_CANDIDATES);
    let top = top_k(on, &scores, 1, pairs, count)?;
    let candidates = decode_detections(on, top, outputs, rois, coder, (count, rules))?;
    let Some(candidates) = candidates else {
        return Ok(None);
    };
    suppress(on, &candidates, 0, count, rules.iou_threshold)?;
    let most = rules.max_per_img.min(count);
    Ok(best(on, &candidates, most)?.into_iter().next())
}

fn decode_detections<L: Launcher>(
    on: &L,
    top: Top<L::Buffer>,
    outputs: BoxOutputs<'_, L::Buffer>,
    rois: &[BoxXyxy],
    coder: &Coder,
    (count, rules): (usize, &DetectionRules),
) -> Result<Option<Candidates<L::Buffer>>> {
    let corners = rois.iter().flat_map(|b| [b.x1, b.y1, b.x2, b.y2]);
    let corners = on.upload(&bits(corners))?;
    let coder = on.upload(&bits(coder.iter().copied()))?;
    let (boxes, labels) = (on.alloc(4 * count)?, on.alloc(count)?);
    let (width, height) = rules.limit.unwrap_or((-1.0, -1.0));
    let args = [
        Arg::Buffer(&top.indices),
        Arg::Buffer(&top.scores),
        Arg::Buffer(&corners),
        Arg::Buffer(outputs.deltas),
        Arg::Buffer(&coder),
        Arg::Buffer(&boxes),
        Arg::Buffer(&labels),
        size_arg(count)?,
        size_arg(outputs.classes)?,
        Arg::Int(i32::from(outputs.agnostic)),
        Arg::Float(width),
        Arg::Float(height),
    ];
    on.launch(kernel("decode_detections"), each(count)?, &args)?;
    let found = on.download(&top.found, 1)?;
    if found.first().is_none_or(|&found| found as usize > count) {
        return Ok(None);
    }
    Ok(Some(Candidates {
        boxes,
        scores: top.scores,
        labels: Some(labels),
        rows: 1,
        total: count,
    }))
}

/// Suppression alone, of boxes that are on the host: indices of the kept ones, best first, equal scores by index. At most
/// `MOST_CANDIDATES` boxes; scores are not negative. Boxes of different labels do not meet.
///
/// # Errors
/// The launcher's.
pub fn nms<L: Launcher>(
    on: &L,
    boxes: &[BoxXyxy],
    scores: &[f32],
    labels: &[usize],
    threshold: f32,
) -> Result<Vec<usize>> {
    let count = boxes.len();
    if count == 0 {
        return Ok(Vec::new());
    }
    let scores = on.upload(&bits(scores.iter().copied()))?;
    let top = top_k(on, &scores, 1, count, count)?;
    let order = on.download(&top.indices, count)?;
    let sorted = |at: &u32| boxes[*at as usize];
    let corners = order
        .iter()
        .map(sorted)
        .flat_map(|b| [b.x1, b.y1, b.x2, b.y2]);
    let labels: Vec<u32> = order.iter().map(|&at| labels[at as usize] as u32).collect();
    let candidates = Candidates {
        boxes: on.upload(&bits(corners))?,
        scores: top.scores,
        labels: Some(on.upload(&labels)?),
        rows: 1,
        total: count,
    };
    suppress(on, &candidates, 0, count, threshold)?;
    let left = on.download(&candidates.scores, count)?;
    let kept = order.iter().zip(left);
    Ok(kept
        .filter(|(_, score)| f32::from_bits(*score) >= 0.0)
        .map(|(&at, _)| at as usize)
        .collect())
}

/// The best of each row: (rows, most) indices and scores, and (rows) how many there were.
struct Top<B> {
    indices: B,
    scores: B,
    found: B,
}

fn top_k<L: Launcher>(
    on: &L,
    scores: &L::Buffer,
    rows: usize,
    length: usize,
    most: usize,
) -> Result<Top<L::Buffer>> {
    let top = Top {
        indices: on.alloc(rows * most)?,
        scores: on.alloc(rows * most)?,
        found: on.alloc(rows)?,
    };
    let args = [
        Arg::Buffer(scores),
        Arg::Buffer(&top.indices),
        Arg::Buffer(&top.scores),
        Arg::Buffer(&top.found),
        size_arg(length)?,
        size_arg(most)?,
    ];
    on.launch(kernel("top_k"), block_each(rows), &args)?;
    Ok(top)
}

fn block_each(rows: usize) -> Size {
    Size {
        grid: [rows as u32, 1, 1],
        threads: ROW_THREADS,
    }
}

/// Greedy suppression among `count` candidates of each row, from `first` on, which are sorted.
fn suppress<L: Launcher>(
    on: &L,
    candidates: &Candidates<L::Buffer>,
    first: usize,
    count: usize,
    threshold: f32,
) -> Result<()> {
    let words = count.div_ceil(WORD);
    let overlaps = on.alloc(candidates.rows * count * words)?;
    let labels = candidates.labels.as_ref();
    let args = [
        Arg::Buffer(&candidates.boxes),
        Arg::Buffer(labels.unwrap_or(&candidates.boxes)), // not read where there are none
        Arg::Buffer(&overlaps),
        size_arg(count)?,
        size_arg(words)?,
        size_arg(candidates.total)?,
        size_arg(first)?,
        Arg::Int(i32::from(labels.is_some())),
        Arg::Float(threshold),
    ];
    let size = Size {
        grid: [
            count.div_ceil(THREADS as usize) as u32,
            words as u32,
            candidates.rows as u32,
        ],
        threads: THREADS,
    };
    on.launch(kernel("nms_overlaps"), size, &args)?;
    let args = [
        Arg::Buffer(&overlaps),
        Arg::Buffer(&candidates.scores),
        size_arg(count)?,
        size_arg(words)?,
        size_arg(candidates.total)?,
        size_arg(first)?,
    ];
    let size = Size {
        grid: [candidates.rows as u32, 1, 1],
        threads: words.next_multiple_of(WORD) as u32,
    };
    on.launch(kernel("nms_suppress"), size, &args)
}

/// The `most` best of each row that are left.
fn best<L: Launcher>(
    on: &L,
    candidates: &Candidates<L::Buffer>,
    most: usize,
) -> Result<Vec<Vec<Kept>>> {
    let (rows, total) = (candidates.rows, candidates.total);
    let most = most.min(total);
    let top = top_k(on, &candidates.scores, rows, total, most)?;
    let (boxes, labels) = (on.alloc(4 * rows * most)?, on.alloc(rows * most)?);
    let known = candidates.labels.as_ref();
    let args = [
        Arg::Buffer(&top.indices),
        Arg::Buffer(&candidates.boxes),
        Arg::Buffer(known.unwrap_or(&candidates.boxes)), // not read where there are none
        Arg::Buffer(&boxes),
        Arg::Buffer(&labels),
        size_arg(rows)?,
        size_arg(total)?,
        size_arg(most)?,
        Arg::Int(i32::from(known.is_some())),
    ];
    on.launch(kernel("gather_boxes"), each(rows * most)?, &args)?;
    let scores = on.download(&top.scores, rows * most)?;
    let boxes = on.download(&boxes, 4 * rows * most)?;
    let labels = on.download(&labels, rows * most)?;
    let kept = |at: usize| {
        let corner = |k| f32::from_bits(boxes[4 * at + k]);
        Kept {
            bbox: BoxXyxy::new(corner(0), corner(1), corner(2), corner(3)),
            label: labels[at] as usize,
            score: f32::from_bits(scores[at]),
        }
    };
    let row = |row: usize| {
        let all = (row * most..(row + 1) * most).map(kept);
        all.take_while(|kept| kept.score >= 0.0 || kept.score.is_nan())
            .collect()
    };
    Ok((0..rows).map(row).collect())
}
