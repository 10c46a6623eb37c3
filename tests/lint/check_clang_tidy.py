#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""clang-tidy-16 has nothing to say, by .clang-tidy, of the headers, the examples and the support of the tests.

    check_clang_tidy.py [ROOT [FILE…]]      FILE: these alone, in place of all
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import project

TOOL = "clang-tidy-16"


def everything(tree, folder):
    """A file that includes each header, and the programs that show what templates become."""
    every_header = pathlib.Path(folder) / "every_header.cpp"
    includes = (f"#include <{header.relative_to(tree.root / 'include').as_posix()}>\n" for header in tree.headers())
    every_header.write_text("".join(includes))
    # The heaviest first. main.cpp is Catch2's own code.
    support = [path for path in tree.files("*.cpp", below="tests/support") if path.name != "main.cpp"]
    return [every_header] + tree.files("*.cpp", below="examples") + support


def complaints(tree, source):
    command = [TOOL, "--quiet", f"--config-file={tree.root / '.clang-tidy'}", str(source), "--", "-std=c++20",
               "-pthread", f"-I{tree.root / 'include'}", f"-I{tree.root / 'tests'}"]
    done = subprocess.run(command, cwd=tree.root, capture_output=True, text=True)
    found = re.findall(r"^(.+?):(\d+):\d+: (?:warning|error): (.*)$", done.stdout, re.MULTILINE)
    lines = [f"{os.path.relpath(path, tree.root)}:{number}: {text.replace(',-warnings-as-errors', '')}"
             for path, number, text in found]
    if done.returncode != 0 and not lines:
        lines = [f"{tree.name(source)}:1: {TOOL} broke off: {(done.stderr or done.stdout)[:500]}"]
    return lines


def problems(tree):
    if not shutil.which(TOOL):
        yield f"{TOOL} is not installed; `sh scripts/setup` installs it"
        return
    with tempfile.TemporaryDirectory() as folder:
        sources = [tree.root / name for name in sys.argv[2:]] or everything(tree, folder)
        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            lists = threads.map(lambda source: complaints(tree, source), sources)
            yield from dict.fromkeys(line for lines in lists for line in lines)


if __name__ == "__main__":
    project.run(problems)
