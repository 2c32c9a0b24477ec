// What the parts of the card ask each other about memory.
#pragma once
#include <cstddef>
#include <cstdint>

namespace card {

// Whether so many bytes of the current card lie there.
bool holds(const void* address, std::size_t bytes);
// Whether it lies in memory of the current card or right behind.
bool is_address(std::uint64_t address);
int current_device();
void set_device(int device);
// Does all that was asked of any stream.
void finish_all();

} // namespace card
