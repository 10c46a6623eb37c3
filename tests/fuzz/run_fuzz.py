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

EXECUTIONS, FULL_EXECUTIONS = 1_000_000, 100_000_000
# A hang is what takes seconds where others take microseconds; an input of some bytes needs no memory to speak of.
LIMITS = ("-timeout=20", "-malloc_limit_mb=64", "-rss_limit_mb=2048")
# What makes it fast: an execution takes no longer than the bookkeeping of the fuzzer and the sanitizers otherwise, and
# inputs of twice the length reach no more code, in fewer executions. What is freed is watched for some executions.
FAST = ("-max_len=64", "-entropic=0", "-reload=0", "-reduce_inputs=0")
FAST_SANITIZERS = "malloc_context_size=1:quarantine_size_mb=1:thread_local_quarantine_size_kb=256"


def main(target, seeds, findings, *arguments):
    full = os.environ.get("PROCPOOL_TEST_FULL") == "1"
    findings = pathlib.Path(findings)
    findings.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", FAST_SANITIZERS)}
    inputs = sorted(str(each) for each in pathlib.Path(seeds).iterdir())
    limited = [target, f"-artifact_prefix={findings}/", *LIMITS, "-verbosity=0"]
    growing = [f"-runs={FULL_EXECUTIONS if full else EXECUTIONS}", f"-seed={os.environ.get('PROCPOOL_FUZZ_SEED', '1')}",
               *FAST, "-print_final_stats=1", *arguments, f"-seed_inputs={','.join(inputs)}"]
    # First each seed as it is, of which the other run takes the beginning. What grows is kept in memory alone.
    for what in (inputs, growing):
        if status := subprocess.run([*limited, *what], env=environment).returncode:
            print(f"The input that it failed at lies in {findings}, or is the seed that was named last. To see it fail "
                  f"again: {target} FILE. Once that is mended, keep the input in {seeds}, by a name that says what it "
                  "is.")
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
