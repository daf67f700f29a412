# SPDX-License-Identifier: MIT
"""What was seen of a step, and whether it is what the row wants."""
import os
import re
from dataclasses import dataclass, field

from machine import DAMAGED, NOTHING, STRANGE, UNSIGNED, Module
from step import ANY, MODULES

# What kernel-sign verify says of it (kernel-sign(8)); a damaged file may be bad, unreadable or seem unsigned.
VERIFY = {UNSIGNED: (3,), DAMAGED: (1, 3, 4), STRANGE: (1, 2, 3)}


@dataclass
class Seen:
    state: str | None
    differs: bool
    modules: dict = field(default_factory=dict)  # name: Module
    links: bool = False


def look(machine, step):
    """{subject: Seen}"""
    seen = {}
    status = machine.status() if step.want else {}
    for subject, want in step.want.items():
        package, _, kernel = subject
        state, differs = status.get(subject, (None, False))
        modules = {name: machine.look(name, kernel, want.certificate) for name in MODULES[package]}
        paths = [path for name in modules for path in machine.installed(name, kernel)]
        seen[subject] = Seen(state, differs, modules, bool(paths) and all(map(os.path.islink, paths)))
    return seen


def fits(found, wanted):
    return found in wanted if isinstance(wanted, tuple) else wanted is ANY or found == wanted


def judge_module(name, module: Module, want):
    signed = want.signed[name] if isinstance(want.signed, dict) else want.signed
    faults = [] if fits(module.signed, signed) else [f"{name}: {module.signed}, not {signed}"]
    if module.shown != module.wanted:
        faults.append(f"{name}: modinfo shows {module.shown}, not {module.wanted}")
    if module.signed != NOTHING and module.verify is not None and module.verify not in VERIFY.get(module.signed, (0,)):
        faults.append(f"{name}: {module.signed}, and kernel-sign verify ends with {module.verify}")
    if module.signed not in (NOTHING, DAMAGED) and not fits(module.container, want.container):
        faults.append(f"{name}: container: {module.container!r}, not {want.container!r}")
    return faults


def judge_subject(subject, seen, want):
    faults = []
    if not fits(seen.state, want.state):
        faults.append(f"dkms status says {seen.state}, not {want.state}")
    if not fits(seen.differs, want.differs):
        faults.append(f"dkms status {'complains' if seen.differs else 'does not complain'} of differences")
    if seen.links != want.links:
        faults.append(f"installed are {'links' if seen.links else 'files'}")
    for name, module in seen.modules.items():
        faults += judge_module(name, module, want)
    return [f"{'/'.join(subject)}: {fault}" for fault in faults]


def judge_step(step, seen):
    """The faults; none is the good verdict."""
    faults = list(step.faults)
    if not fits(step.outcome.status, step.exit):
        faults.append(f"exit status {step.outcome.status}, not {step.exit}")
    faults += [f"it does not say {text!r}" for text in step.says if not re.search(text, step.outcome.output)]
    for subject, want in step.want.items():
        faults += judge_subject(subject, seen[subject], want)
    if faults:
        faults += [f"> {line}" for line in step.outcome.output.strip().splitlines()[-6:]]
    return faults
