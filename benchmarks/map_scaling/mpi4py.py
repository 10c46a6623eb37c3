# SPDX-License-Identifier: BSL-1.0
"""By mpi4py's MPIPoolExecutor.map."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

from map_scaling import measure
from mpi4py_pool import Mpi4pyPool

measure(Mpi4pyPool)
