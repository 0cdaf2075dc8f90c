// The kernels on one row of N residues modulo one prime, as one instruction set computes them.
#pragma once

#include "modulus.hpp"

namespace holdfast {

struct Path {
    const char* name;
    bool (*supported)();

    // Constants w < q as this path multiplies by them: the number and its quotient, encoded.
    void (*encode)(const Modulus&, const u64* w, u64* number, u64* quotient, std::size_t count);

    // Canonical residues in, canonical residues out; `in` and `out` may be the same row.
    void (*forward)(const Modulus&, const Tables&, const u64* in, u64* out);
    void (*inverse)(const Modulus&, const Tables&, const u64* in, u64* out, u64 scale);  // times scale

    void (*add)(const Modulus&, const u64* a, const u64* b, u64* out, std::size_t n);
    void (*subtract)(const Modulus&, const u64* a, const u64* b, u64* out, std::size_t n);
    void (*multiply)(const Modulus&, const u64* a, const u64* b, u64* out, std::size_t n);
    void (*negate)(const Modulus&, const u64* a, u64* out, std::size_t n);
    void (*scale)(const Modulus&, const u64* a, u64 constant, u64* out, std::size_t n);
    void (*subtract_scale)(const Modulus&, const u64* a, const u64* b, u64 constant, u64* out, std::size_t n);
    void (*reduce)(const Modulus&, const std::int64_t* a, u64* out, std::size_t n);

    // out = Σ a[i]·b[i] over `terms` rows.
    void (*dot)(const Modulus&, const u64* const* a, const u64* const* b, std::size_t terms, u64* out, std::size_t n);

    // out[o][j] = Σ a[i][j]·weights[o·terms + i] over `terms` rows.
    void (*combine)(const Modulus&, const u64* const* a, const u64* weights, std::size_t terms, std::size_t outputs,
                    u64* const* out, std::size_t n);

    // out_k = Σ digits[i]·key_k[i] for k = 0, 1, after out[j] = in[indices[j]] on the digits where indices are given.
    void (*key_product)(const Modulus&, const u64* const* digits, const u64* const* key_0, const u64* const* key_1,
                        std::size_t terms, const std::int32_t* indices, u64* out_0, u64* out_1, std::size_t n);

    // out = Σ y[i]·matrix[i] + round(Σ y[i]·fractions[i])·wrap: one target row of a base conversion.
    void (*convert)(const Modulus&, const u64* const* y, const double* fractions, const u64* matrix, u64 wrap,
                    std::size_t terms, u64* out, std::size_t n);
};

const Path& portable_path();
#ifdef HOLDFAST_X86
const Path& avx2_path();
const Path& avx512_path();
#endif

constexpr int kPathCount = 3;
const Path* path_at(int index);   // slowest first; null where this build does not have it
int active_path();                // the index of the one in use
bool use_path(const char* name);  // "auto" or a name; false where this machine cannot

}  // namespace holdfast
