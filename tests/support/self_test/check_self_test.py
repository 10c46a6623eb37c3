#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Sees the listener and the watcher of the test programs refuse what they are there to refuse.

    check_self_test.py PROGRAM        (tests/support/self_test/leaves_something.cpp, built)
"""

import concurrent.futures
import os
import subprocess
import sys
import tempfile

PASSES = None
SKIPPED = 77  # the status of a program that has skipped a case

# Test case, what the program has to say when it refuses it, or how else it is to end.
CASES = (
    ("leaves nothing", PASSES),
    ("leaves a child that goes at once", PASSES),
    ("leaves a child", "process "),
    ("leaves a zombie", "state Z"),
    ("leaves an orphan", "process "),
    ("leaves a descriptor", "of /dev/null"),
    ("leaves shared memory", "/left"),
    ("hangs", "has not ended within 1 s"),
    ("crashes", "died by signal 11"),
    ("cannot run here", SKIPPED),
    ("cannot run here and fails", "FAILED"),
    ("fails", "FAILED"),
    ("no such test case", "No test cases matched"),
)


def run(program, case):
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PROCPOOL_TEST_CASE_SECONDS": "1", "PROCPOOL_TEST_SHARED_MEMORY": folder}
        environment.pop("PROCPOOL_TEST_UNWATCHED", None)
        return subprocess.run([program, case], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=60)


def problems(program):
    with concurrent.futures.ThreadPoolExecutor(4) as threads:  # They mostly wait.
        runs = list(threads.map(lambda case: run(program, case[0]), CASES))
    for (case, words), done in zip(CASES, runs):
        if words is PASSES:
            if done.returncode != 0:
                yield f"\"{case}\" was refused with status {done.returncode}:\n{done.stdout}"
        elif words is SKIPPED:
            if done.returncode != SKIPPED or f'skipped: "{case}": ' not in done.stdout:
                yield f"\"{case}\" was not counted as skipped, but ended with status {done.returncode}:\n{done.stdout}"
        elif done.returncode in (0, SKIPPED):
            yield f"\"{case}\" was not refused:\n{done.stdout}"
        elif words not in done.stdout or (case not in done.stdout and "no such" not in case):
            yield f"\"{case}\" was refused, but not with its name and \"{words}\":\n{done.stdout}"


def main():
    found = list(problems(sys.argv[1]))
    print("\n".join(found) or f"{len(CASES)} cases judged as they should be")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
