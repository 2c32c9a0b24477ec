//! What the canvas keeps on the GPU: pipelines, image textures, run lengths of masks.
//!
//! Everything is keyed by the id of an image or of an instance set, uploaded once, and freed when it has not been drawn for
//! a while. Only style buffers and one uniform are rewritten as the user plays.

mod callback;
mod image;
mod masks;
mod pipelines;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use callback::{CanvasPaint, Layer, ViewUniform};
pub(crate) use masks::InstanceStyle;

use self::image::ImageTextures;
use self::masks::SetBuffers;
use self::pipelines::Pipelines;

/// Bytes of image textures that are kept: four images of 4K with their smaller levels, or many small ones.
const IMAGE_BYTES: u64 = 384 << 20;
/// Bytes of run lengths that are kept.
const SET_BYTES: u64 = 64 << 20;
/// What was drawn within so many canvases is never freed: several canvases share a frame.
const KEEP_DRAWS: u64 = 16;

/// What was sent to the GPU since the start; a test proves with it that style changes upload no mask.
#[derive(Debug, Default)]
pub struct Counters {
    /// Instance sets uploaded.
    pub mask_uploads: AtomicU64,
    /// Bytes of their runs and boxes.
    pub mask_bytes: AtomicU64,
    /// Style buffers rewritten.
    pub style_writes: AtomicU64,
    /// Images uploaded.
    pub image_uploads: AtomicU64,
    /// Bytes of their pixels.
    pub image_bytes: AtomicU64,
}

impl Counters {
    /// Adds to one of the counters.
    fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

/// Builds the pipelines once; call it when the app is created (`cc.wgpu_render_state`). Without it the canvas draws no
/// image and no mask.
pub fn install(render_state: &egui_wgpu::RenderState) -> Arc<Counters> {
    let counters: Arc<Counters> = Arc::default();
    let gpu = CanvasGpu {
        software: render_state.adapter.get_info().device_type == wgpu::DeviceType::Cpu,
        pipelines: Pipelines::new(&render_state.device, render_state.target_format),
        linear_target: render_state.target_format.is_srgb(),
        images: HashMap::new(),
        sets: HashMap::new(),
        views: HashMap::new(),
        draws: 0,
        counters: Arc::clone(&counters),
    };
    render_state.renderer.write().callback_resources.insert(gpu);
    counters
}

/// What lives in egui's renderer.
struct CanvasGpu {
    pipelines: Pipelines,
    /// Whether the framebuffer wants linear values.
    linear_target: bool,
    /// The graphics adapter is the CPU.
    software: bool,
    images: HashMap<u64, Kept<ImageTextures>>,
    sets: HashMap<u64, Kept<SetBuffers>>,
    views: HashMap<egui::Id, callback::ViewSlot>,
    /// Canvases prepared so far: the clock of the caches.
    draws: u64,
    counters: Arc<Counters>,
}

/// Something cached, with its size and when it was last drawn.
struct Kept<T> {
    value: T,
    bytes: u64,
    last_draw: u64,
}

/// Frees what was not drawn for longest until `limit` bytes are left; never what is on the screen.
fn trim<T>(cache: &mut HashMap<u64, Kept<T>>, limit: u64, now: u64) {
    let mut total: u64 = cache.values().map(|kept| kept.bytes).sum();
    while total > limit {
        let oldest = cache
            .iter()
            .filter(|(_, kept)| kept.last_draw + KEEP_DRAWS < now)
            .min_by_key(|(_, kept)| kept.last_draw)
            .map(|(&id, _)| id);
        let Some(kept) = oldest.and_then(|id| cache.remove(&id)) else {
            return;
        };
        total -= kept.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_least_recently_is_freed_but_never_what_is_on_the_screen() {
        let kept = |last_draw| Kept {
            value: (),
            bytes: 10,
            last_draw,
        };
        let mut cache: HashMap<u64, Kept<()>> = (0..6).map(|id| (id, kept(10 * id))).collect();
        let left = |cache: &HashMap<u64, Kept<()>>| {
            let mut ids: Vec<u64> = cache.keys().copied().collect();
            ids.sort_unstable();
            ids
        };
        trim(&mut cache, 35, 55);
        assert_eq!(left(&cache), [3, 4, 5]);
        // 4 and 5 were drawn within the last draws: they stay beyond the limit.
        trim(&mut cache, 0, 55);
        assert_eq!(left(&cache), [4, 5]);
    }
}
