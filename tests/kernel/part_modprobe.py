# SPDX-License-Identifier: MIT
"""A digest that a kernel has as a module, which is not loaded: the kernel asks /sbin/modprobe for it when a signature
needs it (crypto_alg_mod_lookup() of crypto/api.c), and so loads what it refuses where there is no modprobe, as in the
boots of part_stock."""
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import asking
import guest
import judge
import kernels
import predict
from asking import Ask
from boot import TOP, Job
from oracle import LOADS, REJECTED, Says
from part_containers import KMODS, fetch
from forge import attached, flipped
from report import claim_cells
from signing import make_keys, message, signed

MODULE = "nls_utf8"
OWN_KMOD = {"bookworm": KMODS[0], "sid": KMODS[1]}
# The digests of a suite's kernel that are modules, and which module is there once one of them was asked for.
BROUGHT_BY = {"bookworm": {"sha384": "sha512_generic", "sha512": "sha512_generic"},
              "sid": {digest: "sha3" for digest in ("sha3-256", "sha3-384", "sha3-512")}}
IS_THERE = Says(errno="EEXIST")


def aliased(kernel, digest):
    """The modules that modprobe loads for this digest."""
    lines = judge.read(os.path.join(kernel.modules, "modules.alias")).decode().splitlines()
    return [line.split()[2] for line in lines if line.startswith(f"alias crypto-{digest} ")]


class Subject:
    """One suite's kernel with that suite's modprobe and no more modules than this one takes for DIGEST. Each digest has
    a boot of its own: the next one might find the module loaded."""

    def __init__(self, suite, digest, keys, folder):
        self.suite, self.digest, self.keys = suite, digest, keys
        self.kernel = kernels.stock(suite)
        self.root = os.path.join(folder, digest)
        shutil.copytree(OWN_KMOD[suite].root, self.root, symlinks=True)
        self.plant_modules()
        guest.plant_kernel(self.kernel, os.path.join(TOP, suite, "root"), self.root)
        self.program = guest.plant_apart(self.root)

    def plant_modules(self):
        target = os.path.join(self.root, "lib/modules", self.kernel.release)
        for path in {path for name in aliased(self.kernel, self.digest) for path in self.kernel.paths(name)}:
            copy = os.path.join(target, os.path.relpath(path, self.kernel.modules))
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(path, copy)
        subprocess.run(["depmod", "-b", self.root, self.kernel.release], check=True, capture_output=True)

    def asks(self):
        image, key = self.kernel.image(MODULE), self.keys["rsa"]
        tampered = flipped(image, image.index(b"GCC: ("))
        of_image = message(image, key, self.digest)
        brings = self.kernel.paths(BROUGHT_BY[self.suite][self.digest])[-1]
        rows = [("tampered, at the first try", attached(tampered, of_image), REJECTED),
                ("good", signed(image, key, self.digest), LOADS)]
        for name, data, says in rows:
            yield Ask("modprobe", Job(f"{self.digest}: {name}", "file", data, MODULE), says)
        name = os.path.basename(brings).partition(".ko")[0]
        yield Ask("modprobe", Job(f"{self.digest}: {name} is loaded by then", "memory", judge.content(brings), name),
                  IS_THERE)

    def ask(self):
        """As asking.ask() returns it; what is predicted is asked before any digest was needed."""
        *asks, brought = self.asks()
        files = guest.Files(self.root, [one.job for one in asks])
        job = guest.asking("predict", self.kernel, files.names.values(), program=self.program)
        found, answers = asking.ask("modprobe", self.kernel.label, self.kernel, [*asks, brought], first=[job],
                                    db=[self.keys["rsa"].der], preload=[guest.EFIVARFS], trees={".": self.root})
        return found, predict.of_asks(f"{self.kernel.label}, with modprobe", found[:-1],
                                      files.told(guest.text(answers["predict"])))


def check(tap, report):
    for kmod in KMODS:
        fetch(kmod.suite)
    with tempfile.TemporaryDirectory(prefix="modprobe.") as folder:
        keys = make_keys(os.path.join(folder, "keys"), ((),))
        subjects = [Subject(suite, digest, keys, folder) for suite, digests in BROUGHT_BY.items() for digest in digests]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(Subject.ask, subjects))
        for subject, (found, guesses) in zip(subjects, answers):
            label = f"modprobe, {subject.kernel.label}, {subject.digest}"
            claim_cells(tap, label, [cell for _, cell, _ in found])
            tap.claim(f"{label}: doubt: wrong answers are found", asking.doubt(found))
            for _, cell, _ in found:
                report.add(cell)
            predict.claim(tap, report, guesses)
