# SPDX-License-Identifier: MIT
"""What `status -k` predicts of a module, beside what a kernel then did with it."""
import dataclasses
import re

import oracle
from report import Cell, claim_cells

PART = "predict"
AN_ERROR = "an error"  # of the program's: this is no module; of the kernel's: any
UNKNOWN = "unknown"
NOT_RUNNING = "it does not run: whether it enforces is for its next command line to say"
LEAST, UNKNOWN_SHARE = 600, 0.02  # predictions, and those of them that may be "unknown"
FIELDS = ("verdict", "enforced", "errno", "cause")
# Each of which a prediction could say as well.
WORDS = {
    "verdict": ("loads", "taints", "refused when enforced", "refused", UNKNOWN, "never"),
    "enforced": ("yes", "no", UNKNOWN),
    "errno": (None, "EKEYREJECTED", "EPERM", "EBADMSG", "EINVAL", "EMSGSIZE", "ENOEXEC", "ENOSYS"),
    "cause": (None, "unsigned module", "module with unavailable key", "module with unsupported crypto",
              "bad signature", "malformed signature", "not signed data", "signed attributes", "revoked", "blacklisted",
              "container", "vermagic"),
}
# A kernel's words for a cause, else its errno.
NAMED = (
    (re.compile("^Loading of (.*) is rejected$"), r"\1"),
    (re.compile("^Module hash .* is blacklisted$"), "blacklisted"),
    (re.compile("^PKCS7: (S/MIME Caps only allowed|Invalid module sig .has authattrs)"), "signed attributes"),
    (re.compile("^PKCS7: Only support pkcs7_signedData type$"), "not signed data"),
    (re.compile("^(decompression failed|not an? .* compressed module)"), "container"),
    (re.compile(": version magic "), "vermagic"),
)
BY_ERRNO = {"EKEYREJECTED": "bad signature", "EBADMSG": "malformed signature", "EMSGSIZE": "malformed signature",
            "EINVAL": "malformed signature", "ENOTSUP": "container", "ENOSYS": "container"}


def cause(says, answer):
    """Why the kernel did not load it, or taints: in its words, as far as it has some. If it does not enforce, or leaves
    the refusal to lockdown, what is lacking is for the boot to say that enforces: the table's word."""
    if says.cause:
        return says.cause
    if answer.taint or answer.errno == "EPERM":
        return says.lack
    found = [pattern.sub(name, message) if name == r"\1" else name
             for pattern, name in NAMED for message in answer.messages if pattern.search(message)]
    return found[0] if found else BY_ERRNO.get(answer.errno, f"{answer.errno} alone")


def line(verdict, enforced, errno, why):
    """All that a prediction says, in one line; of what loads and of what never does, whether is enforced is all the
    same."""
    return "; ".join([f"{verdict} ({enforced})", errno or "no errno", why or "no cause"])


@dataclasses.dataclass(frozen=True)
class Guess:
    """MODULE is what the program told of the case's file, SAYS what was written down before, ANSWER the kernel's
    (its errno as user space saw it). IS_MODULE: else the program has an error to tell. MARK is the reason why the
    program cannot know; then it has to say so. CONDITIONAL: whether signatures are enforced is what it cannot know,
    because that kernel does not run."""

    kernel: str
    group: str
    case: str
    says: oracle.Says
    answer: object
    module: dict
    enforced: bool = True
    is_module: bool = True
    mark: str = ""
    conditional: str = ""

    def predicted(self):
        module = self.module or {}
        if module.get("error"):
            return AN_ERROR if module.get("load") is None else "an error, and yet a prediction"
        load = module.get("load")
        if not load:
            return "no prediction"
        if load["verdict"] == UNKNOWN:
            return UNKNOWN if load["why"] else "unknown, and no reason why"
        return line(*(load[field] for field in FIELDS))

    def happened(self):
        answer = self.answer
        if not self.is_module:
            return AN_ERROR if answer.errno else "loads"
        if self.mark:
            return UNKNOWN
        # What it cannot know is what it says of both.
        enforced = UNKNOWN if self.conditional else "yes" if self.enforced else "no"
        if not answer.errno and not answer.taint:
            return line("loads", enforced, None, None)
        if self.conditional and self.says.lack:
            return line("refused when enforced", enforced, None, self.says.lack)
        verdict = "taints" if not answer.errno else "refused when enforced" if self.says.lack else "refused"
        return line(verdict, enforced, answer.errno, cause(self.says, answer))

    def cell(self):
        return Cell(PART, self.kernel, self.group, self.case, self.predicted(), self.happened(),
                    self.mark or self.conditional)


def of_asks(kernel, found, told, mark="", conditional=""):
    """Guesses of what asking.ask() FOUND; TOLD is {job's id: what the program told}. MARK and CONDITIONAL are all's."""
    return [Guess(kernel, one.group, one.job.id, one.says, answer, told.get(one.job.id), one.enforce or one.lockdown,
                  one.is_module, mark or one.mark, conditional) for one, _, answer in found]


def wrong(guess):
    """The same case with predictions that are wrong."""
    def told(**changed):
        return dataclasses.replace(guess, module={**guess.module, **changed})

    load = guess.module.get("load")
    yield "nothing said", dataclasses.replace(guess, module=None)
    if not load:
        yield "no error", told(error=None)
        yield "loads", told(error=None, load={"verdict": "loads", "enforced": "yes", "errno": None, "cause": None})
        return
    yield "an error", told(error="cannot be read", load=None)
    yield "no prediction", told(load=None)
    for field in FIELDS:
        if load["verdict"] != UNKNOWN or field == "verdict":
            yield from ((f"{field} {word}", told(load=load | {field: word, "why": "a reason"}))
                        for word in WORDS[field] if word != load[field])


def doubt(guesses):
    """What goes through of wrong predictions, and of answers that belong to others; GUESSES as they were."""
    guesses = [guess for guess in guesses if guess.cell().agrees]
    faults = [f"went through: {guess.case}: {what}" for guess in guesses for what, other in wrong(guess)
              if other.cell().agrees]
    for number, guess in enumerate(guesses):
        others = [other for other in (*guesses[number:], *guesses[:number])
                  if other.predicted() != guess.predicted() and not guess.mark]
        if others and dataclasses.replace(guess, module=others[0].module).cell().agrees:
            faults.append(f"went through: {guess.case} with the prediction for {others[0].case}")
    return faults + ([] if guesses else ["nothing to doubt"])


def claim(tap, report, guesses):
    """Those of one boot."""
    cells = [guess.cell() for guess in guesses]
    for cell in cells:
        report.add(cell)
    for kernel in dict.fromkeys(cell.kernel for cell in cells):
        claim_cells(tap, f"{PART}, {kernel}", [cell for cell in cells if cell.kernel == kernel])
    tap.claim(f"{PART}, {cells[0].kernel}: doubt: wrong predictions are found", doubt(guesses))


def judge_sum(cells):
    """Faults in all predictions of a run together."""
    unknown = sum(cell.expected == UNKNOWN for cell in cells)
    faults = [] if len(cells) >= LEAST else [f"{len(cells)} are less than {LEAST}"]
    return faults + ([f"{unknown} of {len(cells)} are unknown"] if unknown > len(cells) * UNKNOWN_SHARE else [])


def summary(cells):
    unknown = sum(cell.expected == UNKNOWN for cell in cells)
    right = sum(cell.agrees for cell in cells)
    return f"predictions: {len(cells)}, of them right {right}, unknown {unknown}, wrong {len(cells) - right}"
