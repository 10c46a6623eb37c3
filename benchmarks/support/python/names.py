# SPDX-License-Identifier: BSL-1.0
"""What pictures and tables call those who were measured."""

from results import REFERENCE as OWN  # noqa: F401

NAMES = {"serial": "no pool", "std_async": "std::async",
         "asio": "Asio thread_pool", "tbb": "oneTBB", "tbb_task_group": "oneTBB task_group, no futures",
         "message_queue": "Boost message_queue", "multiprocessing": "multiprocessing.Pool",
         "process_pool_executor": "ProcessPoolExecutor", "loky": "loky (joblib)", "mpi4py": "mpi4py.futures",
         "futex": "bare futex", "pipe": "bare pipe", "cache line": "bare cache line"}
LIMITS = ("serial", "futex", "pipe", "cache line")  # no pools: what the machine allows


def name_of(rival):
    return NAMES.get(rival, rival)


def kind(rival):
    return "own" if rival == OWN else "limit" if rival in LIMITS else "rival"


def place(rival, value):
    """Where it is listed: procpool first, then its rivals and then the limits, each from the smallest value on."""
    return ("own", "rival", "limit").index(kind(rival)), value


def medians(results, question, case):
    """{rival: median}"""
    return {rival: line["median"] for (asked, rival, label), line in results.items()
            if (asked, label) == (question, case)}
