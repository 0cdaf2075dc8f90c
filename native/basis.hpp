// A ring Z_q[X]/(X^N + 1) for several primes: what the kernels need to know about each.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "path.hpp"

namespace holdfast {

// One prime with its tables of roots, built for a path when first used.
class Prime {
public:
    // psi has order 2N modulo q. Throws std::invalid_argument where one of the three does not fit the others.
    Prime(std::size_t degree, u64 q, u64 psi);

    const Modulus modulus;
    const std::size_t degree;
    const Tables& tables(int path) const;

private:
    struct Built {
        std::vector<u64> words;
        Tables tables;
    };
    void build(int path) const;

    u64 psi_;
    mutable std::once_flag once_[kPathCount];
    mutable Built built_[kPathCount];
};

// The primes of the limbs of an array. Rows are modulo the prime of the same number.
class Basis {
public:
    explicit Basis(std::vector<std::shared_ptr<const Prime>> primes);

    std::size_t degree() const { return primes_.front()->degree; }
    std::size_t size() const { return primes_.size(); }
    const Prime& operator[](std::size_t limb) const { return *primes_[limb]; }
    const Modulus& modulus(std::size_t limb) const { return primes_[limb]->modulus; }

private:
    std::vector<std::shared_ptr<const Prime>> primes_;
};

// Base conversion: y_i = x_i·scale[i] mod q_i, then Σ y_i·matrix[t][i] + round(Σ y_i/q_i)·wrap[t] modulo target t.
struct Conversion {
    std::vector<u64> scale;                // per source prime
    std::vector<double> fractions;         // 1 / q_i
    std::vector<std::vector<u64>> matrix;  // per target prime, per source prime
    std::vector<u64> wrap;                 // per target prime

    Conversion(const Basis& source, const Basis& target, std::vector<u64> scale, std::vector<std::vector<u64>> matrix,
               std::vector<u64> wrap);
};

}  // namespace holdfast
