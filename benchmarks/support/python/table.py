# SPDX-License-Identifier: BSL-1.0
"""The table: a block for each question, a row for each rival, a column for each case, ratios to procpool."""

from results import REFERENCE

UNITS = (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1))


def three_digits(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def quantity(value, unit):
    """A value as a person reads it: 12345 ns are 12.3 µs."""
    if unit == "KB":
        return f"{three_digits(value)} KB"
    if unit != "ns":
        return three_digits(value)
    name, size = next(((name, size) for name, size in UNITS if abs(value) >= 0.9995 * size), UNITS[-1])
    return f"{three_digits(value / size)} {name}"


def blocks(results):
    """{title: {(rival, column): result}} in order of appearance; "2 workers: 10 µs" is a column of its block."""
    found = {}
    for (question, rival, label), result in results.items():
        group, _, column = label.rpartition(": ")
        title = f"{question}, {group}" if group else question
        found.setdefault(title, {})[rival, column] = result
    return found


def cell(block, rival, column):
    result = block.get((rival, column))
    if not result:
        return ""
    text = quantity(result["value"], result["unit"])
    reference = block.get((REFERENCE, column))
    if rival == REFERENCE or not reference or not reference["value"]:
        return text
    return f"{text} ({three_digits(result['value'] / reference['value'])}×)"


def rows(title, block):
    """The block as lists of cells, its head first; procpool is the first rival."""
    rivals = sorted(dict.fromkeys(rival for rival, _ in block), key=lambda rival: rival != REFERENCE)
    columns = list(dict.fromkeys(column for _, column in block))
    return [[title, *columns]] + [[rival, *(cell(block, rival, column) for column in columns)] for rival in rivals]


def as_text(results):
    table = [rows(title, block) for title, block in blocks(results).items()]
    first = max(len(row[0]) for block in table for row in block)
    lines = []
    for block in table:
        widths = [max(len(row[i]) for row in block) for i in range(1, len(block[0]))]
        for number, row in enumerate(block):
            cells = [text.rjust(width) for text, width in zip(row[1:], widths)]
            lines.append("  ".join([row[0].ljust(first), *cells]).rstrip())
            if number == 0:
                lines.append("-" * (first + sum(widths) + 2 * len(widths)))
        lines.append("")
    return "\n".join(lines)


def as_markdown(results):
    lines = []
    for title, block in blocks(results).items():
        head, *body = rows(title, block)
        lines += ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
        lines += ["| " + " | ".join(row) + " |" for row in body] + [""]
    return "\n".join(lines)
