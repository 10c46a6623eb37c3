// SPDX-License-Identifier: BSL-1.0

#include <cstddef>
#include <string>
#include <string_view>

#include <procpool/detail/os/oom_kills.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/fake_root.hpp"

using procpool::detail::oom_kills_in;
using procpool::detail::OomKills;
using support::FakeRoot;

namespace {

constexpr std::size_t most = 4;

constexpr std::string_view v1_group = "/sys/fs/cgroup/memory/docker/abc";
constexpr std::string_view v2_group = "/sys/fs/cgroup/user.slice/app";

/// A machine with cgroups of version 1 whose process is in /docker/abc.
struct Version1 : FakeRoot {
  Version1() {
    write("/proc/self/cgroup", "5:cpu:/\n4:memory:/docker/abc\n0::/\n");
    write("/proc/self/mountinfo",
          "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
          "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    write("/proc/vmstat", "nr_free_pages 5\noom_kill 100\n");
  }
  void count(std::string_view group, int kills) {
    write(std::string(group) + "/memory.oom_control",
          "oom_kill_disable 0\nunder_oom 0\noom_kill " + std::to_string(kills) + "\n");
  }
};

/// A machine with cgroups of version 2 whose process is in /user.slice/app.
struct Version2 : FakeRoot {
  Version2() {
    write("/proc/self/cgroup", "0::/user.slice/app\n");
    write("/proc/self/mountinfo", "35 25 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
    write("/proc/vmstat", "oom_kill 100\n");
  }
  void count(std::string_view group, int kills) {
    write(std::string(group) + "/memory.events",
          "low 0\nhigh 0\nmax 9\noom 9\noom_kill " + std::to_string(kills) + "\noom_group_kill 50\n");
  }
};

/// As a death by SIGKILL asks.
bool took_one(OomKills& kills) {
  if (!kills.has_untaken(most)) return false;
  kills.take();
  return true;
}

}  // namespace

TEST_CASE("the kernel's count is found among its neighbours, and nothing else is taken for it") {
  CHECK(oom_kills_in("oom_kill_disable 1\nunder_oom 2\noom_kill 3\n") == 3);
  CHECK(oom_kills_in("oom 7\noom_kill 0\noom_group_kill 5\n") == 0);
  CHECK_FALSE(oom_kills_in(""));
  CHECK_FALSE(oom_kills_in("oom_kill_disable 1\nunder_oom 2\n"));
  CHECK_FALSE(oom_kills_in("oom_kill x\n"));
  CHECK_FALSE(oom_kills_in("oom_kill 5x\n"));
}

TEST_CASE("in a memory cgroup of version 1 its own count decides") {
  Version1 machine;
  machine.count(v1_group, 4);
  machine.count("/sys/fs/cgroup/memory/docker", 9);
  OomKills kills(machine.path());
  CHECK_FALSE(took_one(kills));
  machine.write("/proc/vmstat", "oom_kill 200\n");
  machine.count("/sys/fs/cgroup/memory/docker", 10);
  CHECK_FALSE(took_one(kills));
  machine.count(v1_group, 5);
  CHECK(took_one(kills));
  CHECK_FALSE(took_one(kills));
}

TEST_CASE("in cgroups of version 2 the nearest that governs memory decides") {
  Version2 machine;
  machine.count("/sys/fs/cgroup/user.slice", 3);
  SECTION("its own") {
    machine.count(v2_group, 1);
    OomKills kills(machine.path());
    machine.count("/sys/fs/cgroup/user.slice", 4);
    CHECK_FALSE(took_one(kills));
    machine.count(v2_group, 2);
    CHECK(took_one(kills));
  }
  SECTION("its parent") {
    OomKills kills(machine.path());
    CHECK_FALSE(took_one(kills));
    machine.count("/sys/fs/cgroup/user.slice", 4);
    CHECK(took_one(kills));
  }
}

TEST_CASE("without a memory cgroup the machine's count decides, and without that nothing does") {
  FakeRoot machine;
  machine.write("/proc/vmstat", "oom_kill 7\n");
  OomKills kills(machine.path());
  CHECK_FALSE(took_one(kills));
  machine.write("/proc/vmstat", "oom_kill 8\n");
  CHECK(took_one(kills));
  machine.write("/proc/vmstat", "");
  CHECK_FALSE(took_one(kills));
  const FakeRoot nothing;
  CHECK_FALSE(OomKills(nothing.path()).has_untaken(most));
}

TEST_CASE("of several kills that came before the first death was asked about, each is found once") {
  Version2 machine;
  machine.count(v2_group, 1);
  OomKills kills(machine.path());
  machine.count(v2_group, 3);
  CHECK(kills.has_untaken(most));
  CHECK(took_one(kills));
  CHECK(took_one(kills));
  CHECK_FALSE(took_one(kills));
  machine.count(v2_group, 4);
  CHECK(took_one(kills));
  CHECK_FALSE(took_one(kills));
}

TEST_CASE("of kills that nobody has taken, no more are held than there are workers") {
  Version2 machine;
  machine.count(v2_group, 1);
  OomKills kills(machine.path());
  machine.count(v2_group, 1000);
  for (std::size_t i = 0; i < most; ++i) CHECK(took_one(kills));
  CHECK_FALSE(took_one(kills));
}
