// Numbers of every kind, and products of matrices, for the libraries of the card.
#pragma once
#include "card.hpp"

#include <algorithm>
#include <functional>
#include <thread>
#include <vector>

namespace card {

template <typename R> using Values = std::vector<R>; // R: what sums are made in

// What a library knows between its calls.
struct Handle {
    void* stream = nullptr;
};

// ---- kinds of numbers

enum class Kind { Float, Double, Half, Brain };

inline std::size_t bytes_of(Kind kind) { return kind == Kind::Double ? 8 : kind == Kind::Float ? 4 : 2; }

inline double read(Kind kind, const void* from, std::size_t i) {
    switch (kind) {
        case Kind::Float: return static_cast<const float*>(from)[i];
        case Kind::Double: return static_cast<const double*>(from)[i];
        case Kind::Half: return static_cast<const __half*>(from)[i];
        case Kind::Brain: return static_cast<const __nv_bfloat16*>(from)[i];
    }
    return 0;
}

inline void write(Kind kind, void* to, std::size_t i, double value) {
    switch (kind) {
        case Kind::Float: static_cast<float*>(to)[i] = static_cast<float>(value); break;
        case Kind::Double: static_cast<double*>(to)[i] = value; break;
        case Kind::Half: static_cast<__half*>(to)[i] = __half(value); break;
        case Kind::Brain: static_cast<__nv_bfloat16*>(to)[i] = __nv_bfloat16(value); break;
    }
}

// TensorFloat-32 keeps ten bits of the mantissa.
inline float tensor_float(float value) {
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

inline void in_parts(std::size_t count, const std::function<void(std::size_t, std::size_t)>& work) {
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

} // namespace card
