# SPDX-License-Identifier: MIT
"""Every container that our codecs write, extended and cut ones too, through everybody who reads modules: the kernel
itself, kmod 30 and kmod 34. And those in which a good module is lost."""
import dataclasses
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import asking
import forms
import guest
import judge
import kernels
import predict
from asking import Ask, told_by_command
from boot import TOP, Job
from oracle import LOADS, UNSIGNED, Says
from report import claim_cells
from signing import make_keys, program, signed

# Large enough for several blocks and pages, without needs of its own; a kernel has it.
MODULE = "nls_cp949"
MODPROBED = ("as-built.ko.xz", "as-built.ko.zst", "plain.ko")


@dataclasses.dataclass(frozen=True)
class Kmod:
    """UNPACKS are the formats that it reads by itself; those of the kernel it LEAVES to that one. It ANSWERS so to what
    it does not read; ONE_CALL tells whether its zstd needs one frame with a content size."""

    suite: str
    name: str
    unpacks: frozenset
    leaves: bool
    one_call: bool
    answers: Says

    @property
    def root(self):
        return os.path.join(TOP, "kmod", self.suite, "root")


KMODS = (
    # Debian builds it without zlib: a .ko.gz goes to the kernel as if it were plain.
    Kmod("bookworm", "kmod 30", frozenset({"none", "xz", "zstd"}), False, False, UNSIGNED),
    # Here it knows the magic, and has no decoder.
    Kmod("trixie", "kmod 34", frozenset({"none", "xz", "zstd"}), True, True, Says(errno="ENOSYS")),
)
NO_NAME_TELLS = "whether kmod was built with zlib is not in its library's name"
NO_READER = Says(errno="ENOTSUP")  # EOPNOTSUPP by another name: CONFIG_MODULE_DECOMPRESS is off


def by_kernel(kernel, name, lost):
    """What the kernel's own reader says to a container; LOST is None for a good one."""
    if not kernel.reads:
        return NO_READER
    if forms.format_of(name) not in kernel.reads:
        return forms.not_a(*kernel.reads)
    return lost.kernel if lost else LOADS


def by_kmod(kmod, kernel, name, lost):
    form = forms.format_of(name)
    if form not in kmod.unpacks:
        return kmod.answers
    if kmod.leaves and form in kernel.reads:
        return by_kernel(kernel, name, lost)
    if not lost:
        return LOADS
    # Its own errors leave no message of the kernel's.
    return lost.call if kmod.one_call and form == "zstd" else lost.stream


def mark(kmod, kernel, name, lost):
    form = forms.format_of(name)
    if form == "gzip":
        return NO_NAME_TELLS
    return lost.mark() if lost and kmod.leaves and form in kernel.reads else ""


class Subject:
    """One kernel's module in every form, signed by the program under test: with another key, and then with KEY, so that
    each file was extended, cut, and extended again. Those that are signed as they come are there once more, with that
    signature of a VENDOR's left beneath."""

    def __init__(self, suite, key, other, vendor, digest, folder):
        self.suite, self.key, self.folder = suite, key, folder
        self.kernel = kernels.stock(suite)
        self.image = image = self.kernel.image(MODULE)
        os.mkdir(folder)
        self.shipped = signed(image, vendor, digest)
        shipped = forms.shipped_forms(self.shipped)
        exact = forms.every_form(image) | shipped
        self.stacked = {f"stacked-{name}": data for name, data in shipped.items()}
        self.made = exact | self.stacked
        for name, data in self.made.items():
            with open(self.path(name), "wb") as file:
                file.write(data)
        self.outcomes = [program("sign", *options, "--key", by.private, "--cert", by.pem, "--hash", digest,
                                 *map(self.path, names))
                         for options, names in (((), exact), (("--stack",), self.stacked)) for by in (other, key)]
        self.signed = {name: judge.read(self.path(name)) for name in self.made}
        self.lost = forms.lost_forms(signed(image, key, digest), image)

    def path(self, name):
        return os.path.join(self.folder, name)

    def faults(self):
        """Of what was written, as far as it can be told without a kernel."""
        faults = [f"exit status {status}: {out}{err}" for status, out, err in self.outcomes if status]
        for name, data in self.made.items():
            if self.signed[name] == data:
                faults.append(f"{name}: not written")
            beneath = name in self.stacked
            faults += judge.judge_signed(self.path(name), self.key.pem,
                                         judge.digest(self.shipped if beneath else self.image), beneath)
            faults += judge.judge_container(self.path(name))
        return faults

    def files(self, readable):
        """(name, data, Lost or None) in formats that are READABLE; of the others one each will do."""
        everything = [(name, data, None) for name, data in self.signed.items()]
        everything += [(name, lost.data, lost) for name, lost in self.lost.items()]
        others = set()
        for name, data, lost in everything:
            form = forms.format_of(name)
            if form in readable or not (lost or form in others):
                yield name, data, lost
                others.add(form)

    def ask_kernel(self):
        for name, data, lost in self.files(self.kernel.reads):
            if forms.format_of(name) != "none":
                job = Job(case("the kernel", name, lost), "compressed", data, MODULE)
                yield Ask("the kernel", job, by_kernel(self.kernel, name, lost))

    def ask_kmod(self, kmod):
        for name, data, lost in self.files(kmod.unpacks):
            job = Job(case(kmod.name, name, lost), "exec", data, MODULE, kmod.name, ("/sbin/insmod", "@"), suffix(name))
            yield Ask(kmod.name, job, by_kmod(kmod, self.kernel, name, lost), is_module=not lost or lost.readable,
                      mark=mark(kmod, self.kernel, name, lost))

    def tree(self, kmod):
        """Its root, with a directory for each form that modprobe finds below it."""
        root = self.path(kmod.name)
        shutil.copytree(kmod.root, root, symlinks=True)
        for name in MODPROBED:
            base = os.path.join(root, name)
            updates = os.path.join(base, "lib/modules", self.kernel.release, "updates")
            os.makedirs(updates)
            shutil.copyfile(self.path(name), os.path.join(updates, MODULE + suffix(name)))
            subprocess.run(["depmod", "-b", base, self.kernel.release], check=True, capture_output=True)
        return root

    def ask_modprobe(self, kmod):
        for name in MODPROBED:
            job = Job(f"{kmod.name}'s modprobe: {name}", "exec", b"", MODULE, kmod.name,
                      ("/sbin/modprobe", "-d", "/" + name, MODULE))
            yield Ask(f"{kmod.name}'s modprobe", job, LOADS)

    def ask_program(self, kmod, asks, root):
        """(the files in that kmod's root, the job that asks what becomes of them with it)"""
        files = guest.Files(root, [one.job for one in asks])
        command = guest.plant_apart(root)
        guest.plant_kernel(self.kernel, os.path.join(TOP, self.suite, "root"), root)
        return files, guest.asking(f"predict {kmod.name}", self.kernel, files.names.values(), root=kmod.name,
                                   program=command)

    def ask(self):
        """([(Ask, cell, answer)], {Kmod: guesses})"""
        asks, others, trees, files = list(self.ask_kernel()), [], {}, {}
        for kmod in KMODS:
            by_insmod = list(self.ask_kmod(kmod))
            asks += [*by_insmod, *self.ask_modprobe(kmod)]
            trees[kmod.name] = self.tree(kmod)
            files[kmod], job = self.ask_program(kmod, by_insmod, trees[kmod.name])
            others.append(job)
        found, answers = asking.ask("containers", self.kernel.label, self.kernel, asks, others, db=[self.key.der],
                                    preload=[guest.EFIVARFS], trees=trees)
        return found, [self.guesses(kmod, found, files[kmod], answers[f"predict {kmod.name}"]) for kmod in KMODS]

    def guesses(self, kmod, found, files, answer):
        these = [(one, cell, dataclasses.replace(got, errno=told_by_command(one.job, got)))
                 for one, cell, got in found if one.job.id in files.names]
        return predict.of_asks(f"{self.kernel.label} with {kmod.name}", these, files.told(guest.text(answer)))


def case(reader, name, lost):
    return f"{reader}: {'lost: ' if lost else ''}{name}"


def suffix(name):
    return name[name.index(".ko") :]


def fetch(suite):
    command = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "fetch-kmod"), suite]
    status, out, err = judge.run(command)
    if status:
        raise judge.Fault(f"{' '.join(command)}: {out.decode()}{err}")


def check_subject(tap, report, one, found, guesses):
    label = f"containers, {one.kernel.label}"
    tap.claim(f"{label}: sign takes {len(one.made)} forms, twice, {len(one.stacked)} of them with --stack; "
              "each comes out as kernels read it", one.faults())
    claim_cells(tap, label, [cell for _, cell, _ in found])
    tap.claim(f"{label}: doubt: wrong answers are found", asking.doubt(found))
    for _, cell, _ in found:
        report.add(cell)
    for these in guesses:
        predict.claim(tap, report, these)


def check(tap, report):
    for kmod in KMODS:
        fetch(kmod.suite)
    with tempfile.TemporaryDirectory(prefix="containers.") as folder:
        keys = make_keys(os.path.join(folder, "keys"))

        def subject(suite):
            return Subject(suite, keys["rsa"], keys["other"], keys["ec"], "sha256", os.path.join(folder, suite))

        with ThreadPoolExecutor(2) as pool:
            subjects = list(pool.map(subject, kernels.SUITES))
            answers = list(pool.map(Subject.ask, subjects))
        for one, (found, guesses) in zip(subjects, answers):
            check_subject(tap, report, one, found, guesses)
