// holdfast.he._native: the kernels on NumPy arrays. Every array is checked here for type, layout and shape, so that no
// call from Python can read or write outside of it; residues out of range give wrong numbers and nothing worse.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "arrays.hpp"
#include "batches.hpp"
#include "packing.hpp"
#include "switching.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace holdfast {
namespace {

using Conversions = std::vector<const Conversion*>;

template <auto Kernel>
Array elementwise(const Basis& basis, const Residues& a) {
    const std::size_t rows = rows_of(a, basis);
    return fill(shape_of(a), [&](u64* out) { Kernel(basis, rows, a.data(), out); });
}

Operand right_operand(const Residues& b, std::size_t rows, const Basis& basis) {
    const std::size_t own = rows_of(b, basis);
    need(own == rows || own == basis.size(), "the right operand must be one polynomial, or as many as the left");
    return {b.data(), own};
}

template <auto Kernel>
Array elementwise_two(const Basis& basis, const Residues& a, const Residues& b) {
    const std::size_t rows = rows_of(a, basis);
    const Operand right = right_operand(b, rows, basis);
    return fill(shape_of(a), [&](u64* out) { Kernel(basis, rows, a.data(), right, out); });
}

Array scale_by(const Basis& basis, const Residues& a, const std::vector<u64>& constants) {
    const std::size_t rows = rows_of(a, basis);
    need_residues(constants, basis);
    return fill(shape_of(a), [&](u64* out) { scale(basis, rows, a.data(), constants, out); });
}

Array dot_of(const Basis& basis, const std::vector<Residues>& a, const std::vector<Residues>& b) {
    need(!a.empty() && a.size() == b.size(), "a dot product takes as many left as right operands, and at least one");
    std::vector<Operand> left, right;
    for (std::size_t i = 0; i < a.size(); ++i) {
        left.push_back({a[i].data(), rows_of(a[i], basis)});
        right.push_back(right_operand(b[i], left[i].rows, basis));
        need(shape_of(a[i]) == shape_of(a[0]), "all left operands must have the same shape");
    }
    return fill(shape_of(a[0]), [&](u64* out) { dot(basis, left[0].rows, left, right, out); });
}

Array combined(const Basis& basis, const std::vector<Residues>& a, const Residues& weights) {
    need(!a.empty(), "a combination takes at least one operand");
    const std::size_t rows = rows_of(a[0], basis);
    std::vector<const u64*> left;
    for (const Residues& term : a) {
        need(rows_of(term, basis) == rows && shape_of(term) == shape_of(a[0]), "all operands must have the same shape");
        left.push_back(term.data());
    }
    need(weights.ndim() == 4 && weights.shape(0) == basis.size() && weights.shape(3) == a.size(),
         "weights must be (limbs, runs, outputs, operands)");
    const std::size_t runs = weights.shape(1), outputs = weights.shape(2);
    need(runs > 0 && basis.degree() % (8 * runs) == 0, "runs must be as long as eight values or a multiple of them");
    Shape shape = shape_of(a[0]);
    shape.insert(shape.begin(), outputs);
    return fill(shape, [&](u64* out) { combine(basis, rows, left, weights.data(), runs, outputs, out); });
}

Array reduced(const Basis& basis, const Signed& a) {
    need(a.ndim() >= 1 && a.shape(a.ndim() - 1) == basis.degree(),
         "the last axis must have as many entries as the degree");
    Shape shape = shape_of(a);
    shape.insert(shape.end() - 1, basis.size());
    return fill(shape, [&](u64* out) { reduce(basis, a.size() / basis.degree(), a.data(), out); });
}

Array permuted(const Residues& a, const Indices& indices) {
    need(a.ndim() >= 1 && a.shape(a.ndim() - 1) == indices.size(), "there must be one index for each value");
    need_indices(indices);
    const std::size_t n = indices.size(), rows = n ? a.size() / n : 0;
    return fill(shape_of(a), [&](u64* out) { permute(rows, n, a.data(), indices.data(), out); });
}

Array converted(const Basis& source, const Basis& target, const Conversion& conversion, const Residues& a) {
    const std::size_t count = rows_of(a, source) / source.size();
    need_conversion(conversion, source.size(), target.size());
    Shape shape = shape_of(a);
    shape[shape.size() - 2] = target.size();
    return fill(shape, [&](u64* out) { convert(source, target, conversion, count, a.data(), out); });
}

Array decomposed(const Basis& chain, const Basis& full, const Conversions& conversions, std::size_t width,
                 const Residues& c) {
    need(c.ndim() == 2 && rows_of(c, chain) == chain.size(), "a polynomial (limbs, N) is decomposed");
    need_chain(chain, full);
    need(width > 0 && conversions.size() == (chain.size() + width - 1) / width,
         "there must be one conversion for each digit");
    for (std::size_t d = 0; d < conversions.size(); ++d) {
        need_conversion(*conversions[d], std::min(width, chain.size() - d * width), full.size());
    }
    return fill({conversions.size(), full.size(), full.degree()},
                [&](u64* out) { decompose(chain, full, conversions, width, c.data(), out); });
}

Array key_product_of(const Basis& full, const Residues& digits, const Residues& key,
                     const std::vector<std::size_t>& rows, const std::optional<Indices>& indices) {
    need(digits.ndim() == 3 && digits.shape(1) == full.size() && digits.shape(2) == full.degree(),
         "digits must be (digits, limbs, N)");
    need(key.ndim() == 4 && key.shape(0) >= digits.shape(0) && key.shape(1) == 2 && key.shape(3) == full.degree(),
         "a key must be (digits, 2, limbs, N), with no fewer digits than there are");
    need(rows.size() == full.size(), "there must be one row of the key for each limb");
    for (const std::size_t row : rows) need(row < key.shape(2), "a row of the key is out of range");
    if (indices) need_automorphism(*indices, full.degree());
    return fill({2, full.size(), full.degree()}, [&](u64* out) {
        key_product(full, digits.shape(0), digits.data(), key.data(), key.shape(2), rows,
                    indices ? indices->data() : nullptr, out);
    });
}

Array divided(const Basis& chain, const Basis& full, const Conversion& conversion, const std::vector<u64>& inverses,
              const Residues& a) {
    const std::size_t rows = rows_of(a, full);
    need_chain(chain, full);
    need(chain.size() < full.size(), "there must be primes to divide by");
    need_residues(inverses, chain);
    need_conversion(conversion, full.size() - chain.size(), chain.size());
    Shape shape = shape_of(a);
    shape[shape.size() - 2] = chain.size();
    return fill(shape,
                [&](u64* out) { mod_down(chain, full, conversion, inverses, rows / full.size(), a.data(), out); });
}

nb::bytes packed(const Residues& a, const std::vector<unsigned>& widths) {
    const std::size_t limbs = widths.size(), n = a.ndim() >= 2 ? a.shape(a.ndim() - 1) : 0;
    need(a.ndim() >= 2 && limbs > 0 && a.shape(a.ndim() - 2) == limbs && n % 8 == 0,
         "residues to pack must be (..., limbs, N)");
    std::vector<unsigned char> out(packed_bytes(widths, n, n ? a.size() / n : 0));
    unsigned char* at = out.data();
    for (std::size_t row = 0; n && row < a.size() / n; ++row) {
        pack_row(a.data() + row * n, widths[row % limbs], n, at);
        at += widths[row % limbs] * n / 8;
    }
    return nb::bytes(reinterpret_cast<const char*>(out.data()), out.size());
}

Array unpacked(const nb::bytes& data, const std::vector<unsigned>& widths, const Shape& shape) {
    need(shape.size() >= 2 && !widths.empty() && shape[shape.size() - 2] == widths.size() && shape.back() % 8 == 0,
         "residues to unpack must be (..., limbs, N)");
    const std::size_t n = shape.back(), rows = n ? count_of(shape) / n : 0;
    const std::size_t expected = packed_bytes(widths, n, rows);
    if (data.size() != expected) {
        throw nb::value_error(
            ("expected " + std::to_string(expected) + " bytes of packed residues, got " + std::to_string(data.size()))
                .c_str());
    }
    const auto* at = reinterpret_cast<const unsigned char*>(data.c_str());
    return fill(shape, [&](u64* out) {
        for (std::size_t row = 0; row < rows; ++row) {
            unpack_row(at, widths[row % widths.size()], n, out + row * n);
            at += widths[row % widths.size()] * n / 8;
        }
    });
}

nb::tuple available() {
    nb::list names;
    for (int i = 0; i < kPathCount; ++i) {
        if (path_at(i) && path_at(i)->supported()) names.append(path_at(i)->name);
    }
    return nb::tuple(names);
}

void choose(const std::string& name) {
    need(use_path(name.c_str()), "this machine cannot take the path that was asked for");
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Kernels of the lattice engine; see holdfast.he.kernels for what they promise.";
    const auto raw = [](const char* name) { return nb::arg(name).noconvert(); };

    nb::class_<Prime>(m, "Prime").def(nb::init<std::size_t, u64, u64>(), "degree"_a, "prime"_a, "psi"_a);
    nb::class_<Basis>(m, "Basis").def(nb::init<std::vector<std::shared_ptr<const Prime>>>(), "primes"_a);
    nb::class_<Conversion>(m, "Conversion")
        .def(nb::init<const Basis&, const Basis&, std::vector<u64>, std::vector<std::vector<u64>>, std::vector<u64>>(),
             "source"_a, "target"_a, "scale"_a, "matrix"_a, "wrap"_a);

    m.def("forward", elementwise<forward>, "basis"_a, raw("a"));
    m.def("inverse", elementwise<inverse>, "basis"_a, raw("a"));
    m.def("negate", elementwise<negate>, "basis"_a, raw("a"));
    m.def("add", elementwise_two<add>, "basis"_a, raw("a"), raw("b"));
    m.def("subtract", elementwise_two<subtract>, "basis"_a, raw("a"), raw("b"));
    m.def("multiply", elementwise_two<multiply>, "basis"_a, raw("a"), raw("b"));
    m.def("scale", scale_by, "basis"_a, raw("a"), "constants"_a);
    m.def("dot", dot_of, "basis"_a, raw("a"), raw("b"));
    m.def("combine", combined, "basis"_a, raw("a"), raw("weights"));
    m.def("reduce", reduced, "basis"_a, raw("coefficients"));
    m.def("permute", permuted, raw("a"), raw("indices"));
    m.def("convert", converted, "source"_a, "target"_a, "conversion"_a, raw("a"));
    m.def("decompose", decomposed, "chain"_a, "full"_a, "conversions"_a, "width"_a, raw("c"));
    m.def("key_product", key_product_of, "full"_a, raw("digits"), raw("key"), "rows"_a,
          nb::arg("indices").noconvert().none());
    m.def("mod_down", divided, "chain"_a, "full"_a, "conversion"_a, "inverses"_a, raw("a"));
    m.def("pack_bits", packed, raw("a"), "widths"_a);
    m.def("unpack_bits", unpacked, "data"_a, "widths"_a, "shape"_a);
    m.def("available_paths", available);
    m.def("use_path", choose, "name"_a);
    m.def("set_threads", set_threads, "count"_a);
}

}  // namespace holdfast
