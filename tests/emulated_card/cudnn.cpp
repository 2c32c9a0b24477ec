// The functions of cuDNN that are called: convolutions of floats, rounded where the card would round. What cuDNN refuses is refused.
#include "memory.hpp"
#include "numbers.hpp"
#include "streams.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

using namespace card;

namespace {

constexpr int BAD_PARAM = 2000, NOT_SUPPORTED = 3000, EXECUTION_FAILED = 5000;
constexpr int FMA = 3, DEFAULT_MATH = 0, IDENTITY = 5, RELU = 1, NOT_PROPAGATE = 0, PRECOMP_GEMM = 1;

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
    int mode, nan;
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
int cudnnSetActivationDescriptor(Activation* activation, int mode, int nan, double) { *activation = {mode, nan}; return 0; }

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
    const bool has_mode = activation->mode == RELU || (activation->mode == IDENTITY && algorithm == PRECOMP_GEMM);
    if (!has_mode || activation->nan != NOT_PROPAGATE || std::getenv("EMULATED_CARD_FUSES_NOTHING")) {
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

int cudnnAddTensor(Handle* handle, const void* alpha, Shape* a, const void* at_a, const void* beta, Shape* c, void* at_c) {
    for (int axis = 0; axis < 4; ++axis) {
        if (a->kind != c->kind || (a->size[axis] != c->size[axis] && a->size[axis] != 1)) {
            return BAD_PARAM;
        }
    }
    if (!a->lies_at(at_a) || !c->lies_at(at_c)) {
        return outside("a sum");
    }
    const double up = number(*a, alpha), old = number(*c, beta);
    card::ask(handle->stream, [=, a = *a, c = *c] {
        for (std::size_t i = 0; i < c.count(); ++i) {
            std::size_t rest = i, from = 0, stride = 1;
            for (int axis = 3; axis >= 0; --axis) {
                const std::size_t place = rest % c.size[axis];
                rest /= c.size[axis];
                from += a.size[axis] == 1 ? 0 : place * stride;
                stride *= a.size[axis];
            }
            write(c.kind, at_c, i, up * read(a.kind, at_a, from) + old * read(c.kind, at_c, i));
        }
    });
    return 0;
}

int cudnnActivationForward(Handle* handle, Activation* activation, const void* alpha, Shape* x, const void* at_x, const void* beta, Shape* y,
                           void* at_y) {
    if (activation->mode != RELU || x->size != y->size || x->kind != y->kind) {
        return NOT_SUPPORTED;
    }
    if (!x->lies_at(at_x) || !y->lies_at(at_y)) {
        return outside("an activation");
    }
    const double up = number(*x, alpha), old = number(*y, beta);
    card::ask(handle->stream, [=, x = *x, y = *y] {
        for (std::size_t i = 0; i < y.count(); ++i) {
            const double value = read(x.kind, at_x, i), before = old == 0 ? 0 : old * read(y.kind, at_y, i);
            write(y.kind, at_y, i, up * (value < 0 ? 0 : value) + before);
        }
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
