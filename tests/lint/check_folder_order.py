#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""A header includes only its own folder or those before it in one written order.

`procpool/F.hpp`, the header of a whole API folder, belongs to F; only `procpool/procpool.hpp` may include all of them.
"""

import re

import project

ORDER = ("error", "detail/os", "detail/memory", "detail/wait", "sync", "serial", "process", "shared", "ipc",
         "detail/ring", "detail/result", "task", "detail/task", "future", "detail/pool", "pool", "mpi")
EVERYTHING = "procpool.hpp"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path):
    """The folder of a header, given below include/procpool."""
    if path == EVERYTHING:
        return EVERYTHING
    return path.rpartition("/")[0] or path.removesuffix(".hpp")


def problems(tree):
    for path in tree.headers():
        own = tree.name(path).removeprefix("include/procpool/")
        folder = folder_of(own)
        if folder != EVERYTHING and folder not in ORDER:
            yield f"{tree.name(path)}:1: the folder {folder} has no place in the order of the folders"
            continue
        for number, line in tree.lines(path):
            include = INCLUDE.match(line)
            if not include:
                continue
            where = f"{tree.name(path)}:{number}:"
            if include[1] == '"':
                yield f'{where} "{include[2]}": headers of the library are included as <procpool/…>'
            if not include[2].startswith("procpool/"):
                continue
            other = include[2].removeprefix("procpool/")
            if not (tree.root / "include/procpool" / other).is_file():
                yield f"{where} there is no include/procpool/{other}"
            elif other == EVERYTHING:
                yield f"{where} no header may include everything"
            elif folder != EVERYTHING and folder_of(other) in ORDER[ORDER.index(folder) + 1:]:
                yield f"{where} {folder} comes before {folder_of(other)}, so it may not include <procpool/{other}>"


if __name__ == "__main__":
    project.run(problems)
