# SPDX-License-Identifier: MIT
"""check.py PART...: each part is a file part_PART.py with a function check(tap, report), which makes claims, and
puts every answer of a kernel into the report."""
import importlib
import sys
import time
import traceback

import predict
from report import Report
from tap import Tap

MOST = "stock"  # the part that makes most of the predictions


def end_of(part, tap, report):
    """What keeps it from its end: a kernel that does not boot, say."""
    try:
        importlib.import_module(f"part_{part}").check(tap, report)
    except Exception:  # pylint: disable=broad-except # whatever it is, the other parts go on
        return traceback.format_exc().splitlines()[-10:]
    return []


def main(parts):
    tap, report = Tap(), Report()
    for part in parts:
        begin = time.monotonic()
        tap.claim(f"{part} comes to its end", end_of(part, tap, report))
        tap.note(f"{part}: {time.monotonic() - begin:.0f} s")
    predictions = report.by("part")[(predict.PART,)]
    tap.note(predict.summary(predictions))
    if MOST in parts:
        tap.claim("predict: there are enough, and few are unknown", predict.judge_sum(predictions))
    report.write()
    for line in report.summary():
        tap.note(line)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
