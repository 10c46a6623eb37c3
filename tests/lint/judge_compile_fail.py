#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Compiles a program that must not compile, and reads what the compiler says as a user would.

    judge_compile_fail.py FILE -- COMPILER ARGUMENT…

The first line of FILE is `// expect: REGEX`: the first error must match it, and all that the compiler prints must fit
into 15 lines. `// expect: ok` is for a control: it must compile, without a word.
"""

import re
import subprocess
import sys

LONGEST = 15


def verdict(source, command):
    """What is wrong, or None."""
    with open(source, encoding="utf-8") as file:
        expected = re.match(r"// expect: (.+)$", file.readline().rstrip("\n"))
    if not expected:
        return "its first line is not `// expect: REGEX`"
    done = subprocess.run([*command, "-fsyntax-only", source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    output = done.stdout.rstrip("\n")
    if expected[1] == "ok":
        return None if done.returncode == 0 and not output else f"it is to compile without a word:\n{output}"
    if done.returncode == 0:
        return f"it compiles, and is to be refused with: {expected[1]}\n{output}"
    errors = re.findall(r"(?:^|: )(?:fatal )?error: (.*)$", output, re.MULTILINE)
    if not errors or not re.search(expected[1], errors[0]):
        return f"the first error does not match: {expected[1]}\n{output}"
    lines = output.count("\n") + 1
    if lines > LONGEST:
        return f"the compiler says it in {lines} lines, of {LONGEST} at most:\n{output}"
    return None


def main():
    source, separator, *command = sys.argv[1:]
    assert separator == "--" and command, __doc__
    wrong = verdict(source, command)
    print(f"{source}: {wrong}" if wrong else "ok")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
