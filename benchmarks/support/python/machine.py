# SPDX-License-Identifier: BSL-1.0
"""Where and how was it measured? Figures without that mean nothing."""

import os
import pathlib
import platform
import subprocess
import sys
import time


def output_of(*command, folder=None):
    try:
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def commit(root):
    """The commit of the working tree, with "-changed" if it differs from it; "unknown" outside of a repository."""
    name = output_of("git", "rev-parse", "--short=12", "HEAD", folder=root) or "unknown"
    return name + ("-changed" if output_of("git", "status", "--porcelain", folder=root) else "")


def cmake_cache(programs):
    """The variables of the build folder that holds the folder `programs`; {} if none does."""
    for folder in (programs, *programs.parents):
        cache = folder / "CMakeCache.txt"
        if cache.exists():
            lines = [line for line in cache.read_text().splitlines() if "=" in line and line[:1] not in "#/"]
            return {line.partition(":")[0]: line.partition("=")[2] for line in lines}
    return {}


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def without_paths(flags):
    """The compiler's flags but for those that say where something lies on this machine."""
    return " ".join(flag for flag in flags.split() if "/" not in flag)


def describe(root, programs):
    cache = cmake_cache(programs)
    build_type = cache.get("CMAKE_BUILD_TYPE", "")
    flags = [cache.get(name, "") for name in ("CMAKE_CXX_FLAGS", f"CMAKE_CXX_FLAGS_{build_type.upper()}")]
    compiler = output_of(cache.get("CMAKE_CXX_COMPILER", "c++"), "--version").partition("\n")[0]
    return {"commit": commit(root), "processor": processor(), "cpus": len(os.sched_getaffinity(0)),
            "kernel": platform.release(), "libc": " ".join(platform.libc_ver()), "compiler": compiler,
            "build_type": build_type, "flags": without_paths(" ".join(flags)),
            "python": sys.version.split()[0]}


def busy_time():
    """Seconds that the processors have worked since the machine started, in steps of 10 ms."""
    # Columns 3 and 4 are the time without work: idle, and waiting for a device.
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def is_disturbed():
    """Whether others use more than a tenth of one processor while the caller sleeps for 0.2 s."""
    before = busy_time()
    time.sleep(0.2)
    return busy_time() - before > 0.02


def remarks(machine):
    """What a reader must know before they believe the figures."""
    found = []
    if machine["build_type"] not in ("Release", "RelWithDebInfo"):
        found.append(f"built as '{machine['build_type']}', not Release: the figures mean little")
    if machine["disturbed"]:
        found.append(f"before {machine['disturbed']} of {machine['started_programs']} programs something else "
                     "was using the processors")
    return found
