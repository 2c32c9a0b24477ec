//! Boxes as four deltas against a reference box: centre shift in units of its size, logarithm of the size ratio.

use crate::config::BboxCoder;
use crate::structures::BoxXyxy;

/// A box shrinks at most by this factor, and grows at most by its inverse.
const MIN_RATIO: f64 = 0.016;

/// dx, dy, dw, dh.
pub type Deltas = [f32; 4];

/// Encodes and decodes with a mean and standard deviation per delta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxCoder {
    means: Deltas,
    stds: Deltas,
    /// |ln 0.016|, the limit of dw and dh on both sides.
    max_log_ratio: f32,
}

impl BoxCoder {
    /// The coder of a head.
    pub fn new(config: &BboxCoder) -> Self {
        Self {
            means: config.target_means.map(|mean| mean as f32),
            stds: config.target_stds.map(|std| std as f32),
            max_log_ratio: MIN_RATIO.ln().abs() as f32,
        }
    }

    /// Means, standard deviations and the limit of dw and dh, as kernels take them.
    pub fn numbers(&self) -> [f32; 9] {
        let ([a, b, c, d], [e, f, g, h]) = (self.means, self.stds);
        [a, b, c, d, e, f, g, h, self.max_log_ratio]
    }

    /// `reference` moved and scaled by the deltas; not clipped.
    pub fn decode(&self, reference: BoxXyxy, deltas: Deltas) -> BoxXyxy {
        let [dx, dy, dw, dh]: Deltas =
            std::array::from_fn(|k| deltas[k] * self.stds[k] + self.means[k]);
        let limit = self.max_log_ratio;
        let (dw, dh) = (dw.clamp(-limit, limit), dh.clamp(-limit, limit));
        let (center_x, center_y) = center(reference);
        let center_x = center_x + reference.width() * dx;
        let center_y = center_y + reference.height() * dy;
        let half_width = reference.width() * dw.exp() * 0.5;
        let half_height = reference.height() * dh.exp() * 0.5;
        BoxXyxy::new(
            center_x - half_width,
            center_y - half_height,
            center_x + half_width,
            center_y + half_height,
        )
    }

    /// The deltas that lead from `reference` to `target`; both must have positive size.
    pub fn encode(&self, reference: BoxXyxy, target: BoxXyxy) -> Deltas {
        let (reference_x, reference_y) = center(reference);
        let (target_x, target_y) = center(target);
        let deltas = [
            (target_x - reference_x) / reference.width(),
            (target_y - reference_y) / reference.height(),
            (target.width() / reference.width()).ln(),
            (target.height() / reference.height()).ln(),
        ];
        std::array::from_fn(|k| (deltas[k] - self.means[k]) / self.stds[k])
    }
}

fn center(of: BoxXyxy) -> (f32, f32) {
    ((of.x1 + of.x2) * 0.5, (of.y1 + of.y2) * 0.5)
}
