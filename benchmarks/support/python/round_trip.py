# SPDX-License-Identifier: BSL-1.0
"""Round trip: how long from submit to the result, with one worker and one task at a time?"""

import time

from measure import Options, Report, Stopwatch
from work import increment

UNTIL_ASLEEP = 0.02  # seconds; as in round_trip.hpp


def round_trips(pool, count):
    """`count` of them one after the other; the mean in nanoseconds."""
    watch = Stopwatch()
    for x in range(count):
        assert pool.submit(increment, x)() == x + 1, "wrong result: x + 1"
    return watch.lap() / count


def asleep_round_trip(pool):
    time.sleep(UNTIL_ASLEEP)
    return round_trips(pool, 1)


def measure(make_pool):
    options = Options()
    pool = make_pool(1)
    report = Report("round_trip", pool.name)
    round_trips(pool, 50)
    report.print("hot", "ns", [round_trips(pool, 50) for _ in range(options.count(21, 3))])
    report.print("asleep", "ns", [asleep_round_trip(pool) for _ in range(options.count(51, 5))])
    pool.stop()
