# SPDX-License-Identifier: MIT
"""examples/custom-kernel, step for step: makepkg and pacman, make bindeb-pkg and dpkg make and install a kernel of our
own, and that says what it loads. Then the next release of it, with a new key."""
import dataclasses
import os
import stat
import subprocess
import tarfile
import tempfile

import asking
import judge
from asking import Ask
from boot import TOP, Job, Kernel
from oracle import LOADS, UNKNOWN, UNSIGNED
from report import claim_cells

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(TOP, "own/root")
CUSTOM = os.path.join(ROOT, "build/custom")
DEBS = os.path.join(ROOT, "build/linux-custom/src")
INSTALLED = {"arch": os.path.join(ROOT, "build/arch"), "debian": ROOT}
IN_TREE = "kernel/crypto/xxhash_generic.ko"  # the kernel's own and only module
STEPS = {"arch": "makepkg --nobuild, makepkg --noextract, pacman -U", "debian": "debian.sh update, build, install"}
PRIVATE = ("signing_key.pem", "signing_prv.pem")


def custom_build(*step):
    """Faults: the end of what it said, if it fails."""
    path = os.path.join(TOP, f"custom-build-{'-'.join(step)}.log")
    with open(path, "wb") as log:
        done = subprocess.run([os.path.join(HERE, "custom-build"), *step], stdout=log, stderr=log, check=False)
    lines = judge.read(path).decode(errors="replace").splitlines()
    return [f"exit status {done.returncode}, see {path}", *lines[-8:]] if done.returncode else []


def program(*command):
    """Faults of kernel-sign in the root."""
    status, out, err = judge.run([os.path.join(HERE, "inside"), ROOT, "kernel-sign", *command])
    return [f"kernel-sign {' '.join(command)}: exit status {status}: {out.decode()}{err}"] if status else []


@dataclasses.dataclass(frozen=True)
class Custom:
    """The kernel of one WAY and RELEASE, as it is installed; SIGNED is its module as it was then."""

    way: str
    number: str
    release: str
    image: bytes
    signed: bytes
    cert: bytes

    @property
    def label(self):
        return f"custom {self.way} {self.number}, {self.release}"

    @property
    def top(self):
        return INSTALLED[self.way]

    def path(self, *names):
        return os.path.join(self.top, "usr/lib/modules", self.release, *names)

    def kernel(self):
        vmlinuz = {"arch": self.path("vmlinuz"), "debian": os.path.join(ROOT, f"boot/vmlinuz-{self.release}")}[self.way]
        return Kernel(f"custom {self.way} {self.number}", self.release, vmlinuz, "", firmware=False)

    def judge_module(self):
        """Signed with the key of this kernel, and verify finds that key."""
        with tempfile.NamedTemporaryFile(suffix=".pem") as cert:
            cert.write(self.cert)
            cert.flush()
            faults = judge.judge_signed(self.path("updates/dkms/probe.ko"), cert.name, judge.digest(self.image))
        root = "/" + os.path.relpath(self.top, ROOT)
        return faults + program("verify", "--root", root, "-k", self.release)

    def judge_in_tree(self):
        """Signed, but not with our key: with the one that the build made for itself."""
        image, messages = judge.split(judge.read(self.path(IN_TREE)))
        if len(messages) != 1:
            return [f"{len(messages)} signatures"]
        with tempfile.NamedTemporaryFile(suffix=".pem") as cert:
            cert.write(self.cert)
            cert.flush()
            return [] if judge.judge_cms(image, messages[0], cert.name) else ["signed with the key of genkeys"]

    def judge_private(self):
        """root's alone."""
        faults = []
        for name in PRIVATE:
            info = os.stat(key_folder(self) + name)
            if info.st_uid or stat.S_IMODE(info.st_mode) != 0o600:
                faults.append(f"{name}: owner {info.st_uid}, mode {stat.S_IMODE(info.st_mode):o}")
        return faults


def key_folder(custom):
    """build leads to a place in the root that dpkg installed to."""
    build = custom.path("build")
    if os.path.islink(build):
        build = ROOT + os.readlink(build)
    return os.path.join(build, "certs-local/current/")


def installed(way, number):
    stem = os.path.join(CUSTOM, f"result/{way}-{number}")
    custom = Custom(way, number, judge.read(stem).decode().strip(), judge.read(stem + ".ko"), b"", b"")
    key = judge.read(key_folder(custom) + "signing_key.pem").decode()
    cert = key[key.index("-----BEGIN CERTIFICATE-----"):].encode()
    return dataclasses.replace(custom, signed=judge.read(custom.path("updates/dkms/probe.ko")), cert=cert)


def members(package):
    """{name: (mode, owner)} in one of either kind."""
    unpack = {".deb": ["dpkg-deb", "--fsys-tarfile", package], ".zst": ["zstd", "-qdc", package]}
    status, out, err = judge.run(unpack[judge.suffix(package)])
    if status:
        raise judge.Fault(f"{package}: {err}")
    with tempfile.TemporaryFile() as file:
        file.write(out)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            return {one.name: (one.mode, one.uid) for one in archive}


def judge_packages(way, number):
    """Which packages hold the private key: none of Debian's, Arch's headers, and there it is root's alone."""
    folder, suffix = (CUSTOM, f"-{number}-x86_64.pkg.tar.zst") if way == "arch" else (DEBS, f"-{number}_amd64.deb")
    names = sorted(name for name in os.listdir(folder) if name.endswith(suffix))
    keys = {name: {os.path.basename(path): found for path, found in members(os.path.join(folder, name)).items()
                   if os.path.basename(path) in PRIVATE} for name in names}
    faults = [] if len(names) == (2 if way == "arch" else 3) else [f"packages: {names}"]
    for name, found in keys.items():
        expected = {one: (0o600, 0) for one in PRIVATE} if name.startswith("linux-custom-headers-") else {}
        faults += [f"{name}: {found}"] if found != expected else []
    return faults


def asks(custom, strangers):
    """STRANGERS are those whose keys this one does not trust."""
    def ask(name, data, says, module="probe"):
        return Ask("keys", Job(name, "memory", data, module), says)

    yield ask("the module that DKMS builds, signed", custom.signed, LOADS)
    yield ask("the same, unsigned", custom.image, UNSIGNED)
    yield ask("the kernel's own module", judge.read(custom.path(IN_TREE)), LOADS, "xxhash_generic")
    for other in strangers:
        yield ask(f"signed with the key of {other.label}", other.signed, UNKNOWN)


def check_step(tap, way, number):
    """What is installed, or None if the steps failed."""
    faults = custom_build(way, number)
    tap.claim(f"custom {way} {number}: {STEPS[way]}", faults)
    if faults:
        return None
    tap.claim(f"custom {way} {number}: who gets the private key with a package", judge_packages(way, number))
    custom = installed(way, number)
    tap.claim(f"{custom.label}: its module is signed with its key", custom.judge_module())
    tap.claim(f"{custom.label}: the kernel's own with another", custom.judge_in_tree())
    tap.claim(f"{custom.label}: the installed private key is root's alone", custom.judge_private())
    return custom


def check_kernel(tap, report, custom, strangers=()):
    found, _ = asking.ask("custom", custom.label, custom.kernel(), list(asks(custom, strangers)))
    claim_cells(tap, custom.label, [cell for _, cell, _ in found])
    tap.claim(f"{custom.label}: doubt: wrong answers are found", asking.doubt(found))
    for _, cell, _ in found:
        report.add(cell)


def claim_new_key(tap, first, second):
    tap.claim(f"{second.label}: has a new key", [] if first.cert != second.cert else ["it has the same"])


def check_arch(tap, report):
    """pacman replaces a kernel by the next release."""
    first = check_step(tap, "arch", "1")
    if not first:
        return
    check_kernel(tap, report, first)
    second = check_step(tap, "arch", "2")
    if not second:
        return
    claim_new_key(tap, first, second)
    there = os.path.exists(first.path("vmlinuz"))
    tap.claim(f"{second.label}: replaces the first", ["which is still there"] if there else [])
    check_kernel(tap, report, second, [first])


def check_debian(tap, report):
    """dpkg has both releases, each with its key."""
    both = [check_step(tap, "debian", number) for number in "12"]
    if None in both:
        return
    claim_new_key(tap, *both)
    tap.claim("custom debian: a new module in both kernels, sign -k all", custom_build("all"))
    first, second = (installed("debian", number) for number in "12")
    for custom, other in ((first, second), (second, first)):
        tap.claim(f"{custom.label}: its new module is signed with its key", custom.judge_module())
        check_kernel(tap, report, custom, [other])


def check(tap, report):
    faults = custom_build("lay")
    tap.claim("custom: a root, the program, source and config", faults)
    if not faults:
        check_arch(tap, report)
        check_debian(tap, report)
