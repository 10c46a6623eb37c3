#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The sources are laid out as clang-format-16 lays them out (`clang-format-16 -i FILE` does it)."""

import re
import shutil
import subprocess

import project

TOOL = "clang-format-16"


def problems(tree):
    if not shutil.which(TOOL):
        yield f"{TOOL} is not installed; `sh scripts/setup` installs it"
        return
    sources = [tree.name(path) for path in tree.files("*.hpp", "*.cpp")]
    done = subprocess.run([TOOL, "--dry-run", "--style=file", *sources], cwd=tree.root, capture_output=True, text=True)
    places = re.findall(r"^(.+?):(\d+):\d+: (?:warning|error): ", done.stderr, re.MULTILINE)
    for file in dict.fromkeys(file for file, _ in places):
        lines = dict.fromkeys(line for other, line in places if other == file)
        yield f"{file}:{next(iter(lines))}: not as {TOOL} lays it out, in {len(lines)} lines"
    if done.returncode != 0 and not places:
        yield done.stderr


if __name__ == "__main__":
    project.run(problems)
