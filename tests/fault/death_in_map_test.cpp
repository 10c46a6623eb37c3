// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::Outcome;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::die;
using support::Way;

namespace {

constexpr int most_items = 300;

/// How often each item ran, counted across all processes.
struct Runs {
  std::array<std::atomic<int>, most_items> of{};
};

/// An item: negative ones kill their worker, others are doubled.
struct Doubled {
  Runs* runs;
  std::array<bool, most_items> deadly{};

  void begin(int item) const {
    ++runs->of[static_cast<std::size_t>(item)];
    if (deadly[static_cast<std::size_t>(item)]) die(Way::kill);
  }
};
struct DenseDoubled : Doubled {
  int operator()(int item) const { return begin(item), 2 * item; }
};
struct TextDoubled : Doubled {
  std::string operator()(int item) const {
    begin(item);
    if (item % 10 == 5) throw std::out_of_range("five at the end");
    return std::string(static_cast<std::size_t>(item) * 40, 'x');
  }
};
struct VoidDoubled : Doubled {
  void operator()(int item) const { begin(item); }
};

struct Plan {
  int items;
  std::size_t chunk_size;
  std::set<int> deadly;
};
const std::vector<Plan> plans = {
    {1, 0, {0}},
    {1, 1, {0}},
    {2, 2, {0, 1}},
    {10, 10, {0}},
    {10, 10, {9}},
    {10, 10, {4}},
    {10, 10, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
    {100, 0, {0, 50, 99}},
    {100, 1, {0, 1, 2, 98, 99}},
    {100, 7, {6, 7, 13, 14, 20, 99}},
    {100, 50, {0, 24, 25, 26, 49, 50, 51, 99}},
    {300, 0, {3, 33, 133, 233}},
    {300, 300, {0, 299}},
};

std::vector<int> items_of_plan(const Plan& plan) {
  std::vector<int> items(static_cast<std::size_t>(plan.items));
  std::iota(items.begin(), items.end(), 0);
  return items;
}

/// Every item of the plan ran once, whatever became of it.
void check_runs_of_plan(const Plan& plan, const Runs& runs) {
  for (int item = 0; item < most_items; ++item) {
    if (runs.of[static_cast<std::size_t>(item)] != (item < plan.items ? 1 : 0)) {
      FAIL("item " << item << " ran " << runs.of[static_cast<std::size_t>(item)] << " times");
    }
  }
}

/// Exactly the plan's deadly items have died, each at its own position.
template <class T>
void check_outcome(const Plan& plan, Outcome<T>& outcome, const std::function<bool(Outcome<T>&)>& is_right) {
  const int item = static_cast<int>(outcome.position());
  const bool is_deadly = plan.deadly.contains(item);
  if (!is_deadly) {
    if (!is_right(outcome)) FAIL("item " << item);
    return;
  }
  try {
    outcome.value();
    FAIL("item " << item << " has a value");
  } catch (const WorkerDied& death) {
    if (death.position() != outcome.position() || death.signal() != SIGKILL || death.label() != "plan")
      FAIL(death.what());
  }
}

template <class Function, class T>
void run_plans(const std::function<bool(Outcome<T>&)>& is_right) {
  const support::Shared<Runs> runs;
  ProcessPool pool{2};
  std::size_t deaths = 0;
  for (const Plan& plan : plans) {
    INFO(plan.items << " items in chunks of " << plan.chunk_size << ", " << plan.deadly.size() << " of them deadly");
    const auto terms = pool.with({.chunk_size = plan.chunk_size, .label = "plan"});
    Function function;
    function.runs = runs.get();
    for (const int item : plan.deadly) function.deadly[static_cast<std::size_t>(item)] = true;

    for (auto& count : runs->of) count = 0;
    auto outcomes = terms.map_outcomes(function, items_of_plan(plan));
    REQUIRE(outcomes.size() == static_cast<std::size_t>(plan.items));
    for (auto& outcome : outcomes) check_outcome<T>(plan, outcome, is_right);
    check_runs_of_plan(plan, *runs);

    for (auto& count : runs->of) count = 0;
    std::set<std::size_t> positions;
    for (auto& outcome : terms.imap_unordered_outcomes(function, items_of_plan(plan))) {
      positions.insert(outcome.position());
      check_outcome<T>(plan, outcome, is_right);
    }
    CHECK(positions.size() == outcomes.size());
    check_runs_of_plan(plan, *runs);

    deaths += 2 * plan.deadly.size();
    pool.wait_idle();
    CHECK(pool.stats().worker_deaths == deaths);
    CHECK(support::what_is_left(pool) == "");
  }
}

}  // namespace

TEST_CASE("a map of numbers loses exactly the items that killed their workers") {
  run_plans<DenseDoubled, int>([](auto& outcome) { return *outcome == 2 * static_cast<int>(outcome.position()); });
}

TEST_CASE("a map of texts loses exactly the items that killed their workers, beside those that threw") {
  run_plans<TextDoubled, std::string>([](auto& outcome) {
    if (outcome.position() % 10 != 5) return outcome.value().size() == outcome.position() * 40;
    try {
      outcome.value();
    } catch (const std::out_of_range&) {
      return true;
    }
    return false;
  });
}

TEST_CASE("a map of a void function loses exactly the items that killed their workers") {
  run_plans<VoidDoubled, void>([](auto& outcome) { return outcome.has_value(); });
}

TEST_CASE("what an item of a map printed is there though the next one of its chunk kills their worker") {
  std::fflush(stdout);
  const int kept = ::dup(STDOUT_FILENO);
  const int file = ::memfd_create("printed", MFD_CLOEXEC);
  REQUIRE(::dup2(file, STDOUT_FILENO) == STDOUT_FILENO);
  std::string printed(100, '\0');
  {
    const auto print_or_die = [](int item) {
      if (item == 7) die(Way::kill);
      if (item % 3 == 0) std::printf("%d ", item);
      return item;
    };
    ProcessPool pool{1};
    CHECK_FALSE(pool.with({.chunk_size = 10}).map_outcomes(print_or_die, support::numbers(10)).at(7).has_value());
    printed.resize(static_cast<std::size_t>(::pread(file, printed.data(), printed.size(), 0)));
  }
  ::dup2(kept, STDOUT_FILENO);
  ::close(kept);
  ::close(file);
  CHECK(printed == "0 3 6 9 ");
}

TEST_CASE("a map finishes all items before it throws the death with the lowest position") {
  const support::Shared<Runs> runs;
  ProcessPool pool{2};
  for (const std::size_t chunk_size : {0U, 1U, 4U, 100U}) {
    for (auto& count : runs->of) count = 0;
    DenseDoubled function;
    function.runs = runs.get();
    function.deadly[30] = function.deadly[31] = function.deadly[77] = true;
    const Plan plan{100, chunk_size, {30, 31, 77}};
    const auto terms = pool.with({.chunk_size = chunk_size});
    try {
      static_cast<void>(terms.map(function, items_of_plan(plan)));
      FAIL("it threw nothing");
    } catch (const WorkerDied& death) {
      CHECK(death.position() == 30);
    }
    check_runs_of_plan(plan, *runs);
    for (auto& count : runs->of) count = 0;
    auto later = terms.map_async(function, items_of_plan(plan));
    try {
      static_cast<void>(later.get());
      FAIL("it threw nothing");
    } catch (const WorkerDied& death) {
      CHECK(death.position() == 30);
    }
    check_runs_of_plan(plan, *runs);
    for (auto& count : runs->of) count = 0;
    CHECK_THROWS_AS(terms.for_each(function, items_of_plan(plan)), WorkerDied);
    check_runs_of_plan(plan, *runs);
  }
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("the iterator of an imap that threw a death goes on with the next item") {
  const support::Shared<Runs> runs;
  ProcessPool pool{2};
  TextDoubled function;
  function.runs = runs.get();
  function.deadly[0] = function.deadly[41] = function.deadly[42] = true;
  for (const std::size_t chunk_size : {1U, 6U}) {
    auto results = pool.with({.chunk_size = chunk_size}).imap(function, items_of_plan({60, 0, {}}));
    int item = 0;
    int deaths = 0;
    for (auto it = results.begin(); it != results.end(); ++it, ++item) {
      try {
        const std::size_t size = (*it).size();
        CHECK(size == static_cast<std::size_t>(item) * 40);
      } catch (const WorkerDied& death) {
        CHECK(death.position() == static_cast<std::size_t>(item));
        ++deaths;
      } catch (const std::out_of_range&) {
        CHECK(item % 10 == 5);
      }
    }
    CHECK(item == 60);
    CHECK(deaths == 3);
  }
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("an imap that is left while items die leaves nothing") {
  const support::Shared<Runs> runs;
  ProcessPool pool{2};
  TextDoubled function;
  function.runs = runs.get();
  for (std::size_t i = 0; i < most_items; i += 3) function.deadly[i] = true;
  for (int leave = 0; leave < 12; ++leave) {
    int seen = 0;
    for (auto& outcome : pool.with({.chunk_size = 2, .read_ahead = 20})
                             .imap_unordered_outcomes(function, items_of_plan({100, 0, {}}))) {
      static_cast<void>(outcome);
      if (seen++ == leave) break;
    }
  }
  pool.wait_idle();
  CHECK(support::what_is_left(pool) == "");
}

namespace {

/// A sum whose object may kill the process that destroys it.
struct Sum {
  long value = 0;
  bool is_deadly = false;
  std::string padding = std::string(2000, 'p');

  Sum() = default;
  explicit Sum(long v) : value(v) {}
  Sum(const Sum&) = default;
  Sum(Sum&& other) noexcept
      : value(other.value), is_deadly(std::exchange(other.is_deadly, false)), padding(other.padding) {}
  Sum& operator=(const Sum&) = default;
  ~Sum() {
    if (is_deadly && support::is_in_worker()) die(Way::kill);
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, is_deadly, padding);
  }
};

}  // namespace

TEST_CASE("a reduction throws the death of an item, and leaves nothing") {
  ProcessPool pool{2};
  for (const std::size_t chunk_size : {0U, 1U, 9U, 100U}) {
    const auto terms = pool.with({.chunk_size = chunk_size});
    const auto deadly_at_60 = [](int item) {
      if (item == 60) die(Way::kill);
      return std::string(100, static_cast<char>('a' + item % 26));
    };
    try {
      static_cast<void>(terms.map_reduce(deadly_at_60, std::plus<>{}, std::string(), items_of_plan({100, 0, {}})));
      FAIL("it threw nothing");
    } catch (const WorkerDied& death) {
      CHECK(death.position() == 60);
    }
    const auto add = [](int item) { return static_cast<long>(item); };
    CHECK(terms.map_reduce(add, std::plus<>{}, 0L, items_of_plan({100, 0, {}})) == 4950);
    pool.wait_idle();
    CHECK(support::what_is_left(pool) == "");
  }
}

TEST_CASE("a worker that dies after it has written the result of a whole chunk leaves nothing of it") {
  ProcessPool pool{2};
  const auto make = [](int item) {
    Sum sum(item);
    sum.is_deadly = item == 9;
    return sum;
  };
  const auto add = [](Sum a, Sum b) {
    Sum sum(a.value + b.value);
    sum.is_deadly = a.is_deadly || b.is_deadly;
    a.is_deadly = b.is_deadly = false;
    return sum;
  };
  for (int round = 0; round < 20; ++round) {
    CHECK_THROWS_AS(pool.with({.chunk_size = 10}).map_reduce(make, add, Sum(), items_of_plan({10, 0, {}})), WorkerDied);
  }
  pool.wait_idle();
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("an initializer's state is made anew for the worker that replaces a dead one") {
  const support::SharedCount made;
  ProcessPool pool{2, [count = made.get()] {
                     ++*count;
                     return std::make_unique<std::string>("state");
                   }};
  const auto outcomes = pool.with({.chunk_size = 5})
                            .map_outcomes(
                                [](std::unique_ptr<std::string>& state, int item) {
                                  if (item % 7 == 0) die(Way::quiet_exit_3);
                                  return state->size();
                                },
                                items_of_plan({70, 0, {}}));
  int died = 0;
  for (const auto& outcome : outcomes) {
    if (!outcome.has_value()) ++died;
    else CHECK(*outcome == 5);
  }
  CHECK(died == 10);
  static_cast<void>(pool.run_on_each_worker([] { return 1; }));  // Now all are there.
  CHECK(*made == 12);
}
