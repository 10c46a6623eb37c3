// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <procpool/serial/capture_check.hpp>

#include "../../support/catch.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

class Owner {
 public:
  auto task() {
    return [this](int value) { return value + base_; };
  }

 private:
  int base_ = 1;
};

std::string refusal(const auto& function) {
  try {
    check_captured_words(function);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

int some_function() { return 1; }

/// A copy of `function` whose padding holds what lay there before: bytes of an address of the heap. Its members lie in
/// the bytes up to `first_end`, and in the third word.
template <class F>
bool is_accepted_with_soiled_padding(const F& function, std::size_t first_end) {
  const auto heap = std::make_unique<std::array<std::byte, 256>>();
  const auto address = reinterpret_cast<std::uintptr_t>(heap.get()) & ~std::uintptr_t{0xff};
  alignas(F) std::array<std::byte, sizeof(F)> storage;
  for (std::size_t at = 0; at < sizeof(F); at += sizeof address) std::memcpy(&storage[at], &address, sizeof address);
  const auto* bytes = reinterpret_cast<const std::byte*>(&function);
  std::memcpy(storage.data(), bytes, first_end);
  if (sizeof(F) > 16) std::memcpy(storage.data() + 16, bytes + 16, sizeof(F) - 16);
  return refusal(*reinterpret_cast<const F*>(storage.data())).empty();
}

}  // namespace

TEST_CASE("a local captured by reference is refused, with its place and the remedies") {
  int local = 1;
  const std::string text = refusal([number = 3, &local](int value) { return value + local + number; });
  CHECK(text.find("at byte 8 of 16") != std::string::npos);
  CHECK(text.find("captured by reference or `this`") != std::string::npos);
  CHECK(text.find("Capture by value") != std::string::npos);
  CHECK(text.find("partial(f, values...)") != std::string::npos);
  CHECK(text.find("from_snapshot(f)") != std::string::npos);
}

TEST_CASE("a captured `this` and a pointer to the heap are refused") {
  Owner local;
  const auto on_heap = std::make_unique<Owner>();
  CHECK_FALSE(refusal(local.task()).empty());
  CHECK_FALSE(refusal(on_heap->task()).empty());
  CHECK_FALSE(refusal([view = std::string_view(std::string(100, 'x'))] { return view.size(); }).empty());
}

TEST_CASE("values and addresses of constants and functions are accepted") {
  CHECK(
      refusal([number = 1.5, large = 0x7000'0000'0000](int value) { return value + number + double(large); }).empty());
  CHECK(refusal([text = std::string_view("a constant")] { return text.size(); }).empty());
  CHECK(refusal([function = &some_function] { return function(); }).empty());
  CHECK(refusal([](int value) { return value; }).empty());
}

TEST_CASE("a null pointer is no address") {
  CHECK(refusal([pointer = static_cast<int*>(nullptr)] { return pointer; }).empty());
}

TEST_CASE("what lies in padding is nobody's capture") {
  const auto behind = [text = static_cast<const char*>("x"), letter = 'a'] { return text[0] + letter; };
  CHECK(is_accepted_with_soiled_padding(behind, 9));
#if __has_builtin(__builtin_clear_padding)
  const auto between = [text = static_cast<const char*>("x"), letter = 'a', real = 1.0] {
    return text[0] + letter + real;
  };
  CHECK(is_accepted_with_soiled_padding(between, 9));
#endif
}
