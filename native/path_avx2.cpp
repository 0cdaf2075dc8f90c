#include "lanes_avx2.hpp"
#include "rows.hpp"

namespace holdfast {

const Path& avx2_path() {
    static const Path path =
        Rows<Avx2Lanes>::path("avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); });
    return path;
}

}  // namespace holdfast
