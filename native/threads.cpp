#include "threads.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace holdfast {
namespace {

constexpr double kWorthWaking = 40'000;  // nanoseconds of work below which waking a thread costs more than it saves
constexpr int kMostThreads = 64;
constexpr auto kAwake = std::chrono::microseconds(50);  // a worker looks for the next call this long before it sleeps

int cores() {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    return static_cast<int>(std::thread::hardware_concurrency());
}

int wanted_threads() {
    const char* said = std::getenv("HOLDFAST_THREADS");
    const int count = said ? std::atoi(said) : 0;
    return std::clamp(count > 0 ? count : cores(), 1, kMostThreads);
}

// Workers live as long as the process and hold nothing that must be given back, so the pool is never destroyed.
class Pool {
public:
    void run(std::size_t count, int helpers, const std::function<void(std::size_t)>& work) {
        {
            const std::lock_guard lock(mutex_);
            for (; workers_ < helpers; ++workers_) std::thread([this, id = workers_] { serve(id); }).detach();
            work_ = &work;
            count_ = count;
            next_ = 0;
            helpers_ = helpers;
            ++call_;
        }
        wake_.notify_all();
        take_all(work, count);
        std::unique_lock lock(mutex_);
        work_ = nullptr;  // who has not begun by now finds nothing to do
        done_.wait(lock, [this] { return busy_ == 0; });
    }

    std::mutex turn;  // held by the call that has the workers

private:
    void serve(int id) {
        std::size_t seen = 0;
        for (;;) {
            const auto until = std::chrono::steady_clock::now() + kAwake;
            while (call_ == seen && std::chrono::steady_clock::now() < until) std::this_thread::yield();
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return call_ != seen; });
            seen = call_;
            if (!work_ || id >= helpers_) continue;
            const auto& work = *work_;
            const std::size_t count = count_;
            ++busy_;
            lock.unlock();
            take_all(work, count);
            lock.lock();
            if (--busy_ == 0) done_.notify_one();
        }
    }

    void take_all(const std::function<void(std::size_t)>& work, std::size_t count) {
        for (std::size_t i; (i = next_.fetch_add(1)) < count;) work(i);
    }

    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::atomic<std::size_t> next_{0}, call_{0};
    const std::function<void(std::size_t)>* work_ = nullptr;
    std::size_t count_ = 0;
    int workers_ = 0, helpers_ = 0, busy_ = 0;
};

std::atomic<Pool*> pool{nullptr};
std::atomic<int> threads{0};

Pool& the_pool() {
    static std::once_flag once;
    std::call_once(once, [] {
        pool = new Pool;
        pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });  // the child has none of the threads
    });
    return *pool;
}

}  // namespace

void parallel(std::size_t count, double nanoseconds, const std::function<void(std::size_t)>& work) {
    const auto useful = static_cast<std::size_t>(static_cast<double>(count) * nanoseconds / (kWorthWaking / 2));
    const int helpers = static_cast<int>(std::min({count, useful, static_cast<std::size_t>(thread_count())})) - 1;
    if (helpers > 0) {
        Pool& shared = the_pool();
        const std::unique_lock turn(shared.turn, std::try_to_lock);
        if (turn.owns_lock()) return shared.run(count, helpers, work);
    }
    for (std::size_t i = 0; i < count; ++i) work(i);
}

void set_threads(int count) { threads = count > 0 ? std::min(count, kMostThreads) : wanted_threads(); }

int thread_count() {
    if (threads == 0) set_threads(0);
    return threads;
}

}  // namespace holdfast
