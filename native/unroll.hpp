// A loop whose body sees its counter as a constant, so that small arrays of vectors stay in registers.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace holdfast {
namespace {

template <class Body, std::size_t... I>
[[gnu::always_inline]] inline void unroll_each(Body&& body, std::index_sequence<I...>) {
    (body(std::integral_constant<std::size_t, I>{}), ...);
}

template <std::size_t Count, class Body>
[[gnu::always_inline]] inline void unroll(Body&& body) {
    unroll_each(body, std::make_index_sequence<Count>{});
}

}  // namespace
}  // namespace holdfast
