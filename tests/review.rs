//! Reviewing a set: edits, history, database, queues, export.

mod bad_input;
mod edits;
mod export;
mod property;
mod storage;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use maskscope::coco::Dataset;
use maskscope::document::review::{Access, Edit, ReviewSession, Shape};
use maskscope::structures::{EditableMask, Paint, PixelRect, Rle, Size};
use serde_json::{Value, json};

/// Three images, two classes, every spelling of a mask, a crowd, unknown keys.
pub fn set_json() -> Value {
    let square = |x: f64, y: f64| json!([[x, y, x + 8.0, y, x + 8.0, y + 8.0, x, y + 8.0]]);
    let image = |id: u64| json!({"id": id, "file_name": format!("{id:06}.png"), "width": 40, "height": 30, "own": [1.50, null]});
    let annotation = |id: u64, image: u64, category: u64, segmentation: Value| {
        json!({"id": id, "image_id": image, "category_id": category, "segmentation": segmentation,
               "area": 64.25, "bbox": [1.0, 2.0, 8.0, 8.0], "iscrowd": 0, "attributes": {"who": "Ö"}})
    };
    let two = json!([
        [2.0, 2.0, 10.0, 2.0, 10.0, 10.0, 2.0, 10.0],
        [20.0, 5.0, 30.0, 5.0, 30.0, 20.0, 20.0, 20.0]
    ]);
    let mut crowd = annotation(
        9,
        2,
        3,
        json!({"size": [30, 40], "counts": [100, 50, 1050]}),
    );
    crowd["iscrowd"] = json!(1);
    json!({
        "info": {"year": 2026, "description": "review"},
        "images": [image(1), image(2), image(3)],
        "annotations": [
            annotation(0, 1, 1, square(1.0, 2.0)),
            annotation(5, 1, 3, two),
            crowd,
            annotation(12, 2, 1, square(20.0, 12.0)),
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "dog", "supercategory": "animal"}],
    })
}

/// A set on disk, in a folder of its own.
pub struct Home {
    pub folder: tempfile::TempDir,
    pub json: PathBuf,
}

impl Home {
    pub fn new() -> Self {
        Self::of(&set_json())
    }

    pub fn of(set: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("labels.json");
        std::fs::write(&json, serde_json::to_string_pretty(set).unwrap()).unwrap();
        Self { folder, json }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn set(&self) -> Arc<Dataset> {
        Arc::new(Dataset::open(&self.json).unwrap())
    }

    pub fn open(&self) -> ReviewSession {
        self.try_open(Access::Edit).unwrap()
    }

    pub fn try_open(
        &self,
        access: Access,
    ) -> Result<ReviewSession, maskscope::document::review::ReviewError> {
        ReviewSession::open_in(self.set(), access, &self.path().join("data"))
    }

    pub fn memory(&self) -> ReviewSession {
        ReviewSession::in_memory(self.set()).unwrap()
    }
}

/// A disk as run lengths on the images of `set_json`.
pub fn disk(x: f32, y: f32, radius: f32) -> Rle {
    let mut mask = EditableMask::new(Size::new(40, 30));
    mask.stroke((x, y), (x, y), radius, Paint::Add);
    mask.to_rle()
}

/// Every pixel.
pub fn whole() -> Rle {
    let mut mask = EditableMask::new(Size::new(40, 30));
    let rect = PixelRect {
        left: 0,
        top: 0,
        right: 40,
        bottom: 30,
    };
    mask.rectangle(rect, Paint::Add);
    mask.to_rle()
}

pub fn add(image_id: u64, shape: Shape) -> Edit {
    Edit::Add {
        image_id,
        category_id: 1,
        segmentation: shape,
        iscrowd: false,
        origin: None,
    }
}
