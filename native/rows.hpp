// The kernels of `Path` over a row, once for all instruction sets: `L` says how wide a vector is and what it can do.
#pragma once

#include "path.hpp"
#include "transform.hpp"

namespace holdfast {
namespace {

template <class L>
struct Rows {
    using V = typename L::V;
    using Sum = typename L::Sum;
    using Root = typename L::Root;
    static constexpr std::size_t W = L::kWidth;

    static Root constant(const Modulus& m, u64 w) {
        u64 number, quotient;
        L::encode(m, w, number, quotient);
        return L::root(number, quotient);
    }

    static void encode(const Modulus& m, const u64* w, u64* number, u64* quotient, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) L::encode(m, w[i], number[i], quotient[i]);
    }

    static void forward(const Modulus& m, const Tables& t, const u64* in, u64* out) {
        Transform<L>(m, t, t.forward).forward(in, out);
    }

    static void inverse(const Modulus& m, const Tables& t, const u64* in, u64* out, u64 scale) {
        const u64 first = multiply_mod(scale, t.degree_inverse, m.q);
        const Root ends[2] = {constant(m, first), constant(m, multiply_mod(first, t.last_root, m.q))};
        Transform<L>(m, t, t.inverse).inverse(in, out, ends);
    }

    static void add(const Modulus& m, const u64* a, const u64* b, u64* out, std::size_t n) {
        const L lanes(m);
        for (std::size_t j = 0; j < n; j += W) L::store(out + j, lanes.add(L::load(a + j), L::load(b + j)));
    }

    static void subtract(const Modulus& m, const u64* a, const u64* b, u64* out, std::size_t n) {
        const L lanes(m);
        for (std::size_t j = 0; j < n; j += W) L::store(out + j, lanes.subtract(L::load(a + j), L::load(b + j)));
    }

    static void negate(const Modulus& m, const u64* a, u64* out, std::size_t n) {
        const L lanes(m);
        for (std::size_t j = 0; j < n; j += W) L::store(out + j, lanes.subtract(L::all(0), L::load(a + j)));
    }

    static void multiply(const Modulus& m, const u64* a, const u64* b, u64* out, std::size_t n) {
        const L lanes(m);
        for (std::size_t j = 0; j < n; j += W) {
            Sum sum;
            lanes.accumulate(sum, L::enter(L::load(a + j)), L::enter(L::load(b + j)));
            L::store(out + j, lanes.total(sum));
        }
    }

    static void scale(const Modulus& m, const u64* a, u64 factor, u64* out, std::size_t n) {
        const L lanes(m);
        const Root root = constant(m, factor);
        for (std::size_t j = 0; j < n; j += W) {
            L::store(out + j, lanes.leave(lanes.times(L::enter(L::load(a + j)), root)));
        }
    }

    static void subtract_scale(const Modulus& m, const u64* a, const u64* b, u64 factor, u64* out, std::size_t n) {
        const L lanes(m);
        const Root root = constant(m, factor);
        for (std::size_t j = 0; j < n; j += W) {
            const V d = lanes.difference(L::enter(L::load(a + j)), L::enter(L::load(b + j)));
            L::store(out + j, lanes.leave(lanes.times(d, root)));
        }
    }

    static void reduce(const Modulus& m, const std::int64_t* a, u64* out, std::size_t n) {
        const L lanes(m);
        for (std::size_t j = 0; j < n; j += W) {
            L::store(out + j, lanes.reduce(L::load(reinterpret_cast<const u64*>(a) + j)));
        }
    }

    static void dot(const Modulus& m, const u64* const* a, const u64* const* b, std::size_t terms, u64* out,
                    std::size_t n) {
        const L lanes(m);
        std::size_t j = 0;
        for (; j + 4 * W <= n; j += 4 * W) dot_at<4>(lanes, a, b, terms, out, j);
        for (; j < n; j += W) dot_at<1>(lanes, a, b, terms, out, j);
    }

    static void combine(const Modulus& m, const u64* const* a, const u64* weights, std::size_t terms,
                        std::size_t outputs, u64* const* out, std::size_t n) {
        const L lanes(m);
        for (std::size_t j = 0; j < n; j += 2 * W) {  // so many columns of all rows stay in the nearest cache
            const bool both = j + 2 * W <= n;
            for (std::size_t o = 0; o < outputs;) {
                if (both && o + 4 <= outputs) {
                    combine_at<4, 2>(lanes, a, weights + o * terms, terms, out + o, j);
                    o += 4;
                } else {
                    both ? combine_at<1, 2>(lanes, a, weights + o * terms, terms, out + o, j)
                         : combine_at<1, 1>(lanes, a, weights + o * terms, terms, out + o, j);
                    o += 1;
                }
            }
        }
    }

    static void key_product(const Modulus& m, const u64* const* digits, const u64* const* key_0,
                            const u64* const* key_1, std::size_t terms, const std::int32_t* indices, u64* out_0,
                            u64* out_1, std::size_t n) {
        const L lanes(m);
        for (std::size_t j = 0; j < n; j += W) {
            V total_0 = L::all(0), total_1 = L::all(0);
            for (std::size_t first = 0; first < terms; first += L::kTerms) {
                Sum sum_0, sum_1;
                for (std::size_t i = first; i < first + L::kTerms && i < terms; ++i) {
                    const V digit = L::enter(indices ? L::gather(digits[i], indices + j) : L::load(digits[i] + j));
                    lanes.accumulate(sum_0, digit, L::enter(L::load(key_0[i] + j)));
                    lanes.accumulate(sum_1, digit, L::enter(L::load(key_1[i] + j)));
                }
                total_0 = first ? lanes.add(total_0, lanes.total(sum_0)) : lanes.total(sum_0);
                total_1 = first ? lanes.add(total_1, lanes.total(sum_1)) : lanes.total(sum_1);
            }
            L::store(out_0 + j, total_0);
            L::store(out_1 + j, total_1);
        }
    }

    static void convert(const Modulus& m, const u64* const* y, const double* fractions, const u64* matrix, u64 wrap,
                        std::size_t terms, u64* out, std::size_t n) {
        const L lanes(m);
        const V wraps = L::enter(L::all(wrap));
        for (std::size_t j = 0; j < n; j += W) {
            auto parts = L::real_zero();
            V total = L::all(0);
            Sum sum;
            for (std::size_t i = 0; i < terms; ++i) {
                if (i && i % (L::kTerms - 1) == 0) {  // room is left for the last product
                    total = lanes.add(total, lanes.total(sum));
                    sum = Sum();
                }
                const V value = L::enter(L::load(y[i] + j));
                parts = L::real_add(parts, L::real(value), fractions[i]);
                lanes.accumulate(sum, value, L::enter(L::all(matrix[i])));
            }
            lanes.accumulate(sum, L::whole(parts), wraps);
            L::store(out + j, lanes.add(total, lanes.total(sum)));
        }
    }

    static Path path(const char* name, bool (*supported)()) {
        return {name,   supported, encode,         forward, inverse, add,     subtract,    multiply,
                negate, scale,     subtract_scale, reduce,  dot,     combine, key_product, convert};
    }

private:
    // O outputs in U vectors each: every vector and every weight that is loaded serves several products.
    template <std::size_t O, std::size_t U>
    static void combine_at(const L& lanes, const u64* const* a, const u64* weights, std::size_t terms, u64* const* out,
                           std::size_t j) {
        V total[O * U] = {};
        for (std::size_t first = 0; first < terms; first += L::kTerms) {
            Sum sum[O * U];
            for (std::size_t i = first; i < first + L::kTerms && i < terms; ++i) {
                V x[U];
                unroll<U>([&](auto u) __attribute__((always_inline)) { x[u] = L::enter(L::load(a[i] + j + u * W)); });
                unroll<O>([&](auto o) __attribute__((always_inline)) {
                    const V weight = L::enter(L::all(weights[o * terms + i]));
                    unroll<U>([&](auto u)
                                  __attribute__((always_inline)) { lanes.accumulate(sum[o * U + u], x[u], weight); });
                });
            }
            unroll<O * U>([&](auto s) __attribute__((always_inline)) {
                total[s] = first ? lanes.add(total[s], lanes.total(sum[s])) : lanes.total(sum[s]);
            });
        }
        unroll<O * U>([&](auto s) __attribute__((always_inline)) { L::store(out[s / U] + j + s % U * W, total[s]); });
    }

    // U vectors at a time: long runs of memory from each of the many rows.
    template <std::size_t U>
    static void dot_at(const L& lanes, const u64* const* a, const u64* const* b, std::size_t terms, u64* out,
                       std::size_t j) {
        V total[U] = {};
        for (std::size_t first = 0; first < terms; first += L::kTerms) {
            Sum sum[U];
            for (std::size_t i = first; i < first + L::kTerms && i < terms; ++i) {
                unroll<U>([&](auto u) __attribute__((always_inline)) {
                    lanes.accumulate(sum[u], L::enter(L::load(a[i] + j + u * W)), L::enter(L::load(b[i] + j + u * W)));
                });
            }
            unroll<U>([&](auto u) __attribute__((always_inline)) {
                total[u] = first ? lanes.add(total[u], lanes.total(sum[u])) : lanes.total(sum[u]);
            });
        }
        unroll<U>([&](auto u) __attribute__((always_inline)) { L::store(out + j + u * W, total[u]); });
    }
};

}  // namespace
}  // namespace holdfast
