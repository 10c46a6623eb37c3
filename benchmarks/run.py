#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs all benchmarks side by side and prints one table of medians and ratios. README.md has the method."""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
PICTURES = HERE.parent / "docs" / "pictures"
README = HERE.parent / "README.md"
sys.path.insert(0, str(HERE / "support" / "python"))

import draw  # noqa: E402
import machine  # noqa: E402
import readme_table  # noqa: E402
import requirements  # noqa: E402
import results as result_file  # noqa: E402
import table  # noqa: E402
from measure import SKIPPED  # noqa: E402

# In the order of the table; a folder that is not named here comes last.
QUESTIONS = ("bulk", "round_trip", "modes", "map_scaling", "tiny_items", "blocks", "chunk_size", "even_work",
             "payload", "whole_process", "startup", "busy_loop", "deaths", "allocations", "idle", "parts", "compile")
RIVALS = ("procpool", "serial", "threads", "std_async", "asio", "tbb", "tbb_task_group", "message_queue", "xargs",
          "multiprocessing", "process_pool_executor", "pebble", "loky", "mpi4py")

# These count or compile: a second round would say the same.
ONCE = ("allocations", "idle", "compile")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build",
                        help="folder below which the programs bench_* were built (default: build)")
    parser.add_argument("--only", action="append", metavar="QUESTION", help="this question only; may be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything runs (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one short round that only shows that all programs work")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--pictures", action="store_true",
                        help="draw the pictures of docs/pictures and the README's table anew, from this run")
    parser.add_argument("--output", type=pathlib.Path, default=HERE.parent / "build" / "bench-results",
                        help="folder for <commit>-<machine>-<compiler>.json (default: build/bench-results)")
    arguments = parser.parse_args()
    if arguments.pictures and (arguments.quick or not set(draw.QUESTIONS) <= set(arguments.only or draw.QUESTIONS)):
        parser.error(f"--pictures needs more than a quick run, and all of {', '.join(draw.QUESTIONS)}")
    return arguments


def place(name, order):
    return (order.index(name) if name in order else len(order), name)


def order(program):
    question, rival, command = program
    return place(question, QUESTIONS), place(rival, RIVALS), command[0] == sys.executable


def find_programs(build, only):
    """[(question, rival, command)], those built from benchmarks/<question>/<rival>.cpp and those in Python."""
    programs = []
    for source in HERE.glob("*/*.*"):
        question, rival = source.parent.name, source.stem
        if question == "support" or (only and question not in only):
            continue
        if source.suffix == ".py":
            programs.append((question, rival, [sys.executable, "-B", str(source)]))
        elif source.suffix == ".cpp":
            built = sorted(build.rglob(f"bench_{question}_{rival}"), key=os.path.getmtime)
            if not built:
                sys.exit(f"{build} holds no program bench_{question}_{rival}: build the benchmarks first "
                         "(sh scripts/bench does), or say --build FOLDER")
            programs.append((question, rival, [str(built[-1])]))
    if not programs:
        sys.exit(f"no such question; there are {', '.join(sorted(QUESTIONS))}")
    return sorted(programs, key=order)


def schedule(programs, rounds):
    """Rival after rival within a question, round after round: what disturbs the machine for a while disturbs all."""
    return [program for number in range(rounds) for program in programs if number == 0 or program[0] not in ONCE]


def run(command, quick):
    """The measurements that a program printed, none if its rival is not installed; or None if it failed. Then, too, its
    own words are on standard error."""
    try:
        done = subprocess.run(command + ["--quick"] * quick, stdout=subprocess.PIPE, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        print(f"\n{' '.join(command)} did not end within 300 s", file=sys.stderr)
        return None
    if done.returncode == SKIPPED:
        return []
    if done.returncode != 0:
        print(f"\n{' '.join(command)} ended with status {done.returncode}", file=sys.stderr)
        return None
    return [json.loads(line) for line in done.stdout.splitlines()]


def show_progress(done, total, name):
    if not sys.stderr.isatty():
        return
    bar = "#" * (30 * done // total)
    line = f"[{bar:30}] {done}/{total} {name}" if done < total else ""
    print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def measure(plan, quick):
    """The measurements by (question, rival, case), the programs that failed, how often the machine was disturbed."""
    lines, failed, skipped, disturbed = {}, [], [], 0
    for number, (question, rival, command) in enumerate(plan):
        show_progress(number, len(plan), f"{question} {rival}")
        disturbed += not quick and machine.is_disturbed()
        measured = run(command, quick) if command not in failed + skipped else []
        if measured is None:
            failed.append(command)
        elif not measured:
            skipped.append(command)
        for line in measured or []:
            lines.setdefault((line["question"], line["rival"], line["case"]), []).append(line)
    show_progress(len(plan), len(plan), "")
    return {key: summary(of_all_rounds) for key, of_all_rounds in lines.items()}, failed, disturbed


def summary(lines):
    """The median over the rounds, of which each printed a median."""
    return {**lines[0], "value": statistics.median(line["value"] for line in lines),
            "runs": [line["runs"] for line in lines]}


def main():
    arguments = parse_arguments()
    programs = find_programs(arguments.build.resolve(), arguments.only)
    where = machine.describe(HERE.parent, pathlib.Path(programs[0][2][0]).parent)
    where["started"] = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    plan = schedule(programs, 1 if arguments.quick else arguments.rounds)
    where["started_programs"] = len(plan)
    results, failed, where["disturbed"] = measure(plan, arguments.quick)

    print(f"{where['processor']}, {where['cpus']} CPUs, Linux {where['kernel']}, {where['libc']}, {where['compiler']}, "
          f"Python {where['python']}, commit {where['commit']}\n")
    print(table.as_markdown(results) if arguments.markdown else table.as_text(results))
    print(requirements.as_text(requirements.verdicts(results, {program[0] for program in programs})))
    if arguments.quick:
        print("\nA quick run shows that the programs work; its figures mean nothing.")
    for remark in machine.remarks(where):
        print(f"\nNote: {remark}.")
    path = arguments.output / result_file.file_name(where, arguments.only or (), arguments.quick)
    result_file.write(results, where, path)
    print(f"\nAll runs are in {path}")
    if arguments.pictures:
        result_file.write(draw.shown(results), where, PICTURES / "results.json")
        draw.write(PICTURES / "results.json", PICTURES)
        readme_table.update(README, PICTURES / "results.json")
        print(f"The pictures in {PICTURES} and the table in {README} are of this run")
    for command in failed:
        print(f"FAILED: {' '.join(command)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
