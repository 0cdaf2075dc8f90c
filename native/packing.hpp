// Residues on the wire: each value cut to the bits of its prime.
#pragma once

#include "modulus.hpp"

namespace holdfast {

// `count` values of `width` bits to count·width/8 bytes and back, lowest bit first; count is a multiple of 8.
void pack_row(const u64* values, unsigned width, std::size_t count, unsigned char* out);
void unpack_row(const unsigned char* bytes, unsigned width, std::size_t count, u64* out);

}  // namespace holdfast
