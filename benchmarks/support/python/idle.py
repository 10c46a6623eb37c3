# SPDX-License-Identifier: BSL-1.0
"""Idle: how much CPU time does a pool use that has nothing to do?"""

import os
import pathlib
import threading
import time

from measure import Options, Report
from work import increment


def thread_time(task):
    """Nanoseconds of CPU that the thread of this folder in /proc used so far; exact for a thread that sleeps."""
    return int((task / "schedstat").read_text().split()[0])


def cpu_time(processes):
    """Nanoseconds of CPU that `processes` and all threads of this one but the calling one used so far."""
    own_thread = str(threading.get_native_id())
    tasks = [task for pid in [*processes, os.getpid()] for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
    return sum(thread_time(task) for task in tasks if task.name != own_thread)


def idle_time(pool, watched):
    """Nanoseconds of CPU that an idle pool uses in a second."""
    time.sleep(1)  # A pool may linger a while for more work.
    processes = pool.processes()
    before = cpu_time(processes)
    time.sleep(watched)
    return (cpu_time(processes) - before) / watched


def measure(make_pool):
    options = Options()
    watched = options.count(2, 0.3)
    pool = make_pool(2)
    report = Report("idle", pool.name)
    report.print("CPU time a second: never used", "ns", [idle_time(pool, watched)])
    for x in range(1000):
        assert pool.submit(increment, x)() == x + 1, "wrong result: x + 1"
    report.print("CPU time a second: after work", "ns", [idle_time(pool, watched)])
    pool.stop()
