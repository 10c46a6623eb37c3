// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// asio::thread_pool with std::packaged_task as the questions see a pool.

#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <future>
#include <string_view>
#include <utility>
#include <vector>

#include <asio/packaged_task.hpp>
#include <asio/post.hpp>
#include <asio/thread_pool.hpp>

#include "blocks.hpp"

namespace bench {

class AsioPool {
 public:
  static constexpr std::string_view name = "asio";

  explicit AsioPool(int workers) : workers_{workers}, pool_{static_cast<std::size_t>(workers)} {}
  ~AsioPool() { pool_.join(); }

  AsioPool(const AsioPool&) = delete;
  AsioPool& operator=(const AsioPool&) = delete;

  template <class F, class... Args>
  auto submit(F f, Args... args) {
    using R = decltype(f(args...));
    return asio::post(pool_, std::packaged_task<R()>{[f, args...] { return f(args...); }});
  }

  /// Asio has no map: blocks of items are posted, four for each worker.
  template <class F, class Items>
  Items map(F f, const Items& items) {
    return map_by_blocks(*this, f, items, 4 * workers_);
  }

  [[nodiscard]] std::vector<pid_t> processes() { return {}; }

 private:
  int workers_;
  asio::thread_pool pool_;
};

}  // namespace bench
