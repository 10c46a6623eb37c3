# SPDX-License-Identifier: BSL-1.0
"""Start-up: how long does a pool take to be made, to give its first result, to stop?"""

from measure import Options, Report, Stopwatch
from work import increment


def life(make_pool):
    """The three times of one pool in nanoseconds."""
    watch = Stopwatch()
    pool = make_pool(2)
    made = watch.lap()
    assert pool.submit(increment, 1)() == 2, "wrong result: 1 + 1"
    answered = watch.lap()
    pool.stop()
    return made, answered, watch.lap()


def measure(make_pool, lives=15):
    options = Options()
    life(make_pool)
    lives = [life(make_pool) for _ in range(options.count(lives, 3))]
    report = Report("startup", make_pool.name)
    for index, label in enumerate(("make", "first result", "stop")):
        report.print(label, "ns", [times[index] for times in lives])
    report.print("all three", "ns", [sum(times) for times in lives])
