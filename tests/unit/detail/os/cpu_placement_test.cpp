// SPDX-License-Identifier: BSL-1.0

#include <sched.h>

#include <cstddef>

#include <procpool/detail/os/cpu_placement.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"

using namespace procpool::detail;

namespace {

cpu_set_t usable_by_this_thread() {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  ::sched_getaffinity(0, sizeof usable, &usable);
  return usable;
}

}  // namespace

TEST_CASE("a thread that moves to another CPU may run where it might before") {
  const cpu_set_t before = usable_by_this_thread();
  move_to_another_cpu(0);
  const cpu_set_t after = usable_by_this_thread();
  CHECK(CPU_EQUAL(&before, &after));
  CHECK(CPU_ISSET(static_cast<std::size_t>(current_cpu()), &after));
}

TEST_CASE("a thread that may use one CPU alone stays there") {
  CHECK(true_in_child([] {
    const int here = current_cpu();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(here), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    move_to_another_cpu(0);
    const cpu_set_t after = usable_by_this_thread();
    return current_cpu() == here && CPU_EQUAL(&one, &after);
  }));
}
