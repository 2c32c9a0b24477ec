// Draws an image, tile by tile, and makes the smaller levels of its textures.
//
// Frames: image pixels -> screen pixels (physical, y down) -> clip space. Textures are sRGB: filtering happens in linear
// light. egui's framebuffer usually holds gamma values; then the shader encodes.

struct View {
    // Screen pixels of the image's upper left corner.
    origin: vec2<f32>,
    // Screen pixels of the framebuffer.
    screen: vec2<f32>,
    // Screen pixels per image pixel.
    scale: f32,
    // Screen pixels per point.
    pixels_per_point: f32,
    // 1: the target wants linear values.
    linear_target: u32,
};

@group(0) @binding(0) var<uniform> view: View;
@group(1) @binding(0) var pixels: texture_2d<f32>;
@group(1) @binding(1) var filtering: sampler;

struct Varyings {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
};

// The four corners of a quad, as a triangle strip.
fn corner(index: u32) -> vec2<f32> {
    return vec2<f32>(f32(index & 1u), f32(index >> 1u));
}

@vertex
fn tile_vertex(@builtin(vertex_index) index: u32, @location(0) tile: vec4<f32>) -> Varyings {
    let uv = corner(index);
    let in_screen = view.origin + mix(tile.xy, tile.zw, uv) * view.scale;
    let clip = in_screen / view.screen * vec2<f32>(2.0, -2.0) + vec2<f32>(-1.0, 1.0);
    return Varyings(vec4<f32>(clip, 0.0, 1.0), uv);
}

fn gamma_from_linear(linear: vec3<f32>) -> vec3<f32> {
    let low = linear * 12.92;
    let high = 1.055 * pow(linear, vec3<f32>(1.0 / 2.4)) - 0.055;
    return select(high, low, linear <= vec3<f32>(0.0031308));
}

@fragment
fn tile_fragment(in: Varyings) -> @location(0) vec4<f32> {
    // Half a level towards the sharper one: trilinear alone is soft at fractional zooms.
    let linear = textureSampleBias(pixels, filtering, in.uv, -0.5).rgb;
    if view.linear_target == 1u {
        return vec4<f32>(linear, 1.0);
    }
    return vec4<f32>(gamma_from_linear(linear), 1.0);
}

@vertex
fn level_vertex(@builtin(vertex_index) index: u32) -> Varyings {
    let uv = corner(index);
    return Varyings(vec4<f32>(uv * vec2<f32>(2.0, -2.0) + vec2<f32>(-1.0, 1.0), 0.0, 1.0), uv);
}

// One level from the level above: the middle between four texels is their mean.
@fragment
fn level_fragment(in: Varyings) -> @location(0) vec4<f32> {
    return textureSampleLevel(pixels, filtering, in.uv, 0.0);
}
