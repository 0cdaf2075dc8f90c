#include "packing.hpp"

namespace holdfast {
void pack_row(const u64* values, unsigned width, std::size_t count, unsigned char* out) {
    const u64 mask = width == 64 ? ~u64{0} : (u64{1} << width) - 1;
    u128 pending = 0;
    unsigned bits = 0;
    for (std::size_t j = 0; j < count; ++j) {
        pending |= static_cast<u128>(values[j] & mask) << bits;
        for (bits += width; bits >= 8; bits -= 8, pending >>= 8) *out++ = static_cast<unsigned char>(pending);
    }
}

void unpack_row(const unsigned char* bytes, unsigned width, std::size_t count, u64* out) {
    const u64 mask = width == 64 ? ~u64{0} : (u64{1} << width) - 1;
    u128 pending = 0;
    unsigned bits = 0;
    for (std::size_t j = 0; j < count; ++j) {
        for (; bits < width; bits += 8) pending |= static_cast<u128>(*bytes++) << bits;
        out[j] = static_cast<u64>(pending) & mask;
        pending >>= width;
        bits -= width;
    }
}

}  // namespace holdfast
