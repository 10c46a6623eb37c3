// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"

using Catch::Matchers::ContainsSubstring;
using procpool::BrokenPool;
using procpool::ProcessPool;
using procpool::UsageError;
using procpool::WorkerDied;
using support::eventually;
using support::SharedCount;
namespace this_worker = procpool::this_worker;

namespace {

/// Expensive to make, and not to be moved.
class Model {
 public:
  explicit Model(std::string name) : name_(std::move(name)) {}
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  int count() { return ++calls_; }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  std::string name_;
  int calls_ = 0;
};

Model make_model() { return Model("a model"); }

int count_calls(Model& model) { return model.count(); }
std::string describe(const Model& model, int version, const std::string& note) {
  return model.name() + " " + std::to_string(version) + note;
}

struct Notes {
  std::atomic<int> preloads{0};
  std::atomic<int> initializers{0};
  std::atomic<int> states_destroyed{0};
  std::atomic<int> exits{0};
  std::atomic<int> order_mistakes{0};
  std::atomic<int> preloading_pid{0};
};

/// Tells the notes that it goes.
struct Witness {
  Notes* notes;
  explicit Witness(Notes* told) : notes(told) {}
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() {
    if (notes->exits != 0 && notes->states_destroyed == 0) ++notes->order_mistakes;
    ++notes->states_destroyed;
  }
};

}  // namespace

TEST_CASE("what the initializer returns is passed to a function that cannot be called without it") {
  ProcessPool pool{1, make_model};
  CHECK(pool.submit(describe, 2, "!").get() == "a model 2!");
  CHECK(pool.submit(count_calls).get() == 1);
  CHECK(pool.submit(&Model::count).get() == 2);
  CHECK(pool.submit([](Model& model) { return model.count(); }).get() == 3);
  CHECK(pool.with({.label = "count"}).submit(count_calls).get() == 4);
}

TEST_CASE("a function that can be called without the state is") {
  ProcessPool pool{1, [] { return 10; }};
  CHECK(pool.submit([](int x) { return x; }, 1).get() == 1);
  CHECK(pool.submit([](int& state, int x) { return state += x; }, 1).get() == 11);
  CHECK(pool.submit([](auto... all) { return sizeof...(all); }, 1).get() == 1);
  const auto optional = [](int first, int second = 0) { return first + second; };
  CHECK(pool.submit(optional, 1).get() == 1);
}

TEST_CASE("every verb passes the state") {
  ProcessPool pool{1, [] { return std::map<int, int>{{1, 10}, {2, 20}}; }};
  using Table = std::map<int, int>;
  const auto look_up = [](const Table& table, int key) { return table.at(key); };
  const std::vector<int> keys = {2, 1};
  const std::vector<int> expected = {20, 10};
  CHECK(pool.map(look_up, keys) == expected);
  CHECK(pool.map_async(look_up, keys).get() == expected);
  CHECK(pool.starmap(look_up, std::vector<std::tuple<int>>{{2}, {1}}) == expected);
  CHECK(pool.map_reduce(look_up, std::plus<>(), 0, keys) == 30);
  CHECK(pool.run_on_each_worker(look_up, 1) == std::vector{10});
  std::vector<int> lazily;
  for (const int value : pool.imap(look_up, keys)) lazily.push_back(value);
  CHECK(lazily == expected);
  pool.for_each([](Table& table, int key) { table[key] = 0; }, keys);
  CHECK(pool.map(look_up, keys) == std::vector{0, 0});
}

TEST_CASE("every worker has a state of its own, which lasts from task to task") {
  ProcessPool pool{2, [] { return 0; }};
  const auto add_one = [](int& state) { return ++state; };
  CHECK(pool.run_on_each_worker(add_one) == std::vector{1, 1});
  CHECK(pool.run_on_each_worker(add_one) == std::vector{2, 2});
}

TEST_CASE("generic code asks for the state by its type") {
  ProcessPool pool{1, make_model};
  CHECK(pool.submit([] { return this_worker::state<Model>().count(); }).get() == 1);
  CHECK(pool.submit([](auto number) { return this_worker::state<Model>().count() + number; }, 10).get() == 12);
  CHECK_THROWS_AS(pool.submit([] { return this_worker::state<int>(); }).get(), UsageError);
  ProcessPool stateless{1};
  CHECK_THROWS_AS(stateless.submit([] { return this_worker::state<int>(); }).get(), UsageError);
}

TEST_CASE("the initializer may capture anything, and may return nothing") {
  static int prepared = 0;
  const auto words = std::make_unique<std::vector<std::string>>(3, "word");
  ProcessPool pool{2,
                   [&words, moved = std::make_unique<int>(5)] { prepared = *moved + static_cast<int>(words->size()); }};
  CHECK(pool.run_on_each_worker([] { return prepared; }) == std::vector{8, 8});
  CHECK(prepared == 0);
  ProcessPool with_options{{.workers = 1}, [&words] { return words->size(); }};
  CHECK(with_options.submit([](const std::size_t& size) { return size; }).get() == 3);
}

TEST_CASE("preload runs once for all workers, before the initializers") {
  const support::Shared<Notes> notes;
  static std::string loaded;
  {
    ProcessPool pool{{.workers = 3,
                      .preload =
                          [notes = notes.get()] {
                            ++notes->preloads;
                            notes->preloading_pid = ::getpid();
                            if (notes->initializers != 0) ++notes->order_mistakes;
                            loaded = "by preload";
                          }},
                     [notes = notes.get()] {
                       ++notes->initializers;
                       return loaded;
                     }};
    CHECK(pool.run_on_each_worker([](const std::string& state) { return state; }) ==
          std::vector<std::string>(3, "by preload"));
    CHECK(pool.submit(::getppid).get() == notes->preloading_pid);
  }
  CHECK(loaded.empty());
  CHECK(notes->preloads == 1);
  CHECK(notes->initializers == 3);
  CHECK(notes->order_mistakes == 0);
}

TEST_CASE("what preload throws is thrown by the constructor") {
  const auto make = [] {
    ProcessPool pool{{.workers = 1, .preload = [] { throw std::invalid_argument("no such file"); }}};
  };
  CHECK_THROWS_AS(make(), std::invalid_argument);
  CHECK_THROWS_WITH(make(), ContainsSubstring("no such file"));
}

TEST_CASE("a worker that ends in order destroys its state and then says so") {
  const support::Shared<Notes> notes;
  {
    ProcessPool pool{{.workers = 3, .at_worker_exit = [notes = notes.get()] { ++notes->exits; }},
                     [notes = notes.get()] { return Witness(notes); }};
    pool.run_on_each_worker([] {});
    CHECK(notes->states_destroyed == 0);
    CHECK(notes->exits == 0);
  }
  CHECK(notes->states_destroyed == 3);
  CHECK(notes->exits == 3);
  CHECK(notes->order_mistakes == 0);
}

TEST_CASE("a worker that is replaced in order says so too") {
  const support::Shared<Notes> notes;
  {
    ProcessPool pool{
        {.workers = 1, .max_tasks_per_worker = 2, .at_worker_exit = [notes = notes.get()] { ++notes->exits; }}};
    for (int i = 0; i < 4; ++i) pool.submit([] {}).get();
    CHECK(eventually([&] { return notes->exits == 2; }));
  }
  CHECK(notes->exits >= 2);
}

TEST_CASE("a worker that replaces a dead one is initialized like the first") {
  const support::Shared<Notes> notes;
  ProcessPool pool{1, [notes = notes.get()] { return ++notes->initializers; }};
  const auto state = [](const int& life) { return life; };
  CHECK(pool.submit(state).get() == 1);
  CHECK_THROWS_AS(pool.submit([] { ::raise(SIGKILL); }).get(), WorkerDied);
  CHECK(pool.submit(state).get() == 2);
}

TEST_CASE("an initializer that fails breaks the pool with its own error") {
  const support::Shared<Notes> notes;
  ProcessPool pool{2, [notes = notes.get()] {
                     ++notes->initializers;
                     throw std::out_of_range("no weights");
                     return 0;
                   }};
  auto submitted = [&] {
    try {
      pool.submit([] { return 1; }).get();
      return std::string("nothing was thrown");
    } catch (const BrokenPool& error) {
      CHECK_THAT(error.what(), ContainsSubstring("no weights"));
      try {
        std::rethrow_if_nested(error);
      } catch (const std::out_of_range& cause) {
        return std::string(cause.what());
      }
      return std::string("nothing is nested");
    }
  };
  CHECK(submitted() == "no weights");
  CHECK(submitted() == "no weights");
  CHECK_THROWS_AS(pool.map([](int x) { return x; }, std::vector{1, 2}), BrokenPool);
  CHECK(notes->initializers <= 2);
  pool.wait_idle();
  pool.close();
  pool.join();
}

TEST_CASE("an initializer that kills its worker breaks the pool after a few attempts") {
  const support::Shared<Notes> notes;
  ProcessPool pool{1, [notes = notes.get()] {
                     ++notes->initializers;
                     ::_exit(3);
                   }};
  auto waiting = pool.submit([] { return 1; });
  CHECK_THROWS_AS(waiting.get(), BrokenPool);
  CHECK_THROWS_AS(pool.submit([] { return 1; }), BrokenPool);
  CHECK(notes->initializers < 20);
}

TEST_CASE("workers tell themselves apart") {
  ProcessPool pool{3};
  const auto seeds = pool.run_on_each_worker(this_worker::seed);
  CHECK(std::set(seeds.begin(), seeds.end()).size() == 3);
  CHECK(pool.run_on_each_worker(this_worker::index) == std::vector<std::size_t>{0, 1, 2});
  CHECK(pool.run_on_each_worker(this_worker::pid) == pool.run_on_each_worker(::getpid));
  ProcessPool again{3};
  CHECK(again.run_on_each_worker(this_worker::seed) == seeds);
}

TEST_CASE("a worker that replaces another has its index and a seed of its own") {
  ProcessPool pool{1};
  const std::uint64_t first = pool.submit(this_worker::seed).get();
  CHECK_THROWS_AS(pool.submit([] { ::raise(SIGKILL); }).get(), WorkerDied);
  CHECK(pool.submit(this_worker::seed).get() != first);
  CHECK(pool.submit(this_worker::index).get() == 0);
}

TEST_CASE("questions about the worker are mistakes outside of one") {
  CHECK_THROWS_AS(this_worker::index(), UsageError);
  CHECK_THROWS_AS(this_worker::pid(), UsageError);
  CHECK_THROWS_AS(this_worker::seed(), UsageError);
  CHECK_THROWS_AS(this_worker::state<int>(), UsageError);
}
