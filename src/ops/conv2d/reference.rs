//! The specification: plain loops, sums in f64. Every fast path is tested against these.

use super::Activation;
use super::shape::ConvShape;

/// `activation(conv(x) + bias + residual)`, `x` (N,I,H,W), `weight` (O,I,kh,kw), `bias` (O) -> (N,O,H',W').
pub(super) fn conv2d(
    s: &ConvShape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    let mut out = Vec::with_capacity(s.out_len());
    for n in 0..s.n {
        for (o, &b) in bias.iter().enumerate() {
            for oy in 0..s.oh {
                for ox in 0..s.ow {
                    let sum = conv_at(s, x, weight, [n, o, oy, ox]) + f64::from(b);
                    let added = residual.map_or(0.0, |r| f64::from(r[out.len()]));
                    out.push(activation.apply((sum + added) as f32));
                }
            }
        }
    }
    out
}

/// The sum of products of one output pixel.
fn conv_at(s: &ConvShape, x: &[f32], weight: &[f32], [n, o, oy, ox]: [usize; 4]) -> f64 {
    let mut sum = 0.0;
    for i in 0..s.i {
        for ky in 0..s.kh {
            for kx in 0..s.kw {
                let (y, x_) = (oy * s.stride + ky, ox * s.stride + kx);
                let inside = (s.padding..s.h + s.padding).contains(&y)
                    && (s.padding..s.w + s.padding).contains(&x_);
                if inside {
                    let at = ((n * s.i + i) * s.h + y - s.padding) * s.w + x_ - s.padding;
                    let w = weight[((o * s.i + i) * s.kh + ky) * s.kw + kx];
                    sum += f64::from(x[at]) * f64::from(w);
                }
            }
        }
    }
    sum
}

/// `activation(x·Wᵀ + bias)`, `x` (R,I), `weight` (O,I), `bias` (O) -> (R,O).
pub(super) fn linear(
    inputs: usize,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    activation: Activation,
) -> Vec<f32> {
    let mut out = Vec::new();
    for row in x.chunks_exact(inputs) {
        for (w, &b) in weight.chunks_exact(inputs).zip(bias) {
            let dot: f64 = row
                .iter()
                .zip(w)
                .map(|(&x, &w)| f64::from(x) * f64::from(w))
                .sum();
            out.push(activation.apply((dot + f64::from(b)) as f32));
        }
    }
    out
}

/// `out[r, o, 2y+i, 2x+j] = activation(b[o] + Σ_c in[r,c,y,x]·W[c,o,i,j])`, `weight` (I,O,2,2) -> (R,O,2H,2W).
pub(super) fn deconv2x2(
    [rois, inputs, h, w]: [usize; 4],
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    activation: Activation,
) -> Vec<f32> {
    let outputs = bias.len();
    let mut out = Vec::with_capacity(rois * outputs * 4 * h * w);
    for r in 0..rois {
        for (o, &b) in bias.iter().enumerate() {
            for oy in 0..2 * h {
                for ox in 0..2 * w {
                    let mut sum = f64::from(b);
                    for c in 0..inputs {
                        let value = x[((r * inputs + c) * h + oy / 2) * w + ox / 2];
                        let tap = weight[((c * outputs + o) * 2 + oy % 2) * 2 + ox % 2];
                        sum += f64::from(value) * f64::from(tap);
                    }
                    out.push(activation.apply(sum as f32));
                }
            }
        }
    }
    out
}

impl Activation {
    /// Of one value; NaN stays NaN.
    fn apply(self, x: f32) -> f32 {
        if self == Self::Relu && x < 0.0 {
            0.0
        } else {
            x
        }
    }
}

/// The gradient of the weights, (O,I,kh,kw), from `x` (N,I,H,W) and `dz` (N,O,H',W').
pub(super) fn weight_gradient(s: &ConvShape, x: &[f32], dz: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0f64; s.o * s.i * s.kh * s.kw];
    for (at, &dz) in dz.iter().enumerate() {
        let (n, o) = (at / s.out_plane() / s.o, at / s.out_plane() % s.o);
        let (oy, ox) = (at % s.out_plane() / s.ow, at % s.ow);
        for i in 0..s.i {
            for tap in 0..s.kh * s.kw {
                let y = (oy * s.stride + tap / s.kw).wrapping_sub(s.padding);
                let x_ = (ox * s.stride + tap % s.kw).wrapping_sub(s.padding);
                if y < s.h && x_ < s.w {
                    let value = x[((n * s.i + i) * s.h + y) * s.w + x_];
                    out[(o * s.i + i) * s.kh * s.kw + tap] += f64::from(value) * f64::from(dz);
                }
            }
        }
    }
    out.into_iter().map(|v| v as f32).collect()
}
