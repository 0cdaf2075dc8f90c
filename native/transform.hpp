// The number-theoretic transform over X^N + 1, once for all instruction sets.
//
// Stages are those of Longa and Naehrig (2016): decimation in time forward, in frequency back, roots in bit-reversed
// order, so that no reordering is needed. A pass does up to `kRadix` stages with its values in registers. After the
// first pass forward (before the last pass back) the row falls apart into independent blocks, and each is finished
// while it is in the nearest cache. The stages inside a vector are joined to the pass beside them.
#pragma once

#include "modulus.hpp"
#include "unroll.hpp"

namespace holdfast {
namespace {

// How many stages each pass does, first pass first: as many as fit, but 2 + 2 rather than 3 + 1.
struct Passes {
    int stages[20] = {};
    int count = 0;

    Passes(int total, int radix) {
        while (total > 0) {
            const int take = total <= radix ? total : (total == radix + 1 && radix > 2 ? radix - 1 : radix);
            stages[count++] = take;
            total -= take;
        }
    }
};

inline int log_2(std::size_t n) { return __builtin_ctzll(n); }

template <class L>
struct Transform {
    using V = typename L::V;
    using Root = typename L::Root;
    static constexpr std::size_t W = L::kWidth;

    const L lanes;
    const Tables& tables;
    const Roots roots;
    const std::size_t n;

    Transform(const Modulus& m, const Tables& t, const Roots& r) : lanes(m), tables(t), roots(r), n(t.degree) {}

    template <int C>
    struct GroupRoots {
        Root each[(1 << C) - 1];  // 1 root of the outermost stage, then 2, then 4
    };

    template <int C>
    [[gnu::always_inline]] GroupRoots<C> group_roots(std::size_t m, std::size_t group) const {
        GroupRoots<C> out;
        unroll<C>([&](auto c) __attribute__((always_inline)) {
            unroll<(1u << c)>([&](auto b) __attribute__((always_inline)) {
                const std::size_t at = ((m + group) << c) + b;
                out.each[(1u << c) - 1 + b] = L::root(roots.w[at], roots.quotient[at]);
            });
        });
        return out;
    }

    // The stage inside vectors whose partners are T apart, on the 2W values from `at` on.
    template <std::size_t T>
    [[gnu::always_inline]] Root lane_roots(std::size_t at) const {
        const std::size_t first = (n + at) / (2 * T);
        return L::template spread<T>(roots.w + first, roots.quotient + first);
    }

    template <std::size_t T>
    [[gnu::always_inline]] void lanes_forward(V& x, V& y, std::size_t at) const {
        if constexpr (T > 0) {
            L::template exchange<T>(x, y);
            lanes.forward(x, y, lane_roots<T>(at));
            lanes_forward<T / 2>(x, y, at);
            L::template exchange<T>(x, y);
        }
    }

    template <std::size_t T>
    [[gnu::always_inline]] void lanes_inverse(V& x, V& y, std::size_t at) const {
        if constexpr (T > 0) {
            L::template exchange<T>(x, y);
            lanes_inverse<T / 2>(x, y, at);
            lanes.inverse(x, y, lane_roots<T>(at));
            L::template exchange<T>(x, y);
        }
    }

    // C stages from m groups on, on the groups [begin, end).
    template <int C, bool kFirst, bool kLast>
    void forward_pass(std::size_t m, std::size_t begin, std::size_t end, const u64* in, u64* out) const {
        constexpr std::size_t R = std::size_t{1} << C;
        const std::size_t length = n / m, step = length / R;
        for (std::size_t group = begin; group < end; ++group) {
            const auto root = group_roots<C>(m, group);
            for (std::size_t j = group * length; j < group * length + step; j += W) {
                V v[R];
                unroll<R>([&](auto k) __attribute__((always_inline)) {
                    const V x = L::load(in + j + k * step);
                    v[k] = kFirst ? L::enter(x) : lanes.settle(x);
                });
                unroll<C>([&](auto c) __attribute__((always_inline)) {
                    unroll<R / 2>([&](auto k) __attribute__((always_inline)) {
                        constexpr std::size_t half = R >> (c + 1), block = k / half, x = block * 2 * half + k % half;
                        lanes.forward(v[x], v[x + half], root.each[(1u << c) - 1 + block]);
                    });
                });
                if constexpr (kLast && W > 1) {
                    unroll<R / 2>([&](auto k) __attribute__((always_inline)) {
                        lanes_forward<W / 2>(v[2 * k], v[2 * k + 1], j + 2 * k * W);
                    });
                }
                unroll<R>([&](auto k) __attribute__((always_inline)) {
                    L::store(out + j + k * step, kLast ? lanes.leave(v[k]) : v[k]);
                });
            }
        }
    }

    // C stages down to m groups. The last pass multiplies by `ends`: the scale, and the scale times its last root.
    template <int C, bool kFirst, bool kLast>
    void inverse_pass(std::size_t m, std::size_t begin, std::size_t end, const u64* in, u64* out,
                      const Root* ends) const {
        constexpr std::size_t R = std::size_t{1} << C;
        const std::size_t length = n / m, step = length / R;
        for (std::size_t group = begin; group < end; ++group) {
            const auto root = group_roots<C>(m, group);
            for (std::size_t j = group * length; j < group * length + step; j += W) {
                V v[R];
                unroll<R>([&](auto k) __attribute__((always_inline)) {
                    const V x = L::load(in + j + k * step);
                    v[k] = kFirst ? L::enter(x) : lanes.settle(x);
                });
                if constexpr (kFirst && W > 1) {
                    unroll<R / 2>([&](auto k) __attribute__((always_inline)) {
                        lanes_inverse<W / 2>(v[2 * k], v[2 * k + 1], j + 2 * k * W);
                        v[2 * k] = lanes.settle(v[2 * k]);
                        v[2 * k + 1] = lanes.settle(v[2 * k + 1]);
                    });
                }
                unroll<C>([&](auto s) __attribute__((always_inline)) {
                    constexpr std::size_t c = C - 1 - s;
                    unroll<R / 2>([&](auto k) __attribute__((always_inline)) {
                        constexpr std::size_t half = R >> (c + 1), block = k / half, x = block * 2 * half + k % half;
                        if constexpr (kLast && c == 0) {
                            const V sum = lanes.sum(v[x], v[x + half]), rest = lanes.difference(v[x], v[x + half]);
                            v[x] = lanes.times(sum, ends[0]);
                            v[x + half] = lanes.times(rest, ends[1]);
                        } else {
                            lanes.inverse(v[x], v[x + half], root.each[(1u << c) - 1 + block]);
                        }
                    });
                });
                unroll<R>([&](auto k) __attribute__((always_inline)) {
                    L::store(out + j + k * step, kLast ? lanes.leave(v[k]) : v[k]);
                });
            }
        }
    }

    template <bool kFirst, bool kLast>
    void forward_stages(int stages, std::size_t m, std::size_t begin, std::size_t end, const u64* in, u64* out) const {
        if (stages == 1) return forward_pass<1, kFirst, kLast>(m, begin, end, in, out);
        if (stages == 2) return forward_pass<2, kFirst, kLast>(m, begin, end, in, out);
        if constexpr (L::kRadix > 2) forward_pass<3, kFirst, kLast>(m, begin, end, in, out);
    }

    template <bool kFirst, bool kLast>
    void inverse_stages(int stages, std::size_t m, std::size_t begin, std::size_t end, const u64* in, u64* out,
                        const Root* ends) const {
        if (stages == 1) return inverse_pass<1, kFirst, kLast>(m, begin, end, in, out, ends);
        if (stages == 2) return inverse_pass<2, kFirst, kLast>(m, begin, end, in, out, ends);
        if constexpr (L::kRadix > 2) inverse_pass<3, kFirst, kLast>(m, begin, end, in, out, ends);
    }

    void forward(const u64* in, u64* out) const {
        const Passes passes(log_2(n) - log_2(W), L::kRadix);
        if (passes.count == 1) return forward_stages<true, true>(passes.stages[0], 1, 0, 1, in, out);
        forward_stages<true, false>(passes.stages[0], 1, 0, 1, in, out);
        const std::size_t blocks = std::size_t{1} << passes.stages[0];
        for (std::size_t block = 0; block < blocks; ++block) {
            std::size_t m = blocks, begin = block, end = block + 1;
            for (int pass = 1; pass + 1 < passes.count; ++pass) {
                const int stages = passes.stages[pass];
                forward_stages<false, false>(stages, m, begin, end, out, out);
                m <<= stages, begin <<= stages, end <<= stages;
            }
            forward_stages<false, true>(passes.stages[passes.count - 1], m, begin, end, out, out);
        }
    }

    void inverse(const u64* in, u64* out, const Root* ends) const {
        const Passes passes(log_2(n) - log_2(W), L::kRadix);
        if (passes.count == 1) return inverse_stages<true, true>(passes.stages[0], 1, 0, 1, in, out, ends);
        const std::size_t blocks = std::size_t{1} << passes.stages[0];
        for (std::size_t block = 0; block < blocks; ++block) {
            std::size_t m = n / W;
            for (int pass = passes.count - 1; pass > 0; --pass) {
                const int stages = passes.stages[pass];
                m >>= stages;
                const std::size_t share = m / blocks, begin = block * share, end = begin + share;
                if (pass == passes.count - 1) {
                    inverse_stages<true, false>(stages, m, begin, end, in, out, ends);
                } else {
                    inverse_stages<false, false>(stages, m, begin, end, out, out, ends);
                }
            }
        }
        inverse_stages<false, true>(passes.stages[0], 1, 0, 1, out, out, ends);
    }
};

}  // namespace
}  // namespace holdfast
