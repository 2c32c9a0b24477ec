// The functions of cuRAND that are called.
#include "memory.hpp"
#include "numbers.hpp"
#include "streams.hpp"

#include <algorithm>
#include <random>

using namespace card;

namespace {

constexpr int RAND_LAUNCH_FAILURE = 201, RAND_LENGTH_NOT_MULTIPLE = 105;

struct Generator : Handle {
    std::mt19937_64 numbers;
};

template <typename T, typename Distribution> int draw(Generator* generator, T* to, std::size_t count, Distribution distribution) {
    if (!card::holds(to, count * sizeof(T))) {
        return RAND_LAUNCH_FAILURE;
    }
    Values<T> drawn(count);
    std::generate(drawn.begin(), drawn.end(), [&] { return static_cast<T>(distribution(generator->numbers)); });
    card::ask(generator->stream, [=] { std::copy(drawn.begin(), drawn.end(), to); });
    return 0;
}

} // namespace

extern "C" {

int curandCreateGenerator(Generator** made, int) { *made = new Generator; return 0; }
int curandDestroyGenerator(Generator* generator) { delete generator; return 0; }
int curandSetPseudoRandomGeneratorSeed(Generator* generator, unsigned long long seed) { generator->numbers.seed(seed); return 0; }
int curandSetStream(Generator* generator, void* stream) { generator->stream = stream; return 0; }
int curandGenerateUniform(Generator* generator, float* to, std::size_t count) {
    return draw(generator, to, count, std::uniform_real_distribution<float>());
}
int curandGenerateUniformDouble(Generator* generator, double* to, std::size_t count) {
    return draw(generator, to, count, std::uniform_real_distribution<double>());
}
// Pairs are made: an odd number of them is refused, as cuRAND does.
int curandGenerateNormal(Generator* generator, float* to, std::size_t count, float mean, float deviation) {
    return count % 2 ? RAND_LENGTH_NOT_MULTIPLE : draw(generator, to, count, std::normal_distribution<float>(mean, deviation));
}
int curandGenerateNormalDouble(Generator* generator, double* to, std::size_t count, double mean, double deviation) {
    return count % 2 ? RAND_LENGTH_NOT_MULTIPLE : draw(generator, to, count, std::normal_distribution<double>(mean, deviation));
}

} // extern "C"
