// A few threads that wait for work, shared by all calls of the process.
#pragma once

#include <cstddef>
#include <functional>

namespace holdfast {

// Runs `work(0) … work(count - 1)`, each about `nanoseconds` long, on as many threads as that is worth. Where another
// call has the threads, the caller does all of it itself. After a fork the child starts threads of its own.
void parallel(std::size_t count, double nanoseconds, const std::function<void(std::size_t)>& work);

void set_threads(int count);  // 0: as many as the process may use, or what HOLDFAST_THREADS says
int thread_count();

}  // namespace holdfast
