// Streams and events of the driver.
#include "streams.hpp"
#include "memory.hpp"

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <set>
#include <utility>

namespace card {

namespace {

struct Stream {
    std::deque<std::function<void()>> waiting;
    std::uint64_t asked = 0, done = 0;
};
struct Event {
    Stream* stream = nullptr;
    std::uint64_t upto = 0;
};

// Of everything here; work asks for more work.
std::recursive_mutex lock;
Stream null_stream;
std::set<Stream*> streams{&null_stream};

bool is_late() {
    static const bool late = std::getenv("EMULATED_CARD_LATE") != nullptr;
    return late;
}

Stream& of(void* stream) { return stream ? *static_cast<Stream*>(stream) : null_stream; }

void step(Stream& stream) {
    const auto work = std::move(stream.waiting.front());
    stream.waiting.pop_front();
    work();
    stream.done += 1;
}

void finish_upto(Stream& stream, std::uint64_t upto) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    while (stream.done < upto && !stream.waiting.empty()) {
        step(stream);
    }
}

} // namespace

void ask(void* stream, std::function<void()> work) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    Stream& own = of(stream);
    own.asked += 1;
    own.waiting.push_back([work = std::move(work), device = current_device()] {
        const int before = current_device();
        set_device(device);
        work();
        set_device(before);
    });
    if (!is_late()) {
        finish_upto(own, own.asked);
    }
}

void finish(void* stream) { finish_upto(of(stream), of(stream).asked); }

void finish_all() {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    for (Stream* stream : streams) {
        finish(stream);
    }
}

} // namespace card

using namespace card;

extern "C" {

int cuStreamCreate(void** stream, unsigned) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    auto* const made = new Stream;
    streams.insert(made);
    *stream = made;
    return 0;
}
int cuStreamDestroy_v2(void* stream) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    finish(stream);
    streams.erase(static_cast<Stream*>(stream)); // events may still point to it
    return 0;
}
int cuStreamSynchronize(void* stream) { finish(stream); return 0; }
int cuStreamIsCapturing(void*, int* status) { *status = 0; return 0; }
int cuStreamWaitEvent(void* stream, void* event, unsigned) {
    const Event known = *static_cast<Event*>(event);
    ask(stream, [known] {
        if (known.stream) {
            finish_upto(*known.stream, known.upto);
        }
    });
    return 0;
}
int cuEventCreate(void** event, unsigned) { *event = new Event; return 0; }
int cuEventDestroy_v2(void* event) { delete static_cast<Event*>(event); return 0; }
int cuEventRecord(void* event, void* stream) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    *static_cast<Event*>(event) = {&of(stream), of(stream).asked};
    return 0;
}
int cuEventSynchronize(void* event) {
    const Event known = *static_cast<Event*>(event);
    if (known.stream) {
        finish_upto(*known.stream, known.upto);
    }
    return 0;
}
// Who asks again and again sees it come.
int cuEventQuery(void* event) {
    constexpr int NOT_READY = 600;
    const std::lock_guard<std::recursive_mutex> guard(lock);
    const Event known = *static_cast<Event*>(event);
    if (!known.stream || known.stream->done >= known.upto) {
        return 0;
    }
    step(*known.stream);
    return NOT_READY;
}
int cuCtxSynchronize() { finish_all(); return 0; }

} // extern "C"
