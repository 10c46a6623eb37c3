#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs a fuzz target: the inputs that are kept as seeds, then executions of inputs that grow from them.

    run_fuzz.py TARGET SEEDS FINDINGS [ARGUMENT OF THE TARGET…]

There are a million executions, of 10^8 if PROCPOOL_TEST_FULL is 1; from the same seed, which PROCPOOL_FUZZ_SEED may be,
they are the same. An input that ends the target is left in the folder FINDINGS, and named.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

EXECUTIONS, FULL_EXECUTIONS = 1_000_000, 100_000_000
# A hang is what takes seconds where others take microseconds; an input of a hundred bytes needs no memory to speak of.
LIMITS = ("-max_len=128", "-timeout=20", "-malloc_limit_mb=64", "-rss_limit_mb=2048")
# What makes it fast: an execution takes no longer than the bookkeeping of the fuzzer otherwise.
FAST = ("-entropic=0", "-reload=0", "-reduce_inputs=0")


def main(target, seeds, findings, *arguments):
    full = os.environ.get("PROCPOOL_TEST_FULL") == "1"
    findings = pathlib.Path(findings)
    findings.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "malloc_context_size=2")}
    with tempfile.TemporaryDirectory() as grown:
        command = [target, f"-runs={FULL_EXECUTIONS if full else EXECUTIONS}",
                   f"-seed={os.environ.get('PROCPOOL_FUZZ_SEED', '1')}", f"-artifact_prefix={findings}/", *LIMITS,
                   *FAST, "-verbosity=0", "-print_final_stats=1", *arguments, grown, seeds]
        status = subprocess.run(command, env=environment).returncode
    if status != 0:
        print(f"The input that it failed at lies in {findings}. To see it fail again: {target} FILE. Once that is "
              f"mended, keep the input in {seeds}, by a name that says what it is.")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
