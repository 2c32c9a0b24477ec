//! Real files that other programs wrote, where this machine has them.

use maskscope::weights::{LoadOptions, file_tensors, inspect, load};

use crate::support::fixtures::real_data;

#[test]
fn real_mindspore_files() {
    let Some(folder) = real_data("mindspore_ckpt") else {
        return;
    };
    for name in [
        "checkpoint_lenet-1_1875.ckpt",
        "checkpoint_lenet_1-1_1875.ckpt",
    ] {
        let tensors = file_tensors(&folder.join(name)).unwrap();
        let shape = |name: &str| {
            let tensor = tensors.iter().find(|t| t.name == name);
            tensor.map(|t| t.shape().to_vec())
        };
        assert_eq!(shape("conv1.weight"), Some(vec![6, 1, 5, 5]), "{name}");
        assert_eq!(shape("momentum"), Some(vec![]), "dims [0] is a scalar");
        let error = load(&folder.join(name), None, &LoadOptions::default()).unwrap_err();
        assert!(error.to_string().starts_with("no detector"), "{error}");
        assert!(!inspect(&folder.join(name)).unwrap().complete);
    }
}

#[test]
fn real_torch_files() {
    for (name, count, first) in [
        ("mmdet_pth/yunet_n.pth", 208, "backbone.model0.conv1.weight"),
        ("mmdet_pth/yunet_s.pth", 181, "backbone.model0.conv1.weight"),
        (
            "resnet_cifar10_pth/resnet20-12fca82f.th",
            97,
            "module.conv1.weight",
        ),
    ] {
        let Some(path) = real_data(name) else {
            continue;
        };
        let tensors = file_tensors(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(tensors[0].name, first);
        assert_eq!(tensors.len(), count, "{name}");
        let finite = tensors
            .iter()
            .filter(|t| t.dtype().name() == "f32")
            .flat_map(|t| t.bytes())
            .collect::<Vec<u8>>()
            .as_chunks::<4>()
            .0
            .iter()
            .all(|b| f32::from_le_bytes(*b).abs() < 1e6);
        assert!(finite, "{name}: values that no network has");
    }
}

#[test]
fn real_truncated_files() {
    for (name, part) in [
        ("truncated_pth/resnet18-5c106cde.pth", "too old"),
        (
            "truncated_pth/resnet18-f37072fd.pth",
            "truncated or damaged",
        ),
        ("truncated_pth/resnet50-19c8e357.pth", "too old"),
    ] {
        let Some(path) = real_data(name) else {
            continue;
        };
        let error = load(&path, None, &LoadOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(part) && error.contains(name), "{error}");
    }
}
