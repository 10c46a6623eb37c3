// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <limits>
#include <random>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/address_space.hpp"
#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/footprint.hpp"
#include "../support/killer.hpp"
#include "../support/ledger.hpp"
#include "../support/seed.hpp"
#include "../support/shared_page.hpp"

using procpool::Future;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::Footprint;
using support::Ledger;

namespace {

using Number = std::uint64_t;

constexpr std::size_t storm_workers = 4;

std::size_t least_tasks() { return support::is_full_run() ? 100'000 : 10'000; }
std::uint64_t least_deaths() { return support::is_full_run() ? 3000 : 300; }

/// Private memory: 3 bytes for each task of a storm in full, 90 for each death. Shared memory holds what was in flight
/// at the worst moment, which another storm surpasses; that none of it is in use is told by what_is_left().
constexpr support::MayGrow allowed_growth = {.private_memory = std::size_t{256} << 10,
                                             .shared_memory = std::size_t{16} << 20};

/// Whom tasks kill: the workers of their own pool, as the last task of each has entered it.
struct Siblings {
  std::array<std::atomic<::pid_t>, storm_workers> pids{};

  void kill_one(Number number) {
    const std::size_t own = procpool::this_worker::index();
    pids[own] = procpool::this_worker::pid();
    if (number % 30 != 7) return;
    const std::size_t victim =
        (own + 1 + number / 30 % (storm_workers - 1)) % storm_workers;  // A suicide would do it at each try.
    support::signal_child_of(::getppid(), pids[victim], SIGKILL);
  }
};

/// What each task of a storm does.
struct Job {
  std::int64_t ledger = -1;  // a descriptor; as long as a pointer, because what padding holds may look like an address
  Siblings* siblings = nullptr;

  void do_for(Number number) const {
    Ledger::write(static_cast<int>(ledger), number);
    if (siblings != nullptr) siblings->kill_one(number);
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(number * 2'654'435'761 % 60);
    while (std::chrono::steady_clock::now() < end) {
    }
  }
};

/// Tasks that fit into their slots.
struct Numbers {
  static Number item_of(Number number) { return number; }
  static Number run(const Job& job, Number number) {
    job.do_for(number);
    return number + 1;
  }
  static Number number_of(Number answer) { return answer - 1; }
  static bool is_right(Number number, Number answer) { return answer == number + 1; }
};

/// Tasks whose arguments and results are of all sizes up to 300 kB.
struct Texts {
  struct Item {
    Number number = 0;
    std::string text;
  };

  static std::string text_of(Number number) {
    const std::size_t size = number % 64 == 0 ? 300'000 : number % 8 == 0 ? 20'000 : number % 40;
    return std::to_string(number) + ":" + std::string(size, static_cast<char>('a' + number % 26));
  }
  static Item item_of(Number number) { return {number, text_of(number + 32)}; }
  static std::string run(const Job& job, const Item& item) {
    job.do_for(item.number);
    if (item.text != text_of(item.number + 32)) throw std::logic_error("the argument has changed on its way");
    return text_of(item.number);
  }
  static Number number_of(const std::string& answer) { return std::stoull(answer); }
  static bool is_right(Number number, const std::string& answer) { return answer == text_of(number); }
};

/// What has become of the tasks, each of which ends once.
class Fates {
 public:
  template <class Kind, class Answer>
  void arrives(Number number, const Answer& answer) {
    if (!Kind::is_right(number, answer)) FAIL("task " << number << " has a wrong value");
    ends(number, Fate::arrived);
  }
  void dies(Number number, const std::exception_ptr& why) {
    try {
      std::rethrow_exception(why);
    } catch (const WorkerDied& death) {
      if (death.signal() != SIGKILL) FAIL("task " << number << ": " << death.what());
      ends(number, Fate::died);
    }
  }

  /// Compares them with what the tasks have written.
  void compare(const Ledger& ledger, bool are_tried_again, std::uint64_t deaths) const;

 private:
  enum class Fate : char { none, arrived, died };

  void ends(Number number, Fate fate) {
    if (number >= fates_.size()) fates_.resize(number + 1);
    if (std::exchange(fates_[number], fate) != Fate::none) FAIL("task " << number << " has ended twice");
  }

  std::vector<Fate> fates_;
};

void Fates::compare(const Ledger& ledger, bool are_tried_again, std::uint64_t deaths) const {
  const std::vector<int> runs = ledger.counts(0, fates_.size());
  CHECK(runs.back() == 0);
  std::uint64_t dead = 0;
  std::uint64_t in_vain = 0;
  for (Number number = 0; number < fates_.size(); ++number) {
    const int count = runs[number];
    const Fate fate = fates_[number];
    if (fate == Fate::none) FAIL("task " << number << " was lost");
    if (fate == Fate::arrived && count == 0) FAIL("task " << number << " has a value and never ran");
    if (!are_tried_again && count > 1) FAIL("task " << number << " ran " << count << " times");
    if (are_tried_again && fate == Fate::died) FAIL("task " << number << " was not tried again");
    if (fate == Fate::died) ++dead;
    in_vain += static_cast<std::uint64_t>(std::max(0, count - 1));
  }
  CHECK(dead + in_vain <= deaths);
  std::fprintf(stderr, "%zu tasks, %llu deaths of workers: %llu tasks died, %llu runs were in vain\n", fates_.size(),
               static_cast<unsigned long long>(deaths), static_cast<unsigned long long>(dead),
               static_cast<unsigned long long>(in_vain));
}

/// How tasks are sent: each takes so many numbers from `first` on, and tells what became of every one.
struct Submits {
  static constexpr std::size_t window = 200;

  template <class Kind>
  static void send(const ProcessPool<>& pool, const procpool::TaskOptions& options, Job job, Number first, Number count,
                   Fates& fates) {
    using Item = decltype(Kind::item_of(0));
    const auto run = [job](const Item& item) { return Kind::run(job, item); };
    std::deque<std::pair<Number, Future<decltype(run(Kind::item_of(0)))>>> open;
    const auto take_one = [&] {
      auto [number, future] = std::move(open.front());
      open.pop_front();
      if (const std::exception_ptr why = future.exception()) fates.dies(number, why);
      else fates.arrives<Kind>(number, future.get());
    };
    const auto terms = pool.with(options);
    for (Number number = first; number < first + count; ++number) {
      open.emplace_back(number, terms.submit(run, Kind::item_of(number)));
      if (open.size() > window) take_one();
    }
    while (!open.empty()) take_one();
  }
};

struct Maps {
  template <class Kind>
  static void send(const ProcessPool<>& pool, const procpool::TaskOptions& options, Job job, Number first, Number count,
                   Fates& fates) {
    using Item = decltype(Kind::item_of(0));
    const auto run = [job](const Item& item) { return Kind::run(job, item); };
    const auto items = std::views::iota(first, first + count) | std::views::transform(Kind::item_of);
    const auto terms = pool.with(options);
    if (options.retries != 0) {
      const auto answers = terms.map(run, items);
      REQUIRE(answers.size() == count);
      for (Number i = 0; i < count; ++i) fates.arrives<Kind>(first + i, answers[i]);
      return;
    }
    const auto outcomes = terms.map_outcomes(run, items);
    REQUIRE(outcomes.size() == count);
    for (Number i = 0; i < count; ++i) {
      if (outcomes[i].has_value()) fates.arrives<Kind>(first + i, *outcomes[i]);
      else fates.dies(first + i, outcomes[i].exception());
    }
  }
};

struct UnorderedMaps {
  template <class Kind>
  static void send(const ProcessPool<>& pool, const procpool::TaskOptions& options, Job job, Number first, Number count,
                   Fates& fates) {
    using Item = decltype(Kind::item_of(0));
    const auto run = [job](const Item& item) { return Kind::run(job, item); };
    const auto items = std::views::iota(first, first + count) | std::views::transform(Kind::item_of);
    const auto terms = pool.with(options);
    if (options.retries != 0) {
      for (const auto& answer : terms.imap_unordered(run, items)) {
        fates.arrives<Kind>(Kind::number_of(answer), answer);
      }
      return;
    }
    for (const auto& outcome : terms.imap_unordered_outcomes(run, items)) {
      if (outcome.has_value()) fates.arrives<Kind>(first + outcome.position(), *outcome);
      else fates.dies(first + outcome.position(), outcome.exception());
    }
  }
};

struct LowersAtEnd {
  std::atomic<bool>& flag;
  ~LowersAtEnd() { flag = false; }
};

/// Sends at least so many tasks, in portions that change in kind, number and size of their chunks, until so many
/// workers have died meanwhile. The same `seed` sends the same.
template <class Sends>
void storm(ProcessPool<>& pool, const Ledger& ledger, Siblings* siblings, int retries, unsigned seed,
           unsigned seed_of_kills) {
  std::mt19937 random(seed);
  const procpool::detail::Supervisor& supervisor = pool.sender().core->supervisor();
  const std::uint64_t deaths_before = supervisor.worker_deaths();
  const auto deaths = [&] { return supervisor.worker_deaths() - deaths_before; };
  ledger.clear();
  Fates fates;
  std::atomic<bool> goes_on{true};
  {
    const support::Killer killer(
        pool, [&](int) { return siblings == nullptr && goes_on; }, seed_of_kills);
    const LowersAtEnd ends{goes_on};
    Number sent = 0;
    while (sent < least_tasks() || deaths() < least_deaths()) {
      constexpr std::array<std::size_t, 4> chunk_sizes = {0, 1, 7, 50};
      const procpool::TaskOptions options{.retries = retries, .chunk_size = chunk_sizes[random() % 4]};
      const Number count = 1 + random() % 2000;
      const Job job{ledger.descriptor(), siblings};
      if (random() % 2 == 0) Sends::template send<Numbers>(pool, options, job, sent, count, fates);
      else Sends::template send<Texts>(pool, options, job, sent, count, fates);
      sent += count;
    }
  }
  pool.wait_idle();
  fates.compare(ledger, retries != 0, deaths());
  CHECK(support::what_is_left(pool) == "");
}

/// A storm, and another as large that must leave no more than the first.
template <class Sends>
void two_storms(int retries, Siblings* siblings = nullptr) {
  const unsigned seed = support::new_seed();
  INFO("PROCPOOL_TEST_SEED=" << seed);
  const Ledger ledger;
  ProcessPool<> pool{procpool::PoolOptions{.workers = storm_workers, .shared_memory = std::size_t{256} << 20}};
  storm<Sends>(pool, ledger, siblings, retries, seed, seed + 1);
  const Footprint before = support::footprint_of(pool);
  storm<Sends>(pool, ledger, siblings, retries, seed, seed + 2);
  const Footprint after = support::footprint_of(pool);
  // A sanitizer keeps what was freed.
  const support::MayGrow may_grow =
      support::is_sanitized ? support::MayGrow{std::numeric_limits<std::uint32_t>::max(), allowed_growth.shared_memory}
                            : allowed_growth;
  INFO("before: " << before.text() << "\nafter:  " << after.text());
  CHECK(after.growth_since(before, may_grow) == "");
}

constexpr int enough_retries = 1000;

}  // namespace

TEST_CASE("of the tasks that are submitted in a storm of kills, none is lost, none runs twice, and nothing is left") {
  two_storms<Submits>(0);
}

TEST_CASE("with retries, every task that is submitted in a storm of kills has its value") {
  two_storms<Submits>(enough_retries);
}

TEST_CASE("of the items that are mapped in a storm of kills, none is lost, none runs twice, and nothing is left") {
  two_storms<Maps>(0);
}

TEST_CASE("with retries, every item that is mapped in a storm of kills has its value") {
  two_storms<Maps>(enough_retries);
}

TEST_CASE("of the items of unordered maps in a storm of kills, none is lost, none runs twice, and nothing is left") {
  two_storms<UnorderedMaps>(0);
}

TEST_CASE("with retries, every item of unordered maps in a storm of kills has its value") {
  two_storms<UnorderedMaps>(enough_retries);
}

TEST_CASE("of the tasks of workers that kill each other, none is lost, none runs twice, and nothing is left") {
  const support::Shared<Siblings> siblings;
  two_storms<Submits>(0, siblings.get());
}

TEST_CASE("with retries, every item that is mapped by workers that kill each other has its value") {
  const support::Shared<Siblings> siblings;
  two_storms<Maps>(enough_retries, siblings.get());
}
