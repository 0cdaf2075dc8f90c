// NumPy arrays in and out, and the checks of their shapes. A failed check is a ValueError in Python; a wrong type or
// layout is nanobind's TypeError.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <vector>

#include "basis.hpp"
#include "memory.hpp"

namespace holdfast {

namespace nb = nanobind;

using Residues = nb::ndarray<const u64, nb::c_contig, nb::device::cpu>;
using Signed = nb::ndarray<const std::int64_t, nb::c_contig, nb::device::cpu>;
using Indices = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Array = nb::ndarray<nb::numpy, u64>;
using Shape = std::vector<std::size_t>;

inline void need(bool holds, const char* message) {
    if (!holds) throw nb::value_error(message);
}

template <class T>
Shape shape_of(const T& a) {
    Shape shape(a.ndim());
    for (std::size_t i = 0; i < a.ndim(); ++i) shape[i] = a.shape(i);
    return shape;
}

inline std::size_t count_of(const Shape& shape) {
    std::size_t count = 1;
    for (const std::size_t length : shape)
        need(!__builtin_mul_overflow(count, length, &count), "an array is too large");
    return count;
}

// The rows of residues (..., limbs, N), which must be those of the basis.
inline std::size_t rows_of(const Residues& a, const Basis& basis) {
    need(a.ndim() >= 2 && a.shape(a.ndim() - 2) == basis.size() && a.shape(a.ndim() - 1) == basis.degree(),
         "residues must be (..., limbs, N) with the limbs and the degree of their ring");
    return a.size() / basis.degree();
}

// A new array that `work` fills while other Python threads run.
template <class Work>
Array fill(const Shape& shape, Work&& work) {
    const std::size_t count = count_of(shape);
    need(count <= (std::size_t{1} << 32), "an array is too large");
    Words words(count);
    {
        const nb::gil_scoped_release others_may_run;
        work(words.data());
    }
    u64* data = words.release();
    const nb::capsule owner(data, [](void* p) noexcept { give_words(static_cast<u64*>(p)); });
    return Array(data, shape.size(), shape.data(), owner);
}

inline void need_residues(const std::vector<u64>& constants, const Basis& basis) {
    need(constants.size() == basis.size(), "there must be one constant for each prime");
    for (std::size_t i = 0; i < basis.size(); ++i)
        need(constants[i] < basis.modulus(i).q, "a constant is not below its prime");
}

inline void need_conversion(const Conversion& c, std::size_t source, std::size_t target) {
    need(c.scale.size() == source && c.wrap.size() == target, "the conversion is one between other primes");
}

inline void need_chain(const Basis& chain, const Basis& full) {
    bool holds = chain.size() <= full.size() && chain.degree() == full.degree();
    for (std::size_t i = 0; holds && i < chain.size(); ++i) holds = chain.modulus(i).q == full.modulus(i).q;
    need(holds, "the chain's primes must be the first of all primes");
}

inline void need_indices(const Indices& indices) {
    std::uint32_t out_of_range = 0;
    const auto n = static_cast<std::uint32_t>(indices.size());
    for (std::size_t j = 0; j < n; ++j) out_of_range |= static_cast<std::uint32_t>(indices.data()[j]) >= n;
    need(!out_of_range, "an index is out of range");
}

// In bit-reversed order every automorphism takes aligned blocks of eight to aligned blocks of eight.
inline void need_automorphism(const Indices& indices, std::size_t n) {
    need(indices.size() == n, "there must be one index for each value");
    need_indices(indices);
    const std::int32_t* at = indices.data();
    std::int32_t differing = 0;
    for (std::size_t block = 0; block < n; block += 8) {
        for (std::size_t j = 1; j < 8; ++j) differing |= at[block] ^ at[block + j];
    }
    need((differing & ~7) == 0, "the indices must be those of an automorphism");
}

inline std::size_t packed_bytes(const std::vector<unsigned>& widths, std::size_t n, std::size_t rows) {
    std::size_t bytes = 0;
    for (const unsigned width : widths) {
        need(width >= 1 && width <= 64, "a width must be 1 to 64 bits");
        bytes += width * n / 8 * (rows / widths.size());
    }
    return bytes;
}

}  // namespace holdfast
