# SPDX-License-Identifier: MIT
"""The oracle: every case beside three answers: what was written down before, what verify and status say, and what
Debian's kernels do, enforcing signatures and not."""
import hashlib
import json
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor

import doubt
import forge
import judge
import kernels
import oracle
from boot import Job, boot, dumped, keeping
from cases import KNOWN, Cases
from signing import make_keys, program, signed

# Small, without needs of their own, and done with when they are unloaded; a kernel has them all.
MODULES = ("nls_ascii", "nls_utf8", "dummy")
FIRST, LATER = "as it starts", "with {}"
TWINS = ("pair", "pair_twin")  # two keys; their certificates have one name and serial number
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
        self.folder = os.path.join(folder, suite)
        os.mkdir(self.folder)
        images = {name: self.kernel.image(name) for name in MODULES}
        self.rows = Cases(images, keys, makes_sha3_of_ecdsa(keys), self.folder).rows()
        self.certs = [option for name in KNOWN for option in ("--cert", keys[name].pem)]
        self.twins = self.signed_by_twins(images)
        self.faults = []
        self.verdicts = self.ask_program()

    def signed_by_twins(self, images):
        name, image = next(iter(images.items()))
        return [Job(f"twin {key} {key_id}", "file", signed(image, self.keys[key], "sha256", key_id=key_id), name)
                for key in TWINS for key_id in (False, True)]

    def ask_program(self):
        """{row's id: (verify's verdict, its exit status, status' verdict)}"""
        paths = {row.id: os.path.join(self.folder, f"{number}.ko") for number, row in enumerate(self.rows)}
        for row in self.rows:
            with open(paths[row.id], "wb") as file:
                file.write(row.data)
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
            for row in rows:
                yield Job(f"{state}: {row.id}", row.way, row.data, row.module)
        yield from self.twins
        yield Job("keys", "dump")

    def boot(self, enforce):
        certs = [self.keys[name].der for name in (*KNOWN, *TWINS)]
        digests = [hashlib.sha256(row.data).digest() for row in self.rows if row.is_revoked]
        return boot(self.kernel, list(self.jobs()), db=certs, dbx=[self.keys["revoked"].der, *digests], enforce=enforce)

    def cells(self, enforce, answers):
        """[(row, what the kernel says, the cell, its answer)]"""
        for state, abilities, _, rows in self.states():
            label = f"{self.kernel.label} {state}, {'' if enforce else 'not '}enforcing"
            for row in rows:
                says = oracle.checked(row, row.kernel(abilities))
                answer = answers[f"{state}: {row.id}"]
                cell = oracle.compared("stock", label, row, says, enforce, self.verdicts[row.id], answer)
                yield row, says, cell, answer


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


def claim_cells(tap, label, cells):
    """A claim a group."""
    groups = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    for group, members in groups.items():
        tap.claim(f"{label}: {group}: {len(members)} cases",
                  [f"{cell.case}: expected {cell.expected}; found {cell.found}" for cell in members if not cell.agrees])


def claim_boot(tap, report, subject, enforce, answers):
    found = list(subject.cells(enforce, answers))
    for _, _, cell, _ in found:
        report.add(cell)
    for kernel in dict.fromkeys(cell.kernel for _, _, cell, _ in found):
        claim_cells(tap, kernel, [cell for _, _, cell, _ in found if cell.kernel == kernel])

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
        tap.claim("doubt: a boot that tells nothing is an error", doubt.doubt_boots(subjects[0].kernel))
