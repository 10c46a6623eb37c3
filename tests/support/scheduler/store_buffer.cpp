// SPDX-License-Identifier: BSL-1.0

#include "store_buffer.hpp"

#include <algorithm>

namespace model {

/// One instruction, as the store itself.
void StoreBuffer::Store::write() const noexcept {
  if (write_other != nullptr) return write_other(address);
  switch (size) {
    case 1: *static_cast<volatile std::uint8_t*>(address) = static_cast<std::uint8_t>(value); break;
    case 2: *static_cast<volatile std::uint16_t*>(address) = static_cast<std::uint16_t>(value); break;
    case 4: *static_cast<volatile std::uint32_t*>(address) = static_cast<std::uint32_t>(value); break;
    default: *static_cast<volatile std::uint64_t*>(address) = value; break;
  }
}

void StoreBuffer::add(volatile void* address, std::uint64_t value, std::size_t size, Order order) {
  if (count_ == stores_.size()) drain_one(0);
  stores_[count_++] = {address, value, size, nullptr, order};
}

void StoreBuffer::add(volatile void* address, void (*write)(volatile void*)) {
  if (count_ == stores_.size()) drain_one(0);
  stores_[count_++] = {address, 0, 0, write, Order::release};
}

bool StoreBuffer::find(const volatile void* address, std::uint64_t& value) const noexcept {
  for (std::size_t i = count_; i > 0; --i) {
    if (stores_[i - 1].address != address) continue;
    value = stores_[i - 1].value;
    return true;
  }
  return false;
}

void StoreBuffer::drain_some(std::uint64_t random) {
  if (count_ == 0) return;
  const std::size_t chosen = random % count_;
  bool may_go = chosen == 0 || !releases(stores_[chosen].order);
  for (std::size_t i = 0; i < chosen; ++i) may_go &= stores_[i].address != stores_[chosen].address;
  drain_one(may_go ? chosen : 0);
}

void StoreBuffer::drain_all() { drain_first(count_); }

void StoreBuffer::drain_seq_cst() {
  for (std::size_t i = count_; i > 0; --i) {
    if (stores_[i - 1].order == Order::seq_cst) return drain_first(i);
  }
}

void StoreBuffer::drain_address(const volatile void* address) {
  for (std::size_t i = count_; i > 0; --i) {
    if (stores_[i - 1].address == address) return drain_first(i);
  }
}

void StoreBuffer::drain_one(std::size_t index) {
  const Store store = stores_[index];
  std::copy(stores_.begin() + index + 1, stores_.begin() + count_, stores_.begin() + index);
  --count_;
  store.write();
}

void StoreBuffer::drain_first(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) stores_[i].write();
  std::copy(stores_.begin() + count, stores_.begin() + count_, stores_.begin());
  count_ -= count;
}

}  // namespace model
