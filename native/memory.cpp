#include "memory.hpp"

#include <pthread.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

namespace holdfast {
namespace {

constexpr std::size_t kLine = 64;  // bytes; the first line of a block says how long the block is

struct Shelf {
    std::mutex mutex;
    std::unordered_map<std::size_t, std::vector<char*>> blocks;  // by bytes
    std::size_t kept = 0;
};

Shelf& shelf() {
    static Shelf* shared = [] {
        auto* made = new Shelf;
        // No other thread may hold the lock while the process forks: the child could never take it again.
        pthread_atfork([] { shelf().mutex.lock(); }, [] { shelf().mutex.unlock(); }, [] { shelf().mutex.unlock(); });
        return made;
    }();
    return *shared;
}

}  // namespace

u64* take_words(std::size_t count) {
    const std::size_t bytes = (count * sizeof(u64) + kLine - 1) / kLine * kLine + kLine;
    char* block = nullptr;
    {
        Shelf& s = shelf();
        const std::lock_guard lock(s.mutex);
        if (const auto found = s.blocks.find(bytes); found != s.blocks.end() && !found->second.empty()) {
            block = found->second.back();
            found->second.pop_back();
            s.kept -= bytes;
        }
    }
    if (!block) block = static_cast<char*>(std::aligned_alloc(kLine, bytes));
    if (!block) throw std::bad_alloc();
    *reinterpret_cast<std::size_t*>(block) = bytes;
    return reinterpret_cast<u64*>(block + kLine);
}

void give_words(u64* words) noexcept {
    if (!words) return;
    char* block = reinterpret_cast<char*>(words) - kLine;
    const std::size_t bytes = *reinterpret_cast<std::size_t*>(block);
    Shelf& s = shelf();
    try {
        const std::lock_guard lock(s.mutex);
        if (s.kept + bytes <= kKeptBytes) {
            s.blocks[bytes].push_back(block);
            s.kept += bytes;
            return;
        }
    } catch (...) {  // no room to remember it: free it
    }
    std::free(block);
}

}  // namespace holdfast
