// The inner loop of `products.cpp` over a vector type: each instruction set compiles it for itself.
//
// A tile of the result lies in registers while the rows pass by: of each, `Outputs` packed numbers of the one factor, each
// times `Vectors` vectors of the other. Rows are added one after the other in every number of the result, fused, so that
// all paths and all numbers of threads give the same bits.
#pragma once

#include <cstddef>
#include <cstring>

namespace holdfast {

constexpr std::size_t tile_outputs = 6;   // rows of the result in a tile
constexpr std::size_t panel_inputs = 64;  // a stretch of the other factor's rows, a whole number of tiles wide

// packed[row][output] = g[row][output] · weights[row / repeats], for rows from `first` on; g has its rows `stride` apart, and
// more numbers than these behind the last.
//
// weights are those of all rows; packed: (rows, outputs), and room for pack_slack more.
using Pack = void (*)(const float* g, std::size_t stride, const float* weights, std::size_t repeats, std::size_t first,
                      std::size_t rows, float* packed);
constexpr std::size_t pack_slack = 8;

// total[output] (+)= Σ over rows of packed[row][output] · a[row], for the first `width` numbers of a[row].
//
// packed: (rows, outputs); `a` and `total` have their rows `a_stride` and `total_stride` apart. `width` is a multiple of
// whole_width. What is in `total` is added to, or written over.
using Stretch = void (*)(const float* packed, const float* a, std::size_t a_stride, std::size_t rows, std::size_t width,
                         float* total, std::size_t total_stride, bool add);
constexpr std::size_t whole_width = 16;

struct Products {
    bool (*supported)();
    Pack pack[tile_outputs];  // for one output, for two, …
    Stretch stretch[tile_outputs];
};

#ifdef HOLDFAST_X86
const Products& avx2_products();
const Products& avx512_products();
#endif

namespace {

// Wherever it lies: what is known of a type's alignment is lost where it is a template's argument.
template <class Vector>
inline Vector load(const float* from) {
    Vector vector;
    std::memcpy(&vector, from, sizeof vector);
    return vector;
}

// One vector a row: what it holds too much is written over by the next row.
template <int Outputs>
void pack(const float* g, std::size_t stride, const float* weights, std::size_t repeats, std::size_t first, std::size_t rows,
          float* packed) {
    typedef float Eight __attribute__((vector_size(32)));
    static_assert(Outputs <= 8 && pack_slack == 8);
    for (std::size_t row = first; row < first + rows; ++row, packed += Outputs) {
        const Eight product = load<Eight>(g + row * stride) * weights[row / repeats];
        std::memcpy(packed, &product, sizeof product);
    }
}

template <class Vector, int Vectors, int Outputs>
inline void tile(const float* packed, const float* a, std::size_t a_stride, std::size_t rows, float* total,
                 std::size_t total_stride, bool add) {
    constexpr std::size_t lanes = sizeof(Vector) / sizeof(float);
    Vector sums[Outputs][Vectors] = {};
    for (std::size_t row = 0; row < rows; ++row, packed += Outputs, a += a_stride) {
        Vector numbers[Vectors];
        for (int v = 0; v < Vectors; ++v) numbers[v] = load<Vector>(a + v * lanes);
        for (int output = 0; output < Outputs; ++output)
            for (int v = 0; v < Vectors; ++v) sums[output][v] += packed[output] * numbers[v];  // fused: -ffp-contract=fast
    }
    for (int output = 0; output < Outputs; ++output, total += total_stride)
        for (int v = 0; v < Vectors; ++v) {
            if (add) sums[output][v] += load<Vector>(total + v * lanes);
            std::memcpy(total + v * lanes, &sums[output][v], sizeof(Vector));
        }
}

// Tiles as wide as registers allow, then narrow ones for what is left.
template <class Vector, int Widest, int Outputs>
void stretch(const float* packed, const float* a, std::size_t a_stride, std::size_t rows, std::size_t width, float* total,
             std::size_t total_stride, bool add) {
    constexpr std::size_t lanes = sizeof(Vector) / sizeof(float);
    std::size_t at = 0;
    for (; at + Widest * lanes <= width; at += Widest * lanes)
        tile<Vector, Widest, Outputs>(packed, a + at, a_stride, rows, total + at, total_stride, add);
    for (; at < width; at += lanes)
        tile<Vector, 1, Outputs>(packed, a + at, a_stride, rows, total + at, total_stride, add);
}

template <class Vector, int Widest>
Products products(bool (*supported)()) {
    return {supported,
            {pack<1>, pack<2>, pack<3>, pack<4>, pack<5>, pack<6>},
            {stretch<Vector, Widest, 1>, stretch<Vector, Widest, 2>, stretch<Vector, Widest, 3>, stretch<Vector, Widest, 4>,
             stretch<Vector, Widest, 5>, stretch<Vector, Widest, 6>}};
}

}  // namespace
}  // namespace holdfast
