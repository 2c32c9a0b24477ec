//! The layers from outside: against candle's own operations, and what they refuse.

use candle_core::{DType, Device, Result, Tensor, Var};
use maskscope::ops::conv2d::{Activation, Conv2d, Deconv2x2, Linear};

use crate::support::device::device;

/// Both sides sum in f32: of the largest value.
const TOLERANCE: f64 = 1e-5;

fn random(shape: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1.0, shape, device()).unwrap()
}

fn host(tensor: &Tensor) -> Tensor {
    tensor.to_device(&Device::Cpu).unwrap()
}

fn check(what: &str, got: &Tensor, want: &Tensor) {
    let (got, want) = (&host(got), &host(want));
    assert_eq!(got.dims(), want.dims(), "{what}");
    let largest = |t: &Tensor| -> Result<f64> {
        let t = t.to_dtype(DType::F64)?.abs()?.flatten_all()?;
        t.max(0)?.to_scalar()
    };
    let off = largest(&(got - want).unwrap()).unwrap() / largest(want).unwrap();
    println!("{what}: {off:.1e} of the largest value");
    assert!(off <= TOLERANCE, "{what}: {off:e} of the largest value");
}

/// On the processor: candle's own convolution rounds on a card.
fn plain(x: &Tensor, w: &Tensor, b: &Tensor, stride: usize, padding: usize) -> Tensor {
    let [x, w, b] = [x, w, b].map(host);
    let sum = x.conv2d(&w, padding, stride, 1, 1).unwrap();
    sum.broadcast_add(&b.reshape((1, (), 1, 1)).unwrap())
        .unwrap()
}

#[test]
fn conv_equals_candle() {
    for (x, o, k, stride, padding) in [
        ([1, 64, 40, 56], 64, 3, 1, 1),
        ([2, 257, 14, 14], 96, 3, 1, 1),
        ([1, 3, 64, 96], 64, 7, 2, 3),
        ([3, 64, 14, 14], 81, 3, 2, 1),
        ([1, 100, 25, 31], 70, 1, 1, 0),
        ([1, 48, 26, 32], 70, 1, 2, 0),
    ] {
        let (w, b) = (random(&[o, x[1], k, k]), random(&[o]));
        let x = random(&x);
        let want = plain(&x, &w, &b, stride, padding);
        let what = format!("{:?} * {:?} / {stride}", x.dims(), w.dims());
        let conv = |act| Conv2d::new(w.clone(), b.clone(), stride, padding, act).unwrap();
        let got = conv(Activation::None).forward(&x).unwrap();
        check(&what, &got, &want);
        let residual = random(want.dims());
        let got = conv(Activation::Relu).forward_add(&x, &residual).unwrap();
        let want = (want + host(&residual)).unwrap();
        check(&what, &got, &want.relu().unwrap());
    }
}

#[test]
fn linear_and_deconvolution_equal_candle() {
    let (x, w, b) = (random(&[37, 700]), random(&[81, 700]), random(&[81]));
    let want = x.matmul(&w.t().unwrap()).unwrap().broadcast_add(&b);
    let fc = Linear::new(w, b, Activation::Relu).unwrap();
    check(
        "linear",
        &fc.forward(&x).unwrap(),
        &want.unwrap().relu().unwrap(),
    );
    let (x, w, b) = (
        random(&[3, 32, 14, 14]),
        random(&[32, 20, 2, 2]),
        random(&[20]),
    );
    let want = x.conv_transpose2d(&w, 0, 0, 2, 1).unwrap();
    let want = want.broadcast_add(&b.reshape((1, (), 1, 1)).unwrap());
    let deconv = Deconv2x2::new(w, b, Activation::None).unwrap();
    check("deconv", &deconv.forward(&x).unwrap(), &want.unwrap());
}

#[test]
fn views_that_are_not_contiguous_are_read_right() {
    let wide = random(&[1, 8, 30, 20]);
    let x = wide.transpose(2, 3).unwrap().narrow(3, 3, 20).unwrap();
    let (w, b) = (random(&[8, 8, 3, 3]), random(&[8]));
    let conv = Conv2d::new(w.clone(), b.clone(), 1, 1, Activation::None).unwrap();
    let want = plain(&x.contiguous().unwrap(), &w, &b, 1, 1);
    check("view", &conv.forward(&x).unwrap(), &want);
}

#[test]
fn an_image_comes_out_the_same_in_any_batch() {
    if !device().is_cpu() {
        println!("cuDNN chooses by the size of a batch how it adds up");
        return;
    }
    let bits = |t: &Tensor| -> Vec<u32> {
        let values: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    for (k, stride, size) in [(3, 1, 14), (3, 1, 7), (3, 1, 2), (3, 2, 14), (1, 1, 9)] {
        let x = random(&[7, 64, size, size]);
        let (w, b) = (random(&[70, 64, k, k]), random(&[70]));
        let conv = Conv2d::new(w, b, stride, k / 2, Activation::Relu).unwrap();
        let all = conv.forward(&x).unwrap();
        for n in 0..7 {
            let alone = conv.forward(&x.narrow(0, n, 1).unwrap()).unwrap();
            assert_eq!(bits(&alone), bits(&all.narrow(0, n, 1).unwrap()));
        }
    }
    let x = random(&[21, 1100]);
    let fc = Linear::new(random(&[81, 1100]), random(&[81]), Activation::None).unwrap();
    let all = fc.forward(&x).unwrap();
    for r in 0..21 {
        let alone = fc.forward(&x.narrow(0, r, 1).unwrap()).unwrap();
        assert_eq!(bits(&alone), bits(&all.narrow(0, r, 1).unwrap()));
    }
}

#[test]
fn another_dtype_takes_candles_path_on_the_processor() {
    let f64s = |shape: &[usize]| host(&random(shape)).to_dtype(DType::F64).unwrap();
    let (x, w, b) = (f64s(&[1, 4, 9, 9]), f64s(&[5, 4, 3, 3]), f64s(&[5]));
    let conv = Conv2d::new(w.clone(), b.clone(), 1, 1, Activation::None).unwrap();
    let got = conv.forward(&x).unwrap();
    assert_eq!(got.dtype(), DType::F64);
    check("f64", &got, &plain(&x, &w, &b, 1, 1));
}

#[test]
fn changed_weights_are_used() {
    let w = Var::from_tensor(&random(&[8, 4, 3, 3])).unwrap();
    let b = random(&[8]);
    let x = random(&[1, 4, 6, 6]);
    let conv = Conv2d::new(w.as_tensor().clone(), b.clone(), 1, 1, Activation::None).unwrap();
    conv.forward(&x).unwrap();
    w.set(&random(&[8, 4, 3, 3])).unwrap();
    check(
        "after a step",
        &conv.forward(&x).unwrap(),
        &plain(&x, w.as_tensor(), &b, 1, 1),
    );
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let conv = Conv2d::new(random(&[8, 4, 3, 3]), random(&[8]), 1, 1, Activation::None).unwrap();
    let error = |x: &[usize]| conv.forward(&random(x)).unwrap_err().to_string();
    assert!(error(&[1, 3, 6, 6]).contains("3 channels"));
    assert!(error(&[3, 6, 6]).contains("(N,I,H,W)"));
    let residual = random(&[1, 8, 5, 6]);
    let x = random(&[1, 4, 6, 6]);
    let error = conv.forward_add(&x, &residual).unwrap_err().to_string();
    assert!(error.contains("residual"), "{error}");
    let short = Conv2d::new(random(&[8, 4, 3, 3]), random(&[7]), 1, 1, Activation::None);
    let error = short.unwrap().forward(&x).unwrap_err().to_string();
    assert!(error.contains("bias"), "{error}");
    let fc = Linear::new(random(&[8, 4]), random(&[8]), Activation::None).unwrap();
    assert!(fc.forward(&random(&[2, 5])).is_err());
    let deconv = Deconv2x2::new(random(&[4, 8, 2, 2]), random(&[8]), Activation::None);
    assert!(deconv.unwrap().forward(&random(&[1, 5, 3, 3])).is_err());
}
