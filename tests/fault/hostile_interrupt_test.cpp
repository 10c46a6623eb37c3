// SPDX-License-Identifier: BSL-1.0

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <procpool/detail/os/unique_fd.hpp>
#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"
#include "../support/user_process.hpp"

using namespace std::chrono_literals;
using procpool::PoolClosed;
using procpool::ProcessPool;
using procpool::detail::UniqueFd;
using support::SharedGate;
using support::UserProcess;

namespace {

/// A terminal, and what is written to it.
class Terminal {
 public:
  Terminal() : keyboard_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (::grantpt(keyboard_.get()) != 0 || ::unlockpt(keyboard_.get()) != 0) throw std::runtime_error("no terminal");
    screen_ = UniqueFd(::open(::ptsname(keyboard_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  }

  /// In a user's process: it is from then on the leader of what runs in the foreground here, and ignores no signal of
  /// the terminal's, as what a shell has started in the background does.
  void run_here() const {
    for (const int signal : {SIGINT, SIGQUIT, SIGHUP, SIGTERM}) ::signal(signal, SIG_DFL);
    ::setsid();
    const UniqueFd terminal(::open(::ptsname(keyboard_.get()), O_RDWR | O_CLOEXEC));
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(terminal.get(), stream);
  }

  void press(char key) const { REQUIRE(::write(keyboard_.get(), &key, 1) == 1); }

  /// All that was written, once nobody writes any more.
  [[nodiscard]] std::string text() {
    screen_.reset();
    std::string all;
    std::array<char, 4096> piece{};
    for (::ssize_t size = 0; (size = ::read(keyboard_.get(), piece.data(), piece.size())) > 0;) {
      all.append(piece.data(), static_cast<std::size_t>(size));
    }
    return all;
  }

 private:
  UniqueFd keyboard_;
  UniqueFd screen_;  // lest the terminal be closed before what was written to it is read
};

constexpr char ctrl_c = '\x03';

/// A map that does not end before the gate opens.
template <class Verbs>
std::vector<int> map_until_open(const Verbs& verbs, SharedGate& gate) {
  return verbs.map(
      [gate = gate.get()](int x) {
        gate->pass();
        return 2 * x;
      },
      std::vector{1, 2, 3, 4, 5, 6, 7, 8});
}

/// Ends the process as its shell expects of one that was interrupted.
[[noreturn]] void die_of(int signal) {
  std::fflush(stderr);
  ::signal(signal, SIG_DFL);
  sigset_t this_one;
  ::sigemptyset(&this_one);
  ::sigaddset(&this_one, signal);
  ::raise(signal);
  ::pthread_sigmask(SIG_UNBLOCK, &this_one, nullptr);
  ::_exit(99);
}

/// Whether a worker that dies is replaced: then the process that makes them has lived on after all that came before.
bool replaces_its_dead(const ProcessPool<>& pool) {
  try {
    pool.run_on_each_worker([] { ::raise(SIGKILL); });
    return false;
  } catch (const procpool::WorkerDied&) {
    return pool.run_on_each_worker([] { return 1; }).size() == pool.workers().size();
  }
}

/// Terminates a pool at the first of its signals. They are blocked in all threads that begin after this.
class TerminatesAtSignal {
 public:
  TerminatesAtSignal() {
    ::sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) ::sigaddset(&signals_, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  TerminatesAtSignal(const TerminatesAtSignal&) = delete;
  TerminatesAtSignal& operator=(const TerminatesAtSignal&) = delete;
  ~TerminatesAtSignal() {
    if (thread_.joinable()) thread_.join();
  }
  /// Not before so many workers have died of it.
  void watch(ProcessPool<>& pool, std::uint64_t deaths = 0) {
    thread_ = std::thread([this, &pool, deaths] {
      int signal = 0;
      ::sigwait(&signals_, &signal);
      const bool has_come = support::eventually([&] { return pool.stats().worker_deaths >= deaths; }, 20s);
      pool.terminate();
      if (!has_come) std::fputs("the workers live on\n", stderr);
    });
  }

 private:
  sigset_t signals_{};
  std::thread thread_;
};

bool died_of(int status, int signal) { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

}  // namespace

TEST_CASE("Ctrl-C in the middle of a map ends a program that does not care, and no worker says a word") {
  SharedGate gate;
  Terminal terminal;
  UserProcess user([&] {
    terminal.run_here();
    ProcessPool pool{2};
    static_cast<void>(map_until_open(pool, gate));
    return 1;
  });
  REQUIRE(gate->is_reached_by(2));
  terminal.press(ctrl_c);
  CHECK(died_of(user.wait(), SIGINT));
  CHECK(support::kin_that_stays() == "");
  CHECK(terminal.text() == "^C");  // the terminal's own
}

TEST_CASE("a signal to a program's whole group in the middle of a map ends it without a word from its workers") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    SharedGate gate;
    Terminal terminal;
    UserProcess user([&] {
      terminal.run_here();
      ProcessPool pool{2};
      static_cast<void>(map_until_open(pool, gate));
      return 1;
    });
    REQUIRE(gate->is_reached_by(2));
    ::kill(-user.pid(), signal);
    CHECK(died_of(user.wait(), signal));
    CHECK(support::kin_that_stays() == "");
    CHECK(terminal.text() == "");
  }
}

TEST_CASE("a program that terminates its pool at Ctrl-C says so in one line, below its progress") {
  SharedGate gate;
  Terminal terminal;
  UserProcess user([&] {
    terminal.run_here();
    TerminatesAtSignal at_signal;
    ProcessPool pool{2};
    at_signal.watch(pool);
    try {
      static_cast<void>(map_until_open(pool.with({.label = "work"}).on_progress(procpool::ProgressBar()), gate));
    } catch (const PoolClosed&) {
      std::fputs("interrupted\n", stderr);
      die_of(SIGINT);
    }
    return 1;
  });
  REQUIRE(gate->is_reached_by(2));
  terminal.press(ctrl_c);
  CHECK(died_of(user.wait(), SIGINT));
  CHECK(support::kin_that_stays() == "");
  const std::string text = terminal.text();
  CHECK(text.find("work") != std::string::npos);
  CHECK(text.ends_with("\r\ninterrupted\r\n"));
  CHECK(text.find('\n') == text.size() - std::string_view("\ninterrupted\r\n").size());  // Nothing else ends a line.
}

TEST_CASE("a program that terminates its pool at SIGTERM says so in one line, though its workers got the signal too") {
  SharedGate gate;
  Terminal terminal;
  UserProcess user([&] {
    terminal.run_here();
    TerminatesAtSignal at_signal;
    ProcessPool pool{2};
    at_signal.watch(pool, 2);
    try {
      static_cast<void>(map_until_open(pool, gate));
    } catch (const procpool::Error& error) {  // The workers' ends were seen before the pool's.
      std::fprintf(stderr, "%s\n", error.what());
      die_of(SIGTERM);
    }
    return 1;
  });
  REQUIRE(gate->is_reached_by(2));
  ::kill(-user.pid(), SIGTERM);
  CHECK(died_of(user.wait(), SIGTERM));
  CHECK(support::kin_that_stays() == "");
  const std::string text = terminal.text();
  CHECK(text.find('\n') == text.size() - 1);
}

TEST_CASE("a program that stops at Ctrl-C after the item in hand keeps what it has, and ends in order") {
  SharedGate gate;
  Terminal terminal;
  UserProcess user([&] {
    terminal.run_here();
    static std::atomic<bool> is_interrupted{false};
    ::signal(SIGINT, [](int) { is_interrupted = true; });
    ProcessPool pool{2};
    const auto wait_at_gate = [gate = gate.get()](int x) {
      gate->pass();
      return x;
    };
    std::vector<int> endless(100'000);
    std::size_t kept = 0;
    for (const int value : pool.imap(wait_at_gate, endless)) {
      kept += value == 0 ? 1 : 0;
      if (is_interrupted) break;
    }
    if (kept == 0 || kept == endless.size() || pool.stats().worker_deaths != 0) return 2;
    if (!replaces_its_dead(pool)) return 3;
    std::fputs("interrupted\n", stderr);
    die_of(SIGINT);
  });
  REQUIRE(gate->is_reached_by(2));
  terminal.press(ctrl_c);
  gate->open();
  CHECK(died_of(user.wait(), SIGINT));
  CHECK(support::kin_that_stays() == "");
  CHECK(terminal.text() == "^Cinterrupted\r\n");
}

TEST_CASE("a map goes on where Ctrl-C is ignored, and none of its workers dies") {
  SharedGate gate;
  Terminal terminal;
  UserProcess user([&] {
    terminal.run_here();
    ::signal(SIGINT, SIG_IGN);
    ProcessPool pool{2};
    const std::vector<int> values = map_until_open(pool, gate);
    if (values != std::vector{2, 4, 6, 8, 10, 12, 14, 16} || pool.stats().worker_deaths != 0) return 1;
    return replaces_its_dead(pool) ? 0 : 2;
  });
  REQUIRE(gate->is_reached_by(2));
  for (int i = 0; i < 10; ++i) terminal.press(ctrl_c);
  gate->open();
  CHECK(user.wait() == 0);
  CHECK(support::kin_that_stays() == "");
}
