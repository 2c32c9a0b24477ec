// CUDA's language on the processor, included before every kernel: a thread of a block is a fiber, blocks follow each other, so
// that shared memory is a static and an atomic is a plain operation.
#pragma once

#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>
#include <immintrin.h>

#define __CUDA_ARCH__ 800
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0
#define __host__
#define __device__
#define __forceinline__ inline
#define __global__
#define __shared__ static
#define __restrict__ __restrict
#define __launch_bounds__(...)

namespace card {

struct Index {
    unsigned x, y, z;
};

extern Index thread_of_block, block_of_grid, threads, blocks;

void block_barrier();
void warp_barrier();
void begin_shuffle();
// Where the fiber of a lane of this thread's warp leaves a value of up to 16 bytes.
void* exchange(unsigned lane);
unsigned lane();

template <typename T> T shuffle(T value, unsigned from) {
    begin_shuffle();
    std::memcpy(exchange(lane()), &value, sizeof value);
    warp_barrier();
    T got;
    std::memcpy(&got, exchange(from), sizeof got);
    return got;
}

} // namespace card

#define threadIdx card::thread_of_block
#define blockIdx card::block_of_grid
#define blockDim card::threads
#define gridDim card::blocks
#define __syncthreads card::block_barrier

template <typename T> T __shfl_xor_sync(unsigned, T value, int mask, int = 32) {
    return card::shuffle(value, card::lane() ^ static_cast<unsigned>(mask));
}

template <typename T> T __shfl_down_sync(unsigned, T value, unsigned by, int = 32) {
    const unsigned from = card::lane() + by;
    return card::shuffle(value, from < 32 ? from : card::lane());
}

// ---- numbers

using std::fmax;
using std::fmin;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;
using std::signbit;

#define INTEGER_PAIR(A, B) \
    inline auto min(A a, B b) { using C = std::common_type_t<A, B>; return C(a) < C(b) ? C(a) : C(b); } \
    inline auto max(A a, B b) { using C = std::common_type_t<A, B>; return C(a) > C(b) ? C(a) : C(b); }
INTEGER_PAIR(unsigned long, unsigned)
INTEGER_PAIR(unsigned, unsigned long)
INTEGER_PAIR(unsigned, int)
INTEGER_PAIR(int, unsigned)
INTEGER_PAIR(unsigned long, int)
INTEGER_PAIR(long, int)

template <typename To, typename From> To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float value) { return bits_as<unsigned>(value); }
inline int __float_as_int(float value) { return bits_as<int>(value); }
inline float __uint_as_float(unsigned value) { return bits_as<float>(value); }
inline float __int_as_float(int value) { return bits_as<float>(value); }
inline long long __double_as_longlong(double value) { return bits_as<long long>(value); }
inline double __longlong_as_double(long long value) { return bits_as<double>(value); }
inline float rsqrtf(float value) { return 1.0f / sqrtf(value); }
inline float normcdff(float value) { return 0.5f * erfcf(-value * 0.70710678118654752440f); }
inline double normcdf(double value) { return 0.5 * erfc(-value * 0.70710678118654752440); }

struct float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }

// A number kept in two bytes or one and computed with as a float, as the conversions of `Codec` say.
template <typename Codec> struct Small {
    typename Codec::Bits __x;

    Small() = default;
    Small(float value) : __x(Codec::narrow(value)) {}
    Small(double value) : Small(static_cast<float>(value)) {}
    template <typename I, typename = std::enable_if_t<std::is_integral_v<I>>> Small(I value) : Small(static_cast<float>(value)) {}
    operator float() const { return Codec::widen(__x); }
    Small& operator+=(Small other) { return *this = Small(float(*this) + float(other)); }
    Small& operator-=(Small other) { return *this = Small(float(*this) - float(other)); }
    Small& operator*=(Small other) { return *this = Small(float(*this) * float(other)); }
    Small& operator/=(Small other) { return *this = Small(float(*this) / float(other)); }
};

#define SMALL_OPERATOR(OP) \
    template <typename C> Small<C> operator OP(Small<C> a, Small<C> b) { return Small<C>(float(a) OP float(b)); }
#define SMALL_COMPARISON(OP) \
    template <typename C> bool operator OP(Small<C> a, Small<C> b) { return float(a) OP float(b); }
SMALL_OPERATOR(+)
SMALL_OPERATOR(-)
SMALL_OPERATOR(*)
SMALL_OPERATOR(/)
SMALL_COMPARISON(<)
SMALL_COMPARISON(>)
SMALL_COMPARISON(<=)
SMALL_COMPARISON(>=)
SMALL_COMPARISON(==)
SMALL_COMPARISON(!=)

struct HalfCodec {
    using Bits = std::uint16_t;
    static Bits narrow(float value) { return static_cast<Bits>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT)); }
    static float widen(Bits bits) { return _cvtsh_ss(bits); }
};

struct BrainCodec {
    using Bits = std::uint16_t;
    static Bits narrow(float value) {
        const std::uint32_t bits = __float_as_uint(value);
        if (isnan(value)) {
            return 0x7FFF;
        }
        return static_cast<Bits>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16); // to the nearest, ties to even
    }
    static float widen(Bits bits) { return __uint_as_float(std::uint32_t(bits) << 16); }
};

// There for the sources that mention it; nothing here computes with it.
struct EightCodec {
    using Bits = std::uint8_t;
    static Bits narrow(float value) { return static_cast<Bits>(HalfCodec::narrow(value) >> 8); }
    static float widen(Bits bits) { return HalfCodec::widen(static_cast<std::uint16_t>(bits << 8)); }
};

using __half = Small<HalfCodec>;
using __nv_bfloat16 = Small<BrainCodec>;
using __nv_fp8_e4m3 = Small<EightCodec>;

#define __NV_E4M3 0
inline __half __nv_cvt_fp8_to_halfraw(std::uint8_t bits, int) { return __half(EightCodec::widen(bits)); }
inline float __half2float(__half value) { return value; }
inline __half __float2half(float value) { return __half(value); }
inline float __bfloat162float(__nv_bfloat16 value) { return value; }
inline __nv_bfloat16 __float2bfloat16(float value) { return __nv_bfloat16(value); }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return __nv_bfloat16(value); }
template <typename C> bool __hisnan(Small<C> value) { return isnan(float(value)); }
template <typename C> Small<C> __hmax_nan(Small<C> a, Small<C> b) {
    return __hisnan(a) ? a : __hisnan(b) ? b : float(a) > float(b) ? a : b;
}
template <typename C> Small<C> __hmin_nan(Small<C> a, Small<C> b) {
    return __hisnan(a) ? a : __hisnan(b) ? b : float(a) < float(b) ? a : b;
}
template <typename C> Small<C> __habs(Small<C> value) { return Small<C>(fabsf(value)); }
template <typename C> Small<C> hsqrt(Small<C> value) { return Small<C>(sqrtf(value)); }
template <typename C> Small<C> hcos(Small<C> value) { return Small<C>(cosf(value)); }
template <typename C> Small<C> hsin(Small<C> value) { return Small<C>(sinf(value)); }
template <typename C> Small<C> hlog(Small<C> value) { return Small<C>(logf(value)); }
template <typename C> Small<C> hexp(Small<C> value) { return Small<C>(expf(value)); }
inline unsigned short __half_as_ushort(__half value) { return value.__x; }
inline __half __ushort_as_half(unsigned short bits) {
    __half value;
    value.__x = bits;
    return value;
}

struct __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
#define PAIRED(NAME, OP) \
    inline __nv_bfloat162 NAME(__nv_bfloat162 a, __nv_bfloat162 b) { return {a.x OP b.x, a.y OP b.y}; }
PAIRED(__hadd2, +)
PAIRED(__hsub2, -)
PAIRED(__hmul2, *)
PAIRED(__h2div, /)

// ---- atomics: one fiber runs at a time

template <typename T, typename U> T atomicAdd(T* at, U value) {
    const T before = *at;
    *at += T(value);
    return before;
}
template <typename T, typename U> T atomicMax(T* at, U value) {
    const T before = *at;
    *at = before > T(value) ? before : T(value);
    return before;
}
template <typename T, typename U> T atomicMin(T* at, U value) {
    const T before = *at;
    *at = before < T(value) ? before : T(value);
    return before;
}
template <typename T, typename U> T atomicCAS(T* at, T expected, U value) {
    const T before = *at;
    if (before == expected) {
        *at = T(value);
    }
    return before;
}

// ---- what the driver finds kernels by

namespace card {

struct Kernel {
    const char* name;
    void (*call)(void** arguments);
    unsigned arguments;
    unsigned pointers; // a bit an argument: it is an address of the card
    const unsigned char* sizes; // bytes of each argument
};

void add(const Kernel& kernel);
// Runs it; an argument is in the first bytes of its array.
void launch(const Kernel* kernel, Index grid, Index block, std::vector<std::array<unsigned char, 16>>& arguments);

template <auto Function> struct Caller;
template <typename... A, void (*Function)(A...)> struct Caller<Function> {
    template <std::size_t... I> static void spread(void** arguments, std::index_sequence<I...>) {
        Function(*static_cast<std::decay_t<A>*>(arguments[I])...);
    }
    static void call(void** arguments) { spread(arguments, std::index_sequence_for<A...>{}); }
    static constexpr unsigned count = sizeof...(A);
    static constexpr unsigned char sizes[] = {sizeof(A)...};
    static constexpr unsigned pointers() {
        unsigned bits = 0, at = 0;
        ((bits |= unsigned(std::is_pointer_v<A>) << at++), ...);
        return bits;
    }
};

template <auto Function> struct Registered {
    explicit Registered(const char* name) {
        add({name, Caller<Function>::call, Caller<Function>::count, Caller<Function>::pointers(), Caller<Function>::sizes});
    }
};

} // namespace card
