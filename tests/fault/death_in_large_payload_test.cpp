// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"

using procpool::Future;
using procpool::PoolOptions;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::die;
using support::Way;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t payload = std::size_t{4} << 20;
const PoolOptions few_payloads{.workers = 2, .shared_memory = std::size_t{64} << 20};
constexpr int rounds = 12;  // more payloads than there is memory for at a time

/// Whoever reads it dies by SIGSEGV in its middle.
void end_in_the_middle(Bytes& bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto middle = (reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size() / 2) / page * page;
  if (::mprotect(reinterpret_cast<void*>(middle), page, PROT_NONE) != 0) ::_exit(97);
}

Bytes good(int item) { return Bytes(payload, static_cast<std::uint8_t>(item)); }
Bytes bad(int item) {
  Bytes bytes = good(item);
  end_in_the_middle(bytes);
  return bytes;
}

bool is_whole(const Bytes& bytes, int item) { return bytes == good(item); }

/// Two halves, between which a worker that reads it dies.
struct TwoHalves {
  template <class Archive>
  void save(Archive& archive) const {
    archive(is_deadly, first, second);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(is_deadly, first);
    if (is_deadly && support::is_in_worker()) die(Way::kill);
    archive(second);
  }

  bool is_deadly = false;
  Bytes first = Bytes(payload / 2, 1);
  Bytes second = Bytes(payload / 2, 2);
};

std::size_t size_of(const TwoHalves& halves) { return halves.first.size() + halves.second.size(); }

template <class T>
int signal_of(Future<T> future) {
  try {
    static_cast<void>(future.get());
  } catch (const WorkerDied& death) {
    return death.signal();
  }
  return 0;
}

/// True if its worker died; else it has its value.
bool is_right_or_died(Future<Bytes> future, int item) {
  Bytes bytes;
  try {
    bytes = future.get();
  } catch (const WorkerDied&) {
    return true;
  }
  CHECK(is_whole(bytes, item));
  return false;
}

/// Kills the worker of index 0 whenever it writes a result into the shared memory, which takes milliseconds.
class KillsAWriter {
 public:
  explicit KillsAWriter(const ProcessPool<>& pool)
      : thread_([&pool, zygote = support::zygote_of(pool), this] { run(pool, zygote); }) {}
  KillsAWriter(const KillsAWriter&) = delete;
  KillsAWriter& operator=(const KillsAWriter&) = delete;
  ~KillsAWriter() {
    is_over_ = true;
    thread_.join();
  }

 private:
  void run(const ProcessPool<>& pool, ::pid_t zygote) {
    const auto& filling = pool.sender().core->layout().row(0).filling;
    for (; !is_over_; std::this_thread::yield()) {
      if (filling != 0) support::signal_child_of(zygote, pool.workers().front().pid, SIGKILL);
    }
  }

  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

void check_that_nothing_is_left(ProcessPool<>& pool) {
  pool.wait_idle();
  CHECK(support::what_is_left(pool) == "");
}

}  // namespace

TEST_CASE("a worker that dies with half of a large result encoded loses that result alone") {
  ProcessPool pool{few_payloads};
  for (int round = 0; round < rounds; ++round) {
    auto neighbour = pool.submit(good, round);
    CHECK(signal_of(pool.submit(bad, round)) == SIGSEGV);
    CHECK(is_whole(neighbour.get(), round));
  }
  CHECK(pool.stats().worker_deaths == rounds);
  check_that_nothing_is_left(pool);
}

TEST_CASE("a worker that dies with half of a large result written loses that result alone, and its memory comes back") {
  ProcessPool pool{few_payloads};
  int died = 0;
  {
    const KillsAWriter killer(pool);
    for (int round = 0; died < rounds; ++round) {
      REQUIRE(round < 100 * rounds);
      auto first = pool.submit(good, round % 256);
      auto second = pool.submit(good, (round + 1) % 256);
      died += is_right_or_died(std::move(first), round % 256) ? 1 : 0;
      died += is_right_or_died(std::move(second), (round + 1) % 256) ? 1 : 0;
    }
  }
  check_that_nothing_is_left(pool);
}

TEST_CASE("a result is read in place though its worker is dead, and its memory comes back when it is given back") {
  ProcessPool pool{few_payloads};
  const ::pid_t zygote = support::zygote_of(pool);
  std::vector<procpool::Borrowed<Bytes>> borrowed;
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t size : {std::size_t{100}, std::size_t{5000}, payload}) {
      borrowed.push_back(pool.submit([](std::size_t bytes) { return Bytes(bytes, 7); }, size).borrow());
    }
    const std::vector<::pid_t> pids = support::pids_of(pool);
    const auto are_gone = [&] {
      for (const ::pid_t pid : pids) support::signal_child_of(zygote, pid, SIGKILL);
      const std::vector<::pid_t> now = support::pids_of(pool);
      return std::find_first_of(now.begin(), now.end(), pids.begin(), pids.end()) == now.end();
    };
    REQUIRE(support::eventually(are_gone, std::chrono::seconds(20)));
  }
  for (int round = 0; round < rounds; ++round) CHECK(is_whole(pool.submit(good, round).get(), round));
  CHECK(support::holds_results(pool));
  for (const auto& each : borrowed) {
    CHECK(static_cast<std::size_t>(std::count(each.begin(), each.end(), 7)) == each.size());
  }
  borrowed.clear();
  check_that_nothing_is_left(pool);
}

TEST_CASE("an item of a map that dies with half of a large result written is lost alone, and its memory comes back") {
  ProcessPool pool{few_payloads};
  std::vector<int> items(rounds);
  std::iota(items.begin(), items.end(), 0);
  int died = 0;
  {
    const KillsAWriter killer(pool);
    for (int round = 0; died < rounds; ++round) {
      REQUIRE(round < 100);
      int seen = 0;
      const auto terms = pool.with({.chunk_size = round % 2 == 0 ? 1U : 3U, .read_ahead = 3});
      for (const auto& outcome : terms.imap_unordered_outcomes(good, items)) {
        ++seen;
        if (outcome.has_value()) {
          CHECK(is_whole(*outcome, static_cast<int>(outcome.position())));
          continue;
        }
        CHECK_THROWS_AS(outcome.value(), WorkerDied);
        ++died;
      }
      CHECK(seen == rounds);
    }
  }
  check_that_nothing_is_left(pool);
}

TEST_CASE("a worker that dies with half of a large argument read loses that task alone, and its memory comes back") {
  ProcessPool pool{few_payloads};
  TwoHalves deadly;
  deadly.is_deadly = true;
  for (int round = 0; round < rounds; ++round) {
    auto neighbour = pool.submit(size_of, TwoHalves());
    CHECK(signal_of(pool.submit(size_of, deadly)) == SIGKILL);
    CHECK(neighbour.get() == payload);
  }
  check_that_nothing_is_left(pool);
}

TEST_CASE("a worker that dies while it reads a large argument in place loses that task alone") {
  ProcessPool pool{few_payloads};
  const std::string text(payload, 't');
  const auto read_half = [](std::string_view view, bool is_deadly) {
    const auto count = std::count(view.begin(), view.begin() + static_cast<std::ptrdiff_t>(view.size() / 2), 't');
    if (is_deadly) die(Way::kill);
    return count;
  };
  for (int round = 0; round < rounds; ++round) {
    auto neighbour = pool.submit(read_half, text, false);
    CHECK(signal_of(pool.submit(read_half, text, true)) == SIGKILL);
    CHECK(neighbour.get() == static_cast<std::ptrdiff_t>(payload / 2));
  }
  check_that_nothing_is_left(pool);
}

TEST_CASE("submits that wait for bytes go on though the workers that take what waits die") {
  ProcessPool pool{{.workers = 2, .queue_bytes = payload / 2}};
  const auto take = [](std::string_view view, bool is_deadly) {
    if (is_deadly) die(Way::kill);
    return view.size();
  };
  const std::string text(payload / 4, 't');
  std::vector<Future<std::size_t>> futures;
  for (int i = 0; i < 10 * rounds; ++i) futures.push_back(pool.submit(take, text, i % 5 == 0));
  for (int i = 0; i < 10 * rounds; ++i) {
    auto& future = futures[static_cast<std::size_t>(i)];
    if (i % 5 == 0) CHECK_THROWS_AS(future.get(), WorkerDied);
    else CHECK(future.get() == text.size());
  }
  CHECK(pool.stats().worker_deaths == 2 * rounds);
  check_that_nothing_is_left(pool);
}

TEST_CASE("a task that is cancelled gives the memory of its large argument back, whether it waited or ran") {
  const support::SharedGate gate;
  ProcessPool pool{{.workers = 1, .shared_memory = std::size_t{1} << 30}};  // room for two such arguments at a time
  const support::OpensAtEnd opens(gate);
  const std::string text(std::size_t{100} << 20, 't');
  const auto size = [](std::string_view view) { return view.size(); };
  auto running = pool.submit(
      [gate = gate.get()](std::string_view view) {
        gate->pass();
        return view.size();
      },
      text);
  REQUIRE(gate->is_reached_by(1));
  CHECK_FALSE(running.cancel());
  for (int round = 0; round < 4; ++round) {
    auto waiting = pool.submit(size, text);
    CHECK(waiting.cancel());
    CHECK_THROWS_AS(waiting.get(), procpool::Cancelled);
  }
  gate->open();
  CHECK(running.get() == text.size());
  for (int round = 0; round < 2; ++round) {
    auto first = pool.submit(size, text);
    auto second = pool.submit(size, text);
    CHECK(first.get() == text.size());
    CHECK(second.get() == text.size());
  }
}
