// SPDX-License-Identifier: BSL-1.0

#include "watched.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "patience.hpp"
#include "process_tree.hpp"

namespace support {

namespace {

using Clock = std::chrono::steady_clock;

/// What the tests tell their watcher, in a page that both map.
struct Page {
  std::atomic<std::int64_t> case_ends_at{0};  // nanoseconds of the steady clock; 0: no case is running
  char case_name[400] = {};                   // written while no case is running
};

Page* page = nullptr;
::pid_t watcher = 0;

std::int64_t now() { return Clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

class Watcher {
 public:
  explicit Watcher(::pid_t tests) : tests_(tests) {}

  /// The exit status for the whole program.
  int watch(const sigset_t& signals);

 private:
  void reap();
  [[noreturn]] void end_all(int status);
  int status_of_tests() const;
  bool nothing_outlives_the_tests();

  const ::pid_t tests_;
  bool have_ended_ = false;
  int wait_status_ = 0;
};

int Watcher::watch(const sigset_t& signals) {
  while (!have_ended_) {
    const timespec a_moment{0, 50'000'000};
    const int signal = ::sigtimedwait(&signals, nullptr, &a_moment);
    reap();
    if (signal == SIGINT || signal == SIGTERM) end_all(128 + signal);
    // relaxed: a deadline alone; the name may be a stale one, which only misleads a message.
    const std::int64_t end = page->case_ends_at.load(std::memory_order_relaxed);
    if (!have_ended_ && end != 0 && now() > end) {
      std::fprintf(stderr, "\ntest case \"%s\" has not ended within %lld s; its processes are:\n", page->case_name,
                   static_cast<long long>(longest_case().count()));
      for (const auto& process : descendants_of(::getpid())) std::fprintf(stderr, "  %s\n", process.text().c_str());
      end_all(128 + SIGALRM);
    }
  }
  const int status = status_of_tests();
  return nothing_outlives_the_tests() || status != 0 ? status : something_left;
}

void Watcher::reap() {
  int status = 0;
  for (::pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != tests_) continue;  // An orphan, adopted in place of init.
    have_ended_ = true;
    wait_status_ = status;
  }
}

void Watcher::end_all(int status) {
  // What is killed orphans its children to this process, so the next look finds them.
  for (auto left = descendants_of(::getpid()); !left.empty(); left = descendants_of(::getpid())) {
    for (const auto& process : left) ::kill(process.pid, SIGKILL);
    ::usleep(1000);  // sleeps: between two looks
    reap();
  }
  std::fflush(stderr);
  ::_exit(status);
}

int Watcher::status_of_tests() const {
  if (WIFEXITED(wait_status_)) return WEXITSTATUS(wait_status_);
  const int signal = WTERMSIG(wait_status_);
  // relaxed: its writer is dead.
  const bool in_case = page->case_ends_at.load(std::memory_order_relaxed) != 0;
  std::fprintf(stderr, "\nthe test program died by signal %d (%s) %s \"%s\"\n", signal, ::strsignal(signal),
               in_case ? "in test case" : "after test case", page->case_name);
  return 128 + signal;
}

bool Watcher::nothing_outlives_the_tests() {
  std::vector<ProcessEntry> left;
  if (eventually([&] {
        reap();
        left = descendants_of(::getpid());
        return left.empty();
      })) {
    return true;
  }
  std::fprintf(stderr, "\nprocesses that outlived the test program:\n");
  for (const auto& process : left) std::fprintf(stderr, "  %s\n", process.text().c_str());
  end_all(WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0 ? something_left : status_of_tests());
}

}  // namespace

int run_watched(const std::function<int()>& tests) {
  void* memory = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  page = ::new (memory) Page;
  watcher = ::getpid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);

  sigset_t signals;
  sigset_t before;
  ::sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, &before);

  const ::pid_t child = ::fork();
  if (child < 0) {
    std::perror("fork");
    ::_exit(EXIT_FAILURE);
  }
  if (child == 0) {
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != watcher) ::_exit(EXIT_FAILURE);
    return tests();
  }
  ::_exit(Watcher(child).watch(signals));
}

::pid_t root_of_this_run() { return watcher != 0 ? watcher : ::getpid(); }

void case_starts(std::string_view name) {
  if (page == nullptr) return;
  const std::size_t length = std::min(name.size(), sizeof page->case_name - 1);
  std::memcpy(page->case_name, name.data(), length);
  page->case_name[length] = '\0';
  // relaxed: see Watcher::watch.
  page->case_ends_at.store(now() + longest_case() / std::chrono::nanoseconds(1), std::memory_order_relaxed);
}

void case_ended() {
  if (page != nullptr) page->case_ends_at.store(0, std::memory_order_relaxed);  // relaxed: see Watcher::watch
}

}  // namespace support
