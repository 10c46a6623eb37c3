# SPDX-License-Identifier: BSL-1.0
"""pebble's ProcessPool as the questions see a pool."""

from measure import require_module

require_module("pebble", "python3-pebble")

import pebble

from pools import context


class PebblePool:
    name = "pebble"

    def __init__(self, workers):
        self.workers = workers
        self.pool = pebble.ProcessPool(workers, context=context)

    def submit(self, function, argument):
        """A function that waits for the result."""
        return self.pool.schedule(function, args=(argument,)).result

    def map(self, function, items):
        """With chunks as multiprocessing.Pool would choose them: the default, one item each, is far slower."""
        return list(self.pool.map(function, items, chunksize=-(-len(items) // (4 * self.workers))).result())

    def stop(self):
        self.pool.close()
        self.pool.join()
