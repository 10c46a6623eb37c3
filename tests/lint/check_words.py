#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Words that do not belong into the sources: the place where they were written, hosts of packages, unfinished work."""

import re

import project

# Written so that this file does not hold what it looks for.
FORBIDDEN = (
    (re.compile(r"(?<![\w.$}*)])/(root|home/[\w.-]+|work|Users/[\w.-]+)(?=/|\b)(?!-)"), "a path of one machine"),
    (re.compile(r"\b(pypi|pythonhosted|npmjs|rubygems|crates|conan|anaconda|goproxy)[.](org|io|com)\b"),
     "a host of packages"),
    (re.compile(r"\b(deb|security|snapshot|archive)[.](debian|ubuntu)[.]\w+"), "a host of packages"),
    (re.compile(r"https?://(localhost|127[.]|10[.]|192[.]168[.])"), "an address of one machine"),
    (re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b|\bnot[ ]implemented\b|\bunimplemen[t]ed\b|#if[ ]0\b"),
     "unfinished work"),
    (re.compile(r"\bNOLINT(BEGIN|END)\b"), "a check that is switched off for more than a line"),
    (re.compile(r"\bsub-?agents?\b|\b(this|in[ ]a|the)[ ]session\b", re.IGNORECASE), "how it came to be"),
)
EVERY_FILE = ("*.hpp", "*.cpp", "*.py", "*.sh", "*.md", "*.cmake", "*.in", "*.json", "*.txt", ".clang-*")


def problems(tree):
    scripts = tree.files("*", below="scripts") + tree.files("*", below=".ci") + tree.files("breaks_each_check")
    for path in sorted(set(tree.files(*EVERY_FILE) + scripts)):
        for number, line in tree.lines(path):
            for pattern, what in FORBIDDEN:
                if found := pattern.search(line):
                    yield f"{tree.name(path)}:{number}: {what}: {found[0]}"


if __name__ == "__main__":
    project.run(problems)
