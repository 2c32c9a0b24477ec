//! The layers as operations of candle's graph, and the choice of the path.
//!
//! Every input that may want a gradient is an argument of its operation. `Trainable` has one for each (`backward`).
//! `Frozen` has none: only the first stages of a backbone are frozen, and nothing before them is trained. A backward pass
//! that reaches it fails with `BackwardNotSupported` instead of leaving a parameter silently untrained.

use std::sync::{Arc, OnceLock};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Device, Layout, Result, Shape, Storage,
    Tensor, bail,
};

use super::linear::LinearRun;
use super::pack::{PackedColumns, PackedRows};
use super::panel::{PanelConv, Store};
use super::shape::ConvShape;
use super::simd::Isa;
use super::winograd::{WinogradConv, WinogradWeights};
use super::{Activation, Sums};

/// The kind of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Weight (O,I,kh,kw).
    Conv {
        /// On both axes.
        stride: usize,
        /// Zeros on each side of both axes.
        padding: usize,
    },
    /// Weight (O,I).
    Linear,
    /// Weight (I,O,2,2).
    Deconv2x2,
}

/// What a layer is, without its weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    /// See `Kind`.
    pub kind: Kind,
    /// What follows the sum.
    pub activation: Activation,
}

/// Weights in the forms that the paths need, each made when it is first used.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    winograd: OnceLock<WinogradWeights>,
    rows: OnceLock<PackedRows>,
    columns: OnceLock<PackedColumns>,
}

/// Contiguous values with their shape.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// As many as the shape says.
    pub values: &'a [f32],
    /// One length an axis.
    pub shape: &'a [usize],
}

impl<'a> View<'a> {
    fn new(storage: &'a CpuStorage, layout: &'a Layout) -> Result<Self> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("conv2d: the tensor {:?} is not contiguous", layout.shape());
        };
        let values = storage.as_slice::<f32>()?.get(start..end);
        let Some(values) = values else {
            bail!(
                "conv2d: the tensor {:?} is larger than its storage",
                layout.shape()
            );
        };
        Ok(Self {
            values,
            shape: layout.dims(),
        })
    }
}

impl Layer {
    /// The output for plain values; `prepared` must belong to `weight` and `bias`.
    pub(super) fn run(
        &self,
        isa: Isa,
        x: View<'_>,
        (weight, bias): (View<'_>, View<'_>),
        prepared: &Prepared,
        residual: Option<View<'_>>,
    ) -> Result<(Vec<f32>, Shape)> {
        let (outputs, expected) = match (self.kind, weight.shape) {
            (Kind::Conv { .. }, &[o, i, h, w]) => (o, o * i * h * w),
            (Kind::Linear, &[o, i]) => (o, o * i),
            (Kind::Deconv2x2, &[i, o, 2, 2]) => (o, o * i * 4),
            _ => bail!(
                "{:?}: a weight of shape {:?} does not fit",
                self.kind,
                weight.shape
            ),
        };
        if expected == 0 || weight.values.len() != expected || bias.shape != [outputs] {
            let kind = self.kind;
            bail!(
                "{kind:?}: weight {:?} and bias {:?} do not fit",
                weight.shape,
                bias.shape
            );
        }
        match self.kind {
            Kind::Conv { stride, padding } => {
                let shape = ConvShape::new(x.shape, weight.shape, stride, padding)?;
                let out_shape = [shape.n, shape.o, shape.oh, shape.ow];
                if let Some(r) = residual
                    && r.shape != out_shape
                {
                    bail!(
                        "conv2d: the residual is {:?}, the output {out_shape:?}",
                        r.shape
                    );
                }
                let residual = residual.map(|r| r.values);
                let out = self.conv(isa, shape, x.values, (weight, bias), prepared, residual);
                Ok((out, Shape::from(&out_shape)))
            }
            Kind::Linear => self.linear(isa, x, (weight, bias), prepared),
            Kind::Deconv2x2 => self.deconv(isa, x, (weight, bias), prepared),
        }
    }

    fn relu(&self) -> bool {
        self.activation == Activation::Relu
    }

    fn conv(
        &self,
        isa: Isa,
        shape: ConvShape,
        x: &[f32],
        (weight, bias): (View<'_>, View<'_>),
        prepared: &Prepared,
        residual: Option<&[f32]>,
    ) -> Vec<f32> {
        let relu = self.relu();
        if WinogradConv::suits(&shape) {
            let weights = prepared
                .winograd
                .get_or_init(|| WinogradWeights::new(isa, shape.i, weight.values, bias.values));
            let call = WinogradConv {
                shape,
                x,
                weights,
                residual,
                relu,
            };
            return call.run(isa);
        }
        let depth = shape.depth();
        let weights = prepared.rows.get_or_init(|| {
            let at = |row, k| weight.values[row * depth + k];
            PackedRows::new(shape.o, depth, |row| bias.values[row], at)
        });
        let call = PanelConv {
            shape,
            x,
            weights,
            residual,
            store: Store::Plain,
            relu,
        };
        call.run(isa)
    }

    fn linear(
        &self,
        isa: Isa,
        x: View<'_>,
        (weight, bias): (View<'_>, View<'_>),
        prepared: &Prepared,
    ) -> Result<(Vec<f32>, Shape)> {
        let rows = match (x.shape, weight.shape) {
            (&[rows, inputs], &[_, expected]) if inputs == expected => rows,
            _ => bail!(
                "linear: the input {:?} does not fit the weight {:?}",
                x.shape,
                weight.shape
            ),
        };
        let weights = prepared
            .columns
            .get_or_init(|| PackedColumns::new(weight.values, bias.values));
        let call = LinearRun {
            rows,
            x: x.values,
            weights,
            relu: self.relu(),
        };
        Ok((call.run(isa), Shape::from((rows, bias.values.len()))))
    }

    fn deconv(
        &self,
        isa: Isa,
        x: View<'_>,
        (weight, bias): (View<'_>, View<'_>),
        prepared: &Prepared,
    ) -> Result<(Vec<f32>, Shape)> {
        let outputs = bias.values.len();
        let &[_, inputs, _, _] = x.shape else {
            bail!("deconv2x2: the input {:?} must be (R,I,H,W)", x.shape);
        };
        // A 1×1 convolution to 4·O rows: row 4o + 2i + j is tap (i, j) of output channel o.
        let shape = ConvShape::new(x.shape, &[4 * outputs, weight.shape[0], 1, 1], 1, 0)?;
        let weights = prepared.rows.get_or_init(|| {
            let at = |row, k| weight.values[(k * outputs + row / 4) * 4 + row % 4];
            PackedRows::new(4 * outputs, inputs, |row| bias.values[row / 4], at)
        });
        let call = PanelConv {
            shape,
            x: x.values,
            weights,
            residual: None,
            store: Store::Deconv2x2,
            relu: self.relu(),
        };
        let out_shape = (shape.n, outputs, 2 * shape.h, 2 * shape.w);
        Ok((call.run(isa), Shape::from(out_shape)))
    }
}

/// A layer whose weights want no gradient: they are prepared once.
#[derive(Debug, Clone)]
pub(super) struct Frozen {
    /// What it is.
    pub layer: Layer,
    /// Contiguous f32 on the CPU.
    pub weight: Tensor,
    /// Contiguous f32 on the CPU.
    pub bias: Tensor,
    /// Shared by the clones of the layer.
    pub prepared: Arc<Prepared>,
}

impl Frozen {
    fn run(&self, x: View<'_>, residual: Option<View<'_>>) -> Result<(CpuStorage, Shape)> {
        let (weight, weight_layout) = self.weight.storage_and_layout();
        let (bias, bias_layout) = self.bias.storage_and_layout();
        let (Storage::Cpu(weight), Storage::Cpu(bias)) = (&*weight, &*bias) else {
            bail!("conv2d: weight and bias must be on the CPU");
        };
        let weights = (
            View::new(weight, weight_layout)?,
            View::new(bias, bias_layout)?,
        );
        let prepared = &self.prepared;
        let (out, shape) = self
            .layer
            .run(Isa::best(), x, weights, prepared, residual)?;
        Ok((CpuStorage::F32(out), shape))
    }
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "conv2d with frozen weights"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(View::new(x, layout)?, None)
    }
}

impl CustomOp2 for Frozen {
    fn name(&self) -> &'static str {
        "conv2d with frozen weights and residual"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = View::new(residual, residual_layout)?;
        self.run(View::new(x, x_layout)?, Some(residual))
    }
}

/// A layer whose weights change from step to step and are arguments: (x, weight, bias).
#[derive(Debug, Clone, Copy)]
pub(super) struct Trainable {
    /// What it is.
    pub layer: Layer,
    /// Of the forward pass. Gradients are summed in f32: only a sum that falls on the other side of a ReLU changes much.
    pub sums: Sums,
}

impl Trainable {
    /// The output by candle's operations in f64.
    fn wide(&self, x: View<'_>, weight: View<'_>, bias: View<'_>) -> Result<(Vec<f32>, Shape)> {
        let wide = |of: View<'_>| {
            Tensor::from_slice(of.values, of.shape, &Device::Cpu)?.to_dtype(DType::F64)
        };
        let sum = self
            .layer
            .plain_sum(&wide(x)?, &wide(weight)?, &wide(bias)?)?;
        let out = self.layer.activation.forward(sum)?.to_dtype(DType::F32)?;
        Ok((out.flatten_all()?.to_vec1()?, out.shape().clone()))
    }
}

impl CustomOp3 for Trainable {
    fn name(&self) -> &'static str {
        "conv2d with trainable weights"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let weights = (
            View::new(weight, weight_layout)?,
            View::new(bias, bias_layout)?,
        );
        let x = View::new(x, x_layout)?;
        let (out, shape) = match self.sums {
            Sums::F64 => self.wide(x, weights.0, weights.1)?,
            Sums::F32 => self
                .layer
                .run(Isa::best(), x, weights, &Prepared::default(), None)?,
        };
        Ok((CpuStorage::F32(out), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let found = self.layer.backward((x, weight, bias), result, gradient)?;
        Ok((found.x, found.weight, found.bias))
    }
}
