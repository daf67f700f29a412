# SPDX-License-Identifier: MIT
"""The oracle: every case beside four answers: what was written down before, what verify and status say, what is
predicted, and what Debian's kernels do, enforcing signatures and not."""
import hashlib
import json
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor

import doubt
import forge
import guest
import judge
import kernels
import oracle
import predict
import varstore
from boot import TOP, Job, boot, dumped, keeping
from cases import KNOWN, Cases
from report import claim_cells
from signing import make_keys, program, signed

# Small, without needs of their own, and done with when they are unloaded; a kernel has them all.
MODULES = ("nls_ascii", "nls_utf8", "dummy")
FIRST, LATER = "as it starts", "with {}"
TWINS = ("pair", "pair_twin")  # two keys; their certificates have one name and serial number
BY_KEY_ID = tuple(f"twin {name} True" for name in TWINS)
ONE_OF_TWO = "two certificates answer to the name and number: which of them the kernel takes is not said anywhere"
NOTHING = {"error": "nothing"}
NO_MODULE = "an empty file|not a kernel module|truncated ELF module"
KEY_GROUP = "key, digest, signer id"


def makes_sha3_of_ecdsa(keys):
    """OpenSSL 3.2 and later."""
    try:
        forge.cms(b"data", keys["ec"].pair, "sha3-256", *forge.PLAIN)
    except judge.Fault:
        return False
    return True


class Subject:
    """One kernel, its cases, and what verify and status say of them."""

    def __init__(self, suite, keys, folder):
        self.kernel, self.abilities, self.keys = kernels.stock(suite), kernels.ABILITIES[suite], keys
        self.tree = os.path.join(folder, suite)
        self.folder = os.path.join(self.tree, guest.ROWS)
        guest.plant(self.kernel, os.path.join(TOP, suite, "root"), self.tree)
        os.mkdir(self.folder)
        images = {name: self.kernel.image(name) for name in MODULES}
        self.rows = Cases(images, keys, makes_sha3_of_ecdsa(keys)).rows()
        self.certs = [option for name in KNOWN for option in ("--cert", keys[name].pem)]
        self.twins = self.signed_by_twins(images)
        self.names = {one.id: f"{number}.ko" for number, one in enumerate([*self.rows, *self.twins])}
        self.faults = []
        self.verdicts = self.ask_program()

    def signed_by_twins(self, images):
        name, image = next(iter(images.items()))
        return [Job(f"twin {key} {key_id}", "file", signed(image, self.keys[key], "sha256", key_id=key_id), name)
                for key in TWINS for key_id in (False, True)]

    def ask_program(self):
        """{row's id: (verify's verdict, its exit status, status' verdict)}"""
        paths = {id: os.path.join(self.folder, name) for id, name in self.names.items()}
        for one in (*self.rows, *self.twins):
            with open(paths[one.id], "wb") as file:
                file.write(one.data)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            verified = list(pool.map(lambda row: self.verified(row, paths[row.id]), self.rows))
        status = {}
        for is_module, expected in ((True, 0), (False, 1)):
            these = [paths[row.id] for row in self.rows if (row.verdict != "no module") == is_module]
            answer = program("status", "--json", *self.certs, *these)
            status |= {module["path"]: module for module in modules_of(answer)}
            if answer[0] != expected:
                self.faults.append(f"status of {len(these)} files ends with {answer[0]}, not {expected}: {answer[2]}")
        return {row.id: (*verdict, told(status.get(paths[row.id], NOTHING), row))
                for row, verdict in zip(self.rows, verified)}

    def verified(self, row, path):
        answer = program("verify", "--json", *self.certs, path)
        found = modules_of(answer)
        verdict = told(found[0], row) if len(found) == 1 else f"{len(found)} modules"
        if row.words:
            text = program("verify", *self.certs, path)[1]
            verdict += "" if re.search(row.words, text, re.I) else f", without a word of {row.words!r}: {text.strip()}"
        return verdict, answer[0]

    def states(self):
        """[(state, abilities, the module of the kernel's that makes it, rows)], in the order in which they come."""
        states = [(FIRST, self.abilities, "", self.rows)]
        for module in self.abilities.later:
            rows = [row for row in self.rows if row.group == KEY_GROUP]
            states.append((LATER.format(module), self.abilities.with_module(module), module, rows))
        return states

    def jobs(self):
        """One after the other in one boot: what is loaded for a later state stays."""
        for state, _, module, rows in self.states():
            if module:
                yield from keeping(self.kernel, module)
            yield guest.asking(f"predict {state}", self.kernel, map(self.inside, [*rows, *self.twins]))
            for row in rows:
                yield Job(f"{state}: {row.id}", row.way, row.data, row.module)
        yield from self.twins
        yield Job("keys", "dump")

    def inside(self, row):
        """The file of a row, or of a job, in the guest."""
        return f"/{guest.ROWS}/{self.names[row.id]}"

    def trusting(self):
        """db and dbx."""
        digests = [hashlib.sha256(row.data).digest() for row in self.rows if row.is_revoked]
        return {"db": [self.keys[name].der for name in (*KNOWN, *TWINS)], "dbx": [self.keys["revoked"].der, *digests]}

    def boot(self, enforce):
        return boot(self.kernel, list(self.jobs()), **self.trusting(), enforce=enforce, preload=[guest.EFIVARFS],
                    trees={".": self.tree})

    def label(self, state, enforce):
        return f"{self.kernel.label} {state}, {'' if enforce else 'not '}enforcing"

    def cells(self, enforce, answers):
        """[(row, what the kernel says, the cell, its answer)]"""
        for state, abilities, _, rows in self.states():
            for row in rows:
                says = oracle.checked(row, row.kernel(abilities))
                answer = answers[f"{state}: {row.id}"]
                cell = oracle.compared("stock", self.label(state, enforce), row, says, enforce, self.verdicts[row.id],
                                       answer)
                yield row, says, cell, answer

    def guesses(self, enforce, answers):
        """What was predicted inside that boot, before each state's modules were loaded."""
        for state, abilities, _, rows in self.states():
            told = guest.predictions(guest.text(answers[f"predict {state}"]))
            yield from self.of_rows(self.label(state, enforce), state, abilities, rows, told, answers, enforce)

    def guesses_on_host(self, answers):
        """What is predicted of the kernel's files and variables, beside a boot that enforces. Not of rows about which a
        module decides that may be loaded or not: those are asked in part_modprobe."""
        efivars = f"{self.tree}.efivars"
        varstore.show(varstore.trusting(**self.trusting()), efivars)
        _, abilities, _, rows = self.states()[0]
        changed = [abilities.with_module(module) for module in abilities.later]
        rows = [row for row in rows if all(row.kernel(able) == row.kernel(abilities) for able in changed)]
        told = guest.on_host(self.tree, self.kernel, efivars, map(self.inside, [*rows, *self.twins]))
        return self.of_rows(f"{self.kernel.label}, from its files", FIRST, abilities, rows, told, answers, True,
                            predict.NOT_RUNNING)

    def of_rows(self, label, state, abilities, rows, told, answers, enforce, conditional=""):
        for row in rows:
            yield predict.Guess(label, row.group, row.name, row.kernel(abilities), answers[f"{state}: {row.id}"],
                                told.get(self.inside(row)), enforce, row.verdict != "no module", row.mark(abilities),
                                conditional)
        for job in self.twins * (state == FIRST):
            yield predict.Guess(label, "certificates with one name and number", job.id, oracle.LOADS, answers[job.id],
                                told.get(self.inside(job)), enforce, mark="" if job.id in BY_KEY_ID else ONE_OF_TWO,
                                conditional=conditional)


def modules_of(answer):
    try:
        return json.loads(answer[1])["modules"]
    except (ValueError, KeyError, TypeError):
        return []


def told(module, row):
    """The verdict, and what differs of the first signer."""
    if module["error"]:
        return "no module" if re.search(NO_MODULE, module["error"]) else module["error"]
    verdict = module["verdict"]
    if not row.signer:
        return verdict
    found = module["signers"][0] if module.get("signers") else {}
    seen = {"hash": found.get("hash"), "key_id": bool(found.get("key_id")), "serial": bool(found.get("serial"))}
    return verdict if seen == row.signer else f"{verdict}, {seen}"


def judge_twins(answers):
    """By its key id each is found; by name and number the kernel finds one, and the other's signatures are bad."""
    faults = [f"{name} by key id: {oracle.answered(answers[f'twin {name} True'])}" for name in TWINS
              if oracle.answered(answers[f"twin {name} True"]) != "loads"]
    by_name = sorted(oracle.answered(answers[f"twin {name} False"]) for name in TWINS)
    return faults + ([] if by_name == ["EKEYREJECTED", "loads"] else [f"by name and number: {by_name}"])


def judge_keys(subject, answer, enforce):
    """The kernel took those certificates that it can check, and no others of ours; and it enforces as it was told."""
    facts, rings, keys = dumped(answer)
    found = sorted(keys[serial].split(maxsplit=8)[8].split(": ")[0] for serial in rings.get(".platform", ()))
    names = [name for name in (*KNOWN, *TWINS)
             if oracle.can_check(subject.abilities, subject.keys[name], "sha256").kind() != oracle.UNKNOWN.kind()]
    expected = sorted(subject.keys[TWINS[0] if name in TWINS else name].subject for name in names)
    faults = [] if found == expected else [f".platform has {found}, not {expected}"]
    wanted = {"release": subject.kernel.release, "sig_enforce": "NY"[enforce],
              "lockdown": "[none] integrity confidentiality"}
    return faults + [f"{name} is {facts.get(name)!r}, not {value!r}" for name, value in wanted.items()
                     if facts.get(name) != value]


def claim_boot(tap, report, subject, enforce, answers):
    found = list(subject.cells(enforce, answers))
    for _, _, cell, _ in found:
        report.add(cell)
    for kernel in dict.fromkeys(cell.kernel for _, _, cell, _ in found):
        claim_cells(tap, kernel, [cell for _, _, cell, _ in found if cell.kernel == kernel])
    predict.claim(tap, report, list(subject.guesses(enforce, answers)))

    def judge_dump(answer):
        return judge_keys(subject, answer, enforce)

    label = f"{subject.kernel.label}, {'' if enforce else 'not '}enforcing"
    tap.claim(f"{label}: keys, lockdown, enforcement", judge_dump(answers["keys"]))
    tap.claim(f"{label}: certificates with one name and number", judge_twins(answers))
    tap.claim(f"{label}: doubt: wrong answers are found",
              doubt.doubt_cells(found, enforce, subject.verdicts) + doubt.doubt_twins(judge_twins, answers)
              + doubt.doubt_keys(judge_dump, answers["keys"]))


def check(tap, report):
    with tempfile.TemporaryDirectory(prefix="stock.") as folder:
        keys = make_keys(os.path.join(folder, "keys"))
        tap.note(f"ECDSA with SHA-3: {'as well' if makes_sha3_of_ecdsa(keys) else 'not with this OpenSSL'}")
        # Two processors; each kernel's cases are made, then it boots twice.
        with ThreadPoolExecutor(2) as pool:
            subjects = list(pool.map(lambda suite: Subject(suite, keys, folder), kernels.SUITES))
            boots = [(subject, enforce) for subject in subjects for enforce in (True, False)]
            answers = list(pool.map(lambda one: one[0].boot(one[1]), boots))
        for subject in subjects:
            tap.claim(f"{subject.kernel.label}: how status ends", subject.faults)
        for (subject, enforce), answer in zip(boots, answers):
            claim_boot(tap, report, subject, enforce, answer)
            if enforce:
                predict.claim(tap, report, list(subject.guesses_on_host(answer)))
        tap.claim("doubt: a boot that tells nothing is an error", doubt.doubt_boots(subjects[0].kernel))
