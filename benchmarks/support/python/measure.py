# SPDX-License-Identifier: BSL-1.0
"""Stopwatch and the line of JSON that each measurement prints, as support/measure.hpp for the C++ programs."""

import argparse
import importlib.util
import json
import statistics
import sys
import time

SKIPPED = 77  # what a program ends with whose rival is not installed


def require_module(name, package):
    """Ends this program with a word if the rival's module is not installed."""
    if importlib.util.find_spec(name) is None:
        sys.exit(skip(f"{name} (Debian: {package}) is not installed for {sys.executable}"))


def skip(reason):
    """Says why a rival is left out; the status to end with."""
    print(f"skipped: {reason}", file=sys.stderr)
    return SKIPPED


class Options:
    """How thorough a program is to be; --quick only shows that it works."""

    def __init__(self):
        parser = argparse.ArgumentParser()
        parser.add_argument("--quick", action="store_true")
        self.quick = parser.parse_args().quick

    def count(self, thorough, hasty):
        return hasty if self.quick else thorough


class Stopwatch:
    """Nanoseconds since it was made or last asked."""

    def __init__(self):
        self.start = time.perf_counter_ns()

    def lap(self):
        now = time.perf_counter_ns()
        passed, self.start = now - self.start, now
        return passed


class Report:
    """What a rival has to say on one question."""

    def __init__(self, question, rival):
        self.question, self.rival = question, rival

    def print(self, label, unit, runs):
        """Prints one measurement; its value is the median of `runs`."""
        line = {"question": self.question, "rival": self.rival, "case": label, "unit": unit,
                "value": statistics.median(runs), "runs": runs}
        print(json.dumps(line, ensure_ascii=False), flush=True)
