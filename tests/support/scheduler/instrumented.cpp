// SPDX-License-Identifier: BSL-1.0

/// @file
/// What the compiler, told -fsanitize=thread, calls for each access to memory: here in place of the sanitizer's own
/// runtime. An access to an atomic is a point where others may go on; so is a plain write to memory that is shared.

#include <cstddef>
#include <cstdint>

#include "run.hpp"

using model::Order;
using model::Run;

namespace {

// Outside a run there is one thread, so that nothing here need be atomic.

template <class T>
T load(const volatile T* address, int order, const void* caller) {
  Run* run = Run::current();
  if (run == nullptr) return *address;
  run->point("load", address, caller);
  model::StoreBuffer& stores = run->self().stores;
  if (static_cast<Order>(order) == Order::seq_cst) stores.drain_seq_cst();
  std::uint64_t own = 0;
  return stores.find(address, own) ? static_cast<T>(own) : *address;
}

template <class T>
void store(volatile T* address, T value, int order, const void* caller) {
  Run* run = Run::current();
  if (run == nullptr) {
    *address = value;
    return;
  }
  run->point("store", address, caller);
  run->store(address, value, sizeof value, static_cast<Order>(order));
}

/// A point, and then `change(T&)`. What is released by it is visible before it.
template <class T, class Change>
T change(volatile T* address, int order, const void* caller, Change change) {
  if (Run* run = Run::current()) {
    run->point("change", address, caller);
    model::StoreBuffer& stores = run->self().stores;
    if (releases(static_cast<Order>(order))) stores.drain_all();
    else stores.drain_address(address);
  }
  T& word = const_cast<T&>(*address);
  const T before = word;
  change(word);
  return before;
}

/// A weak one may fail for no reason.
template <class T>
bool exchange_if(volatile T* address, T* expected, T value, int order, bool is_weak, const void* caller) {
  bool is_changed = false;
  const T before = change(address, order, caller, [&](T& word) {
    Run* run = Run::current();
    is_changed = word == *expected && !(is_weak && run != nullptr && run->random().once_in(16));
    if (is_changed) word = value;
  });
  if (!is_changed) *expected = before;
  return is_changed;
}

void plain_write(const void* address, const void* caller) {
  Run* run = Run::current();
  if (run != nullptr && run->is_shared(address)) run->point("write", address, caller);
}

}  // namespace

#define CALLER __builtin_return_address(0)

#define ATOMICS_OF(BITS, TYPE)                                                                            \
  TYPE __tsan_atomic##BITS##_load(const volatile TYPE* a, int order) { return load(a, order, CALLER); }   \
  void __tsan_atomic##BITS##_store(volatile TYPE* a, TYPE v, int order) { store(a, v, order, CALLER); }   \
  TYPE __tsan_atomic##BITS##_exchange(volatile TYPE* a, TYPE v, int order) {                              \
    return change(a, order, CALLER, [v](TYPE& word) { word = v; });                                       \
  }                                                                                                       \
  TYPE __tsan_atomic##BITS##_fetch_add(volatile TYPE* a, TYPE v, int order) {                             \
    return change(a, order, CALLER, [v](TYPE& word) { word = static_cast<TYPE>(word + v); });             \
  }                                                                                                       \
  TYPE __tsan_atomic##BITS##_fetch_sub(volatile TYPE* a, TYPE v, int order) {                             \
    return change(a, order, CALLER, [v](TYPE& word) { word = static_cast<TYPE>(word - v); });             \
  }                                                                                                       \
  TYPE __tsan_atomic##BITS##_fetch_and(volatile TYPE* a, TYPE v, int order) {                             \
    return change(a, order, CALLER, [v](TYPE& word) { word = static_cast<TYPE>(word & v); });             \
  }                                                                                                       \
  TYPE __tsan_atomic##BITS##_fetch_or(volatile TYPE* a, TYPE v, int order) {                              \
    return change(a, order, CALLER, [v](TYPE& word) { word = static_cast<TYPE>(word | v); });             \
  }                                                                                                       \
  TYPE __tsan_atomic##BITS##_fetch_xor(volatile TYPE* a, TYPE v, int order) {                             \
    return change(a, order, CALLER, [v](TYPE& word) { word = static_cast<TYPE>(word ^ v); });             \
  }                                                                                                       \
  bool __tsan_atomic##BITS##_compare_exchange_strong(volatile TYPE* a, TYPE* e, TYPE v, int order, int) { \
    return exchange_if(a, e, v, order, false, CALLER);                                                    \
  }                                                                                                       \
  bool __tsan_atomic##BITS##_compare_exchange_weak(volatile TYPE* a, TYPE* e, TYPE v, int order, int) {   \
    return exchange_if(a, e, v, order, true, CALLER);                                                     \
  }                                                                                                       \
  TYPE __tsan_atomic##BITS##_compare_exchange_val(volatile TYPE* a, TYPE e, TYPE v, int order, int) {     \
    exchange_if(a, &e, v, order, false, CALLER);                                                          \
    return e;                                                                                             \
  }

#define PLAIN_OF(SIZE)                                                         \
  void __tsan_read##SIZE(const void*) {}                                       \
  void __tsan_unaligned_read##SIZE(const void*) {}                             \
  void __tsan_volatile_read##SIZE(const void*) {}                              \
  void __tsan_write##SIZE(const void* a) { plain_write(a, CALLER); }           \
  void __tsan_unaligned_write##SIZE(const void* a) { plain_write(a, CALLER); } \
  void __tsan_volatile_write##SIZE(const void* a) { plain_write(a, CALLER); }

extern "C" {

ATOMICS_OF(8, std::uint8_t)
ATOMICS_OF(16, std::uint16_t)
ATOMICS_OF(32, std::uint32_t)
ATOMICS_OF(64, std::uint64_t)

PLAIN_OF(1)
PLAIN_OF(2)
PLAIN_OF(4)
PLAIN_OF(8)
PLAIN_OF(16)

void __tsan_read_range(const void*, std::size_t) {}
void __tsan_write_range(const void* a, std::size_t) { plain_write(a, CALLER); }
void __tsan_vptr_read(const void*) {}
void __tsan_vptr_update(const void*, const void*) {}
void __tsan_func_entry(const void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}

void __tsan_atomic_thread_fence(int order) {
  Run* run = Run::current();
  if (run == nullptr) return;
  run->point("fence", nullptr, CALLER);
  if (releases(static_cast<Order>(order))) run->self().stores.drain_all();
}
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
