# SPDX-License-Identifier: MIT
"""check.py [WORD...]: plays all stories (stories.py, refusals.py, hooks.py), or those that have one of these words in
their names, on machines of both suites at once, compares what is seen with what is wanted, and prints the
table. Called by `run`."""
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import hooks
import judge
import refusals
import stories
from doubt import DOUBTS
from machine import KEYS, NOTHING, TOP, WORK, Machine
from tap import Tap
from verdict import judge_step, look

HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = ("bookworm", "trixie")
HEAD = ("what happens", "DKMS", "exit", "dkms status", "installed, signed by", "modinfo: signer, sig_key",
        "kernel-sign verify", "as it must be")
speaking = threading.Lock()
# What ends a story, and no other: the rest of the table is played.
BREAKS_OFF = (judge.Fault, OSError, LookupError, subprocess.SubprocessError)


@dataclass
class Row:
    name: str
    dkms: str
    faults: list
    exit: int | None = None  # None: no row of the table
    seen: dict = field(default_factory=dict)

    def cells(self):
        return (self.name, self.dkms, str(self.exit), self.joined(self.state), self.joined(self.signed),
                self.joined(self.modinfo), self.joined(self.verify), "no" if self.faults else "yes")

    def joined(self, cell):
        return ", ".join(dict.fromkeys(cell(seen) for seen in self.seen.values())) or "-"

    @staticmethod
    def state(seen):
        return (seen.state or "not there") + (" (differs)" if seen.differs else "")

    @staticmethod
    def signed(seen):
        return ", ".join(dict.fromkeys(module.signed for module in seen.modules.values()))

    @staticmethod
    def modinfo(seen):
        shown = [module.shown for module in seen.modules.values() if module.shown]
        words = [f"{show['signer']}, {show['sig_key'][:8]}" if show["signer"] else "-" for show in shown]
        return "; ".join(dict.fromkeys(words)) or "-"

    @staticmethod
    def verify(seen):
        there = [module for module in seen.modules.values() if module.signed != NOTHING]
        return ", ".join(dict.fromkeys("-" if module.verify is None else str(module.verify) for module in there)) or "-"


def play(suite, number, story, product):
    """The rows of one story."""
    machine = Machine(suite, number, product)
    rows = []
    try:
        for step in story(machine):
            seen = look(machine, step)
            rows.append(Row(step.name, machine.dkms_version, judge_step(step, seen), step.outcome.status, seen))
    except BREAKS_OFF as error:
        rows.append(Row(f"story {number} of {suite} broke off behind: {rows[-1].name if rows else 'nothing'}",
                        machine.dkms_version, [f"{type(error).__name__}: {error}"]))
    finally:
        machine.close()
    return rows


def doubt(suite, number, name, function):
    machine = Machine(suite, number)
    try:
        faults = function(machine)
    except BREAKS_OFF as error:
        faults = [f"broke off: {type(error).__name__}: {error}"]
    finally:
        machine.close()
    return [Row(name, machine.dkms_version, faults)]


def play_suite(suite, words):
    """[Row]"""
    plays = [(play, story, False) for story in stories.WITHOUT]
    plays += [(play, story, True) for story in stories.STORIES + refusals.STORIES + hooks.STORIES]
    plays += [(doubt, *item) for item in DOUBTS.items()]
    rows = []
    for number, (how, *what) in enumerate(plays):
        if words and not any(word in story_name(what) for word in words):
            continue
        begin = time.monotonic()
        new = how(suite, f"{number:02}", *what)
        rows += new
        with speaking:
            Tap.note(f"{suite}: {number + 1}/{len(plays)} {story_name(what)}: {time.monotonic() - begin:.0f} s, "
                     f"{sum(bool(row.faults) for row in new)} of {len(new)} rows red")
    return rows


def story_name(what):
    return what[0] if isinstance(what[0], str) else what[0].__name__


def table(rows):
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    return "\n".join(lines + [f"| {' | '.join(row.cells())} |" for row in rows if row.exit is not None])


def report(text):
    build = os.environ.get("abs_top_builddir")
    folder = os.path.join(build, "tests", "dkms-report") if build else TOP
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "report.md"), "w", encoding="utf-8") as stream:
        print(f"# kernel-sign inside DKMS\n\n{text}", file=stream)


def paired(first, second):
    """The rows of both suites, one under the other where they have the same name."""
    rest = list(second)
    for row in first:
        yield row
        for twin in [twin for twin in rest if twin.name == row.name]:
            rest.remove(twin)
            yield twin
    yield from rest


def main(words):
    begin = time.monotonic()
    subprocess.run([os.path.join(HERE, "../lib/keys"), KEYS], check=True, capture_output=True)
    with ThreadPoolExecutor(len(SUITES)) as pool:
        rows = list(paired(*pool.map(lambda suite: play_suite(suite, words), SUITES)))
    tap = Tap(hide=WORK)
    for row in rows:
        tap.claim(f"DKMS {row.dkms}: {row.name}", row.faults)
    text = table(rows)
    report(text)
    tap.note(text)
    tap.note(f"{len(rows)} rows, {time.monotonic() - begin:.0f} s")
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
