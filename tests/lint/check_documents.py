#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The documents speak of files and of tests that exist.

Every link to a file, every `<procpool/…>` and every path in backquotes that begins with a folder of the project must
lead somewhere; `*`, `{a,b}` and words in capitals or <brackets> stand for anything. In docs/behaviours.md the last
column of each row of a table names the tests that hold the behaviour: test cases in quotation marks or backquotes, or
test files.
"""

import re

import project

LINK = re.compile(r"\]\(([^)#\s]+)")
HEADER = re.compile(r"<(procpool/[^>\s]+)>")
PATH = re.compile(r"`(?:sh )?((?:include|tests|examples|benchmarks|scripts|docs|cmake|\.ci)/[^`\s]*)")
REFERENCE = re.compile(r"[“\"]([^”\"]+)[”\"]|`([^`]+)`")
RULE = re.compile(r"^\|[\s:|-]+\|?$")


def exists(folder, path):
    path = re.sub(r"<[^>]*>|…|\.\.\.|\{[^}]*\}|\b[A-Z]{3,}\b", "*", path).rstrip("/.,:")
    return any(folder.glob(path)) if "*" in path else (folder / path).exists()


def dead_paths(tree, path):
    in_code = False
    for number, line in tree.lines(path):
        in_code ^= line.lstrip().startswith("```")
        for target in LINK.findall("" if in_code else re.sub(r"`[^`]*`", "", line)):
            if "://" not in target and not target.startswith("mailto:") and not exists(path.parent, target):
                yield f"{tree.name(path)}:{number}: the link leads nowhere: {target}"
        for target in PATH.findall(line):
            if not exists(tree.root, target):
                yield f"{tree.name(path)}:{number}: there is no {target}"
        for target in HEADER.findall(line):
            if not exists(tree.root / "include", target):
                yield f"{tree.name(path)}:{number}: there is no header <{target}>"


def untested_behaviours(tree):
    path = tree.root / "docs/behaviours.md"
    if not path.exists():
        yield "docs/behaviours.md:1: it does not exist"
        return
    cases = set(tree.test_case_names())
    files = {tree.name(file) for file in tree.files("*", below="tests") + tree.files("*_test.*", below="examples")}
    files |= {file.removeprefix("tests/") for file in files}
    lines = tree.lines(path)
    rows = 0
    for (number, line), (_, following) in zip(lines, lines[1:] + [(0, "")]):
        if not line.startswith("|") or RULE.match(line) or RULE.match(following):
            continue
        rows += 1
        cell = re.split(r"(?<!\\)\|", line.rstrip().removesuffix("|"))[-1]
        named = [quoted or code for quoted, code in REFERENCE.findall(cell)]
        if not named:
            yield f"{tree.name(path)}:{number}: no test is named for this behaviour"
        for name in named:
            if name not in cases and name not in files:
                yield f"{tree.name(path)}:{number}: there is no test \"{name}\""
    if rows == 0:
        yield f"{tree.name(path)}:1: it has no table of behaviours"


def problems(tree):
    for path in tree.files("*.md"):
        yield from dead_paths(tree, path)
    yield from untested_behaviours(tree)


if __name__ == "__main__":
    project.run(problems)
