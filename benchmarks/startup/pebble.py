# SPDX-License-Identifier: BSL-1.0
"""Two processes of pebble's ProcessPool from nothing to nothing."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

from startup import measure
from pebble_pool import PebblePool

measure(PebblePool)
