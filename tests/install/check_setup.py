#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs scripts/setup on machines that are only a folder of commands, and looks at what it says, asks for and ends with.

A machine has the tools of a shell, a compiler that finds every header, and of the rest what the test gives it. Its
apt-get writes down what it is asked to install.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHELL_TOOLS = ("sh", "sed", "awk", "env", "find", "dirname", "wc", "cat")
ALL = ("g++", "ninja", "ccache", "clang-format-16", "clang-tidy-16", "valgrind")
PRESENT = "exit 0"


class Machine:
    def __init__(self, folder, user=1000, without=(), **commands):
        self.bin = pathlib.Path(tempfile.mkdtemp(dir=folder))
        self.log = self.bin / "log"
        for tool in SHELL_TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        (self.bin / "runtime/lib").mkdir(parents=True)
        (self.bin / "runtime/lib/libclang_rt.tsan.a").touch()
        scripts = {name: PRESENT for name in ALL}
        scripts |= {"c++": PRESENT, "cmake": "echo cmake version 3.25.1", "id": f"echo {user}", "python3": PRESENT,
                    "clang++-16": f"echo {self.bin}/runtime"}
        scripts |= {name.replace("_", "-"): body for name, body in commands.items()}
        for name in scripts.keys() - set(without):
            (self.bin / name).write_text(f"#!/bin/sh\n{scripts[name]}\n")
            (self.bin / name).chmod(0o755)

    def setup(self, mode):
        """The status that scripts/setup ends with, and what it says."""
        done = subprocess.run(["sh", str(ROOT / "scripts/setup"), mode], stdout=subprocess.PIPE, text=True, timeout=60,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              env={"PATH": str(self.bin), "LOG": str(self.log)})
        return done.returncode, done.stdout

    def asked(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


APT = 'echo "$*" >>"$LOG"'
SUDO = '"$@"'


def problems(folder):
    def check(holds, words):
        if not holds:
            yield words

    status, said = Machine(folder).setup("test")
    yield from check((status, said) == (0, ""), f"on a machine that has all it says {said!r} and ends with {status}")

    for name, old, words in (("cmake", "echo cmake version 3.22.1", "CMake 3.25 or later"),
                             ("python3", "exit 1", "Python 3.9 or later")):
        status, said = Machine(folder, **{name: old}).setup("test")
        yield from check(status == 1 and words in said and "not a Debian system" in said,
                         f"an old {name} on another system: {status}, {said!r}")

    status, said = Machine(folder, without=["ninja"], apt_get=APT).setup("demo")
    yield from check(status == 1 and said.endswith("try again:  apt-get install ninja-build\n"),
                     f"without root and sudo: {status}, {said!r}")

    # A rival that is not there is left out of the benchmarks.
    no_pebble = 'case "$*" in *pebble*) exit 1 ;; esac'
    status, said = Machine(folder, python3=no_pebble, apt_get="exit 100", sudo=SUDO).setup("bench")
    yield from check(status == 0, f"without pebble: {status}, {said!r}")
    status, said = Machine(folder, without=["ninja"], python3=no_pebble).setup("bench")
    yield from check(status == 1 and "Ninja" in said, f"without pebble and Ninja: {status}, {said!r}")

    # What the build goes without is no reason to stop it.
    for cannot in ({}, {"apt_get": APT}, {"apt_get": "exit 100", "sudo": SUDO}):
        status, said = Machine(folder, without=["ccache"], **cannot).setup("test")
        yield from check(status == 0, f"without ccache, with {cannot}: {status}, {said!r}")

    machine = Machine(folder, without=["ninja"], sudo=SUDO, apt_get=APT)
    status, said = machine.setup("demo")
    yield from check(status == 1 and "Still missing after the installation: Ninja" in said,
                     f"an installation that brings nothing: {status}, {said!r}")
    yield from check([line.split()[0] for line in machine.asked()] == ["-qq", "-s", "-qq"]
                     and machine.asked()[-1].endswith(" ninja-build"), f"apt-get was asked {machine.asked()}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        found = list(problems(folder))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
