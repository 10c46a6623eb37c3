# SPDX-License-Identifier: BSL-1.0
"""By Pool.map, each item a posix_spawn in one of two workers."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

import os

from pools import MultiprocessingPool
from whole_process import measure


def run_program(_):
    return os.waitpid(os.posix_spawnp("true", ["true"], os.environ), 0)[1]


def run_all(count):
    return not any(pool.map(run_program, range(count)))


pool = MultiprocessingPool(2)
measure("multiprocessing", run_all)
pool.stop()
