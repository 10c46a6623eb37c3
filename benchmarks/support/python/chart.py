# SPDX-License-Identifier: BSL-1.0
"""Horizontal bars with their values, as SVG that reads in light and in dark."""

import html
import math

WIDTH = 760
MARGIN = 24
ROW = 24
BAR = 14
GAP = 28  # between columns of panels
SMALL, NORMAL, LARGE = 11, 13, 18  # sizes of text

STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }
  .paper { fill: #fcfcfa; stroke: #dcdbd5 }
  .ink { fill: #1d1d1b } .quiet { fill: #62615b } .strong { font-weight: 600 }
  .value { paint-order: stroke; stroke: #fcfcfa; stroke-width: 4px; stroke-linejoin: round }
  .own { fill: #1f6fd0 } .rival { fill: #b4b2a9 } .limit { fill: none; stroke: #8b8980; stroke-dasharray: 3 2 }
  .grid { stroke: #e4e3dd } .mark { stroke: #8b8980; stroke-dasharray: 3 2 } .base { stroke: #8b8980 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #1a1a19; stroke: #383835 } .value { stroke: #1a1a19 }
    .ink { fill: #f1f0ea } .quiet { fill: #aaa89f }
    .own { fill: #4a97ee } .rival { fill: #67655e } .limit { stroke: #8b8980 }
    .grid { stroke: #2f2f2c } .mark { stroke: #8b8980 } .base { stroke: #8b8980 }
  }
"""


class Bar:
    """`kind` is "own", "rival" or "limit"."""

    def __init__(self, label, value, text, kind):
        self.label, self.value, self.text, self.kind = label, value, text, kind


class Panel:
    """`mark` draws a line at that value; the axis reaches `least_end` at least. A logarithmic one begins at the decade
    below the least value and has a line for each decade, of which `tick` makes the text."""

    def __init__(self, title, bars, logarithmic=False, tick=None, mark=None, least_end=0):
        self.title, self.bars, self.tick, self.mark = title, bars, tick, mark
        values = [bar.value for bar in bars] or [1]
        self.logarithmic = logarithmic
        self.begin = 10 ** (math.ceil(math.log10(min(values))) - 1) if logarithmic else 0
        self.end = max([*values, least_end])
        if logarithmic and self.end <= self.begin:
            self.end = 10 * self.begin

    def place(self, value):
        """Where a value stands, from 0 at the begin of the axis to 1 at its end."""
        if self.logarithmic:
            return math.log10(value / self.begin) / math.log10(self.end / self.begin)
        return value / self.end

    def decades(self):
        if not self.logarithmic:
            return []
        first, last = round(math.log10(self.begin)), math.floor(math.log10(self.end) + 1e-9)
        return [10 ** exponent for exponent in range(first, last + 1)]

    def height(self):
        return (26 if self.title else 4) + ROW * len(self.bars) + (20 if self.logarithmic else 6)


def width_of(text, size, strong=False):
    """Room for the text in whatever face: on the safe side for all but a row of capitals."""
    return (0.63 if strong else 0.56) * size * len(text)


def broken(text, size, width):
    """The text in lines that have room in `width`."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def text_at(x, y, text, size, names, anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" class="{names}" text-anchor="{anchor}">'
            f"{html.escape(text)}</text>")


def line_at(x1, y1, x2, y2, name):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{name}"/>'


def bar_at(x, y, length, name):
    """Flat where it begins, round where it ends."""
    round_by = min(3, length / 2)
    right, bottom = x + length, y + BAR
    return (f'<path d="M{x:.1f} {y:.1f}H{right - round_by:.1f}Q{right:.1f} {y:.1f} {right:.1f} {y + round_by:.1f}'
            f"V{bottom - round_by:.1f}Q{right:.1f} {bottom:.1f} {right - round_by:.1f} {bottom:.1f}"
            f'H{x:.1f}Z" class="{name}"/>')


def panel_at(panel, left, top, width, labels, values):
    """A panel whose labels have `labels` of room at the left, and whose values have `values` at the right."""
    axis, length = left + labels + 8, width - labels - values - 16
    y = top
    parts = []
    if panel.title:
        parts.append(text_at(left, y + 13, panel.title, NORMAL, "ink strong"))
        y += 26
    else:
        y += 4
    bottom = y + ROW * len(panel.bars)
    for decade in panel.decades():
        x = axis + length * panel.place(decade)
        parts.append(line_at(x, y, x, bottom, "grid"))
        parts.append(text_at(x, bottom + 13, panel.tick(decade), SMALL, "quiet", "middle"))
    if panel.mark is not None:
        x = axis + length * panel.place(panel.mark)
        parts.append(line_at(x, y, x, bottom, "mark"))
    for number, bar in enumerate(panel.bars):
        middle = y + ROW * (number + 0.5)
        end = length * panel.place(bar.value)
        names = "ink strong" if bar.kind == "own" else "quiet" if bar.kind == "limit" else "ink"
        parts.append(text_at(axis - 8, middle + 4.5, bar.label, NORMAL, names, "end"))
        parts.append(bar_at(axis, middle - BAR / 2, max(end, 1), bar.kind))
        parts.append(text_at(axis + max(end, 1) + 6, middle + 4.5, bar.text, NORMAL, f"{names} value"))
    parts.append(line_at(axis, y, axis, bottom, "base"))
    return parts


def svg(title, subtitle, panels, columns, source):
    """The picture as text. `source` stands at its foot."""
    inner = WIDTH - 2 * MARGIN
    parts = [text_at(MARGIN, MARGIN + 16, title, LARGE, "ink strong")]
    y = MARGIN + 24
    for line in broken(subtitle, NORMAL, inner):
        y += 18
        parts.append(text_at(MARGIN, y, line, NORMAL, "quiet"))
    y += 18

    bars = [bar for panel in panels for bar in panel.bars]
    labels = max(width_of(bar.label, NORMAL, bar.kind == "own") for bar in bars)
    values = max(width_of(bar.text, NORMAL, bar.kind == "own") for bar in bars)
    width = (inner - GAP * (columns - 1)) / columns
    for first in range(0, len(panels), columns):
        row = panels[first:first + columns]
        for column, panel in enumerate(row):
            parts += panel_at(panel, MARGIN + column * (width + GAP), y, width, labels, values)
        y += max(panel.height() for panel in row) + 8

    for line in broken(source, SMALL, inner):
        y += 15
        parts.append(text_at(MARGIN, y, line, SMALL, "quiet"))
    height = round(y + MARGIN - 6)
    told = "; ".join(f"{panel.title + ': ' if panel.title else ''}"
                     + ", ".join(f"{bar.label} {bar.text}" for bar in panel.bars) for panel in panels)
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'role="img">',
            f"<title>{html.escape(title)}</title>", f"<desc>{html.escape(told)}</desc>", f"<style>{STYLE}</style>",
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" class="paper"/>']
    return "\n".join([*head, *parts, "</svg>"]) + "\n"
