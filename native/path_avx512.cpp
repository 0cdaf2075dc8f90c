#include "lanes_avx512.hpp"
#include "rows.hpp"

namespace holdfast {

const Path& avx512_path() {
    static const Path path = Rows<Avx512Lanes>::path("avx512", [] {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512ifma");
    });
    return path;
}

}  // namespace holdfast
