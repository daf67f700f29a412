# SPDX-License-Identifier: MIT
"""Claims of a Python program, as the Test Anything Protocol has them."""
LINES_SHOWN = 10


class Tap:
    """The Test Anything Protocol: a line for each claim, the plan at the end."""

    def __init__(self, hide=""):
        """HIDE is left out of what is said: the path of a scratch directory."""
        self.count = self.failed = 0
        self.hide = hide

    def claim(self, name, faults):
        self.count += 1
        self.failed += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {self.count} - {name}")
        for fault in faults[:LINES_SHOWN]:
            self.note(fault.replace(self.hide, "") if self.hide else fault)
        if len(faults) > LINES_SHOWN:
            self.note(f"and {len(faults) - LINES_SHOWN} more")

    @staticmethod
    def note(text):
        for line in str(text).splitlines() or [""]:
            print(f"# {line}", flush=True)

    def finish(self):
        print(f"1..{self.count}", flush=True)
        return bool(self.failed)
