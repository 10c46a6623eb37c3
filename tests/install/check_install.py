#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Installs procpool into a folder of its own and uses it in the three ways that a user has.

    check_install.py --build FOLDER --compiler COMPILER --generator GENERATOR

find_package, add_subdirectory and a plain compiler command each build the consumer, which is then run. Where cereal is
missing, find_package says so. Nothing but headers, package files and the licence is installed.
"""

import argparse
import pathlib
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
               f"-DCMAKE_CXX_COMPILER={arguments.compiler}", "-DCMAKE_BUILD_TYPE=Release", *more, fails=fails)


def build_and_run(build):
    run("cmake", "--build", build)
    run(build / "consumer")


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
