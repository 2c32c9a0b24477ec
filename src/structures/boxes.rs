//! Axis-aligned boxes. Coordinates are continuous: pixel i covers [i, i+1). There is no "+1" anywhere.

/// Corners of a box, as the network computes them, in pixels of the frame that the variable's name says.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct BoxXyxy {
    /// Left edge.
    pub x1: f32,
    /// Upper edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Lower edge.
    pub y2: f32,
}

impl BoxXyxy {
    /// A box from its corners.
    pub fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// `x2 - x1`, negative for an inverted box.
    pub fn width(self) -> f32 {
        self.x2 - self.x1
    }

    /// `y2 - y1`, negative for an inverted box.
    pub fn height(self) -> f32 {
        self.y2 - self.y1
    }

    /// `width * height`.
    pub fn area(self) -> f32 {
        self.width() * self.height()
    }

    /// Intersection over union in f32; NaN for two boxes of zero area, as mmcv's NMS has it.
    pub fn iou(self, other: Self) -> f32 {
        let width = (self.x2.min(other.x2) - self.x1.max(other.x1)).max(0.0);
        let height = (self.y2.min(other.y2) - self.y1.max(other.y1)).max(0.0);
        let inter = width * height;
        inter / (self.area() + other.area() - inter)
    }

    /// Whether every coordinate is a finite number.
    pub fn is_finite(self) -> bool {
        [self.x1, self.y1, self.x2, self.y2]
            .iter()
            .all(|edge| edge.is_finite())
    }

    /// Every coordinate clamped into `[0, width] × [0, height]`.
    pub fn clamp_to(self, width: f32, height: f32) -> Self {
        Self {
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
            x2: self.x2.clamp(0.0, width),
            y2: self.y2.clamp(0.0, height),
        }
    }

    /// The COCO form. Width and height are differences in f32, then widened, as files of the original have them.
    pub fn to_xywh(self) -> BoxXywh {
        BoxXywh {
            x: f64::from(self.x1),
            y: f64::from(self.y1),
            width: f64::from(self.width()),
            height: f64::from(self.height()),
        }
    }
}

/// Corner and size of a box as COCO files hold it, in pixels of the image.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct BoxXywh {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl BoxXywh {
    /// A box from its corner and size.
    pub fn new(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// The corners in f32.
    pub fn to_xyxy(self) -> BoxXyxy {
        BoxXyxy::new(
            self.x as f32,
            self.y as f32,
            (self.x + self.width) as f32,
            (self.y + self.height) as f32,
        )
    }
}
