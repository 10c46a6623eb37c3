# SPDX-License-Identifier: BSL-1.0
"""mpi4py.futures as the questions see a pool. The workers are spawned, as many as asked for."""

import os
import sys

from measure import require_module

require_module("mpi4py", "python3-mpi4py")

# Open MPI refuses root, and more processes than processors, unless it is told otherwise.
os.environ |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1"}

from mpi4py.futures import MPIPoolExecutor


class Mpi4pyPool:
    name = "mpi4py"

    def __init__(self, workers):
        self.workers = workers
        self.pool = MPIPoolExecutor(workers, main=False, path=sys.path[:1])
        self.pool.bootup()

    def submit(self, function, argument):
        """A function that waits for the result."""
        return self.pool.submit(function, argument).result

    def map(self, function, items):
        """With chunks as multiprocessing.Pool would choose them: the default, one item each, is far slower."""
        return list(self.pool.map(function, items, chunksize=-(-len(items) // (4 * self.workers))))

    def stop(self):
        self.pool.shutdown()
