# SPDX-License-Identifier: BSL-1.0
"""The file of a run: every sample, medians and ratios, under the name of the commit, the machine and the compiler."""

import json
import re

REFERENCE = "procpool"


def words(text):
    """`text` as a part of a file's name: "AMD EPYC 7B13" is amd-epyc-7b13."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def compiler_name(version):
    """What the first line of `c++ --version` tells, in short: gcc-12.2.0, clang-16.0.6."""
    number = re.findall(r"\d+(?:\.\d+)+", version)
    return f"{'clang' if 'clang' in version else 'gcc'}-{number[-1] if number else 'unknown'}"


def file_name(machine, only=(), quick=False):
    """A run of a part of the questions, or a hasty one, does not take the place of a whole one."""
    parts = [machine["commit"], words(f"{machine['processor']} {machine['cpus']} CPUs"),
             compiler_name(machine["compiler"]), *sorted(only), *["quick"] * quick]
    return "-".join(parts) + ".json"


def ratio(results, key):
    """How many times procpool's median that of `key` is; None where it has none or is zero."""
    reference = results.get((key[0], REFERENCE, key[2]))
    return results[key]["value"] / reference["value"] if reference and reference["value"] else None


def rounded(number):
    """Six digits: more than any clock here is worth."""
    return float(f"{number:.6g}")


def as_json(results, machine):
    """One result a line, so that two runs can be compared by their lines."""
    lines = []
    for key, result in results.items():
        times = ratio(results, key)
        line = {name: result[name] for name in ("question", "rival", "case", "unit")}
        line |= {"median": rounded(result["value"]), "ratio": None if times is None else rounded(times),
                 "samples": [[rounded(sample) for sample in samples] for samples in result["runs"]]}
        lines.append(json.dumps(line, ensure_ascii=False))
    head = json.dumps(machine, ensure_ascii=False, indent=1).replace("\n", "\n ")
    return f'{{\n "machine": {head},\n "results": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


def write(results, machine, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(results, machine), encoding="utf-8")


def read(path):
    """({(question, rival, case): result}, machine) of a file that was written."""
    everything = json.loads(path.read_text(encoding="utf-8"))
    found = {(line["question"], line["rival"], line["case"]): line for line in everything["results"]}
    return found, everything["machine"]
