//! Single operators against reference tensors with their edge cases. A body that runs on tensors takes its device.

use candle_core::{Device, Tensor};
use maskscope::config::{AnchorGenerator, BboxCoder, Config};
use maskscope::model::anchors::LevelAnchors;
use maskscope::model::box_coder::BoxCoder;
use maskscope::model::box_head::DetectedBox;
use maskscope::model::pooler::RoiPooler;
use maskscope::model::postprocess::{MaskedBox, to_image};
use maskscope::ops::nms::{batched_nms, nms};
use maskscope::ops::paste::{paste_rle, paste_soft};
use maskscope::ops::roi_align::{RoiAlign, roi_align};
use maskscope::structures::{BoxXyxy, ImageTransform, Rle, Size};
use serde_json::Value;

use crate::support::compare::Deviation;
use crate::support::device::device;
use crate::support::fixtures::{self, Tensors};

/// RoIAlign, coder and soft paste: of the largest entry.
const TOLERANCE: f64 = 1e-5;

/// The cases of one operator.
struct Golden {
    cases: Vec<Value>,
    tensors: Tensors,
}

impl Golden {
    fn read(op: &str) -> Self {
        let folder = fixtures::folder("ops");
        let info = fixtures::json(&folder.join(format!("{op}.json")));
        let cases = info["cases"].as_array().unwrap().clone();
        assert!(!cases.is_empty(), "no case in {op}.json");
        Self {
            cases,
            tensors: Tensors::read(&folder.join(format!("{op}.safetensors"))),
        }
    }

    fn each(&self, mut check: impl FnMut(&str, &Value)) {
        for case in &self.cases {
            check(case["name"].as_str().unwrap(), case);
        }
    }

    fn floats(&self, case: &str, part: &str) -> &[f32] {
        self.tensors.get(&format!("{case}.{part}")).f32()
    }

    fn indices(&self, case: &str, part: &str) -> Vec<usize> {
        let values = self.tensors.get(&format!("{case}.{part}")).i64();
        values.iter().map(|&value| value as usize).collect()
    }

    fn boxes(&self, case: &str, part: &str) -> Vec<BoxXyxy> {
        boxes(self.floats(case, part))
    }

    fn tensor(&self, case: &str, part: &str, device: &Device) -> Tensor {
        let tensor = self.tensors.get(&format!("{case}.{part}"));
        Tensor::from_slice(tensor.f32(), tensor.shape.as_slice(), device).unwrap()
    }
}

fn boxes(values: &[f32]) -> Vec<BoxXyxy> {
    let corners = values.as_chunks::<4>().0;
    corners
        .iter()
        .map(|&[x1, y1, x2, y2]| BoxXyxy::new(x1, y1, x2, y2))
        .collect()
}

fn corners(boxes: &[BoxXyxy]) -> Vec<f32> {
    boxes
        .iter()
        .flat_map(|b| [b.x1, b.y1, b.x2, b.y2])
        .collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Where RoIAlign runs.
enum Place {
    /// The device of the network.
    Network,
    #[cfg(feature = "gpu")]
    Adapter(std::sync::Arc<maskscope::ops::compute::Compute>),
    /// The bodies of the CUDA kernels.
    #[cfg(target_os = "linux")]
    Kernels,
}

impl Place {
    fn roi_align(
        &self,
        map: &Tensor,
        rois: &Tensor,
        align: RoiAlign,
    ) -> candle_core::Result<Tensor> {
        match self {
            Self::Network => {
                let on_device =
                    roi_align(&map.to_device(device())?, &rois.to_device(device())?, align)?;
                on_device.to_device(&Device::Cpu)
            }
            #[cfg(feature = "gpu")]
            Self::Adapter(compute) => {
                maskscope::ops::roi_align::roi_align_on(compute, map, rois, align)
            }
            #[cfg(target_os = "linux")]
            Self::Kernels => {
                let host = crate::kernels::Host::get().unwrap();
                crate::kernels::OnHost { host, align }.run(map, rois)
            }
        }
    }

    /// Every device of this machine, one more time with arrays so small that channels are taken apart.
    fn all() -> Vec<Self> {
        std::iter::once(Self::Network)
            .chain(Self::adapters())
            .chain(Self::kernels())
            .collect()
    }

    #[cfg(target_os = "linux")]
    fn kernels() -> Option<Self> {
        crate::kernels::Host::get().map(|_| Self::Kernels)
    }

    #[cfg(not(target_os = "linux"))]
    fn kernels() -> Option<Self> {
        None
    }

    #[cfg(feature = "gpu")]
    fn adapters() -> Vec<Self> {
        let whole = adapter();
        let small = adapter().map(|compute| compute.with_most_values(40_000));
        let found = whole.into_iter().chain(small);
        found.map(|compute| Self::Adapter(compute.into())).collect()
    }

    #[cfg(not(feature = "gpu"))]
    fn adapters() -> Vec<Self> {
        Vec::new()
    }
}

/// An adapter, a software one as good as any; in CI there must be one.
#[cfg(feature = "gpu")]
fn adapter() -> Option<maskscope::ops::compute::Compute> {
    match maskscope::ops::compute::Compute::open() {
        Ok(compute) => Some(compute),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            eprintln!("skipped on graphics adapters: {error}");
            None
        }
    }
}

fn check_roi_align(place: &Place) {
    let device = &Device::Cpu;
    let golden = Golden::read("roi_align");
    golden.each(|name, case| {
        let align = RoiAlign {
            out_height: number(&case["output_size"][0]),
            out_width: number(&case["output_size"][1]),
            spatial_scale: case["spatial_scale"].as_f64().unwrap() as f32,
            sampling_ratio: number(&case["sampling_ratio"]),
        };
        let map = golden.tensor(name, "input", device);
        let rois = golden.tensor(name, "rois", device);
        let got = place.roi_align(&map, &rois, align).unwrap();
        let want = golden.tensor(name, "output", device);
        assert_eq!(got.dims(), want.dims(), "{name}");
        Deviation::of(name, &flat(&got), &flat(&want))
            .relative_within(&format!("roi_align {name}"), TOLERANCE);
    });
}

#[test]
fn golden_roi_align() {
    for place in Place::all() {
        check_roi_align(&place);
    }
}

/// The gradient of the map on every device against the processor's, which finite differences hold.
#[test]
fn roi_align_gradients_agree_on_every_device() {
    let golden = Golden::read("roi_align");
    let [network, others @ ..] = &Place::all()[..] else {
        unreachable!()
    };
    golden.each(|name, case| {
        let align = RoiAlign {
            out_height: number(&case["output_size"][0]),
            out_width: number(&case["output_size"][1]),
            spatial_scale: case["spatial_scale"].as_f64().unwrap() as f32,
            sampling_ratio: number(&case["sampling_ratio"]),
        };
        let map = golden.tensor(name, "input", &Device::Cpu);
        let map = candle_core::Var::from_tensor(&map).unwrap();
        let rois = golden.tensor(name, "rois", &Device::Cpu);
        let gradient = |place: &Place| {
            let out = place.roi_align(&map, &rois, align).unwrap();
            let ways: Vec<f32> = (0..out.elem_count())
                .map(|at| ((at * 37) % 101) as f32 / 50.0 - 1.0)
                .collect();
            let ways = Tensor::from_vec(ways, out.dims(), &Device::Cpu).unwrap();
            let loss = (out * ways).unwrap().sum_all().unwrap();
            let found = loss.backward().unwrap();
            flat(found.get(&map).unwrap())
        };
        let want = gradient(network);
        for place in others {
            Deviation::of(name, &gradient(place), &want)
                .relative_within(&format!("gradient of roi_align {name}"), TOLERANCE);
        }
    });
}

#[cfg(feature = "gpu")]
#[test]
fn a_lost_adapter_leaves_the_work_to_the_processor() {
    use maskscope::ops::compute;
    let Some(lost) = adapter() else { return };
    let lost = std::sync::Arc::new(lost);
    let map: Vec<f32> = (0..2 * 3 * 16 * 16).map(|at| (at % 29) as f32).collect();
    let map = Tensor::from_vec(map, (2, 3, 16, 16), &Device::Cpu).unwrap();
    let rois = [[0.0f32, 3.0, 2.0, 40.0, 50.0], [1.0, 10.0, 0.0, 60.0, 30.0]];
    let rois = Tensor::new(&rois, &Device::Cpu).unwrap();
    let align = RoiAlign {
        out_height: 7,
        out_width: 7,
        spatial_scale: 0.25,
        sampling_ratio: 0,
    };
    let on_adapter = Place::Adapter(lost.clone());
    let want = flat(&Place::Network.roi_align(&map, &rois, align).unwrap());
    let close = |got: Vec<f32>| Deviation::of("map", &got, &want).relative_within("map", TOLERANCE);
    close(flat(&on_adapter.roi_align(&map, &rois, align).unwrap()));
    lost.lose();
    close(flat(&on_adapter.roi_align(&map, &rois, align).unwrap()));
    assert!(compute::in_use().is_none());
}

fn check_roi_align_refuses(place: &Place) {
    let device = &Device::Cpu;
    let align = RoiAlign {
        out_height: 7,
        out_width: 7,
        spatial_scale: 0.25,
        sampling_ratio: 0,
    };
    let map = Tensor::ones((1, 2, 8, 8), candle_core::DType::F32, device).unwrap();
    let hostile = [
        [1.0, 0.0, 0.0, 8.0, 8.0],
        [-1.0, 0.0, 0.0, 8.0, 8.0],
        [f32::NAN, 0.0, 0.0, 8.0, 8.0],
        [0.0, f32::NAN, 0.0, 8.0, 8.0],
        [0.0, 0.0, 0.0, f32::INFINITY, 8.0],
        [0.0, -1e30, 0.0, 1e30, 8.0],
    ];
    for roi in hostile {
        let rois = Tensor::from_slice(&roi, (1, 5), device).unwrap();
        assert!(place.roi_align(&map, &rois, align).is_err(), "{roi:?}");
    }
    let columns = Tensor::from_slice(&[0f32; 4], (1, 4), device).unwrap();
    assert!(place.roi_align(&map, &columns, align).is_err());
}

#[test]
fn roi_align_refuses_broken_rois() {
    // Kernels cannot refuse: see `kernels::roi_align`.
    let network = device().is_cpu().then_some(Place::Network);
    for place in network.into_iter().chain(Place::adapters()) {
        check_roi_align_refuses(&place);
    }
}

/// The same average, sample by sample as the definition has it.
fn sampled(map: &[f32], size: Size, roi: [f32; 4], ratio: usize, cell: (usize, usize)) -> f32 {
    let bins = 3;
    let axis = |low: f32, high: f32, bin: usize| {
        let length = (high - low).max(0.0) / bins as f32;
        let count = if ratio > 0 {
            ratio
        } else {
            length.ceil() as usize
        };
        let at =
            move |i: usize| low + bin as f32 * length + (i as f32 + 0.5) * length / count as f32;
        (0..count).map(at).collect::<Vec<f32>>()
    };
    let rows = axis(roi[1] * 0.25 - 0.5, roi[3] * 0.25 - 0.5, cell.0);
    let columns = axis(roi[0] * 0.25 - 0.5, roi[2] * 0.25 - 0.5, cell.1);
    let neighbours = |at: f32, len: usize| {
        let at = at.max(0.0);
        let low = (at as usize).min(len - 1);
        let weight = if low == len - 1 { 0.0 } else { at - low as f32 };
        [(low, 1.0 - weight), ((low + 1).min(len - 1), weight)]
    };
    let outside = |at: f32, len: usize| at < -1.0 || at > len as f32;
    let mut sum = 0.0;
    for &y in &rows {
        for &x in &columns {
            if outside(y, size.height) || outside(x, size.width) {
                continue;
            }
            for (row, row_weight) in neighbours(y, size.height) {
                for (column, weight) in neighbours(x, size.width) {
                    sum += row_weight * weight * map[row * size.width + column];
                }
            }
        }
    }
    sum / (rows.len() * columns.len()).max(1) as f32
}

proptest::proptest! {
    #[test]
    fn roi_align_equals_its_definition(
        map in proptest::collection::vec(-1f32..1.0, 9 * 11),
        x in -30f32..60.0, y in -30f32..60.0, width in 0f32..90.0, height in 0f32..90.0,
        ratio in 0usize..4,
    ) {
        let size = Size::new(11, 9);
        let align = RoiAlign { out_height: 3, out_width: 3, spatial_scale: 0.25, sampling_ratio: ratio };
        let features = Tensor::from_slice(&map, (1, 1, 9, 11), &Device::Cpu).unwrap();
        let roi = [x, y, x + width, y + height];
        let row = [0.0, roi[0], roi[1], roi[2], roi[3]];
        let rois = Tensor::from_slice(&row, (1, 5), &Device::Cpu).unwrap();
        let got = flat(&roi_align(&features, &rois, align).unwrap());
        for (at, got) in got.into_iter().enumerate() {
            let want = sampled(&map, size, roi, ratio, (at / 3, at % 3));
            proptest::prop_assert!((got - want).abs() < 1e-5, "cell {at}: {got} for {want}");
        }
    }
}

#[test]
fn golden_levels() {
    let golden = Golden::read("levels");
    let pooler = RoiPooler::new(&Config::default().roi);
    golden.each(|name, _| {
        let boxes = golden.boxes(name, "boxes");
        let got: Vec<usize> = boxes.iter().map(|&bbox| pooler.level(bbox)).collect();
        assert_eq!(got, golden.indices(name, "levels"), "{name}");
    });
}

#[test]
fn golden_anchors() {
    let golden = Golden::read("anchors");
    let levels = LevelAnchors::of_levels(&AnchorGenerator {
        scales: vec![8.0],
        strides: vec![4, 8, 16, 32, 64],
        ratios: vec![0.5, 1.0, 2.0],
    });
    let check = |what: &str, got: &[BoxXyxy], want: &[f32]| {
        Deviation::of(what, &corners(got), want).relative_within(what, 1e-6);
    };
    let mut checked = 0;
    golden.each(|name, case| {
        for (index, level) in levels.iter().enumerate() {
            let part = format!("level{index}");
            let what = format!("anchors {name} {part}");
            if name == "base" {
                check(&what, &level.base, golden.floats(name, &part));
                checked += 1;
            } else if let Some(size) = case["feature_sizes"].get(index) {
                let map = Size::new(number(&size[1]), number(&size[0]));
                check(&what, &level.grid(map), golden.floats(name, &part));
                checked += 1;
            }
        }
    });
    assert!(checked > 0);
}

#[test]
fn golden_box_coder() {
    let golden = Golden::read("box_coder");
    golden.each(|name, case| {
        let stds: Vec<f64> = serde_json::from_value(case["stds"].clone()).unwrap();
        let coder = BoxCoder::new(&BboxCoder {
            target_means: [0.0; 4],
            target_stds: stds.try_into().unwrap(),
        });
        let references = golden.boxes(name, "boxes");
        let deltas = golden.floats(name, "deltas").as_chunks::<4>().0;
        let (got, want): (Vec<f32>, &[f32]) = if name.starts_with("encode") {
            let pairs = references.iter().zip(golden.boxes(name, "gt"));
            let got = pairs
                .flat_map(|(&from, to)| coder.encode(from, to))
                .collect();
            (got, golden.floats(name, "deltas"))
        } else {
            let clip = case["max_shape"].as_array();
            let per_box = deltas.len() / references.len();
            let decode = |(at, &deltas): (usize, &[f32; 4])| {
                let decoded = coder.decode(references[at / per_box], deltas);
                let clipped = clip
                    .map(|size| decoded.clamp_to(number(&size[1]) as f32, number(&size[0]) as f32));
                clipped.unwrap_or(decoded)
            };
            let decoded: Vec<BoxXyxy> = deltas.iter().enumerate().map(decode).collect();
            (corners(&decoded), golden.floats(name, "output"))
        };
        Deviation::of(name, &got, want).relative_within(&format!("box_coder {name}"), TOLERANCE);
    });
}

#[test]
fn golden_nms() {
    let golden = Golden::read("nms");
    golden.each(|name, case| {
        let threshold = case["iou_threshold"].as_f64().unwrap() as f32;
        let boxes = golden.boxes(name, "boxes");
        let got = nms(&boxes, golden.floats(name, "scores"), threshold);
        assert_eq!(got, golden.indices(name, "keep"), "{name}");
    });
}

#[test]
fn golden_batched_nms() {
    let golden = Golden::read("batched_nms");
    golden.each(|name, case| {
        let threshold = case["iou_threshold"].as_f64().unwrap() as f32;
        let boxes = golden.boxes(name, "boxes");
        let groups = golden.indices(name, "ids");
        let got = batched_nms(&boxes, golden.floats(name, "scores"), &groups, threshold);
        assert_eq!(got, golden.indices(name, "keep_ties_by_index"), "{name}");
    });
}

/// Every case of suppression with groups, and without (one group), for the kernels.
pub fn each_nms_case(mut check: impl FnMut(&str, &[BoxXyxy], &[f32], &[usize], f32)) {
    for op in ["nms", "batched_nms"] {
        let golden = Golden::read(op);
        golden.each(|name, case| {
            let threshold = case["iou_threshold"].as_f64().unwrap() as f32;
            let boxes = golden.boxes(name, "boxes");
            let groups = match op {
                "nms" => vec![0; boxes.len()],
                _ => golden.indices(name, "ids"),
            };
            check(
                name,
                &boxes,
                golden.floats(name, "scores"),
                &groups,
                threshold,
            );
        });
    }
}

/// Image, boxes and the probabilities of their masks of every case, for the kernels.
pub fn each_paste_case(mut check: impl FnMut(Size, &[BoxXyxy], &[f32])) {
    let golden = Golden::read("paste");
    golden.each(|name, case| {
        let image = Size::new(number(&case["width"]), number(&case["height"]));
        check(
            image,
            &golden.boxes(name, "boxes"),
            golden.floats(name, "probs"),
        );
    });
}

#[test]
fn golden_paste() {
    let golden = Golden::read("paste");
    golden.each(|name, case| {
        let image = Size::new(number(&case["width"]), number(&case["height"]));
        let boxes = golden.boxes(name, "boxes");
        let probs = golden.floats(name, "probs");
        let side = probs.len() / boxes.len();
        let soft = golden.floats(name, "soft").chunks_exact(image.pixels());
        let masks = golden.tensors.get(&format!("{name}.mask")).u8();
        let expected = soft.zip(masks.chunks_exact(image.pixels()));
        let inputs = boxes.iter().zip(probs.chunks_exact(side));
        for ((&bbox, probs), (want_soft, want_mask)) in inputs.zip(expected) {
            let what = format!("paste {name} {bbox:?}");
            let soft = paste_soft(probs, bbox, image);
            Deviation::of(&what, &soft, want_soft).absolute_within(&what, TOLERANCE);
            let mask = row_major(&paste_rle(probs, bbox, image, 0.5));
            for (at, (&got, &want)) in mask.iter().zip(want_mask).enumerate() {
                // The mask is exactly the soft value's decision; rounding may move a value over the threshold.
                assert_eq!(got, soft[at] >= 0.5, "{what}: pixel {at}");
                let at_threshold = f64::from((want_soft[at] - 0.5).abs()) <= TOLERANCE;
                assert!(got == (want != 0) || at_threshold, "{what}: pixel {at}");
            }
        }
    });
}

fn row_major(mask: &Rle) -> Vec<bool> {
    let size = mask.size();
    let mut pixels = vec![false; size.pixels()];
    for (start, end) in mask.spans() {
        for at in start as usize..end as usize {
            pixels[at % size.height * size.width + at / size.height] = true;
        }
    }
    pixels
}

proptest::proptest! {
    #[test]
    fn runs_are_the_soft_values_at_the_threshold(
        probs in proptest::collection::vec(0f32..1.0, 28 * 28),
        x in -40f32..90.0, y in -40f32..90.0, width in 0f32..150.0, height in 0f32..150.0,
        levels in 1u32..20, threshold in 0.05f32..0.95,
    ) {
        // Coarse levels put many values exactly on the threshold.
        let snap = |value: f32| (value * levels as f32).round() / levels as f32;
        let probs: Vec<f32> = probs.into_iter().map(snap).collect();
        let threshold = snap(threshold).max(0.01);
        let (image, bbox) = (Size::new(83, 61), BoxXyxy::new(x, y, x + width, y + height));
        let mask = row_major(&paste_rle(&probs, bbox, image, threshold));
        let soft = paste_soft(&probs, bbox, image);
        for (at, (got, soft)) in mask.into_iter().zip(soft).enumerate() {
            proptest::prop_assert_eq!(got, soft >= threshold, "pixel {}: {}", at, soft);
        }
    }
}

#[test]
fn masks_of_unusable_boxes_are_empty() {
    let image = Size::new(10, 8);
    let empty = Rle::empty(image);
    let edges = [
        [3.0, 3.0, 3.0, 6.0],
        [6.0, 3.0, 3.0, 6.0],
        [f32::NAN, 0.0, 4.0, 4.0],
        [0.0, 0.0, f32::INFINITY, 4.0],
        [1e30, 1e30, 2e30, 2e30],
        [-9.0, -9.0, -2.0, -2.0],
    ];
    for [x1, y1, x2, y2] in edges {
        let bbox = BoxXyxy::new(x1, y1, x2, y2);
        assert_eq!(paste_rle(&[1.0; 784], bbox, image, 0.5), empty, "{bbox:?}");
    }
    assert_eq!(
        paste_rle(&[], BoxXyxy::new(0.0, 0.0, 5.0, 5.0), image, 0.5),
        empty
    );
}

/// Detections of an image, their boxes as small and large as objects of COCO are, their masks smooth or noise.
fn detections(count: usize, image: Size) -> Vec<MaskedBox> {
    let mut state = 7u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let (width, height) = (image.width as f32, image.height as f32);
    let mut next = |index: usize| {
        // 41 % small, 34 % medium, 25 % large
        let share = match index % 100 {
            0..41 => 0.04,
            41..75 => 0.14,
            _ => 0.5,
        };
        let (w, h) = (
            width * share * (0.5 + random()),
            height * share * (0.5 + random()),
        );
        let (x, y) = (random() * (width - w), random() * (height - h));
        let mut cell = |at: usize| {
            let (row, column) = ((at / 28) as f32 - 13.5, (at % 28) as f32 - 13.5);
            let disc = 1.0 / (1.0 + (row.hypot(column) - 11.0).exp());
            if index.is_multiple_of(2) {
                disc
            } else {
                random()
            }
        };
        let mask = (0..784).map(&mut cell).collect();
        MaskedBox {
            detected: DetectedBox {
                bbox: BoxXyxy::new(x, y, x + w, y + h),
                label: 0,
                score: 0.9,
            },
            mask,
            mask_iou: None,
        }
    };
    (0..count).map(&mut next).collect()
}

/// Run in a process of its own by the test below: 100 detections on 32 million pixels.
#[test]
#[ignore = "the other half of large_images_need_little_memory"]
fn large_image_child() {
    let image = Size::new(8000, 4000);
    let transform = ImageTransform::new(image, image, image);
    let mut found = detections(100, image);
    for (index, found) in found
        .iter_mut()
        .enumerate()
        .filter(|(index, _)| index % 4 == 1)
    {
        let inset = index as f32; // as large as the image, of noise: the most runs
        found.detected.bbox = BoxXyxy::new(inset, inset, 8000.0 - inset, 4000.0 - inset);
    }
    let pasted = to_image(&found, &transform, 0.5);
    assert!(pasted.iter().all(|found| found.mask.area() > 0));
    if let Some(peak) = maskscope::jobs::peak_memory() {
        println!("peak {peak}");
    }
}

#[test]
fn large_images_need_little_memory() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "ops::large_image_child",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{text}");
    let Some(peak) = text.lines().find_map(|line| line.strip_prefix("peak ")) else {
        if cfg!(target_os = "linux") {
            panic!("no peak in {text}");
        }
        println!("skipped: this system does not tell the peak");
        return;
    };
    let mib = peak.parse::<u64>().unwrap() / (1 << 20);
    println!("100 detections on 8000x4000 pixels: {mib} MiB at the peak, all in all");
    assert!(mib < 300, "{mib} MiB");
}
