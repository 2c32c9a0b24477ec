// What a card is asked for, in the order of its streams.
#pragma once
#include <functional>

namespace card {

// Does it now; with EMULATED_CARD_LATE only when somebody waits for the stream, as late as a card may: then whoever reads, writes or
// frees without having waited is found out. A null stream is one like the others.
void ask(void* stream, std::function<void()> work);
// Does all that was asked of a stream so far, and what that waits for.
void finish(void* stream);

} // namespace card
