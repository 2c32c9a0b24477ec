// RoIAlign, mmcv's aligned form; `src/ops/roi_align` is the specification.
// Axes: N images, C channels, H and W of the map; R RoIs of (image, x1, y1, x2, y2); output cells h x w.

// A RoI on one axis, in cells of the map.
struct Span {
    float start;
    float bin;   // length of an output cell
    int samples; // in an output cell
    bool usable;
};

__device__ static Span span_of(float low, float high, float scale, int bins, int sampling_ratio) {
    const float most_samples = 1e6f; // bounds the time that a broken box can take
    Span span;
    span.start = low * scale - 0.5f;
    const float end = high * scale - 0.5f;
    span.bin = fmaxf(end - span.start, 0.0f) / (float)bins;
    span.usable = isfinite(span.start) && isfinite(end) && span.bin < most_samples;
    span.samples = sampling_ratio > 0 ? sampling_ratio : (span.usable ? (int)ceilf(span.bin) : 0);
    return span;
}

__device__ static float sample_at(Span span, int bin, int sample) {
    const float offset = span.start + (float)bin * span.bin;
    return offset + ((float)sample + 0.5f) * span.bin / (float)span.samples;
}

// A sample between two neighbouring cells; outside of the map it counts as zero.
struct Tap {
    int low;
    int high;
    float high_weight;
    bool inside;
};

__device__ static Tap tap_of(float at, int len) {
    Tap tap = {0, 0, 0.0f, false};
    if (at < -1.0f || at > (float)len) {
        return tap;
    }
    tap.inside = true;
    at = fmaxf(at, 0.0f);
    tap.low = (int)at;
    if (tap.low >= len - 1) {
        tap.low = len - 1;
        tap.high = len - 1;
    } else {
        tap.high = tap.low + 1;
        tap.high_weight = at - (float)tap.low;
    }
    return tap;
}

// Weight of a map cell in an output cell, on one axis.
__device__ static float axis_weight(Span span, int bin, int cell, int len) {
    float weight = 0.0f;
    for (int sample = 0; sample < span.samples; ++sample) {
        const Tap tap = tap_of(sample_at(span, bin, sample), len);
        if (tap.inside) {
            weight += tap.low == cell ? 1.0f - tap.high_weight : 0.0f;
            weight += tap.high == cell ? tap.high_weight : 0.0f;
        }
    }
    return span.samples > 0 ? weight / (float)span.samples : 0.0f;
}

// Index of a RoI's image, -1 where there is no such image.
__device__ static int image_of(const float* roi, int images) {
    return roi[0] >= 0.0f && roi[0] < (float)images ? (int)roi[0] : -1;
}

// One thread an output value. A RoI that cannot be used gives NaN, which the network's checks find.
extern "C" __global__ void roi_align_forward(const float* map, const float* rois, float* output, int values, int images,
                                             int channels, int height, int width, int out_height, int out_width,
                                             float scale, int sampling_ratio) {
    const int index = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (index >= values) {
        return;
    }
    const int column = index % out_width;
    const int row = index / out_width % out_height;
    const int channel = index / (out_width * out_height) % channels;
    const float* roi = rois + 5 * (index / (out_width * out_height * channels));
    const int image = image_of(roi, images);
    const Span rows = span_of(roi[2], roi[4], scale, out_height, sampling_ratio);
    const Span columns = span_of(roi[1], roi[3], scale, out_width, sampling_ratio);
    if (image < 0 || !rows.usable || !columns.usable) {
        output[index] = nanf("");
        return;
    }
    const float* plane = map + ((size_t)image * channels + channel) * height * width;
    float sum = 0.0f;
    for (int i = 0; i < rows.samples; ++i) {
        const Tap y = tap_of(sample_at(rows, row, i), height);
        if (!y.inside) {
            continue;
        }
        const float* top = plane + (size_t)y.low * width;
        const float* bottom = plane + (size_t)y.high * width;
        for (int j = 0; j < columns.samples; ++j) {
            const Tap x = tap_of(sample_at(columns, column, j), width);
            if (x.inside) {
                const float above = (1.0f - x.high_weight) * top[x.low] + x.high_weight * top[x.high];
                const float below = (1.0f - x.high_weight) * bottom[x.low] + x.high_weight * bottom[x.high];
                sum += (1.0f - y.high_weight) * above + y.high_weight * below;
            }
        }
    }
    const float samples = (float)rows.samples * (float)columns.samples; // of a broken box more than an int holds
    output[index] = samples > 0.0f ? sum / samples : 0.0f;
}

// One block a cell of the map (x, y, image), one thread a channel. Each cell collects from the RoIs that touch it, in their
// order, so that sums are the same in every run; adding up with atomics would not be.
extern "C" __global__ void roi_align_backward(const float* gradient, const float* rois, float* map_gradient, int count,
                                              int images, int channels, int height, int width, int out_height,
                                              int out_width, float scale, int sampling_ratio) {
    const int x = (int)blockIdx.x;
    const int y = (int)blockIdx.y;
    const int image = (int)blockIdx.z;
    for (int channel = (int)threadIdx.x; channel < channels; channel += (int)blockDim.x) {
        float sum = 0.0f;
        for (int index = 0; index < count; ++index) {
            const float* roi = rois + 5 * index;
            if (image_of(roi, images) != image) {
                continue;
            }
            const Span rows = span_of(roi[2], roi[4], scale, out_height, sampling_ratio);
            const Span columns = span_of(roi[1], roi[3], scale, out_width, sampling_ratio);
            const float bottom = rows.start + rows.bin * (float)out_height;
            const float right = columns.start + columns.bin * (float)out_width;
            // A sample reaches less than one cell to each side, a clamped one at most one.
            if (!rows.usable || !columns.usable || (float)y < rows.start - 1.0f || (float)y > bottom + 1.0f ||
                (float)x < columns.start - 1.0f || (float)x > right + 1.0f) {
                continue;
            }
            const float* cells = gradient + ((size_t)index * channels + channel) * out_height * out_width;
            for (int row = 0; row < out_height; ++row) {
                const float of_row = axis_weight(rows, row, y, height);
                if (of_row == 0.0f) {
                    continue;
                }
                float line = 0.0f;
                for (int column = 0; column < out_width; ++column) {
                    line += axis_weight(columns, column, x, width) * cells[row * out_width + column];
                }
                sum += of_row * line;
            }
        }
        map_gradient[(((size_t)image * channels + channel) * height + y) * width + x] = sum;
    }
}
