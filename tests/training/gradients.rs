//! Every operation on the training path against central differences, on each device.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor, Var};
use maskscope::ops::conv2d::{Activation, Conv2d, Deconv2x2, Linear};
use maskscope::ops::roi_align::{RoiAlign, roi_align};
use maskscope::ops::{
    BatchNorm, MaxPool2d, add_relu, add_upsampled, batch_statistics, losses, max_pool2d,
};

use crate::support::device::device;

/// Differences of f32 outputs: of the largest gradient along a direction.
const TOLERANCE: f64 = 2e-3;
const STEP: f64 = 1.0 / 64.0;

struct Numbers(u64);

impl Numbers {
    /// In [-1, 1).
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.next()).collect();
        Tensor::from_vec(values, shape, device()).unwrap()
    }

    /// A permutation of evenly spaced values: no two are closer than the step of the differences.
    fn apart(&mut self, shape: &[usize]) -> Tensor {
        let len: usize = shape.iter().product();
        let mut values: Vec<f32> = (0..len)
            .map(|at| at as f32 * 0.25 - len as f32 / 8.0 + 0.1)
            .collect();
        for at in (1..len).rev() {
            self.next();
            values.swap(at, (self.0 >> 33) as usize % (at + 1));
        }
        Tensor::from_vec(values, shape, device()).unwrap()
    }
}

/// Σ weights·output in f64.
fn weighted(output: &Tensor, weights: &Tensor) -> f64 {
    let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    let products = (wide(output) * wide(weights)).unwrap();
    let sum = products.flatten_all().unwrap().sum_all().unwrap();
    sum.to_scalar().unwrap()
}

/// Gradients of Σ r·f(inputs) for a random r against central differences: along random directions for the whole, and for
/// single elements so that a misplaced one is noticed.
fn check(what: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let mut numbers = Numbers(7);
    let vars: Vec<Var> = inputs
        .iter()
        .map(|x| Var::from_tensor(x).unwrap())
        .collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let output = f(&tensors).unwrap();
    let r = numbers.tensor(output.dims());
    let gradients = (&output * &r)
        .unwrap()
        .flatten_all() // candle's CUDA adds up no scalar
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    for (index, var) in vars.iter().enumerate() {
        let gradient = gradients.get(var.as_tensor());
        let gradient = gradient.unwrap_or_else(|| panic!("{what}: input {index} has no gradient"));
        assert_eq!(gradient.dims(), var.dims(), "{what}: input {index}");
        let along = |direction: &Tensor| {
            let at = |sign: f64| {
                let mut moved: Vec<Tensor> = inputs.to_vec();
                moved[index] = (&inputs[index] + (direction * (sign * STEP)).unwrap()).unwrap();
                weighted(&f(&moved).unwrap(), &r)
            };
            (at(1.0) - at(-1.0)) / (2.0 * STEP)
        };
        let len = var.elem_count();
        let scale = weighted(&gradient.abs().unwrap(), &gradient.ones_like().unwrap()) / len as f64;
        for trial in 0..12 {
            let direction = if trial < 4 {
                numbers.tensor(var.dims())
            } else {
                numbers.next();
                let mut values = vec![0f32; len];
                values[(numbers.0 >> 33) as usize % len] = 1.0;
                Tensor::from_vec(values, var.dims(), device()).unwrap()
            };
            let norm = if trial < 4 {
                (len as f64 / 3.0).sqrt()
            } else {
                1.0
            };
            let (want, got) = (along(&direction), weighted(gradient, &direction));
            let off = (got - want).abs() / (scale * norm).max(1e-3);
            let relative = (got - want).abs() / want.abs().max(1e-3);
            assert!(
                off.min(relative) < TOLERANCE * 5.0 && (trial >= 4 || off < TOLERANCE * 5.0),
                "{what}: input {index}, direction {trial}: {got} against {want} ({off:.1e})"
            );
        }
    }
}

#[test]
fn convolutions() {
    let mut numbers = Numbers(1);
    // (x, outputs, kernel, stride, padding): every path of forward and backward, odd sizes and mixed parity.
    for (x, o, k, stride, padding) in [
        ([1, 16, 12, 20], 24, 3, 1, 1),
        ([3, 9, 14, 14], 17, 3, 1, 1),
        ([2, 8, 7, 5], 8, 3, 1, 1),
        ([2, 12, 16, 17], 10, 3, 2, 1),
        ([1, 9, 14, 14], 8, 3, 2, 1),
        ([1, 3, 32, 30], 16, 7, 2, 3),
        ([2, 3, 9, 11], 5, 3, 1, 1),
        ([2, 40, 9, 7], 33, 1, 1, 0),
        ([2, 10, 9, 8], 12, 1, 2, 0),
        ([2, 8, 9, 10], 8, 3, 1, 0),
    ] {
        let inputs = [
            numbers.tensor(&x),
            numbers.tensor(&[o, x[1], k, k]),
            numbers.tensor(&[o]),
        ];
        check(&format!("conv {x:?} {o} {k} {stride}"), &inputs, |t| {
            let (w, b) = (t[1].clone(), t[2].clone());
            Conv2d::new(w, b, stride, padding, Activation::None)?.forward(&t[0])
        });
    }
}

#[test]
fn linear_and_deconvolution() {
    let mut numbers = Numbers(2);
    let shapes: [&[usize]; 3] = [&[13, 70], &[21, 70], &[21]];
    let inputs = shapes.map(|shape| numbers.tensor(shape));
    check("linear", &inputs, |t| {
        Linear::new(t[1].clone(), t[2].clone(), Activation::None)?.forward(&t[0])
    });
    let shapes: [&[usize]; 3] = [&[3, 9, 6, 5], &[9, 11, 2, 2], &[11]];
    let inputs = shapes.map(|shape| numbers.tensor(shape));
    check("deconv", &inputs, |t| {
        Deconv2x2::new(t[1].clone(), t[2].clone(), Activation::None)?.forward(&t[0])
    });
}

#[test]
fn relu_of_a_layer_and_of_a_sum() {
    let mut numbers = Numbers(3);
    // One input channel and weight 1: the output is the input, whose values are apart from 0.
    let x = numbers.apart(&[1, 1, 8, 9]);
    let one = Tensor::ones((1, 1, 1, 1), DType::F32, device()).unwrap();
    let zero = Tensor::zeros(1, DType::F32, device()).unwrap();
    check("relu", std::slice::from_ref(&x), |t| {
        let vars = |t: &Tensor| Var::from_tensor(t).map(|v| v.as_tensor().clone());
        Conv2d::new(vars(&one)?, vars(&zero)?, 1, 0, Activation::Relu)?.forward(&t[0])
    });
    let y = (numbers.tensor(&[1, 1, 8, 9]) * 0.01).unwrap();
    check("add_relu", &[x, y], |t| add_relu(&t[0], &t[1]));
}

#[test]
fn pooling_and_enlarging() {
    let mut numbers = Numbers(4);
    for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (1, 2, 0)] {
        let pool = MaxPool2d {
            kernel,
            stride,
            padding,
        };
        let x = numbers.apart(&[2, 3, 9, 8]);
        check(&format!("max pool {kernel}"), &[x], |t| {
            max_pool2d(&t[0], pool)
        });
    }
    let inputs = [
        numbers.tensor(&[2, 3, 9, 12]),
        numbers.tensor(&[2, 3, 5, 6]),
    ];
    check("add_upsampled", &inputs, |t| add_upsampled(&t[0], &t[1]));
    // The finer map is used elsewhere too, as in the FPN: both gradients must arrive.
    check("add_upsampled, used twice", &inputs, |t| {
        let sum = add_upsampled(&t[0], &t[1])?;
        (sum.sqr()? + &t[0])? * 0.5
    });
}

#[test]
fn roi_align_of_every_kind_of_box() {
    let mut numbers = Numbers(5);
    let map = numbers.tensor(&[2, 5, 9, 12]);
    let rois: [[f32; 5]; 6] = [
        [0.0, 3.0, 4.0, 30.0, 33.0],
        [1.0, -9.0, -5.0, 20.0, 12.0],
        [1.0, 10.0, 10.0, 10.5, 10.25],
        [0.0, 200.0, 200.0, 260.0, 240.0],
        [0.0, 8.0, 8.0, 8.0, 8.0],
        [1.0, 0.0, 0.0, 48.0, 36.0],
    ];
    let rois = Tensor::new(&rois, device()).unwrap();
    for (size, sampling_ratio) in [(7, 0), (3, 2)] {
        let align = RoiAlign {
            out_height: size,
            out_width: size,
            spatial_scale: 0.25,
            sampling_ratio,
        };
        check("roi_align", std::slice::from_ref(&map), |t| {
            roi_align(&t[0], &rois, align)
        });
    }
}

#[test]
fn batch_norm_through_its_statistics() {
    let mut numbers = Numbers(6);
    let inputs = [
        numbers.tensor(&[3, 4, 5, 6]),
        numbers.tensor(&[4]),
        numbers.tensor(&[4]),
    ];
    check("batch norm", &inputs, |t| {
        let norm = BatchNorm {
            statistics: Arc::new(batch_statistics(&t[0])?),
            epsilon: 1e-5,
            activation: Activation::None,
        };
        norm.forward(&t[0], &t[1], &t[2])
    });
    // With a ReLU behind it: results lie on both sides of zero, none near it.
    let noise = numbers.tensor(&[3, 4, 5, 6]);
    let sides: Vec<f32> = (0..noise.elem_count())
        .map(|at| if at % 3 == 0 { 1.0 } else { -1.0 })
        .collect();
    let sides = Tensor::from_vec(sides, noise.dims(), device()).unwrap();
    let inputs = [
        ((noise * 0.1).unwrap() + sides).unwrap(),
        (numbers.tensor(&[4]).abs().unwrap() + 0.5).unwrap(),
        (numbers.tensor(&[4]) * 0.1).unwrap(),
    ];
    check("batch norm and ReLU", &inputs, |t| {
        let norm = BatchNorm {
            statistics: Arc::new(batch_statistics(&t[0])?),
            epsilon: 1e-5,
            activation: Activation::Relu,
        };
        norm.forward(&t[0], &t[1], &t[2])
    });
}

#[test]
fn losses_of_samples() {
    let mut numbers = Numbers(7);
    let logits = (numbers.tensor(&[9, 6]) * 3.0).unwrap();
    let targets = numbers.tensor(&[9, 6]);
    check("bce", std::slice::from_ref(&logits), |t| {
        losses::bce_sum(&t[0], &targets)
    });
    check("squares", std::slice::from_ref(&logits), |t| {
        losses::squared_sum(&t[0], &targets)
    });
    let labels = Tensor::new(&[0u32, 5, 3, 2, 2, 1, 4, 0, 5], device()).unwrap();
    check("cross entropy", &[logits], |t| {
        losses::cross_entropy_sum(&t[0], &labels)
    });
    let apart = numbers.apart(&[9, 6]);
    let zeros = apart.zeros_like().unwrap();
    check("l1", &[apart], |t| losses::l1_sum(&t[0], &zeros));
}

#[test]
fn weights_without_gradient_are_no_silent_stop() {
    let mut numbers = Numbers(8);
    let (w, b) = (numbers.tensor(&[8, 4, 3, 3]), numbers.tensor(&[8]));
    let frozen = Conv2d::new(w, b, 1, 1, Activation::Relu).unwrap();
    let x = Var::from_tensor(&numbers.tensor(&[1, 4, 6, 6])).unwrap();
    let loss = frozen.forward(x.as_tensor()).unwrap().sum_all().unwrap();
    let error = loss.backward().unwrap_err().to_string();
    assert!(error.contains("conv2d"), "{error}");
}

#[test]
fn only_what_wants_a_gradient_gets_one() {
    let mut numbers = Numbers(9);
    let (w, b) = (numbers.tensor(&[8, 4, 3, 3]), numbers.tensor(&[8]));
    let w = Var::from_tensor(&w).unwrap();
    let conv = Conv2d::new(w.as_tensor().clone(), b.clone(), 1, 1, Activation::Relu).unwrap();
    let x = numbers.tensor(&[1, 4, 6, 6]);
    let loss = conv.forward(&x).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    assert!(gradients.get(w.as_tensor()).is_some());
    assert!(gradients.get(&b).is_none() && gradients.get(&x).is_none());
}
