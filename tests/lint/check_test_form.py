#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Tests are named by behaviour, mirror the tree, are all switched on, and none is decided by a sleep.

What a test file has at namespace scope has a name that no other file of its folder has: some of them are compiled as
one, and which ones changes with each new file.

A sleep that decides nothing (a task that is to take for ever, a pause between two looks at a condition) says so in a
comment `// sleeps: REASON` on its line or the line above.
"""

import re

import project

SLEEP = re.compile(r"\b(sleep[_]for|sleep[_]until|usleep|nanosleep|sleep)\s*\(|^\s*sleep\s+[\d.]")
EXCUSE = re.compile(r"(//|#)\s*sleeps: \S")
SWITCHED_OFF = re.compile(r'\[\.|\[!(mayfail|shouldfail|hide)\]|\[hide\]|\bSKIP\(|\bDISABLED TRUE|\bWILL_FAIL\b')
A_SENTENCE = re.compile(r"^\S+( \S+)+$")
COMPILED_TOGETHER = ("contract", "fault", "stress", "model")
SPECIFIER = r"(?:(?:inline|constexpr|const|static|volatile|\[\[\w+\]\]) )*"
DEFINITION = re.compile(
    rf"{SPECIFIER}(?:(?:struct|class|enum class|enum|concept)(?: alignas\(.*?\))? (?P<type>\w+)|using (?P<alias>\w+) =|"
    r"(?!return|using|template|namespace|struct|class)(?:[\w:]+(?:<.*?>)?[ *&]+)+(?P<value>\w+) ?[({=;\[])")


def names_at_namespace_scope(tree, path):
    """Each with its line's number."""
    is_inside = False
    for number, line in tree.lines(path):
        if re.match(r"namespace\b.*\{$", line):
            is_inside = True
        elif line.startswith("}  // namespace"):
            is_inside = False
        elif is_inside and (match := DEFINITION.match(line)):
            yield number, match["type"] or match["alias"] or match["value"]


def problems(tree):
    sources = tree.files("*.cpp", "*.hpp", "*.py", "*.sh", "CMakeLists.txt", below="tests")
    sources = [path for path in sources if "lint" not in path.parts] + tree.files("*_test.*", below="examples")
    for path in sources:
        before = ""
        for number, line in tree.lines(path):
            if SLEEP.search(line.partition("// ")[0]) and not EXCUSE.search(line) and not EXCUSE.search(before):
                yield f"{tree.name(path)}:{number}: a sleep; wait for a condition, or say in `// sleeps: …` why not"
            if SWITCHED_OFF.search(line):
                yield f"{tree.name(path)}:{number}: a test that is switched off or may fail"
            before = line

    seen = {}
    for path in tree.files("*_test.cpp", below="tests"):
        found = [match for match in project.TEST_CASE.finditer(tree.text(path))]
        if not found:
            yield f"{tree.name(path)}:1: it holds no test case"
        for match in found:
            name = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match[1]))
            number = tree.text(path).count("\n", 0, match.start()) + 1
            if not A_SENTENCE.match(name):
                yield f"{tree.name(path)}:{number}: \"{name}\" does not say how something behaves"
            if (path.parent, name) in seen:
                yield f"{tree.name(path)}:{number}: \"{name}\" is the name of a test in {seen[path.parent, name]} too"
            seen[path.parent, name] = tree.name(path)

    for path in tree.files("*.cpp", below="tests/unit"):
        folder = path.parent.relative_to(tree.root / "tests/unit")
        if not (tree.root / "include/procpool" / folder).is_dir():
            yield f"{tree.name(path)}:1: there is no folder include/procpool/{folder} that it could mirror"
        if not path.name.endswith("_test.cpp"):
            yield f"{tree.name(path)}:1: no test program takes it: its name does not end in _test.cpp"
    for kind in COMPILED_TOGETHER:
        files_of = {}
        for path in tree.files("*.cpp", below=f"tests/{kind}"):
            for number, name in names_at_namespace_scope(tree, path):
                if files_of.setdefault(name, path) != path:
                    yield f"{tree.name(path)}:{number}: {name} is a name in {tree.name(files_of[name])} too"
            if not path.name.endswith("_test.cpp") or path.parent.name != kind:
                yield f"{tree.name(path)}:1: no test program takes it: it is not tests/{kind}/NAME_test.cpp"


if __name__ == "__main__":
    project.run(problems)
