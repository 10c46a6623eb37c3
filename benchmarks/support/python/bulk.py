# SPDX-License-Identifier: BSL-1.0
"""Bulk: what does a small task with a future cost if all are submitted before the first get?"""

from measure import Options, Report, Stopwatch
from work import increment


def bulk_pass(pool, tasks):
    """The time to submit and the time to get, in nanoseconds a task."""
    watch = Stopwatch()
    waits = [pool.submit(increment, x) for x in range(tasks)]
    submit = watch.lap()
    total = sum(wait() for wait in waits)
    get = watch.lap()
    assert total == tasks * (tasks + 1) // 2, "wrong result: the sum of all x + 1"
    return submit / tasks, get / tasks


def measure(make_pool, tasks):
    """With fewer tasks than the C++ rivals, since each takes a hundred times as long."""
    options = Options()
    tasks = options.count(tasks, tasks // 20)
    pool = make_pool(2)
    bulk_pass(pool, tasks)
    passes = [bulk_pass(pool, tasks) for _ in range(options.count(5, 3))]
    pool.stop()
    report = Report("bulk", pool.name)
    report.print("submit", "ns", [submit for submit, _ in passes])
    report.print("get", "ns", [get for _, get in passes])
    report.print("a task", "ns", [submit + get for submit, get in passes])
