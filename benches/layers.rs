//! Times every convolution and fully connected layer of Mask Scoring R-CNN R-50 at 800×1024 (1000 proposals, 100
//! detections) by itself, and all of them once in order.
//!
//! `cargo bench --bench layers -- [--repeat 7] [--only TEXT] [--list]`; `torch_layers.py` times the same list in PyTorch.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(clippy::expect_used, reason = "a benchmark may stop")]

use std::time::Instant;

use candle_core::{Device, Tensor};
use maskscope::ops::conv2d::{Activation, Conv2d, Deconv2x2, Linear};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Conv,
    Linear,
    Deconv,
}

/// Axes: N images or rows, I and O channels, H and W.
#[derive(Clone, Copy)]
struct Layer {
    name: &'static str,
    count: usize,
    kind: Kind,
    n: usize,
    i: usize,
    h: usize,
    w: usize,
    o: usize,
    kernel: usize,
    stride: usize,
    residual: bool,
}

impl Layer {
    fn out_side(&self, size: usize) -> usize {
        match self.kind {
            Kind::Deconv => 2 * size,
            _ => (size + 2 * (self.kernel / 2) - self.kernel) / self.stride + 1,
        }
    }

    /// Operations of a direct convolution, two for each multiplication.
    fn flops(&self) -> f64 {
        let pixels = match self.kind {
            Kind::Deconv => 4 * self.h * self.w,
            _ => self.out_side(self.h) * self.out_side(self.w),
        };
        let taps = self.i * self.kernel * self.kernel;
        2.0 * (self.n * self.o * pixels * taps) as f64
    }
}

/// name, count, (N,I,H,W), O, kernel, stride
type Row = (&'static str, usize, [usize; 4], usize, usize, usize);

const CONVS: &[Row] = &[
    ("stem", 1, [1, 3, 800, 1024], 64, 7, 2),
    ("res2 1x1 64-64", 1, [1, 64, 200, 256], 64, 1, 1),
    ("res2 1x1 256-64", 2, [1, 256, 200, 256], 64, 1, 1),
    ("res2 3x3", 3, [1, 64, 200, 256], 64, 3, 1),
    ("res2 1x1 64-256 +", 3, [1, 64, 200, 256], 256, 1, 1),
    ("res2 1x1 64-256", 1, [1, 64, 200, 256], 256, 1, 1),
    ("res3 1x1 256-128", 1, [1, 256, 200, 256], 128, 1, 1),
    ("res3 3x3/2", 1, [1, 128, 200, 256], 128, 3, 2),
    ("res3 1x1/2", 1, [1, 256, 200, 256], 512, 1, 2),
    ("res3 1x1 512-128", 3, [1, 512, 100, 128], 128, 1, 1),
    ("res3 3x3", 3, [1, 128, 100, 128], 128, 3, 1),
    ("res3 1x1 128-512 +", 4, [1, 128, 100, 128], 512, 1, 1),
    ("res4 1x1 512-256", 1, [1, 512, 100, 128], 256, 1, 1),
    ("res4 3x3/2", 1, [1, 256, 100, 128], 256, 3, 2),
    ("res4 1x1/2", 1, [1, 512, 100, 128], 1024, 1, 2),
    ("res4 1x1 1024-256", 5, [1, 1024, 50, 64], 256, 1, 1),
    ("res4 3x3", 5, [1, 256, 50, 64], 256, 3, 1),
    ("res4 1x1 256-1024 +", 6, [1, 256, 50, 64], 1024, 1, 1),
    ("res5 1x1 1024-512", 1, [1, 1024, 50, 64], 512, 1, 1),
    ("res5 3x3/2", 1, [1, 512, 50, 64], 512, 3, 2),
    ("res5 1x1/2", 1, [1, 1024, 50, 64], 2048, 1, 2),
    ("res5 1x1 2048-512", 2, [1, 2048, 25, 32], 512, 1, 1),
    ("res5 3x3", 2, [1, 512, 25, 32], 512, 3, 1),
    ("res5 1x1 512-2048 +", 3, [1, 512, 25, 32], 2048, 1, 1),
    ("fpn lateral 2", 1, [1, 256, 200, 256], 256, 1, 1),
    ("fpn lateral 3", 1, [1, 512, 100, 128], 256, 1, 1),
    ("fpn lateral 4", 1, [1, 1024, 50, 64], 256, 1, 1),
    ("fpn lateral 5", 1, [1, 2048, 25, 32], 256, 1, 1),
    // FPN output and RPN convolution.
    ("3x3 on p2", 2, [1, 256, 200, 256], 256, 3, 1),
    ("3x3 on p3", 2, [1, 256, 100, 128], 256, 3, 1),
    ("3x3 on p4", 2, [1, 256, 50, 64], 256, 3, 1),
    ("3x3 on p5", 2, [1, 256, 25, 32], 256, 3, 1),
    ("3x3 on p6", 1, [1, 256, 13, 16], 256, 3, 1),
    ("rpn class 2", 1, [1, 256, 200, 256], 3, 1, 1),
    ("rpn box 2", 1, [1, 256, 200, 256], 12, 1, 1),
    ("rpn class 3", 1, [1, 256, 100, 128], 3, 1, 1),
    ("rpn box 3", 1, [1, 256, 100, 128], 12, 1, 1),
    ("mask and iou 3x3", 6, [100, 256, 14, 14], 256, 3, 1),
    ("iou 3x3 257", 1, [100, 257, 14, 14], 256, 3, 1),
    ("iou 3x3/2", 1, [100, 256, 14, 14], 256, 3, 2),
    ("mask logits", 1, [100, 256, 28, 28], 80, 1, 1),
];

/// name, rows, inputs, outputs
const LINEARS: &[(&str, usize, usize, usize)] = &[
    ("box fc 1", 1000, 12544, 1024),
    ("box fc 2", 1000, 1024, 1024),
    ("box class", 1000, 1024, 81),
    ("box delta", 1000, 1024, 320),
    ("iou fc 1", 100, 12544, 1024),
    ("iou fc 2", 100, 1024, 1024),
    ("iou", 100, 1024, 80),
];

fn layers() -> Vec<Layer> {
    let conv = |&(name, count, [n, i, h, w], o, kernel, stride): &Row| Layer {
        name,
        count,
        kind: Kind::Conv,
        n,
        i,
        h,
        w,
        o,
        kernel,
        stride,
        residual: name.ends_with('+'),
    };
    let mut all: Vec<Layer> = CONVS.iter().map(conv).collect();
    all.push(Layer {
        kind: Kind::Deconv,
        ..conv(&("mask deconv", 1, [100, 256, 14, 14], 256, 1, 1))
    });
    all.extend(LINEARS.iter().map(|&(name, n, i, o)| Layer {
        kind: Kind::Linear,
        ..conv(&(name, 1, [n, i, 1, 1], o, 1, 1))
    }));
    all
}

/// Values in [-1, 1) that are the same in every run.
fn values(shape: &[usize], scale: f32) -> Tensor {
    let len: usize = shape.iter().product();
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
    };
    let values: Vec<f32> = (0..len).map(|_| next()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("as many values as the shape says")
}

/// The layer and its input, ready to run.
fn prepare(l: &Layer) -> Box<dyn Fn() -> Tensor> {
    let scale = (3.0 / (l.i * l.kernel * l.kernel) as f32).sqrt();
    let bias = values(&[l.o], 0.1);
    let relu = Activation::Relu;
    match l.kind {
        Kind::Linear => {
            let x = values(&[l.n, l.i], 1.0);
            let fc = Linear::new(values(&[l.o, l.i], scale), bias, relu).expect("layer");
            Box::new(move || fc.forward(&x).expect("forward"))
        }
        Kind::Deconv => {
            let x = values(&[l.n, l.i, l.h, l.w], 1.0);
            let weight = values(&[l.i, l.o, 2, 2], scale);
            let deconv = Deconv2x2::new(weight, bias, relu).expect("layer");
            Box::new(move || deconv.forward(&x).expect("forward"))
        }
        Kind::Conv => {
            let x = values(&[l.n, l.i, l.h, l.w], 1.0);
            let weight = values(&[l.o, l.i, l.kernel, l.kernel], scale);
            let conv = Conv2d::new(weight, bias, l.stride, l.kernel / 2, relu).expect("layer");
            if l.residual {
                let residual = values(&[l.n, l.o, l.out_side(l.h), l.out_side(l.w)], 1.0);
                return Box::new(move || conv.forward_add(&x, &residual).expect("forward"));
            }
            Box::new(move || conv.forward(&x).expect("forward"))
        }
    }
}

fn list() {
    for l in layers() {
        let kind = match l.kind {
            Kind::Conv => "conv",
            Kind::Linear => "linear",
            Kind::Deconv => "deconv",
        };
        let Layer {
            n,
            i,
            h,
            w,
            o,
            kernel,
            stride,
            ..
        } = l;
        let name = l.name.replace(' ', "_");
        let (count, residual) = (l.count, usize::from(l.residual));
        println!("{name} {count} {kind} {n} {i} {h} {w} {o} {kernel} {stride} {residual}");
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |flag: &str| {
        let at = args.iter().position(|a| a == flag)?;
        args.get(at + 1).cloned()
    };
    if args.iter().any(|a| a == "--list") {
        return list();
    }
    let repeat: usize = value("--repeat").map_or(7, |v| v.parse().expect("--repeat N"));
    let only = value("--only").unwrap_or_default();
    println!(
        "{:<22} {:>3} {:>9} {:>9} {:>8}",
        "layer", "n", "fastest ms", "median ms", "GF/s"
    );
    let (mut sum, mut flops) = (0.0, 0.0);
    let mut all = Vec::new();
    for l in layers().iter().filter(|l| l.name.contains(&only)) {
        let run = prepare(l);
        run();
        let mut times: Vec<f64> = (0..repeat)
            .map(|_| {
                let start = Instant::now();
                let y = run();
                let time = start.elapsed().as_secs_f64();
                drop(y);
                time
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let (fastest, median) = (times[0], times[repeat / 2]);
        let rate = l.flops() / fastest / 1e9;
        println!(
            "{:<22} {:>3} {:>9.2} {:>9.2} {:>8.0}",
            l.name,
            l.count,
            fastest * 1e3,
            median * 1e3,
            rate
        );
        sum += fastest * l.count as f64;
        flops += l.flops() * l.count as f64;
        all.push((run, l.count));
    }
    println!(
        "sum of the fastest {sum:.3} s, {:.0} GFLOP, {:.0} GF/s",
        flops / 1e9,
        flops / sum / 1e9
    );
    let times = (0..repeat.min(5)).map(|_| {
        let start = Instant::now();
        for (run, count) in &all {
            for _ in 0..*count {
                run();
            }
        }
        start.elapsed().as_secs_f64()
    });
    println!(
        "all in order, fastest {:.3} s",
        times.fold(f64::MAX, f64::min)
    );
}
