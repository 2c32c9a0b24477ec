// RoIAlign by lists of weights: for each output row and column of a RoI the cells of the map that count, and how much.
// Axes: R RoIs of one image, C channels, H and W of the map, h and w of the output.

struct Params {
    channels: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    rois: u32,
    // Invocations in a row of the dispatch.
    row: u32,
    unused: u32,
}

// Of each RoI: one entry with its extent on the map (rows from `first` to `weights`, columns from `count` to `end`),
// then its h rows, then its w columns.
struct Entry {
    first: u32,
    weights: u32,
    count: u32,
    end: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> entries: array<Entry>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> source: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

// source (C,H,W) -> result (R,C,h,w)
@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.y * p.row + id.x;
    if index >= p.rois * p.channels * p.out_height * p.out_width {
        return;
    }
    let x = index % p.out_width;
    let y = index / p.out_width % p.out_height;
    let channel = index / (p.out_width * p.out_height) % p.channels;
    let roi = index / (p.out_width * p.out_height) / p.channels;
    let base = roi * (1u + p.out_height + p.out_width);
    let rows = entries[base + 1u + y];
    let columns = entries[base + 1u + p.out_height + x];
    var sum = 0.0;
    for (var i = 0u; i < rows.count; i++) {
        let line = (channel * p.height + rows.first + i) * p.width + columns.first;
        var blended = 0.0;
        for (var j = 0u; j < columns.count; j++) {
            blended += weights[columns.weights + j] * source[line + j];
        }
        sum += weights[rows.weights + i] * blended;
    }
    result[index] = sum;
}

// source (R,C,h,w) -> result (C,H,W). Every cell of the map gathers what reaches it, RoI by RoI, so that the order of the
// sums is always the same.
@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.y * p.row + id.x;
    if index >= p.channels * p.height * p.width {
        return;
    }
    let x = index % p.width;
    let y = index / p.width % p.height;
    let channel = index / (p.width * p.height);
    var sum = 0.0;
    for (var roi = 0u; roi < p.rois; roi++) {
        let base = roi * (1u + p.out_height + p.out_width);
        let extent = entries[base];
        if y < extent.first || y >= extent.weights || x < extent.count || x >= extent.end {
            continue;
        }
        for (var oy = 0u; oy < p.out_height; oy++) {
            let rows = entries[base + 1u + oy];
            if y < rows.first || y - rows.first >= rows.count {
                continue;
            }
            let line = ((roi * p.channels + channel) * p.out_height + oy) * p.out_width;
            var blended = 0.0;
            for (var ox = 0u; ox < p.out_width; ox++) {
                let columns = entries[base + 1u + p.out_height + ox];
                if x >= columns.first && x - columns.first < columns.count {
                    blended += weights[columns.weights + x - columns.first] * source[line + ox];
                }
            }
            sum += weights[rows.weights + y - rows.first] * blended;
        }
    }
    result[index] = sum;
}
