# SPDX-License-Identifier: BSL-1.0
"""What the tasks do; in a module of its own, since a task travels by the name of its function."""


def increment(x):
    return x + 1


def count_down(start):
    """The loop that books on Python's multiprocessing open with."""
    while start > 0:
        start -= 1
    return start


class Chain:
    """A loop of `steps` steps, each a few tens of nanoseconds."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, seed):
        for _ in range(self.steps):
            pass
        return seed
