# SPDX-License-Identifier: BSL-1.0
"""Small tasks by mpi4py's MPIPoolExecutor.submit."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

from bulk import measure
from mpi4py_pool import Mpi4pyPool

measure(Mpi4pyPool, tasks=5_000)
