// Which instruction set computes: the fastest that the processor has, unless a test asks for another.
#include <atomic>
#include <cstring>

#include "path.hpp"

namespace holdfast {
namespace {

int fastest() {
    int best = 0;
    for (int i = 0; i < kPathCount; ++i) {
        if (path_at(i) && path_at(i)->supported()) best = i;
    }
    return best;
}

std::atomic<int>& active() {
    static std::atomic<int> index{fastest()};
    return index;
}

}  // namespace

const Path* path_at(int index) {
#ifdef HOLDFAST_X86
    if (index == 1) return &avx2_path();
    if (index == 2) return &avx512_path();
#endif
    return index == 0 ? &portable_path() : nullptr;
}

int active_path() { return active().load(std::memory_order_relaxed); }

bool use_path(const char* name) {
    if (std::strcmp(name, "auto") == 0) {
        active() = fastest();
        return true;
    }
    for (int i = 0; i < kPathCount; ++i) {
        const Path* path = path_at(i);
        if (path && path->supported() && std::strcmp(name, path->name) == 0) {
            active() = i;
            return true;
        }
    }
    return false;
}

}  // namespace holdfast
