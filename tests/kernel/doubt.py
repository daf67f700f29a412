# SPDX-License-Identifier: MIT
"""Puts wrong answers in the place of right ones, and wrong expectations: a comparison that holds whatever it is given
would prove nothing. Each function returns faults; here a fault is a wrong one that went through."""
import dataclasses

import boot
import oracle
from boot import Answer, BootError, Job

ALL = (oracle.LOADS, oracle.UNSIGNED, oracle.UNKNOWN, oracle.UNSUPPORTED, oracle.REJECTED, oracle.MALFORMED,
       oracle.INVALID, oracle.TOO_LONG, oracle.NO_MODULE, oracle.UNSIGNED_NO_MODULE)
TOO_SHORT = 2  # seconds, for any boot


def wrong_answers(answer):
    """The kernel's, each with something else in it."""
    yield "another errno", dataclasses.replace(answer, errno="EPERM")
    yield "loads" if answer.errno else "refused", dataclasses.replace(answer, errno="" if answer.errno else "EBADMSG")
    yield "one more message", dataclasses.replace(answer, messages=(*answer.messages, "PKCS7: Bad"))
    if not answer.errno:
        yield "another taint", dataclasses.replace(answer, taint="" if answer.taint else "E")
    if [message for message in answer.messages if oracle.ANSWER.search(message)]:
        yield "no messages", dataclasses.replace(answer, messages=())


def wrong_verdicts(verify, status, seen):
    for other in set(oracle.EXIT) - {verify}:
        yield f"verify says {other}", (other, status, seen)
        yield f"status says {other}", (verify, status, other)
    for other in set(range(5)) - {status}:
        yield f"exit status {other}", (verify, other, seen)


def doubt_cells(found, enforce, verdicts):
    """FOUND are [(row, what the kernel was to say, the cell, its answer)], the right ones."""
    faults = []
    for row, says, cell, answer in found:
        if not cell.agrees:
            continue  # that is said already
        right = verdicts[row.id]
        tries = [(what, says, right, wrong) for what, wrong in wrong_answers(answer)]
        tries += [(what, says, wrong, answer) for what, wrong in wrong_verdicts(*right)]
        tries += [(f"expected {other.text(enforce)}", other, right, answer) for other in ALL
                  if other.text(enforce) != says.text(enforce)]
        for what, said, verdict, got in tries:
            if oracle.compared(cell.part, cell.kernel, row, said, enforce, verdict, got).agrees:
                faults.append(f"went through: {row.id}: {what}")
    return faults + doubt_swapped(found, enforce, verdicts)


def doubt_swapped(found, enforce, verdicts):
    """Each gets the answer of the next that was to be told something else."""
    faults = []
    for number, (row, says, cell, _) in enumerate(found):
        others = [one for one in (*found[number:], *found[:number]) if one[1].text(enforce) != says.text(enforce)]
        if not others:
            faults.append(f"{row.id}: all answers are alike")
        elif oracle.compared(cell.part, cell.kernel, row, says, enforce, verdicts[row.id], others[0][3]).agrees:
            faults.append(f"went through: {row.id} with the answer of {others[0][0].id}")
    return faults


def doubt_twins(judge_twins, answers):
    """ANSWERS are right ones."""
    faults = []
    for name in ("twin pair True", "twin pair_twin True", "twin pair False", "twin pair_twin False"):
        for wrong in (Answer(""), Answer("EKEYREJECTED"), Answer("EBADMSG")):
            if wrong.errno != answers[name].errno and not judge_twins(answers | {name: wrong}):
                faults.append(f"went through: {name}: {wrong}")
    return faults


def doubt_keys(judge_keys, answer):
    """ANSWER is a right one: a kernel's keys, keyrings and settings. Each of them changed in turn; of the keys and
    rings, those that db is read into."""
    members = [line for line in answer.output if line.startswith("member .platform")]
    settings = [line for line in answer.output if line.split()[0] in ("release", "sig_enforce", "lockdown")]
    faults = ["no members or settings to doubt"] if not members or len(settings) != 3 else []
    for line in members + settings:
        rest = tuple(other for other in answer.output if other != line)
        if not judge_keys(dataclasses.replace(answer, output=rest)):
            faults.append(f"went through: without {line!r}")
    strange = ("key 00000001 I------ 1 perm 1f030000 0 0 asymmetric strange: 00: X509.rsa 00 []",
               "member .platform 00000001")
    if not judge_keys(dataclasses.replace(answer, output=answer.output + strange)):
        faults.append("went through: one more key")
    return faults


def raises(function, *arguments):
    try:
        function(*arguments)
    except BootError:
        return True
    return False


def doubt_boots(kernel):
    """Answers that lack something, and a kernel that does not come to its end."""
    jobs = [Job("a", "file", b"x", "a"), Job("b", "file", b"x", "b")]
    right = ["\t".join(words) for words in (("answer", "a", "0", "0", ""), ("kernel", "a", "a message"),
                                            ("answer", "b", "129", "0", "E"))]
    expected = {"a": Answer("", ("a message",)), "b": Answer("EKEYREJECTED", (), "E")}
    faults = [] if boot.read_answers(jobs, right) == expected else ["right answers are not read"]
    wrong = {"no answer": right[:2], "an answer too many": right + right[:1], "a fault": right + ["fault\ta\tcannot"]}
    faults += [f"went through: {what}" for what, lines in wrong.items()
               if not raises(boot.read_answers, jobs, lines)]
    if not raises(lambda: boot.boot(kernel, [Job("a", "dump")], timeout=TOO_SHORT)):
        faults.append("went through: a boot without an end")
    return faults
