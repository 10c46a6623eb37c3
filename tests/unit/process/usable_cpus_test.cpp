// SPDX-License-Identifier: BSL-1.0

#include <sched.h>

#include <cstddef>
#include <string>
#include <string_view>

#include <procpool/process/usable_cpus.hpp>

#include "../../support/catch.hpp"
#include "../../support/fake_root.hpp"
#include "../../support/in_child.hpp"

using namespace procpool;

namespace {

struct FakeRoot : support::FakeRoot {
  FakeRoot& write(std::string_view file, std::string_view contents) {
    support::FakeRoot::write(file, contents);
    return *this;
  }
  [[nodiscard]] int cpus() const { return detail::cpus_of_cgroups(path()); }
};

/// A machine with cgroups of version 2 whose process is in /user.slice/app.
struct Version2 : FakeRoot {
  Version2() {
    write("/proc/self/cgroup", "0::/user.slice/app\n");
    write("/proc/self/mountinfo",
          "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
          "35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
};

/// A machine with cgroups of version 1 whose process is in /batch/job of the controllers `cpu,cpuacct`.
struct Version1 : FakeRoot {
  Version1() {
    write("/proc/self/cgroup", "5:memory:/elsewhere\n4:cpuset:/set\n3:cpu,cpuacct:/batch/job\n1:name=systemd:/cpu\n");
    write("/proc/self/mountinfo",
          "33 25 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
          "34 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  }

  Version1& quota(std::string_view group, std::string_view quota, std::string_view period) {
    const std::string directory = "/sys/fs/cgroup/cpu,cpuacct" + std::string(group);
    write(directory + "/cpu.cfs_quota_us", quota);
    write(directory + "/cpu.cfs_period_us", period);
    return *this;
  }
};

}  // namespace

TEST_CASE("this machine has a usable CPU, and not more than the affinity mask allows") {
  CHECK(usable_cpus() >= 1);
  CHECK(usable_cpus() <= detail::cpus_of_affinity());
}

TEST_CASE("a process bound to one CPU may use one") {
  CHECK(true_in_child([] {
    ::cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
    return ::sched_setaffinity(0, sizeof one, &one) == 0 && usable_cpus() == 1;
  }));
}

TEST_CASE("a quota of version 2 is rounded up") {
  Version2 root;
  CHECK(root.write("/sys/fs/cgroup/user.slice/app/cpu.max", "150000 100000\n").cpus() == 2);
  CHECK(root.write("/sys/fs/cgroup/user.slice/app/cpu.max", "300000 100000\n").cpus() == 3);
  CHECK(root.write("/sys/fs/cgroup/user.slice/app/cpu.max", "1000 100000\n").cpus() == 1);
}

TEST_CASE("the tightest of a cgroup and its parents counts") {
  Version2 root;
  root.write("/sys/fs/cgroup/user.slice/app/cpu.max", "400000 100000\n");
  CHECK(root.write("/sys/fs/cgroup/user.slice/cpu.max", "200000 100000\n").cpus() == 2);
  CHECK(root.write("/sys/fs/cgroup/cpu.max", "100000 100000\n").cpus() == 1);
  CHECK(root.write("/sys/fs/cgroup/cpu.max", "max 100000\n").cpus() == 2);
}

TEST_CASE("a cgroup beside the process's own does not count") {
  Version2 root;
  CHECK(root.write("/sys/fs/cgroup/user.slice/other/cpu.max", "100000 100000\n").cpus() == detail::no_cpu_limit);
}

TEST_CASE("a quota of version 1 is rounded up, its parents count, and -1 is none") {
  Version1 root;
  CHECK(root.quota("/batch/job", "-1\n", "100000\n").cpus() == detail::no_cpu_limit);
  CHECK(root.quota("/batch/job", "250000\n", "100000\n").cpus() == 3);
  CHECK(root.quota("/batch", "50000\n", "50000\n").cpus() == 1);
}

TEST_CASE("a quota is read from the mount of the cpu controller only") {
  Version1 root;
  root.write("/sys/fs/cgroup/cpuset/batch/job/cpu.cfs_quota_us", "100000\n");
  root.write("/sys/fs/cgroup/cpuset/batch/job/cpu.cfs_period_us", "100000\n");
  CHECK(root.cpus() == detail::no_cpu_limit);
}

TEST_CASE("where both versions are mounted the tighter one counts") {
  FakeRoot root;
  root.write("/proc/self/cgroup", "1:cpu:/\n0::/\n");
  root.write("/proc/self/mountinfo",
             "32 31 0:29 / /cg/cpu rw,relatime - cgroup cgroup rw,cpu\n"
             "41 31 0:38 / /cg/unified rw,relatime - cgroup2 cgroup2 rw\n");
  root.write("/cg/cpu/cpu.cfs_quota_us", "400000").write("/cg/cpu/cpu.cfs_period_us", "100000");
  CHECK(root.cpus() == 4);
  CHECK(root.write("/cg/unified/cpu.max", "300000 100000").cpus() == 3);
}

TEST_CASE("a container that sees its own cgroup as the top of the tree finds the quota there") {
  FakeRoot root;
  root.write("/proc/self/cgroup", "0::/docker/4711\n");
  root.write("/proc/self/mountinfo", "41 31 0:38 /docker/4711 /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  CHECK(root.write("/sys/fs/cgroup/cpu.max", "200000 100000\n").cpus() == 2);
}

TEST_CASE("a mount that does not show the process's cgroup says nothing") {
  FakeRoot root;
  root.write("/proc/self/cgroup", "0::/docker/4711\n");
  root.write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  root.write("/sys/fs/cgroup11/cpu.max", "200000 100000\n");
  root.write("/proc/self/mountinfo", "41 31 0:38 /docker/47 /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  CHECK(root.cpus() == detail::no_cpu_limit);
  root.write("/proc/self/cgroup", "0::/../neighbour\n");
  root.write("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  CHECK(root.cpus() == detail::no_cpu_limit);
}

TEST_CASE("a mount point may hold a space") {
  FakeRoot root;
  root.write("/proc/self/cgroup", "0::/\n");
  root.write("/proc/self/mountinfo", "41 31 0:38 / /my\\040groups ro - cgroup2 cgroup rw\n");
  CHECK(root.write("/my groups/cpu.max", "200000 100000\n").cpus() == 2);
}

TEST_CASE("contents that make no sense limit nothing") {
  const auto contents = GENERATE("", "\n", "max\n", "100000\n", "100000 0\n", "0 100000\n", "-5 100000\n",
                                 "1e5 100000\n", "100000 100000 7\n", "99999999999999999999 100000\n", "100000 -1\n");
  CAPTURE(contents);
  Version2 second;
  CHECK(second.write("/sys/fs/cgroup/user.slice/app/cpu.max", contents).cpus() == detail::no_cpu_limit);
  Version1 first;
  CHECK(first.quota("/batch/job", contents, "100000\n").cpus() >= 1);
  CHECK(first.quota("/batch/job", "nonsense\n", contents).cpus() == detail::no_cpu_limit);
}

TEST_CASE("a quota beyond all CPUs that an int can count limits nothing") {
  Version2 root;
  const auto contents = "9223372036854775807 1\n";
  CHECK(root.write("/sys/fs/cgroup/user.slice/app/cpu.max", contents).cpus() == detail::no_cpu_limit);
}

TEST_CASE("broken tables of cgroups and mounts limit nothing") {
  FakeRoot root;
  CHECK(root.cpus() == detail::no_cpu_limit);
  root.write("/proc/self/cgroup", "0:\n:\n\n:::\n0::relative\n7:cpu\n");
  root.write("/proc/self/mountinfo", "\n - \n1 2 3\n41 31 0:38 / /cg ro - cgroup2\n41 31 0:38 / /cg ro\n-\n");
  root.write("/cg/cpu.max", "garbage\n");
  CHECK(root.cpus() == detail::no_cpu_limit);
}
