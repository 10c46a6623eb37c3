// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// An object that goes with the last of those who hold it.
///
/// Progress  wait-free.

#include <atomic>
#include <cstddef>

namespace procpool::detail {

/// Made by `new`, with one holder.
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): release() alone may delete it
class Retained {
 public:
  Retained() noexcept = default;
  Retained(const Retained&) = delete;
  Retained& operator=(const Retained&) = delete;

  /// The caller holds it already.
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }  // relaxed: see the comment above
  void release() noexcept {
    // (1) acq_rel-rmw, pairs with (1): all use of the object is over before it goes.
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 protected:
  virtual ~Retained() = default;

 private:
  std::atomic<std::size_t> references_{1};
};

/// Lets go of it, for a std::unique_ptr.
struct Release {
  void operator()(Retained* object) const noexcept { object->release(); }
};

/// Holds an object for a scope.
class Hold {
 public:
  explicit Hold(Retained& object) noexcept : object_(object) { object_.retain(); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() { object_.release(); }

 private:
  Retained& object_;
};

}  // namespace procpool::detail
