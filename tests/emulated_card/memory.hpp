// What the libraries ask the driver about memory.
#pragma once
#include <cstddef>

namespace card {

// Whether so many bytes of the current card lie there.
bool holds(const void* address, std::size_t bytes);
int current_device();
void set_device(int device);
// Does all that was asked of any stream.
void finish_all();

} // namespace card
