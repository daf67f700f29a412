# SPDX-License-Identifier: MIT
"""Questions to a kernel, each with the answer that is expected of it."""
import dataclasses
import re

import oracle
from boot import Job, boot
from report import Cell

# What insmod and modprobe make of an errno (tools/insmod.c of kmod, mod_strerror; else strerror).
INSMOD_SAYS = {
    "EINVAL": "Invalid parameters",
    "ENOSYS": "Function not implemented",
    "EKEYREJECTED": "Key was rejected by service",
    "EPERM": "Operation not permitted",
}
MODPROBE_SAYS = INSMOD_SAYS | {"EINVAL": "Invalid argument"}

# security/lockdown/lockdown.c; no more than ten in five seconds (pr_notice_ratelimited).
RESTRICTED = "Lockdown: init: unsigned module loading is restricted; see man kernel_lockdown.7"
# What kernels say of containers and of lockdown.
ANSWER = re.compile(f"{oracle.ANSWER.pattern}|"
                    "^(decompression failed|not an? .* compressed|ZSTD-|Lockdown: |Module hash )")
NUMBER = re.compile("(?<=Module hash )[0-9a-f]+")


@dataclasses.dataclass(frozen=True)
class Ask:
    """JOB's id is the case. The kernel enforces signatures, or does so because it is locked down, or does not."""

    group: str
    job: Job
    says: oracle.Says
    lockdown: bool = False
    enforce: bool = True
    is_module: bool = True  # else nobody can read what is in it
    mark: str = ""  # why a prediction has to be "unknown"

    def expected(self):
        if self.lockdown and self.says.lack:
            return oracle.described("EPERM", [*self.says.messages, RESTRICTED], "")
        return self.says.text(self.enforce)

    def found(self, answer):
        errno = told_by_command(self.job, answer) if self.job.way == "exec" else answer.errno
        messages = [NUMBER.sub("N", message) for message in answer.messages if ANSWER.search(message)]
        return oracle.described(errno, messages, answer.taint)

    def cell(self, part, kernel, answer):
        return Cell(part, kernel, self.group, self.job.id, self.expected(), self.found(answer))


def told_by_command(job, answer):
    """The errno that a command reports by its exit status and in its words."""
    if not answer.status and not answer.output and not answer.errors:
        return ""
    words = MODPROBE_SAYS if "modprobe" in job.argv[0] else INSMOD_SAYS
    last = answer.errors[-1] if answer.errors else ""
    found = [name for name, text in words.items() if last.endswith(": " + text)]
    return found[0] if answer.status == 1 and found else f"status {answer.status}, {last!r}"


def ask(part, label, kernel, asks, others=(), first=(), **options):
    """([(Ask, its cell, the kernel's answer)], {job's id: answer} of all); OTHERS are more jobs, FIRST more that come
    before, OPTIONS boot's."""
    answers = boot(kernel, [*first, *(one.job for one in asks), *others], **options)
    found = [(one, one.cell(part, label, answers[one.job.id]), answers[one.job.id]) for one in asks]
    return found, answers


def wrong_answers(job, answer):
    """Answers of which none is right where ANSWER is."""
    if job.way == "exec":
        yield "the command failed", dataclasses.replace(answer, status=1, errors=("insmod: ERROR: other",))
        yield "another exit status", dataclasses.replace(answer, status=answer.status + 1)
        if answer.status:
            yield "the command succeeded", dataclasses.replace(answer, status=0, errors=())
    else:
        yield "another errno", dataclasses.replace(answer, errno="ENOEXEC")
        opposite = "" if answer.errno else "EINVAL"
        yield opposite or "loads", dataclasses.replace(answer, errno=opposite)
    yield "one more message", dataclasses.replace(answer, messages=(*answer.messages, "PKCS7: Bad"))
    if not answer.errno and not answer.status:
        yield "another taint", dataclasses.replace(answer, taint="" if answer.taint else "E")


def doubt(found):
    """What goes through of wrong answers, and of answers that belong to others; FOUND as ask() returns it."""
    faults = []
    for one, cell, answer in found:
        if not cell.agrees:
            continue  # that is said already
        tries = list(wrong_answers(one.job, answer))
        other = next((got for two, _, got in found
                      if two.expected() != one.expected() and two.job.way == one.job.way), None)
        if other:
            tries.append(("the answer to another one", other))
        faults += [f"went through: {one.job.id}: {what}" for what, wrong in tries
                   if one.cell(cell.part, cell.kernel, wrong).agrees]
    return faults
