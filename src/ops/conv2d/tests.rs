//! Every path on every instruction set of the machine against the plain loops.

use super::Activation;
use super::op::{Kind, Layer, Prepared, View};
use super::shape::ConvShape;
use super::simd::Isa;
use super::{adjoint, reference, weights};

/// Largest difference from the f64 reference over the largest reference value. Design: Winograd F(4×4) with these points
/// 4e-6 at most, products 2e-6.
const TOLERANCE: f32 = 8e-6;

/// Values in [-1, 1) by a linear congruence.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let worst = got.iter().zip(want).map(|(g, w)| (g - w).abs());
    // `max` drops NaN, so look for it first.
    assert!(got.iter().all(|v| v.is_finite()));
    worst.fold(0.0, f32::max) / scale
}

/// x (N,I,H,W), outputs, kernel, stride, padding
type Case = ([usize; 4], usize, usize, usize, usize);

fn check_conv(case: Case, residual: bool, activation: Activation) -> f32 {
    let (x_shape, o, k, stride, padding) = case;
    let w_shape = [o, x_shape[1], k, k];
    let shape = ConvShape::new(&x_shape, &w_shape, stride, padding).unwrap();
    let x = values(shape.in_len(), 1);
    let weight = values(w_shape.iter().product(), 2);
    let bias = values(o, 3);
    let added = residual.then(|| values(shape.out_len(), 4));
    let want = reference::conv2d(&shape, &x, &weight, &bias, added.as_deref(), activation);
    let kind = Kind::Conv { stride, padding };
    let layer = Layer { kind, activation };
    let out_shape = [shape.n, o, shape.oh, shape.ow];
    let mut worst = 0.0f32;
    for isa in Isa::available() {
        let (got, got_shape) = layer
            .run(
                isa,
                View {
                    values: &x,
                    shape: &x_shape,
                },
                (
                    View {
                        values: &weight,
                        shape: &w_shape,
                    },
                    View {
                        values: &bias,
                        shape: &[o],
                    },
                ),
                &Prepared::default(),
                added.as_deref().map(|values| View {
                    values,
                    shape: &out_shape,
                }),
            )
            .unwrap();
        assert_eq!(got_shape.dims(), out_shape);
        let e = error(&got, &want);
        assert!(
            e < TOLERANCE,
            "{case:?} {residual} {activation:?} {isa:?}: error {e:e}"
        );
        worst = worst.max(e);
    }
    worst
}

#[test]
fn convolutions_match_the_reference() {
    let cases: &[Case] = &[
        // Winograd: one image, odd sizes, wide rows, batches of RoIs, tails of channels.
        ([1, 8, 8, 8], 8, 3, 1, 1),
        ([1, 3, 5, 7], 5, 3, 1, 1),
        ([1, 257, 9, 13], 12, 3, 1, 1),
        ([2, 16, 17, 70], 20, 3, 1, 1),
        ([1, 5, 67, 66], 9, 3, 1, 1),
        ([1, 4, 64, 200], 40, 3, 1, 1),
        ([9, 32, 14, 14], 33, 3, 1, 1),
        ([7, 20, 7, 7], 81, 3, 1, 1),
        ([1, 6, 12, 12], 8, 3, 1, 0),
        ([1, 6, 12, 12], 8, 3, 1, 2),
        ([40, 3, 9, 11], 8, 3, 1, 1),
        // Too small for it.
        ([1, 8, 1, 1], 8, 3, 1, 1),
        ([50, 8, 1, 1], 9, 3, 1, 1),
        ([3, 8, 2, 1], 8, 3, 1, 1),
        // Panels.
        ([1, 64, 20, 30], 96, 1, 1, 0),
        ([3, 257, 7, 7], 10, 1, 1, 0),
        ([2, 33, 1, 1], 7, 1, 1, 0),
        ([2, 19, 15, 17], 24, 1, 2, 0),
        ([1, 3, 37, 53], 16, 7, 2, 3),
        ([1, 3, 32, 128], 64, 7, 2, 3),
        ([5, 24, 14, 14], 17, 3, 2, 1),
        ([1, 9, 10, 10], 8, 3, 3, 1),
        ([1, 8, 6, 6], 160, 5, 1, 4),
        ([0, 8, 6, 6], 16, 3, 1, 1),
        ([0, 8, 6, 6], 16, 1, 1, 0),
    ];
    let mut worst = 0.0f32;
    for &case in cases {
        worst = worst.max(check_conv(case, false, Activation::None));
        check_conv(case, false, Activation::Relu);
        check_conv(case, true, Activation::Relu);
        check_conv(case, true, Activation::None);
    }
    eprintln!("largest error of the fixed shapes {worst:e}");
}

#[test]
fn random_shapes_match_the_reference() {
    let mut worst = 0.0f32;
    for seed in 0..60 {
        let r = values(9, 100 + seed);
        let pick = |i: usize, lo: usize, hi: usize| {
            lo + ((r[i] + 1.0) / 2.0 * (hi - lo + 1) as f32) as usize
        };
        let k = [1, 3, 3, 7][pick(0, 0, 3)];
        let case = (
            [
                pick(1, 1, 4),
                pick(2, 1, 40),
                pick(3, k, 40),
                pick(4, k, 75),
            ],
            pick(5, 1, 50),
            k,
            pick(6, 1, 2),
            pick(7, 0, k / 2),
        );
        worst = worst.max(check_conv(case, seed % 2 == 0, Activation::None));
    }
    eprintln!("largest error of the random shapes {worst:e}");
}

#[test]
fn linear_matches_the_reference() {
    for (rows, inputs, outputs) in [
        (1, 1, 1),
        (7, 5, 3),
        (8, 512, 48),
        (100, 1030, 81),
        (33, 513, 100),
        (16, 1600, 324),
        (0, 4, 4),
    ] {
        for activation in [Activation::None, Activation::Relu] {
            let (x, w) = (values(rows * inputs, 1), values(outputs * inputs, 2));
            let b = values(outputs, 3);
            let want = reference::linear(inputs, &x, &w, &b, activation);
            let kind = Kind::Linear;
            for isa in Isa::available() {
                let (got, shape) = Layer { kind, activation }
                    .run(
                        isa,
                        View {
                            values: &x,
                            shape: &[rows, inputs],
                        },
                        (
                            View {
                                values: &w,
                                shape: &[outputs, inputs],
                            },
                            View {
                                values: &b,
                                shape: &[outputs],
                            },
                        ),
                        &Prepared::default(),
                        None,
                    )
                    .unwrap();
                assert_eq!(shape.dims(), [rows, outputs]);
                let e = error(&got, &want);
                assert!(
                    e < TOLERANCE,
                    "{rows} {inputs} {outputs} {isa:?}: error {e:e}"
                );
            }
        }
    }
}

#[test]
fn deconvolution_matches_the_reference() {
    for (x_shape, outputs) in [
        ([1, 1, 1, 1], 1),
        ([3, 20, 14, 14], 16),
        ([2, 257, 5, 9], 7),
        ([1, 8, 3, 60], 5),
    ] {
        let inputs = x_shape[1];
        let x = values(x_shape.iter().product(), 1);
        let w = values(inputs * outputs * 4, 2);
        let b = values(outputs, 3);
        for activation in [Activation::None, Activation::Relu] {
            let want = reference::deconv2x2(x_shape, &x, &w, &b, activation);
            let kind = Kind::Deconv2x2;
            for isa in Isa::available() {
                let (got, shape) = Layer { kind, activation }
                    .run(
                        isa,
                        View {
                            values: &x,
                            shape: &x_shape,
                        },
                        (
                            View {
                                values: &w,
                                shape: &[inputs, outputs, 2, 2],
                            },
                            View {
                                values: &b,
                                shape: &[outputs],
                            },
                        ),
                        &Prepared::default(),
                        None,
                    )
                    .unwrap();
                assert_eq!(
                    shape.dims(),
                    [x_shape[0], outputs, 2 * x_shape[2], 2 * x_shape[3]]
                );
                let e = error(&got, &want);
                assert!(e < TOLERANCE, "{x_shape:?} {outputs} {isa:?}: error {e:e}");
            }
        }
    }
}

#[test]
fn relu_keeps_nan() {
    let x = [f32::NAN, 1.0, -1.0, 2.0];
    for isa in Isa::available() {
        for (shape, w_shape) in [([1, 1, 2, 2], [1, 1, 1, 1]), ([1, 1, 2, 2], [1, 1, 3, 3])] {
            let layer = Layer {
                kind: Kind::Conv {
                    stride: 1,
                    padding: w_shape[2] / 2,
                },
                activation: Activation::Relu,
            };
            let weight = vec![1.0; w_shape.iter().product()];
            let weights = (
                View {
                    values: &weight,
                    shape: &w_shape,
                },
                View {
                    values: &[0.0],
                    shape: &[1],
                },
            );
            let x = View {
                values: &x,
                shape: &shape,
            };
            let (out, _) = layer
                .run(isa, x, weights, &Prepared::default(), None)
                .unwrap();
            assert!(out[0].is_nan(), "{isa:?}");
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let err = |x: &[usize], w: &[usize], stride, padding| {
        ConvShape::new(x, w, stride, padding)
            .unwrap_err()
            .to_string()
    };
    assert!(err(&[1, 3, 8, 8], &[4, 2, 3, 3], 1, 1).contains("has 3 channels"));
    assert!(err(&[1, 3, 2, 2], &[4, 3, 7, 7], 2, 1).contains("larger than the input"));
    assert!(err(&[1, 3, 8, 8], &[4, 3, 3, 3], 0, 1).contains("stride 0"));
    assert!(err(&[3, 8, 8], &[4, 3, 3, 3], 1, 1).contains("(N,I,H,W)"));
}

/// Both ways to the gradient of the weights, on shapes whose tiles and channels do not fill the blocks.
#[test]
fn weight_gradients_equal_the_loops() {
    let cases: [Case; 12] = [
        ([1, 16, 24, 24], 16, 3, 1, 1), // the adjoint: 36 tiles
        ([2, 19, 17, 22], 9, 3, 1, 1),
        ([3, 33, 14, 14], 40, 3, 1, 1),  // RoIs
        ([2, 16, 30, 41], 130, 3, 1, 0), // two blocks of rows
        ([5, 17, 14, 15], 8, 3, 1, 2),
        ([1, 48, 50, 260], 8, 3, 1, 1), // several strips
        ([2, 5, 9, 7], 12, 3, 1, 1),    // taps
        ([2, 9, 11, 8], 10, 3, 2, 1),
        ([2, 24, 9, 12], 16, 1, 2, 0),
        ([2, 24, 9, 12], 33, 1, 1, 0),
        ([1, 3, 21, 22], 8, 7, 2, 3), // few channels
        ([1, 8, 6, 6], 3, 5, 1, 2),
    ];
    let mut adjoint_cases = 0;
    for (x_shape, o, k, stride, padding) in cases {
        let w_shape = [o, x_shape[1], k, k];
        let s = ConvShape::new(&x_shape, &w_shape, stride, padding).unwrap();
        let (x, dz) = (values(s.in_len(), 1), values(s.out_len(), 2));
        let want = reference::weight_gradient(&s, &x, &dz);
        let found = error(&weights::gradient(&s, &x, &dz), &want);
        assert!(found < 3.0 * TOLERANCE, "{s:?}: {found}");
        if adjoint::suits(&s) {
            adjoint_cases += 1;
            for isa in Isa::available() {
                let found = error(&adjoint::gradient(isa, &s, &x, &dz), &want);
                assert!(found < 3.0 * TOLERANCE, "{isa:?} {s:?}: {found}");
            }
        }
    }
    assert_eq!(adjoint_cases, 6);
}
