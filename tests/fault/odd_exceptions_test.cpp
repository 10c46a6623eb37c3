// SPDX-License-Identifier: BSL-1.0

#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"

using procpool::ProcessPool;
using procpool::RemoteError;
using procpool::RemoteOrigin;
using procpool::WorkerDied;
using support::die;
using support::is_in_worker;
using support::Way;

namespace {

enum class Reason { none };

const char* refuse() { throw std::runtime_error("no word"); }

struct SaysNothing : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return nullptr; }
};
struct SaysTooMuch : std::runtime_error {
  SaysTooMuch() : std::runtime_error(std::string(std::size_t{1} << 20, 'x')) {}
};
struct HasAPrivateBase : private std::runtime_error {
  HasAPrivateBase() : std::runtime_error("private") {}
};
struct HasTwoBases : std::runtime_error, std::bad_alloc {
  HasTwoBases() : std::runtime_error("which one?") {}
  [[nodiscard]] const char* what() const noexcept override { return "two"; }
};
struct HasAVirtualBase : virtual std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "virtual"; }
};
struct Nested : std::logic_error, std::nested_exception {
  Nested() : std::logic_error("outside") {}
};
/// What a copy would do is no matter: none is made.
struct DiesWhenCopied : std::length_error {
  DiesWhenCopied() : std::length_error("the only one") {}
  DiesWhenCopied(const DiesWhenCopied& other) : std::length_error(other) { die(Way::kill); }
};
struct DiesWhenAsked : std::exception {
  [[nodiscard]] const char* what() const noexcept override { die(Way::quiet_exit_3); }
};
struct ThrowsWhenAsked : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return refuse(); }  // std::terminate()
};
struct DiesAtItsEnd : std::exception {
  ~DiesAtItsEnd() override {
    if (is_in_worker()) die(Way::exit_42);
  }
};
/// Registered; dies at a step of its way.
struct DiesOnItsWay : std::overflow_error {
  DiesOnItsWay() : std::overflow_error("on its way") {}
  template <class Archive>
  void save(Archive& archive) const {
    archive(1);
    if (is_in_worker()) die(Way::abort);
  }
  template <class Archive>
  void load(Archive&) {}
};
/// Registered; cannot be read in the user's process.
struct CannotBeRead : std::underflow_error {
  CannotBeRead() : std::underflow_error("unread") {}
  template <class Archive>
  void save(Archive& archive) const {
    archive(1);
  }
  template <class Archive>
  void load(Archive&) {
    throw Reason::none;
  }
};

/// Ends the task in way number `kind`.
std::string throw_one(int kind) {
  switch (kind) {
    case 0: throw 1.5;
    case 1: throw nullptr;
    case 2: throw static_cast<const char*>("a literal");
    case 3: throw std::make_unique<int>(3);
    case 4: throw [] {};
    case 5: throw Reason::none;
    case 6: throw SaysNothing();
    case 7: throw SaysTooMuch();
    case 8: throw HasAPrivateBase();
    case 9: throw HasTwoBases();
    case 10: throw HasAVirtualBase();
    case 11: try { throw std::out_of_range("inside");
      } catch (...) {
        throw Nested();
      }
    case 12: throw DiesWhenCopied();
    case 13: std::rethrow_exception(std::make_exception_ptr(std::domain_error("by pointer")));
    case 14: throw procpool::Cancelled("as if it were cancelled");
    case 15: throw procpool::BrokenPool("as if the pool were broken");
    case 16: throw procpool::PoolClosed("as if the pool were closed");
    case 17: throw WorkerDied({.pid = 1, .signal = 9, .label = "another's"});
    case 18: throw CannotBeRead();
    case 19: throw DiesWhenAsked();
    case 20: throw ThrowsWhenAsked();
    case 21: throw DiesAtItsEnd();
    case 22: throw DiesOnItsWay();
    default: return "no exception";
  }
}

/// What arrives, as `type: text`.
std::string arrived(const std::exception_ptr& failure) {
  if (!failure) return "a value";
  try {
    std::rethrow_exception(failure);
  } catch (const WorkerDied& death) {
    const bool is_told = dynamic_cast<const RemoteOrigin*>(&death) != nullptr;  // of the death of somebody else
    return std::string(is_told ? "told" : "dead") + ": signal " + std::to_string(death.signal()) + ", status " +
           std::to_string(death.exit_status());
  } catch (const RemoteError& error) {
    return "RemoteError of " + error.type_name() + ": " + error.what();
  } catch (const procpool::Cancelled& error) {
    return std::string("Cancelled: ") + error.what();
  } catch (const procpool::BrokenPool& error) {
    return std::string("BrokenPool: ") + error.what();
  } catch (const procpool::PoolClosed& error) {
    return std::string("PoolClosed: ") + error.what();
  } catch (const std::underflow_error& error) {
    return std::string("underflow_error: ") + error.what();
  } catch (const std::length_error& error) {
    return std::string("length_error: ") + error.what();
  } catch (const std::domain_error& error) {
    return std::string("domain_error: ") + error.what();
  } catch (const std::logic_error& error) {
    return std::string("logic_error: ") + error.what();
  } catch (const std::runtime_error& error) {
    return std::string("runtime_error: ") + std::string(error.what()).substr(0, 3);
  } catch (const std::exception& error) {
    return std::string("exception: ") + error.what();
  }
}

struct Expected {
  int kind;
  const char* text;
};
const std::vector<Expected> expectations = {
    {0, "RemoteError of double: a task threw a value of type double, which is no std::exception"},
    {1, "RemoteError of decltype(nullptr): a task threw a value of type decltype(nullptr), which is no std::exception"},
    {2, "RemoteError of char const*: a literal"},
    {5,
     "RemoteError of (anonymous namespace)::Reason: a task threw a value of type (anonymous namespace)::Reason, "
     "which is no std::exception"},
    {6, "exception: "},
    {7, "runtime_error: xxx"},
    {8,
     "RemoteError of (anonymous namespace)::HasAPrivateBase: a task threw a value of type (anonymous "
     "namespace)::HasAPrivateBase, which is no std::exception"},
    {9,
     "RemoteError of (anonymous namespace)::HasTwoBases: a task threw a value of type (anonymous "
     "namespace)::HasTwoBases, which is no std::exception"},
    {10, "exception: virtual"},
    {11, "logic_error: outside"},
    {12, "length_error: the only one"},
    {13, "domain_error: by pointer"},
    {14, "Cancelled: as if it were cancelled"},
    {15, "BrokenPool: as if the pool were broken"},
    {16, "PoolClosed: as if the pool were closed"},
    {17, "told: signal 9, status -1"},
    {18, "underflow_error: unread"},
    {19, "dead: signal 0, status 3"},
    {20, "dead: signal 6, status -1"},
    {21, "dead: signal 0, status 42"},
    {22, "dead: signal 6, status -1"},
    {23, "a value"},
};

void register_exceptions() {
  procpool::register_exception<DiesOnItsWay>();
  procpool::register_exception<CannotBeRead>();
}

}  // namespace

TEST_CASE("whatever a task throws arrives with its type or its name, or is the death that came of it") {
  register_exceptions();
  ProcessPool pool{2};
  std::size_t deaths = 0;
  for (const auto& [kind, text] : expectations) {
    INFO("kind " << kind);
    CHECK(arrived(pool.submit(throw_one, kind).exception()) == text);
    deaths += std::string(text).starts_with("dead") ? 1 : 0;
    CHECK(pool.submit(throw_one, 99).get() == "no exception");
  }
  for (const int kind : {3, 4}) CHECK_THROWS_AS(pool.submit(throw_one, kind).get(), RemoteError);
  pool.wait_idle();
  CHECK(pool.stats().worker_deaths == deaths);
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("whatever the items of a map throw stays with each of them") {
  register_exceptions();
  ProcessPool pool{2};
  std::vector<int> kinds;
  for (const auto& [kind, text] : expectations) kinds.push_back(kind);
  for (const std::size_t chunk_size : {1U, 5U, 100U}) {
    const auto outcomes = pool.with({.chunk_size = chunk_size}).map_outcomes(throw_one, kinds);
    REQUIRE(outcomes.size() == kinds.size());
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      INFO("kind " << kinds[i] << ", chunks of " << chunk_size);
      CHECK(arrived(outcomes[i].exception()) == expectations[i].text);
    }
  }
  pool.wait_idle();
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a task that throws what a broken or closed pool would throw has neither broken nor closed it") {
  ProcessPool pool{1};
  for (const int kind : {14, 15, 16, 17}) CHECK_THROWS_AS(pool.submit(throw_one, kind).get(), procpool::Error);
  CHECK(pool.submit(throw_one, 99).get() == "no exception");
  CHECK(pool.stats().worker_deaths == 0);
}
