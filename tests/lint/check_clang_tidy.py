#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""clang-tidy-16 has nothing to say, by .clang-tidy, of the headers, the examples and the support of the tests.

    check_clang_tidy.py [ROOT [FILE…]]      FILE: these alone, in place of all
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import project

TOOL = "clang-tidy-16"
LOOKED_AT = "/(include/procpool|examples|tests/support)/"
INCLUDE = re.compile(r"\s*#\s*include\b")


def take(path):
    return f'#include "{path}"  // NOLINT(bugprone-suspicious-include): that it is no header is meant'


def everything(tree):
    """One program of all there is to look at, because most of the time goes into the standard headers.

    All includes stand first, so that they do nothing where an example repeats them: each example is put into a
    namespace, for each has its `main`. The examples show what the templates become. main.cpp is Catch2's own code.
    """
    headers = [header.relative_to(tree.root / "include").as_posix() for header in tree.headers()]
    support = [path for path in tree.files("*.cpp", below="tests/support") if path.parent.name == "support"]
    examples = tree.files("*.cpp", below="examples")
    used = [line for path in examples for line in tree.text(path).splitlines() if INCLUDE.match(line)]
    return "\n".join([
        "#define CATCH_CONFIG_EXTERNAL_INTERFACES",  # listener.cpp wants it before the first include of Catch2
        *dict.fromkeys([f"#include <{header}>" for header in headers] + used),
        *(take(path) for path in support if path.name != "main.cpp"),
        *(f"namespace example_{path.stem} {{\n{take(path)}\n}}" for path in examples), ""])


def complaints(tree, source):
    # The compilers' own warnings are for those who build; -w keeps them from being counted, and they are many.
    command = [TOOL, "--quiet", f"--config-file={tree.root / '.clang-tidy'}", f"--header-filter={LOOKED_AT}",
               str(source), "--", "-w", "-std=c++20", "-pthread", f"-I{tree.root / 'include'}",
               f"-I{tree.root / 'tests'}"]
    done = subprocess.run(command, cwd=tree.root, capture_output=True, text=True)
    found = re.findall(r"^(.+?):(\d+):\d+: (?:warning|error): (.*)$", done.stdout, re.MULTILINE)
    lines = [f"{os.path.relpath(path, tree.root)}:{number}: {text.replace(',-warnings-as-errors', '')}"
             for path, number, text in found]
    if done.returncode != 0 and not found:
        lines = [f"{source}:1: {TOOL} broke off: {(done.stderr or done.stdout)[:500]}"]
    return lines


def problems(tree):
    if not shutil.which(TOOL):
        yield f"{TOOL} is not installed; `sh scripts/setup` installs it"
        return
    if sys.argv[2:]:
        for name in sys.argv[2:]:
            yield from complaints(tree, tree.root / name)
        return
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "everything.cpp"
        program.write_text(everything(tree), encoding="utf-8")
        yield from dict.fromkeys(complaints(tree, program))


if __name__ == "__main__":
    project.run(problems)
