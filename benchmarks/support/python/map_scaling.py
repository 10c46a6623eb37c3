# SPDX-License-Identifier: BSL-1.0
"""Map scaling: what does an item of a map cost, by its own length and the number of workers?"""

from measure import Options, Report, Stopwatch
from work import Chain

# As in map_scaling.hpp: name, length in nanoseconds, items.
SIZES = (("0.1 µs", 100, 500_000), ("1 µs", 1_000, 50_000), ("10 µs", 10_000, 5_000),
         ("100 µs", 100_000, 500), ("1 ms", 1_000_000, 52), ("10 ms", 10_000_000, 12))


def step_time():
    """Nanoseconds a step takes here, the least of some tries: the length of an item is the same work for each rival."""
    steps = 100_000
    chain = Chain(steps)
    times = []
    for _ in range(9):
        watch = Stopwatch()
        chain(0)
        times.append(watch.lap() / steps)
    return min(times)


def map_times(pool, chain, count, runs):
    """Nanoseconds an item, after one map that warms the pool up."""
    items = list(range(count))
    times = []
    for _ in range(runs + 1):
        watch = Stopwatch()
        results = pool.map(chain, items)
        times.append(watch.lap() / count)
        assert results == items, "wrong result: the items themselves"
    return times[1:]


def measure(make_pool):
    options = Options()
    step = step_time()
    for workers in (1, 2, 4):
        pool = make_pool(workers)
        report = Report("map_scaling", pool.name)
        for name, length, items in SIZES:
            count = options.count(items, max(4, items // 50))
            times = map_times(pool, Chain(round(length / step)), count, options.count(3, 1))
            report.print(f"{workers} worker{'s' if workers > 1 else ''}: {name}", "ns", times)
        pool.stop()
