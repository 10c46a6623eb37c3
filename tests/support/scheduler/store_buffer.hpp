// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The atomic stores of one fiber that the others do not see yet, as the C++ memory model allows it.
///
/// A relaxed store may become visible at any time, but in the order of the program among those to the same address; a
/// release store only after all before it.

#include <array>
#include <cstddef>
#include <cstdint>

namespace model {

enum class Order : std::uint8_t { relaxed, consume, acquire, release, acq_rel, seq_cst };  // as compilers number them

[[nodiscard]] constexpr bool releases(Order order) noexcept { return order >= Order::release; }

/// Its functions are compiled without the instrumentation that calls them.
class StoreBuffer {
 public:
  void add(volatile void* address, std::uint64_t value, std::size_t size, Order order);
  /// A release store to what is no word: a mutex that is unlocked.
  void add(volatile void* address, void (*write)(volatile void* address));

  /// What this fiber itself reads there: its latest store. False: what is in memory.
  [[nodiscard]] bool find(const volatile void* address, std::uint64_t& value) const noexcept;

  /// One of them becomes visible, if there is any; `random` chooses it among those that nothing keeps back.
  void drain_some(std::uint64_t random);
  void drain_all();
  /// A seq_cst load comes after every seq_cst store before it.
  void drain_seq_cst();
  /// A change comes after every store to the same address before it.
  void drain_address(const volatile void* address);

 private:
  struct Store {
    volatile void* address = nullptr;
    std::uint64_t value = 0;
    std::size_t size = 0;
    void (*write_other)(volatile void*) = nullptr;  // of what is no word
    Order order = Order::relaxed;

    void write() const noexcept;
  };

  void drain_one(std::size_t index);
  void drain_first(std::size_t count);

  // No vector: operator delete empties the buffer.
  std::array<Store, 8> stores_{};
  std::size_t count_ = 0;
};

}  // namespace model
