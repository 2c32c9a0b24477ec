//! What the canvas keeps on the GPU: pipelines, image textures, run lengths of masks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

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

/// Builds the pipelines once; call it when the app is created (`cc.wgpu_render_state`).
pub fn install(_render_state: &egui_wgpu::RenderState) -> Arc<Counters> {
    Arc::default()
}
