# SPDX-License-Identifier: BSL-1.0
"""Whole processes: what does it cost to run a program of its own for each item, two at a time?"""

from measure import Options, Report, Stopwatch


def measure(rival, run_all):
    """`run_all(count)` runs `true` that often, and returns whether all ended well."""
    options = Options()
    count = options.count(1000, 50)
    times = []
    for run in range(-1, options.count(3, 1)):
        watch = Stopwatch()
        ended_well = run_all(count)
        time = watch.lap()
        assert ended_well, "wrong result: 0 from each program"
        if run >= 0:
            times.append(time / count)
    Report("whole_process", rival).print("a program", "ns", times)
