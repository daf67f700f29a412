# SPDX-License-Identifier: MIT
"""Kernels that are locked down: under Secure Boot, with a firmware that has an owner and a kernel that he signed, and
because the command line says so. Who is in db, in MOK, in dbx, in none?"""
import dataclasses
import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import asking
import guest
import judge
import kernels
import predict
import varstore
from asking import Ask
from boot import TOP, Job, dumped
from forge import attached, flipped
from oracle import LOADS, REJECTED, UNKNOWN, UNSIGNED
from report import claim_cells
from signing import make_keys, message, signed

MODULE = "nls_utf8"
OWNER, IN_DB, IN_MOK, REVOKED, STRANGER = "rsa", "rsa3072", "rsa4096", "pair", "other"
# Debian 6.1 and 6.12 have the patch "MODSIGN: checking the blacklisted hash before loading a kernel module".
LOOKS_FOR_DIGESTS = {"bookworm", "trixie"}
# The module's digest with its signature, as the patch takes it.
BLACKLISTED = REJECTED.saying("Module hash N is blacklisted")


def sign_kernel(kernel, key, folder):
    """The kernel as the owner of a firmware signs it."""
    path = os.path.join(folder, f"vmlinuz-{kernel.release}")
    status, _, err = judge.run(["sbsign", "--key", key.private, "--cert", key.pem, "--output", path, kernel.vmlinuz])
    if status:
        raise judge.Fault(f"sbsign {kernel.vmlinuz}: {err}")
    return dataclasses.replace(kernel, vmlinuz=path)


class Subject:
    def __init__(self, suite, keys, folder):
        self.suite, self.keys = suite, keys
        self.kernel = kernels.stock(suite)
        self.secure = sign_kernel(self.kernel, keys[OWNER], folder)
        self.folder = os.path.join(folder, suite)
        self.image = self.kernel.image(MODULE)
        # Its number in dbx is that of this very file: it is signed otherwise than the one that loads.
        self.listed = self.by(IN_DB, "sha1")

    def by(self, name, digest="sha256", **options):
        return signed(self.image, self.keys[name], digest, **options)

    def tampered(self, name):
        image = flipped(self.image, self.image.index(b"GCC: ("))
        return attached(image, message(self.image, self.keys[name], "sha256"))

    def asks(self, lockdown, has_mok):
        """LOCKDOWN refuses, or is the kernel told to enforce? MOK counts under Secure Boot only."""
        mok = LOADS if has_mok else UNKNOWN
        rows = [
            ("by a key in db", self.by(IN_DB), LOADS),
            ("by a key in db, by its key id", self.by(IN_DB, key_id=True), LOADS),
            ("by a key in MOK", self.by(IN_MOK), mok),
            ("by the owner's key, which is in db", self.by(OWNER), LOADS),
            # CONFIG_SYSTEM_REVOCATION_LIST is off: certificates in dbx are for the firmware only.
            ("by a key in db and in dbx", self.by(REVOKED), LOADS),
            ("this very file in dbx", self.listed, BLACKLISTED if self.suite in LOOKS_FOR_DIGESTS else LOADS),
            ("unsigned", self.image, UNSIGNED),
            ("by an unknown key", self.by(STRANGER), UNKNOWN),
            ("by a key in db, tampered", self.tampered(IN_DB), REJECTED),
            ("by a key in MOK, tampered", self.tampered(IN_MOK), REJECTED if has_mok else UNKNOWN),
            ("by an unknown key, tampered", self.tampered(STRANGER), UNKNOWN),
        ]
        group = "lockdown" if lockdown else "Secure Boot"
        return [Ask(group, Job(f"{group}: {name}", "file", data, MODULE), says, lockdown) for name, data, says in rows]

    def boot(self, lockdown):
        """Secure Boot locks down as well, but it makes IMA enforce signatures, too (arch/x86, ima_arch.c, with
        CONFIG_IMA_ARCH_POLICY), and that is asked first."""
        asks = self.asks(lockdown, has_mok=not lockdown)
        keys = {name: self.keys[name].der for name in (IN_DB, IN_MOK, REVOKED, OWNER)}
        lists = {"db": [keys[IN_DB], keys[REVOKED]], "mok": [keys[IN_MOK]],
                 "dbx": [keys[REVOKED], hashlib.sha256(self.listed).digest()]}
        with_owner = lists | {"db": [*lists["db"], keys[OWNER]]}
        options = with_owner | {"words": ["lockdown=integrity"]} if lockdown else lists | {"secure": keys[OWNER]}
        tree = os.path.join(self.folder, "lockdown" if lockdown else "secure")
        guest.plant(self.kernel, os.path.join(TOP, self.suite, "root"), tree)
        files = guest.Files(tree, [one.job for one in asks])
        kernel = self.kernel if lockdown else self.secure
        found, answers = asking.ask("secureboot", self.kernel.label, kernel, asks,
                                    [Job("dump", "dump"), *files.both(self.kernel)], enforce=False,
                                    preload=[guest.EFIVARFS], trees={".": tree}, **options)
        varstore.show(varstore.trusting(**with_owner), tree + ".efivars", not lockdown)
        host = files.on_host(self.kernel, tree + ".efivars")
        return found, files, answers, host


def judge_state(answer, lockdown):
    facts, _, _ = dumped(answer)
    wanted = {"lockdown": "none [integrity] confidentiality", "sig_enforce": "N" if lockdown else "Y"}
    return [f"{name} is {facts.get(name)!r}, not {value!r}" for name, value in wanted.items()
            if facts.get(name) != value]


def doubt_state(answer, lockdown):
    faults = [] if judge_state(answer, not lockdown) else ["went through: the other kind of boot"]
    lines = [line for line in answer.output if not line.startswith(("lockdown ", "sig_enforce "))]
    for kept in ((), ("lockdown [none] integrity confidentiality",)):
        if not judge_state(dataclasses.replace(answer, output=(*lines, *kept)), lockdown):
            faults.append(f"went through: a state of {kept}")
    return faults


def check(tap, report):
    with tempfile.TemporaryDirectory(prefix="secureboot.") as folder:
        keys = make_keys(os.path.join(folder, "keys"))
        subjects = [Subject(suite, keys, folder) for suite in kernels.SUITES]
        boots = [(subject, lockdown) for subject in subjects for lockdown in (False, True)]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda one: one[0].boot(one[1]), boots))
    for (subject, lockdown), (found, files, answer, host) in zip(boots, answers):
        state = answer["dump"]
        label = f"secureboot, {subject.kernel.label}"
        claim_cells(tap, label, [cell for _, cell, _ in found])
        group = found[0][0].group
        tap.claim(f"{label}: {group}: what the kernel enforces", judge_state(state, lockdown))
        tap.claim(f"{label}: {group}: doubt: wrong answers are found",
                  asking.doubt(found) + doubt_state(state, lockdown))
        for _, cell, _ in found:
            report.add(cell)
        told = files.told(guest.text(answer["status"]))
        predict.claim(tap, report, predict.of_asks(f"{subject.kernel.label}, {group}, from inside", found, told))
        predict.claim(tap, report, predict.of_asks(f"{subject.kernel.label}, {group}, from its files", found, host,
                                                   conditional=predict.NOT_RUNNING if lockdown else ""))
        tap.claim(f"{label}: {group}: status and verify predict the same", files.judge_both(answer))
