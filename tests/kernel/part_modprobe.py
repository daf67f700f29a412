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
import varstore
from asking import Ask
from boot import TOP, Job
from forge import attached, flipped
from oracle import LOADS, REJECTED, UNSUPPORTED, Says
from part_containers import KMODS, fetch
from report import claim_cells
from signing import make_keys, message, signed

MODULE = "nls_utf8"
OWN_KMOD = {"bookworm": KMODS[0], "sid": KMODS[1]}
# A digest of each suite's kernel that is a module, and which one is there once it was asked for.
BROUGHT_BY = {"bookworm": ("sha512", "sha512_generic"), "sid": ("sha3-256", "sha3")}
BOOTS = (("bookworm", True), ("sid", True), ("bookworm", False))  # whether modprobe finds that module
ELSEWHERE = "it does not run: where it will, modprobe may find the module"
IS_THERE = Says(errno="EEXIST")


def aliased(kernel, digest):
    """The modules that modprobe loads for this digest."""
    lines = judge.read(os.path.join(kernel.modules, "modules.alias")).decode().splitlines()
    return [line.split()[2] for line in lines if line.startswith(f"alias crypto-{digest} ")]


class Subject:
    """One suite's kernel with that suite's modprobe, and no more modules than it takes for the digest, if FINDS it."""

    def __init__(self, suite, finds, keys, folder):
        self.finds, self.keys, (self.digest, self.brought) = finds, keys, BROUGHT_BY[suite]
        self.kernel = kernels.stock(suite)
        self.label = f"{self.kernel.label}, modprobe {'with' if finds else 'without'} {self.brought}"
        self.folder = os.path.join(folder, f"{suite} {finds}")
        self.root = os.path.join(self.folder, "root")
        shutil.copytree(OWN_KMOD[suite].root, self.root, symlinks=True)
        guest.plant_kernel(self.kernel, os.path.join(TOP, suite, "root"), self.root)
        self.program = guest.plant_apart(self.root)
        self.plant_modules()

    def plant_modules(self):
        target = os.path.join(self.root, "lib/modules", self.kernel.release)
        names = aliased(self.kernel, self.digest) if self.finds else []
        for path in {path for name in names for path in self.kernel.paths(name)}:
            copy = os.path.join(target, os.path.relpath(path, self.kernel.modules))
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(path, copy)
        subprocess.run(["depmod", "-b", self.root, self.kernel.release], check=True, capture_output=True)

    def asks(self):
        image, key = self.kernel.image(MODULE), self.keys["rsa"]
        tampered = flipped(image, image.index(b"GCC: ("))
        of_image = message(image, key, self.digest)
        good = signed(image, key, self.digest)
        for name, data, says in (("good, at the first try", good, LOADS),
                                 ("tampered", attached(tampered, of_image), REJECTED)):
            yield Ask("modprobe", Job(f"{self.digest}: {name}", "file", data, MODULE),
                      says if self.finds else UNSUPPORTED)

    def afterwards(self):
        """What brings the digest is loaded by then, or still can be."""
        data = judge.content(self.kernel.paths(self.brought)[-1])
        return Ask("modprobe", Job(f"{self.digest}: {self.brought} itself", "memory", data, self.brought),
                   IS_THERE if self.finds else LOADS)

    def ask(self):
        """(as asking.ask() returns it; guesses), which were asked for before any digest was needed."""
        asks = list(self.asks())
        files = guest.Files(self.root, [one.job for one in asks])
        job = guest.asking("predict", self.kernel, files.names.values(), program=self.program)
        found, answers = asking.ask("modprobe", self.label, self.kernel, [*asks, self.afterwards()], first=[job],
                                    db=[self.keys["rsa"].der], preload=[guest.EFIVARFS], trees={".": self.root})
        told = files.told(guest.text(answers["predict"]))
        return found, [predict.of_asks(f"{self.label}, from inside", found[:-1], told),
                       predict.of_asks(f"{self.label}, from its files", found[:-1], self.on_host(files),
                                       "" if self.finds else ELSEWHERE, predict.NOT_RUNNING)]

    def on_host(self, files):
        efivars = os.path.join(self.folder, "efivars")
        varstore.show(varstore.trusting([self.keys["rsa"].der]), efivars)
        return files.on_host(self.kernel, efivars)


def check(tap, report):
    for kmod in KMODS:
        fetch(kmod.suite)
    with tempfile.TemporaryDirectory(prefix="modprobe.") as folder:
        keys = make_keys(os.path.join(folder, "keys"), ((),))
        subjects = [Subject(suite, finds, keys, folder) for suite, finds in BOOTS]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(Subject.ask, subjects))
        for subject, (found, guesses) in zip(subjects, answers):
            label = f"modprobe, {subject.label}"
            claim_cells(tap, label, [cell for _, cell, _ in found])
            tap.claim(f"{label}: doubt: wrong answers are found", asking.doubt(found))
            for _, cell, _ in found:
                report.add(cell)
            for these in guesses:
                predict.claim(tap, report, these)
