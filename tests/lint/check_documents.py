#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The documents speak of files and of tests that exist.

Every link to a file, every `<procpool/…>` and every path in backquotes that begins with a folder of the project must
lead somewhere; `*`, `{a,b}` and words in capitals or <brackets> stand for anything. In docs/behaviours.md and
docs/failure.md the last column of each row of a table names the tests that hold the behaviour: a test file in
backquotes, and behind it, in quotation marks, the test cases of that file; or it says, behind "None:", why there can
be none.
"""

import re

import project

LINK = re.compile(r"\]\(([^)#\s]+)")
HEADER = re.compile(r"<(procpool/[^>\s]+)>")
PATH = re.compile(r"`(?:sh )?((?:include|tests|examples|benchmarks|scripts|docs|cmake|\.ci)/[^`\s]*)")
REFERENCE = re.compile(r"[“\"]([^”\"]+)[”\"]|`([^`]+)`")
NO_TEST = re.compile(r"None:(.*)")
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


def rows_of_tables(lines):
    """(number, cells) of each row that is neither the head of a table nor the rule below it."""
    for (number, line), (_, following) in zip(lines, lines[1:] + [(0, "")]):
        if line.startswith("|") and not RULE.match(line) and not RULE.match(following):
            yield number, re.split(r"(?<!\\)\|", line.rstrip().removesuffix("|"))


def wrong_tests(cell, cases, files):
    """What is wrong with the last cell of a row, which names tests."""
    if reason := NO_TEST.match(cell):
        if len(reason[1].split()) < 3:
            yield "no test is named, nor why there is none"
        return
    named = REFERENCE.findall(cell)
    if not named:
        yield "no test is named for this behaviour"
    file, needs_case = "", False
    for case, path in named + [("", "")]:
        if case and case not in cases.get(file, ()):
            yield f"there is no test \"{case}\" in {file or 'a file that is not named'}"
        if not case and needs_case:
            yield f"no test case of {file} is named"
        if path and path not in files:
            yield f"there is no file of tests {path}"
        file, needs_case = (file, False) if case else (path, path.endswith("_test.cpp"))


def untested_behaviours(tree, document):
    path = tree.root / document
    if not path.exists():
        yield f"{document}:1: it does not exist"
        return
    cases = {}
    for case, file in tree.test_case_names().items():
        cases.setdefault(file, set()).add(case)
    files = {tree.name(file) for file in tree.files("*", below="tests") + tree.files("*_test.*", below="examples")}
    rows = list(rows_of_tables(tree.lines(path)))
    for number, cells in rows:
        for wrong in wrong_tests(cells[-1].strip(), cases, files):
            yield f"{tree.name(path)}:{number}: {wrong}"
    if not rows:
        yield f"{tree.name(path)}:1: it has no table of behaviours"


def problems(tree):
    for path in tree.files("*.md"):
        yield from dead_paths(tree, path)
    for document in ("docs/behaviours.md", "docs/failure.md"):
        yield from untested_behaviours(tree, document)


if __name__ == "__main__":
    project.run(problems)
