// The functions of CUDA's driver that candle and cudarc call, on the processor. Everything is done when a call returns. Stricter
// than a card: memory begins as NaNs, ends at a page that nobody may touch, and is gone when it is freed; an argument that is an
// address must lie in memory of the card that runs.
#include "card.hpp"
#include "memory.hpp"
#include "streams.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <vector>

namespace card {

namespace {

enum Status { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };

std::map<std::string, Kernel>& kernels() {
    static std::map<std::string, Kernel> all;
    return all;
}

// ---- memory

struct Block {
    std::size_t bytes, mapped;
    unsigned char* start; // of the mapping
    int device;
};

constexpr std::size_t PAGE = 4096;
std::mutex memory_lock;
std::map<std::uintptr_t, Block> memory;
std::map<int, std::size_t> in_use, most_in_use;
thread_local int device = 0;

std::size_t limit() {
    static const char* given = std::getenv("EMULATED_CARD_MIB");
    return (given ? std::strtoull(given, nullptr, 10) : 16384) << 20;
}

Status allocate(std::uint64_t* address, std::size_t bytes) {
    const std::lock_guard<std::mutex> guard(memory_lock);
    if (bytes == 0) {
        return INVALID_VALUE;
    }
    if (in_use[device] + bytes > limit()) {
        return OUT_OF_MEMORY;
    }
    const std::size_t used = (bytes + 15) / 16 * 16;
    const std::size_t mapped = (used + PAGE - 1) / PAGE * PAGE;
    void* start = mmap(nullptr, mapped + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
        return OUT_OF_MEMORY;
    }
    auto* const first = static_cast<unsigned char*>(start);
    mprotect(first + mapped, PAGE, PROT_NONE);
    unsigned char* const at = first + mapped - used;
    std::memset(at, 0xFF, used);
    memory[reinterpret_cast<std::uintptr_t>(at)] = {bytes, mapped + PAGE, first, device};
    in_use[device] += bytes;
    most_in_use[device] = std::max(most_in_use[device], in_use[device]);
    *address = reinterpret_cast<std::uint64_t>(at);
    return OK;
}

Status release(std::uint64_t address) {
    const std::lock_guard<std::mutex> guard(memory_lock);
    const auto found = memory.find(address);
    if (found == memory.end()) {
        return address == 0 ? OK : INVALID_VALUE;
    }
    const Block block = found->second;
    for (std::size_t i = block.bytes; i % 16 != 0; ++i) {
        if (reinterpret_cast<unsigned char*>(address)[i] != 0xFF) {
            std::fprintf(stderr, "emulated card: something wrote behind %zu bytes\n", block.bytes);
            std::abort();
        }
    }
    munmap(block.start, block.mapped);
    in_use[block.device] -= block.bytes;
    memory.erase(found);
    return OK;
}

std::size_t behind(std::uint64_t address, bool on_this_card) {
    const std::lock_guard<std::mutex> guard(memory_lock);
    auto after = memory.upper_bound(address);
    if (after == memory.begin()) {
        return 0;
    }
    const auto& [start, block] = *--after;
    // One past the end is the address of nothing, which an empty part of a tensor has.
    if (address > start + block.bytes || (on_this_card && block.device != device)) {
        return 0;
    }
    return start + block.bytes - address;
}

constexpr int RELEASE_THRESHOLD = 4, USED_MEM_HIGH = 8; // of a pool
int card_of(void* pool) { return static_cast<int>(reinterpret_cast<std::uintptr_t>(pool)) - 1; }

struct Module {
    std::vector<std::string> entries;
};


} // namespace

bool holds(const void* address, std::size_t bytes) {
    return bytes == 0 || behind(reinterpret_cast<std::uint64_t>(address), true) >= bytes;
}

bool is_address(std::uint64_t address) {
    const std::lock_guard<std::mutex> guard(memory_lock);
    auto after = memory.upper_bound(address);
    if (after == memory.begin()) {
        return false;
    }
    const auto& [start, block] = *--after;
    return address <= start + block.bytes && block.device == device;
}

int current_device() { return device; }
void set_device(int other) { device = other; }

void add(const Kernel& kernel) {
    if (!kernels().emplace(kernel.name, kernel).second) {
        std::fprintf(stderr, "emulated card: two kernels are called %s\n", kernel.name);
        std::abort();
    }
}

} // namespace card

using namespace card;

extern "C" {

int cuInit(unsigned) { return OK; }
int cuDriverGetVersion(int* version) { *version = 13000; return OK; }
int cuGetErrorString(int status, const char** text) {
    static thread_local std::string words;
    words = status == OUT_OF_MEMORY ? "out of memory" : status == NOT_FOUND ? "named symbol not found"
        : status == INVALID_VALUE ? "invalid argument" : status == ILLEGAL_ADDRESS ? "an illegal memory access was encountered"
        : "error " + std::to_string(status);
    *text = words.c_str();
    return OK;
}
int cuGetErrorName(int status, const char** text) { return cuGetErrorString(status, text); }

static int cards() {
    const char* given = std::getenv("EMULATED_CARDS");
    return given ? std::atoi(given) : 1;
}
int cuDeviceGetCount(int* count) { *count = cards(); return OK; }
int cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return ordinal >= 0 && ordinal < cards() ? OK : INVALID_DEVICE;
}
int cuDeviceGetName(char* name, int length, int) {
    std::snprintf(name, static_cast<std::size_t>(length), "Emulated card");
    return OK;
}
int cuDeviceTotalMem_v2(std::size_t* bytes, int) { *bytes = limit(); return OK; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 1: *value = 1024; break;     // threads a block
        case 8: *value = 48 << 10; break; // shared memory a block
        case 10: *value = 32; break;      // threads a warp
        case 16: *value = 2; break;       // multiprocessors
        case 75: *value = 8; break;       // compute capability
        case 76: *value = 0; break;
        case 115: *value = 1; break;      // memory in the order of streams
        default:
            std::fprintf(stderr, "emulated card: attribute %d was asked for\n", attribute);
            *value = 0;
    }
    return OK;
}

int cuDevicePrimaryCtxRetain(void** context, int ordinal) {
    *context = reinterpret_cast<void*>(static_cast<std::uintptr_t>(ordinal) + 1);
    return OK;
}
int cuDevicePrimaryCtxRelease_v2(int) { return OK; }
int cuCtxDestroy_v2(void*) { return OK; }
static thread_local void* context_of_thread;
int cuCtxSetCurrent(void* context) {
    context_of_thread = context;
    device = static_cast<int>(reinterpret_cast<std::uintptr_t>(context)) - 1;
    return OK;
}
int cuCtxGetCurrent(void** context) { *context = context_of_thread; return OK; }

int cuMemAlloc_v2(std::uint64_t* address, std::size_t bytes) { return allocate(address, bytes); }
int cuDeviceGetDefaultMemPool(void** pool, int device) {
    *pool = reinterpret_cast<void*>(std::uintptr_t(device) + 1);
    return OK;
}
int cuMemPoolSetAttribute(void* pool, int attribute, void* value) {
    const std::lock_guard<std::mutex> guard(memory_lock);
    if (attribute == USED_MEM_HIGH) {
        most_in_use[card_of(pool)] = in_use[card_of(pool)];
    }
    return (attribute == RELEASE_THRESHOLD || attribute == USED_MEM_HIGH) && value ? OK : INVALID_VALUE;
}
int cuMemPoolTrimTo(void*, std::size_t) { return OK; } // nothing is kept
int cuMemPoolGetAttribute(void* pool, int attribute, void* value) {
    const std::lock_guard<std::mutex> guard(memory_lock);
    *static_cast<std::uint64_t*>(value) = most_in_use[card_of(pool)];
    return attribute == USED_MEM_HIGH ? OK : INVALID_VALUE;
}
int cuMemAllocAsync(std::uint64_t* address, std::size_t bytes, void*) { return allocate(address, bytes); }
int cuMemFree_v2(std::uint64_t address) {
    finish_all();
    return release(address);
}
int cuMemFreeAsync(std::uint64_t address, void* stream) {
    if (address != 0 && behind(address, true) == 0) {
        return INVALID_VALUE;
    }
    ask(stream, [=] { release(address); });
    return OK;
}
int cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
    const std::lock_guard<std::mutex> guard(memory_lock);
    *total = limit();
    *free = limit() - in_use[device];
    return OK;
}

// Memory of the host that the card reads and writes by itself, later; any other is copied on the way.
static std::mutex pinned_lock;
static std::map<std::uintptr_t, std::size_t> pinned;
static bool is_pinned(const void* address) {
    const std::lock_guard<std::mutex> guard(pinned_lock);
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    auto after = pinned.upper_bound(at);
    return after != pinned.begin() && at < std::prev(after)->first + std::prev(after)->second;
}
int cuMemHostAlloc(void** address, std::size_t bytes, unsigned) {
    *address = std::malloc(bytes);
    const std::lock_guard<std::mutex> guard(pinned_lock);
    pinned[reinterpret_cast<std::uintptr_t>(*address)] = bytes;
    return *address ? OK : OUT_OF_MEMORY;
}
int cuMemFreeHost(void* address) {
    finish_all();
    const std::lock_guard<std::mutex> guard(pinned_lock);
    pinned.erase(reinterpret_cast<std::uintptr_t>(address));
    std::free(address);
    return OK;
}

static int outside(std::size_t bytes) {
    std::fprintf(stderr, "emulated card: a copy of %zu bytes leaves its memory\n", bytes);
    return INVALID_VALUE;
}
static void* host(std::uint64_t address) { return reinterpret_cast<void*>(address); }
int cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t bytes, void* stream) {
    if (behind(to, true) < bytes) {
        return outside(bytes);
    }
    if (is_pinned(from)) {
        ask(stream, [=] { std::memcpy(host(to), from, bytes); });
    } else {
        const auto* const first = static_cast<const unsigned char*>(from);
        ask(stream, [to, bytes, kept = std::vector<unsigned char>(first, first + bytes)] { std::memcpy(host(to), kept.data(), bytes); });
    }
    return OK;
}
int cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t bytes, void* stream) {
    if (behind(from, true) < bytes) {
        return outside(bytes);
    }
    ask(stream, [=] { std::memcpy(to, host(from), bytes); });
    if (!is_pinned(to)) {
        finish(stream);
    }
    return OK;
}
int cuMemcpyDtoDAsync_v2(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream) {
    if (behind(to, true) < bytes || behind(from, true) < bytes) {
        return outside(bytes);
    }
    ask(stream, [=] { std::memmove(host(to), host(from), bytes); });
    return OK;
}
int cuMemcpyPeerAsync(std::uint64_t to, void*, std::uint64_t from, void*, std::size_t bytes, void* stream) {
    if (behind(to, false) < bytes || behind(from, false) < bytes) {
        return outside(bytes);
    }
    ask(stream, [=] { std::memmove(host(to), host(from), bytes); });
    return OK;
}
int cuMemsetD8Async(std::uint64_t to, unsigned char value, std::size_t bytes, void* stream) {
    if (behind(to, true) < bytes) {
        return outside(bytes);
    }
    ask(stream, [=] { std::memset(host(to), value, bytes); });
    return OK;
}

// The text of a module tells which kernels it has.
int cuModuleLoadData(void** module, const void* image) {
    auto* const made = new Module;
    const std::string text(static_cast<const char*>(image));
    const std::string mark = ".entry ";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at)) {
        at += mark.size();
        made->entries.push_back(text.substr(at, text.find_first_of("( \n", at) - at));
    }
    *module = made;
    return OK;
}
int cuModuleLoad(void**, const char*) { return NOT_FOUND; }
int cuModuleUnload(void* module) { delete static_cast<Module*>(module); return OK; }
int cuModuleGetFunction(void** function, void* module, const char* name) {
    const auto& entries = static_cast<Module*>(module)->entries;
    const auto found = kernels().find(name);
    const bool there = std::find(entries.begin(), entries.end(), name) != entries.end();
    if (!there || found == kernels().end()) {
        std::fprintf(stderr, "emulated card: no kernel %s %s\n", name, there ? "was compiled for the processor" : "in its module");
        return NOT_FOUND;
    }
    *function = &found->second;
    return OK;
}

int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void* stream, void** arguments, void** extra) {
    const std::uint64_t count = std::uint64_t(bx) * by * bz;
    if (gx == 0 || gy == 0 || gz == 0 || count == 0 || count > 1024 || gy > 65535 || gz > 65535 || gx > 0x7FFFFFFF ||
        shared > 48 << 10 || extra != nullptr) {
        return INVALID_VALUE;
    }
    const Kernel* const kernel = static_cast<Kernel*>(function);
    std::vector<std::array<unsigned char, 16>> kept(kernel->arguments);
    for (unsigned i = 0; i < kernel->arguments; ++i) {
        std::memcpy(kept[i].data(), arguments[i], kernel->sizes[i]);
    }
    ask(stream, [=]() mutable { launch(kernel, {gx, gy, gz}, {bx, by, bz}, kept); });
    return OK;
}

} // extern "C"
