//! The instances of one image, ready for the GPU and for hit tests. Axes: column-major runs, cut at columns.
//!
//! A mask stays run lengths. For each column of its bounds there is a slice of spans `[start, end)` of rows, packed in one
//! u32 each; the GPU and the hit test search the same array. Its size grows with runs and columns, never with pixels.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::structures::{BoxXywh, ClassTable, Detection, Rle, Size};
use crate::ui::colour;

/// Rows that a packed span can hold; taller masks are not drawn.
const MAX_HEIGHT: usize = u16::MAX as usize;

/// Ids of sets: the GPU caches by them.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Pixels `[left, right) × [top, bottom)` that enclose a mask; empty for a mask without foreground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bounds {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Column after the last.
    pub right: u32,
    /// Row after the last.
    pub bottom: u32,
}

impl Bounds {
    /// Whether the mask has no foreground.
    pub fn is_empty(self) -> bool {
        self.right <= self.left || self.bottom <= self.top
    }

    /// Whether a pixel is inside.
    pub fn contains(self, x: u32, y: u32) -> bool {
        (self.left..self.right).contains(&x) && (self.top..self.bottom).contains(&y)
    }
}

/// One instance as the canvas needs it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Box in pixels of the image.
    pub bbox: BoxXywh,
    /// Pixels that enclose the mask.
    pub bounds: Bounds,
    /// Foreground pixels.
    pub area: u64,
    /// Index of the class.
    pub label: usize,
    /// The data set's id of the class; the label where there is none. Decides about the colour of the class.
    pub category: i64,
    /// Which of the instance colours it has, apart from its neighbours'.
    pub hue: usize,
    /// Class score.
    pub score: f64,
    /// Predicted IoU of the mask.
    pub mask_iou: Option<f64>,
    /// What ranks masks.
    pub iou_score: f64,
    /// Class and numbers, as the label on the picture shows them.
    pub text: String,
    /// Where its columns begin in `InstanceSet::runs`.
    pub(crate) base: u32,
    /// Where its spans end in `InstanceSet::runs`.
    pub(crate) runs_end: u32,
}

/// The instances of one image. Built once; thresholds, ranking and colours never build it again.
#[derive(Debug)]
pub struct InstanceSet {
    id: u64,
    instances: Vec<Instance>,
    /// For each instance one index a column plus one, then its spans (`start | end << 16`).
    runs: Vec<u32>,
    /// Instances, the largest mask first: the smallest is drawn last and picked first.
    by_area: Vec<usize>,
    /// By score, best first: the order of labels where the caller gives none.
    by_score: Vec<usize>,
}

impl InstanceSet {
    /// From detections, in their order: instance `i` is `detections[i]`.
    pub fn new(detections: &[Detection], classes: &ClassTable) -> Arc<Self> {
        Self::build(detections, classes, |detection, name| {
            match detection.mask_iou {
                Some(mask_iou) => {
                    // Clamped, as everywhere in the window.
                    let mask_iou = mask_iou.clamp(0.0, 1.0);
                    format!("{name} {:.2} · {mask_iou:.2}", detection.score)
                }
                None => format!("{name} {:.2}", detection.score),
            }
        })
    }

    /// From annotations, in their order: as `new`, but labels hold no score.
    pub fn annotations(shapes: &[Detection], classes: &ClassTable) -> Arc<Self> {
        Self::build(shapes, classes, |_, name| name)
    }

    fn build(
        detections: &[Detection],
        classes: &ClassTable,
        text: impl Fn(&Detection, String) -> String,
    ) -> Arc<Self> {
        let mut runs = Vec::new();
        let mut instances: Vec<Instance> = detections
            .iter()
            .map(|detection| {
                let text = text(detection, classes.name(detection.label));
                instance(detection, classes, text, &mut runs)
            })
            .collect();
        spread_hues(&mut instances);
        let mut by_area: Vec<usize> = (0..instances.len()).collect();
        by_area.sort_by_key(|&i| std::cmp::Reverse(instances[i].area));
        let mut by_score: Vec<usize> = (0..instances.len()).collect();
        by_score.sort_by(|&a, &b| instances[b].iou_score.total_cmp(&instances[a].iou_score));
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            instances,
            runs,
            by_area,
            by_score,
        })
    }

    /// Unique in the process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Number of instances.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// Instance `i`.
    pub fn get(&self, i: usize) -> Option<&Instance> {
        self.instances.get(i)
    }

    /// All instances, in the order of the detections.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// All by `iou_score`, best first.
    pub fn by_score(&self) -> &[usize] {
        &self.by_score
    }

    /// All by area, largest first: the order of drawing.
    pub fn by_area(&self) -> &[usize] {
        &self.by_area
    }

    /// The array that the GPU searches.
    pub(crate) fn runs(&self) -> &[u32] {
        &self.runs
    }

    /// Whether the mask of instance `i` covers a pixel of the image.
    pub fn contains(&self, i: usize, x: u32, y: u32) -> bool {
        let Some(instance) = self.instances.get(i) else {
            return false;
        };
        if !instance.bounds.contains(x, y) {
            return false;
        }
        let column = (instance.base + x - instance.bounds.left) as usize;
        let spans = match (self.runs.get(column), self.runs.get(column + 1)) {
            (Some(&from), Some(&to)) => self.runs.get(from as usize..to as usize),
            _ => None,
        };
        spans.is_some_and(|spans| {
            let after = spans.partition_point(|&span| start(span) <= y);
            after > 0 && y < end(spans[after - 1])
        })
    }

    /// The instances that `is_shown` admits and whose masks cover a pixel, smallest area first.
    pub fn hits(&self, x: u32, y: u32, is_shown: impl Fn(usize) -> bool) -> Vec<usize> {
        self.by_area
            .iter()
            .rev()
            .copied()
            .filter(|&i| is_shown(i) && self.contains(i, x, y))
            .collect()
    }
}

/// First row of a packed span.
fn start(span: u32) -> u32 {
    span & 0xffff
}

/// Row after the last of a packed span.
fn end(span: u32) -> u32 {
    span >> 16
}

/// One instance; its columns and spans are appended to `runs`.
fn instance(
    detection: &Detection,
    classes: &ClassTable,
    text: String,
    runs: &mut Vec<u32>,
) -> Instance {
    let base = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let bounds = append_mask(&detection.mask, runs);
    Instance {
        bbox: detection.bbox,
        bounds,
        area: detection.mask.area(),
        label: detection.label,
        category: classes
            .category_id(detection.label)
            .unwrap_or(detection.label as i64),
        hue: 0,
        score: detection.score,
        mask_iou: detection.mask_iou,
        iou_score: detection.iou_score,
        text,
        base,
        runs_end: u32::try_from(runs.len()).unwrap_or(u32::MAX),
    }
}

/// Appends the columns and spans of a mask; returns its bounds, empty where nothing can be drawn.
fn append_mask(mask: &Rle, runs: &mut Vec<u32>) -> Bounds {
    let Size { width, height } = mask.size();
    if height == 0 || height > MAX_HEIGHT || u32::try_from(width).is_err() {
        return Bounds::default();
    }
    let spans = column_spans(mask, height as u64);
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
        return Bounds::default();
    };
    let (left, right) = (first.0, last.0 + 1);
    let header = runs.len();
    let at = header + (right - left) as usize + 1;
    if u32::try_from(at + spans.len()).is_err() {
        return Bounds::default(); // 2^32 spans of one image: 16 GiB of run lengths
    }
    let mut next = 0;
    for column in left..=right {
        while spans.get(next).is_some_and(|span| span.0 < column) {
            next += 1;
        }
        runs.push((at + next) as u32);
    }
    runs.extend(spans.iter().map(|span| span.1));
    Bounds {
        left,
        top: spans.iter().map(|span| start(span.1)).min().unwrap_or(0),
        right,
        bottom: spans.iter().map(|span| end(span.1)).max().unwrap_or(0),
    }
}

/// Foreground as (column, packed rows), in order; touching runs are one.
fn column_spans(mask: &Rle, height: u64) -> Vec<(u32, u32)> {
    let mut out: Vec<(u32, u32)> = Vec::with_capacity(mask.runs().len());
    for (mut from, to) in mask.spans() {
        while from < to {
            let column = from / height;
            let stop = to.min((column + 1) * height);
            let (column, top, bottom) = (
                column as u32,
                (from % height) as u32,
                (stop - 1 - (from - from % height)) as u32 + 1,
            );
            match out.last_mut() {
                Some((c, span)) if *c == column && end(*span) == top => {
                    *span = start(*span) | bottom << 16;
                }
                _ => out.push((column, top | bottom << 16)),
            }
            from = stop;
        }
    }
    out
}

/// Gives every instance the instance colour that is farthest from those of its neighbours, most of all from neighbours
/// of its own class. Depends on the order of the detections alone, so that colours stay when a threshold moves.
fn spread_hues(instances: &mut [Instance]) {
    let mut uses = [0.0f32; colour::INSTANCE_HUES];
    for i in 0..instances.len() {
        let (done, rest) = instances.split_at_mut(i);
        let Some(this) = rest.first_mut() else { break };
        let mut cost = uses;
        for other in done.iter() {
            let near = nearness(this.bbox, other.bbox);
            if near > 0.0 {
                let weight = if other.label == this.label {
                    40.0
                } else {
                    10.0
                };
                for (hue, cost) in cost.iter_mut().enumerate() {
                    *cost += near * weight * colour::hue_closeness(hue, other.hue);
                }
            }
        }
        this.hue = (0..colour::INSTANCE_HUES)
            .min_by(|&a, &b| cost[a].total_cmp(&cost[b]))
            .unwrap_or(0);
        uses[this.hue] += 1.0;
    }
}

/// 1 where boxes touch or overlap, falling to 0 where they are a box apart.
fn nearness(a: BoxXywh, b: BoxXywh) -> f32 {
    let gap_x = (a.x.max(b.x) - (a.x + a.width).min(b.x + b.width)).max(0.0);
    let gap_y = (a.y.max(b.y) - (a.y + a.height).min(b.y + b.height)).max(0.0);
    let reach = (a.width + a.height + b.width + b.height) / 4.0;
    if reach > 0.0 {
        (1.0 - (gap_x.hypot(gap_y) / reach) as f32).max(0.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(mask: Rle, label: usize, bbox: BoxXywh) -> Detection {
        Detection {
            bbox,
            label,
            score: 0.9,
            mask_iou: None,
            iou_score: 0.9,
            mask,
            quality: None,
        }
    }

    fn set(mask: Rle) -> Arc<InstanceSet> {
        let bbox = BoxXywh::default();
        InstanceSet::new(&[detection(mask, 0, bbox)], &ClassTable::default())
    }

    fn check(size: Size, runs: Vec<u32>, bounds: [u32; 4]) {
        let mask = Rle::new(size, runs).unwrap();
        let spans: Vec<(u64, u64)> = mask.spans().collect();
        let set = set(mask);
        let b = set.get(0).unwrap().bounds;
        assert_eq!([b.left, b.top, b.right, b.bottom], bounds);
        for x in 0..size.width + 2 {
            for y in 0..size.height + 2 {
                let at = (x * size.height + y) as u64;
                let want = x < size.width
                    && y < size.height
                    && spans.iter().any(|&(start, end)| (start..end).contains(&at));
                assert_eq!(set.contains(0, x as u32, y as u32), want, "{x},{y}");
            }
        }
    }

    #[test]
    fn masks_at_the_borders() {
        let size = Size::new(3, 4);
        check(size, vec![12], [0; 4]);
        check(size, vec![0, 12], [0, 0, 3, 4]);
        check(size, vec![5, 1, 6], [1, 1, 2, 2]);
        // A run over the end of a column, and one that ends with it.
        check(size, vec![3, 2, 3, 4], [0, 0, 3, 4]);
        // Runs of no length: the two parts touch.
        check(size, vec![4, 1, 0, 2, 5], [1, 0, 2, 3]);
        check(size, vec![0, 1, 10, 1], [0, 0, 3, 4]);
    }

    #[test]
    fn sizes_that_cannot_be_drawn_are_empty() {
        for size in [Size::new(0, 0), Size::new(5, 0), Size::new(0, 5)] {
            assert!(set(Rle::empty(size)).get(0).unwrap().bounds.is_empty());
        }
        let tall = Size::new(1, MAX_HEIGHT + 1);
        let mask = Rle::new(tall, vec![0, tall.height as u32]).unwrap();
        assert!(set(mask).get(0).unwrap().bounds.is_empty());
        let tallest = Size::new(1, MAX_HEIGHT);
        let mask = Rle::new(tallest, vec![0, tallest.height as u32]).unwrap();
        assert!(set(mask).contains(0, 0, MAX_HEIGHT as u32 - 1));
    }

    #[test]
    fn neighbours_of_one_class_have_other_colours() {
        let detections: Vec<Detection> = (0..30)
            .map(|i| {
                let bbox = BoxXywh::new(f64::from(i) * 20.0, 0.0, 25.0, 25.0);
                detection(Rle::empty(Size::new(4, 4)), 0, bbox)
            })
            .collect();
        let set = InstanceSet::new(&detections, &ClassTable::default());
        let hues: Vec<usize> = set.instances().iter().map(|it| it.hue).collect();
        for pair in hues.windows(2) {
            // At most 0.25: a quarter of the circle apart at least.
            assert!(colour::hue_closeness(pair[0], pair[1]) <= 0.25, "{hues:?}");
        }
    }

    #[test]
    fn labels_hold_the_numbers_that_exist() {
        let size = Size::new(1, 1);
        let mut one = detection(Rle::empty(size), 0, BoxXywh::default());
        let classes = ClassTable::from_names(["tv"]);
        let text = |one: &Detection| {
            let set = InstanceSet::new(std::slice::from_ref(one), &classes);
            set.get(0).unwrap().text.clone()
        };
        assert_eq!(text(&one), "tv 0.90");
        one.mask_iou = Some(0.66);
        assert_eq!(text(&one), "tv 0.90 · 0.66");
        let annotations = InstanceSet::annotations(&[one], &classes);
        assert_eq!(annotations.get(0).unwrap().text, "tv");
    }
}
