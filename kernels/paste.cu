// Masks into the image, straight to runs; `src/ops/paste.rs` is the specification, to the last pixel.
// Axes: D detections, S rows and columns of a mask; X columns and Y rows of the image.
//
// First `paste_count` (how many stretches of foreground each column of each detection has), then `paste_offsets`, then
// `paste_runs` writes them.

#define MOST_SIDE 64

// A position between two neighbours on an axis of the mask; index 0 is the zero before the first.
struct Place {
    int low;
    float fraction;
    bool inside;
};

__device__ static Place place_of(int pixel, float low, float high, int side) {
    const float at = ((float)pixel + 0.5f - low) / (high - low) * (float)side - 0.5f;
    const float floor = floorf(at);
    Place place = {(int)(floor + 1.0f), at - floor, floor >= -1.0f && floor < (float)side};
    return place;
}

__device__ static float lerp(float a, float b, float fraction) {
    return a + fraction * (b - a);
}

// Pixels of an axis of `length` that a box can touch.
__device__ static void reach(float low, float high, int length, int* start, int* end) {
    const float from = fminf(fmaxf(floorf(low) - 1.0f, 0.0f), (float)length);
    const float to = fminf(fmaxf(ceilf(high) + 1.0f, 0.0f), (float)length);
    *start = (int)from;
    *end = to > from ? (int)to : (int)from;
}

// Walks down a column of a detection and tells its stretches of foreground; writes them where `runs` is there.
__device__ static unsigned walk(const float* mask, const float* box, int side, int x, int width, int height,
                                float threshold, unsigned* runs) {
    const bool usable = box[2] - box[0] > 0.0f && box[3] - box[1] > 0.0f && isfinite(box[0]) && isfinite(box[1]) &&
                        isfinite(box[2]) && isfinite(box[3]);
    int left = 0, right = 0, top = 0, bottom = 0;
    reach(box[0], box[2], width, &left, &right);
    reach(box[1], box[3], height, &top, &bottom);
    const Place place = place_of(x, box[0], box[2], side);
    if (!usable || x < left || x >= right || !place.inside) {
        return 0;
    }
    float column[MOST_SIDE + 2]; // a zero before the first and behind the last row
    column[0] = 0.0f;
    column[side + 1] = 0.0f;
    for (int row = 0; row < side; ++row) {
        const float a = place.low > 0 ? mask[row * side + place.low - 1] : 0.0f;
        const float b = place.low < side ? mask[row * side + place.low] : 0.0f;
        column[row + 1] = lerp(a, b, place.fraction);
    }
    unsigned count = 0;
    bool was_inside = false;
    for (int y = top; y <= bottom; ++y) { // one more row, to end a stretch
        bool is_inside = false;
        if (y < bottom) {
            const Place at = place_of(y, box[1], box[3], side);
            is_inside = at.inside && lerp(column[at.low], column[at.low + 1], at.fraction) >= threshold;
        }
        if (is_inside != was_inside) {
            if (runs) {
                runs[2 * (is_inside ? count : count - 1) + (is_inside ? 0 : 1)] = (unsigned)(x * height + y);
            }
            count += is_inside;
        }
        was_inside = is_inside;
    }
    return count;
}

// (D,S,S) masks and (D,4) boxes in the image -> (D,X) numbers of stretches. One thread a column (x) of a detection (y).
extern "C" __global__ void paste_count(const float* masks, const float* boxes, unsigned* counts, int side, int width,
                                       int height, float threshold) {
    const int x = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    const size_t detection = blockIdx.y;
    if (x < width) {
        const float* mask = masks + detection * side * side;
        counts[detection * width + x] = walk(mask, boxes + 4 * detection, side, x, width, height, threshold, 0);
    }
}

#define SCAN_THREADS 256

// (count) numbers -> (count + 1): how many stretches lie before each, and all of them last. One block.
extern "C" __global__ void paste_offsets(const unsigned* counts, unsigned* offsets, int count) {
    __shared__ unsigned before[SCAN_THREADS + 1];
    const int share = (count + (int)blockDim.x - 1) / (int)blockDim.x;
    const int start = (int)threadIdx.x * share < count ? (int)threadIdx.x * share : count;
    const int end = start + share < count ? start + share : count;
    unsigned sum = 0;
    for (int i = start; i < end; ++i) {
        sum += counts[i];
    }
    before[threadIdx.x + 1] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        before[0] = 0;
        for (unsigned i = 0; i < blockDim.x; ++i) {
            before[i + 1] += before[i];
        }
        offsets[count] = before[blockDim.x];
    }
    __syncthreads();
    unsigned offset = before[threadIdx.x];
    for (int i = start; i < end; ++i) {
        offsets[i] = offset;
        offset += counts[i];
    }
}

// As `paste_count`, but writes first and end pixel of each stretch, column-major, at its place.
extern "C" __global__ void paste_runs(const float* masks, const float* boxes, const unsigned* offsets, unsigned* runs,
                                      int side, int width, int height, float threshold) {
    const int x = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    const size_t detection = blockIdx.y;
    if (x < width) {
        const float* mask = masks + detection * side * side;
        unsigned* own = runs + 2 * (size_t)offsets[detection * width + x];
        walk(mask, boxes + 4 * detection, side, x, width, height, threshold, own);
    }
}
