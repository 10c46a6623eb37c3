#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Draws the pictures of docs/performance.md from the file of a run: draw.py RESULTS.json FOLDER"""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "support" / "python"))

import chart  # noqa: E402
import results as result_file  # noqa: E402
from chart import Bar, Panel  # noqa: E402
from names import OWN, kind, medians, name_of, place  # noqa: E402
from table import quantity, three_digits  # noqa: E402

SERIAL = "serial"
PYTHON_SERIAL = "Python, serial"
PYTHON = ("multiprocessing", "process_pool_executor", "pebble", "loky", "mpi4py")

PAYLOAD = 64 << 20  # bytes


def bars(values, text, most_is_best):
    """procpool first, then its rivals from the best to the worst, then the limits."""
    rivals = sorted(values, key=lambda rival: place(rival, -values[rival] if most_is_best else values[rival]))
    return [Bar(name_of(rival), values[rival], text(values[rival]), kind(rival)) for rival in rivals]


def time_panel(results, question, case, title):
    """Times that are thousands of times each other, so on a logarithmic axis."""
    return Panel(title, bars(medians(results, question, case), lambda time: quantity(time, "ns"), False),
                 logarithmic=True, tick=lambda time: quantity(time, "ns"))


def rate(tasks):
    return f"{three_digits(tasks / 1e6)} M/s" if tasks >= 1e6 else f"{three_digits(tasks / 1e3)} k/s"


def throughput(results):
    tasks = {rival: 1e9 / time for rival, time in medians(results, "bulk", "a task").items()}
    return ("Small tasks a second", "x → x + 1 with a future, all submitted before the first get, two workers; "
            "longer is better", [Panel("", bars(tasks, rate, True))])


def round_trip(results):
    return ("One task there and back", "One worker, one task at a time; logarithmic; shorter is better",
            [time_panel(results, "round_trip", "hot", "one after the other"),
             time_panel(results, "round_trip", "asleep", "each after 20 ms of silence")])


def speedups(results, case):
    """{rival: how many times as fast as a plain loop in its language}"""
    times = medians(results, "map_scaling", f"2 workers: {case}")
    serial = {rival: times.get(PYTHON_SERIAL if rival in PYTHON else SERIAL) for rival in times}
    return {rival: serial[rival] / time for rival, time in times.items()
            if serial[rival] and rival not in (SERIAL, PYTHON_SERIAL)}


def map_scaling(results):
    panels = [Panel(f"items of {case}", bars(speedups(results, case), lambda times: f"{three_digits(times)}×", True),
                    mark=2, least_end=2) for case in ("0.1 µs", "1 µs", "10 µs", "1 ms")]
    return ("What two workers make of a map", "Speed-up over a plain loop in the same language; "
            "the line is the ideal; longer is better", panels)


def payload_panel(results, case):
    times = medians(results, "payload", f"64 MiB: {case}")
    memcpy = medians(results, "payload", "64 MiB: memcpy")
    shares = medians(results, "payload", f"share of memcpy's speed: {case}")

    def bar(label, share, time, kind_of_bar):
        text = f"{three_digits(100 * share)} %, {three_digits(PAYLOAD / time)} GB/s"
        return Bar(label, share, text, kind_of_bar)
    listed = [bar(name_of(rival), shares[rival], times[rival], kind(rival))
              for rival in sorted(shares, key=lambda rival: (rival != OWN, -shares[rival]))]
    return Panel(case, listed + [bar("memcpy", 1, memcpy[OWN], "limit")] if OWN in memcpy else listed)


def payload(results):
    cases = [case for case in ("read as a span", "borrowed", "there and back")
             if OWN in medians(results, "payload", f"64 MiB: {case}")]
    return ("A vector of 64 MiB", "The speed of an argument or a result that is read in place, and of a vector there "
            "and back by value, as a share of memcpy's; longer is better",
            [payload_panel(results, case) for case in cases])


def crash_recovery(results):
    work = [Bar(f"{rival}, {case}", time, quantity(time, "ns"), kind(rival))
            for case in ("no death", "30 deaths")
            for rival, time in medians(results, "deaths", f"999 tasks: {case}").items()]
    work.sort(key=lambda bar: bar.kind != "own")
    return ("What dying workers cost", "Two workers; shorter is better. multiprocessing.Pool would wait for ever, "
            "ProcessPoolExecutor and loky would lose every task",
            [Panel("999 tasks of half a millisecond, of which 30 end their worker", work),
             time_panel(results, "deaths", "to the replacement's first task",
                        "from a death to the first task of the replacement; logarithmic")])


PICTURES = {"throughput": (throughput, 1), "round_trip": (round_trip, 1), "map_scaling": (map_scaling, 2),
            "payload": (payload, 1), "crash_recovery": (crash_recovery, 1)}
QUESTIONS = ("bulk", "round_trip", "map_scaling", "payload", "deaths")


def shown(results):
    """What the pictures are drawn from, of the results of a run."""
    return {key: result for key, result in results.items() if key[0] in QUESTIONS}


def source(machine):
    """Where and with what it was measured, for the foot of a picture."""
    kernel = ".".join(machine["kernel"].split(".")[:2])
    busy = "; others used the processors meanwhile" if 10 * machine["disturbed"] > machine["started_programs"] else ""
    return (f"{machine['processor']}, {machine['cpus']} CPUs, Linux {kernel}, {machine['libc']}, "
            f"{result_file.compiler_name(machine['compiler']).replace('-', ' ').upper()}, Python {machine['python']}; "
            f"medians; commit {machine['commit']}{busy}")


def draw(path):
    """{name of a picture: its SVG}, of those pictures for which the run at `path` has a figure of procpool."""
    results, machine = result_file.read(path)
    drawn = {}
    for name, (picture, columns) in PICTURES.items():
        title, subtitle, panels = picture(results)
        if panels and all(any(bar.kind == "own" for bar in panel.bars) for panel in panels):
            drawn[name] = chart.svg(title, subtitle, panels, columns, source(machine))
    return drawn


def write(path, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in draw(path).items():
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))


if __name__ == "__main__":
    main()
