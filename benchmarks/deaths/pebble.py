# SPDX-License-Identifier: BSL-1.0
"""Deaths of pebble's workers: as in procpool.cpp. Of Python's pools it alone replaces a worker and goes on.

Now and then, on a busy machine, a task of pebble's never ends after a death. Such a pass is told on standard error and
not counted.
"""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

import concurrent.futures
import os
import signal
import time

from measure import Options, Report, Stopwatch
from pebble_pool import PebblePool, pebble


NEVER = 20  # seconds; a whole pass takes less than one


def work(task, dies):
    end = time.perf_counter() + 0.0005
    while time.perf_counter() < end:
        pass
    if dies:
        (lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: os.kill(os.getpid(), signal.SIGSEGV),
         lambda: os._exit(7))[task % 3]()
    return task


def run(pool, tasks, apart):
    """Nanoseconds for the tasks, of which every `apart`th dies, 0: none; or None if one of them never ended."""
    watch = Stopwatch()
    futures = [pool.schedule(work, args=(task, apart != 0 and task % apart == apart - 1)) for task in range(tasks)]
    deaths = 0
    for task, future in enumerate(futures):
        try:
            assert future.result(timeout=NEVER) == task, "wrong result: the task's number"
        except pebble.ProcessExpired:
            deaths += 1
        except concurrent.futures.TimeoutError:
            return None
    time_of_all = watch.lap()
    assert deaths == (tasks // apart if apart else 0), "wrong result: as many deaths as there were deadly tasks"
    return time_of_all


def both_runs(tasks):
    """The times without and with deaths, of a pool of its own; None if a task never ended."""
    pool = PebblePool(2).pool
    run(pool, tasks, 0)
    times = run(pool, tasks, 0), run(pool, tasks, 33)
    pool.stop()
    pool.join()
    return None if None in times else times


def replacement(pool):
    """Nanoseconds from a death to the first task of the only worker's replacement, by one clock for both."""
    before = time.monotonic_ns()
    death = pool.schedule(work, args=(0, True))
    first = pool.schedule(time.monotonic_ns).result()
    assert isinstance(death.exception(), pebble.ProcessExpired), "wrong result: the death"
    return first - before


def lateness(pool, timeout):
    """Nanoseconds from the deadline of a task that never ends to the moment at which its future has failed."""
    watch = Stopwatch()
    future = pool.schedule(signal.pause, timeout=timeout)
    assert isinstance(future.exception(), concurrent.futures.TimeoutError), "wrong result: the end of its time"
    return watch.lap() - timeout * 1e9


options = Options()
report = Report("deaths", PebblePool.name)
tries = [both_runs(options.count(999, 99)) for _ in range(options.count(5, 1))]
runs = [times for times in tries if times]
if len(runs) < len(tries):
    print(f"pebble: in {len(tries) - len(runs)} of {len(tries)} passes a task never ended", file=sys.stderr)
if not runs:
    sys.exit(1)
report.print("999 tasks: no death", "ns", [quiet for quiet, _ in runs])
report.print("999 tasks: 30 deaths", "ns", [deadly for _, deadly in runs])
report.print("999 tasks: ratio", "ratio", [deadly / quiet for quiet, deadly in runs])
pool = PebblePool(1)
report.print("to the replacement's first task", "ns", [replacement(pool.pool) for _ in range(options.count(15, 3))])
report.print("a timeout is seen late by", "ns", [lateness(pool.pool, 0.05) for _ in range(options.count(9, 3))])
pool.stop()
