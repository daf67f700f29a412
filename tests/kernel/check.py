#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check.py PART...: each part is a file part_PART.py with a function check(tap, report), which makes claims, and
puts every answer of a kernel into the report."""
import importlib
import sys
import time

from report import Report
from tap import Tap


def main(parts):
    tap, report = Tap(), Report()
    for part in parts:
        begin = time.monotonic()
        importlib.import_module(f"part_{part}").check(tap, report)
        tap.note(f"{part}: {time.monotonic() - begin:.0f} s")
    report.write()
    for line in report.summary():
        tap.note(line)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
