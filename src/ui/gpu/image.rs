//! An image as textures: tiles where it is larger than a texture may be, each with its smaller levels.

use wgpu::util::DeviceExt as _;

use super::Counters;
use super::pipelines::{IMAGE_FORMAT, Pipelines};
use crate::document::images::DecodedImage;

/// Side of a tile of images that no texture holds whole. A power of two: the smaller levels of neighbours stay aligned.
const TILE: u32 = 4096;

/// The textures of one image.
pub(super) struct ImageTextures {
    tiles: Vec<Tile>,
    /// One rectangle (left, top, right, bottom in image pixels) a tile.
    rectangles: wgpu::Buffer,
}

/// One texture with its two ways of filtering.
struct Tile {
    smooth: wgpu::BindGroup,
    nearest: wgpu::BindGroup,
}

/// Where a tile lies in the pixels of the image.
#[derive(Clone, Copy)]
struct Part {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl ImageTextures {
    /// Uploads an image; its smaller levels are drawn by `encoder`. `None` for an image without pixels or with too few
    /// bytes for its size.
    pub(super) fn upload(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        encoder: &mut wgpu::CommandEncoder,
        pipelines: &Pipelines,
        image: &DecodedImage,
        counters: &Counters,
    ) -> Option<(Self, u64)> {
        let width = u32::try_from(image.pixels.width).ok()?;
        let height = u32::try_from(image.pixels.height).ok()?;
        let bytes = u64::from(width) * u64::from(height) * 4;
        if bytes == 0 || (image.rgba.len() as u64) < bytes {
            return None;
        }
        let limit = device.limits().max_texture_dimension_2d;
        let parts = parts(width, height, limit);
        let tiles = parts
            .iter()
            .map(|&part| upload_tile(device, queue, encoder, pipelines, image, width, part))
            .collect();
        let scale_x = image.size.width as f32 / width as f32;
        let scale_y = image.size.height as f32 / height as f32;
        let rectangles: Vec<[f32; 4]> = parts
            .iter()
            .map(|part| {
                [
                    part.x as f32 * scale_x,
                    part.y as f32 * scale_y,
                    (part.x + part.width) as f32 * scale_x,
                    (part.y + part.height) as f32 * scale_y,
                ]
            })
            .collect();
        let rectangles = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("canvas tiles"),
            contents: bytemuck::cast_slice(&rectangles),
            usage: wgpu::BufferUsages::VERTEX,
        });
        Counters::add(&counters.image_uploads, 1);
        Counters::add(&counters.image_bytes, bytes);
        // The smaller levels are a third of the image.
        Some((Self { tiles, rectangles }, bytes + bytes / 3))
    }

    /// Draws all tiles; the view is bound already.
    pub(super) fn paint(
        &self,
        pass: &mut wgpu::RenderPass<'static>,
        pipelines: &Pipelines,
        nearest: bool,
    ) {
        pass.set_pipeline(&pipelines.tiles);
        for (tile, at) in self.tiles.iter().zip((0u64..).step_by(16)) {
            let group = if nearest { &tile.nearest } else { &tile.smooth };
            pass.set_bind_group(1, group, &[]);
            pass.set_vertex_buffer(0, self.rectangles.slice(at..at + 16));
            pass.draw(0..4, 0..1);
        }
    }
}

/// The tiles of an image: one where a texture holds it.
fn parts(width: u32, height: u32, limit: u32) -> Vec<Part> {
    let step = if width <= limit && height <= limit {
        width.max(height)
    } else {
        TILE.min(limit)
    };
    let step = step.max(1) as usize;
    (0..height)
        .step_by(step)
        .flat_map(|y| (0..width).step_by(step).map(move |x| (x, y)))
        .map(|(x, y)| Part {
            x,
            y,
            width: (width - x).min(step as u32),
            height: (height - y).min(step as u32),
        })
        .collect()
}

/// One tile: level 0 copied, the others drawn.
fn upload_tile(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    encoder: &mut wgpu::CommandEncoder,
    pipelines: &Pipelines,
    image: &DecodedImage,
    image_width: u32,
    part: Part,
) -> Tile {
    let size = wgpu::Extent3d {
        width: part.width,
        height: part.height,
        depth_or_array_layers: 1,
    };
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("canvas image"),
        size,
        mip_level_count: size.max_mips(wgpu::TextureDimension::D2),
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: IMAGE_FORMAT,
        usage: wgpu::TextureUsages::TEXTURE_BINDING
            | wgpu::TextureUsages::COPY_DST
            | wgpu::TextureUsages::RENDER_ATTACHMENT,
        view_formats: &[],
    });
    let first = (u64::from(part.y) * u64::from(image_width) + u64::from(part.x)) * 4;
    queue.write_texture(
        texture.as_image_copy(),
        &image.rgba,
        wgpu::TexelCopyBufferLayout {
            offset: first,
            bytes_per_row: Some(image_width * 4),
            rows_per_image: Some(part.height),
        },
        size,
    );
    draw_levels(device, encoder, pipelines, &texture);
    let all = texture.create_view(&wgpu::TextureViewDescriptor::default());
    Tile {
        smooth: bind(device, pipelines, &all, &pipelines.smooth),
        nearest: bind(device, pipelines, &all, &pipelines.nearest),
    }
}

/// Each level from the one above it.
fn draw_levels(
    device: &wgpu::Device,
    encoder: &mut wgpu::CommandEncoder,
    pipelines: &Pipelines,
    texture: &wgpu::Texture,
) {
    let level = |base_mip_level| {
        texture.create_view(&wgpu::TextureViewDescriptor {
            base_mip_level,
            mip_level_count: Some(1),
            ..Default::default()
        })
    };
    for to in 1..texture.mip_level_count() {
        let group = bind(device, pipelines, &level(to - 1), &pipelines.smooth);
        let target = level(to);
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("canvas image level"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &target,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
        pass.set_pipeline(&pipelines.levels);
        pass.set_bind_group(1, &group, &[]);
        pass.draw(0..4, 0..1);
    }
}

/// A texture with a sampler.
fn bind(
    device: &wgpu::Device,
    pipelines: &Pipelines,
    view: &wgpu::TextureView,
    sampler: &wgpu::Sampler,
) -> wgpu::BindGroup {
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("canvas image"),
        layout: &pipelines.image_layout,
        entries: &[
            wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::TextureView(view),
            },
            wgpu::BindGroupEntry {
                binding: 1,
                resource: wgpu::BindingResource::Sampler(sampler),
            },
        ],
    })
}
