// One prime and the constants that every instruction set derives from it. Plain integers, no vectors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast {

using u64 = std::uint64_t;
using u128 = unsigned __int128;

constexpr unsigned kPrimeBits = 50;          // four times a prime fits the 52 bits of IFMA and the 53 of a double
constexpr unsigned kIfmaBits = 52;           // what one IFMA half holds
constexpr std::size_t kSmallestDegree = 16;  // two vectors of eight
constexpr std::size_t kLargestDegree = 1u << 17;

inline u64 multiply_mod(u64 a, u64 b, u64 q) { return static_cast<u64>(static_cast<u128>(a) * b % q); }

inline u64 power_mod(u64 base, u64 exponent, u64 q) {
    u64 result = 1 % q;
    for (; exponent; exponent >>= 1, base = multiply_mod(base, base, q)) {
        if (exponent & 1) result = multiply_mod(result, base, q);
    }
    return result;
}

// floor(w·2^bits / q): the precomputed quotient of Shoup's multiplication by a constant w < q.
inline u64 shoup_quotient(u64 w, u64 q, unsigned bits) { return static_cast<u64>((static_cast<u128>(w) << bits) / q); }

struct Modulus {
    u64 q;
    double inverse;  // 1 / q, rounded
    u64 wrap_32;     // 2^32 modulo q
    u64 one_52;      // Shoup quotients of 1, and of 2^52 and 2^64 modulo q
    u64 one_64;
    u64 wrap_52, wrap_52_quotient;
    u64 wrap_64, wrap_64_quotient;

    explicit Modulus(u64 prime)
        : q(prime),
          inverse(1.0 / static_cast<double>(prime)),
          wrap_32((u64{1} << 32) % prime),
          one_52(shoup_quotient(1, prime, 52)),
          one_64(shoup_quotient(1, prime, 64)),
          wrap_52((u64{1} << 52) % prime),
          wrap_52_quotient(shoup_quotient(wrap_52, prime, 52)),
          wrap_64(static_cast<u64>((u128{1} << 64) % prime)),
          wrap_64_quotient(shoup_quotient(wrap_64, prime, 64)) {}
};

// Powers of the root of unity in bit-reversed order, and beside each what a multiplication by it wants precomputed.
// The encoding belongs to the path that uses it.
struct Roots {
    const u64* w;
    const u64* quotient;
};

struct Tables {
    std::size_t degree;
    u64 degree_inverse;
    u64 last_root;  // of the last stage back
    Roots forward;
    Roots inverse;
};

}  // namespace holdfast
