#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Counts the instructions and system calls of a small task, for pools of 1 to 64 workers.

    count_crowd.py CROWD

CROWD is the program of crowd.cpp. It compares nothing: docs/performance.md tells what came of it, and
check_instructions.py keeps what one worker takes. The workers share the processors that there are, so who meets whom
differs a little from run to run.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

WORKERS = (1, 2, 4, 8, 16, 32, 64)


def calls_of(text, function):
    """How often it was called, of a file of callgrind's."""
    return sum(int(calls) for number in set(re.findall(rf"\((\d+)\) {function}$", text, re.MULTILINE))
               for calls in re.findall(rf"^cfn=\({number}\)[^\n]*\ncalls=(\d+)", text, re.MULTILINE))


def counts(program, workers):
    """{what: [instructions, system calls] each task, all processes together}"""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={folder}/%p", program,
             str(workers)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if done.returncode != 0:
            sys.exit(f"{program} failed under callgrind:\n{done.stdout}")
        tasks = int(re.search(r"^tasks: (\d+)$", done.stdout, re.MULTILINE)[1])
        found = {}
        for path in pathlib.Path(folder).iterdir():
            text = path.read_text()
            trigger = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            if trigger:
                sums = found.setdefault(trigger[1], [0, 0])
                sums[0] += int(re.search(r"^totals: (\d+)$", text, re.MULTILINE)[1]) / tasks
                sums[1] += calls_of(text, "syscall") / tasks
        return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for workers in WORKERS:
        for what, (instructions, system_calls) in sorted(counts(sys.argv[1], workers).items()):
            print(f"{workers:3} workers, {what:17} {instructions:7.1f} instructions, {system_calls:6.3f} system calls")


if __name__ == "__main__":
    main()
