//! Masks as plain sets of pixels, read from each of COCO's spellings without the program's own code.

use serde_json::Value;

/// A mask, one bool a pixel, column-major: pixel (x, y) at `y + height * x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    pub height: usize,
    pub width: usize,
    pub inside: Vec<bool>,
}

impl Pixels {
    pub fn empty(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            inside: vec![false; height * width],
        }
    }

    /// A segmentation on an image of that size.
    pub fn read(segmentation: &Value, height: usize, width: usize) -> Self {
        if let Some(polygons) = segmentation.as_array() {
            let mut union = Self::empty(height, width);
            for polygon in polygons {
                let points: Vec<f64> = floats(polygon);
                union.add(&Self::from_polygon(&points, height, width));
            }
            return union;
        }
        let size: Vec<f64> = floats(&segmentation["size"]);
        let runs = match &segmentation["counts"] {
            Value::String(text) => runs_of_string(text),
            counts => floats(counts).iter().map(|&run| run as usize).collect(),
        };
        Self::from_runs(&runs, size[0] as usize, size[1] as usize)
    }

    /// Runs that begin with background; what they leave out is background.
    pub fn from_runs(runs: &[usize], height: usize, width: usize) -> Self {
        let mut inside: Vec<bool> = Vec::with_capacity(height * width);
        for (number, &run) in runs.iter().enumerate() {
            inside.extend(std::iter::repeat_n(number % 2 == 1, run));
        }
        assert!(inside.len() <= height * width, "runs beyond the mask");
        inside.resize(height * width, false);
        Self {
            height,
            width,
            inside,
        }
    }

    /// The inside of a polygon `x, y, x, y, …`: its outline is walked on a grid of a fifth of a pixel, and a pixel is
    /// inside where the outline was crossed an odd number of times before it in column-major order.
    pub fn from_polygon(points: &[f64], height: usize, width: usize) -> Self {
        let outline = outline(points);
        // Where the outline is crossed an odd number of times, before the pixel of that number.
        let mut crossed = vec![false; height * width + 1];
        for pair in outline.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let column = (x0.min(x1) as f64 + 0.5) / GRID - 0.5;
            let in_image = column >= 0.0 && column <= width as f64 - 1.0;
            if x0 == x1 || column.floor() != column || !in_image {
                continue;
            }
            let row = (y0.min(y1) as f64 + 0.5) / GRID - 0.5;
            let row = row.clamp(0.0, height as f64).ceil();
            crossed[column as usize * height + row as usize] ^= true;
        }
        let mut mask = Self::empty(height, width);
        let mut state = false;
        for (inside, crossed) in mask.inside.iter_mut().zip(crossed) {
            state ^= crossed;
            *inside = state;
        }
        mask
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.inside.iter_mut().zip(&other.inside) {
            *mine |= theirs;
        }
    }

    pub fn area(&self) -> usize {
        self.inside.iter().filter(|inside| **inside).count()
    }

    /// Pixels of both masks.
    pub fn common(&self, other: &Self) -> usize {
        assert_eq!((self.height, self.width), (other.height, other.width));
        let both = self.inside.iter().zip(&other.inside);
        both.filter(|(mine, theirs)| **mine && **theirs).count()
    }

    /// Run lengths, background first.
    pub fn runs(&self) -> Vec<u32> {
        let (mut runs, mut state) = (vec![0], false);
        for &inside in &self.inside {
            if inside != state {
                runs.push(0);
                state = inside;
            }
            *runs.last_mut().unwrap() += 1;
        }
        runs
    }
}

/// Steps of the polygon walk in a pixel.
const GRID: f64 = 5.0;

/// Grid points along the closed outline, each edge in its own direction.
fn outline(points: &[f64]) -> Vec<(i64, i64)> {
    let on_grid = |v: f64| (GRID * v + 0.5) as i64;
    let mut corners: Vec<(i64, i64)> = points
        .chunks_exact(2)
        .map(|p| (on_grid(p[0]), on_grid(p[1])))
        .collect();
    corners.push(corners[0]);
    corners.windows(2).flat_map(|e| edge(e[0], e[1])).collect()
}

/// Grid points of one edge, one for every step along its longer axis.
fn edge(from: (i64, i64), to: (i64, i64)) -> Vec<(i64, i64)> {
    let along_x = (to.0 - from.0).abs() >= (to.1 - from.1).abs();
    let turn = |(x, y): (i64, i64)| if along_x { (x, y) } else { (y, x) };
    let (from, to) = (turn(from), turn(to));
    // The other coordinate is interpolated from the smaller end, so that both directions give the same points.
    let (low, high) = if from.0 <= to.0 {
        (from, to)
    } else {
        (to, from)
    };
    let length = high.0 - low.0;
    let slope = if length == 0 {
        0.0
    } else {
        (high.1 - low.1) as f64 / length as f64
    };
    let point = |step: i64| {
        let other = (low.1 as f64 + slope * step as f64 + 0.5) as i64;
        turn((low.0 + step, other))
    };
    let mut walked: Vec<_> = (0..=length).map(point).collect();
    if from.0 > to.0 {
        walked.reverse();
    }
    walked
}

/// Runs of a `counts` string: characters from 48 of five bits and a continuation bit, low bits first, signed; from the
/// fourth run on the difference from the run two before.
fn runs_of_string(text: &str) -> Vec<usize> {
    let mut runs: Vec<i64> = Vec::new();
    let (mut value, mut shift) = (0i64, 0);
    for byte in text.bytes() {
        let bits = i64::from(byte) - 48;
        value |= (bits & 31) << shift;
        shift += 5;
        if bits & 32 != 0 {
            continue;
        }
        if bits & 16 != 0 {
            value -= 1 << shift;
        }
        if runs.len() > 2 {
            value += runs[runs.len() - 2];
        }
        runs.push(value);
        (value, shift) = (0, 0);
    }
    runs.into_iter().map(|run| run as usize).collect()
}

/// An array of numbers.
pub fn floats(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap_or_else(|| panic!("{value}"));
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}
