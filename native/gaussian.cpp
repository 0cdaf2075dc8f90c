// holdfast.training.release._noise: Gaussian whole numbers from uniform words, and sums of whole numbers in which they are hidden.
// `holdfast.training.release.noise` draws the words, makes the tables and says what each number promises; the oracle in
// tests/training/noise_oracle.py does the same in NumPy, and both give the same bits.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "threads.hpp"

#if defined(__x86_64__)
#define HOLDFAST_AVX512
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // g++ 12 warns of its own header
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace holdfast {
namespace {

namespace nb = nanobind;

using std::int64_t;
using std::uint64_t;

template <class T, int Dimensions>
using Array = nb::ndarray<T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;

// A candidate is one word: where in the table, the sign, the place in the cell, then the first bits of two numbers of
// which hardly ever more is needed: the one that chooses between a slot's own cell and its alias, and the one that decides
// whether the candidate is kept.
constexpr int index_bits = 10;
constexpr int fraction_bits = 30;
constexpr int chooser_bits = 16;
constexpr int first_bits = 64 - index_bits - 1 - fraction_bits - chooser_bits;
constexpr std::size_t row_length = 4096;
constexpr double nanoseconds_each = 2;  // for a number, where a thread is worth waking
constexpr std::size_t piece = std::size_t{1} << 14;

void need(bool holds, const char* message) {
    if (!holds) throw nb::value_error(message);
}

constexpr uint64_t low(int bits) { return (uint64_t{1} << bits) - 1; }

// So many bits of a word, from `from` on.
constexpr uint64_t field(uint64_t word, int from, int bits) { return word >> from & low(bits); }

struct Tables {
    const uint64_t* slots;       // (1 << index_bits) see `Slot`
    const uint64_t* thresholds;  // (1 << index_bits) where in 64 bits a slot goes over from its own cell to its alias
};

// A slot is one word: where its own cell is kept for sure, the same of its alias, the alias, the first bits of the threshold.
struct Slot {
    uint64_t word;
    uint64_t sure(bool own) const { return field(word, own ? 0 : 8, 8); }
    uint64_t alias() const { return field(word, 16, 16); }
    uint64_t threshold() const { return field(word, 32, chooser_bits); }
};

struct Candidate {
    uint64_t word;
    uint64_t index() const { return field(word, 0, index_bits); }
    uint64_t fraction() const { return field(word, index_bits + 1, fraction_bits); }
    uint64_t chooser() const { return field(word, index_bits + 1 + fraction_bits, chooser_bits); }
    uint64_t first() const { return word >> (64 - first_bits); }
    int64_t value(uint64_t cell) const {
        const auto size = static_cast<int64_t>(cell << fraction_bits | fraction());
        return size ^ -static_cast<int64_t>(field(word, index_bits, 1));  // -size - 1 is the complement of size
    }
};

// Words for the candidates whose first bits do not decide.
struct Reserve {
    const uint64_t* next;
    const uint64_t* const end;
};

// Whether a candidate in `cell` at `fraction` is kept: with probability exp(-(2 j x + x²) / 2¹³).
bool kept(uint64_t cell, const Candidate& candidate, uint64_t rest) {
    const double x = (static_cast<double>(candidate.fraction()) + 0.5) * 0x1p-30;
    const double decider = (static_cast<double>(candidate.first()) + static_cast<double>(rest) * 0x1p-64) * 0x1p-7;
    return decider < std::exp((2.0 * static_cast<double>(cell) + x) * x * -0x1p-13);
}

enum class Fate { accepted, dropped, unknown };

// What becomes of a candidate, and its value where it is accepted; unknown where the reserve is at its end.
Fate decide(const Tables& tables, const Candidate& candidate, Reserve& reserve, int64_t& value) {
    const uint64_t index = candidate.index();
    const Slot slot{tables.slots[index]};
    bool own = candidate.chooser() < slot.threshold();
    if (candidate.chooser() == slot.threshold()) {
        if (reserve.next == reserve.end) return Fate::unknown;
        own = (candidate.chooser() << (64 - chooser_bits) | *reserve.next++ >> chooser_bits) < tables.thresholds[index];
    }
    const uint64_t cell = own ? index : slot.alias();
    if (candidate.first() >= slot.sure(own)) {
        if (reserve.next == reserve.end) return Fate::unknown;
        if (!kept(cell, candidate, *reserve.next++)) return Fate::dropped;
    }
    value = candidate.value(cell);
    return Fate::accepted;
}

constexpr std::size_t group = 8;
using Unsure = unsigned char[row_length / group];  // of each group of candidates, a bit for each that more bits must decide

// The values of a row of candidates, and which of them are unsure; without a branch, which would be a guess.
void first_look(const uint64_t* slots, const uint64_t* words, int64_t* values, Unsure& unsure) {
    std::memset(unsure, 0, sizeof unsure);
    for (std::size_t i = 0; i < row_length; ++i) {
        const Candidate candidate{words[i]};
        const uint64_t index = candidate.index();
        const Slot slot{slots[index]};
        const bool own = candidate.chooser() < slot.threshold();
        values[i] = candidate.value(own ? index : slot.alias());
        const bool open = (candidate.chooser() == slot.threshold()) | (candidate.first() >= slot.sure(own));
        unsure[i / group] = static_cast<unsigned char>(unsure[i / group] | open << i % group);
    }
}

#ifdef HOLDFAST_AVX512
// The same, a group at a time.
__attribute__((target("avx512f"))) void first_look_avx512(const uint64_t* slots, const uint64_t* words, int64_t* values,
                                                         Unsure& unsure) {
    const __m512i of_index = _mm512_set1_epi64(low(index_bits)), of_fraction = _mm512_set1_epi64(low(fraction_bits));
    const __m512i of_chooser = _mm512_set1_epi64(low(chooser_bits)), of_byte = _mm512_set1_epi64(low(8));
    for (std::size_t i = 0; i < row_length; i += group) {
        const __m512i word = _mm512_loadu_si512(words + i);
        const __m512i index = _mm512_and_si512(word, of_index);
        const __m512i slot = _mm512_i64gather_epi64(index, slots, 8);
        const __m512i chooser = _mm512_and_si512(_mm512_srli_epi64(word, index_bits + 1 + fraction_bits), of_chooser);
        const __m512i threshold = _mm512_srli_epi64(slot, 32);
        const __mmask8 own = _mm512_cmplt_epu64_mask(chooser, threshold);
        const __m512i alias = _mm512_and_si512(_mm512_srli_epi64(slot, 16), of_chooser);
        const __m512i cell = _mm512_mask_mov_epi64(alias, own, index);
        const __m512i sure = _mm512_and_si512(_mm512_mask_mov_epi64(_mm512_srli_epi64(slot, 8), own, slot), of_byte);
        const __m512i fraction = _mm512_and_si512(_mm512_srli_epi64(word, index_bits + 1), of_fraction);
        const __m512i size = _mm512_or_si512(_mm512_slli_epi64(cell, fraction_bits), fraction);
        const __m512i negative = _mm512_srai_epi64(_mm512_slli_epi64(word, 63 - index_bits), 63);
        _mm512_storeu_si512(values + i, _mm512_xor_si512(size, negative));
        const __m512i first = _mm512_srli_epi64(word, 64 - first_bits);
        unsure[i / group] = _mm512_cmpeq_epu64_mask(chooser, threshold) | _mm512_cmpge_epu64_mask(first, sure);
    }
}

#endif

auto* look = first_look;

// Whether the AVX-512 path is in use from now on: where it is wanted, and the machine has it.
bool use_avx512(bool wanted) {
    look = first_look;
#ifdef HOLDFAST_AVX512
    if (wanted && __builtin_cpu_supports("avx512f")) look = first_look_avx512;
#endif
    return look != first_look;
}

// Adds a row of numbers to `out` from a row of words: a candidate for each, then some in place of those that are dropped,
// then the reserve. Gives how many have got theirs, fewer than all only where these are not enough.
std::size_t fill(const Tables& tables, const uint64_t* words, std::size_t spares, std::size_t width, int64_t* out) {
    int64_t values[row_length];
    Unsure unsure;
    look(tables.slots, words, values, unsure);
    const uint64_t *spare = words + row_length, *const last = spare + spares;
    Reserve reserve{last, words + width};
    std::size_t done = row_length;
    for (std::size_t at = 0; at < row_length / group && done == row_length; ++at) {
        for (unsigned open = unsure[at]; open; open &= open - 1) {
            const std::size_t i = at * group + static_cast<std::size_t>(std::countr_zero(open));
            Fate fate = decide(tables, {words[i]}, reserve, values[i]);
            while (fate == Fate::dropped && spare != last) fate = decide(tables, {*spare++}, reserve, values[i]);
            if (fate != Fate::accepted) {
                done = i;
                break;
            }
        }
    }
    for (std::size_t i = 0; i < done; ++i) out[i] += values[i];
    return done;
}

// How many numbers of each row of `out` have got their noise, from the same row of `words`.
std::vector<std::size_t> add_gaussians(Array<const uint64_t, 2> words, std::size_t spares, Array<const uint64_t, 1> slots,
                                       Array<const uint64_t, 1> thresholds, Array<int64_t, 2> out) {
    constexpr std::size_t size = std::size_t{1} << index_bits;
    need(slots.size() == size && thresholds.size() == size, "tables of the wrong length");
    const std::size_t width = words.shape(1);
    need(words.shape(0) == out.shape(0) && out.shape(1) == row_length, "as many rows of words as of 4,096 numbers");
    need(width >= row_length && spares <= width - row_length, "rows of words that are longer than those of numbers");
    const Tables tables{slots.data(), thresholds.data()};
    std::vector<std::size_t> filled(out.shape(0));
    const nb::gil_scoped_release others_may_run;
    parallel(filled.size(), nanoseconds_each * row_length, [&](std::size_t row) {
        filled[row] = fill(tables, words.data() + row * width, spares, width, out.data() + row * row_length);
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
    m.def("add_gaussians", add_gaussians, raw("words"), nb::arg("spares"), raw("slots"), raw("thresholds"), raw("out"));
    m.def("use_avx512", use_avx512, nb::arg("wanted"));
    use_avx512(true);
    m.def("add_rounded", add_rounded<float>, raw("total"), raw("values"), nb::arg("per_unit"), nb::arg("largest"));
    m.def("add_rounded", add_rounded<double>, raw("total"), raw("values"), nb::arg("per_unit"), nb::arg("largest"));
    m.def("scaled", scaled<float>, raw("total"), nb::arg("unit"), raw("out"));
    m.def("scaled", scaled<double>, raw("total"), nb::arg("unit"), raw("out"));
}

}  // namespace holdfast
