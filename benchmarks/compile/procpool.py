# SPDX-License-Identifier: BSL-1.0
"""Compile: how long does a first program take from source to executable, at -O2?"""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

import os
import resource
import shutil
import subprocess
import tempfile

from measure import Options, Report

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build(compiler, executable):
    """Nanoseconds of CPU time to compile and link hello_pool; of one process after the other, so as a person waits."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([compiler, "-std=c++20", "-O2", "-pthread", "-I", ROOT / "include",
                    ROOT / "examples" / "hello_pool.cpp", "-o", executable], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e9


options = Options()
with tempfile.TemporaryDirectory() as folder:
    executable = os.path.join(folder, "hello_pool")
    for name, compilers in (("GCC", ("g++-12", "g++")), ("Clang", ("clang++-16", "clang++"))):
        compiler = next(filter(None, map(shutil.which, compilers)), None)
        if compiler:
            times = [build(compiler, executable) for _ in range(options.count(3, 1))]
            Report("compile", "procpool").print(f"hello_pool, {name}", "ns", times)
