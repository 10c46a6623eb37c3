// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/process_tree.hpp"
#include "../support/shared_page.hpp"
#include "../support/user_process.hpp"

using procpool::ProcessPool;
using procpool::WaitPolicy;

namespace {

constexpr std::size_t doomed_workers = 20;

/// Leaves this process's sockets the least room that Linux gives, which is for six messages instead of 278.
void make_sockets_small() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int least = 1;
    ::setsockopt(std::atoi(entry.path().filename().c_str()), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
  }
}

/// What the user's process tells the test.
struct Report {
  ::pid_t zygote = 0;
  std::array<::pid_t, doomed_workers> pids{};
  std::atomic<bool> is_written{false};
};

}  // namespace

TEST_CASE("more deaths than a socket holds messages, while nobody reads them, are all seen and made good later") {
  const support::Shared<Report> report;
  const support::SharedGate gate;
  support::UserProcess user([&] {
    ProcessPool pool{{.workers = doomed_workers, .wait = WaitPolicy::block, .preload = make_sockets_small}};
    report->zygote = support::zygote_of(pool);
    const std::vector<::pid_t> pids = support::pids_of(pool);
    std::copy(pids.begin(), pids.end(), report->pids.begin());
    report->is_written = true;
    gate->pass();
    const auto later = pool.run_on_each_worker([] { return ::getpid(); });
    std::set<::pid_t> all(later.begin(), later.end());
    all.insert(pids.begin(), pids.end());
    return all.size() == 2 * doomed_workers && pool.stats().worker_deaths == doomed_workers ? 0 : 1;
  });
  REQUIRE(support::eventually([&] { return report->is_written.load(); }, std::chrono::seconds(60)));
  ::kill(user.pid(), SIGSTOP);
  REQUIRE(support::eventually([&] { return support::is_stopped(user.pid()); }, std::chrono::seconds(20)));
  for (const ::pid_t pid : report->pids) support::signal_child_of(report->zygote, pid, SIGKILL);
  const auto are_gone = [&] {
    const auto processes = support::all_processes();
    return std::none_of(report->pids.begin(), report->pids.end(), [&](::pid_t pid) { return processes.contains(pid); });
  };
  CHECK(support::eventually(are_gone, std::chrono::seconds(60)));  // The zygote has seen them.
  gate->open();
  ::kill(user.pid(), SIGCONT);
  const int status = user.wait();
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}
