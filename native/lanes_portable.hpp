// One residue at a time, in 64-bit integers with 128-bit products: every machine can.
//
// Values are lazy as in Harvey, "Faster arithmetic for number-theoretic transforms" (2014): below 4q in the forward
// butterflies, below 2q in the inverse ones.
#pragma once

#include <algorithm>
#include <cmath>

#include "modulus.hpp"

namespace holdfast {
namespace {

struct PortableLanes {
    using V = u64;
    using Real = double;
    static constexpr std::size_t kWidth = 1;
    static constexpr int kRadix = 2;             // stages per pass
    static constexpr std::size_t kTerms = 1024;  // products that one Sum may take

    struct Root {
        V w, quotient;
    };
    struct Sum {
        u128 total = 0;
    };

    u64 q, twice;
    const Modulus& modulus;

    explicit PortableLanes(const Modulus& m) : q(m.q), twice(2 * m.q), modulus(m) {}

    static void encode(const Modulus& m, u64 w, u64& number, u64& quotient) {
        number = w;
        quotient = shoup_quotient(w, m.q, 64);
    }

    static V load(const u64* p) { return *p; }
    static void store(u64* p, V x) { *p = x; }
    static V all(u64 x) { return x; }
    static V enter(V x) { return x; }
    V settle(V x) const { return x; }
    V leave(V x) const { return once(once(x, twice), q); }
    static Root root(u64 w, u64 quotient) { return {w, quotient}; }

    V times(V x, const Root& r) const {
        const u64 guess = static_cast<u64>((static_cast<u128>(x) * r.quotient) >> 64);
        return x * r.w - guess * q;
    }
    V sum(V x, V y) const { return x + y; }
    V difference(V x, V y) const { return x + twice - y; }
    void forward(V& x, V& y, const Root& r) const {
        const V left = once(x, twice), right = times(y, r);
        x = left + right;
        y = left + twice - right;
    }
    void inverse(V& x, V& y, const Root& r) const {
        const V left = once(x + y, twice);
        y = times(x + twice - y, r);
        x = left;
    }

    V add(V x, V y) const { return once(x + y, q); }
    V subtract(V x, V y) const { return once(x + q - y, q); }

    static void accumulate(Sum& s, V x, V y) { s.total += static_cast<u128>(x) * y; }
    V total(const Sum& s) const {
        const u64 high = static_cast<u64>(s.total >> 64), low = static_cast<u64>(s.total);
        return leave(times(high, {modulus.wrap_64, modulus.wrap_64_quotient}) + times(low, {1, modulus.one_64}));
    }
    V reduce(V raw) const {
        const u64 sign = ~(raw >> 63) + 1;  // all ones for a negative number
        const V residue = leave(times((raw ^ sign) - sign, {1, modulus.one_64}));
        return residue ^ ((residue ^ subtract(0, residue)) & sign);
    }

    static Real real(V x) { return static_cast<double>(x); }
    static Real real_zero() { return 0.0; }
    static Real real_add(Real total, Real x, double factor) { return total + x * factor; }
    static V whole(Real x) { return static_cast<u64>(std::nearbyint(x)); }

    static V gather(const u64* row, const std::int32_t* indices) { return row[*indices]; }

private:
    static V once(V x, V bound) { return std::min(x, x - bound); }  // x - bound where that is not negative
};

}  // namespace
}  // namespace holdfast
