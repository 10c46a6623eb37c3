# SPDX-License-Identifier: BSL-1.0
"""What procpool has to reach, and whether it did."""

from table import quantity, three_digits

# Question, case, rival, how many times faster than it procpool is at least.
FASTER = (("bulk", "a task", "asio", 3.5), ("bulk", "a task", "tbb", 2.8), ("bulk", "a task", "multiprocessing", 60))

# Question, case, rival, how many times its value procpool's is at most. The spread of passes that one thread makes by
# itself is the machine's own.
WITHIN = (("bulk", "a task", "tbb_task_group", 1.2), ("round_trip", "hot", "cache line", 3),
          ("round_trip", "asleep", "futex", 1.5), ("modes", "2 workers: a task", "serial", 1.3),
          ("modes", "1 worker: a task", "serial", 1.3), ("blocks", "an element", "tbb", 1.3))

# Question, case, the share of what is possible that procpool reaches at least.
AT_LEAST = (("payload", "share of memcpy's speed: read as a span", 0.6),
            ("payload", "share of memcpy's speed: borrowed", 0.5),
            ("payload", "share of memcpy's speed: there and back", 0.2),
            ("even_work", "1000 tasks of 1 ms: share of the ideal", 0.98),
            ("even_work", "1000 tasks of 10 µs: share of the ideal", 0.9))

# Question, case, at most, unit. About 200 ns a task are aimed at: 230 still count.
AT_MOST = (("bulk", "a task", 230, "ns"), ("round_trip", "hot", 1500, "ns"), ("tiny_items", "an item", 2, "ns"),
           ("chunk_size", "10⁷ items of next to nothing: over the best by hand", 1.1, "ratio"),
           ("chunk_size", "100 items of 1 to 100 ms, the longest last: over the best by hand", 1.1, "ratio"),
           ("startup", "4 workers, 10 MB held: make and stop", 2e6, "ns"),
           ("startup", "4 workers, 10 MB held: a worker's own memory", 300, "KB"),
           ("deaths", "999 tasks: ratio", 3, "ratio"), ("deaths", "to the replacement's first task", 2e6, "ns"),
           ("deaths", "a timeout is seen late by", 10e6, "ns"),
           ("deaths", "from the zygote's death to the last future", 10e6, "ns"),
           ("deaths", "from the user's process's death to all", 1e9, "ns"),
           ("allocations", "all at once: caller", 0, "allocations"),
           ("allocations", "all at once: worker", 0, "allocations"),
           ("allocations", "one at a time: caller", 0, "allocations"),
           ("allocations", "one at a time: worker", 0, "allocations"),
           ("idle", "CPU time a second: never used", 0, "ns"), ("idle", "CPU time a second: after work", 0, "ns"),
           ("compile", "hello_pool, GCC", 3e9, "ns"), ("compile", "hello_pool, Clang", 3e9, "ns"))


def verdicts(results, questions):
    """A line for each requirement on `questions`; what was not measured says so."""
    value = {key: result["value"] for key, result in results.items()}
    lines = []

    def add(name, needed, passed, text, wanted):
        if name[0] not in questions:
            return
        missing = [key for key in needed if key not in value]
        word = "not measured" if missing else "pass" if passed() else "FAIL"
        lines.append((word, f"{name[0]}, {name[1]}", "" if missing else text(), wanted))

    for question, label, rival, needs in FASTER:
        own, other = (question, "procpool", label), (question, rival, label)
        add((question, f"{label} vs {rival}"), (own, other), lambda: value[other] >= needs * value[own],
            lambda: f"{three_digits(value[other] / value[own])}× faster", f"needs {needs}×")
    for question, label, rival, limit in WITHIN:
        own, other = (question, "procpool", label), (question, rival, label)
        add((question, f"{label} vs {rival}"), (own, other), lambda: value[own] <= limit * value[other],
            lambda: f"{three_digits(value[own] / value[other])}× its value", f"at most {limit}×")
    for question, label, limit in AT_LEAST:
        own = (question, "procpool", label)
        add((question, label), (own,), lambda: value[own] >= limit, lambda: quantity(value[own], "share"),
            f"at least {limit}")
    for question, label, limit, unit in AT_MOST:
        own = (question, "procpool", label)
        add((question, label), (own,), lambda: value[own] <= limit, lambda: quantity(value[own], unit),
            f"at most {quantity(limit, unit)}")
    return lines


def as_text(lines):
    names = max((len(name) for _, name, _, _ in lines), default=0)
    values = max((len(text) for _, _, text, _ in lines), default=0)
    return "\n".join(f"{word:12}  {name:{names}}  {text:>{values}}  ({wanted})" for word, name, text, wanted in lines)
