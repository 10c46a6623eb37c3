# SPDX-License-Identifier: BSL-1.0
"""64 MiB of bytes by loky's submit."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

from payload import measure
from loky_pool import LokyPool

measure(LokyPool)
