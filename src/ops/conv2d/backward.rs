//! Gradients of the three layers on the CPU.
//!
//! The gradient of the input is a convolution itself (mirrored kernel, channels exchanged) and runs on the forward kernels.
//! That of the weights is in `weights`, one product a tap.
//!
//! Axes: N images or RoIs, I and O channels, H and W.

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::op::{Kind, Layer, Prepared, View};
use super::shape::ConvShape;
use super::simd::Isa;
use super::{Activation, weights};
use crate::ops::gemm::{Matrix, add_product};
use crate::ops::host::{behind_relu, with_values};

const OP: &str = "conv2d";

/// Gradients of (x, weight, bias), each only if it is wanted.
pub(super) struct Gradients {
    pub(super) x: Option<Tensor>,
    pub(super) weight: Option<Tensor>,
    pub(super) bias: Option<Tensor>,
}

impl Layer {
    /// `result` is the layer's output, `gradient` what reaches it.
    pub(super) fn backward(
        self,
        (x, weight, bias): (&Tensor, &Tensor, &Tensor),
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<Gradients> {
        let dz = match self.activation {
            Activation::None => gradient.contiguous()?,
            Activation::Relu => behind_relu(gradient, result, OP)?,
        };
        with_values(&dz, OP, |values| {
            let shape = dz.dims();
            self.gradients(x, weight, bias, View { values, shape })
        })
    }

    fn gradients(
        self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        dz: View<'_>,
    ) -> Result<Gradients> {
        let wanted = |of: &Tensor| of.track_op();
        let tensor =
            |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
        let of_x = |_| {
            let values = with_values(weight, OP, |values| {
                let shape = weight.dims();
                self.input_gradient(x.dims(), View { values, shape }, dz)
            })?;
            tensor(values, x)
        };
        let of_weight = |_| {
            let values = with_values(x, OP, |values| {
                let shape = x.dims();
                self.weight_gradient(View { values, shape }, weight.dims(), dz)
            })?;
            tensor(values, weight)
        };
        let of_bias = |_| tensor(self.bias_gradient(dz), bias);
        Ok(Gradients {
            x: Some(()).filter(|_| wanted(x)).map(of_x).transpose()?,
            weight: Some(())
                .filter(|_| wanted(weight))
                .map(of_weight)
                .transpose()?,
            bias: Some(()).filter(|_| wanted(bias)).map(of_bias).transpose()?,
        })
    }

    fn input_gradient(self, x_shape: &[usize], weight: View<'_>, dz: View<'_>) -> Result<Vec<f32>> {
        match self.kind {
            Kind::Conv { stride, padding } => {
                let shape = ConvShape::new(x_shape, weight.shape, stride, padding)?;
                conv_input_gradient(&shape, weight.values, dz.values)
            }
            Kind::Linear => {
                let (rows, inputs, outputs) = (x_shape[0], x_shape[1], dz.shape[1]);
                let mut dx = vec![0.0; rows * inputs];
                let right = Matrix::new(weight.values, outputs, inputs, inputs);
                let block = row_block(rows);
                dx.par_chunks_mut((block * inputs).max(1))
                    .zip(dz.values.par_chunks((block * outputs).max(1)))
                    .for_each(|(dx, dz)| {
                        let left = Matrix::new(dz, dz.len() / outputs, outputs, outputs);
                        add_product(dx, left, right);
                    });
                Ok(dx)
            }
            Kind::Deconv2x2 => {
                let unshuffled = unshuffle(dz);
                let rows = 4 * dz.shape[1];
                // (I,O,2,2) is (I,4·O) already.
                let as_1x1 = [weight.shape[0], rows, 1, 1];
                let shape = [dz.shape[0], rows, dz.shape[2] / 2, dz.shape[3] / 2];
                plain_conv(
                    View {
                        values: &unshuffled,
                        shape: &shape,
                    },
                    View {
                        values: weight.values,
                        shape: &as_1x1,
                    },
                    0,
                )
            }
        }
    }

    fn weight_gradient(
        self,
        x: View<'_>,
        weight_shape: &[usize],
        dz: View<'_>,
    ) -> Result<Vec<f32>> {
        match self.kind {
            Kind::Conv { stride, padding } => {
                let shape = ConvShape::new(x.shape, weight_shape, stride, padding)?;
                Ok(weights::gradient(&shape, x.values, dz.values))
            }
            Kind::Linear => {
                let (rows, inputs, outputs) = (x.shape[0], x.shape[1], dz.shape[1]);
                let mut dw = vec![0.0; outputs * inputs];
                let right = Matrix::new(x.values, rows, inputs, inputs);
                let block = row_block(outputs);
                dw.par_chunks_mut((block * inputs).max(1))
                    .enumerate()
                    .for_each(|(index, dw)| {
                        let count = dw.len() / inputs;
                        let columns = dz.values.get(index * block..).unwrap_or_default();
                        let left = Matrix::new(columns, rows, count, outputs);
                        add_product(dw, left.transposed(), right);
                    });
                Ok(dw)
            }
            Kind::Deconv2x2 => {
                let unshuffled = unshuffle(dz);
                // As a 1×1 convolution from I to 4·O: (4·O,I), stored as (I,4·O).
                let [inputs, outputs] = [weight_shape[0], 4 * weight_shape[1]];
                let as_1x1 = [outputs, inputs, 1, 1];
                let shape = ConvShape::new(x.shape, &as_1x1, 1, 0)?;
                let dw = weights::gradient(&shape, x.values, &unshuffled);
                Ok(transposed(&dw, outputs, inputs))
            }
        }
    }

    fn bias_gradient(self, dz: View<'_>) -> Vec<f32> {
        let (outputs, plane) = match *dz.shape {
            [_, outputs, height, width] => (outputs, height * width),
            _ => (dz.shape[1], 1),
        };
        let sum = |output: usize| {
            let of_output = dz.values.chunks_exact(plane.max(1));
            let planes = of_output.skip(output).step_by(outputs.max(1));
            planes.flatten().map(|&v| f64::from(v)).sum::<f64>() as f32
        };
        (0..outputs).into_par_iter().map(sum).collect()
    }
}

/// Rows a work item takes: enough items for some threads, the same on every machine.
fn row_block(rows: usize) -> usize {
    rows.div_ceil(8).next_multiple_of(8)
}

/// `x` through `weight` with stride 1, without bias and activation, on the forward kernels.
fn plain_conv(x: View<'_>, weight: View<'_>, padding: usize) -> Result<Vec<f32>> {
    let layer = Layer {
        kind: Kind::Conv { stride: 1, padding },
        activation: Activation::None,
    };
    let zeros = vec![0.0; weight.shape[0]];
    let bias = View {
        values: &zeros,
        shape: &weight.shape[..1],
    };
    let (out, _) = layer.run(Isa::best(), x, (weight, bias), &Prepared::default(), None)?;
    Ok(out)
}

/// dx (N,I,H,W) of a convolution with `weight` (O,I,kh,kw) from dz (N,O,H',W').
fn conv_input_gradient(s: &ConvShape, weight: &[f32], dz: &[f32]) -> Result<Vec<f32>> {
    let taps = s.kh * s.kw;
    let mirrored = mirrored(weight, s.o, s.i, taps);
    let weight_shape = [s.i, s.o, s.kh, s.kw];
    let weight = View {
        values: &mirrored,
        shape: &weight_shape,
    };
    if taps == 1 && s.padding == 0 {
        let shape = [s.n, s.o, s.oh, s.ow];
        let small = plain_conv(
            View {
                values: dz,
                shape: &shape,
            },
            weight,
            0,
        )?;
        return Ok(if s.stride == 1 {
            small
        } else {
            spread(&small, s.n * s.i, (s.oh, s.ow), (s.h, s.w), s.stride)
        });
    }
    let Some(padding) = s.kh.checked_sub(1 + s.padding).filter(|_| s.kh == s.kw) else {
        bail!(
            "conv2d: no gradient for a padding of {} with kernel {}x{}",
            s.padding,
            s.kh,
            s.kw
        );
    };
    // With zeros between its rows and columns dz becomes the output of stride 1.
    let full = (
        s.h + 2 * s.padding - s.kh + 1,
        s.w + 2 * s.padding - s.kw + 1,
    );
    let shape = [s.n, s.o, full.0, full.1];
    if s.stride == 1 {
        return plain_conv(
            View {
                values: dz,
                shape: &shape,
            },
            weight,
            padding,
        );
    }
    let dilated = spread(dz, s.n * s.o, (s.oh, s.ow), full, s.stride);
    plain_conv(
        View {
            values: &dilated,
            shape: &shape,
        },
        weight,
        padding,
    )
}

/// (O,I,taps) -> (I,O,taps) with the taps in reverse order.
fn mirrored(weight: &[f32], outputs: usize, inputs: usize, taps: usize) -> Vec<f32> {
    let mut out = vec![0.0; weight.len()];
    out.par_chunks_mut((outputs * taps).max(1))
        .enumerate()
        .for_each(|(input, out)| {
            for (output, out) in out.chunks_exact_mut(taps).enumerate() {
                let from = &weight[(output * inputs + input) * taps..][..taps];
                for (to, &tap) in out.iter_mut().zip(from.iter().rev()) {
                    *to = tap;
                }
            }
        });
    out
}

/// Planes of `from` (rows, columns) to planes of `to`, `stride` apart, zeros between.
fn spread(
    values: &[f32],
    planes: usize,
    from: (usize, usize),
    to: (usize, usize),
    stride: usize,
) -> Vec<f32> {
    let mut out = vec![0.0; planes * to.0 * to.1];
    if values.is_empty() || out.is_empty() {
        return out;
    }
    out.par_chunks_mut(to.0 * to.1)
        .zip(values.par_chunks(from.0 * from.1))
        .for_each(|(out, plane)| {
            let rows = out.chunks_exact_mut(to.1).step_by(stride);
            for (out, row) in rows.zip(plane.chunks_exact(from.1)) {
                for (out, &value) in out.iter_mut().step_by(stride).zip(row) {
                    *out = value;
                }
            }
        });
    out
}

/// (R,O,2H,2W) -> (R,4·O,H,W), channel 4o + 2i + j from tap (i, j) of output channel o.
fn unshuffle(dz: View<'_>) -> Vec<f32> {
    let (height, width) = (dz.shape[2], dz.shape[3]);
    let mut out = vec![0.0; dz.values.len()];
    if out.is_empty() {
        return out;
    }
    out.par_chunks_mut(height * width)
        .zip(dz.values.par_chunks(height * width))
        .for_each(|(out, plane)| {
            let quarter = height * width / 4;
            for (tap, out) in out.chunks_exact_mut(quarter).enumerate() {
                let rows = plane.chunks_exact(width).skip(tap / 2).step_by(2);
                for (out, row) in out.chunks_exact_mut(width / 2).zip(rows) {
                    let row = row.iter().skip(tap % 2).step_by(2);
                    for (out, &value) in out.iter_mut().zip(row) {
                        *out = value;
                    }
                }
            }
        });
    out
}

/// (rows, columns) -> (columns, rows).
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| values[row * columns + column]));
    }
    out
}
