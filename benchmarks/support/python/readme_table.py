# SPDX-License-Identifier: BSL-1.0
"""The table of small tasks in the README, between two marks of its own."""

import math

import results as result_file
from names import kind, medians, name_of, place
from table import quantity

BEGIN = "<!-- from docs/pictures/results.json -->\n"
END = "<!-- until here -->\n"
COLUMNS = (("a task in bulk", "bulk", "a task"), ("there and back, hot", "round_trip", "hot"),
           ("there and back, asleep", "round_trip", "asleep"))


def table(results):
    columns = [medians(results, question, case) for _, question, case in COLUMNS]

    def order(rival):
        return place(rival, next((times[rival] for times in columns if rival in times), math.inf))

    def row(rival):
        cells = [name_of(rival)] + [quantity(times[rival], "ns") if rival in times else "" for times in columns]
        return [f"**{cell}**" for cell in cells] if kind(rival) == "own" else cells

    head = [["", *(title for title, _, _ in COLUMNS)], ["---", *("---:" for _ in COLUMNS)]]
    rivals = sorted({rival for times in columns for rival in times}, key=order)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in head + [row(rival) for rival in rivals])


def updated(readme, results):
    """The README's text with the table of these results; ValueError if it has no place for it."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"it has no lines {BEGIN.strip()} and {END.strip()}, between which the table goes")
    return before + begin + table(results) + end + after


def results_of(path):
    return result_file.read(path)[0]


def update(readme, path):
    readme.write_text(updated(readme.read_text(encoding="utf-8"), results_of(path)), encoding="utf-8")
