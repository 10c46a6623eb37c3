# SPDX-License-Identifier: BSL-1.0
"""Tiny items: what does an item of a map over 10⁷ integers cost if the function does next to nothing?"""

from measure import Options, Report, Stopwatch
from work import increment


def measure(make_pool):
    options = Options()
    count = options.count(10_000_000, 200_000)
    items = list(range(count))
    pool = make_pool(2)
    times = []
    for run in range(-1, options.count(3, 1)):
        watch = Stopwatch()
        results = pool.map(increment, items)
        time = watch.lap()
        assert len(results) == count and results[-1] == count, "wrong result: x + 1 for each x"
        if run >= 0:
            times.append(time / count)
    pool.stop()
    Report("tiny_items", pool.name).print("an item", "ns", times)
