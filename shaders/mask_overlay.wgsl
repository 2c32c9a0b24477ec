// Draws masks from run lengths: one quad an instance, a search of a few spans a fragment. Nothing is rasterised before.
//
// `runs` is a flat array of u32 in an integer texture (every adapter has those; WebGL2-class ones have no storage
// buffers). For an instance at `base` with columns left..right:
//   runs[base + x - left]      index of the first span of column x
//   runs[base + x - left + 1]  index after its last span
//   span                       first row | row after the last << 16

// Width of the texture: u32s a row.
const ROW_SHIFT: u32 = 12u;
const ROW_MASK: u32 = 4095u;

// Line patterns; `LineStyle` in the canvas.
const DASHED: u32 = 1u;
const DOTTED: u32 = 2u;

struct View {
    origin: vec2<f32>,
    screen: vec2<f32>,
    scale: f32,
    pixels_per_point: f32,
    linear_target: u32,
};

@group(0) @binding(0) var<uniform> view: View;
@group(1) @binding(0) var runs: texture_2d<u32>;

struct Varyings {
    @builtin(position) position: vec4<f32>,
    @location(0) @interpolate(flat) bounds: vec4<u32>,
    @location(1) @interpolate(flat) base: u32,
    // Straight alpha, gamma values.
    @location(2) @interpolate(flat) fill: vec4<f32>,
    @location(3) @interpolate(flat) line: vec4<f32>,
    // Width of the line in screen pixels.
    @location(4) @interpolate(flat) width: f32,
    @location(5) @interpolate(flat) pattern: u32,
};

@vertex
fn mask_vertex(
    @builtin(vertex_index) index: u32,
    @location(0) bounds: vec4<u32>,
    @location(1) base: u32,
    @location(2) fill: vec4<f32>,
    @location(3) line: vec4<f32>,
    @location(4) width: f32,
    @location(5) pattern: u32,
) -> Varyings {
    let corner = vec2<f32>(f32(index & 1u), f32(index >> 1u));
    let box = vec4<f32>(bounds);
    // One screen pixel more on each side: pixels that the mask covers in part.
    let in_screen = view.origin + mix(box.xy, box.zw, corner) * view.scale + corner * 2.0 - 1.0;
    var clip = in_screen / view.screen * vec2<f32>(2.0, -2.0) + vec2<f32>(-1.0, 1.0);
    if fill.a + line.a == 0.0 {
        clip = vec2<f32>(-2.0, -2.0); // not shown: a quad without area
    }
    return Varyings(vec4<f32>(clip, 0.0, 1.0), bounds, base, fill, line, width, pattern);
}

fn load(index: u32) -> u32 {
    return textureLoad(runs, vec2<u32>(index & ROW_MASK, index >> ROW_SHIFT), 0).r;
}

// Rows [start, end) of the span that covers a pixel; end 0 where none does.
fn span_at(in: Varyings, x: i32, y: i32) -> vec2<u32> {
    let left = i32(in.bounds.x);
    if x < left || x >= i32(in.bounds.z) || y < i32(in.bounds.y) || y >= i32(in.bounds.w) {
        return vec2<u32>(0u, 0u);
    }
    let row = u32(y);
    let column = in.base + u32(x - left);
    var low = load(column);
    var high = load(column + 1u);
    // The last span that begins at or above the row.
    while low < high {
        let middle = (low + high) >> 1u;
        let span = load(middle);
        let start = span & 0xffffu;
        let end = span >> 16u;
        if row < start {
            high = middle;
        } else if row >= end {
            low = middle + 1u;
        } else {
            return vec2<u32>(start, end);
        }
    }
    return vec2<u32>(0u, 0u);
}

// Whether a point that lies inside is within `reach` image pixels of the outside.
fn on_line(in: Varyings, at: vec2<f32>, own: vec2<u32>, reach: f32) -> bool {
    if min(at.y - f32(own.x), f32(own.y) - at.y) < reach {
        return true;
    }
    let y = i32(floor(at.y));
    let x = i32(floor(at.x));
    // Beside it, and a little above and below: rounds the corners without further searches.
    let beside = 0.5 * reach;
    for (var side = -1.0; side <= 1.0; side += 2.0) {
        let column = i32(floor(at.x + side * reach));
        if column != x {
            let span = span_at(in, column, y);
            if min(at.y - f32(span.x), f32(span.y) - at.y) < beside {
                return true; // also where there is no span: f32(0) - at.y is not positive
            }
        }
    }
    return false;
}

// Whether a border of the mask may be within `reach` image pixels. Errs towards yes.
fn near_border(in: Varyings, at: vec2<f32>, reach: f32) -> bool {
    let x = i32(floor(at.x));
    let y = i32(floor(at.y));
    let own = span_at(in, x, y);
    let inside = own.y != 0u;
    if inside && min(at.y - f32(own.x), f32(own.y) - at.y) < reach {
        return true;
    }
    if !inside {
        // Above and below there is no span to measure: look at both ends of the reach.
        let above = i32(floor(at.y - reach));
        let below = i32(floor(at.y + reach));
        if above < y - 1 || below > y + 1 {
            return true; // rows between are not looked at
        }
        if span_at(in, x, above).y != 0u || span_at(in, x, below).y != 0u {
            return true;
        }
    }
    // A tap at the half too: a gap of one column between would be missed where the reach is more than one.
    let taps = select(1, 2, reach > 1.0);
    for (var tap = 1; tap <= taps; tap += 1) {
        let step = reach * f32(tap) / f32(taps);
        for (var side = -1.0; side <= 1.0; side += 2.0) {
            let column = i32(floor(at.x + side * step));
            if column == x {
                continue;
            }
            let span = span_at(in, column, y);
            if (span.y != 0u) != inside {
                return true;
            }
            if inside && min(at.y - f32(span.x), f32(span.y) - at.y) < reach {
                return true;
            }
            if !inside {
                let above = i32(floor(at.y - reach));
                let below = i32(floor(at.y + reach));
                if span_at(in, column, above).y != 0u || span_at(in, column, below).y != 0u {
                    return true;
                }
            }
        }
    }
    return false;
}

// Whether the line is drawn here: cells in the frame of the image, so that dashes move with it and meet every direction.
fn in_pattern(pattern: u32, at: vec2<f32>) -> bool {
    if pattern != DASHED && pattern != DOTTED {
        return true;
    }
    let cell = select(2.0, 5.0, pattern == DASHED) * view.pixels_per_point;
    let index = vec2<i32>(floor(at * view.scale / cell));
    return ((index.x + index.y) & 1) == 0;
}

// Premultiplied colour of one sample.
fn shade(in: Varyings, in_screen: vec2<f32>) -> vec4<f32> {
    let at = (in_screen - view.origin) / view.scale;
    let own = span_at(in, i32(floor(at.x)), i32(floor(at.y)));
    if own.y == 0u {
        return vec4<f32>(0.0);
    }
    let fill = vec4<f32>(in.fill.rgb * in.fill.a, in.fill.a);
    if in.line.a > 0.0 && in_pattern(in.pattern, at) && on_line(in, at, own, in.width / view.scale) {
        let line = vec4<f32>(in.line.rgb * in.line.a, in.line.a);
        return line + fill * (1.0 - line.a);
    }
    return fill;
}

fn linear_from_gamma(gamma: vec3<f32>) -> vec3<f32> {
    let low = gamma / 12.92;
    let high = pow((gamma + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, gamma <= vec3<f32>(0.04045));
}

// Premultiplied gamma values as the target wants them.
fn encode(colour: vec4<f32>) -> vec4<f32> {
    if view.linear_target == 1u && colour.a > 0.0 {
        return vec4<f32>(linear_from_gamma(colour.rgb / colour.a) * colour.a, colour.a);
    }
    return colour;
}

// One sample a pixel. An entry point of its own: software adapters run both sides of every branch.
@fragment
fn mask_fragment_fast(in: Varyings) -> @location(0) vec4<f32> {
    return encode(shade(in, in.position.xy));
}

@fragment
fn mask_fragment(in: Varyings) -> @location(0) vec4<f32> {
    let middle = (in.position.xy - view.origin) / view.scale;
    // The samples lie within half a pixel of the middle; a line reaches its width further, but only inwards.
    let inside = span_at(in, i32(floor(middle.x)), i32(floor(middle.y))).y != 0u;
    let line = select(0.0, in.width, inside && in.line.a > 0.0);
    var colour = vec4<f32>(0.0);
    if !near_border(in, middle, (line + 0.5) / view.scale) {
        // Far inside or far outside, as most are: one look instead of four.
        colour = select(vec4<f32>(0.0), vec4<f32>(in.fill.rgb * in.fill.a, in.fill.a), inside);
        return encode(colour);
    }
    // A rotated grid: steps in both directions at a quarter of a pixel. Edges that fall on screen pixels stay hard.
    colour += shade(in, in.position.xy + vec2<f32>(-0.125, -0.375));
    colour += shade(in, in.position.xy + vec2<f32>(0.375, -0.125));
    colour += shade(in, in.position.xy + vec2<f32>(0.125, 0.375));
    colour += shade(in, in.position.xy + vec2<f32>(-0.375, 0.125));
    colour *= 0.25;
    return encode(colour);
}
