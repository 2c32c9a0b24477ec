//! A whole set on disk: `data/*.png` and `labels.json`, a COCO set as any other.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::scene::{Contents, MAX_SIDE, MIN_SIDE, SynthScene, scene_with};
use super::shape::Shapes;
use crate::coco::{CocoError, rle_string, write_json};
use crate::structures::Size;

/// Pictures made at once: enough for every core, little enough that a cancel is quick.
const BATCH: usize = 16;

/// Why a set could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// A folder or picture could not be written.
    #[error("cannot write {path}: {source}; choose another folder or make room")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A size that is not made.
    #[error("pictures of {size} are not made: each side is {MIN_SIDE} to {MAX_SIDE}")]
    Size {
        /// The size asked for.
        size: Size,
    },
    /// `labels.json` could not be written.
    #[error(transparent)]
    Labels(#[from] CocoError),
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetSummary {
    /// Pictures.
    pub images: usize,
    /// Instances on them.
    pub instances: usize,
    /// Whether all were written, and with them `labels.json`.
    pub complete: bool,
}

/// Writes `images` pictures to `out/data` and, when all are there, `out/labels.json`.
/// `progress(done, total)` is called after every few; where it returns false the rest is left.
///
/// # Errors
/// A size that is not made, a folder or disk that refuses.
pub fn write_set(
    out: &Path,
    images: usize,
    seed: u64,
    size: Size,
    contents: Contents,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<SetSummary, SynthError> {
    let sides = MIN_SIDE..=MAX_SIDE;
    if !sides.contains(&size.width) || !sides.contains(&size.height) {
        return Err(SynthError::Size { size });
    }
    let data = out.join("data");
    std::fs::create_dir_all(&data).map_err(|source| SynthError::Write {
        path: data.clone(),
        source,
    })?;
    let mut labels = Labels::default();
    for start in (0..images).step_by(BATCH) {
        let batch: Vec<SynthScene> = (start..images.min(start + BATCH))
            .into_par_iter()
            .map(|index| {
                let scene = scene_with(seed, index as u64, size, contents);
                write_png(&data.join(file_name(index)), &scene)?;
                Ok(scene)
            })
            .collect::<Result<_, SynthError>>()?;
        for (index, scene) in (start..).zip(&batch) {
            labels.add(index, scene);
        }
        let done = labels.images.len();
        if !progress(done, images) && done < images {
            return Ok(labels.summary(false));
        }
    }
    let summary = labels.summary(true);
    write_json(
        &out.join("labels.json"),
        &labels.into_json(seed, contents.shapes),
    )?;
    Ok(summary)
}

fn file_name(index: usize) -> String {
    format!("{index:06}.png")
}

fn write_png(path: &Path, scene: &SynthScene) -> Result<(), SynthError> {
    let Size { width, height } = scene.image.size;
    let mut bytes = Cursor::new(Vec::new());
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(
            &scene.image.rgb,
            width as u32,
            height as u32,
            ExtendedColorType::Rgb8,
        )
        .map_err(std::io::Error::other)
        .and_then(|()| std::fs::write(path, bytes.get_ref()))
        .map_err(|source| SynthError::Write {
            path: path.to_owned(),
            source,
        })
}

#[derive(Default)]
struct Labels {
    images: Vec<Value>,
    annotations: Vec<Value>,
}

impl Labels {
    fn add(&mut self, index: usize, scene: &SynthScene) {
        let Size { width, height } = scene.image.size;
        let image_id = index + 1;
        self.images.push(json!({
            "id": image_id, "file_name": file_name(index), "width": width, "height": height,
        }));
        for instance in &scene.instances {
            let bbox = instance.bbox;
            self.annotations.push(json!({
                "id": self.annotations.len() + 1,
                "image_id": image_id,
                "category_id": instance.class + 1,
                "bbox": [bbox.x, bbox.y, bbox.width, bbox.height],
                "area": instance.mask.area(),
                "iscrowd": 0,
                "segmentation": {"size": [height, width], "counts": rle_string::encode(&instance.mask)},
            }));
        }
    }

    fn summary(&self, complete: bool) -> SetSummary {
        SetSummary {
            images: self.images.len(),
            instances: self.annotations.len(),
            complete,
        }
    }

    fn into_json(self, seed: u64, shapes: Shapes) -> Value {
        let categories: Vec<Value> = (1..)
            .zip(shapes.classes())
            .map(|(id, name)| json!({"id": id, "name": name, "supercategory": "shape"}))
            .collect();
        json!({
            "info": {"description": format!("Maskscope synthetic shapes, seed {seed}")},
            "licenses": [],
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        })
    }
}
