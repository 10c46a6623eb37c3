# SPDX-License-Identifier: BSL-1.0
"""Small tasks by pebble's ProcessPool.schedule."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

from bulk import measure
from pebble_pool import PebblePool

measure(PebblePool, tasks=5_000)
