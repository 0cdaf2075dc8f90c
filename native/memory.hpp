// Rows of residues in memory that begins at a cache line and is used again.
#pragma once

#include <cstddef>

#include "modulus.hpp"

namespace holdfast {

// `count` words, 64-byte aligned, of any content. A block that is given back is kept for the next call of its size, up
// to kKeptBytes in all: fresh memory of the operating system costs more than a transform. Throws std::bad_alloc.
u64* take_words(std::size_t count);
void give_words(u64* words) noexcept;

constexpr std::size_t kKeptBytes = std::size_t{64} << 20;

class Words {
public:
    explicit Words(std::size_t count) : data_(take_words(count)) {}
    ~Words() { give_words(data_); }
    Words(const Words&) = delete;
    Words& operator=(const Words&) = delete;

    u64* data() const { return data_; }
    u64* release() {
        u64* words = data_;
        data_ = nullptr;
        return words;
    }

private:
    u64* data_;
};

}  // namespace holdfast
