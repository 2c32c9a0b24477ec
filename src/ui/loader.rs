//! Images and thumbnails for the window: asks the image service, keeps textures, never waits.

use std::path::Path;
use std::sync::Arc;

use crate::document::images::{DecodedImage, ImageServiceOptions};
use crate::structures::Size;

/// An image of the open set, as the loader needs it.
#[derive(Clone, Copy, Debug)]
pub struct ImageRef<'a> {
    /// The caller's number.
    pub index: usize,
    /// The file.
    pub path: &'a Path,
    /// Size that a COCO JSON declares.
    pub declared: Option<Size>,
}

/// Where a requested image or thumbnail is.
#[derive(Clone, Debug)]
pub enum Loaded<T> {
    /// On its way.
    Pending,
    /// Here.
    Ready(T),
    /// Unreadable: what and why.
    Failed(Arc<str>),
}

/// Images and thumbnails by index.
pub struct Loader {}

impl Loader {
    /// Starts the worker threads; they wake the window when something arrives.
    pub fn new(_ctx: &egui::Context, _options: ImageServiceOptions) -> Self {
        Self {}
    }

    /// Forgets everything: another set is open, indices mean other files.
    pub fn clear(&mut self) {}

    /// Takes what arrived; once a frame, before the panels.
    pub fn poll(&mut self, _ctx: &egui::Context) {}

    /// The image that is shown now; `neighbours` (±3) are prefetched.
    pub fn image(
        &mut self,
        _current: ImageRef<'_>,
        _neighbours: &[ImageRef<'_>],
    ) -> Loaded<Arc<DecodedImage>> {
        Loaded::Pending
    }

    /// The thumbnail of an image; call it for what is visible, each frame.
    pub fn thumbnail(&mut self, _image: ImageRef<'_>) -> Loaded<egui::load::SizedTexture> {
        Loaded::Pending
    }

    /// Deletes the thumbnails on disk, in the background.
    pub fn clear_cache(&self) {}
}
