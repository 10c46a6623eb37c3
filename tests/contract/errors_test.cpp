// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/in_child.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using procpool::from_snapshot;
using procpool::ProcessPool;
using procpool::RemoteError;
using procpool::RemoteOrigin;
using procpool::SharedMemoryExhausted;
using procpool::UsageError;
using procpool::WorkerDied;
using support::same;

namespace {

class KeepsItsType : public std::runtime_error {
 public:
  explicit KeepsItsType(const std::string& text) : std::runtime_error(text) {}
};

class LosesItsType : public std::out_of_range {
 public:
  LosesItsType() : std::out_of_range("lost") {}
};

struct HasACode : std::exception {
  explicit HasACode(int given = 0) : code(given) {}
  template <class Archive>
  void serialize(Archive& archive) {
    archive(code);
  }
  int code;
};

/// Throws exception number `kind`.
int throw_one(int kind) {
  switch (kind) {
    case 0: throw std::invalid_argument("invalid");
    case 1: throw std::overflow_error("overflow");
    case 2: throw std::system_error(ENOENT, std::generic_category(), "opening it");
    case 3: return static_cast<int>(std::vector<int>().at(1));
    case 4: return std::optional<int>().value();
    case 5: return std::get<0>(std::variant<int, char>('c'));
    case 6: throw std::bad_alloc();
    case 7: throw std::string("no exception at all");
    case 8: throw 42;
    case 9: throw KeepsItsType("kept");
    case 10: throw LosesItsType();
    case 11: throw UsageError("used wrongly");
    case 12: throw procpool::Error("an error of the library");
    default: return kind;
  }
}

/// The signal or the exit status that a worker died with in the task.
template <class Task>
std::pair<int, int> end_of(ProcessPool<>& pool, Task task) {
  try {
    pool.submit(task).get();
  } catch (const WorkerDied& death) {
    return {death.signal(), death.exit_status()};
  }
  return {-1, -1};
}

/// What `call` throws as a UsageError; empty: nothing, or something else.
template <class Call>
std::string usage_error_of(Call call) {
  try {
    static_cast<void>(call());
  } catch (const UsageError& error) {
    return error.what();
  } catch (...) {
  }
  return {};
}

}  // namespace

TEST_CASE("a standard exception of a task arrives as its own type") {
  ProcessPool pool{1};
  const auto thrown = [&](int kind) { return pool.submit(throw_one, kind).get(); };
  CHECK_THROWS_AS(thrown(0), std::invalid_argument);
  CHECK_THROWS_AS(thrown(1), std::overflow_error);
  CHECK_THROWS_AS(thrown(3), std::out_of_range);
  CHECK_THROWS_AS(thrown(4), std::bad_optional_access);
  CHECK_THROWS_AS(thrown(5), std::bad_variant_access);
  CHECK_THROWS_AS(thrown(6), std::bad_alloc);
  CHECK_THROWS_AS(thrown(11), UsageError);
  CHECK_THROWS_AS(thrown(12), procpool::Error);
  CHECK_THROWS_WITH(thrown(0), "invalid");
  try {
    thrown(2);
  } catch (const std::system_error& error) {
    CHECK(error.code() == std::errc::no_such_file_or_directory);
    CHECK_THAT(error.what(), ContainsSubstring("opening it"));
  }
}

TEST_CASE("an exception of a task says where it was thrown") {
  ProcessPool pool{1};
  const ::pid_t worker = pool.submit(::getpid).get();
  for (const auto& [kind, name] :
       {std::pair(0, "std::invalid_argument"), std::pair(7, "string"), std::pair(10, "LosesItsType")}) {
    CAPTURE(kind);
    try {
      pool.with({.label = "risky"}).submit(throw_one, kind).get();
      FAIL("nothing was thrown");
    } catch (const RemoteOrigin& origin) {
      CHECK(origin.pid() == worker);
      CHECK(origin.label() == "risky");
      CHECK_THAT(origin.type_name(), ContainsSubstring(name));
    }
  }
}

TEST_CASE("an exception of a derived type that nobody registered arrives as its nearest standard base") {
  ProcessPool pool{1};
  CHECK_THROWS_AS(pool.submit(throw_one, 10).get(), std::out_of_range);
  CHECK_THROWS_WITH(pool.submit(throw_one, 10).get(), "lost");
}

TEST_CASE("an exception of a registered type keeps it") {
  procpool::register_exception<KeepsItsType>();
  ProcessPool pool{1};
  CHECK_THROWS_AS(pool.submit(throw_one, 9).get(), KeepsItsType);
  CHECK_THROWS_AS(pool.map(throw_one, std::vector{9}), KeepsItsType);
  CHECK_THROWS_WITH(pool.submit(throw_one, 9).get(), "kept");
}

TEST_CASE("what is no exception arrives as a RemoteError") {
  ProcessPool pool{1};
  CHECK_THROWS_AS(pool.submit(throw_one, 7).get(), RemoteError);
  CHECK_THROWS_WITH(pool.submit(throw_one, 7).get(), ContainsSubstring("no exception at all"));
  CHECK_THROWS_AS(pool.submit(throw_one, 8).get(), RemoteError);
  CHECK_THROWS_WITH(pool.submit(throw_one, 8).get(), ContainsSubstring("int"));
}

TEST_CASE("an exception that is returned is a value") {
  procpool::register_exception<HasACode>();
  ProcessPool pool{1};
  auto returned = pool.submit([] { return HasACode(7); });
  CHECK(returned.exception() == nullptr);
  CHECK(returned.get().code == 7);
  CHECK_THROWS_AS(pool.submit([]() -> HasACode { throw HasACode(8); }).get(), HasACode);
  const auto outcomes = pool.map_outcomes(
      [](int code) {
        if (code == 8) throw HasACode(code);
        return HasACode(code);
      },
      std::vector{7, 8});
  CHECK(outcomes.at(0)->code == 7);
  CHECK_FALSE(outcomes.at(1).has_value());
  CHECK(pool.stats().failed == 1);
}

TEST_CASE("an exception can be looked at without taking the result, and taken all the same") {
  ProcessPool pool{1};
  auto failing = pool.submit(throw_one, 0);
  CHECK(failing.exception() != nullptr);
  CHECK(failing.valid());
  CHECK_THROWS_AS(failing.get(), std::invalid_argument);
  auto good = pool.submit(same, 1);
  CHECK(good.exception() == nullptr);
  CHECK(good.get() == 1);
}

TEST_CASE("a task that ends its worker fails with how it ended") {
  ProcessPool pool{1};
  CHECK(end_of(pool, [] { ::raise(SIGKILL); }) == std::pair(SIGKILL, -1));
  CHECK(end_of(pool, [] { ::raise(SIGTERM); }) == std::pair(SIGTERM, -1));
  CHECK(end_of(pool, [] { ::_exit(3); }) == std::pair(0, 3));
  CHECK(end_of(pool, [] { ::_exit(0); }) == std::pair(0, 0));
  CHECK(end_of(pool, [] { std::exit(4); }) == std::pair(0, 4));
  CHECK(end_of(pool, [] { std::terminate(); }) == std::pair(SIGABRT, -1));
  CHECK(pool.submit(same, 1).get() == 1);
  CHECK(pool.stats().worker_deaths == 6);
}

TEST_CASE("the error of a death names the process, the signal and the task") {
  ProcessPool pool{1};
  const ::pid_t worker = pool.submit(::getpid).get();
  try {
    pool.with({.label = "fragile"}).submit([] { ::raise(SIGKILL); }).get();
    FAIL("nothing was thrown");
  } catch (const WorkerDied& death) {
    CHECK(death.pid() == worker);
    CHECK(death.label() == "fragile");
    CHECK_FALSE(death.position().has_value());
    CHECK_THAT(death.what(), ContainsSubstring(std::to_string(worker)));
    CHECK_THAT(death.what(), ContainsSubstring("SIGKILL"));
    CHECK_THAT(death.what(), ContainsSubstring("fragile"));
  }
  CHECK(pool.submit(::getpid).get() != worker);
}

TEST_CASE("a result can be taken once") {
  ProcessPool pool{1};
  auto future = pool.submit(same, 1);
  CHECK(future.get() == 1);
  CHECK_FALSE(future.valid());
  CHECK_THROWS_AS(future.get(), UsageError);
  CHECK_THROWS_AS(future.wait(), UsageError);
  CHECK_THROWS_AS(future.get_for(1ms), UsageError);
  procpool::Future<int> none;
  CHECK_FALSE(none.valid());
  CHECK_THROWS_AS(none.get(), UsageError);
}

TEST_CASE("an argument larger than the shared memory is an error that names the limit and the option") {
  ProcessPool pool{{.workers = 1, .shared_memory = std::size_t{32} << 20}};
  const std::string large(std::size_t{48} << 20, 'x');
  const auto length = [](std::string_view text) { return text.size(); };
  CHECK_THROWS_AS(pool.submit(length, large), SharedMemoryExhausted);
  CHECK_THROWS_WITH(pool.submit(length, large), ContainsSubstring("PoolOptions::shared_memory"));
  CHECK_THROWS_WITH(pool.submit(length, large), ContainsSubstring(std::to_string(large.size()).substr(0, 5)));
  CHECK_THROWS_AS(pool.map(length, std::vector{std::string("small"), large}), SharedMemoryExhausted);
  CHECK_THROWS_AS(
      pool.map(procpool::partial([](const std::string& text, int) { return text.size(); }, large), std::vector{1}),
      SharedMemoryExhausted);
  CHECK(pool.submit(length, "small").get() == 5);
}

TEST_CASE("a result larger than the shared memory is an error of its task alone") {
  ProcessPool pool{{.workers = 1, .shared_memory = std::size_t{32} << 20}};
  const auto make = [](int megabytes) { return std::string(static_cast<std::size_t>(megabytes) << 20, 'x'); };
  CHECK_THROWS_AS(pool.submit(make, 48).get(), SharedMemoryExhausted);
  CHECK_THROWS_WITH(pool.submit(make, 48).get(), ContainsSubstring("PoolOptions::shared_memory"));
  const auto outcomes = pool.with({.chunk_size = 1}).map_outcomes(make, std::vector{0, 48, 1});
  CHECK(outcomes.at(0).has_value());
  CHECK_THROWS_AS(outcomes.at(1).value(), SharedMemoryExhausted);
  CHECK(outcomes.at(2)->size() == std::size_t{1} << 20);
}

TEST_CASE("a result of an item that is larger than the shared memory is told by the item's name, whatever its chunk") {
  ProcessPool pool{{.workers = 1, .shared_memory = std::size_t{32} << 20}};
  const auto make = [](int megabytes) { return std::string(static_cast<std::size_t>(megabytes) << 20, 'x'); };
  const auto outcomes = pool.with({.chunk_size = 3}).map_outcomes(make, std::vector{0, 0, 0, 1, 48, 0});
  CHECK(outcomes.at(3).has_value());
  CHECK_THROWS_AS(outcomes.at(4).value(), SharedMemoryExhausted);
  CHECK_THROWS_WITH(outcomes.at(4).value(), ContainsSubstring("the result of item 4 of a map needs 5033"));
}

TEST_CASE("a pool that is used inside one of its own workers says so") {
  ProcessPool pool{1};
  const auto used_by = [&pool](auto use) { return pool.submit(from_snapshot(use)).get(); };
  CHECK_THAT(used_by([&pool] { return usage_error_of([&] { return pool.submit(same, 1); }); }),
             ContainsSubstring("inside one of its own workers"));
  CHECK_THAT(used_by([&pool] { return usage_error_of([&] { return pool.map(same, std::vector{1}); }); }),
             ContainsSubstring("inside one of its own workers"));
  CHECK_THAT(used_by([&pool] { return usage_error_of([&] { return pool.with({}).submit(same, 1); }); }),
             ContainsSubstring("inside one of its own workers"));
  CHECK_THAT(used_by([&pool] {
               return usage_error_of([&] {
                 pool.wait_idle();
                 return 0;
               });
             }),
             ContainsSubstring("inside one of its own workers"));
  CHECK(pool.submit(same, 1).get() == 1);
}

TEST_CASE("a pool that is used inside a worker of another pool says so") {
  ProcessPool outer{1};
  ProcessPool inner{1};
  const auto use_outer = from_snapshot([&outer] { return usage_error_of([&] { return outer.submit(same, 1); }); });
  CHECK_THAT(inner.submit(use_outer).get(), ContainsSubstring("worker"));
}

TEST_CASE("a pool and its futures are of no use in a process that was forked") {
  auto pool = std::make_unique<ProcessPool<>>(1);
  auto future = pool->submit(same, 1);
  const auto is_refused = [](auto call) { return true_in_child([&] { return !usage_error_of(call).empty(); }); };
  CHECK(is_refused([&] { return pool->submit(same, 2); }));
  CHECK(is_refused([&] { return pool->try_submit(same, 2); }));
  CHECK(is_refused([&] { return pool->map(same, std::vector{2}); }));
  CHECK(is_refused([&] { return pool->map_async(same, std::vector{2}); }));
  CHECK(is_refused([&] { return pool->imap(same, std::vector{2}); }));
  CHECK(is_refused([&] { return pool->run_on_each_worker(::getpid); }));
  CHECK(is_refused([&] { return pool->stats(); }));
  CHECK(is_refused([&] { return pool->workers(); }));
  CHECK(is_refused([&] { return pool->wait_idle_for(1ms); }));
  CHECK(is_refused([&] { return (pool->close(), 0); }));
  CHECK(is_refused([&] { return (pool->cancel_pending(), 0); }));
  CHECK(is_refused([&] { return (pool->terminate(), 0); }));
  CHECK(is_refused([&] { return future.get(); }));
  CHECK(is_refused([&] { return future.cancel(); }));
  CHECK(true_in_child([&] {
    future = {};
    pool.reset();
    return true;
  }));
  CHECK(future.get() == 1);
  CHECK(pool->submit(same, 3).get() == 3);
}

TEST_CASE("a process that was forked can make a pool of its own") {
  ProcessPool pool{1};
  CHECK(true_in_child([&] {
    ProcessPool own{1};
    return own.submit(same, 1).get() == 1 && own.submit(::getppid).get() != 0;
  }));
  CHECK(pool.submit(same, 1).get() == 1);
}

TEST_CASE("a task that forks leaves its pool in order") {
  ProcessPool pool{1};
  const auto fork_and_wait = [] { return true_in_child([] { return true; }); };
  CHECK(pool.submit(fork_and_wait).get());
  // A child that comes back from the task is not the worker.
  const auto fork_and_return = [](int) {
    const ::pid_t child = ::fork();
    if (child > 0) ::waitpid(child, nullptr, 0);
    return child > 0;
  };
  CHECK(pool.submit(fork_and_return, 0).get());
  CHECK(pool.map(fork_and_return, std::vector{1, 2}) == std::vector{true, true});
  CHECK(pool.stats().worker_deaths == 0);
}
