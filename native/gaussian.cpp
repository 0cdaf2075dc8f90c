// holdfast.training.release._noise: Gaussian whole numbers from uniform words, and sums of whole numbers in which they are hidden.
// `holdfast.training.release.noise` draws the words, makes the tables and says what each number promises; the oracle in
// tests/training/noise_oracle.py does the same in NumPy, and both give the same bits.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "threads.hpp"

namespace holdfast {
namespace {

namespace nb = nanobind;

using std::int64_t;
using std::uint64_t;

template <class T, int Dimensions>
using Array = nb::ndarray<T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;

constexpr int index_bits = 10;
constexpr int fraction_bits = 30;
constexpr int first_bits = 64 - index_bits - 1 - fraction_bits;  // of the number that decides on acceptance
constexpr double nanoseconds_each = 3;                           // for a number, where a thread is worth waking
constexpr std::size_t piece = std::size_t{1} << 14;

void need(bool holds, const char* message) {
    if (!holds) throw nb::value_error(message);
}

struct Tables {
    const uint64_t* thresholds;   // (1 << index_bits) of the alias method
    const std::uint16_t* aliases;  // (1 << index_bits) cells
    const std::uint32_t* sure;     // (cells) where the first bits are below it, the candidate is kept
};

// Whether a candidate in `cell` at `fraction` is kept: with probability exp(-(2 j x + x²) / 2¹³).
bool kept(uint64_t cell, uint64_t fraction, uint64_t first, uint64_t rest) {
    const double x = (static_cast<double>(fraction) + 0.5) * 0x1p-30;
    const double decider = (static_cast<double>(first) + static_cast<double>(rest) * 0x1p-64) * 0x1p-23;
    return decider < std::exp((2.0 * static_cast<double>(cell) + x) * x * -0x1p-13);
}

// Adds numbers to `out` from a row of words: two for each candidate in order, then one for each that needs it.
std::size_t fill(const Tables& tables, const uint64_t* words, std::size_t candidates, std::size_t reserve, int64_t* out,
                 std::size_t wanted) {
    const uint64_t* next = words + 2 * candidates;
    const uint64_t* const end = next + reserve;
    std::size_t done = 0;
    for (std::size_t i = 0; i < candidates && done < wanted; ++i) {
        const uint64_t chooser = words[2 * i], bits = words[2 * i + 1];
        const uint64_t index = bits & ((1u << index_bits) - 1);
        const uint64_t alias = tables.aliases[index];
        const uint64_t own = -static_cast<uint64_t>(chooser < tables.thresholds[index]);  // a branch would be a guess
        const uint64_t cell = alias ^ ((alias ^ index) & own);
        const uint64_t fraction = (bits >> (index_bits + 1)) & ((1u << fraction_bits) - 1);
        const uint64_t first = bits >> (64 - first_bits);
        if (first >= tables.sure[cell]) [[unlikely]] {
            if (next == end) return done;
            if (!kept(cell, fraction, first, *next++)) continue;
        }
        const auto size = static_cast<int64_t>(cell << fraction_bits | fraction);
        const auto negative = static_cast<int64_t>(bits >> index_bits & 1);
        out[done++] += size ^ -negative;  // -size - 1 is the complement of size
    }
    return done;
}

// How many numbers of each row of `out` have got their noise, from the same row of `words`.
std::vector<std::size_t> add_gaussians(Array<const uint64_t, 2> words, std::size_t candidates,
                                   Array<const uint64_t, 1> thresholds, Array<const std::uint16_t, 1> aliases,
                                   Array<const std::uint32_t, 1> sure, Array<int64_t, 2> out) {
    constexpr std::size_t slots = std::size_t{1} << index_bits;
    need(thresholds.size() == slots && aliases.size() == slots && sure.size() <= slots, "tables of the wrong length");
    for (std::size_t i = 0; i < slots; ++i) need(aliases.data()[i] < sure.size(), "an alias outside the cells");
    for (std::size_t i = sure.size(); i < slots; ++i) need(thresholds.data()[i] == 0, "a slot outside the cells");
    const std::size_t width = words.shape(1), length = out.shape(1);
    need(words.shape(0) == out.shape(0) && candidates <= width / 2, "as many rows of words as of numbers");
    const Tables tables{thresholds.data(), aliases.data(), sure.data()};
    std::vector<std::size_t> filled(out.shape(0));
    const nb::gil_scoped_release others_may_run;
    parallel(filled.size(), nanoseconds_each * static_cast<double>(length), [&](std::size_t row) {
        filled[row] = fill(tables, words.data() + row * width, candidates, width - 2 * candidates,
                           out.data() + row * length, length);
    });
    return filled;
}

// Runs `work(begin, end)` over pieces of 0 … count - 1.
template <class Work>
void in_pieces(std::size_t count, const Work& work) {
    const nb::gil_scoped_release others_may_run;
    parallel((count + piece - 1) / piece, static_cast<double>(piece), [&](std::size_t number) {
        work(number * piece, std::min(count, (number + 1) * piece));
    });
}

// Compiled for each instruction set; the machine's own is taken when the module is loaded.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#define FOR_EACH_PATH __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PATH
#endif

template <class Real>
[[gnu::always_inline]] inline void add_rounded_loop(int64_t* total, const Real* values, std::size_t count,
                                                    double per_unit, double largest) {
    for (std::size_t i = 0; i < count; ++i) {
        const double x = static_cast<double>(values[i]) * per_unit;
        total[i] += static_cast<int64_t>(std::fabs(x) <= largest ? std::nearbyint(x) : 0.0);
    }
}

template <class Real>
[[gnu::always_inline]] inline void scale_loop(const int64_t* total, std::size_t count, double unit, Real* out) {
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<Real>(static_cast<double>(total[i]) * unit);
}

FOR_EACH_PATH void add_rounded_piece(int64_t* total, const float* values, std::size_t count, double per_unit, double largest) {
    add_rounded_loop(total, values, count, per_unit, largest);
}

FOR_EACH_PATH void add_rounded_piece(int64_t* total, const double* values, std::size_t count, double per_unit, double largest) {
    add_rounded_loop(total, values, count, per_unit, largest);
}

FOR_EACH_PATH void scale_piece(const int64_t* total, std::size_t count, double unit, float* out) {
    scale_loop(total, count, unit, out);
}

FOR_EACH_PATH void scale_piece(const int64_t* total, std::size_t count, double unit, double* out) {
    scale_loop(total, count, unit, out);
}

// total += the values in units, rounded to whole numbers. What is no number, or above `largest` units, counts as 0.
template <class Real>
void add_rounded(Array<int64_t, 1> total, Array<const Real, 1> values, double per_unit, double largest) {
    need(total.size() == values.size() && largest < 0x1p62, "as many values as whole numbers");
    in_pieces(total.size(), [&](std::size_t begin, std::size_t end) {
        add_rounded_piece(total.data() + begin, values.data() + begin, end - begin, per_unit, largest);
    });
}

// out = total * unit, rounded to the type of `out`.
template <class Real>
void scaled(Array<const int64_t, 1> total, double unit, Array<Real, 1> out) {
    need(total.size() == out.size(), "as many values as whole numbers");
    in_pieces(total.size(), [&](std::size_t begin, std::size_t end) {
        scale_piece(total.data() + begin, end - begin, unit, out.data() + begin);
    });
}

}  // namespace

NB_MODULE(_noise, m) {
    m.doc() = "Gaussian whole numbers; see holdfast.training.release.noise for what they promise.";
    const auto raw = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("add_gaussians", add_gaussians, raw("words"), nb::arg("candidates"), raw("thresholds"), raw("aliases"), raw("sure"),
          raw("out"));
    m.def("add_rounded", add_rounded<float>, raw("total"), raw("values"), nb::arg("per_unit"), nb::arg("largest"));
    m.def("add_rounded", add_rounded<double>, raw("total"), raw("values"), nb::arg("per_unit"), nb::arg("largest"));
    m.def("scaled", scaled<float>, raw("total"), nb::arg("unit"), raw("out"));
    m.def("scaled", scaled<double>, raw("total"), nb::arg("unit"), raw("out"));
}

}  // namespace holdfast
