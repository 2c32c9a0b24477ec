// What lies between the convolutions; `src/ops/{residual,upsample,max_pool,batch_norm}.rs` are the specification.
// Axes: N images, C channels, H and W; a plane is one channel of one image.

__device__ static int thread_index() {
    return (int)(blockIdx.x * blockDim.x + threadIdx.x);
}

// max(a + b, 0); NaN stays NaN.
extern "C" __global__ void add_relu(const float* a, const float* b, float* sum, int count) {
    const int index = thread_index();
    if (index < count) {
        const float value = a[index] + b[index];
        sum[index] = value < 0.0f ? 0.0f : value;
    }
}

// The gradient where the result of a ReLU is positive, else 0.
extern "C" __global__ void relu_backward(const float* gradient, const float* result, float* masked, int count) {
    const int index = thread_index();
    if (index < count) {
        masked[index] = result[index] > 0.0f ? gradient[index] : 0.0f;
    }
}

// Row or column of the coarse map for one of the fine map.
__device__ static int nearest(int at, int fine, int coarse) {
    const float ratio = (float)coarse / (float)fine;
    const int source = (int)((float)at * ratio);
    return source < coarse ? source : coarse - 1;
}

// The first row or column of the fine map whose source is `coarse_at` or behind it.
__device__ static int first_from(int coarse_at, int fine, int coarse) {
    int at = (int)((float)coarse_at * ((float)fine / (float)coarse)) - 2;
    at = at > 0 ? at : 0;
    while (at < fine && nearest(at, fine, coarse) < coarse_at) {
        ++at;
    }
    return at;
}

// One thread a value of the fine map.
extern "C" __global__ void add_upsampled(const float* fine, const float* coarse, float* sum, int count, int height,
                                         int width, int coarse_height, int coarse_width) {
    const int index = thread_index();
    if (index >= count) {
        return;
    }
    const int plane = index / (height * width);
    const int row = nearest(index / width % height, height, coarse_height);
    const int column = nearest(index % width, width, coarse_width);
    sum[index] = fine[index] + coarse[((size_t)plane * coarse_height + row) * coarse_width + column];
}

// One thread a value of the coarse map: the sum over the cells it was copied to.
extern "C" __global__ void add_upsampled_backward(const float* gradient, float* coarse_gradient, int count, int height,
                                                  int width, int coarse_height, int coarse_width) {
    const int index = thread_index();
    if (index >= count) {
        return;
    }
    const int plane = index / (coarse_height * coarse_width);
    const int row = index / coarse_width % coarse_height;
    const int column = index % coarse_width;
    const int top = first_from(row, height, coarse_height);
    const int bottom = row + 1 < coarse_height ? first_from(row + 1, height, coarse_height) : height;
    const int left = first_from(column, width, coarse_width);
    const int right = column + 1 < coarse_width ? first_from(column + 1, width, coarse_width) : width;
    float sum = 0.0f;
    for (int y = top; y < bottom; ++y) {
        for (int x = left; x < right; ++x) {
            sum += gradient[((size_t)plane * height + y) * width + x];
        }
    }
    coarse_gradient[index] = sum;
}

// Place of the largest value under the window of output (y, x) in its plane, the first among equal ones; a NaN wins.
__device__ static int largest_under(const float* plane, int y, int x, int height, int width, int kernel, int stride,
                                    int padding) {
    const int top = y * stride - padding > 0 ? y * stride - padding : 0;
    const int left = x * stride - padding > 0 ? x * stride - padding : 0;
    const int bottom = y * stride - padding + kernel < height ? y * stride - padding + kernel : height;
    const int right = x * stride - padding + kernel < width ? x * stride - padding + kernel : width;
    int at = top * width + left;
    float largest = plane[at];
    for (int row = top; row < bottom; ++row) {
        for (int column = left; column < right; ++column) {
            const float value = plane[row * width + column];
            if (value > largest || isnan(value)) {
                largest = value;
                at = row * width + column;
            }
        }
    }
    return at;
}

// One thread an output value.
extern "C" __global__ void max_pool(const float* input, float* output, int count, int height, int width, int out_height,
                                    int out_width, int kernel, int stride, int padding) {
    const int index = thread_index();
    if (index < count) {
        const float* plane = input + (size_t)(index / (out_height * out_width)) * height * width;
        const int y = index / out_width % out_height;
        output[index] = plane[largest_under(plane, y, index % out_width, height, width, kernel, stride, padding)];
    }
}

// One thread an input value: it collects the gradients of the windows in which it is the largest.
extern "C" __global__ void max_pool_backward(const float* input, const float* gradient, float* input_gradient, int count,
                                             int height, int width, int out_height, int out_width, int kernel,
                                             int stride, int padding) {
    const int index = thread_index();
    if (index >= count) {
        return;
    }
    const int plane_index = index / (height * width);
    const float* plane = input + (size_t)plane_index * height * width;
    const float* windows = gradient + (size_t)plane_index * out_height * out_width;
    const int place = index % (height * width);
    const int y = place / width + padding;
    const int x = place % width + padding;
    float sum = 0.0f;
    for (int row = y < kernel ? 0 : (y - kernel) / stride + 1; row < out_height && row * stride <= y; ++row) {
        for (int column = x < kernel ? 0 : (x - kernel) / stride + 1; column < out_width && column * stride <= x; ++column) {
            if (largest_under(plane, row, column, height, width, kernel, stride, padding) == place) {
                sum += windows[row * out_width + column];
            }
        }
    }
    input_gradient[index] = sum;
}

// Adds up over a block, the same way in every run; every thread gets the sum.
__device__ static double block_sum(double value, double* scratch) {
    scratch[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) { // a power of two
        if (threadIdx.x < half) {
            scratch[threadIdx.x] += scratch[threadIdx.x + half];
        }
        __syncthreads();
    }
    const double sum = scratch[0];
    __syncthreads();
    return sum;
}

#define MOST_THREADS 256

// One block a channel: mean and variance (divided by the count) of its values.
extern "C" __global__ void batch_statistics(const float* x, float* mean, float* variance, int images, int channels,
                                            int plane) {
    __shared__ double scratch[MOST_THREADS];
    const int channel = (int)blockIdx.x;
    const double count = (double)images * plane;
    double sum = 0.0;
    for (int image = 0; image < images; ++image) {
        const float* values = x + ((size_t)image * channels + channel) * plane;
        for (int i = (int)threadIdx.x; i < plane; i += (int)blockDim.x) {
            sum += values[i];
        }
    }
    const double center = block_sum(sum, scratch) / count;
    double squares = 0.0;
    for (int image = 0; image < images; ++image) {
        const float* values = x + ((size_t)image * channels + channel) * plane;
        for (int i = (int)threadIdx.x; i < plane; i += (int)blockDim.x) {
            squares += (values[i] - center) * (values[i] - center);
        }
    }
    squares = block_sum(squares, scratch);
    if (threadIdx.x == 0) {
        mean[channel] = (float)center;
        variance[channel] = (float)(squares / count);
    }
}

// x * scale + shift of its channel, then ReLU where asked.
extern "C" __global__ void batch_norm(const float* x, const float* scale, const float* shift, float* y, int count,
                                      int channels, int plane, int relu) {
    const int index = thread_index();
    if (index < count) {
        const int channel = index / plane % channels;
        const float value = x[index] * scale[channel] + shift[channel];
        y[index] = relu && value < 0.0f ? 0.0f : value;
    }
}

// One block a channel: sum of dz, and of dz * (x - mean).
extern "C" __global__ void batch_norm_sums(const float* x, const float* gradient, const float* mean, float* sum,
                                           float* product, int images, int channels, int plane) {
    __shared__ double scratch[MOST_THREADS];
    const int channel = (int)blockIdx.x;
    const float center = mean[channel];
    double of_gradient = 0.0, of_product = 0.0;
    for (int image = 0; image < images; ++image) {
        const size_t start = ((size_t)image * channels + channel) * plane;
        for (int i = (int)threadIdx.x; i < plane; i += (int)blockDim.x) {
            of_gradient += gradient[start + i];
            of_product += (x[start + i] - center) * gradient[start + i];
        }
    }
    of_gradient = block_sum(of_gradient, scratch);
    of_product = block_sum(of_product, scratch);
    if (threadIdx.x == 0) {
        sum[channel] = (float)of_gradient;
        product[channel] = (float)of_product;
    }
}

// scale * (dz - shift - (x - mean) * slope) of its channel.
extern "C" __global__ void batch_norm_backward(const float* x, const float* gradient, const float* mean,
                                               const float* scale, const float* shift, const float* slope, float* dx,
                                               int count, int channels, int plane) {
    const int index = thread_index();
    if (index < count) {
        const int channel = index / plane % channels;
        dx[index] = scale[channel] * (gradient[index] - shift[channel] - (x[index] - mean[channel]) * slope[channel]);
    }
}
