// Hybrid key switching (Han and Ki 2020): the fused kernels behind relinearisation and rotation. The chain is the basis
// of the first limbs of `full`; the special primes are the rest.
#pragma once

#include <vector>

#include "basis.hpp"

namespace holdfast {

// c (limbs, N) to (digits, full limbs, N), both in the NTT domain; digit d takes the chain's primes from d·width on.
void decompose(const Basis& chain, const Basis& full, const std::vector<const Conversion*>& conversions,
               std::size_t width, const u64* c, u64* out);

// Σ_d digits[d]·key[d]: (digits, limbs, N), (digits, 2, key limbs, N) to (2, limbs, N). Limb i of the digits meets limb
// rows[i] of the key. With indices, those of an automorphism, the digits are permuted first.
void key_product(const Basis& full, std::size_t digit_count, const u64* digits, const u64* key, std::size_t key_limbs,
                 const std::vector<std::size_t>& rows, const std::int32_t* indices, u64* out);

// a (parts, full limbs, N) to (parts, limbs, N), in the NTT domain: a minus the converted residue modulo the special
// primes, times `inverses`, those of their product.
void mod_down(const Basis& chain, const Basis& full, const Conversion& conversion, const std::vector<u64>& inverses,
              std::size_t parts, const u64* a, u64* out);

}  // namespace holdfast
