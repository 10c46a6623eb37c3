// SPDX-License-Identifier: BSL-1.0

#include <cstdint>
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

// Leaves addresses of the heap where the next function's locals will lie.
[[gnu::noinline]] std::uintptr_t soil_the_stack(const void* address) {
  std::uintptr_t words[64];
  for (auto& word : words) word = reinterpret_cast<std::uintptr_t>(address);
  asm volatile("" : : "r"(&words) : "memory");
  return words[7];
}

[[gnu::noinline]] bool accepts_padded_capture(char letter, double number) {
  const auto padded = [letter, number](int value) { return value + letter + number; };
  const auto with_text = [text = static_cast<const char*>("constant"), letter](int at) { return text[at] + letter; };
  return refusal(padded).empty() && refusal(with_text).empty();
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
  CHECK(refusal([function = &soil_the_stack](int) { return function; }).empty());
  CHECK(refusal([](int value) { return value; }).empty());
}

TEST_CASE("a null pointer is no address") {
  CHECK(refusal([pointer = static_cast<int*>(nullptr)] { return pointer; }).empty());
}

TEST_CASE("what lies in padding is nobody's capture") {
  const auto heap = std::make_unique<std::uintptr_t[]>(64);
  for (int turn = 0; turn < 100; ++turn) {
    CHECK(soil_the_stack(heap.get()) != 0);
    CHECK(accepts_padded_capture('a', 1.0));
  }
}
