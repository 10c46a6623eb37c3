#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Compiles every header of the library as if it stood alone: each must include whatever it uses.

    compile_headers_alone.py ROOT -- COMPILER ARGUMENT…

A header may be compiled behind another one and still be seen as if alone, if it includes that one itself, directly or
not: nothing is there then that it has not asked for. So all headers are put into the fewest chains of that kind
(Dilworth's theorem; found by matching each header to the one that follows it), and each chain into one source. That
takes a third of the time that a source for each header takes.
"""

import concurrent.futures
import os
import re
import subprocess
import sys

import project

INCLUDE = re.compile(r"^\s*#\s*include\s*<(procpool/[^>]+)>", re.MULTILINE)


def included_by(tree):
    """{header: all that it includes, directly or not}, headers named as in an #include."""
    folder = tree.root / "include"
    direct = {path.relative_to(folder).as_posix(): set(INCLUDE.findall(tree.text(path))) for path in tree.headers()}
    closure = {}

    def close(header):
        if header not in closure:
            closure[header] = set()  # ends a cycle; check_folder_order.py complains of it
            for each in direct.get(header, ()):
                closure[header] |= {each} | close(each)
        return closure[header]

    return {header: close(header) & direct.keys() for header in direct}


def chains(below):
    """Lists of headers, in which each includes those before it; as few as there can be."""
    above = {}  # header: the one that follows it in its chain

    def follow(header, tried):
        """Finds a header that `header` can follow, if need be by moving the one that follows that now."""
        for lower in sorted(below[header] - tried):
            tried.add(lower)
            if lower not in above or follow(above[lower], tried):
                above[lower] = header
                return True
        return False

    followers = {header for header in sorted(below) if follow(header, set())}
    for header in sorted(below.keys() - followers):
        chain = [header]
        while chain[-1] in above:
            chain.append(above[chain[-1]])
        yield chain


def compile_chain(command, chain):
    """What the compiler says of it; nothing if it is content."""
    source = "".join(f"#include <{header}>\n" for header in chain)
    done = subprocess.run([*command, "-fsyntax-only", "-x", "c++", "-"], input=source, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.stdout if done.returncode != 0 or done.stdout else ""


def main():
    root, separator, *command = sys.argv[1:]
    assert separator == "--" and command, __doc__
    tree = project.Project(root)
    command.append(f"-I{tree.root / 'include'}")
    found = list(chains(included_by(tree)))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        complaints = list(filter(None, threads.map(lambda chain: compile_chain(command, chain), found)))
    print("\n".join(complaints) or f"ok: {sum(map(len, found))} headers, {len(found)} compilations")
    return bool(complaints) or not found


if __name__ == "__main__":
    sys.exit(main())
