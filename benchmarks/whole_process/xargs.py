# SPDX-License-Identifier: BSL-1.0
"""By GNU xargs, an argument for each program."""

import pathlib
import sys

# In place of this folder, where a rival may be named as the module that it imports.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "python")

import shutil
import subprocess

from measure import skip
from whole_process import measure


def run_all(count):
    items = "".join(f"{item}\n" for item in range(count))
    return subprocess.run(["xargs", "-P", "2", "-n", "1", "true"], input=items, text=True).returncode == 0


if not shutil.which("xargs"):
    sys.exit(skip("xargs (Debian: findutils) is not installed"))
measure("xargs", run_all)
