#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Counts how often cache lines move from core to core for small tasks, and looks for false sharing.

    check_cache_lines.py COUNTED COMPILER [--update] [--table]

COUNTED is the program of counted.cpp, COMPILER what made it ("GNU 12"). It runs on a machine that is played, so the
counts are the same whatever runs beside it. It ends with 1 if a line moves for nothing where none should, or if a count
has grown by more than 5 % since figures.json was written; where that has none of this compiler, with 0 or 1 all the
same. --update writes the counts down; --table prints them as docs/performance.md shows them.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

FIGURES = pathlib.Path(__file__).parent / "figures.json"
TOLERANCE, LEAST = 0.05, 0.1  # of a count; a growth by less than the second is none

# How often a task may send a core a line of which it does not look at what was written: several cells of a ring lie on
# a line, and who looks at one is sent those behind it.
MOST_NEEDLESS = 0.2

# Who waits for a task looks at its state, and the worker writes the result beside that: the waiter will take it.
EXPECTED = ("slot + 0",)


def counted(program):
    """The lines that the program printed."""
    done = subprocess.run([program], stdout=subprocess.PIPE, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{program} ended with status {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def needless(lines):
    """False sharing: lines that move for nothing."""
    return [f"{line['workers']} workers, {line['what']}: {place} moves {all_moves:.2f} times, {moves:.2f} in vain"
            for line in lines for place, (all_moves, moves) in line["places"].items()
            if moves > MOST_NEEDLESS and place not in EXPECTED]


def figures_of(lines):
    """{workers, what: {who: moves a task}}"""
    return {f"{line['workers']} workers, {line['what']}":
            {who: line[who]["transfers"] for who in ("caller", "worker")} for line in lines}


def grown(found, before):
    return [f"{what}, {who}: {moves:.2f} moves a task, {before[what][who]:.2f} written down"
            for what, of_each in found.items() for who, moves in of_each.items()
            if moves > before.get(what, {}).get(who, 0) * (1 + TOLERANCE) + LEAST]


def table(lines):
    of = {(line["workers"], line["what"]): line for line in lines}
    rows = ["| workers | submit | claim to publish | take | claim to publish, tasks of 10 µs | time a task |",
            "|---:|---:|---:|---:|---:|---:|"]
    for workers in sorted({line["workers"] for line in lines}):
        moves = [of[workers, what][who]["transfers"]
                 for what, who in (("submit", "caller"), ("claim to publish", "worker"), ("take", "caller"),
                                   ("together, 10 µs", "worker"))]
        time = of[workers, "together, 0 µs"]["time"] / 1000
        rows.append("| " + " | ".join([str(workers), *(f"{each:.1f}" for each in moves), f"{time:.2f} µs"]) + " |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("counted")
    parser.add_argument("compiler")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    lines = counted(arguments.counted)
    found = figures_of(lines)
    key = f"{arguments.compiler}, {os.confstr('CS_GNU_LIBC_VERSION')}"
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if arguments.update:
        figures[key] = found
        FIGURES.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    if arguments.table:
        print(table(lines))
    faults = needless(lines) + (grown(found, figures[key]) if key in figures else [])
    if key not in figures:
        print(f"{FIGURES.name} has no figures of {key}, so growth is not looked for; --update writes them down")
    print("\n".join(faults) or f"{len(found)} counts, none of which has grown; no line moves for nothing")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
