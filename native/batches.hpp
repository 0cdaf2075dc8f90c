// The kernels over whole arrays of limbs, spread over threads. Shapes were checked by the caller.
#pragma once

#include <vector>

#include "basis.hpp"

namespace holdfast {

// An operand whose rows are used again from the start where the other one has more.
struct Operand {
    const u64* data;
    std::size_t rows;

    const u64* row(std::size_t at, std::size_t n) const { return data + at % (rows * n); }
};

// `rows` rows; row r is modulo the prime number r % limbs. `out` may be an operand.
void forward(const Basis&, std::size_t rows, const u64* a, u64* out);
void inverse(const Basis&, std::size_t rows, const u64* a, u64* out);
void add(const Basis&, std::size_t rows, const u64* a, Operand b, u64* out);
void subtract(const Basis&, std::size_t rows, const u64* a, Operand b, u64* out);
void multiply(const Basis&, std::size_t rows, const u64* a, Operand b, u64* out);
void negate(const Basis&, std::size_t rows, const u64* a, u64* out);
void scale(const Basis&, std::size_t rows, const u64* a, const std::vector<u64>& constants, u64* out);

// `count` polynomials of signed integers to `count` times limbs rows.
void reduce(const Basis&, std::size_t count, const std::int64_t* a, u64* out);

void dot(const Basis&, std::size_t rows, const std::vector<Operand>& a, const std::vector<Operand>& b, u64* out);

// out[o] = Σ a[i]·weights[o][i], `rows` rows each. A weight is constant on each of `runs` runs of a row, and may differ
// from limb to limb: (limbs, runs, outputs, terms).
void combine(const Basis&, std::size_t rows, const std::vector<const u64*>& a, const u64* weights, std::size_t runs,
             std::size_t outputs, u64* out);

// out[row][j] = a[row][indices[j]]; indices lie in [0, n).
void permute(std::size_t rows, std::size_t n, const u64* a, const std::int32_t* indices, u64* out);

// `count` polynomials of source limbs to target limbs.
void convert(const Basis& source, const Basis& target, const Conversion&, std::size_t count, const u64* a, u64* out);

}  // namespace holdfast
