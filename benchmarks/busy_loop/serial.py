# SPDX-License-Identifier: BSL-1.0
"""One loop after the other."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

from busy_loop import measure
from work import count_down


def both(count):
    count_down(count)
    count_down(count)


measure("Python, serial", both)
