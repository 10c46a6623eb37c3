# SPDX-License-Identifier: BSL-1.0
"""Busy loop: two loops of 10⁷ decrements, one after the other, on two threads, on two processes."""

from measure import Options, Report, Stopwatch

DECREMENTS = 10_000_000


def measure(rival, both):
    """`both(n)` runs the two loops of `n` decrements."""
    options = Options()
    times = []
    for _ in range(options.count(3, 1)):
        watch = Stopwatch()
        both(DECREMENTS)
        times.append(watch.lap())
    Report("busy_loop", rival).print("two loops", "ns", times)
