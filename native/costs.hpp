// How long a kernel takes for one row, roughly: enough to say whether a second thread is worth waking.
#pragma once

#include <cstddef>

namespace holdfast {

inline double row_cost(std::size_t n) { return 0.25 * static_cast<double>(n); }  // nanoseconds
inline double transform_cost(std::size_t n) { return 2.0 * static_cast<double>(n); }

}  // namespace holdfast
