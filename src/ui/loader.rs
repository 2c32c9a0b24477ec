//! Images and thumbnails for the window: asks the image service, keeps textures, never waits.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use egui::load::SizedTexture;

use crate::document::ImageTask;
use crate::document::images::{DecodedImage, ImageEvent, ImageService, ImageServiceOptions};
use crate::structures::Size;

/// Thumbnails on the graphics card: as many as 128 MiB hold at their largest.
const MAX_THUMBNAILS: usize = 512;
/// Thumbnails that become textures in one frame; the rest waits for the next.
const MAX_PER_FRAME: usize = 16;

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

impl ImageRef<'_> {
    fn task(self) -> ImageTask {
        ImageTask {
            index: self.index,
            path: self.path.to_owned(),
            declared: self.declared,
        }
    }
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
pub struct Loader {
    service: ImageService,
    thumbnails: HashMap<usize, Thumbnail>,
    /// Thumbnails that wait for the next frame.
    arrived: Vec<(usize, Arc<DecodedImage>)>,
    /// The image that was shown last.
    current: Option<usize>,
    frame: u64,
}

/// A thumbnail, or why there is none.
struct Thumbnail {
    state: Result<egui::TextureHandle, Arc<str>>,
    last_frame: u64,
}

impl Loader {
    /// Starts the worker threads; they wake the window when something arrives.
    pub fn new(ctx: &egui::Context, options: ImageServiceOptions) -> Self {
        let ctx = ctx.clone();
        Self {
            service: ImageService::start(options, move || ctx.request_repaint()),
            thumbnails: HashMap::new(),
            arrived: Vec::new(),
            current: None,
            frame: 0,
        }
    }

    /// Forgets everything: another set is open, indices mean other files.
    pub fn clear(&mut self) {
        self.service.clear();
        self.thumbnails.clear();
        self.arrived.clear();
        self.current = None;
    }

    /// Takes what arrived; once a frame, before the panels.
    pub fn poll(&mut self, ctx: &egui::Context) {
        self.frame += 1;
        for event in self.service.events() {
            match event {
                ImageEvent::Full { .. } => {} // `image` finds it in the service
                ImageEvent::Thumbnail { index, result } => match result {
                    Ok(image) => self.arrived.push((index, image)),
                    Err(error) => self.keep(index, Err(error)),
                },
            }
        }
        for _ in 0..MAX_PER_FRAME {
            let Some((index, image)) = self.arrived.pop() else {
                break;
            };
            let texture = ctx.load_texture(
                format!("thumbnail {index}"),
                colour_image(&image),
                egui::TextureOptions::LINEAR,
            );
            self.keep(index, Ok(texture));
        }
        if !self.arrived.is_empty() {
            ctx.request_repaint();
        }
        self.forget_unseen();
    }

    /// The image that is shown now; `neighbours` (±3, the likeliest first) are prefetched.
    pub fn image(
        &mut self,
        current: ImageRef<'_>,
        neighbours: &[ImageRef<'_>],
    ) -> Loaded<Arc<DecodedImage>> {
        let found = self.service.full(current.index);
        if found.is_none() {
            self.service.request_full(current.task());
        }
        if self.current != Some(current.index) {
            self.current = Some(current.index);
            let tasks = neighbours.iter().map(|image| image.task()).collect();
            self.service.prefetch(tasks);
        }
        match found {
            None => Loaded::Pending,
            Some(Ok(image)) => Loaded::Ready(image),
            Some(Err(error)) => Loaded::Failed(error),
        }
    }

    /// The thumbnail of an image; call it for what is visible, each frame.
    pub fn thumbnail(&mut self, image: ImageRef<'_>) -> Loaded<SizedTexture> {
        match self.thumbnails.get_mut(&image.index) {
            Some(thumbnail) => {
                thumbnail.last_frame = self.frame;
                match &thumbnail.state {
                    Ok(texture) => Loaded::Ready(SizedTexture::from_handle(texture)),
                    Err(error) => Loaded::Failed(Arc::clone(error)),
                }
            }
            None => {
                self.service.request_thumbnail(image.task(), self.frame);
                Loaded::Pending
            }
        }
    }

    /// Deletes the thumbnails on disk, in the background.
    pub fn clear_cache(&self) {
        self.service.clear_cache();
    }

    fn keep(&mut self, index: usize, state: Result<egui::TextureHandle, Arc<str>>) {
        let last_frame = self.frame;
        self.thumbnails
            .insert(index, Thumbnail { state, last_frame });
    }

    /// Frees the thumbnails that were seen least recently, never those of this or the last frame.
    fn forget_unseen(&mut self) {
        if self.thumbnails.len() <= MAX_THUMBNAILS {
            return;
        }
        let mut seen: Vec<u64> = self.thumbnails.values().map(|t| t.last_frame).collect();
        seen.sort_unstable_by(|a, b| b.cmp(a));
        let limit = seen.get(MAX_THUMBNAILS).copied().unwrap_or(0);
        let recent = self.frame.saturating_sub(1);
        self.thumbnails
            .retain(|_, t| t.last_frame > limit || t.last_frame >= recent);
    }
}

/// Opaque pixels as egui has them.
fn colour_image(image: &DecodedImage) -> egui::ColorImage {
    let pixels = image
        .rgba
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&[r, g, b, _]| egui::Color32::from_rgb(r, g, b))
        .collect();
    egui::ColorImage::new([image.pixels.width, image.pixels.height], pixels)
}
