#include "product_tiles.hpp"

namespace holdfast {
namespace {
typedef float Vector __attribute__((vector_size(32)));
}

const Products& avx2_products() {
    static const Products found =
        products<Vector, 2>([] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); });
    return found;
}

}  // namespace holdfast
