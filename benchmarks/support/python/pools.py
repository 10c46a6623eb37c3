# SPDX-License-Identifier: BSL-1.0
"""Python's two process pools, and none at all, as the questions see a pool. Both fork, the faster of Python's ways to
start a process."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

context = multiprocessing.get_context("fork")


class SerialPool:
    """No pool at all: the caller maps by itself."""

    name = "Python, serial"

    def __init__(self, workers):
        pass

    def map(self, function, items):
        return [function(item) for item in items]

    def stop(self):
        pass


class MultiprocessingPool:
    name = "multiprocessing"

    def __init__(self, workers):
        self.pool = context.Pool(workers)

    def submit(self, function, argument):
        """A function that waits for the result."""
        return self.pool.apply_async(function, (argument,)).get

    def map(self, function, items):
        """With Pool's own choice of chunks, four for each worker."""
        return self.pool.map(function, items)

    def processes(self):
        return [child.pid for child in multiprocessing.active_children()]

    def stop(self):
        self.pool.close()
        self.pool.join()


class ExecutorPool:
    name = "process_pool_executor"

    def __init__(self, workers):
        self.workers = workers
        self.pool = ProcessPoolExecutor(workers, mp_context=context)

    def submit(self, function, argument):
        """A function that waits for the result."""
        return self.pool.submit(function, argument).result

    def map(self, function, items):
        """With chunks as Pool would choose them: the executor's default, one item each, is far slower."""
        return list(self.pool.map(function, items, chunksize=-(-len(items) // (4 * self.workers))))

    def processes(self):
        return [child.pid for child in multiprocessing.active_children()]

    def stop(self):
        self.pool.shutdown()
