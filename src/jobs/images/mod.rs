//! Decodes images and thumbnails for the window on worker threads, newest request first.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::structures::Size;

/// A decoded image, ready for a texture.
#[derive(Debug)]
pub struct DecodedImage {
    /// Unique in the process: textures are cached by it.
    pub id: u64,
    /// Size of the image, upright: the frame of boxes and masks.
    pub size: Size,
    /// Size of `rgba`: smaller than `size` where the image is too large to show whole.
    pub pixels: Size,
    /// Row-major, four bytes a pixel, sRGB, opaque.
    pub rgba: Vec<u8>,
}

impl DecodedImage {
    /// From RGB bytes, row-major. The conversion belongs on a worker thread.
    pub fn from_rgb(size: Size, rgb: &[u8]) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let mut rgba = Vec::with_capacity(rgb.len() / 3 * 4);
        for pixel in rgb.as_chunks::<3>().0 {
            let [r, g, b] = *pixel;
            rgba.extend_from_slice(&[r, g, b, 255]);
        }
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            size,
            pixels: size,
            rgba,
        }
    }
}

/// How the service works.
#[derive(Clone, Debug)]
pub struct ImageServiceOptions {
    /// Folder of the thumbnail cache; `None` keeps nothing on disk (`--no-cache`).
    pub cache_dir: Option<PathBuf>,
    /// Limit of the thumbnail cache on disk.
    pub cache_bytes: u64,
    /// Limit of decoded images in memory.
    pub memory_bytes: usize,
    /// Longest side of a thumbnail in pixels.
    pub thumbnail_side: usize,
    /// Worker threads.
    pub threads: usize,
}
