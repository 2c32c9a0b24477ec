// Runs CUDA kernels on the processor: a thread is a fiber, a barrier hands over to the next one. Blocks follow each other, so
// that shared memory is a static and an atomic is a plain operation.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __launch_bounds__(threads)
#define __device__
#define __shared__ static
#define __syncthreads shim::barrier

using std::isfinite;
using std::isnan;

struct Index {
    unsigned x, y, z;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

template <typename T> static T atomicAdd(T* at, T value) {
    const T before = *at;
    *at += value;
    return before;
}

static unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

namespace shim {

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool done;
};

static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static unsigned current;
static std::function<void()> body;

// All fibers run up to here before any goes on.
static void barrier() {
    swapcontext(&fibers[current].context, &scheduler);
    threadIdx.x = current;
}

static void run_fiber() {
    body();
    fibers[current].done = true;
}

static void run_block(unsigned threads) {
    const std::size_t stack_size = 64 * 1024;
    fibers.resize(threads);
    for (unsigned i = 0; i < threads; ++i) {
        Fiber& fiber = fibers[i];
        fiber.stack.resize(stack_size);
        fiber.done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = stack_size;
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, run_fiber, 0);
    }
    for (bool any = true; any;) {
        any = false;
        for (current = 0; current < threads; ++current) {
            if (!fibers[current].done) {
                any = true;
                threadIdx.x = current;
                swapcontext(&scheduler, &fibers[current].context);
            }
        }
    }
}

template <typename... A, std::size_t... I>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::decay_t<A>*>(arguments[I])...);
}

// p a pointer, f a float, i an integer.
template <typename T> static char kind() {
    return std::is_pointer<T>::value ? 'p' : std::is_floating_point<T>::value ? 'f' : 'i';
}

// 1 where the arguments are not those of the kernel.
template <typename... A>
static int launch(void (*kernel)(A...), const unsigned* grid, unsigned threads, void** arguments, const char* kinds,
                  unsigned count) {
    const char expected[] = {kind<A>()...};
    if (count != sizeof...(A) || std::memcmp(expected, kinds, count) != 0) {
        return 1;
    }
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads, 1, 1};
    body = [=] { call(kernel, arguments, std::index_sequence_for<A...>{}); };
    for (unsigned z = 0; z < grid[2]; ++z) {
        for (unsigned y = 0; y < grid[1]; ++y) {
            for (unsigned x = 0; x < grid[0]; ++x) {
                blockIdx = {x, y, z};
                run_block(threads);
            }
        }
    }
    return 0;
}

} // namespace shim
