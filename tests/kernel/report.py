# SPDX-License-Identifier: MIT
"""Every answer beside what it had to be: counts for the terminal, all of it as Markdown."""
import collections
import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Cell:
    """One case on one kernel. APART is the reason why verify and kernel differ by their nature, where they do."""

    part: str
    kernel: str
    group: str
    case: str
    expected: str
    found: str
    apart: str = ""

    @property
    def agrees(self):
        return self.expected == self.found


def claim_cells(tap, label, cells):
    """A claim a group."""
    groups = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    for group, members in groups.items():
        tap.claim(f"{label}: {group}: {len(members)} cases",
                  [f"{cell.case}: expected {cell.expected}; found {cell.found}" for cell in members if not cell.agrees])


class Report:
    def __init__(self):
        self.cells = []

    def add(self, cell):
        self.cells.append(cell)

    def by(self, *names):
        found = collections.defaultdict(list)
        for cell in self.cells:
            found[tuple(getattr(cell, name) for name in names)].append(cell)
        return found

    def counts(self):
        """Rows: part, kernel, cells, agreeing, disagreeing, and how many of the agreeing are apart."""
        rows = [("part", "kernel", "cells", "agree", "disagree", "apart")]
        for (part, kernel), cells in [*self.by("part", "kernel").items(), (("all", ""), self.cells)]:
            agreeing = [cell for cell in cells if cell.agrees]
            rows.append((part, kernel, len(cells), len(agreeing), len(cells) - len(agreeing),
                         sum(bool(cell.apart) for cell in agreeing)))
        return [[str(field) for field in row] for row in rows]

    def summary(self):
        rows = self.counts()
        widths = [max(map(len, column)) for column in zip(*rows)]
        return ["  ".join(field.ljust(width) for field, width in zip(row, widths)).rstrip() for row in rows]

    def markdown(self):
        def table(rows):
            head, *body = [[field.replace("|", "\\|") for field in row] for row in rows]
            return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body]] + [""]

        lines = ["# What real kernels say", "", *table(self.counts())]
        for (part, kernel), cells in self.by("part", "kernel").items():
            rows = [("group", "case", "expected", "found", "apart")]
            rows += [(cell.group, cell.case, cell.expected, cell.found if not cell.agrees else "the same", cell.apart)
                     for cell in cells]
            lines += [f"## {part}: {kernel}", "", *table(rows)]
        return "\n".join(lines)

    def write(self):
        folder = os.environ["KS_KERNEL_REPORT"]
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "report.md"), "w", encoding="utf-8") as file:
            file.write(self.markdown())
