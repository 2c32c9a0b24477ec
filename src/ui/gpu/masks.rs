//! Run lengths of one image's instances on the GPU, and the style of each.

use wgpu::util::DeviceExt as _;

use super::Counters;
use super::pipelines::Pipelines;
use crate::ui::canvas::InstanceSet;

/// u32s in a row of the runs' texture; `ROW_SHIFT` of the shader.
const ROW: usize = 4096;

/// Bytes of one instance's geometry.
pub(super) const BOX_STRIDE: u64 = size_of::<InstanceBox>() as u64;
/// Bytes of one instance's style.
pub(super) const STYLE_STRIDE: u64 = size_of::<InstanceStyle>() as u64;
/// How the shader reads `InstanceBox`.
pub(super) const BOX_ATTRIBUTES: [wgpu::VertexAttribute; 2] =
    wgpu::vertex_attr_array![0 => Uint32x4, 1 => Uint32];
/// How the shader reads `InstanceStyle`.
pub(super) const STYLE_ATTRIBUTES: [wgpu::VertexAttribute; 4] =
    wgpu::vertex_attr_array![2 => Unorm8x4, 3 => Unorm8x4, 4 => Float32, 5 => Uint32];

/// What never changes about an instance.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct InstanceBox {
    /// Left, top, right, bottom in image pixels.
    bounds: [u32; 4],
    /// Where its columns begin.
    base: u32,
}

/// How an instance looks: all that changes while the user plays. Straight alpha, gamma values.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct InstanceStyle {
    /// Fill.
    pub(crate) fill: [u8; 4],
    /// Outline.
    pub(crate) line: [u8; 4],
    /// Width of the outline in screen pixels.
    pub(crate) width: f32,
    /// 0 solid, 1 dashed, 2 dotted.
    pub(crate) pattern: u32,
}

/// One instance set on the GPU, in drawing order.
pub(super) struct SetBuffers {
    boxes: wgpu::Buffer,
    runs: wgpu::BindGroup,
    count: u64,
}

impl SetBuffers {
    /// Uploads boxes and runs.
    pub(super) fn upload(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        pipelines: &Pipelines,
        set: &InstanceSet,
        counters: &Counters,
    ) -> (Self, u64) {
        let rows = set.runs().len().div_ceil(ROW).max(1);
        let limit = device.limits().max_texture_dimension_2d as usize;
        let room = rows.min(limit) * ROW;
        let boxes = boxes(set, room);
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("canvas runs"),
            size: wgpu::Extent3d {
                width: ROW as u32,
                height: rows.min(limit) as u32,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::R32Uint,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        write_rows(
            queue,
            &texture,
            set.runs().get(..room).unwrap_or(set.runs()),
        );
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let runs = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("canvas runs"),
            layout: &pipelines.runs_layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::TextureView(&view),
            }],
        });
        let bytes =
            (set.runs().len().min(room) * 4 + boxes.len() * size_of::<InstanceBox>()) as u64;
        Counters::add(&counters.mask_uploads, 1);
        Counters::add(&counters.mask_bytes, bytes);
        let uploaded = Self {
            count: boxes.len() as u64,
            boxes: device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: Some("canvas boxes"),
                contents: bytemuck::cast_slice(&boxes),
                usage: wgpu::BufferUsages::VERTEX,
            }),
            runs,
        };
        (uploaded, bytes)
    }

    /// Draws all instances, those at the places `raised` last. The view is bound already; `styles` has one entry an
    /// instance.
    pub(super) fn paint(
        &self,
        pass: &mut wgpu::RenderPass<'static>,
        pipeline: &wgpu::RenderPipeline,
        styles: &wgpu::Buffer,
        raised: &[usize],
    ) {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(1, &self.runs, &[]);
        let mut ordered: Vec<u64> = raised.iter().map(|&place| place as u64).collect();
        ordered.sort_unstable();
        let mut from = 0;
        for place in ordered {
            self.draw(pass, styles, from, place);
            from = place + 1;
        }
        self.draw(pass, styles, from, self.count);
        for &place in raised {
            self.draw(pass, styles, place as u64, place as u64 + 1);
        }
    }

    /// Draws the instances at the places `from..to`. Buffers are offset instead of a first instance, which not every
    /// backend has.
    fn draw(
        &self,
        pass: &mut wgpu::RenderPass<'static>,
        styles: &wgpu::Buffer,
        from: u64,
        to: u64,
    ) {
        let to = to.min(self.count).min(styles.size() / STYLE_STRIDE);
        if from >= to {
            return;
        }
        pass.set_vertex_buffer(0, self.boxes.slice(from * BOX_STRIDE..to * BOX_STRIDE));
        pass.set_vertex_buffer(1, styles.slice(from * STYLE_STRIDE..to * STYLE_STRIDE));
        pass.draw(0..4, 0..(to - from) as u32);
    }
}

/// Geometry in drawing order. What lies beyond `room` u32s of runs is left out: a mask without area.
fn boxes(set: &InstanceSet, room: usize) -> Vec<InstanceBox> {
    let mut dropped = 0;
    let boxes = set
        .by_area()
        .iter()
        .filter_map(|&i| set.get(i))
        .map(|instance| {
            let b = instance.bounds;
            if instance.runs_end as usize > room {
                dropped += 1;
                return bytemuck::Zeroable::zeroed();
            }
            InstanceBox {
                bounds: [b.left, b.top, b.right, b.bottom],
                base: instance.base,
            }
        })
        .collect();
    if dropped > 0 {
        log::warn!("{dropped} masks have too many runs for the graphics adapter and are not drawn");
    }
    boxes
}

/// Fills the texture: whole rows, then the rest. Only the u32s that exist are sent.
fn write_rows(queue: &wgpu::Queue, texture: &wgpu::Texture, values: &[u32]) {
    let whole = values.len() / ROW * ROW;
    let (rows, rest) = values.split_at(whole);
    for (part, y, width, height) in [
        (rows, 0, ROW, whole / ROW),
        (rest, whole / ROW, rest.len(), 1),
    ] {
        if part.is_empty() {
            continue;
        }
        queue.write_texture(
            wgpu::TexelCopyTextureInfo {
                texture,
                mip_level: 0,
                origin: wgpu::Origin3d {
                    x: 0,
                    y: y as u32,
                    z: 0,
                },
                aspect: wgpu::TextureAspect::All,
            },
            bytemuck::cast_slice(part),
            wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(ROW as u32 * 4),
                rows_per_image: None,
            },
            wgpu::Extent3d {
                width: width as u32,
                height: height as u32,
                depth_or_array_layers: 1,
            },
        );
    }
}
