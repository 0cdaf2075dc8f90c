#include "product_tiles.hpp"

namespace holdfast {
namespace {
typedef float Vector __attribute__((vector_size(64)));
}

const Products& avx512_products() {
    static const Products found = products<Vector, 4>([] { return __builtin_cpu_supports("avx512f") != 0; });
    return found;
}

}  // namespace holdfast
