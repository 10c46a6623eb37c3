# SPDX-License-Identifier: BSL-1.0
"""loky, the executor of joblib, as the questions see a pool."""

from measure import require_module

require_module("joblib", "python3-joblib")

from joblib.externals.loky import ProcessPoolExecutor


class LokyPool:
    name = "loky"

    def __init__(self, workers):
        self.workers = workers
        self.pool = ProcessPoolExecutor(workers)

    def submit(self, function, argument):
        """A function that waits for the result."""
        return self.pool.submit(function, argument).result

    def map(self, function, items):
        """With chunks as multiprocessing.Pool would choose them: the default, one item each, is far slower."""
        return list(self.pool.map(function, items, chunksize=-(-len(items) // (4 * self.workers))))

    def stop(self):
        self.pool.shutdown()
