//! A brush: a rectangle or a lasso in values, so that it stays where it is while the view moves.

use egui::{Rect, pos2};

use super::axes::{Axes, Axis};
use super::range::Range;

/// What is brushed, in values of x and y.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// Between two values of each, ends included.
    Rect {
        /// Of x.
        x: Range,
        /// Of y.
        y: Range,
    },
    /// A closed polygon; where it crosses itself, what is enclosed an odd number of times is inside.
    Lasso(Vec<[f64; 2]>),
}

/// Sides of a region that a drag moves. At most one of each pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// The side of the smallest x.
    pub left: bool,
    /// The side of the largest x.
    pub right: bool,
    /// The side of the smallest y.
    pub bottom: bool,
    /// The side of the largest y.
    pub top: bool,
}

impl Sides {
    /// Whether there is any.
    pub fn any(self) -> bool {
        self.left || self.right || self.bottom || self.top
    }
}

/// An edge of a lasso, from one corner to the next.
pub type Edge = [[f64; 2]; 2];

/// Whether a line from (x, y) to the right crosses the edge. Every lasso test is this one, so that a test against fewer
/// edges gives the same answer.
pub fn crosses([[x1, y1], [x2, y2]]: Edge, x: f64, y: f64) -> bool {
    (y1 > y) != (y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1
}

impl Region {
    /// A rectangle between two corners.
    pub fn rect([x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) -> Self {
        Self::Rect {
            x: Range::between(x1, x2),
            y: Range::between(y1, y2),
        }
    }

    /// Whether a point is inside. NaN is not.
    pub fn contains(&self, x: f64, y: f64) -> bool {
        match self {
            Self::Rect { x: xs, y: ys } => xs.contains(x) && ys.contains(y),
            Self::Lasso(_) => {
                let crossed = self.edges().filter(|&edge| crosses(edge, x, y)).count();
                crossed % 2 == 1 && !x.is_nan()
            }
        }
    }

    /// The edges of a lasso, its last corner to its first included; none of a rectangle.
    pub fn edges(&self) -> impl Iterator<Item = Edge> + '_ {
        let corners = match self {
            Self::Rect { .. } => &[],
            Self::Lasso(corners) => corners.as_slice(),
        };
        let next = corners.iter().cycle().skip(1);
        corners.iter().zip(next).map(|(&a, &b)| [a, b])
    }

    /// The ranges of x and y that hold it; `None` of a lasso without corners.
    pub fn bounds(&self) -> Option<[Range; 2]> {
        match self {
            Self::Rect { x, y } => Some([*x, *y]),
            Self::Lasso(corners) => Some([
                Range::covering(corners.iter().map(|corner| corner[0]))?,
                Range::covering(corners.iter().map(|corner| corner[1]))?,
            ]),
        }
    }

    /// Moved, but no further than the axes reach.
    pub fn moved(&self, by: [f64; 2], axes: &Axes<'_>) -> Self {
        let Some([x, y]) = self.bounds() else {
            return self.clone();
        };
        let dx = x.shifted(by[0]).inside(outer(axes.x, x)).min - x.min;
        let dy = y.shifted(by[1]).inside(outer(axes.y, y)).min - y.min;
        match self {
            Self::Rect { x, y } => Self::Rect {
                x: x.shifted(dx),
                y: y.shifted(dy),
            },
            Self::Lasso(corners) => {
                Self::Lasso(corners.iter().map(|[x, y]| [x + dx, y + dy]).collect())
            }
        }
    }

    /// With some sides moved by `by`; the others stay, and it never turns inside out. A lasso is stretched.
    pub fn resized(&self, sides: Sides, by: [f64; 2], axes: &Axes<'_>) -> Self {
        let Some([x, y]) = self.bounds() else {
            return self.clone();
        };
        let to = [
            resize(x, sides.left, sides.right, by[0], axes.x),
            resize(y, sides.bottom, sides.top, by[1], axes.y),
        ];
        match self {
            Self::Rect { .. } => Self::Rect { x: to[0], y: to[1] },
            Self::Lasso(corners) => {
                let along = |value: f64, from: Range, to: Range| {
                    let share = (value - from.min) / from.width().max(f64::MIN_POSITIVE);
                    to.min + share * to.width()
                };
                let corners = corners.iter();
                Self::Lasso(
                    corners
                        .map(|&[cx, cy]| [along(cx, x, to[0]), along(cy, y, to[1])])
                        .collect(),
                )
            }
        }
    }

    /// In words: "score 0.20 to 0.45, mask IoU above 0.80". An end at or beyond the end of its axis is not named.
    pub fn text(&self, axes: &Axes<'_>) -> String {
        let Some([x, y]) = self.bounds() else {
            return "nothing".into();
        };
        let parts: Vec<String> = [(axes.x, x), (axes.y, y)]
            .into_iter()
            .filter_map(|(axis, range)| side_text(axis, range))
            .collect();
        let lasso = matches!(self, Self::Lasso(_));
        match (parts.is_empty(), lasso) {
            (true, false) => "everything".into(),
            (true, true) => "a lasso".into(),
            (false, false) => parts.join(", "),
            (false, true) => format!("a lasso within {}", parts.join(", ")),
        }
    }
}

/// The axis, or more where the region reaches beyond it already.
fn outer(axis: Axis<'_>, region: Range) -> Range {
    Range {
        min: axis.whole.min.min(region.min),
        max: axis.whole.max.max(region.max),
    }
}

/// The smallest part of an axis that a brush can be resized to.
const NARROWEST: f64 = 1e-4;

fn resize(range: Range, low: bool, high: bool, by: f64, axis: Axis<'_>) -> Range {
    let outer = outer(axis, range);
    let least = (axis.whole.width() * NARROWEST).min(range.width());
    let mut to = range;
    if low {
        to.min = (range.min + by).min(range.max - least).max(outer.min);
    }
    if high {
        to.max = (range.max + by).max(range.min + least).min(outer.max);
    }
    to
}

fn side_text(axis: Axis<'_>, range: Range) -> Option<String> {
    // Two decimals tell 100 places of 0..1 apart; a narrow brush needs more.
    let decimals = (1.5 - range.width().max(1e-9).log10())
        .floor()
        .clamp(2.0, 6.0) as usize;
    let name = axis.name;
    let from = (range.min > axis.whole.min).then(|| format!("{:.decimals$}", range.min));
    let to = (range.max < axis.whole.max).then(|| format!("{:.decimals$}", range.max));
    match (from, to) {
        (None, None) => None,
        (Some(from), None) => Some(format!("{name} above {from}")),
        (None, Some(to)) => Some(format!("{name} below {to}")),
        (Some(from), Some(to)) => Some(format!("{name} {from} to {to}")),
    }
}

/// The bounds on the screen.
pub(super) fn screen_bounds(region: &Region, transform: &super::Transform) -> Option<Rect> {
    let [x, y] = region.bounds()?;
    Some(Rect::from_min_max(
        pos2(transform.screen_x(x.min), transform.screen_y(y.max)),
        pos2(transform.screen_x(x.max), transform.screen_y(y.min)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes() -> Axes<'static> {
        Axes {
            x: Axis::unit("score"),
            y: Axis::unit("mask IoU"),
            diagonal: false,
        }
    }

    fn rect(x1: f64, x2: f64, y1: f64, y2: f64) -> Region {
        Region::rect([x1, y1], [x2, y2])
    }

    #[test]
    fn a_rectangle_holds_its_ends_and_a_lasso_its_inside() {
        let region = rect(0.45, 0.2, 0.8, 1.0);
        for (x, y, inside) in [
            (0.2, 0.8, true),
            (0.45, 1.0, true),
            (0.3, 0.9, true),
            (0.19, 0.9, false),
            (0.3, 0.79, false),
            (f64::NAN, 0.9, false),
            (0.3, f64::NAN, false),
        ] {
            assert_eq!(region.contains(x, y), inside, "{x} {y}");
        }
        // The letter U: the notch is outside.
        let corners = [
            [0.0, 0.0],
            [1.0, 0.0],
            [1.0, 1.0],
            [0.7, 1.0],
            [0.7, 0.4],
            [0.3, 0.4],
            [0.3, 1.0],
            [0.0, 1.0],
        ];
        let lasso = Region::Lasso(corners.to_vec());
        for (x, y, inside) in [
            (0.5, 0.2, true),
            (0.1, 0.9, true),
            (0.9, 0.9, true),
            (0.5, 0.7, false),
            (1.1, 0.5, false),
            (-0.1, 0.5, false),
            (f64::NAN, 0.2, false),
            (0.5, f64::NAN, false),
        ] {
            assert_eq!(lasso.contains(x, y), inside, "{x} {y}");
        }
        // A figure of eight: both loops are inside, and what is enclosed twice is not.
        let eight = Region::Lasso(vec![[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]);
        assert!(eight.contains(0.2, 0.5) && eight.contains(0.8, 0.5) && !eight.contains(0.5, 0.9));
        assert!(!Region::Lasso(Vec::new()).contains(0.0, 0.0));
    }

    #[test]
    fn a_region_is_told_in_words() {
        let check = |region: Region, expected| assert_eq!(region.text(&axes()), expected);
        check(
            rect(0.2, 0.45, 0.8, 1.0),
            "score 0.20 to 0.45, mask IoU above 0.80",
        );
        check(rect(-0.02, 1.02, 0.0, 0.3), "mask IoU below 0.30");
        check(rect(0.0, 1.0, 0.0, 1.0), "everything");
        check(rect(0.5012, 0.5034, 0.0, 1.0), "score 0.5012 to 0.5034");
        let lasso = Region::Lasso(vec![[0.1, 0.2], [0.4, 0.2], [0.2, 1.0]]);
        check(
            lasso,
            "a lasso within score 0.10 to 0.40, mask IoU above 0.20",
        );
    }

    #[test]
    fn moving_stops_at_the_axes_and_resizing_before_nothing() {
        let axes = axes();
        let close = |got: Region, x: [f64; 2], y: [f64; 2]| {
            let [gx, gy] = got.bounds().unwrap();
            for (got, want) in [gx.min, gx.max, gy.min, gy.max]
                .into_iter()
                .zip([x, y].concat())
            {
                assert!((got - want).abs() < 1e-9, "{gx:?} {gy:?}, not {x:?} {y:?}");
            }
        };
        let region = rect(0.2, 0.4, 0.5, 0.9);
        close(region.moved([0.1, 0.05], &axes), [0.3, 0.5], [0.55, 0.95]);
        close(region.moved([9.0, -9.0], &axes), [0.8, 1.0], [0.0, 0.4]);
        let right = Sides {
            right: true,
            ..Sides::default()
        };
        close(
            region.resized(right, [0.1, 0.7], &axes),
            [0.2, 0.5],
            [0.5, 0.9],
        );
        close(
            region.resized(right, [-3.0, 0.0], &axes),
            [0.2, 0.2 + NARROWEST],
            [0.5, 0.9],
        );
        let corner = Sides {
            left: true,
            top: true,
            ..Sides::default()
        };
        close(
            region.resized(corner, [-0.1, 0.05], &axes),
            [0.1, 0.4],
            [0.5, 0.95],
        );
        let lasso = Region::Lasso(vec![[0.2, 0.5], [0.4, 0.5], [0.3, 0.9]]);
        let Region::Lasso(stretched) = lasso.resized(right, [0.2, 0.0], &axes) else {
            panic!("it stays a lasso")
        };
        assert!((stretched[2][0] - 0.4).abs() < 1e-9 && (stretched[2][1] - 0.9).abs() < 1e-9);
        close(lasso.moved([-9.0, 9.0], &axes), [0.0, 0.2], [0.6, 1.0]);
    }
}
