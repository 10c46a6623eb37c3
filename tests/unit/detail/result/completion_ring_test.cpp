// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include <procpool/detail/result/completion_ring.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::CompletionRing;
using procpool::detail::Handle;

namespace {

constexpr std::size_t capacity = 512;

/// What a reader takes out; `is_complete` is false if it has to scan.
struct Drained {
  std::vector<Handle> handles;
  bool is_complete = false;
};

Drained drain(CompletionRing& ring) {
  Drained drained;
  drained.is_complete = ring.drain([&](Handle handle) { drained.handles.push_back(handle); });
  return drained;
}

}  // namespace

TEST_CASE("a completion ring gives handles out in order, over many laps") {
  const auto ring = std::make_unique<CompletionRing>();
  CHECK_FALSE(ring->had_something());
  Handle next = 0;
  Handle expected = 0;
  for (std::size_t batch = 0; batch < 3000; batch += 7) {
    for (std::size_t i = 0; i < batch % 500; ++i) ring->push(next++);
    CHECK(ring->had_something() == (batch % 500 != 0));
    const Drained drained = drain(*ring);
    CHECK(drained.is_complete);
    for (const Handle handle : drained.handles) {
      if (handle != expected++) FAIL("batch " << batch);
    }
    CHECK(expected == next);
  }
}

TEST_CASE("a completion ring that overflows asks for one scan, and is as before after it") {
  const auto ring = std::make_unique<CompletionRing>();
  for (Handle handle = 0; handle < capacity + 3; ++handle) ring->push(handle);
  const Drained drained = drain(*ring);
  CHECK(drained.handles.size() == capacity);
  CHECK_FALSE(drained.is_complete);
  CHECK_FALSE(ring->had_something());
  ring->push(9);
  const Drained later = drain(*ring);
  CHECK(later.is_complete);
  CHECK(later.handles == std::vector<Handle>{9});
}

TEST_CASE("a completion ring whose counts a wild write has ruined asks for a scan and recovers") {
  for (const int byte : {0x01, 0x7F, 0xFF}) {
    for (std::size_t at = 0; at < 2 * 64 + 8; at += 8) {  // the counts, one after another
      const auto ring = std::make_unique<CompletionRing>();
      for (Handle handle = 0; handle < 700; ++handle) {
        ring->push(handle);
        if (handle == 690) CHECK(drain(*ring).handles.size() >= 100);
      }
      std::memset(reinterpret_cast<unsigned char*>(ring.get()) + at, byte, 8);
      bool scans = false;
      std::size_t taken = 0;
      if (ring->had_something()) {
        const Drained drained = drain(*ring);
        scans = !drained.is_complete;
        taken = drained.handles.size();
      }
      if (!scans && taken < 9) FAIL("bytes " << at << " set to " << byte << ": " << taken << " of 9 and no scan");
      static_cast<void>(drain(*ring));
      ring->push(1234);
      bool arrives = false;
      for (int looks = 0; looks < 2 && !arrives; ++looks) {
        const Drained later = drain(*ring);
        arrives = !later.is_complete || (!later.handles.empty() && later.handles.back() == 1234);
      }
      if (!arrives) FAIL("bytes " << at << " set to " << byte << ": a later handle is lost");
    }
  }
  SUCCEED();
}
