//! Pipelines, layouts and samplers of the canvas.

use super::masks;

/// Format of image textures: filtering in linear light.
pub(super) const IMAGE_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8UnormSrgb;

/// Built once per device.
pub(super) struct Pipelines {
    pub(super) tiles: wgpu::RenderPipeline,
    pub(super) levels: wgpu::RenderPipeline,
    /// Four samples a pixel.
    pub(super) masks: wgpu::RenderPipeline,
    /// One sample a pixel.
    pub(super) masks_fast: wgpu::RenderPipeline,
    pub(super) view_layout: wgpu::BindGroupLayout,
    pub(super) image_layout: wgpu::BindGroupLayout,
    pub(super) runs_layout: wgpu::BindGroupLayout,
    /// Below 200 %.
    pub(super) smooth: wgpu::Sampler,
    /// From 200 % on: pixels are squares.
    pub(super) nearest: wgpu::Sampler,
}

impl Pipelines {
    /// Compiles the shaders for a framebuffer of `target`.
    pub(super) fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let view_layout = layout(
            device,
            "canvas view",
            &[wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Uniform,
                has_dynamic_offset: false,
                min_binding_size: None,
            }],
        );
        let image_layout = layout(
            device,
            "canvas image",
            &[
                texture(wgpu::TextureSampleType::Float { filterable: true }),
                wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
            ],
        );
        let runs_layout = layout(
            device,
            "canvas runs",
            &[texture(wgpu::TextureSampleType::Uint)],
        );
        let image = device.create_shader_module(wgpu::include_wgsl!("../../../shaders/image.wgsl"));
        let overlay =
            device.create_shader_module(wgpu::include_wgsl!("../../../shaders/mask_overlay.wgsl"));
        let tile = wgpu::vertex_attr_array![0 => Float32x4];
        let masks = |fragment| {
            let recipe = Recipe {
                module: &overlay,
                entries: ["mask_vertex", fragment],
                layouts: &[Some(&view_layout), Some(&runs_layout)],
                buffers: &[
                    Some(per_instance(masks::BOX_STRIDE, &masks::BOX_ATTRIBUTES)),
                    Some(per_instance(masks::STYLE_STRIDE, &masks::STYLE_ATTRIBUTES)),
                ],
                format: target,
                blend: Some(PREMULTIPLIED),
            };
            recipe.build(device)
        };
        Self {
            tiles: Recipe {
                module: &image,
                entries: ["tile_vertex", "tile_fragment"],
                layouts: &[Some(&view_layout), Some(&image_layout)],
                buffers: &[Some(per_instance(16, &tile))],
                format: target,
                blend: None,
            }
            .build(device),
            levels: Recipe {
                module: &image,
                entries: ["level_vertex", "level_fragment"],
                layouts: &[None, Some(&image_layout)],
                buffers: &[],
                format: IMAGE_FORMAT,
                blend: None,
            }
            .build(device),
            masks: masks("mask_fragment"),
            masks_fast: masks("mask_fragment_fast"),
            smooth: sampler(device, wgpu::FilterMode::Linear),
            nearest: sampler(device, wgpu::FilterMode::Nearest),
            view_layout,
            image_layout,
            runs_layout,
        }
    }
}

/// The blend of egui itself.
const PREMULTIPLIED: wgpu::BlendState = wgpu::BlendState {
    color: wgpu::BlendComponent {
        src_factor: wgpu::BlendFactor::One,
        dst_factor: wgpu::BlendFactor::OneMinusSrcAlpha,
        operation: wgpu::BlendOperation::Add,
    },
    alpha: wgpu::BlendComponent {
        src_factor: wgpu::BlendFactor::OneMinusDstAlpha,
        dst_factor: wgpu::BlendFactor::One,
        operation: wgpu::BlendOperation::Add,
    },
};

/// What differs between the pipelines.
struct Recipe<'a> {
    module: &'a wgpu::ShaderModule,
    entries: [&'a str; 2],
    layouts: &'a [Option<&'a wgpu::BindGroupLayout>],
    buffers: &'a [Option<wgpu::VertexBufferLayout<'a>>],
    format: wgpu::TextureFormat,
    blend: Option<wgpu::BlendState>,
}

impl Recipe<'_> {
    /// A pipeline of quads: triangle strips of four vertices.
    fn build(&self, device: &wgpu::Device) -> wgpu::RenderPipeline {
        let [vertex, fragment] = self.entries;
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(vertex),
            bind_group_layouts: self.layouts,
            immediate_size: 0,
        });
        device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some(vertex),
            layout: Some(&layout),
            vertex: wgpu::VertexState {
                module: self.module,
                entry_point: Some(vertex),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: self.buffers,
            },
            primitive: wgpu::PrimitiveState {
                topology: wgpu::PrimitiveTopology::TriangleStrip,
                ..Default::default()
            },
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: self.module,
                entry_point: Some(fragment),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(wgpu::ColorTargetState {
                    format: self.format,
                    blend: self.blend,
                    write_mask: wgpu::ColorWrites::ALL,
                })],
            }),
            multiview_mask: None,
            cache: None,
        })
    }
}

/// A layout whose bindings are numbered from 0.
fn layout(
    device: &wgpu::Device,
    label: &str,
    types: &[wgpu::BindingType],
) -> wgpu::BindGroupLayout {
    let entries: Vec<wgpu::BindGroupLayoutEntry> = (0..)
        .zip(types)
        .map(|(binding, &ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::VERTEX_FRAGMENT,
            ty,
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(label),
        entries: &entries,
    })
}

/// A plain two-dimensional texture.
fn texture(sample_type: wgpu::TextureSampleType) -> wgpu::BindingType {
    wgpu::BindingType::Texture {
        sample_type,
        view_dimension: wgpu::TextureViewDimension::D2,
        multisampled: false,
    }
}

/// A vertex buffer that steps once a quad.
fn per_instance(stride: u64, attributes: &[wgpu::VertexAttribute]) -> wgpu::VertexBufferLayout<'_> {
    wgpu::VertexBufferLayout {
        array_stride: stride,
        step_mode: wgpu::VertexStepMode::Instance,
        attributes,
    }
}

/// Linear between texels and levels, or nearest when magnifying.
fn sampler(device: &wgpu::Device, magnify: wgpu::FilterMode) -> wgpu::Sampler {
    device.create_sampler(&wgpu::SamplerDescriptor {
        label: Some("canvas image"),
        mag_filter: magnify,
        min_filter: wgpu::FilterMode::Linear,
        mipmap_filter: wgpu::MipmapFilterMode::Linear,
        ..Default::default()
    })
}
