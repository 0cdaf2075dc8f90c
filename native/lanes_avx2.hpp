// Four residues at a time with AVX2 and FMA: AVX2 has no 64-bit product, but the rounded double product h = x·w and the
// exact rest l = fma(x, w, -h) hold all of its 100 bits; b = round(x·w/q) leaves the remainder (h - b·q) + l.
//
// Inside a transform values are signed doubles below 4q < 2^52 in absolute value; `settle` brings them below q/2. A
// product of a value below 4q and a root (centred, below q/2) stays below q, because b is then at most one off.
#pragma once

#include <immintrin.h>

#include "modulus.hpp"

namespace holdfast {
namespace {

struct Avx2Lanes {
    using V = __m256d;  // or, outside of a transform, the bits of four canonical integers
    using Real = __m256d;
    static constexpr std::size_t kWidth = 4;
    static constexpr int kRadix = 2;
    static constexpr std::size_t kTerms = 4;  // remainders of at most q each

    struct Root {
        V w, quotient;
    };
    struct Sum {
        V total = _mm256_setzero_pd();
    };

    V q, inverse_q;
    Root wrap_32;

    explicit Avx2Lanes(const Modulus& m)
        : q(_mm256_set1_pd(static_cast<double>(m.q))), inverse_q(_mm256_set1_pd(m.inverse)) {
        u64 number, quotient;
        encode(m, m.wrap_32, number, quotient);
        wrap_32 = root(number, quotient);
    }

    static void encode(const Modulus& m, u64 w, u64& number, u64& quotient) {
        const double centred = w > m.q / 2 ? -static_cast<double>(m.q - w) : static_cast<double>(w);
        const double ratio = centred / static_cast<double>(m.q);
        __builtin_memcpy(&number, &centred, 8);
        __builtin_memcpy(&quotient, &ratio, 8);
    }

    static V load(const u64* p) { return _mm256_loadu_pd(reinterpret_cast<const double*>(p)); }
    static void store(u64* p, V x) { _mm256_storeu_pd(reinterpret_cast<double*>(p), x); }
    static V all(u64 x) { return bits(_mm256_set1_epi64x(static_cast<long long>(x))); }
    static V enter(V x) { return _mm256_sub_pd(_mm256_or_pd(x, magic()), magic()); }  // integers below 2^52
    V settle(V x) const { return _mm256_fnmadd_pd(nearest(_mm256_mul_pd(x, inverse_q)), q, x); }
    V leave(V x) const {
        const V s = settle(x);
        const V canonical = _mm256_add_pd(s, _mm256_and_pd(q, _mm256_cmp_pd(s, _mm256_setzero_pd(), _CMP_LT_OQ)));
        return _mm256_xor_pd(_mm256_add_pd(canonical, magic()), magic());
    }
    static Root root(u64 w, u64 quotient) { return {all(w), all(quotient)}; }

    V times(V x, const Root& r) const { return remainder(x, r.w, nearest(_mm256_mul_pd(x, r.quotient))); }
    V sum(V x, V y) const { return _mm256_add_pd(x, y); }
    V difference(V x, V y) const { return _mm256_sub_pd(x, y); }
    void forward(V& x, V& y, const Root& r) const {
        const V right = times(y, r);
        y = _mm256_sub_pd(x, right);
        x = _mm256_add_pd(x, right);
    }
    void inverse(V& x, V& y, const Root& r) const {
        const V left = _mm256_add_pd(x, y);
        y = times(_mm256_sub_pd(x, y), r);
        x = left;
    }

    V add(V x, V y) const { return leave(_mm256_add_pd(enter(x), enter(y))); }
    V subtract(V x, V y) const { return leave(_mm256_sub_pd(enter(x), enter(y))); }

    void accumulate(Sum& s, V x, V y) const {
        const V guess = nearest(_mm256_mul_pd(_mm256_mul_pd(x, y), inverse_q));
        s.total = _mm256_add_pd(s.total, remainder(x, y, guess));
    }
    V total(const Sum& s) const { return leave(s.total); }
    V reduce(V raw) const {  // the signed upper and the unsigned lower 32 bits apart
        const __m256i number = _mm256_castpd_si256(raw);
        const __m256i upper = _mm256_xor_si256(_mm256_srli_epi64(number, 32), _mm256_set1_epi64x(1LL << 31));
        const __m256i lower = _mm256_and_si256(number, _mm256_set1_epi64x((1LL << 32) - 1));
        const V high = _mm256_sub_pd(enter(bits(upper)), _mm256_set1_pd(2147483648.0));
        return leave(_mm256_add_pd(times(high, wrap_32), enter(bits(lower))));
    }

    static Real real(V x) { return x; }
    static Real real_zero() { return _mm256_setzero_pd(); }
    static Real real_add(Real total, Real x, double factor) {
        return _mm256_add_pd(total, _mm256_mul_pd(x, _mm256_set1_pd(factor)));
    }
    static V whole(Real x) { return nearest(x); }

    // An automorphism maps aligned blocks of four to aligned blocks of four, because of the bit-reversed order.
    static V gather(const u64* row, const std::int32_t* indices) {
        const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(indices));
        const __m256i even = _mm256_slli_epi64(_mm256_cvtepu32_epi64(four), 1);
        const __m256i odd = _mm256_slli_epi64(_mm256_add_epi64(even, _mm256_set1_epi64x(1)), 32);
        const __m256 block = _mm256_castpd_ps(load(row + (*indices & ~3)));
        return _mm256_castps_pd(_mm256_permutevar8x32_ps(block, _mm256_or_si256(even, odd)));
    }

    // Exchanges the upper T of every 2T lanes of x with the lower T of y.
    template <std::size_t T>
    static void exchange(V& x, V& y) {
        const V a = x, b = y;
        if constexpr (T == 2) {
            x = _mm256_permute2f128_pd(a, b, 0x20);
            y = _mm256_permute2f128_pd(a, b, 0x31);
        } else {
            x = _mm256_unpacklo_pd(a, b);
            y = _mm256_unpackhi_pd(a, b);
        }
    }

    // 4/T roots, each in T neighbouring lanes.
    template <std::size_t T>
    static Root spread(const u64* w, const u64* quotient) {
        return {spread_one<T>(w), spread_one<T>(quotient)};
    }

private:
    template <std::size_t T>
    static V spread_one(const u64* p) {
        if constexpr (T == 2) {
            const __m128d two = _mm_loadu_pd(reinterpret_cast<const double*>(p));
            return _mm256_permute4x64_pd(_mm256_castpd128_pd256(two), 0x50);
        } else {
            return load(p);
        }
    }
    V remainder(V x, V y, V quotient) const {
        const V high = _mm256_mul_pd(x, y);
        const V low = _mm256_fmsub_pd(x, y, high);
        return _mm256_add_pd(_mm256_fnmadd_pd(quotient, q, high), low);
    }
    static V nearest(V x) { return _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    static V bits(__m256i x) { return _mm256_castsi256_pd(x); }
    static V magic() { return _mm256_set1_pd(4503599627370496.0); }  // 2^52: its mantissa is the integer added to it
};

}  // namespace
}  // namespace holdfast
