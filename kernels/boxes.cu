// From the scores and deltas of a network to the boxes it keeps; `src/model/{rpn,box_head,box_coder}.rs` and
// `src/ops/nms.rs` are the specification. Nothing here goes to the host on the way.
// Axes: N images, A anchors a cell, H and W of a level; rows of K candidates, best first.
//
// A candidate that is not there has the score -1; a score that is no number stays so and comes first, to be noticed.

#define ABSENT -1.0f
#define MOST_CANDIDATES 4096 // of a row: what the shared memory of a block holds
#define DIGITS 256           // of a key, taken eight bits at a time

__device__ static int thread_index() {
    return (int)(blockIdx.x * blockDim.x + threadIdx.x);
}

// (N,A,H,W) logits -> scores by flat index (H,W,A), one thread a score.
extern "C" __global__ void rpn_scores(const float* logits, float* scores, int count, int shapes, int cells) {
    const int index = thread_index();
    if (index >= count) {
        return;
    }
    const int image = index / (shapes * cells);
    const int cell = index / shapes % cells;
    const int shape = index % shapes;
    const float logit = logits[((size_t)image * shapes + shape) * cells + cell];
    scores[index] = 1.0f / (1.0f + expf(-logit));
}

// (R,C+1) logits, the background last -> (R,C) probabilities, absent where not above the threshold. One thread a RoI.
extern "C" __global__ void class_scores(const float* logits, float* scores, int rois, int classes, float threshold) {
    const int roi = thread_index();
    if (roi >= rois) {
        return;
    }
    const float* row = logits + (size_t)roi * (classes + 1);
    float largest = row[0];
    for (int label = 1; label <= classes; ++label) {
        largest = fmaxf(largest, row[label]);
    }
    float sum = 0.0f;
    for (int label = 0; label <= classes; ++label) {
        sum += expf(row[label] - largest);
    }
    for (int label = 0; label < classes; ++label) {
        const float score = expf(row[label] - largest) / sum;
        scores[(size_t)roi * classes + label] = score <= threshold ? ABSENT : score;
    }
}

// A key that orders scores: the best has the largest, equal ones by index. 0 for what is absent.
__device__ static unsigned long long key_of(float score, unsigned index) {
    if (score < 0.0f) {
        return 0;
    }
    const unsigned bits = isnan(score) ? 0xFFFFFFFEu : __float_as_uint(score) + 1u; // above 0 also for 0.0
    return ((unsigned long long)bits << 32) | (0xFFFFFFFFu - index);
}

// The key of rank `rank` (1 is the best) of a row, found digit by digit. There must be so many. All threads of a block.
__device__ static unsigned long long key_of_rank(const float* scores, int length, int rank) {
    __shared__ unsigned counts[DIGITS];
    __shared__ unsigned chosen;
    __shared__ unsigned left;
    unsigned long long prefix = 0;
    if (threadIdx.x == 0) {
        left = (unsigned)rank;
    }
    for (int shift = 56; shift >= 0; shift -= 8) {
        for (unsigned digit = threadIdx.x; digit < DIGITS; digit += blockDim.x) {
            counts[digit] = 0;
        }
        __syncthreads();
        const unsigned long long known = shift == 56 ? 0 : ~0ull << (shift + 8);
        for (unsigned i = threadIdx.x; i < (unsigned)length; i += blockDim.x) {
            const unsigned long long key = key_of(scores[i], i);
            if (key != 0 && (key & known) == prefix) {
                atomicAdd(&counts[(key >> shift) & (DIGITS - 1)], 1u);
            }
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            unsigned digit = DIGITS - 1;
            while (counts[digit] < left) {
                left -= counts[digit];
                --digit;
            }
            chosen = digit;
        }
        __syncthreads();
        prefix |= (unsigned long long)chosen << shift;
        __syncthreads();
    }
    return prefix;
}

// Sorts keys, largest first; `length` is a power of two. All threads of a block.
__device__ static void sort_keys(unsigned long long* keys, unsigned length) {
    for (unsigned run = 2; run <= length; run *= 2) {
        for (unsigned distance = run / 2; distance > 0; distance /= 2) {
            for (unsigned i = threadIdx.x; i < length; i += blockDim.x) {
                const unsigned other = i ^ distance;
                const bool descending = (i & run) == 0;
                if (other > i && (keys[i] < keys[other]) == descending) {
                    const unsigned long long key = keys[i];
                    keys[i] = keys[other];
                    keys[other] = key;
                }
            }
            __syncthreads();
        }
    }
}

// Rows of `length` scores -> of each the `most` best, best first, equal ones by index: index and score, absent behind the
// last; and how many there were in all. `most` is at most MOST_CANDIDATES. One block of up to 1024 threads a row.
extern "C" __launch_bounds__(1024) __global__ void top_k(const float* scores, unsigned* indices, float* best,
                                                         unsigned* found, int length, int most) {
    __shared__ unsigned long long keys[MOST_CANDIDATES];
    __shared__ unsigned present;
    __shared__ unsigned taken;
    const float* row = scores + (size_t)blockIdx.x * length;
    if (threadIdx.x == 0) {
        present = 0;
        taken = 0;
    }
    __syncthreads();
    unsigned own = 0;
    for (unsigned i = threadIdx.x; i < (unsigned)length; i += blockDim.x) {
        own += key_of(row[i], i) != 0;
    }
    atomicAdd(&present, own);
    __syncthreads();
    const unsigned count = present < (unsigned)most ? present : (unsigned)most;
    const unsigned long long least = present > (unsigned)most ? key_of_rank(row, length, most) : 1;
    unsigned padded = 1;
    while (padded < count) {
        padded *= 2;
    }
    for (unsigned i = threadIdx.x; i < padded; i += blockDim.x) {
        keys[i] = 0;
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < (unsigned)length && count > 0; i += blockDim.x) {
        const unsigned long long key = key_of(row[i], i);
        if (key >= least) {
            keys[atomicAdd(&taken, 1u)] = key; // in any order: they are sorted next
        }
    }
    __syncthreads();
    sort_keys(keys, padded);
    for (unsigned i = threadIdx.x; i < (unsigned)most; i += blockDim.x) {
        const unsigned index = i < count ? 0xFFFFFFFFu - (unsigned)keys[i] : 0;
        indices[(size_t)blockIdx.x * most + i] = index;
        best[(size_t)blockIdx.x * most + i] = i < count ? row[index] : ABSENT;
    }
    if (threadIdx.x == 0) {
        found[blockIdx.x] = present;
    }
}

__device__ static float clamped(float value, float low, float high) {
    return value < low ? low : (value > high ? high : value); // NaN stays NaN
}

// A reference box moved and scaled by four deltas. `coder` holds four means, four standard deviations and the limit of
// dw and dh.
__device__ static void decode(const float* coder, const float* reference, const float* deltas, float* box) {
    const float* means = coder;
    const float* stds = coder + 4;
    const float limit = coder[8];
    const float dx = deltas[0] * stds[0] + means[0];
    const float dy = deltas[1] * stds[1] + means[1];
    const float dw = clamped(deltas[2] * stds[2] + means[2], -limit, limit);
    const float dh = clamped(deltas[3] * stds[3] + means[3], -limit, limit);
    const float width = reference[2] - reference[0];
    const float height = reference[3] - reference[1];
    const float center_x = (reference[0] + reference[2]) * 0.5f + width * dx;
    const float center_y = (reference[1] + reference[3]) * 0.5f + height * dy;
    const float half_width = width * expf(dw) * 0.5f;
    const float half_height = height * expf(dh) * 0.5f;
    box[0] = center_x - half_width;
    box[1] = center_y - half_height;
    box[2] = center_x + half_width;
    box[3] = center_y + half_height;
}

__device__ static bool is_finite_box(const float* box) {
    return isfinite(box[0]) && isfinite(box[1]) && isfinite(box[2]) && isfinite(box[3]);
}

__device__ static void clip(float* box, float width, float height) {
    box[0] = clamped(box[0], 0.0f, width);
    box[1] = clamped(box[1], 0.0f, height);
    box[2] = clamped(box[2], 0.0f, width);
    box[3] = clamped(box[3], 0.0f, height);
}

// The best of one level, (N,K) indices with scores -> their boxes, clipped, in the candidates (N,total) from `first` on.
// A box that is too small is absent; one that is not finite has the score NaN. One thread a candidate.
// deltas (N,4A,H,W); base (A,4): the anchors of the cell at 0; limits (N,2): width and height to clip to.
extern "C" __global__ void decode_proposals(const unsigned* indices, const float* best, const float* deltas,
                                            const float* base, const float* coder, const float* limits, float* boxes,
                                            float* scores, int images, int count, int total, int first, int shapes,
                                            int height, int width, int stride, float min_size, int keeps_equal) {
    const int at = thread_index();
    if (at >= images * count) {
        return;
    }
    const int image = at / count;
    const size_t target = (size_t)image * total + first + at % count;
    float* box = boxes + 4 * target;
    float score = best[at];
    if (score < 0.0f) {
        box[0] = box[1] = box[2] = box[3] = 0.0f;
        scores[target] = ABSENT;
        return;
    }
    const int cells = height * width;
    const int cell = (int)indices[at] / shapes;
    const int shape = (int)indices[at] % shapes;
    const float x = (float)(cell % width * stride);
    const float y = (float)(cell / width * stride);
    const float* own = base + 4 * shape;
    const float anchor[4] = {own[0] + x, own[1] + y, own[2] + x, own[3] + y};
    float four[4];
    for (int k = 0; k < 4; ++k) {
        four[k] = deltas[((size_t)image * 4 * shapes + 4 * shape + k) * cells + cell];
    }
    decode(coder, anchor, four, box);
    if (!is_finite_box(box)) {
        score = nanf("");
    } else {
        clip(box, limits[2 * image], limits[2 * image + 1]);
        const float box_width = box[2] - box[0];
        const float box_height = box[3] - box[1];
        const bool large = keeps_equal ? box_width >= min_size && box_height >= min_size
                                       : box_width > min_size && box_height > min_size;
        score = large || isnan(score) ? score : ABSENT;
    }
    scores[target] = score;
}

// The best pairs of RoI and class, (K) indices r*C + c with scores -> their boxes and classes. One thread a candidate.
// rois (R,4); deltas (R,4C), or (R,4) for all classes; clipped to the limits unless they are negative.
extern "C" __global__ void decode_detections(const unsigned* indices, float* best, const float* rois,
                                             const float* deltas, const float* coder, float* boxes, unsigned* labels,
                                             int count, int classes, int agnostic, float limit_width,
                                             float limit_height) {
    const int at = thread_index();
    if (at >= count) {
        return;
    }
    const int roi = (int)indices[at] / classes;
    const int label = (int)indices[at] % classes;
    labels[at] = (unsigned)label;
    float* box = boxes + 4 * at;
    if (best[at] < 0.0f) {
        box[0] = box[1] = box[2] = box[3] = 0.0f;
        return;
    }
    const float* four = deltas + 4 * (agnostic ? (size_t)roi : (size_t)roi * classes + label);
    decode(coder, rois + 4 * roi, four, box);
    if (!is_finite_box(box)) {
        best[at] = nanf("");
    } else if (limit_width >= 0.0f) {
        clip(box, limit_width, limit_height);
    }
}

__device__ static float area_of(const float* box) {
    return (box[2] - box[0]) * (box[3] - box[1]);
}

// As `BoxXyxy::iou`; NaN for two empty boxes.
__device__ static float iou(const float* a, const float* b) {
    const float width = fminf(a[2], b[2]) - fmaxf(a[0], b[0]);
    const float height = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    const float overlap = fmaxf(width, 0.0f) * fmaxf(height, 0.0f);
    return overlap / (area_of(a) + area_of(b) - overlap);
}

// Which later candidates each would suppress: rows of K boxes, best first -> 32 bits a word, (row, K, words).
// The K lie in (row, total) from `first` on; so do labels, where classes do not meet (`has_labels`). One thread a word:
// x the candidate, y the word, z the row.
extern "C" __global__ void nms_overlaps(const float* boxes, const unsigned* labels, unsigned* overlaps, int candidates,
                                        int words, int total, int first, int has_labels, float threshold) {
    const int own = thread_index();
    const int word = (int)blockIdx.y;
    if (own >= candidates) {
        return;
    }
    const size_t row = (size_t)blockIdx.z * total + first;
    const float* box = boxes + 4 * (row + own);
    unsigned bits = 0;
    for (int bit = 0; bit < 32; ++bit) {
        const int other = 32 * word + bit;
        if (other > own && other < candidates) {
            const bool meet = !has_labels || labels[row + own] == labels[row + other];
            if (meet && iou(box, boxes + 4 * (row + other)) > threshold) {
                bits |= 1u << bit;
            }
        }
    }
    overlaps[((size_t)blockIdx.z * candidates + own) * words + word] = bits;
}

// Greedy suppression in the order of a row: those suppressed become absent. One block a row.
extern "C" __global__ void nms_suppress(const unsigned* overlaps, float* scores, int candidates, int words, int total,
                                        int first) {
    __shared__ unsigned dropped[MOST_CANDIDATES / 32];
    const size_t row = (size_t)blockIdx.x * total + first;
    overlaps += (size_t)blockIdx.x * candidates * words;
    for (int word = (int)threadIdx.x; word < words; word += (int)blockDim.x) {
        dropped[word] = 0;
    }
    __syncthreads();
    for (int at = 0; at < candidates; ++at) {
        const bool is_dropped = dropped[at / 32] >> (at % 32) & 1u;
        const bool is_absent = scores[row + at] < 0.0f;
        __syncthreads(); // everyone has read before anyone writes
        if (!is_dropped && !is_absent) {
            for (int word = (int)threadIdx.x; word < words; word += (int)blockDim.x) {
                dropped[word] |= overlaps[(size_t)at * words + word];
            }
        }
        __syncthreads();
    }
    for (int at = (int)threadIdx.x; at < candidates; at += (int)blockDim.x) {
        if (dropped[at / 32] >> (at % 32) & 1u) {
            scores[row + at] = ABSENT;
        }
    }
}

// Rows of the candidates (row, total) -> (row, most): the boxes and labels of the chosen. One thread a chosen one.
extern "C" __global__ void gather_boxes(const unsigned* indices, const float* boxes, const unsigned* labels,
                                        float* chosen, unsigned* chosen_labels, int rows, int total, int most,
                                        int has_labels) {
    const int at = thread_index();
    if (at >= rows * most) {
        return;
    }
    const size_t source = (size_t)(at / most) * total + indices[at];
    for (int k = 0; k < 4; ++k) {
        chosen[4 * (size_t)at + k] = boxes[4 * source + k];
    }
    chosen_labels[at] = has_labels ? labels[source] : 0;
}
