//! A mask as polygons along the edges of its pixels, for formats that have nothing else.

use std::collections::HashMap;

use super::Rle;

/// A closed way along pixel edges, without its first corner again.
pub type Ring = Vec<(u32, u32)>;

/// One part of a mask: its outer border and the borders of its holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The border around it.
    pub outer: Ring,
    /// The borders of what is missing inside, the other way round.
    pub holes: Vec<Ring>,
}

/// The parts of a mask, the largest first. Filled by the even-odd rule they are the mask to the pixel.
pub fn outline(mask: &Rle) -> Vec<Part> {
    let parts = mask.components();
    let with_rings = parts.iter().map(|part| {
        let mut rings = rings(part);
        // The leftmost corner is the outer border's.
        let outer = (0..rings.len()).min_by_key(|&at| rings[at].iter().min().copied());
        let outer = outer.map(|at| rings.swap_remove(at)).unwrap_or_default();
        Part {
            outer,
            holes: rings,
        }
    });
    with_rings.collect()
}

/// One ring for a part with all its holes: a way of no width leads from ring to ring and back, so that one polygon holds what
/// several borders do. Several parts are joined alike.
pub fn joined(parts: &[Part]) -> Ring {
    let mut rings = parts
        .iter()
        .flat_map(|part| std::iter::once(&part.outer).chain(&part.holes));
    let mut whole = rings.next().cloned().unwrap_or_default();
    for ring in rings {
        let (at, from) = nearest(&whole, ring);
        let around = ring.iter().cycle().skip(from).take(ring.len() + 1);
        let bridge: Vec<(u32, u32)> = around.copied().chain([whole[at]]).collect();
        whole.splice(at + 1..at + 1, bridge);
    }
    whole
}

/// The corners of two rings that lie nearest each other. Long rings are looked at in steps: any bridge is right, a short one
/// is only nicer.
fn nearest(a: &[(u32, u32)], b: &[(u32, u32)]) -> (usize, usize) {
    const LOOKED_AT: usize = 256;
    let step = |length: usize| length.div_ceil(LOOKED_AT).max(1);
    let mut best = (u64::MAX, 0, 0);
    for at in (0..a.len()).step_by(step(a.len())) {
        for from in (0..b.len()).step_by(step(b.len())) {
            let (dx, dy) = (a[at].0.abs_diff(b[from].0), a[at].1.abs_diff(b[from].1));
            let distance = u64::from(dx).pow(2) + u64::from(dy).pow(2);
            best = best.min((distance, at, from));
        }
    }
    (best.1, best.2)
}

/// Edges of the mask, walked with the foreground on the right, corners alone.
fn rings(mask: &Rle) -> Vec<Ring> {
    let mut next = edges(mask);
    let mut starts: Vec<(u32, u32)> = next.keys().copied().collect();
    starts.sort_unstable();
    let mut rings = Vec::new();
    for start in starts {
        while next.contains_key(&start) {
            rings.push(walk(start, &mut next));
        }
    }
    rings
}

/// Follows edges from `start` until it is back, and takes them out.
fn walk(start: (u32, u32), next: &mut HashMap<(u32, u32), Vec<(u32, u32)>>) -> Ring {
    let mut ring: Ring = Vec::new();
    let (mut at, mut came) = (start, (0i64, 0i64));
    while let Some(ways) = next.get_mut(&at) {
        // Where two edges leave, pixels meet at a corner: turning left keeps them one part.
        let turn = |to: &(u32, u32)| {
            let way = direction(at, *to);
            came.0 * way.1 - came.1 * way.0
        };
        let Some(chosen) = (0..ways.len()).min_by_key(|&way| turn(&ways[way])) else {
            break;
        };
        let to = ways.swap_remove(chosen);
        if ways.is_empty() {
            next.remove(&at);
        }
        let way = direction(at, to);
        if way != came {
            ring.push(at);
        }
        (came, at) = (way, to);
        if at == start {
            break;
        }
    }
    // The first corner is none where the way goes straight through it.
    if ring.len() > 2 && direction(ring[0], ring[1]) == came {
        ring.remove(0);
    }
    ring
}

fn direction(from: (u32, u32), to: (u32, u32)) -> (i64, i64) {
    let sign = |a: u32, b: u32| (i64::from(b) - i64::from(a)).signum();
    (sign(from.0, to.0), sign(from.1, to.1))
}

/// From each corner to the next ones: vertical edges of whole runs, cut where a horizontal one begins, and horizontal ones of
/// one pixel.
fn edges(mask: &Rle) -> HashMap<(u32, u32), Vec<(u32, u32)>> {
    let size = mask.size();
    let mut columns: Vec<Vec<(u32, u32)>> = vec![Vec::new(); size.width + 2];
    mask.column_spans(|x, rows| {
        if let Some(column) = columns.get_mut(x + 1) {
            column.push((rows.start as u32, rows.end as u32));
        }
    });
    let mut next: HashMap<(u32, u32), Vec<(u32, u32)>> = HashMap::new();
    let mut add = |from, to| next.entry(from).or_default().push(to);
    for (x, pair) in (0u32..).zip(columns.windows(2)) {
        let (left, right) = (&pair[0], &pair[1]);
        for &(top, bottom) in right {
            add((x, top), (x + 1, top));
            add((x + 1, bottom), (x, bottom));
        }
        let mut cuts: Vec<u32> = left
            .iter()
            .chain(right)
            .flat_map(|&(a, b)| [a, b])
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let holds = |spans: &[(u32, u32)], y: u32| {
            let at = spans.partition_point(|span| span.1 <= y);
            spans.get(at).is_some_and(|span| span.0 <= y)
        };
        for cut in cuts.windows(2) {
            match (holds(left, cut[0]), holds(right, cut[0])) {
                (false, true) => add((x, cut[1]), (x, cut[0])),
                (true, false) => add((x, cut[0]), (x, cut[1])),
                _ => {}
            }
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::{Random, Size};

    /// Pixels whose centres lie inside by the even-odd rule.
    fn filled(rings: &[&Ring], size: Size) -> Rle {
        let mut bytes = vec![0u8; size.pixels()];
        for y in 0..size.height {
            for x in 0..size.width {
                let mut inside = false;
                for ring in rings {
                    for at in 0..ring.len() {
                        let (a, b) = (ring[at], ring[(at + 1) % ring.len()]);
                        let (ay, by) = (f64::from(a.1), f64::from(b.1));
                        let (ax, bx) = (f64::from(a.0), f64::from(b.0));
                        let (px, py) = (x as f64 + 0.5, y as f64 + 0.5);
                        if (ay > py) != (by > py) && px < (bx - ax) * (py - ay) / (by - ay) + ax {
                            inside = !inside;
                        }
                    }
                }
                bytes[y * size.width + x] = u8::from(inside);
            }
        }
        Rle::from_row_major(size, &bytes).unwrap()
    }

    #[test]
    fn outlines_hold_the_mask() {
        let mut random = Random::new(4);
        for round in 0..300 {
            let size = Size::new(1 + random.below(12), 1 + random.below(12));
            let share = 0.2 + 0.6 * random.unit();
            let bytes: Vec<u8> = (0..size.pixels())
                .map(|_| u8::from(random.unit() < share))
                .collect();
            let mask = Rle::from_row_major(size, &bytes).unwrap();
            let parts = outline(&mask);
            assert_eq!(parts.len(), mask.components().len());
            let rings: Vec<&Ring> = parts
                .iter()
                .flat_map(|part| std::iter::once(&part.outer).chain(&part.holes))
                .collect();
            assert_eq!(filled(&rings, size), mask, "round {round}");
            assert_eq!(
                filled(&[&joined(&parts)], size),
                mask,
                "joined, round {round}"
            );
        }
    }

    #[test]
    fn a_frame_has_one_hole() {
        let size = Size::new(5, 5);
        let mut bytes = vec![1u8; 25];
        bytes[12] = 0;
        let parts = outline(&Rle::from_row_major(size, &bytes).unwrap());
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].outer.len(), 4, "{parts:?}");
        assert_eq!(parts[0].holes.len(), 1);
        assert_eq!(parts[0].holes[0].len(), 4);
    }
}
