#include "batches.hpp"

#include <algorithm>

#include "costs.hpp"
#include "memory.hpp"
#include "threads.hpp"

namespace holdfast {
namespace {

template <class Row>
void each_row(const Basis& basis, std::size_t rows, double nanoseconds, Row&& row) {
    const std::size_t n = basis.degree(), limbs = basis.size();
    parallel(rows, nanoseconds, [&](std::size_t r) { row(basis[r % limbs], r % limbs, r * n); });
}

}  // namespace

void forward(const Basis& basis, std::size_t rows, const u64* a, u64* out) {
    const int path = active_path();
    each_row(basis, rows, transform_cost(basis.degree()), [&](const Prime& p, std::size_t, std::size_t at) {
        path_at(path)->forward(p.modulus, p.tables(path), a + at, out + at);
    });
}

void inverse(const Basis& basis, std::size_t rows, const u64* a, u64* out) {
    const int path = active_path();
    each_row(basis, rows, transform_cost(basis.degree()), [&](const Prime& p, std::size_t, std::size_t at) {
        path_at(path)->inverse(p.modulus, p.tables(path), a + at, out + at, 1);
    });
}

void add(const Basis& basis, std::size_t rows, const u64* a, Operand b, u64* out) {
    const Path& path = *path_at(active_path());
    each_row(basis, rows, row_cost(basis.degree()), [&](const Prime& p, std::size_t, std::size_t at) {
        path.add(p.modulus, a + at, b.row(at, p.degree), out + at, p.degree);
    });
}

void subtract(const Basis& basis, std::size_t rows, const u64* a, Operand b, u64* out) {
    const Path& path = *path_at(active_path());
    each_row(basis, rows, row_cost(basis.degree()), [&](const Prime& p, std::size_t, std::size_t at) {
        path.subtract(p.modulus, a + at, b.row(at, p.degree), out + at, p.degree);
    });
}

void multiply(const Basis& basis, std::size_t rows, const u64* a, Operand b, u64* out) {
    const Path& path = *path_at(active_path());
    each_row(basis, rows, row_cost(basis.degree()), [&](const Prime& p, std::size_t, std::size_t at) {
        path.multiply(p.modulus, a + at, b.row(at, p.degree), out + at, p.degree);
    });
}

void negate(const Basis& basis, std::size_t rows, const u64* a, u64* out) {
    const Path& path = *path_at(active_path());
    each_row(basis, rows, row_cost(basis.degree()),
             [&](const Prime& p, std::size_t, std::size_t at) { path.negate(p.modulus, a + at, out + at, p.degree); });
}

void scale(const Basis& basis, std::size_t rows, const u64* a, const std::vector<u64>& constants, u64* out) {
    const Path& path = *path_at(active_path());
    each_row(basis, rows, row_cost(basis.degree()), [&](const Prime& p, std::size_t limb, std::size_t at) {
        path.scale(p.modulus, a + at, constants[limb], out + at, p.degree);
    });
}

void reduce(const Basis& basis, std::size_t count, const std::int64_t* a, u64* out) {
    const Path& path = *path_at(active_path());
    const std::size_t n = basis.degree(), limbs = basis.size();
    parallel(count * limbs, row_cost(n),
             [&](std::size_t r) { path.reduce(basis.modulus(r % limbs), a + r / limbs * n, out + r * n, n); });
}

void dot(const Basis& basis, std::size_t rows, const std::vector<Operand>& a, const std::vector<Operand>& b, u64* out) {
    const Path& path = *path_at(active_path());
    const std::size_t n = basis.degree(), terms = a.size();
    each_row(basis, rows, row_cost(n) * static_cast<double>(terms), [&](const Prime& p, std::size_t, std::size_t at) {
        std::vector<const u64*> left(terms), right(terms);
        for (std::size_t i = 0; i < terms; ++i) {
            left[i] = a[i].row(at, n);
            right[i] = b[i].row(at, n);
        }
        path.dot(p.modulus, left.data(), right.data(), terms, out + at, n);
    });
}

void combine(const Basis& basis, std::size_t rows, const std::vector<const u64*>& a, const u64* weights,
             std::size_t runs, std::size_t outputs, u64* out) {
    const Path& path = *path_at(active_path());
    const std::size_t n = basis.degree(), terms = a.size(), length = n / runs;
    parallel(rows * runs, row_cost(length) * static_cast<double>(terms * outputs), [&](std::size_t item) {
        const std::size_t row = item / runs, run = item % runs, limb = row % basis.size();
        const std::size_t at = row * n + run * length;
        std::vector<const u64*> left(terms);
        std::vector<u64*> result(outputs);
        for (std::size_t i = 0; i < terms; ++i) left[i] = a[i] + at;
        for (std::size_t o = 0; o < outputs; ++o) result[o] = out + o * rows * n + at;
        path.combine(basis.modulus(limb), left.data(), weights + (limb * runs + run) * outputs * terms, terms, outputs,
                     result.data(), length);
    });
}

void permute(std::size_t rows, std::size_t n, const u64* a, const std::int32_t* indices, u64* out) {
    parallel(rows, row_cost(n), [&](std::size_t r) {
        for (std::size_t j = 0; j < n; ++j) out[r * n + j] = a[r * n + static_cast<std::size_t>(indices[j])];
    });
}

void convert(const Basis& source, const Basis& target, const Conversion& conversion, std::size_t count, const u64* a,
             u64* out) {
    const Path& path = *path_at(active_path());
    const std::size_t n = source.degree(), from = source.size(), to = target.size();
    const Words scaled(count * from * n);
    scale(source, count * from, a, conversion.scale, scaled.data());
    parallel(count * to, row_cost(n) * static_cast<double>(from), [&](std::size_t r) {
        std::vector<const u64*> y(from);
        for (std::size_t i = 0; i < from; ++i) y[i] = scaled.data() + (r / to * from + i) * n;
        path.convert(target.modulus(r % to), y.data(), conversion.fractions.data(), conversion.matrix[r % to].data(),
                     conversion.wrap[r % to], from, out + r * n, n);
    });
}

}  // namespace holdfast
