// Runs the blocks of a kernel one behind the other; a thread of a block is a fiber.
#include "card.hpp"
#include "memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

// Leaves the registers that a call keeps on the stack, goes over to the other stack and takes them up there.
extern "C" void card_switch(void** from, void* to);
asm(R"(
.text
.hidden card_switch
.globl card_switch
card_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

namespace card {

Index thread_of_block, block_of_grid, threads, blocks;

namespace {

enum class Waits { No, ForWarp, ForBlock };

struct Fiber {
    static constexpr std::size_t BYTES = 64 * 1024;
    std::unique_ptr<char[]> stack{new char[BYTES]};
    void* at = nullptr; // its stack's end while it does not run
    Waits waits = Waits::No;
    bool done = false;
    unsigned shuffles = 0;
    alignas(16) unsigned char left[2][16];

    void begin(void (*entry)()) {
        constexpr std::size_t REGISTERS = 6;
        auto top = reinterpret_cast<std::uintptr_t>(stack.get() + BYTES) / 16 * 16;
        auto* const words = reinterpret_cast<std::uintptr_t*>(top) - 2 - REGISTERS;
        std::fill(words, words + REGISTERS, 0);
        words[REGISTERS] = reinterpret_cast<std::uintptr_t>(entry);
        at = words;
        waits = Waits::No;
        done = false;
        shuffles = 0;
    }
};

std::vector<Fiber> fibers;
void* scheduler;
unsigned current;
bool in_fibers;
const Kernel* running;
void** arguments_of_running;

void place(unsigned flat) {
    current = flat;
    thread_of_block = {flat % threads.x, flat / threads.x % threads.y, flat / threads.x / threads.y};
}

[[noreturn]] void die(const char* why) {
    std::fprintf(stderr, "emulated card: %s: %s\n", running ? running->name : "?", why);
    std::abort();
}

bool barrier_seen;

void wait(Waits how) {
    if (!in_fibers) {
        die("a barrier in a block after one without any");
    }
    barrier_seen = true;
    const unsigned self = current;
    fibers[self].waits = how;
    card_switch(&fibers[self].at, scheduler);
    place(self);
}

void run_fiber() {
    running->call(arguments_of_running);
    fibers[current].done = true;
    card_switch(&fibers[current].at, scheduler);
    std::abort(); // nobody goes on with what is done
}

// Lets go on what waits and has no one left to wait for.
bool release(unsigned count) {
    bool any = false;
    bool whole_block = true;
    for (unsigned first = 0; first < count; first += 32) {
        const unsigned end = std::min(first + 32, count);
        bool whole_warp = true;
        for (unsigned i = first; i < end; ++i) {
            whole_block = whole_block && (fibers[i].done || fibers[i].waits == Waits::ForBlock);
            whole_warp = whole_warp && (fibers[i].done || fibers[i].waits == Waits::ForWarp);
        }
        for (unsigned i = first; whole_warp && i < end; ++i) {
            any = any || !fibers[i].done;
            fibers[i].waits = Waits::No;
        }
    }
    for (unsigned i = 0; whole_block && i < count; ++i) {
        any = any || !fibers[i].done;
        fibers[i].waits = Waits::No;
    }
    return any;
}

void run_block_in_fibers(unsigned count) {
    in_fibers = true;
    if (fibers.size() < count) {
        fibers.resize(count);
    }
    for (unsigned i = 0; i < count; ++i) {
        fibers[i].begin(run_fiber);
    }
    do {
        for (unsigned i = 0; i < count; ++i) {
            if (!fibers[i].done && fibers[i].waits == Waits::No) {
                place(i);
                card_switch(&scheduler, fibers[i].at);
            }
        }
    } while (release(count));
    for (unsigned i = 0; i < count; ++i) {
        if (!fibers[i].done) {
            die("threads wait at barriers that the others do not reach");
        }
    }
    in_fibers = false;
}

void run_block(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        place(i);
        running->call(arguments_of_running);
    }
}

// Which kernels were seen to need no barriers.
std::unordered_map<const Kernel*, bool> direct;

} // namespace

void launch(const Kernel* kernel, Index grid, Index block, std::vector<std::array<unsigned char, 16>>& kept) {
    static const bool tells = std::getenv("EMULATED_CARD_TELLS") != nullptr;
    static std::mutex one_at_a_time;
    const std::lock_guard<std::mutex> guard(one_at_a_time);
    running = kernel;
    std::vector<void*> arguments;
    for (unsigned i = 0; i < kernel->arguments; ++i) {
        std::uint64_t address = 0;
        std::memcpy(&address, kept[i].data(), sizeof address);
        if ((kernel->pointers >> i & 1) != 0 && address != 0 && !is_address(address)) {
            std::fprintf(stderr, "emulated card: argument %u is no address of card %d\n", i, current_device());
            die("an illegal memory access");
        }
        arguments.push_back(kept[i].data());
    }
    if (tells) {
        std::fprintf(stderr, "%s (%u,%u,%u) of (%u,%u,%u)\n", kernel->name, grid.x, grid.y, grid.z, block.x, block.y, block.z);
    }
    arguments_of_running = arguments.data();
    threads = block;
    blocks = grid;
    const unsigned count = block.x * block.y * block.z;
    for (unsigned z = 0; z < grid.z; ++z) {
        for (unsigned y = 0; y < grid.y; ++y) {
            for (unsigned x = 0; x < grid.x; ++x) {
                block_of_grid = {x, y, z};
                const auto known_kind = direct.find(kernel);
                if (known_kind != direct.end() && known_kind->second) {
                    run_block(count);
                    continue;
                }
                barrier_seen = false;
                run_block_in_fibers(count);
                direct.emplace(kernel, !barrier_seen);
            }
        }
    }
}

void block_barrier() { wait(Waits::ForBlock); }
void warp_barrier() { wait(Waits::ForWarp); }
unsigned lane() { return current % 32; }
void begin_shuffle() { fibers[current].shuffles += 1; }
// By turns one of two places: who is at the next shuffle leaves alone what is still read of this one.
void* exchange(unsigned lane) { return fibers[current / 32 * 32 + lane].left[fibers[current].shuffles % 2]; }

} // namespace card
