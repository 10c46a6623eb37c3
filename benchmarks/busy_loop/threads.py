# SPDX-License-Identifier: BSL-1.0
"""Each loop on a new thread: the two take turns for the lock of the interpreter."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

import threading

from busy_loop import measure
from work import count_down


def both(count):
    threads = [threading.Thread(target=count_down, args=(count,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


measure("Python, threads", both)
