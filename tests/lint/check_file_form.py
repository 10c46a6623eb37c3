#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""How each file begins, how long it is, and how its lines end.

A header: licence, `#pragma once`, a sentence of purpose, at most 350 lines; what is shared says
by whom, and what a crash leaves behind. An example: at most 80 lines. The library defines no macro, and a
standard header that is slow to compile stands in it only with its reason.
"""

import re

import project

LICENCE = "SPDX-License-Identifier: BSL-1.0"
LONGEST_HEADER = 350
LONGEST_EXAMPLE = 80
LONGEST_LINE = 120
SLOW_HEADERS = re.compile(r"#\s*include\s*<(iostream|regex|format|ranges|future|random|fstream|sstream|filesystem)>"
                          r"(?!\s*//)")

LICENSED = ("*.hpp", "*.cpp", "*.py", "*.sh", "*.cmake", "*.cmake.in", "CMakeLists.txt", ".clang-format", ".clang-tidy")


def header_form(name, lines):
    first = [line for _, line in lines[:5]] + [""] * 5
    if first[0] != f"// {LICENCE}" or first[1] != "#pragma once" or first[2] != "" or first[3] != "/// @file":
        yield f"{name}:1: a header begins with the licence, `#pragma once`, an empty line and `/// @file`"
    if not re.match(r"/// \S", first[4]):
        yield f"{name}:5: a sentence of purpose follows `/// @file`"
    if len(lines) > LONGEST_HEADER:
        yield f"{name}:{len(lines)}: a header has at most {LONGEST_HEADER} lines"
    shared, progress, crash = (any(line.startswith(f"/// {word:11}") for _, line in lines)
                               for word in ("Shared by", "Progress", "Crash"))
    if (shared or progress or crash) and not (shared and crash):
        yield f"{name}:1: what is shared says both who shares it (Shared by) and what a death leaves behind (Crash)"
    for number, line in lines:
        if re.match(r"\s*#\s*define\b", line):
            yield f"{name}:{number}: the library defines no macro"
        if slow := SLOW_HEADERS.search(line):
            yield f"{name}:{number}: <{slow[1]}> is slow to compile: do without it, or say why behind it"


def problems(tree):
    for path in tree.headers():
        yield from header_form(tree.name(path), tree.lines(path))
    for path in tree.files("*.cpp", below="examples"):
        if len(tree.lines(path)) > LONGEST_EXAMPLE:
            yield f"{tree.name(path)}:{len(tree.lines(path))}: an example has at most {LONGEST_EXAMPLE} lines"
    scripts = tree.files("*", below="scripts") + tree.files("*", below=".ci") + tree.files("breaks_each_check")
    for path in tree.files(*LICENSED) + scripts:
        lines = tree.lines(path)
        if not any(LICENCE in line for _, line in lines[:2]):
            yield f"{tree.name(path)}:1: it does not name its licence"
        for number, line in lines:
            if len(line) > LONGEST_LINE:
                yield f"{tree.name(path)}:{number}: the line has {len(line)} characters, of {LONGEST_LINE} at most"
            if line != line.rstrip() or "\t" in line:
                yield f"{tree.name(path)}:{number}: a tab, or blanks at the end of the line"
        if lines and not tree.text(path).endswith("\n"):
            yield f"{tree.name(path)}:{len(lines)}: the last line does not end"


if __name__ == "__main__":
    project.run(problems)
