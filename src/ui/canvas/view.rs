//! Where the canvas looks: zoom and position, nothing else.
//!
//! Frames: image (pixels of the image), screen (physical pixels of the window), points (egui). Origins of the image are
//! rounded to whole screen pixels, so that 100 % and its multiples are exact.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

use crate::structures::{BoxXywh, Size};

/// Screen pixels per image pixel at most: 3200 %.
const MAX_SCALE: f32 = 32.0;
/// And at least; an image that is larger still can be fitted.
const MIN_SCALE: f32 = 0.02;
/// Points around the image when it is fitted.
const FIT_PADDING: i8 = 16;
/// Share of the canvas that `show_box` gives to the box.
const BOX_SHARE: f32 = 0.6;

/// Zoom and position of a canvas. View state only: it can be thrown away.
#[derive(Clone, Debug)]
pub struct CanvasView {
    /// Points kept free around a fitted image; the top for floating tools.
    pub padding: egui::Margin,
    fit: bool,
    /// Screen pixels per image pixel.
    scale: f32,
    /// Pixel of the image in the middle of the canvas.
    centre: Vec2,
    /// Size of the image that `centre` and `scale` belong to.
    image: Option<Size>,
    /// A box to bring into view as soon as the canvas is laid out.
    pending_box: Option<BoxXywh>,
    /// Where the last click was and how deep it went.
    pub(super) last_click: Option<LastClick>,
    /// Where the image lay when it was drawn last.
    pub(super) frame: Option<CanvasFrame>,
}

/// Where the image lies on the screen, for what is drawn over the canvas.
#[derive(Clone, Copy, Debug)]
pub struct CanvasFrame {
    /// The canvas, in points.
    pub rect: Rect,
    pub(super) placement: Placement,
}

impl CanvasFrame {
    /// A point of the window in pixels of the image; outside of it too.
    pub fn image_from_points(&self, at: Pos2) -> (f32, f32) {
        let at = self.placement.image_from_points(at);
        (at.x, at.y)
    }

    /// A position in the image in points of the window.
    pub fn points_from_image(&self, (x, y): (f64, f64)) -> Pos2 {
        self.placement.points_from_image(x as f32, y as f32)
    }

    /// Points of the window that a pixel of the image has.
    pub fn points_per_pixel(&self) -> f32 {
        self.placement.scale / self.placement.pixels_per_point
    }
}

/// A click, so that the next one at the same place goes one deeper.
#[derive(Clone, Debug)]
pub(super) struct LastClick {
    /// In points.
    pub(super) at: Pos2,
    /// What lay there, smallest first.
    pub(super) hits: Vec<usize>,
    /// Which of them was picked.
    pub(super) depth: usize,
}

impl Default for CanvasView {
    fn default() -> Self {
        Self {
            padding: egui::Margin::same(FIT_PADDING),
            fit: true,
            scale: 1.0,
            centre: Vec2::ZERO,
            image: None,
            pending_box: None,
            last_click: None,
            frame: None,
        }
    }
}

impl CanvasView {
    /// Shows the whole image, and keeps doing so when the window changes.
    pub fn fit(&mut self) {
        self.fit = true;
    }

    /// One pixel of the image on one pixel of the screen.
    pub fn one_to_one(&mut self) {
        self.fit = false;
        self.scale = 1.0;
    }

    /// Zooms about the middle of the canvas.
    pub fn zoom_by(&mut self, factor: f32) {
        self.fit = false;
        self.scale = clamp_scale(self.scale * factor);
    }

    /// Brings a box of the image into the middle, as large as 60 % of the canvas.
    pub fn show_box(&mut self, box_in_image: BoxXywh) {
        self.pending_box = Some(box_in_image);
    }

    /// Moves the image so far that a position in it is in view; nothing where it is.
    pub fn reveal(&mut self, (x, y): (f64, f64)) {
        let Some(frame) = self.frame else { return };
        let at = frame.points_from_image((x, y));
        let inside = frame.rect - self.padding;
        if inside.is_positive() && !inside.contains(at) {
            self.pan(inside.clamp(at) - at, frame.placement.pixels_per_point);
        }
    }

    /// 100 where a pixel of the image is a pixel of the screen.
    pub fn zoom_percent(&self) -> f32 {
        self.scale * 100.0
    }

    /// Where the image lay when it was drawn last; none before.
    pub fn frame(&self) -> Option<CanvasFrame> {
        self.frame
    }

    /// Whether the whole image is kept in view.
    pub fn is_fit(&self) -> bool {
        self.fit
    }

    /// Where a position in an image of this size lies on the screen, with the canvas in `rect`; for whoever drives the window.
    pub fn screen_from_image(
        &self,
        rect: Rect,
        pixels_per_point: f32,
        size: Size,
        (x, y): (f32, f32),
    ) -> Pos2 {
        let mut view = self.clone();
        view.place(rect, pixels_per_point, size)
            .points_from_image(x, y)
    }

    /// Lays the image out in `rect`. Another size of image is fitted; the same size keeps zoom and position, so that
    /// frames of a series can be compared.
    pub(super) fn place(&mut self, rect: Rect, pixels_per_point: f32, size: Size) -> Placement {
        let image = vec2(size.width.max(1) as f32, size.height.max(1) as f32);
        if self.image != Some(size) {
            self.image = Some(size);
            self.fit = true;
            self.last_click = None;
        }
        let inner = rect - self.padding;
        let room = inner.size().max(Vec2::splat(16.0)) * pixels_per_point;
        if let Some(b) = self.pending_box.take() {
            self.fit = false;
            let size = vec2(b.width.max(1.0) as f32, b.height.max(1.0) as f32);
            self.scale = clamp_scale((room * BOX_SHARE / size).min_elem());
            self.centre = vec2(b.x as f32, b.y as f32) + size / 2.0;
        }
        if self.fit {
            self.scale = (room / image).min_elem().min(MAX_SCALE);
            self.centre = image / 2.0;
        }
        self.centre = self.centre.clamp(Vec2::ZERO, image);
        let middle = inner.center().to_vec2() * pixels_per_point;
        Placement {
            origin: (middle - self.centre * self.scale).round(),
            scale: self.scale,
            pixels_per_point,
            image,
        }
    }

    /// Moves the image by so many points.
    pub(super) fn pan(&mut self, delta: Vec2, pixels_per_point: f32) {
        self.fit = false;
        self.centre -= delta * pixels_per_point / self.scale;
    }

    /// Zooms; the pixel of the image under `pointer` stays there.
    pub(super) fn zoom_about(&mut self, placement: &Placement, pointer: Pos2, factor: f32) {
        let old = self.scale;
        let new = clamp_scale(old * factor);
        let under = placement.image_from_points(pointer).to_vec2();
        self.fit = false;
        self.scale = new;
        // Distance to the middle in screen pixels is the same before and after.
        self.centre = under - (under - self.centre) * (old / new);
    }
}

/// Where the image lies on the screen in this frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    /// Screen pixels of the image's upper left corner.
    pub(super) origin: Vec2,
    /// Screen pixels per image pixel.
    pub(super) scale: f32,
    /// Screen pixels per point.
    pub(super) pixels_per_point: f32,
    /// Size of the image.
    image: Vec2,
}

impl Placement {
    /// A point of the window in pixels of the image.
    pub(super) fn image_from_points(&self, at: Pos2) -> Pos2 {
        ((at.to_vec2() * self.pixels_per_point - self.origin) / self.scale).to_pos2()
    }

    /// A position in the image in points of the window.
    pub(super) fn points_from_image(&self, x: f32, y: f32) -> Pos2 {
        ((vec2(x, y) * self.scale + self.origin) / self.pixels_per_point).to_pos2()
    }

    /// The image in points of the window.
    pub(super) fn image_rect(&self) -> Rect {
        Rect::from_min_max(
            self.points_from_image(0.0, 0.0),
            self.points_from_image(self.image.x, self.image.y),
        )
    }

    /// The position in the image, where it is inside.
    pub(super) fn inside(&self, at: Pos2) -> Option<Pos2> {
        let at = self.image_from_points(at);
        let inside = at.x >= 0.0 && at.y >= 0.0 && at.x < self.image.x && at.y < self.image.y;
        inside.then_some(pos2(at.x, at.y))
    }
}

/// Within the limits.
fn clamp_scale(scale: f32) -> f32 {
    if scale.is_finite() {
        scale.clamp(MIN_SCALE, MAX_SCALE)
    } else {
        1.0
    }
}
