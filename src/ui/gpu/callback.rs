//! The paint callback of one canvas in one frame.

use std::sync::Arc;

use egui_wgpu::{CallbackResources, CallbackTrait, ScreenDescriptor};
use wgpu::util::DeviceExt as _;

use super::image::ImageTextures;
use super::masks::SetBuffers;
use super::{CanvasGpu, Counters, IMAGE_BYTES, InstanceStyle, KEEP_DRAWS, Kept, SET_BYTES, trim};
use crate::document::images::DecodedImage;
use crate::ui::canvas::InstanceSet;

/// From 200 % on the pixels of the image are drawn as squares.
const NEAREST_FROM: f32 = 2.0;

/// Pixels in the boxes of masks that a software adapter draws with four samples each; more than that with one.
const SOFTWARE_PIXELS: f32 = 0.4e6;

/// The uniform of a canvas; `View` of the shaders.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct ViewUniform {
    /// Screen pixels of the image's upper left corner.
    pub(crate) origin: [f32; 2],
    /// Screen pixels of the framebuffer; filled in when painting.
    pub(crate) screen: [f32; 2],
    /// Screen pixels per image pixel.
    pub(crate) scale: f32,
    /// Screen pixels per point.
    pub(crate) pixels_per_point: f32,
    /// Filled in when painting.
    pub(crate) linear_target: u32,
    /// Uniforms are a multiple of 16 bytes.
    pub(crate) padding: u32,
}

/// An instance set with its styles.
pub(crate) struct Layer {
    /// The instances.
    pub(crate) set: Arc<InstanceSet>,
    /// One style an instance, in drawing order.
    pub(crate) styles: Arc<Vec<InstanceStyle>>,
    /// Places in drawing order that are drawn last.
    pub(crate) raised: Vec<usize>,
}

/// What one canvas draws in this frame.
pub(crate) struct CanvasPaint {
    /// The canvas.
    pub(crate) id: egui::Id,
    /// Where it looks.
    pub(crate) view: ViewUniform,
    /// The image.
    pub(crate) image: Option<Arc<DecodedImage>>,
    /// Instances, from the bottom up.
    pub(crate) layers: Vec<Layer>,
    /// Screen pixels in the boxes of all masks that are shown: how much there is to draw.
    pub(crate) mask_pixels: f32,
}

/// What a canvas keeps between frames.
pub(super) struct ViewSlot {
    uniform: wgpu::Buffer,
    group: wgpu::BindGroup,
    written: Option<ViewUniform>,
    layers: Vec<StyleSlot>,
    last_draw: u64,
}

/// The style buffer of a layer, and what it holds. Holding the `Arc` keeps its address from being used again.
struct StyleSlot {
    buffer: wgpu::Buffer,
    written: Arc<Vec<InstanceStyle>>,
}

impl CallbackTrait for CanvasPaint {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(gpu) = resources.get_mut::<CanvasGpu>() {
            gpu.draws += 1;
            self.prepare_image(gpu, device, queue, encoder);
            self.prepare_sets(gpu, device, queue);
            self.prepare_view(gpu, device, queue, screen);
            gpu.trim();
        }
        Vec::new()
    }

    fn paint(
        &self,
        info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        resources: &CallbackResources,
    ) {
        let Some(gpu) = resources.get::<CanvasGpu>() else {
            log::debug!("the canvas is not installed on this renderer");
            return;
        };
        let Some(slot) = gpu.views.get(&self.id) else {
            return;
        };
        let [width, height] = info.screen_size_px;
        pass.set_viewport(0.0, 0.0, width as f32, height as f32, 0.0, 1.0);
        pass.set_bind_group(0, &slot.group, &[]);
        if let Some(image) = self
            .image
            .as_ref()
            .and_then(|image| gpu.images.get(&image.id))
        {
            let nearest = self.view.scale >= NEAREST_FROM;
            image.value.paint(pass, &gpu.pipelines, nearest);
        }
        let pipeline = if gpu.software && self.mask_pixels > SOFTWARE_PIXELS {
            &gpu.pipelines.masks_fast
        } else {
            &gpu.pipelines.masks
        };
        for (layer, style) in self.layers.iter().zip(&slot.layers) {
            if let Some(set) = gpu.sets.get(&layer.set.id()) {
                set.value
                    .paint(pass, pipeline, &style.buffer, &layer.raised);
            }
        }
    }
}

impl CanvasPaint {
    /// Uploads the image unless it is there.
    fn prepare_image(
        &self,
        gpu: &mut CanvasGpu,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        encoder: &mut wgpu::CommandEncoder,
    ) {
        let Some(image) = &self.image else { return };
        if let Some(kept) = gpu.images.get_mut(&image.id) {
            kept.last_draw = gpu.draws;
            return;
        }
        let uploaded =
            ImageTextures::upload(device, queue, encoder, &gpu.pipelines, image, &gpu.counters);
        if let Some((value, bytes)) = uploaded {
            let last_draw = gpu.draws;
            gpu.images.insert(
                image.id,
                Kept {
                    value,
                    bytes,
                    last_draw,
                },
            );
        }
    }

    /// Uploads the instance sets unless they are there.
    fn prepare_sets(&self, gpu: &mut CanvasGpu, device: &wgpu::Device, queue: &wgpu::Queue) {
        for layer in self.layers.iter().filter(|layer| !layer.set.is_empty()) {
            let last_draw = gpu.draws;
            if let Some(kept) = gpu.sets.get_mut(&layer.set.id()) {
                kept.last_draw = last_draw;
                continue;
            }
            let (value, bytes) =
                SetBuffers::upload(device, queue, &gpu.pipelines, &layer.set, &gpu.counters);
            let kept = Kept {
                value,
                bytes,
                last_draw,
            };
            gpu.sets.insert(layer.set.id(), kept);
        }
    }

    /// Writes uniform and styles where they changed.
    fn prepare_view(
        &self,
        gpu: &mut CanvasGpu,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
    ) {
        let uniform = ViewUniform {
            screen: screen.size_in_pixels.map(|side| side as f32),
            linear_target: u32::from(gpu.linear_target),
            ..self.view
        };
        let layout = &gpu.pipelines.view_layout;
        let slot = gpu
            .views
            .entry(self.id)
            .or_insert_with(|| ViewSlot::new(device, layout));
        slot.last_draw = gpu.draws;
        if slot.written != Some(uniform) {
            queue.write_buffer(&slot.uniform, 0, bytemuck::bytes_of(&uniform));
            slot.written = Some(uniform);
        }
        slot.layers.truncate(self.layers.len());
        for (i, layer) in self.layers.iter().enumerate() {
            slot.write_styles(device, queue, i, &layer.styles, &gpu.counters);
        }
    }
}

impl ViewSlot {
    /// An empty slot.
    fn new(device: &wgpu::Device, layout: &wgpu::BindGroupLayout) -> Self {
        let uniform = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("canvas view"),
            size: size_of::<ViewUniform>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("canvas view"),
            layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: uniform.as_entire_binding(),
            }],
        });
        Self {
            uniform,
            group,
            written: None,
            layers: Vec::new(),
            last_draw: 0,
        }
    }

    /// Rewrites the styles of layer `i` where they are others than last time.
    fn write_styles(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        i: usize,
        styles: &Arc<Vec<InstanceStyle>>,
        counters: &Counters,
    ) {
        let bytes: &[u8] = bytemuck::cast_slice(styles);
        match self.layers.get_mut(i) {
            Some(slot) if Arc::ptr_eq(&slot.written, styles) => return,
            Some(slot) if slot.buffer.size() == bytes.len() as u64 => {
                queue.write_buffer(&slot.buffer, 0, bytes);
                slot.written = Arc::clone(styles);
            }
            found => {
                let slot = StyleSlot {
                    buffer: device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                        label: Some("canvas styles"),
                        contents: bytes,
                        usage: wgpu::BufferUsages::VERTEX | wgpu::BufferUsages::COPY_DST,
                    }),
                    written: Arc::clone(styles),
                };
                match found {
                    Some(place) => *place = slot,
                    None => self.layers.push(slot),
                }
            }
        }
        Counters::add(&counters.style_writes, 1);
    }
}

impl CanvasGpu {
    /// Frees what was not drawn for long.
    fn trim(&mut self) {
        trim(&mut self.images, IMAGE_BYTES, self.draws);
        trim(&mut self.sets, SET_BYTES, self.draws);
        let now = self.draws;
        self.views
            .retain(|_, slot| slot.last_draw + 4 * KEEP_DRAWS > now);
    }
}
