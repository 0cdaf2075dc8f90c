// The inner loop of `products.cpp` over a vector type: each instruction set compiles it for itself.
//
// A tile of the result lies in registers while the rows pass by: of each, `Outputs` weighted numbers of the one factor, each
// times `Vectors` vectors of the other. Rows are added one after the other in every number of the result, fused, so that
// all paths and all numbers of threads give the same bits.
#pragma once

#include <cstddef>
#include <cstring>

namespace holdfast {

constexpr std::size_t tile_outputs = 6;   // rows of the result in a tile
constexpr std::size_t panel_inputs = 64;  // a stretch of the other factor's rows, a whole number of tiles wide

// total[output] = Σ over rows of weighted[row][output] · a[row], for the first `width` numbers of a[row].
//
// weighted: (rows, outputs); a: rows `stride` apart; total: (outputs, panel_inputs). `width` is a multiple of whole_width.
using Stretch = void (*)(const float* weighted, const float* a, std::size_t stride, std::size_t rows, std::size_t width,
                         float* total);
constexpr std::size_t whole_width = 16;

struct Products {
    bool (*supported)();
    Stretch of[tile_outputs];  // for one output, for two, …
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

template <class Vector, int Vectors, int Outputs>
inline void tile(const float* weighted, const float* a, std::size_t stride, std::size_t rows, float* total) {
    constexpr std::size_t lanes = sizeof(Vector) / sizeof(float);
    Vector sums[Outputs][Vectors] = {};
    for (std::size_t row = 0; row < rows; ++row, weighted += Outputs, a += stride) {
        Vector numbers[Vectors];
        for (int v = 0; v < Vectors; ++v) numbers[v] = load<Vector>(a + v * lanes);
        for (int output = 0; output < Outputs; ++output)
            for (int v = 0; v < Vectors; ++v) sums[output][v] += weighted[output] * numbers[v];  // fused: -ffp-contract=fast
    }
    for (int output = 0; output < Outputs; ++output)
        std::memcpy(total + output * panel_inputs, sums[output], sizeof sums[output]);
}

// Tiles as wide as registers allow, then one for what is left.
template <class Vector, int Widest, int Outputs>
void stretch(const float* weighted, const float* a, std::size_t stride, std::size_t rows, std::size_t width, float* total) {
    constexpr std::size_t lanes = sizeof(Vector) / sizeof(float);
    std::size_t at = 0;
    for (; at + Widest * lanes <= width; at += Widest * lanes)
        tile<Vector, Widest, Outputs>(weighted, a + at, stride, rows, total + at);
    for (; at < width; at += lanes) tile<Vector, 1, Outputs>(weighted, a + at, stride, rows, total + at);
}

template <class Vector, int Widest>
Products products(bool (*supported)()) {
    return {supported,
            {stretch<Vector, Widest, 1>, stretch<Vector, Widest, 2>, stretch<Vector, Widest, 3>, stretch<Vector, Widest, 4>,
             stretch<Vector, Widest, 5>, stretch<Vector, Widest, 6>}};
}

}  // namespace
}  // namespace holdfast
