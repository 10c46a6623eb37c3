// SPDX-License-Identifier: BSL-1.0

/// @file
/// Small tasks on a machine of 2 to 65 cores, a worker on each but the caller's: prints how often cache lines move for
/// them, and how long they take if nothing but their moves counts. check_cache_lines.py runs this.
///
/// It is the library's own code that runs there, as the compiler has instrumented it.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <procpool/detail/task/wait_set.hpp>

#include "../support/pool_without_processes.hpp"
#include "machine.hpp"

using lines::Costs;
using lines::Machine;
using lines::Tally;
using lines::Time;
using procpool::detail::Exchange;
using procpool::detail::ResultHandle;
using procpool::detail::TaskContext;

namespace {

constexpr int tasks_per_worker = 32;

struct Work {
  int number;
  Time time;
};

void add_one(TaskContext& context) {
  const Work work = support::argument_of<Work>(context);
  if (Machine* machine = Machine::current(); machine != nullptr && work.time > 0) machine->work(work.time);
  procpool::detail::write_result(context, work.number + 1);
}

/// Where a line lies.
std::string place_of(support::PoolWithoutProcesses& pool, std::size_t workers, std::size_t capacity,
                     std::uintptr_t address) {
  Exchange& exchange = pool.exchange();
  const auto within = [address](const void* begin, std::size_t size, std::size_t& offset) {
    offset = address - reinterpret_cast<std::uintptr_t>(begin);
    return offset < size;
  };
  std::size_t offset = 0;
  using procpool::detail::PoolLayout;
  using procpool::detail::Presence;
  if (within(exchange.ring_part(), PoolLayout::ring_bytes(capacity), offset)) return "cells of rings";
  if (within(exchange.pool_part(), Presence::bytes_for(workers), offset)) return "presence";
  if (within(&pool.layout().row(0), workers * sizeof(procpool::detail::Row), offset)) {
    return "row + " + std::to_string(offset % sizeof(procpool::detail::Row));
  }
  if (within(&exchange.completions(0), workers * sizeof(procpool::detail::CompletionRing), offset)) {
    return "completion ring + " + std::to_string(offset % sizeof(procpool::detail::CompletionRing));
  }
  if (within(&exchange.signal(), sizeof(procpool::detail::ResultSignal), offset)) {
    return "signal + " + std::to_string(offset);
  }
  if (within(&exchange.slots[0], exchange.slots.capacity() * sizeof(procpool::detail::Slot), offset)) {
    return "slot + " + std::to_string(offset % sizeof(procpool::detail::Slot));
  }
  const auto* words = reinterpret_cast<const std::byte*>(&pool.layout().words() + 1);
  if (within(words, procpool::detail::ring_count * sizeof(procpool::detail::RingWords), offset)) {
    return "ring + " + std::to_string(offset % sizeof(procpool::detail::RingWords));
  }
  if (within(&pool.layout().words(), sizeof(procpool::detail::PoolWords), offset)) return "words";
  return "elsewhere";
}

class Counted {
 public:
  explicit Counted(std::size_t workers)
      : workers_(workers), tasks_(workers * tasks_per_worker), pool_(workers, tasks_, std::size_t{128} << 20),
        machine_(workers + 1, pool_.exchange().mapping.begin(), pool_.exchange().mapping.size(), Costs{}) {}

  /// All are submitted, then all are done, then all are taken.
  void count_phases() {
    for (const bool is_warm : {false, true}) {
      machine_.forget_counts();
      std::vector<ResultHandle> handles;
      const Time submitted = machine_.run({[&] { handles = submit_all(0); }});
      if (is_warm) print("submit", submitted);
      machine_.forget_counts();
      const Time done = serve({});
      if (is_warm) print("claim to publish", done);
      machine_.forget_counts();
      const Time taken = machine_.run({[&] { take_all(handles); }});
      if (is_warm) print("take", taken);
    }
  }

  /// Workers look for tasks while the caller submits them, and work while it takes results.
  void count_together(Time time_of_a_task) {
    for (const bool is_warm : {false, true}) {
      machine_.forget_counts();
      const Time time = serve([&] {
        std::vector<ResultHandle> handles = submit_all(time_of_a_task);
        take_all(handles);
        pool_.stop();
      });
      if (is_warm) print("together, " + std::to_string(time_of_a_task / 1000) + " µs", time);
    }
  }

  /// All are submitted; while workers work at them, the caller takes what ends first.
  void count_watched() {
    for (const bool is_warm : {false, true}) {
      procpool::detail::WaitSet ended(pool_.exchange().hub);
      std::vector<ResultHandle> handles;
      machine_.run({[&] {
        handles = submit_all(0);
        for (std::size_t i = 0; i < handles.size(); ++i) ended.add(handles[i].handle(), i);
      }});
      machine_.forget_counts();
      const Time time = serve([&] {
        while (ended.size() > 0) take(handles[*ended.next(pool_.exchange().spin.of_caller(), std::nullopt)]);
        pool_.stop();
      });
      if (is_warm) print("as they end", time);
    }
  }

  /// Everybody sleeps; one task comes.
  void count_wake_up() {
    for (const bool is_warm : {false, true}) {
      const Time time = serve([&] {
        machine_.work(1'000'000);
        machine_.forget_counts();
        const Time begin = machine_.now();
        std::vector<ResultHandle> handles;
        handles.push_back(submit(0, 0));
        take_all(handles);
        if (is_warm) print_as("one task for sleepers", machine_.now() - begin, 1);
        pool_.stop();
      });
      static_cast<void>(time);
    }
  }

 private:
  ResultHandle submit(int number, Time time) { return pool_.submit(add_one, Work{number, time}); }

  std::vector<ResultHandle> submit_all(Time time) {
    std::vector<ResultHandle> handles;
    handles.reserve(tasks_);
    for (std::size_t i = 0; i < tasks_; ++i) handles.push_back(submit(static_cast<int>(i), time));
    return handles;
  }

  static void take_all(std::vector<ResultHandle>& handles) {
    for (ResultHandle& handle : handles) {
      handle.wait();
      take(handle);
    }
  }

  static void take(ResultHandle& handle) {
    const procpool::detail::RawResult result = handle.read();
    if (result.header.kind != procpool::detail::ResultKind::inline_value) {
      std::fputs("a task has no result\n", stderr);
      std::abort();
    }
    handle.give_back(result);
  }

  /// Core 0 is the caller's. Without a caller the workers leave when no task is left.
  Time serve(const std::function<void()>& caller) {
    std::vector<std::function<void()>> programs{caller ? caller : [] {}};
    for (std::size_t i = 0; i < workers_; ++i) {
      programs.emplace_back([this, i] { pool_.serve(static_cast<procpool::detail::WorkerIndex>(i), 1); });
    }
    pool_.layout().words().is_stopping.store(caller ? 0 : 1);
    return machine_.run(std::move(programs));
  }

  void print(const std::string& what, Time time) { print_as(what, time, static_cast<double>(tasks_)); }

  void print_as(const std::string& what, Time time, double tasks) {
    Tally caller = machine_.of(0);
    Tally all;
    for (std::size_t i = 1; i <= workers_; ++i) all += machine_.of(i);
    const auto each = [tasks](auto count) { return static_cast<double>(count) / tasks; };
    std::printf(
        "{\"workers\": %zu, \"what\": \"%s\", \"time\": %.2f, \"caller\": {\"accesses\": %.2f, \"transfers\": %.2f, "
        "\"needless\": %.3f, \"wakes\": %.3f, \"rings\": %.3f}, \"worker\": {\"accesses\": %.2f, \"transfers\": %.2f, "
        "\"needless\": %.3f, \"wakes\": %.3f, \"rings\": %.3f}, \"places\": {",
        workers_, what.c_str(), each(time), each(caller.accesses), each(caller.transfers), each(caller.needless),
        each(caller.wakes), each(caller.rings), each(all.accesses), each(all.transfers), each(all.needless),
        each(all.wakes), each(all.rings));
    std::map<std::string, Tally> places;
    for (const auto& [address, tally] : machine_.by_line()) {
      places[place_of(pool_, workers_, tasks_, address)] += tally;
    }
    const char* comma = "";
    for (const auto& [place, tally] : places) {
      std::printf("%s\"%s\": [%.3f, %.3f]", std::exchange(comma, ", "), place.c_str(), each(tally.transfers),
                  each(tally.needless));
    }
    std::puts("}}");
  }

  std::size_t workers_;
  std::size_t tasks_;
  support::PoolWithoutProcesses pool_;
  Machine machine_;
};

/// Moves for nothing, of two cores of which each writes and reads a word of its own.
std::uint64_t needless_moves(std::size_t words_between) {
  alignas(64) static std::atomic<std::uint64_t> words[16];
  Machine machine(2, words, sizeof words, Costs{});
  const auto count = [](std::atomic<std::uint64_t>& word) {
    for (int i = 0; i < 100; ++i) word.fetch_add(1, std::memory_order_relaxed);
  };
  machine.run({[&] { count(words[0]); }, [&] { count(words[words_between]); }});
  return machine.of(0).needless + machine.of(1).needless;
}

}  // namespace

int main() {
  if (needless_moves(1) < 100 || needless_moves(8) != 0) {
    std::fputs("the machine does not see false sharing, or sees some where there is none\n", stderr);
    return EXIT_FAILURE;
  }
  for (const std::size_t workers : std::array<std::size_t, 7>{1, 2, 4, 8, 16, 32, 64}) {
    Counted counted(workers);
    counted.count_phases();
    counted.count_together(0);
    counted.count_together(10'000);
    counted.count_watched();
    counted.count_wake_up();
  }
}
