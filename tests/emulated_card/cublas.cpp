// The functions of cuBLAS that are called: sums of floats, rounded where the card would round.
#include "memory.hpp"
#include "numbers.hpp"
#include "streams.hpp"

#include <algorithm>
#include <cstdio>

using namespace card;

namespace {

constexpr int BLAS_INVALID = 7, BLAS_EXECUTION_FAILED = 13, BLAS_NOT_SUPPORTED = 15;

bool blas_kind(int number, Kind* kind) {
    switch (number) {
        case 0: *kind = Kind::Float; return true;
        case 1: *kind = Kind::Double; return true;
        case 2: *kind = Kind::Half; return true;
        case 14: *kind = Kind::Brain; return true;
        default: return false;
    }
}

// A matrix (rows, columns) of columns, the other way round where `turned`; answers its rows one behind the other.
template <typename R> Values<R> matrix(Kind kind, const void* from, std::size_t offset, int rows, int columns, int leading, bool turned, bool rounded) {
    Values<R> values(std::size_t(rows) * columns);
    for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j) {
            const std::size_t at = turned ? std::size_t(i) * leading + j : std::size_t(j) * leading + i;
            values[std::size_t(i) * columns + j] = rounded_or_not<R>(read(kind, from, offset + at), rounded);
        }
    }
    return values;
}

} // namespace

extern "C" {

int cublasCreate_v2(Handle** handle) { *handle = new Handle; return 0; }
int cublasDestroy_v2(Handle* handle) { delete handle; return 0; }
int cublasSetStream_v2(Handle* handle, void* stream) { handle->stream = stream; return 0; }

int cublasGemmStridedBatchedEx(Handle* handle, int turn_a, int turn_b, int m, int n, int k, const void* alpha, const void* a, int a_kind, int lda,
                               long long step_a, const void* b, int b_kind, int ldb, long long step_b, const void* beta, void* c,
                               int c_kind, int ldc, long long step_c, int batch, int compute, int) {
    Kind of_a, of_b, of_c;
    if (!blas_kind(a_kind, &of_a) || !blas_kind(b_kind, &of_b) || !blas_kind(c_kind, &of_c) || of_a != of_b) {
        return BLAS_NOT_SUPPORTED;
    }
    if (m < 0 || n < 0 || k < 0 || batch < 0 || lda < std::max(1, turn_a ? k : m) || ldb < std::max(1, turn_b ? n : k) || ldc < std::max(1, m)) {
        return BLAS_INVALID;
    }
    if (m == 0 || n == 0 || batch == 0) {
        return 0;
    }
    const Kind of_factors = compute == 64 ? Kind::Half : compute == 70 ? Kind::Double : Kind::Float;
    const double up = read(of_factors, alpha, 0), old = read(of_factors, beta, 0);
    const auto last = [&](long long step, int leading, int columns, int rows) {
        return std::size_t((batch - 1) * step + (long long)(leading) * (columns - 1) + rows);
    };
    const bool inside = (k == 0 || (card::holds(a, bytes_of(of_a) * last(step_a, lda, turn_a ? m : k, turn_a ? k : m)) &&
                                    card::holds(b, bytes_of(of_b) * last(step_b, ldb, turn_b ? k : n, turn_b ? n : k)))) &&
        card::holds(c, bytes_of(of_c) * last(step_c, ldc, n, m));
    if (!inside) {
        std::fprintf(stderr, "emulated card: a matrix product leaves its memory\n");
        return BLAS_EXECUTION_FAILED;
    }
    const bool rounded = compute == 77;
    const auto multiply = [=](auto zero, int item) {
        using R = decltype(zero);
        const Values<R> left = matrix<R>(of_a, a, item * step_a, m, k, lda, turn_a != 0, rounded);
        const Values<R> right = matrix<R>(of_b, b, item * step_b, k, n, ldb, turn_b != 0, rounded);
        Values<R> sums(std::size_t(m) * n);
        product(m, n, k, left.data(), right.data(), sums.data());
        for (int j = 0; j < n; ++j) {
            for (int i = 0; i < m; ++i) {
                const std::size_t at = item * step_c + std::size_t(j) * ldc + i;
                const double before = old == 0 ? 0 : old * read(of_c, c, at);
                write(of_c, c, at, up * sums[std::size_t(i) * n + j] + before);
            }
        }
    };
    card::ask(handle->stream, [=] {
        for (int item = 0; item < batch; ++item) {
            of_c == Kind::Double ? multiply(0.0, item) : multiply(0.0f, item);
        }
    });
    return 0;
}

int cublasDgemmStridedBatched(Handle* handle, int turn_a, int turn_b, int m, int n, int k, const double* alpha, const double* a, int lda,
                              long long step_a, const double* b, int ldb, long long step_b, const double* beta, double* c, int ldc,
                              long long step_c, int batch) {
    return cublasGemmStridedBatchedEx(handle, turn_a, turn_b, m, n, k, alpha, a, 1, lda, step_a, b, 1, ldb, step_b, beta, c, 1, ldc,
                                      step_c, batch, 70, 0);
}

} // extern "C"
