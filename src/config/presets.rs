//! The shipped configurations, embedded.

use super::{Config, ConfigError};

/// Name and text of every file in `assets/configs`.
pub const PRESETS: [(&str, &str); 6] = [
    (
        "default_config",
        include_str!("../../assets/configs/default_config.yaml"),
    ),
    (
        "ms_rcnn_r50_caffe_fpn_1x_coco",
        include_str!("../../assets/configs/ms_rcnn_r50_caffe_fpn_1x_coco.yaml"),
    ),
    (
        "ms_rcnn_r101_caffe_fpn_1x_coco",
        include_str!("../../assets/configs/ms_rcnn_r101_caffe_fpn_1x_coco.yaml"),
    ),
    (
        "mmdet_ms_rcnn_r50_caffe_fpn_1x_coco",
        include_str!("../../assets/configs/mmdet_ms_rcnn_r50_caffe_fpn_1x_coco.yaml"),
    ),
    (
        "mmdet_ms_rcnn_r101_caffe_fpn_1x_coco",
        include_str!("../../assets/configs/mmdet_ms_rcnn_r101_caffe_fpn_1x_coco.yaml"),
    ),
    ("tiny", include_str!("../../assets/configs/tiny.yaml")),
];

/// A shipped configuration by its file name, with or without `.yaml`.
///
/// # Errors
/// `UnknownPreset`.
pub fn preset(name: &str) -> Result<Config, ConfigError> {
    let stem = name.strip_suffix(".yaml").unwrap_or(name);
    match PRESETS.iter().find(|(known, _)| *known == stem) {
        Some((known, text)) => Config::from_yaml(text, known).map(|(config, _)| config),
        None => Err(ConfigError::UnknownPreset {
            name: name.into(),
            nearest: PRESETS
                .iter()
                .map(|(known, _)| *known)
                .min_by_key(|known| strsim::damerau_levenshtein(known, stem))
                .unwrap_or_default(),
        }),
    }
}
