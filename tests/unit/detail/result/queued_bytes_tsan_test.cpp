// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <cstddef>
#include <limits>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <procpool/detail/result/queued_bytes.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::Handle;
using procpool::detail::QueuedBytes;

namespace {

/// A queue whose tasks wait until the test says that they do not.
struct Queue {
  std::shared_ptr<QueuedBytes> bytes = std::make_shared<QueuedBytes>(100);
  std::set<Handle> taken;
  std::size_t looks = 0;

  bool admit(QueuedBytes::Entry& entry, std::size_t size, bool stands_in_line = false) {
    return bytes->admit(entry, size, stands_in_line,
                        [this](Handle handle) { return ++looks, taken.count(handle) == 0; });
  }
  bool queue(QueuedBytes::Entry& entry, std::size_t size, Handle handle) {
    const bool is_admitted = admit(entry, size);
    if (is_admitted) entry.set_slot(handle);
    return is_admitted;
  }
};

}  // namespace

TEST_CASE("as many bytes wait as may, and no task is looked at before") {
  Queue queue;
  QueuedBytes::Entry first, second, third, empty;
  CHECK(queue.queue(first, 60, 1));
  CHECK(queue.queue(second, 40, 2));
  CHECK(queue.queue(empty, 0, 3));
  CHECK(queue.looks == 0);
  CHECK_FALSE(queue.admit(third, 1));
  CHECK(queue.bytes->was_counted() == 100);
}

TEST_CASE("what was taken is counted no more once somebody finds no room, in whatever order it was taken") {
  Queue queue;
  QueuedBytes::Entry first, second, third, fourth;
  CHECK(queue.queue(first, 50, 1));
  CHECK(queue.queue(second, 50, 2));
  queue.taken = {2};
  CHECK(queue.queue(third, 50, 3));
  CHECK_FALSE(queue.admit(fourth, 10));
  queue.taken = {1, 2, 3};
  CHECK(queue.queue(fourth, 10, 4));
  CHECK(queue.bytes->was_counted() == 60);  // The third was not looked at: there was room without.
}

TEST_CASE("no more tasks are looked at than are needed") {
  Queue queue;
  QueuedBytes::Entry entries[10];
  for (Handle handle = 0; handle < 10; ++handle) CHECK(queue.queue(entries[handle], 10, handle));
  for (Handle handle = 0; handle < 10; ++handle) queue.taken.insert(handle);
  QueuedBytes::Entry late;
  CHECK(queue.queue(late, 25, 11));
  CHECK(queue.looks == 3);
}

TEST_CASE("a task larger than all that may wait goes alone") {
  Queue queue;
  QueuedBytes::Entry large, second, third;
  CHECK(queue.queue(large, 1000, 1));
  CHECK_FALSE(queue.admit(second, 0));
  queue.taken = {1};
  CHECK(queue.queue(second, std::numeric_limits<std::size_t>::max(), 2));
  CHECK_FALSE(queue.admit(third, 1));
}

TEST_CASE("a task that is not yet queued waits, whatever is said of others") {
  Queue queue;
  QueuedBytes::Entry coming, late;
  CHECK(queue.admit(coming, 80));
  queue.taken = {0, 1, 2};
  CHECK_FALSE(queue.admit(late, 30));
  coming.set_slot(1);
  CHECK(queue.admit(late, 30));
}

TEST_CASE("an entry that goes is counted no more, be it the first, one in the middle, or the last") {
  Queue queue;
  for (std::size_t gone = 0; gone < 3; ++gone) {
    std::unique_ptr<QueuedBytes::Entry> entries[3];
    for (auto& entry : entries) {
      entry = std::make_unique<QueuedBytes::Entry>();
      CHECK(queue.queue(*entry, 30, 1));
    }
    entries[gone].reset();
    CHECK(queue.bytes->was_counted() == 60);
    QueuedBytes::Entry late, refused;
    CHECK(queue.queue(late, 40, 2));
    CHECK_FALSE(queue.admit(refused, 1));
  }
  CHECK(queue.bytes->was_counted() == 0);
  QueuedBytes::Entry whole;
  CHECK(queue.admit(whole, 100));
}

TEST_CASE("who stands in line is passed by a few that need less, then by nobody") {
  Queue queue;
  QueuedBytes::Entry first, large;
  CHECK(queue.queue(first, 50, 1));
  CHECK_FALSE(queue.admit(large, 80, true));
  int passed = 0;
  for (;; ++passed) {
    QueuedBytes::Entry small;
    if (!queue.admit(small, 10)) break;
  }
  CHECK(passed == QueuedBytes::most_passes);
  QueuedBytes::Entry late;
  CHECK_FALSE(queue.admit(late, 10, true));
  queue.taken = {1};
  CHECK_FALSE(queue.admit(late, 10, true));
  CHECK(queue.bytes->was_counted() == 50);  // Who may not go looks at nothing.
  CHECK(queue.queue(large, 80, 2));
  CHECK(queue.bytes->was_counted() == 80);
  CHECK(queue.admit(late, 10, true));
}

TEST_CASE("who stands in line is passed when he has gone, wherever he stood") {
  for (std::size_t gone = 0; gone < 3; ++gone) {
    Queue queue;
    QueuedBytes::Entry first;
    CHECK(queue.queue(first, 50, 1));
    std::unique_ptr<QueuedBytes::Entry> line[3];
    for (auto& entry : line) {
      entry = std::make_unique<QueuedBytes::Entry>();
      CHECK_FALSE(queue.admit(*entry, 60, true));
    }
    line[gone].reset();
    queue.taken = {1};
    for (Handle handle = 0; handle < 3; ++handle) {
      if (handle == gone) continue;
      CHECK(queue.queue(*line[handle], 60, 10 + handle));
      queue.taken.insert(10 + handle);
    }
    QueuedBytes::Entry late;
    CHECK(queue.admit(late, 100));
    CHECK(queue.bytes->was_counted() == 100);
  }
}

TEST_CASE("threads that come and go never count more than may wait, and leave nothing") {
  const auto bytes = std::make_shared<QueuedBytes>(100);
  std::atomic<Handle> next{0};
  std::atomic<Handle> taken{0};  // all below it
  std::atomic<int> admitted{0};
  std::atomic<bool> is_exceeded{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        QueuedBytes::Entry entry;
        const bool is_admitted = bytes->admit(entry, 30, i % 2 == 0, [&](Handle handle) { return handle >= taken; });
        if (bytes->was_counted() > 100) is_exceeded = true;
        if (!is_admitted) {
          taken = next.load();
          continue;
        }
        ++admitted;
        entry.set_slot(next++);
        if (i % 3 != 0) std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(is_exceeded);
  CHECK(admitted > 0);
  CHECK(bytes->was_counted() == 0);
}

TEST_CASE("an entry may outlive all others who know its queue, and one that was never counted knows none") {
  QueuedBytes::Entry entry;
  QueuedBytes::Entry never;
  never.set_slot(1);
  {
    Queue queue;
    CHECK(queue.queue(entry, 10, 1));
  }
  entry.set_slot(2);
}
