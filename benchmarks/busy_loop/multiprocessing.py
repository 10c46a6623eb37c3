# SPDX-License-Identifier: BSL-1.0
"""Each loop on a process of a Pool."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

from busy_loop import measure
from pools import MultiprocessingPool
from work import count_down


def both(count):
    assert pool.map(count_down, [count, count]) == [0, 0], "wrong result: a loop that ends at 0"


pool = MultiprocessingPool(2)
measure("multiprocessing", both)
pool.stop()
