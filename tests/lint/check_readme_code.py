#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Each block of C++ in the documentation stands, but for its indentation, in an example or a test that is compiled.

A block begins with ```cpp; its lines must follow one another somewhere, empty ones left out of account.
"""

import re

import project

BLOCK = re.compile(r"^[ \t]*```(?:cpp|c\+\+)\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)


def bare(text):
    """The lines without indentation and without the empty ones, as one text in which a run of lines can be sought."""
    return "\n" + "".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip())


def problems(tree):
    sources = tree.files("*.cpp", below="examples") + tree.files("*.cpp", "*.hpp", below="tests")
    compiled = [bare(tree.text(path)) for path in sources]
    if not (tree.root / "README.md").exists():
        yield "README.md:1: it does not exist"
    for path in tree.files("*.md"):
        text = tree.text(path)
        for block in BLOCK.finditer(text):
            if not any(bare(block[1]) in source for source in compiled):
                number = text.count("\n", 0, block.start()) + 1
                first = block[1].strip().partition("\n")[0]
                yield f"{tree.name(path)}:{number}: this code stands in no example and in no test: {first} …"
        if tree.name(path) == "README.md" and not BLOCK.search(text):
            yield "README.md:1: it shows no code"


if __name__ == "__main__":
    project.run(problems)
