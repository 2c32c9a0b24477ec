// The functions of cuBLAS, cuDNN, cuRAND and NCCL that are called, on the processor: products and convolutions of floats, rounded
// where the card would round. What cuDNN refuses is refused.
#include "card.hpp"
#include "memory.hpp"
#include "streams.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <random>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

template <typename R> using Values = std::vector<R>; // R: what sums are made in

// What a library knows between its calls.
struct Handle {
    void* stream = nullptr;
};

// ---- kinds of numbers

enum class Kind { Float, Double, Half, Brain };

std::size_t bytes_of(Kind kind) { return kind == Kind::Double ? 8 : kind == Kind::Float ? 4 : 2; }

double read(Kind kind, const void* from, std::size_t i) {
    switch (kind) {
        case Kind::Float: return static_cast<const float*>(from)[i];
        case Kind::Double: return static_cast<const double*>(from)[i];
        case Kind::Half: return static_cast<const __half*>(from)[i];
        case Kind::Brain: return static_cast<const __nv_bfloat16*>(from)[i];
    }
    return 0;
}

void write(Kind kind, void* to, std::size_t i, double value) {
    switch (kind) {
        case Kind::Float: static_cast<float*>(to)[i] = static_cast<float>(value); break;
        case Kind::Double: static_cast<double*>(to)[i] = value; break;
        case Kind::Half: static_cast<__half*>(to)[i] = __half(value); break;
        case Kind::Brain: static_cast<__nv_bfloat16*>(to)[i] = __nv_bfloat16(value); break;
    }
}

// TensorFloat-32 keeps ten bits of the mantissa.
float tensor_float(float value) {
    const unsigned bits = __float_as_uint(value);
    return isfinite(value) ? __uint_as_float((bits + 0xFFF + (bits >> 13 & 1)) & ~0x1FFFu) : value;
}

template <typename R> R rounded_or_not(double value, bool rounded) {
    return rounded ? tensor_float(static_cast<float>(value)) : static_cast<R>(value);
}

template <typename R> Values<R> all(Kind kind, const void* from, std::size_t count, bool rounded) {
    Values<R> values(count);
    for (std::size_t i = 0; i < count; ++i) {
        values[i] = rounded_or_not<R>(read(kind, from, i), rounded);
    }
    return values;
}

// ---- work for the processor

void in_parts(std::size_t count, const std::function<void(std::size_t, std::size_t)>& work) {
    const std::size_t half = count / 2;
    std::thread other([&] { work(half, count); });
    work(0, half);
    other.join();
}

// c (m,n) += a (m,k) b (k,n), by rows
template <typename R>
void product(std::size_t m, std::size_t n, std::size_t k, const R* a, const R* b, R* c) {
    constexpr std::size_t ROWS = 4, INNER = 64, COLUMNS = 512;
    in_parts((m + ROWS - 1) / ROWS, [=](std::size_t from, std::size_t to) {
        for (std::size_t j0 = 0; j0 < n; j0 += COLUMNS) {
            const std::size_t j1 = std::min(n, j0 + COLUMNS);
            for (std::size_t p0 = 0; p0 < k; p0 += INNER) {
                const std::size_t p1 = std::min(k, p0 + INNER);
                for (std::size_t i0 = from * ROWS; i0 < std::min(m, to * ROWS); i0 += ROWS) {
                    const std::size_t rows = std::min(ROWS, m - i0);
                    for (std::size_t p = p0; p < p1; ++p) {
                        const R* const line = b + p * n;
                        if (rows == ROWS) {
                            const R f0 = a[i0 * k + p], f1 = a[(i0 + 1) * k + p], f2 = a[(i0 + 2) * k + p], f3 = a[(i0 + 3) * k + p];
                            R *const c0 = c + i0 * n, *const c1 = c0 + n, *const c2 = c1 + n, *const c3 = c2 + n;
                            for (std::size_t j = j0; j < j1; ++j) {
                                c0[j] += f0 * line[j];
                                c1[j] += f1 * line[j];
                                c2[j] += f2 * line[j];
                                c3[j] += f3 * line[j];
                            }
                        } else {
                            for (std::size_t i = i0; i < i0 + rows; ++i) {
                                const R factor = a[i * k + p];
                                for (std::size_t j = j0; j < j1; ++j) {
                                    c[i * n + j] += factor * line[j];
                                }
                            }
                        }
                    }
                }
            }
        }
    });
}

template <typename R> Values<R> transposed(const Values<R>& values, std::size_t rows, std::size_t columns) {
    Values<R> made(values.size());
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < columns; ++j) {
            made[j * rows + i] = values[i * columns + j];
        }
    }
    return made;
}

} // namespace

// ---- cuBLAS

namespace {

constexpr int BLAS_INVALID = 7, BLAS_EXECUTION_FAILED = 13, BLAS_NOT_SUPPORTED = 15;

bool blas_kind(int number, Kind* kind) {
    switch (number) {
        case 0: *kind = Kind::Float; return true;
        case 1: *kind = Kind::Double; return true;
        case 2: *kind = Kind::Half; return true;
        case 14: *kind = Kind::Brain; return true;
        default: return false;
    }
}

// A matrix (rows, columns) of columns, the other way round where `turned`; answers its rows one behind the other.
template <typename R> Values<R> matrix(Kind kind, const void* from, std::size_t offset, int rows, int columns, int leading, bool turned, bool rounded) {
    Values<R> values(std::size_t(rows) * columns);
    for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j) {
            const std::size_t at = turned ? std::size_t(i) * leading + j : std::size_t(j) * leading + i;
            values[std::size_t(i) * columns + j] = rounded_or_not<R>(read(kind, from, offset + at), rounded);
        }
    }
    return values;
}

} // namespace

extern "C" {

int cublasCreate_v2(Handle** handle) { *handle = new Handle; return 0; }
int cublasDestroy_v2(Handle* handle) { delete handle; return 0; }
int cublasSetStream_v2(Handle* handle, void* stream) { handle->stream = stream; return 0; }

int cublasGemmStridedBatchedEx(Handle* handle, int turn_a, int turn_b, int m, int n, int k, const void* alpha, const void* a, int a_kind, int lda,
                               long long step_a, const void* b, int b_kind, int ldb, long long step_b, const void* beta, void* c,
                               int c_kind, int ldc, long long step_c, int batch, int compute, int) {
    Kind of_a, of_b, of_c;
    if (!blas_kind(a_kind, &of_a) || !blas_kind(b_kind, &of_b) || !blas_kind(c_kind, &of_c) || of_a != of_b) {
        return BLAS_NOT_SUPPORTED;
    }
    if (m < 0 || n < 0 || k < 0 || batch < 0 || lda < std::max(1, turn_a ? k : m) || ldb < std::max(1, turn_b ? n : k) || ldc < std::max(1, m)) {
        return BLAS_INVALID;
    }
    if (m == 0 || n == 0 || batch == 0) {
        return 0;
    }
    const Kind of_factors = compute == 64 ? Kind::Half : compute == 70 ? Kind::Double : Kind::Float;
    const double up = read(of_factors, alpha, 0), old = read(of_factors, beta, 0);
    const auto last = [&](long long step, int leading, int columns, int rows) {
        return std::size_t((batch - 1) * step + (long long)(leading) * (columns - 1) + rows);
    };
    const bool inside = (k == 0 || (card::holds(a, bytes_of(of_a) * last(step_a, lda, turn_a ? m : k, turn_a ? k : m)) &&
                                    card::holds(b, bytes_of(of_b) * last(step_b, ldb, turn_b ? k : n, turn_b ? n : k)))) &&
        card::holds(c, bytes_of(of_c) * last(step_c, ldc, n, m));
    if (!inside) {
        std::fprintf(stderr, "emulated card: a matrix product leaves its memory\n");
        return BLAS_EXECUTION_FAILED;
    }
    const bool rounded = compute == 77;
    const auto multiply = [=](auto zero, int item) {
        using R = decltype(zero);
        const Values<R> left = matrix<R>(of_a, a, item * step_a, m, k, lda, turn_a != 0, rounded);
        const Values<R> right = matrix<R>(of_b, b, item * step_b, k, n, ldb, turn_b != 0, rounded);
        Values<R> sums(std::size_t(m) * n);
        product(m, n, k, left.data(), right.data(), sums.data());
        for (int j = 0; j < n; ++j) {
            for (int i = 0; i < m; ++i) {
                const std::size_t at = item * step_c + std::size_t(j) * ldc + i;
                const double before = old == 0 ? 0 : old * read(of_c, c, at);
                write(of_c, c, at, up * sums[std::size_t(i) * n + j] + before);
            }
        }
    };
    card::ask(handle->stream, [=] {
        for (int item = 0; item < batch; ++item) {
            of_c == Kind::Double ? multiply(0.0, item) : multiply(0.0f, item);
        }
    });
    return 0;
}

int cublasDgemmStridedBatched(Handle* handle, int turn_a, int turn_b, int m, int n, int k, const double* alpha, const double* a, int lda,
                              long long step_a, const double* b, int ldb, long long step_b, const double* beta, double* c, int ldc,
                              long long step_c, int batch) {
    return cublasGemmStridedBatchedEx(handle, turn_a, turn_b, m, n, k, alpha, a, 1, lda, step_a, b, 1, ldb, step_b, beta, c, 1, ldc,
                                      step_c, batch, 70, 0);
}

} // extern "C"

// ---- cuDNN

namespace {

constexpr int BAD_PARAM = 2000, NOT_SUPPORTED = 3000, EXECUTION_FAILED = 5000;
constexpr int FMA = 3, DEFAULT_MATH = 0, IDENTITY = 5, RELU = 1, PRECOMP_GEMM = 1;

struct Shape { // of a tensor (N,C,H,W) or a filter (O,I,h,w)
    Kind kind;
    std::array<int, 4> size;
    std::size_t count() const { return std::size_t(size[0]) * size[1] * size[2] * size[3]; }
    bool lies_at(const void* address) const { return card::holds(address, count() * bytes_of(kind)); }
};
struct Window {
    int padding[2], stride[2], dilation[2], math;
};
struct Activation {
    int mode;
};
struct Found { // cudnnConvolution*AlgoPerf_t
    int algorithm, status;
    float time;
    std::size_t memory;
    int determinism, math, reserved[3];
};

bool dnn_kind(int number, Kind* kind) {
    switch (number) {
        case 0: *kind = Kind::Float; return true;
        case 1: *kind = Kind::Double; return true;
        case 2: *kind = Kind::Half; return true;
        case 9: *kind = Kind::Brain; return true;
        default: return false;
    }
}

bool fits(const Shape& x, const Shape& w, const Window& window, const Shape& y) {
    bool fine = x.size[1] == w.size[1] && y.size[0] == x.size[0] && y.size[1] == w.size[0] && x.kind == w.kind && x.kind == y.kind;
    for (int axis = 0; axis < 2; ++axis) {
        const int reach = window.dilation[axis] * (w.size[2 + axis] - 1) + 1;
        const int room = x.size[2 + axis] + 2 * window.padding[axis] - reach;
        fine = fine && room >= 0 && y.size[2 + axis] == room / window.stride[axis] + 1;
    }
    return fine;
}

bool rounds(const Shape& x, const Window& window) { return x.kind == Kind::Float && window.math != FMA; }

// One image (C,H,W) to columns (C*h*w, rows * width) of output rows `from`..`to`, or such columns added back.
template <bool BACK, typename R>
void columns(R* image, const Shape& x, const Shape& w, const Window& window, const Shape& y, int from, int to, R* made) {
    const int height = x.size[2], width = x.size[3], out_width = y.size[3];
    std::size_t line = 0;
    for (int channel = 0; channel < x.size[1]; ++channel) {
        for (int v = 0; v < w.size[2]; ++v) {
            for (int u = 0; u < w.size[3]; ++u, ++line) {
                R* at = made + line * std::size_t(to - from) * out_width;
                for (int row = from; row < to; ++row) {
                    const int source = row * window.stride[0] - window.padding[0] + v * window.dilation[0];
                    for (int column = 0; column < out_width; ++column, ++at) {
                        const int beside = column * window.stride[1] - window.padding[1] + u * window.dilation[1];
                        const bool inside = source >= 0 && source < height && beside >= 0 && beside < width;
                        R* const pixel = image + (std::size_t(channel) * height + source) * width + beside;
                        if (BACK) {
                            if (inside) {
                                *pixel += *at;
                            }
                        } else {
                            *at = inside ? *pixel : 0;
                        }
                    }
                }
            }
        }
    }
}

// Output rows whose columns fit into 16 MiB.
int rows_at_once(const Shape& w, const Shape& y) {
    const std::size_t row = std::size_t(w.size[1]) * w.size[2] * w.size[3] * y.size[3];
    return std::clamp<int>(int((4u << 20) / std::max<std::size_t>(1, row)), 1, std::max(1, y.size[2]));
}

// Goes over all images in strips: the strip's columns and its part of the output, (O, rows * width).
template <typename Work> void in_strips(const Shape& x, const Shape& w, const Shape& y, Work work) {
    const int step = rows_at_once(w, y);
    for (int item = 0; item < x.size[0]; ++item) {
        for (int from = 0; from < y.size[2]; from += step) {
            work(item, from, std::min(from + step, y.size[2]));
        }
    }
}

// The rows `from`..`to` of all channels of an image (N,O,H,W), there or back.
template <bool BACK, typename R> void strip(R* whole, const Shape& y, int item, int from, int to, R* part) {
    const std::size_t run = std::size_t(to - from) * y.size[3];
    for (int channel = 0; channel < y.size[1]; ++channel) {
        R* const at = whole + ((std::size_t(item) * y.size[1] + channel) * y.size[2] + from) * y.size[3];
        BACK ? std::copy(part + channel * run, part + (channel + 1) * run, at) : std::copy(at, at + run, part + channel * run);
    }
}

template <typename R> Values<R> convolve(const Shape& x, const void* at_x, const Shape& w, const void* at_w, const Window& window, const Shape& y) {
    const bool rounded = rounds(x, window);
    Values<R> image = all<R>(x.kind, at_x, x.count(), rounded);
    const Values<R> weights = all<R>(w.kind, at_w, w.count(), rounded);
    Values<R> sums(y.count());
    const std::size_t inner = std::size_t(w.size[1]) * w.size[2] * w.size[3], plane = x.count() / x.size[0];
    in_strips(x, w, y, [&](int item, int from, int to) {
        const std::size_t run = std::size_t(to - from) * y.size[3];
        Values<R> made(inner * run), part(run * y.size[1]);
        columns<false>(image.data() + item * plane, x, w, window, y, from, to, made.data());
        product(y.size[1], run, inner, weights.data(), made.data(), part.data());
        strip<true>(sums.data(), y, item, from, to, part.data());
    });
    return sums;
}

template <typename R> void put(const Shape& shape, void* to, const Values<R>& values, double alpha, double beta) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        write(shape.kind, to, i, alpha * values[i] + (beta == 0 ? 0 : beta * read(shape.kind, to, i)));
    }
}

// Two ways: a quick one whose sums come in any order, as some of cuDNN's do, and a repeatable one.
int answer(int most, int* count, Found* found, int repeatable) {
    const Found ways[] = {{0, 0, 1, 64, 0, DEFAULT_MATH, {}}, {repeatable, 0, 2, 1024, 1, DEFAULT_MATH, {}}};
    *count = std::min(most, 2);
    std::copy(ways, ways + *count, found);
    return 0;
}

// Factors are doubles where the values are.
double number(const Shape& of, const void* factor) { return read(of.kind == Kind::Double ? Kind::Double : Kind::Float, factor, 0); }

template <typename Work> void in_sums_of(const Shape& of, Work work) { of.kind == Kind::Double ? work(0.0) : work(0.0f); }

int outside(const char* what) {
    std::fprintf(stderr, "emulated card: %s leaves its memory\n", what);
    return EXECUTION_FAILED;
}

} // namespace

extern "C" {

int cudnnCreate(Handle** handle) { *handle = new Handle; return 0; }
int cudnnDestroy(Handle* handle) { delete handle; return 0; }
int cudnnSetStream(Handle* handle, void* stream) { handle->stream = stream; return 0; }
std::size_t cudnnGetVersion() { return 91300; }
int cudnnCreateTensorDescriptor(Shape** made) { *made = new Shape; return 0; }
int cudnnDestroyTensorDescriptor(Shape* shape) { delete shape; return 0; }
int cudnnCreateFilterDescriptor(Shape** made) { *made = new Shape; return 0; }
int cudnnDestroyFilterDescriptor(Shape* shape) { delete shape; return 0; }
int cudnnCreateConvolutionDescriptor(Window** made) { *made = new Window; return 0; }
int cudnnDestroyConvolutionDescriptor(Window* window) { delete window; return 0; }
int cudnnCreateActivationDescriptor(Activation** made) { *made = new Activation; return 0; }
int cudnnDestroyActivationDescriptor(Activation* activation) { delete activation; return 0; }

int cudnnSetTensor4dDescriptor(Shape* shape, int format, int kind, int n, int c, int h, int w) {
    shape->size = {n, c, h, w};
    return format == 0 && dnn_kind(kind, &shape->kind) && std::min(std::min(n, c), std::min(h, w)) > 0 ? 0 : BAD_PARAM;
}
int cudnnSetTensor4dDescriptorEx(Shape* shape, int kind, int n, int c, int h, int w, int, int, int, int) {
    return cudnnSetTensor4dDescriptor(shape, 0, kind, n, c, h, w);
}
int cudnnSetFilter4dDescriptor(Shape* shape, int kind, int format, int o, int i, int h, int w) {
    return cudnnSetTensor4dDescriptor(shape, format, kind, o, i, h, w);
}
int cudnnSetConvolution2dDescriptor(Window* window, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h, int dilation_w,
                                    int mode, int sums) {
    *window = {{pad_h, pad_w}, {stride_h, stride_w}, {dilation_h, dilation_w}, DEFAULT_MATH};
    return pad_h >= 0 && pad_w >= 0 && stride_h > 0 && stride_w > 0 && dilation_h > 0 && dilation_w > 0 && mode == 1 && sums <= 1
        ? 0 : NOT_SUPPORTED;
}
int cudnnSetConvolutionMathType(Window* window, int math) { window->math = math; return 0; }
int cudnnSetActivationDescriptor(Activation* activation, int mode, int, double) { activation->mode = mode; return 0; }

int cudnnGetConvolutionForwardAlgorithm_v7(void*, Shape* x, Shape* w, Window* window, Shape* y, int most, int* count, Found* found) {
    return fits(*x, *w, *window, *y) ? answer(most, count, found, PRECOMP_GEMM) : BAD_PARAM;
}
int cudnnGetConvolutionForwardWorkspaceSize(void*, Shape*, Shape*, Window*, Shape*, int, std::size_t* bytes) { *bytes = 1024; return 0; }
int cudnnGetConvolutionBackwardDataAlgorithm_v7(void*, Shape* w, Shape* y, Window* window, Shape* x, int most, int* count, Found* found) {
    return fits(*x, *w, *window, *y) ? answer(most, count, found, 1) : BAD_PARAM;
}
int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void*, Shape* x, Shape* y, Window* window, Shape* w, int most, int* count, Found* found) {
    return fits(*x, *w, *window, *y) ? answer(most, count, found, 1) : BAD_PARAM;
}

int cudnnConvolutionBiasActivationForward(Handle* handle, const void* alpha, Shape* x, const void* at_x, Shape* w, const void* at_w,
                                          Window* window, int algorithm, void* scratch, std::size_t bytes, const void* alpha2, Shape* z,
                                          const void* at_z, Shape* bias, const void* at_bias, Activation* activation, Shape* y,
                                          void* at_y) {
    if (!fits(*x, *w, *window, *y) || z->size != y->size || z->kind != y->kind || bias->kind != y->kind ||
        bias->size != std::array<int, 4>{1, y->size[1], 1, 1}) {
        return BAD_PARAM;
    }
    if (activation->mode != RELU && !(activation->mode == IDENTITY && algorithm == PRECOMP_GEMM)) {
        return NOT_SUPPORTED;
    }
    if (!x->lies_at(at_x) || !w->lies_at(at_w) || !z->lies_at(at_z) || !bias->lies_at(at_bias) || !y->lies_at(at_y) ||
        !card::holds(scratch, bytes)) {
        return outside("a convolution");
    }
    if (x->kind == Kind::Double) {
        return NOT_SUPPORTED; // of this stand-in alone
    }
    const double factor = number(*x, alpha), beside = number(*x, alpha2);
    card::ask(handle->stream, [=, x = *x, w = *w, window = *window, y = *y, z = *z, bias = *bias, mode = activation->mode] {
        const Values<float> sums = convolve<float>(x, at_x, w, at_w, window, y);
        const std::size_t plane = std::size_t(y.size[2]) * y.size[3];
        for (std::size_t i = 0; i < sums.size(); ++i) {
            const double residual = beside == 0 ? 0 : beside * read(z.kind, at_z, i);
            const double value = factor * sums[i] + residual + read(bias.kind, at_bias, i / plane % y.size[1]);
            write(y.kind, at_y, i, mode == RELU && value < 0 ? 0 : value);
        }
    });
    return 0;
}

int cudnnConvolutionForward(Handle* handle, const void* alpha, Shape* x, const void* at_x, Shape* w, const void* at_w, Window* window, int,
                            void* scratch, std::size_t bytes, const void* beta, Shape* y, void* at_y) {
    if (!fits(*x, *w, *window, *y)) {
        return BAD_PARAM;
    }
    if (!x->lies_at(at_x) || !w->lies_at(at_w) || !y->lies_at(at_y) || !card::holds(scratch, bytes)) {
        return outside("a convolution");
    }
    const double up = number(*x, alpha), old = number(*x, beta);
    card::ask(handle->stream, [=, x = *x, w = *w, window = *window, y = *y] {
        in_sums_of(x, [&](auto zero) { put(y, at_y, convolve<decltype(zero)>(x, at_x, w, at_w, window, y), up, old); });
    });
    return 0;
}

int cudnnConvolutionBackwardData(Handle* handle, const void* alpha, Shape* w, const void* at_w, Shape* y, const void* at_y, Window* window, int,
                                 void* scratch, std::size_t bytes, const void* beta, Shape* x, void* at_x) {
    if (!fits(*x, *w, *window, *y)) {
        return BAD_PARAM;
    }
    if (!x->lies_at(at_x) || !w->lies_at(at_w) || !y->lies_at(at_y) || !card::holds(scratch, bytes)) {
        return outside("the gradient of an input");
    }
    const double up = number(*x, alpha), old = number(*x, beta);
    card::ask(handle->stream, [=, x = *x, w = *w, window = *window, y = *y] {
        const bool rounded = rounds(x, window);
        const std::size_t inner = std::size_t(w.size[1]) * w.size[2] * w.size[3], plane = x.count() / x.size[0];
        in_sums_of(x, [&](auto zero) {
            using R = decltype(zero);
            const Values<R> turned = transposed(all<R>(w.kind, at_w, w.count(), rounded), w.size[0], inner);
            Values<R> dy = all<R>(y.kind, at_y, y.count(), rounded), dx(x.count());
            in_strips(x, w, y, [&](int item, int from, int to) {
                const std::size_t run = std::size_t(to - from) * y.size[3];
                Values<R> part(run * y.size[1]), made(inner * run);
                strip<false>(dy.data(), y, item, from, to, part.data());
                product(inner, run, y.size[1], turned.data(), part.data(), made.data());
                columns<true>(dx.data() + item * plane, x, w, window, y, from, to, made.data());
            });
            put(x, at_x, dx, up, old);
        });
    });
    return 0;
}

int cudnnConvolutionBackwardFilter(Handle* handle, const void* alpha, Shape* x, const void* at_x, Shape* y, const void* at_y, Window* window, int,
                                   void* scratch, std::size_t bytes, const void* beta, Shape* w, void* at_w) {
    if (!fits(*x, *w, *window, *y)) {
        return BAD_PARAM;
    }
    if (!x->lies_at(at_x) || !w->lies_at(at_w) || !y->lies_at(at_y) || !card::holds(scratch, bytes)) {
        return outside("the gradient of weights");
    }
    const double up = number(*x, alpha), old = number(*x, beta);
    card::ask(handle->stream, [=, x = *x, w = *w, window = *window, y = *y] {
        const bool rounded = rounds(x, window);
        const std::size_t inner = std::size_t(w.size[1]) * w.size[2] * w.size[3], plane = x.count() / x.size[0];
        in_sums_of(x, [&](auto zero) {
            using R = decltype(zero);
            Values<R> image = all<R>(x.kind, at_x, x.count(), rounded), dy = all<R>(y.kind, at_y, y.count(), rounded), dw(w.count());
            in_strips(x, w, y, [&](int item, int from, int to) {
                const std::size_t run = std::size_t(to - from) * y.size[3];
                Values<R> made(inner * run), part(run * y.size[1]);
                columns<false>(image.data() + item * plane, x, w, window, y, from, to, made.data());
                strip<false>(dy.data(), y, item, from, to, part.data());
                product(y.size[1], inner, run, part.data(), transposed(made, inner, run).data(), dw.data());
            });
            put(w, at_w, dw, up, old);
        });
    });
    return 0;
}

} // extern "C"

// ---- cuRAND

namespace {

constexpr int RAND_LAUNCH_FAILURE = 201, RAND_LENGTH_NOT_MULTIPLE = 105;

struct Generator : Handle {
    std::mt19937_64 numbers;
};

template <typename T, typename Distribution> int draw(Generator* generator, T* to, std::size_t count, Distribution distribution) {
    if (!card::holds(to, count * sizeof(T))) {
        return RAND_LAUNCH_FAILURE;
    }
    Values<T> drawn(count);
    std::generate(drawn.begin(), drawn.end(), [&] { return static_cast<T>(distribution(generator->numbers)); });
    card::ask(generator->stream, [=] { std::copy(drawn.begin(), drawn.end(), to); });
    return 0;
}

} // namespace

extern "C" {

int curandCreateGenerator(Generator** made, int) { *made = new Generator; return 0; }
int curandDestroyGenerator(Generator* generator) { delete generator; return 0; }
int curandSetPseudoRandomGeneratorSeed(Generator* generator, unsigned long long seed) { generator->numbers.seed(seed); return 0; }
int curandSetStream(Generator* generator, void* stream) { generator->stream = stream; return 0; }
int curandGenerateUniform(Generator* generator, float* to, std::size_t count) {
    return draw(generator, to, count, std::uniform_real_distribution<float>());
}
int curandGenerateUniformDouble(Generator* generator, double* to, std::size_t count) {
    return draw(generator, to, count, std::uniform_real_distribution<double>());
}
// Pairs are made: an odd number of them is refused, as cuRAND does.
int curandGenerateNormal(Generator* generator, float* to, std::size_t count, float mean, float deviation) {
    return count % 2 ? RAND_LENGTH_NOT_MULTIPLE : draw(generator, to, count, std::normal_distribution<float>(mean, deviation));
}
int curandGenerateNormalDouble(Generator* generator, double* to, std::size_t count, double mean, double deviation) {
    return count % 2 ? RAND_LENGTH_NOT_MULTIPLE : draw(generator, to, count, std::normal_distribution<double>(mean, deviation));
}

} // extern "C"

// ---- NCCL: sums of processes through shared memory, a piece at a time

namespace {

constexpr int NCCL_SYSTEM_ERROR = 2, NCCL_INVALID_ARGUMENT = 4;
constexpr int MOST_RANKS = 8;
constexpr std::size_t PIECE = 1 << 18; // values

struct Shared {
    std::atomic<int> joined, arrived, round;
    int device[MOST_RANKS];
    float values[MOST_RANKS][PIECE];
};
struct Communicator {
    Shared* shared;
    int rank, size;

    void meet() {
        const int round = shared->round.load();
        if (shared->arrived.fetch_add(1) + 1 == size) {
            shared->arrived = 0;
            shared->round.fetch_add(1);
        }
        while (shared->round.load() == round) {
            usleep(50);
        }
    }
};
struct Id {
    char name[128];
};

} // namespace

extern "C" {

int ncclGetVersion(int* version) { *version = 22700; return 0; }
const char* ncclGetErrorString(int) { return "the emulated NCCL refuses"; }
int ncclGetUniqueId(Id* id) {
    std::memset(id, 0, sizeof *id);
    std::snprintf(id->name, sizeof id->name, "/emulated-nccl-%d-%u", getpid(), std::random_device()());
    const int file = shm_open(id->name, O_CREAT | O_EXCL | O_RDWR, 0600);
    const bool fine = file >= 0 && ftruncate(file, sizeof(Shared)) == 0;
    close(file);
    return fine ? 0 : NCCL_SYSTEM_ERROR;
}
int ncclCommInitRank(Communicator** made, int size, Id id, int rank) {
    const int file = shm_open(id.name, O_RDWR, 0600);
    void* at = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (at == MAP_FAILED || size > MOST_RANKS) {
        return NCCL_SYSTEM_ERROR;
    }
    *made = new Communicator{static_cast<Shared*>(at), rank, size};
    Shared& shared = *(*made)->shared;
    shared.device[rank] = card::current_device();
    (*made)->meet();
    bool alone = true;
    for (int other = 0; other < size; ++other) {
        alone = alone && (other == rank || shared.device[other] != shared.device[rank]);
    }
    (*made)->meet();
    if (rank == 0) {
        shm_unlink(id.name);
    }
    return alone ? 0 : NCCL_INVALID_ARGUMENT;
}
int ncclCommInitRankConfig(Communicator** made, int size, Id id, int rank, void*) { return ncclCommInitRank(made, size, id, rank); }
int ncclCommAbort(Communicator*) { return 0; }
int ncclCommDestroy(Communicator*) { return 0; }
int ncclCommCount(Communicator* of, int* size) { *size = of->size; return 0; }
int ncclCommCuDevice(Communicator*, int* device) { *device = card::current_device(); return 0; }
int ncclCommUserRank(Communicator* of, int* rank) { *rank = of->rank; return 0; }
int ncclCommGetAsyncError(Communicator*, int* status) { *status = 0; return 0; }

int ncclAllReduce(const void* from, void* to, std::size_t count, int kind, int operation, Communicator* of, void* stream) {
    constexpr int FLOAT32 = 7, SUM = 0;
    if (kind != FLOAT32 || operation != SUM || !card::holds(from, 4 * count) || !card::holds(to, 4 * count)) {
        return NCCL_INVALID_ARGUMENT;
    }
    card::ask(stream, [=] {
        for (std::size_t begin = 0; begin < count; begin += PIECE) {
            const std::size_t length = std::min(PIECE, count - begin);
            std::memcpy(of->shared->values[of->rank], static_cast<const float*>(from) + begin, 4 * length);
            of->meet();
            for (std::size_t i = 0; i < length; ++i) {
                float sum = 0;
                for (int rank = 0; rank < of->size; ++rank) {
                    sum += of->shared->values[rank][i];
                }
                static_cast<float*>(to)[begin + i] = sum;
            }
            of->meet();
        }
    });
    return 0;
}

} // extern "C"
