#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""`procpool/F.hpp` includes each header of the API folder F and nothing else; `procpool/procpool.hpp` each of those."""

import re

import project

# What a user asks for by name, since it costs a library or a port: header or folder below include/procpool.
BY_NAME_ONLY = {"mpi.hpp", "ipc/listener.hpp", "ipc/client.hpp"}

INCLUDE = re.compile(r"^\s*#\s*include\s*<procpool/([^>]+)>", re.MULTILINE)


def compare(tree, umbrella, wanted):
    name = f"include/procpool/{umbrella}"
    if not (tree.root / name).is_file():
        yield f"{name}:1: it does not exist, and should include {', '.join(sorted(wanted))}"
        return
    found = set(INCLUDE.findall(tree.text(name)))
    for header in sorted(wanted - found):
        yield f"{name}:1: it does not include <procpool/{header}>"
    for header in sorted(found - wanted):
        yield f"{name}:1: it includes <procpool/{header}>, which is not its to include"


def problems(tree):
    top = tree.root / "include/procpool"
    folders = sorted(folder for folder in top.iterdir() if folder.is_dir() and folder.name != "detail")
    umbrellas = set()
    for folder in folders:
        headers = {header.relative_to(top).as_posix() for header in folder.rglob("*.hpp")}
        if headers:
            umbrellas.add(f"{folder.name}.hpp")
            yield from compare(tree, f"{folder.name}.hpp", headers - BY_NAME_ONLY)
    yield from compare(tree, "procpool.hpp", umbrellas - BY_NAME_ONLY)
    for header in sorted(top.glob("*.hpp")):
        if header.name != "procpool.hpp" and header.name not in umbrellas:
            yield f"{tree.name(header)}:1: it stands for no folder"


if __name__ == "__main__":
    project.run(problems)
