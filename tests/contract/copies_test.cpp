// SPDX-License-Identifier: BSL-1.0

#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/counted_copies.hpp"
#include "../support/leftovers.hpp"
#include "../support/tasks.hpp"

using procpool::ProcessPool;
using support::copied;
using support::mebi;

namespace {

using Numbers = std::vector<int>;

constexpr std::size_t payload = 8 * mebi;
constexpr std::size_t incidental = mebi / 8;  // what else is copied on the way

/// How many times as much as `payload` was copied since it was made, or asked last. Not a whole number: 99.
class CopyCount {
 public:
  [[nodiscard]] std::size_t now() {
    const std::size_t bytes = copied - std::exchange(before_, copied);
    return bytes % payload <= incidental ? bytes / payload : 99;
  }

 private:
  std::size_t before_ = copied;
};

CopyCount of_worker;

Numbers sent_numbers() {
  Numbers numbers(payload / sizeof(int));
  std::iota(numbers.begin(), numbers.end(), 1);
  return numbers;
}

std::size_t copies_of_worker() { return of_worker.now(); }
Numbers as_given(Numbers given) { return given; }
std::size_t copies_to_take(const Numbers& given) { return given.empty() ? 98 : of_worker.now(); }
std::size_t copies_to_take_text(const std::string& given) { return given.empty() ? 98 : of_worker.now(); }
std::size_t copies_to_look(std::span<const int> given) { return given.empty() ? 98 : of_worker.now(); }
int successor(int number) { return number + 1; }

}  // namespace

TEST_CASE("contiguous data is copied once into the shared memory and once out of it, and as a view not again") {
  if (!support::counts_copies) return support::skip_case("a sanitizer has a memcpy of its own");
  ProcessPool pool{1};
  const Numbers sent = sent_numbers();
  const std::string text(payload, 'x');
  static_cast<void>(pool.submit(copies_of_worker).get());
  CopyCount here;
  CHECK(pool.submit(copies_to_take, sent).get() == 1);
  CHECK(here.now() == 1);
  CHECK(pool.submit(copies_to_look, sent).get() == 0);
  CHECK(here.now() == 1);
  CHECK(pool.submit(copies_to_take_text, text).get() == 1);
  CHECK(here.now() == 1);
  CHECK(pool.submit(as_given, sent).get() == sent);
  CHECK(here.now() == 2);
  CHECK(pool.submit(copies_of_worker).get() == 2);
  static_cast<void>(pool.submit(as_given, sent).borrow());
  CHECK(here.now() == 1);
}

TEST_CASE("a map over contiguous data copies each chunk once, and each result once to its place") {
  if (!support::counts_copies) return support::skip_case("a sanitizer has a memcpy of its own");
  ProcessPool pool{1};
  const Numbers sent = sent_numbers();
  Numbers expected = sent;
  for (int& each : expected) ++each;
  CopyCount here;
  CHECK(pool.map(successor, sent) == expected);
  CHECK(here.now() == 2);
  CHECK(pool.with({.chunk_size = 100'000}).map(successor, std::span(sent)) == expected);
  CHECK(here.now() == 2);
}
