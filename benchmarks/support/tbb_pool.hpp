// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A oneTBB arena as the questions see a pool: enqueue with std::packaged_task, and parallel_for.

#include <sys/types.h>

#include <cstddef>
#include <future>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

namespace bench {

/// As many threads as workers serve the arena while the thread that submits stays outside, as it does with every other
/// rival. TBB counts that thread among those it allows, so one more is allowed.
class TbbPool {
 public:
  static constexpr std::string_view name = "tbb";

  explicit TbbPool(int workers)
      : handle_{tbb::attach{}},
        allowed_{tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(workers) + 1},
        arena_{workers, 0} {}

  /// Ends the threads, which otherwise would stay for the next arena.
  ~TbbPool() {
    arena_.terminate();
    tbb::finalize(handle_, std::nothrow);
  }

  TbbPool(const TbbPool&) = delete;
  TbbPool& operator=(const TbbPool&) = delete;

  template <class F, class... Args>
  auto submit(F f, Args... args) {
    using R = decltype(f(args...));
    Job<R> job{std::packaged_task<R()>{[f, args...] { return f(args...); }}};
    auto future = job.task.get_future();
    arena_.enqueue(std::move(job));
    return future;
  }

  /// parallel_for, with the caller outside the arena.
  template <class F, class Items>
  Items map(F f, const Items& items) {
    Items results(items.size());
    auto whole = submit([&items, &results, f] {
      tbb::parallel_for(tbb::blocked_range<std::size_t>{0, items.size()}, [&](const auto& block) {
        for (std::size_t i = block.begin(); i != block.end(); ++i) results[i] = f(items[i]);
      });
      return true;
    });
    whole.get();
    return results;
  }

  [[nodiscard]] static std::vector<int> make_array(std::size_t size) { return std::vector<int>(size); }
  /// parallel_for over an array of this process, in place, with the caller outside the arena.
  template <class F>
  void for_blocks(F f, std::vector<int>& array) {
    const std::span<int> elements(array);
    auto whole = submit([elements, f] {
      tbb::parallel_for(tbb::blocked_range<std::size_t>{0, elements.size()},
                        [&](const auto& block) { f(elements.subspan(block.begin(), block.size())); });
      return true;
    });
    whole.get();
  }

  [[nodiscard]] std::vector<pid_t> processes() { return {}; }

 private:
  /// enqueue() calls what it is given as a constant. A packaged_task in a shared_ptr is the usual way round that; this
  /// saves TBB an allocation.
  template <class R>
  struct Job {
    mutable std::packaged_task<R()> task;
    void operator()() const { task(); }
  };

  tbb::task_scheduler_handle handle_;
  tbb::global_control allowed_;
  tbb::task_arena arena_;
};

}  // namespace bench
