# SPDX-License-Identifier: BSL-1.0
"""What the checks of the sources share: the files of the project, and how a check speaks."""

import pathlib
import re
import sys

SKIPPED = {".git", "build", "__pycache__"}


class Project:
    """The tree below `root`, as it lies there; what is generated is left out."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()

    def files(self, *patterns, below="."):
        """All files below a folder that match one of the patterns, sorted."""
        folder = self.root / below
        found = {path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}
        return sorted(path for path in found if SKIPPED.isdisjoint(path.relative_to(self.root).parts[:-1]))

    def headers(self):
        return self.files("*.hpp", below="include")

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def text(self, path):
        path = self.root / path
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def lines(self, path):
        """(number, line) pairs, numbers from 1."""
        return list(enumerate(self.text(path).splitlines(), 1))

    def test_case_names(self):
        """{name of a Catch2 test case: file}."""
        names = {}
        for path in self.files("*_test.cpp", below="tests"):
            for match in TEST_CASE.finditer(self.text(path)):
                names["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match[1])).replace('\\"', '"')] = self.name(path)
        return names


# The name may be split over lines: "one " "two".
TEST_CASE = re.compile(r'\b(?:TEST_CASE|TEMPLATE_TEST_CASE|SCENARIO)\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')


def run(problems):
    """Prints what `problems(project)` yields and leaves with 1 if there was any; 0 and a word otherwise."""
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    found = list(problems(Project(root)))
    print("\n".join(found) if found else "ok")
    sys.exit(bool(found))
