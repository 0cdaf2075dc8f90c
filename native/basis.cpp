#include "basis.hpp"

#include <stdexcept>

namespace holdfast {
namespace {

void check(bool fits, const char* message) {
    if (!fits) throw std::invalid_argument(message);
}

std::size_t bit_reversed(std::size_t k, int bits) {
    std::size_t out = 0;
    for (int i = 0; i < bits; ++i, k >>= 1) out = out << 1 | (k & 1);
    return out;
}

std::vector<u64> powers_in_reversed_order(u64 base, std::size_t count, u64 q) {
    const int bits = __builtin_ctzll(count);
    std::vector<u64> out(count);
    u64 power = 1;
    for (std::size_t k = 0; k < count; ++k, power = multiply_mod(power, base, q)) out[bit_reversed(k, bits)] = power;
    return out;
}

void check_below(const std::vector<u64>& values, const Basis& basis, const char* message) {
    check(values.size() == basis.size(), message);
    for (std::size_t i = 0; i < values.size(); ++i) check(values[i] < basis.modulus(i).q, message);
}

}  // namespace

Prime::Prime(std::size_t n, u64 q, u64 psi) : modulus(q > 1 ? q : 2), degree(n), psi_(psi) {
    check(n >= kSmallestDegree && n <= kLargestDegree && (n & (n - 1)) == 0,
          "the degree must be a power of two from 16 to 131072");
    check(q > 2 && q >> kPrimeBits == 0 && q % (2 * n) == 1,
          "a prime must be below 2^50, and 1 modulo twice the degree");
    check(psi < q && power_mod(psi, n, q) == q - 1, "psi must be a root of unity of order 2N");
}

const Tables& Prime::tables(int path) const {
    std::call_once(once_[path], [&] { build(path); });
    return built_[path].tables;
}

void Prime::build(int path) const {
    const u64 q = modulus.q;
    Built& built = built_[path];
    built.words.resize(4 * degree + 8);
    auto* words = reinterpret_cast<u64*>((reinterpret_cast<std::uintptr_t>(built.words.data()) + 63) / 64 * 64);
    const auto forward = powers_in_reversed_order(psi_, degree, q);
    const auto inverse = powers_in_reversed_order(power_mod(psi_, 2 * degree - 1, q), degree, q);
    const Path& encoder = *path_at(path);
    encoder.encode(modulus, forward.data(), words, words + degree, degree);
    encoder.encode(modulus, inverse.data(), words + 2 * degree, words + 3 * degree, degree);
    const u64 degree_inverse = q - (q - 1) / degree;  // N·(q - 1)/N = -1
    built.tables = {
        degree, degree_inverse, inverse[1], {words, words + degree}, {words + 2 * degree, words + 3 * degree}};
}

Basis::Basis(std::vector<std::shared_ptr<const Prime>> primes) : primes_(std::move(primes)) {
    check(!primes_.empty(), "a ring needs at least one prime");
    for (const auto& prime : primes_) check(prime && prime->degree == degree(), "all primes must be of one degree");
}

Conversion::Conversion(const Basis& source, const Basis& target, std::vector<u64> scale_,
                       std::vector<std::vector<u64>> matrix_, std::vector<u64> wrap_)
    : scale(std::move(scale_)), matrix(std::move(matrix_)), wrap(std::move(wrap_)) {
    const char* message = "the constants of a conversion must be residues of its primes";
    check(source.degree() == target.degree(), "source and target must be of one degree");
    check_below(scale, source, message);
    check_below(wrap, target, message);
    check(matrix.size() == target.size(), message);
    for (std::size_t t = 0; t < target.size(); ++t) {
        check(matrix[t].size() == source.size(), message);
        for (const u64 entry : matrix[t]) check(entry < target.modulus(t).q, message);
    }
    for (std::size_t i = 0; i < source.size(); ++i) fractions.push_back(source.modulus(i).inverse);
}

}  // namespace holdfast
