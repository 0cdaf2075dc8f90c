#include "switching.hpp"

#include <algorithm>
#include <cstring>

#include "costs.hpp"
#include "memory.hpp"
#include "threads.hpp"

namespace holdfast {

void decompose(const Basis& chain, const Basis& full, const std::vector<const Conversion*>& conversions,
               std::size_t width, const u64* c, u64* out) {
    const int active = active_path();
    const Path& path = *path_at(active);
    const std::size_t n = full.degree(), limbs = chain.size(), wide = full.size();
    const Words scaled(limbs * n);
    parallel(limbs, transform_cost(n), [&](std::size_t limb) {
        const Prime& p = chain[limb];
        path.inverse(p.modulus, p.tables(active), c + limb * n, scaled.data() + limb * n,
                     conversions[limb / width]->scale[limb % width]);
    });
    parallel(conversions.size() * wide, transform_cost(n), [&](std::size_t r) {
        const std::size_t digit = r / wide, limb = r % wide, begin = digit * width;
        const std::size_t end = std::min(begin + width, limbs);
        u64* row = out + r * n;
        if (begin <= limb && limb < end) {  // the residue modulo a prime of the digit itself
            std::memcpy(row, c + limb * n, n * sizeof(u64));
            return;
        }
        std::vector<const u64*> y(end - begin);
        for (std::size_t i = begin; i < end; ++i) y[i - begin] = scaled.data() + i * n;
        const Conversion& conversion = *conversions[digit];
        const Prime& p = full[limb];
        path.convert(p.modulus, y.data(), conversion.fractions.data(), conversion.matrix[limb].data(),
                     conversion.wrap[limb], y.size(), row, n);
        path.forward(p.modulus, p.tables(active), row, row);
    });
}

void key_product(const Basis& full, std::size_t digit_count, const u64* digits, const u64* key, std::size_t key_limbs,
                 const std::vector<std::size_t>& rows, const std::int32_t* indices, u64* out) {
    const Path& path = *path_at(active_path());
    const std::size_t n = full.degree(), limbs = full.size();
    parallel(limbs, row_cost(n) * 2 * static_cast<double>(digit_count), [&](std::size_t limb) {
        std::vector<const u64*> digit(digit_count), key_0(digit_count), key_1(digit_count);
        for (std::size_t d = 0; d < digit_count; ++d) {
            digit[d] = digits + (d * limbs + limb) * n;
            key_0[d] = key + (2 * d * key_limbs + rows[limb]) * n;
            key_1[d] = key_0[d] + key_limbs * n;
        }
        path.key_product(full.modulus(limb), digit.data(), key_0.data(), key_1.data(), digit_count, indices,
                         out + limb * n, out + (limbs + limb) * n, n);
    });
}

void mod_down(const Basis& chain, const Basis& full, const Conversion& conversion, const std::vector<u64>& inverses,
              std::size_t parts, const u64* a, u64* out) {
    const int active = active_path();
    const Path& path = *path_at(active);
    const std::size_t n = full.degree(), limbs = chain.size(), wide = full.size(), special = wide - limbs;
    const Words scaled(parts * special * n);
    parallel(parts * special, transform_cost(n), [&](std::size_t r) {
        const Prime& p = full[limbs + r % special];
        path.inverse(p.modulus, p.tables(active), a + (r / special * wide + limbs + r % special) * n,
                     scaled.data() + r * n, conversion.scale[r % special]);
    });
    parallel(parts * limbs, transform_cost(n), [&](std::size_t r) {
        const std::size_t part = r / limbs, limb = r % limbs;
        std::vector<const u64*> y(special);
        for (std::size_t i = 0; i < special; ++i) y[i] = scaled.data() + (part * special + i) * n;
        const Prime& p = chain[limb];
        u64* row = out + r * n;
        path.convert(p.modulus, y.data(), conversion.fractions.data(), conversion.matrix[limb].data(),
                     conversion.wrap[limb], special, row, n);
        path.forward(p.modulus, p.tables(active), row, row);
        path.subtract_scale(p.modulus, a + (part * wide + limb) * n, row, inverses[limb], row, n);
    });
}

}  // namespace holdfast
