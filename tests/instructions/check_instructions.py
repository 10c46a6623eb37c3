#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Counts the instructions of small tasks and of maps, and compares them with figures.json.

    check_instructions.py COUNTED COMPILER [--update]

COUNTED is the program of counted.cpp, COMPILER what made it ("GNU 12"). A count does not depend on how fast or busy the
machine is, only on the compiler and the C library, by which the figures are keyed. It ends with 1 if one has grown by
more than 3 %, and with 77 (skipped) where there is nothing to compare. --update writes the counts down: do that when
they have fallen, and when they have grown for a reason that the commit tells.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FIGURES = pathlib.Path(__file__).parent / "figures.json"
TOLERANCE = 0.03
SKIPPED = 77


def counts(program):
    """{what: instructions each time}"""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={folder}/%p", program],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if done.returncode != 0:
            sys.exit(f"{program} failed under callgrind:\n{done.stdout}")
        times = {what: int(number) for what, number in re.findall(r"^(\w.*): (\d+)$", done.stdout, re.MULTILINE)}
        found = {}
        for path in pathlib.Path(folder).iterdir():
            text = path.read_text()
            trigger = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            if trigger:
                total = int(re.search(r"^totals: (\d+)$", text, re.MULTILINE)[1])
                found[trigger[1]] = round(total / times[trigger[1]], 2)
        if found.keys() != times.keys() or not all(found.values()):
            sys.exit(f"counted {found} of {times}:\n{done.stdout}")
        return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("counted")
    parser.add_argument("compiler")
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    if not arguments.counted or not shutil.which("valgrind"):
        print("skipped: counting needs valgrind and its headers (Debian: valgrind)")
        sys.exit(SKIPPED)

    key = f"{arguments.compiler}, {os.confstr('CS_GNU_LIBC_VERSION')}"
    figures = json.loads(FIGURES.read_text())
    found = counts(arguments.counted)
    if arguments.update:
        figures[key] = found
        FIGURES.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    if key not in figures:
        print(f"skipped: {FIGURES.name} has no figures of {key}; with --update these are written down: {found}")
        sys.exit(SKIPPED)

    has_grown = found.keys() != figures[key].keys()
    for what in sorted(found.keys() | figures[key].keys()):
        now, before = found.get(what, 0), figures[key].get(what, 0)
        grows = before == 0 or now > before * (1 + TOLERANCE)
        has_grown |= grows
        change = f"{now / before - 1:+.1%}" if before else "new"
        print(f"{what:34} {now:9.2f} instructions, {before:9.2f} written down, {change}{'  GROWN' if grows else ''}")
    if has_grown:
        print("If that is as it must be, write it down:  check_instructions.py COUNTED COMPILER --update")
    sys.exit(has_grown)


if __name__ == "__main__":
    main()
