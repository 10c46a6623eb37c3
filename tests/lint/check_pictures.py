#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The pictures of the documents are what benchmarks/draw.py makes of docs/pictures/results.json, and can be read; the
README's table of small tasks has those figures.

Each is well-formed, says in words what it shows, suits light and dark, and brings no font. Everything lies within the
picture, and no text lies on another text or on a bar; the room that a text takes is guessed. That holds, too, for runs
in which a rival is missing or figures are a thousand times larger or smaller.
"""

import importlib
import itertools
import json
import pathlib
import re
import sys
import tempfile
import xml.etree.ElementTree

import project

PICTURES = "docs/pictures"
RESULTS = f"{PICTURES}/results.json"
SVG = "{http://www.w3.org/2000/svg}"


class Box:
    def __init__(self, what, left, top, right, bottom):
        self.what, self.left, self.top, self.right, self.bottom = what, left, top, right, bottom

    def lies_on(self, other):
        return (self.left < other.right and other.left < self.right
                and self.top < other.bottom and other.top < self.bottom)

    def lies_within(self, other):
        return (other.left <= self.left and self.right <= other.right
                and other.top <= self.top and self.bottom <= other.bottom)


def box_of_text(element):
    size, x, y = (float(element.get(name)) for name in ("font-size", "x", "y"))
    width = (0.58 if "strong" in element.get("class") else 0.52) * size * len(element.text or "")
    left = x - width * ("start", "middle", "end").index(element.get("text-anchor")) / 2
    return Box(f'"{element.text}"', left, y - 0.8 * size, left + width, y + 0.2 * size)


def box_of_path(element):
    xs, ys = [], []
    for command, numbers in re.findall(r"([MHVQ])([^MHVQZ]*)", element.get("d")):
        numbers = [float(number) for number in numbers.split()]
        xs += [] if command == "V" else numbers if command == "H" else numbers[::2]
        ys += [] if command == "H" else numbers if command == "V" else numbers[1::2]
    return Box(f"a bar of {element.get('class')}", min(xs), min(ys), max(xs), max(ys))


def box_of_line(element):
    x1, y1, x2, y2 = (float(element.get(name)) for name in ("x1", "y1", "x2", "y2"))
    return Box("a line", min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def wrong_layout(text):
    try:
        root = xml.etree.ElementTree.fromstring(text)
    except xml.etree.ElementTree.ParseError as error:
        yield f"it is not well-formed: {error}"
        return
    if not all(root.findtext(f"{SVG}{name}") for name in ("title", "desc")):
        yield "it does not say in words what it shows"
    if "prefers-color-scheme: dark" not in text or re.search(r"@font-face|url\(|href", text):
        yield "it does not suit light and dark by itself"
    paper = Box("the picture", *map(float, root.get("viewBox", "0 0 0 0").split()))
    solid = [box_of_text(element) for element in root.iter(f"{SVG}text")]
    solid += [box_of_path(element) for element in root.iter(f"{SVG}path")]
    for box in solid + [box_of_line(element) for element in root.iter(f"{SVG}line")]:
        if not box.lies_within(paper):
            yield f"{box.what} reaches out of the picture"
    for one, other in itertools.combinations(solid, 2):
        if one.lies_on(other):
            yield f"{one.what} lies on {other.what}"


def variants(run):
    """(what is different, the run) of runs that are not as whole or not as fast as that one."""
    def changed(keep=lambda line: True, times=1.0):
        return {"machine": run["machine"], "results": [
            {**line, "median": line["median"] * (times if line["unit"] == "ns" else 1)}
            for line in run["results"] if keep(line)]}
    always = {"procpool", "serial"}
    for rival in sorted({line["rival"] for line in run["results"]} - always):
        yield f"without {rival}", changed(lambda line, rival=rival: line["rival"] != rival)
    yield "of procpool alone", changed(lambda line: line["rival"] in always)
    for times in (1000, 0.001):
        yield f"with {times} times the figures", changed(times=times)


def modules_of(tree):
    """benchmarks/draw.py and the README's table of that tree, as modules."""
    sys.path.insert(0, str(tree.root / "benchmarks"))
    return importlib.import_module("draw"), importlib.import_module("readme_table")


def wrong_table(tree, readme_table):
    readme = tree.text("README.md")
    try:
        if readme_table.updated(readme, readme_table.results_of(tree.root / RESULTS)) != readme:
            yield f"README.md:1: its table of small tasks is not that of {RESULTS}"
    except ValueError as error:
        yield f"README.md:1: {error}"


def problems(tree):
    if not (tree.root / RESULTS).exists():
        yield f"{RESULTS}:1: it does not exist"
        return
    draw, readme_table = modules_of(tree)
    yield from wrong_table(tree, readme_table)
    drawn = draw.draw(tree.root / RESULTS)
    for name in draw.PICTURES:
        if name not in drawn:
            yield f"{RESULTS}:1: it has no figures of procpool for {name}"
        elif drawn[name] != tree.text(f"{PICTURES}/{name}.svg"):
            yield f"{PICTURES}/{name}.svg:1: it is not what benchmarks/draw.py makes of {RESULTS}; draw it anew"
    for path in tree.files("*.svg", below="docs"):
        if path.stem not in draw.PICTURES:
            yield f"{tree.name(path)}:1: nothing draws it"
        for wrong in wrong_layout(tree.text(path)):
            yield f"{tree.name(path)}:1: {wrong}"

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "results.json"
        for difference, run in variants(json.loads(tree.text(RESULTS))):
            path.write_text(json.dumps(run), encoding="utf-8")
            pictures = draw.draw(path)
            for name in drawn.keys() - pictures.keys():
                yield f"benchmarks/draw.py:1: {name} of a run {difference} is not drawn"
            for name, text in pictures.items():
                for wrong in wrong_layout(text):
                    yield f"benchmarks/draw.py:1: {name} of a run {difference}: {wrong}"


if __name__ == "__main__":
    project.run(problems)
