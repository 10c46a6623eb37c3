// SPDX-License-Identifier: BSL-1.0

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <set>
#include <thread>
#include <vector>

#include <procpool/detail/os/process_identity.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"

using namespace procpool::detail;

TEST_CASE("the current pid is the kernel's") {
  CHECK(current_pid() == ::getpid());
  CHECK(current_pid() == ::getpid());
}

TEST_CASE("a child of fork has its own pid and identity, and so has its child") {
  const ProcessIdentity here = current_process();
  CHECK(true_in_child([&] {
    const ProcessIdentity child = current_process();
    return child != here && current_pid() == ::getpid() &&
           true_in_child([&] { return current_process() != child && current_process() != here; });
  }));
  CHECK(current_process() == here);
}

TEST_CASE("a child of a bare system call is noticed too") {
  const HomeProcess home;
  const auto child = static_cast<::pid_t>(::syscall(SYS_fork));
  if (child == 0) ::_exit(home.is_here() || current_pid() == home.pid() ? 1 : 0);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("a grandchild whose parent never asked does not pass for its grandparent") {
  const HomeProcess home;
  CHECK(true_in_child([&] { return true_in_child([&] { return !home.is_here(); }); }));
}

TEST_CASE("an object is at home in the process that made it only") {
  const HomeProcess home;
  CHECK(home.is_here());
  CHECK(home.pid() == ::getpid());
  CHECK(true_in_child([&] { return !home.is_here() && home.pid() == ::getppid() && HomeProcess().is_here(); }));
  CHECK(home.is_here());
}

TEST_CASE("a watch for forks tells of one only where there was one, and where only the kernel knows") {
  const ForkWatch watch;
  const bool knows_only_kernel = watch.may_have_forked();
  CHECK(knows_only_kernel == (IdentityPage::cell().load() == 0));
  CHECK(true_in_child([&] { return watch.may_have_forked(); }));
  CHECK(watch.may_have_forked() == knows_only_kernel);
}

TEST_CASE("a descendant that has the same pid, in a pid namespace of its own, is another process") {
  const auto true_as_first_process = [](long with, auto question) {
    const auto child = static_cast<::pid_t>(::syscall(SYS_clone, with | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0));
    if (child < 0) return true;  // The system allows no namespaces: then nobody can be in one.
    if (child == 0) ::_exit(question() ? 0 : 1);
    int status = -1;
    return ::waitpid(child, &status, 0) == child && status == 0;
  };
  CHECK(true_as_first_process(CLONE_NEWUSER, [&] {
    const HomeProcess home;
    return home.pid() == 1 && home.is_here() &&
           true_as_first_process(0, [&] { return current_pid() == 1 && !home.is_here(); });
  }));
}

TEST_CASE("all threads that ask first after a fork get one answer") {
  CHECK(true_in_child([] {
    std::vector<ProcessIdentity> answers(4);
    std::vector<std::thread> threads;
    threads.reserve(answers.size());
    for (auto& answer : answers) threads.emplace_back([&answer] { answer = current_process(); });
    for (auto& thread : threads) thread.join();
    return std::set<ProcessIdentity>(answers.begin(), answers.end()).size() == 1;
  }));
}
