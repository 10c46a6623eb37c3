#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Installs procpool into a folder of its own and uses it in the three ways that a user has.

    check_install.py --build FOLDER --compiler COMPILER --generator GENERATOR

find_package, add_subdirectory and a plain compiler command each build the consumer, which is then run. Where cereal is
missing, find_package says so. Nothing but headers, package files and the licence is installed.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Refused(Exception):
    pass


def run(*command, fails=False):
    """What the command printed. Refused if it fails, or if it does not and should."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=600)
    if (done.returncode != 0) != fails:
        raise Refused(f"{' '.join(map(str, command))}\nended with status {done.returncode}:\n{done.stdout}")
    return done.stdout


def expect(condition, words):
    if not condition:
        raise Refused(words)


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def check_files(prefix):
    installed = files_below(prefix / "include")
    expect(installed == files_below(ROOT / "include"),
           f"installed and written headers differ: {sorted(installed ^ files_below(ROOT / 'include'))}")
    others = {path.rpartition("/")[2] for path in files_below(prefix) if not path.startswith("include/")}
    expect(others == {"LICENSE", "procpool-config.cmake", "procpool-config-version.cmake", "procpool-targets.cmake",
                      "procpool-dependencies.cmake"}, f"also installed: {sorted(others)}")


def configure(arguments, build, *more, fails=False):
    return run("cmake", "-S", HERE / "consumer", "-B", build, "-G", arguments.generator,
               f"-DCMAKE_CXX_COMPILER={arguments.compiler}", *more, fails=fails)


def build_and_run(build):
    run("cmake", "--build", build)
    run(build / "consumer")


def check_libbacktrace(arguments, folder):
    """Installed with the option, a crash names function, file and line."""
    prefix = folder / "prefix with libbacktrace"
    library = folder / "library"
    run("cmake", "-S", ROOT, "-B", library, "-G", arguments.generator, f"-DCMAKE_CXX_COMPILER={arguments.compiler}",
        "-DPROCPOOL_WITH_LIBBACKTRACE=ON", "-DPROCPOOL_BUILD_TESTS=OFF", "-DPROCPOOL_BUILD_EXAMPLES=OFF")
    run("cmake", "--install", library, "--prefix", prefix)
    build = folder / "with libbacktrace"
    configure(arguments, build, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_CXX_FLAGS=-g1")
    run("cmake", "--build", build, "--target", "crash")
    said = run(build / "crash")
    lines = (HERE / "consumer" / "crash.cpp").read_text(encoding="utf-8").splitlines()
    line = 1 + next(number for number, text in enumerate(lines) if "the line that is to be named" in text)
    expect(re.search(rf"#0 crash\S* at \S*crash\.cpp:{line}$", said, re.MULTILINE),
           f"the crash does not name its line, {line}:\n{said}")


def check(arguments, folder):
    prefix = folder / "prefix"
    run("cmake", "--install", arguments.build, "--prefix", prefix)
    check_files(prefix)

    configure(arguments, folder / "installed", f"-DCMAKE_PREFIX_PATH={prefix}")
    build_and_run(folder / "installed")

    said = configure(arguments, folder / "without", f"-DCMAKE_PREFIX_PATH={prefix}",
                     "-DCMAKE_DISABLE_FIND_PACKAGE_cereal=ON", fails=True)
    expect("cereal 1.3 or later" in said, f"find_package does not say that cereal is missing:\n{said}")

    configure(arguments, folder / "within", f"-DPROCPOOL_SOURCES={ROOT}")
    targets = run("cmake", "--build", folder / "within", "--target", "help")
    expect("procpool_test_support" not in targets, "a project that has procpool as a folder gets its tests too")
    build_and_run(folder / "within")

    check_libbacktrace(arguments, folder)

    plain = folder / "plain"
    run(arguments.compiler, "-std=c++20", "-I", ROOT / "include", HERE / "consumer" / "consumer.cpp", "-o", plain)
    run(plain)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--generator", required=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            check(parser.parse_args(), pathlib.Path(folder))
        except Refused as refusal:
            print(refusal)
            return 1
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
