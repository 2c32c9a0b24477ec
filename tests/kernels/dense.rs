//! The kernels between the convolutions against the processor's operations and their gradients.

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use maskscope::ops::kernels::Launcher;
use maskscope::ops::kernels::dense::{self, Channels, Enlarged, Pooled, Slopes};
use maskscope::ops::{
    BatchNorm, MaxPool2d, add_relu, add_upsampled, batch_statistics, conv2d::Activation, max_pool2d,
};

use super::host::Host;
use super::noise;
use crate::support::compare::Deviation;

/// Sums in another order than the processor's, of its largest value.
const SUMS: f64 = 1e-5;

fn var(values: &[f32], shape: &[usize]) -> Var {
    Var::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The gradient that reaches `of` when `ways` reaches `y`.
fn gradient(y: &Tensor, ways: &[f32], of: &Var) -> Vec<f32> {
    let ways = Tensor::from_slice(ways, y.shape(), &Device::Cpu).unwrap();
    let loss = (y * ways).unwrap().sum_all().unwrap();
    flat(loss.backward().unwrap().get(of.as_tensor()).unwrap())
}

#[test]
fn sum_and_relu() {
    let Some(host) = Host::get() else { return };
    let count = 3 * 5 * 41;
    let (mut a, b) = (noise(count, 1), noise(count, 2));
    a[7] = f32::NAN;
    let (x, y) = (var(&a, &[3, 5, 41]), var(&b, &[3, 5, 41]));
    let want = add_relu(&x, &y).unwrap();
    let sum = dense::add_relu(&host, &host.floats(&a), &host.floats(&b), count).unwrap();
    assert!(sum.floats()[7].is_nan());
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(sum.floats())[8..], bits(flat(&want))[8..]);
    let ways = noise(count, 3);
    let got = dense::relu_backward(&host, &host.floats(&ways), &sum, count).unwrap();
    assert_eq!(got.floats()[8..], gradient(&want, &ways, &x)[8..]);
}

#[test]
fn enlarging_and_adding() {
    let Some(host) = Host::get() else { return };
    for (fine, coarse) in [
        ((8, 6), (4, 3)),
        ((13, 25), (7, 13)),
        ((5, 5), (3, 3)),
        ((9, 4), (1, 1)),
        ((3, 3), (5, 4)),
    ] {
        let planes = 2 * 3;
        let sizes = Enlarged {
            planes,
            fine,
            coarse,
        };
        let a = noise(planes * fine.0 * fine.1, 4);
        let b = noise(planes * coarse.0 * coarse.1, 5);
        let x = var(&a, &[2, 3, fine.0, fine.1]);
        let y = var(&b, &[2, 3, coarse.0, coarse.1]);
        let want = add_upsampled(&x, &y).unwrap();
        let got = dense::add_upsampled(&host, &host.floats(&a), &host.floats(&b), sizes).unwrap();
        assert_eq!(got.floats(), flat(&want), "{sizes:?}");
        let ways = noise(a.len(), 6);
        let got = dense::add_upsampled_backward(&host, &host.floats(&ways), sizes).unwrap();
        let what = format!("gradient of {sizes:?}");
        Deviation::of(&what, &got.floats(), &gradient(&want, &ways, &y))
            .relative_within(&what, SUMS);
    }
}

#[test]
fn pooling() {
    let Some(host) = Host::get() else { return };
    let windows = [(3, 2, 1), (2, 2, 0), (1, 2, 0), (3, 1, 1), (5, 3, 2)];
    for (kernel, stride, padding) in windows {
        for (height, width) in [(11, 14), (7, 5)] {
            let pool = MaxPool2d {
                kernel,
                stride,
                padding,
            };
            // Few values: many are equal, and the first one must win.
            let a: Vec<f32> = noise(6 * height * width, 7)
                .iter()
                .map(|x| (x * 4.0).round())
                .collect();
            let x = var(&a, &[2, 3, height, width]);
            let want = max_pool2d(&x, pool).unwrap();
            let (_, _, out_height, out_width) = want.dims4().unwrap();
            let sizes = Pooled {
                planes: 6,
                input: (height, width),
                output: (out_height, out_width),
                pool,
            };
            let input = host.floats(&a);
            let got = dense::max_pool(&host, &input, sizes).unwrap();
            assert_eq!(got.floats(), flat(&want), "{sizes:?}");
            let ways = noise(want.elem_count(), 8);
            let got = dense::max_pool_backward(&host, &input, &host.floats(&ways), sizes).unwrap();
            let what = format!("gradient of {sizes:?}");
            Deviation::of(&what, &got.floats(), &gradient(&want, &ways, &x))
                .relative_within(&what, SUMS);
        }
    }
}

#[test]
fn normalising_a_batch() {
    let Some(host) = Host::get() else { return };
    const EPSILON: f64 = 1e-5;
    let sizes = Channels {
        images: 2,
        channels: 3,
        plane: 9 * 31,
    };
    let shape = [2, 3, 9, 31];
    let values: Vec<f32> = noise(shape.iter().product(), 9)
        .iter()
        .map(|x| 3.0 * x + 1.0)
        .collect();
    let (gamma, beta) = ([0.7, -1.3, 2.0], [0.1, 0.0, -0.4]);
    let (x, g, b) = (var(&values, &shape), var(&gamma, &[3]), var(&beta, &[3]));
    let statistics = batch_statistics(&x).unwrap();
    let on_device = host.floats(&values);

    let (mean, variance) = dense::batch_statistics(&host, &on_device, sizes).unwrap();
    let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
    Deviation::of("means", &mean.floats(), &narrow(&statistics.mean))
        .relative_within("means", SUMS);
    Deviation::of(
        "variances",
        &variance.floats(),
        &narrow(&statistics.variance),
    )
    .relative_within("variances", SUMS);

    for activation in [Activation::None, Activation::Relu] {
        let norm = BatchNorm {
            statistics: Arc::new(statistics.clone()),
            epsilon: EPSILON,
            activation,
        };
        let want = norm.forward(&x, &g, &b).unwrap();
        let inverse: Vec<f64> = statistics
            .variance
            .iter()
            .map(|v| 1.0 / (v + EPSILON).sqrt())
            .collect();
        let scale: Vec<f32> = (0..3)
            .map(|c| (inverse[c] * f64::from(gamma[c])) as f32)
            .collect();
        let shift: Vec<f32> = (0..3)
            .map(|c| {
                (f64::from(beta[c]) - statistics.mean[c] * inverse[c] * f64::from(gamma[c])) as f32
            })
            .collect();
        let relu = activation == Activation::Relu;
        let (scale, shift) = (host.floats(&scale), host.floats(&shift));
        let y = dense::batch_norm(&host, &on_device, (&scale, &shift), sizes, relu).unwrap();
        assert_eq!(y.floats(), flat(&want));

        let ways = noise(values.len(), 10);
        let count = values.len();
        let dz = match activation {
            Activation::None => host.floats(&ways),
            Activation::Relu => {
                dense::relu_backward(&host, &host.floats(&ways), &y, count).unwrap()
            }
        };
        let (sum, product) = dense::batch_norm_sums(&host, &on_device, &dz, &mean, sizes).unwrap();
        let of_gamma: Vec<f32> = (0..3)
            .map(|c| (f64::from(product.floats()[c]) * inverse[c]) as f32)
            .collect();
        Deviation::of("beta", &sum.floats(), &gradient(&want, &ways, &b))
            .relative_within("beta", SUMS);
        Deviation::of("gamma", &of_gamma, &gradient(&want, &ways, &g))
            .relative_within("gamma", SUMS);
        let per_channel = (sizes.images * sizes.plane) as f64;
        let means: Vec<f32> = sum
            .floats()
            .iter()
            .map(|&s| (f64::from(s) / per_channel) as f32)
            .collect();
        let slopes: Vec<f32> = (0..3)
            .map(|c| {
                (f64::from(product.floats()[c]) * inverse[c] * inverse[c] / per_channel) as f32
            })
            .collect();
        let (means, slopes) = (host.floats(&means), host.floats(&slopes));
        let slopes = Slopes {
            mean: &mean,
            scale: &scale,
            shift: &means,
            slope: &slopes,
        };
        let dx = dense::batch_norm_backward(&host, &on_device, &dz, slopes, sizes).unwrap();
        Deviation::of("x", &dx.floats(), &gradient(&want, &ways, &x)).relative_within("x", SUMS);
    }
}

/// What would go unnoticed on a card: a call that does not fit its kernel.
#[test]
fn arguments_are_checked() {
    use maskscope::ops::kernels::{Arg, Kernel, Size};
    let Some(host) = Host::get() else { return };
    let buffer = host.alloc(4).unwrap();
    let size = Size {
        grid: [1, 1, 1],
        threads: 1,
    };
    let kernel = Kernel {
        file: "dense",
        name: "add_relu",
    };
    let fine = [
        Arg::Buffer(&buffer),
        Arg::Buffer(&buffer),
        Arg::Buffer(&buffer),
        Arg::Int(4),
    ];
    assert!(host.launch(kernel, size, &fine).is_ok());
    assert!(host.launch(kernel, size, &fine[..3]).is_err());
    let float = [fine[0], fine[1], fine[2], Arg::Float(4.0)];
    assert!(host.launch(kernel, size, &float).is_err());
    let unknown = Kernel {
        name: "nothing",
        ..kernel
    };
    assert!(host.launch(unknown, size, &fine).is_err());
}
