// Eight residues at a time with AVX-512 IFMA: products of 52-bit integers, their halves added to 64-bit sums.
//
// Values are lazy as in Harvey, "Faster arithmetic for number-theoretic transforms" (2014): below 4q < 2^52 in the
// forward butterflies, below 2q in the inverse ones. `min(x, x - q)` in unsigned integers subtracts q where it can.
#pragma once

#include <immintrin.h>

#include "modulus.hpp"

namespace holdfast {
namespace {

struct Avx512Lanes {
    using V = __m512i;
    using Real = __m512d;
    static constexpr std::size_t kWidth = 8;
    static constexpr int kRadix = 3;
    static constexpr std::size_t kTerms = 15;  // their high halves, below 2^48 each, add up to less than 2^52

    struct Root {
        V w, quotient;
    };
    struct Sum {
        V low = _mm512_setzero_si512(), high = _mm512_setzero_si512();
    };

    V q, minus_q, twice, mask;  // minus_q modulo 2^52
    const Modulus& modulus;

    explicit Avx512Lanes(const Modulus& m)
        : q(all(m.q)),
          minus_q(all((u64{1} << kIfmaBits) - m.q)),
          twice(all(2 * m.q)),
          mask(all((u64{1} << kIfmaBits) - 1)),
          modulus(m) {}

    static void encode(const Modulus& m, u64 w, u64& number, u64& quotient) {
        number = w;
        quotient = shoup_quotient(w, m.q, kIfmaBits);
    }

    static V load(const u64* p) { return _mm512_loadu_si512(p); }
    static void store(u64* p, V x) { _mm512_storeu_si512(p, x); }
    static V all(u64 x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
    static V enter(V x) { return x; }
    V settle(V x) const { return x; }
    V leave(V x) const { return once(once(x, twice), q); }
    static Root root(u64 w, u64 quotient) { return {all(w), all(quotient)}; }

    V times(V x, const Root& r) const {
        const V zero = _mm512_setzero_si512();
        const V guess = _mm512_madd52hi_epu64(zero, x, r.quotient);
        return _mm512_and_si512(_mm512_madd52lo_epu64(_mm512_madd52lo_epu64(zero, x, r.w), guess, minus_q), mask);
    }
    V sum(V x, V y) const { return _mm512_add_epi64(x, y); }
    V difference(V x, V y) const { return _mm512_add_epi64(_mm512_sub_epi64(x, y), twice); }
    void forward(V& x, V& y, const Root& r) const {
        const V left = once(x, twice), right = times(y, r);
        x = sum(left, right);
        y = difference(left, right);
    }
    void inverse(V& x, V& y, const Root& r) const {
        const V left = once(sum(x, y), twice);
        y = times(difference(x, y), r);
        x = left;
    }

    V add(V x, V y) const { return once(_mm512_add_epi64(x, y), q); }
    V subtract(V x, V y) const {
        const V d = _mm512_sub_epi64(x, y);
        return _mm512_min_epu64(d, _mm512_add_epi64(d, q));
    }

    static void accumulate(Sum& s, V x, V y) {
        s.low = _mm512_madd52lo_epu64(s.low, x, y);
        s.high = _mm512_madd52hi_epu64(s.high, x, y);
    }
    V total(const Sum& s) const {
        const V high = _mm512_add_epi64(s.high, _mm512_srli_epi64(s.low, kIfmaBits));
        return folded(high, _mm512_and_si512(s.low, mask));
    }
    V reduce(V raw) const {
        const V size = _mm512_abs_epi64(raw);
        const V residue = folded(_mm512_srli_epi64(size, kIfmaBits), _mm512_and_si512(size, mask));
        const __mmask8 flip = _mm512_movepi64_mask(raw) & _mm512_test_epi64_mask(residue, residue);
        return _mm512_mask_sub_epi64(residue, flip, q, residue);
    }

    static Real real(V x) { return _mm512_cvtepu64_pd(x); }
    static Real real_zero() { return _mm512_setzero_pd(); }
    static Real real_add(Real total, Real x, double factor) {
        return _mm512_add_pd(total, _mm512_mul_pd(x, _mm512_set1_pd(factor)));
    }
    static V whole(Real x) { return _mm512_cvtpd_epu64(x); }

    // An automorphism maps aligned blocks of eight to aligned blocks of eight, because of the bit-reversed order.
    static V gather(const u64* row, const std::int32_t* indices) {
        const V within = _mm512_cvtepi32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(indices)));
        return _mm512_permutexvar_epi64(within, load(row + (*indices & ~7)));
    }

    // Exchanges the upper T of every 2T lanes of x with the lower T of y.
    template <std::size_t T>
    static void exchange(V& x, V& y) {
        const V a = x, b = y;
        if constexpr (T == 4) {
            x = _mm512_shuffle_i64x2(a, b, 0x44);
            y = _mm512_shuffle_i64x2(a, b, 0xEE);
        } else if constexpr (T == 2) {
            x = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), b);
            y = _mm512_permutex2var_epi64(a, _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15), b);
        } else {
            x = _mm512_unpacklo_epi64(a, b);
            y = _mm512_unpackhi_epi64(a, b);
        }
    }

    // 8/T roots, each in T neighbouring lanes.
    template <std::size_t T>
    static Root spread(const u64* w, const u64* quotient) {
        return {spread_one<T>(w), spread_one<T>(quotient)};
    }

private:
    template <std::size_t T>
    static V spread_one(const u64* p) {
        if constexpr (T == 4) {
            const V two = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
            return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1), two);
        } else if constexpr (T == 2) {
            const V four = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
            return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), four);
        } else {
            return load(p);
        }
    }
    V folded(V high, V low) const {  // high·2^52 + low, both below 2^52
        const V left = times(high, root(modulus.wrap_52, modulus.wrap_52_quotient));
        return leave(sum(left, times(low, root(1, modulus.one_52))));
    }
    static V once(V x, V bound) { return _mm512_min_epu64(x, _mm512_sub_epi64(x, bound)); }
};

}  // namespace
}  // namespace holdfast
