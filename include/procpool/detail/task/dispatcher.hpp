// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The one thread of a pool that runs callbacks, continuations and coroutines when tasks end; made at first use.

#include <pthread.h>

#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <procpool/detail/os/signals.hpp>
#include <procpool/detail/task/completion_hub.hpp>

namespace procpool::detail {

/// Code to run once. Destroyed on the dispatch thread, run or not.
class Continuation {
 public:
  virtual ~Continuation() = default;
  virtual void run() noexcept = 0;
};

class Dispatcher final : private Watcher {
 public:
  explicit Dispatcher(CompletionHub& hub) noexcept : hub_(hub) {}
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Runs `continuation` on the dispatch thread once the task has ended. False, with `continuation` left as it was, if
  /// the dispatcher has finished: the caller runs it.
  [[nodiscard]] bool after(Handle handle, std::unique_ptr<Continuation>& continuation);

  /// Runs what is waiting and what its tasks will still bring, then ends the thread. Called on the dispatch thread
  /// itself it only keeps further continuations out.
  void finish();

  [[nodiscard]] bool is_dispatch_thread() const noexcept { return std::this_thread::get_id() == thread_.get_id(); }

 private:
  void ended(Handle handle) noexcept override {
    const auto found = waiting_.find(handle);  // One of several for the same task: each is watched for by itself.
    ready_.push_back(std::move(found->second));
    waiting_.erase(found);
  }
  void run();

  CompletionHub& hub_;
  std::thread thread_;
  // Under the hub's lock:
  std::unordered_multimap<Handle, std::unique_ptr<Continuation>> waiting_;
  std::vector<std::unique_ptr<Continuation>> ready_;
  bool is_finishing_ = false;
};

inline bool Dispatcher::after(Handle handle, std::unique_ptr<Continuation>& continuation) {
  {
    const std::lock_guard lock(hub_.mutex());
    if (is_finishing_) return false;
    waiting_.emplace(handle, std::move(continuation));
    if (!thread_.joinable()) {
      const SignalBlock inherited_by_the_thread;  // The user's handlers run on the user's threads.
      thread_ = std::thread([this] { run(); });
    }
  }
  hub_.watch(handle, *this);
  hub_.ring();  // The thread may sleep without a tick while nothing was expected.
  return true;
}

inline void Dispatcher::run() {
  ::pthread_setname_np(::pthread_self(), "procpool-call");
  std::vector<std::unique_ptr<Continuation>> batch;
  for (;;) {
    hub_.wait(
        std::chrono::nanoseconds::zero(), std::nullopt,
        [&] {
          batch.swap(ready_);
          return !batch.empty() || (is_finishing_ && waiting_.empty());
        },
        [&] { return !waiting_.empty(); });
    if (batch.empty()) return;
    for (auto& continuation : batch) {
      continuation->run();
      continuation.reset();
    }
    batch.clear();
  }
}

inline void Dispatcher::finish() {
  {
    const std::lock_guard lock(hub_.mutex());
    is_finishing_ = true;
  }
  hub_.ring();
  if (thread_.joinable() && !is_dispatch_thread()) thread_.join();
}

}  // namespace procpool::detail
