// holdfast.training.sgd.layers._products: the sum over rows of weight times outer product, as private training needs it of
// the two factors of a layer's gradients. `layers/sums.py` is the only caller and says what it promises.
//
// A matrix product of a library would want the weighted factor written out, and one call for each block of rows. Here the
// weights go in where a strip of one factor is packed, and the blocks are added up in the same pass.
//
// Work is shared by OpenMP: PyTorch's own threads, which look for work for milliseconds after each of its loops, are then
// the ones that find it. Threads of another kind would only wait for the cores that those hold.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "product_tiles.hpp"

namespace holdfast {
namespace {

namespace nb = nanobind;

template <class T, int Dimensions>
using Array = nb::ndarray<T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t block_rows = 256;    // added in registers before their sum is added to the others
constexpr double worth_sharing = 1 << 19;  // products below which waking a thread costs more than it saves

void need(bool holds, const char* message) {
    if (!holds) throw nb::value_error(message);
}

const Products* of_name(const char* name) {
#ifdef HOLDFAST_X86
    const bool wide = std::strcmp(name, "avx512") == 0;
    if (wide || std::strcmp(name, "avx2") == 0) {
        const Products& found = wide ? avx512_products() : avx2_products();
        return found.supported() ? &found : nullptr;
    }
#endif
    return nullptr;
}

struct Factors {
    const float *g, *a, *weights;  // (rows, outputs), (rows, inputs), (rows / repeats)
    std::size_t rows, outputs, inputs, repeats;
};

// Of some rows: a strip of g, some outputs wide, times the weights.
void pack(const Products& products, const Factors& f, std::size_t first, std::size_t rows, std::size_t output,
          std::size_t outputs, float* packed) {
    const std::size_t numbers = f.rows * f.outputs, reach = output + pack_slack;
    const std::size_t readable = numbers < reach ? 0 : (numbers - reach) / f.outputs + 1;  // rows with enough behind them
    const std::size_t middle = std::clamp(readable, first, first + rows);
    products.pack[outputs - 1](f.g + output, f.outputs, f.weights, f.repeats, first, middle - first, packed);
    packed += (middle - first) * outputs;
    for (std::size_t row = middle; row < first + rows; ++row)
        for (std::size_t i = 0; i < outputs; ++i) *packed++ = f.g[row * f.outputs + output + i] * f.weights[row / f.repeats];
}

// Of some rows: the numbers of `a` beyond its last whole panel, with zeros up to a panel's end.
void pack_tail(const Factors& f, std::size_t first, std::size_t rows, float* tail) {
    const std::size_t whole = f.inputs / panel_inputs * panel_inputs, left = f.inputs - whole;
    for (std::size_t row = 0; row < rows && left; ++row)
        std::memcpy(tail + row * panel_inputs, f.a + (first + row) * f.inputs + whole, left * sizeof(float));
}

// What one thread needs.
struct Workbench {
    std::vector<float> packed = std::vector<float>(block_rows * tile_outputs + pack_slack);
    std::vector<float> tail = std::vector<float>(block_rows * panel_inputs);
    float total[tile_outputs * panel_inputs];  // of a panel that is not whole
};

// Adds the sum over a block of rows to some outputs, in some panels, of the result; the first block is put there.
void add_block(const Products& products, const Factors& f, std::size_t first, std::size_t rows, std::size_t output,
               std::size_t panel, std::size_t end, Workbench& bench, float* out) {
    const std::size_t outputs = std::min(tile_outputs, f.outputs - output);
    const Stretch stretch = products.stretch[outputs - 1];
    pack(products, f, first, rows, output, outputs, bench.packed.data());
    for (; panel < end; ++panel) {
        const std::size_t at = panel * panel_inputs, left = std::min(panel_inputs, f.inputs - at);
        float* place = out + output * f.inputs + at;
        if (left == panel_inputs) {
            stretch(bench.packed.data(), f.a + first * f.inputs + at, f.inputs, rows, left, place, f.inputs, first > 0);
            continue;
        }
        const std::size_t width = (left + whole_width - 1) / whole_width * whole_width;
        stretch(bench.packed.data(), bench.tail.data(), panel_inputs, rows, width, bench.total, panel_inputs, false);
        for (std::size_t i = 0; i < outputs; ++i, place += f.inputs)
            for (std::size_t j = 0; j < left; ++j)
                place[j] = bench.total[i * panel_inputs + j] + (first > 0 ? place[j] : 0.0F);
    }
}

// out = Σ over rows of weights[row / repeats] · g[row] ⊗ a[row], in blocks of rows one after the other.
void add_all(const Products& products, const Factors& f, int threads, float* out) {
    const std::size_t strips = (f.outputs + tile_outputs - 1) / tile_outputs;
    const std::size_t panels = (f.inputs + panel_inputs - 1) / panel_inputs;
    // Each strip is packed once by one thread; where there are few, several threads share the panels of each.
    const std::size_t shares = strips >= static_cast<std::size_t>(threads) ? 1 : std::min<std::size_t>(threads, panels);
    const auto items = static_cast<std::int64_t>(strips * shares);
    const double products_in_all = static_cast<double>(f.rows) * static_cast<double>(f.outputs) * static_cast<double>(f.inputs);
#pragma omp parallel num_threads(threads) if (products_in_all > worth_sharing)
    {
        Workbench bench;
        for (std::size_t first = 0; first < f.rows; first += block_rows) {
            const std::size_t rows = std::min(block_rows, f.rows - first);
            pack_tail(f, first, rows, bench.tail.data());
#pragma omp for schedule(static) nowait  // the same items go to the same thread, block after block
            for (std::int64_t item = 0; item < items; ++item) {
                const auto strip = static_cast<std::size_t>(item) / shares, share = static_cast<std::size_t>(item) % shares;
                add_block(products, f, first, rows, strip * tile_outputs, panels * share / shares,
                          panels * (share + 1) / shares, bench, out);
            }
        }
    }
}

void weighted_product(const char* path, Array<const float, 2> g, Array<const float, 2> a, Array<const float, 1> weights,
                      Array<float, 2> out, int threads) {
    const Products* products = of_name(path);
    need(products, "a path that this machine has");
    const Factors f{g.data(), a.data(), weights.data(), g.shape(0), g.shape(1), a.shape(1),
                    weights.size() ? g.shape(0) / weights.size() : 1};
    need(f.rows > 0 && f.repeats * weights.size() == f.rows && a.shape(0) == f.rows,
         "as many rows of both factors, a multiple of the weights");
    need(out.shape(0) == f.outputs && out.shape(1) == f.inputs && threads > 0, "a result of outputs times inputs");
    const nb::gil_scoped_release others_may_run;
    add_all(*products, f, threads, out.data());
}

}  // namespace

NB_MODULE(_products, m) {
    m.doc() = "Weighted sums of outer products; see holdfast.training.sgd.layers.sums for what they promise.";
    const auto raw = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("has", [](const char* path) { return of_name(path) != nullptr; }, nb::arg("path"));
    m.def("weighted_product", weighted_product, nb::arg("path"), raw("g"), raw("a"), raw("weights"), raw("out"),
          nb::arg("threads"));
}

}  // namespace holdfast
