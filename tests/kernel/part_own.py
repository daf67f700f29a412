# SPDX-License-Identifier: MIT
"""Kernels of our own, for what no stock kernel has: zstd and gzip unpacked by the kernel, keys that genkeys made and
wrote into CONFIG_SYSTEM_TRUSTED_KEYS, and ML-DSA."""
import dataclasses
import os
import subprocess
import tempfile

import asking
import forge
import forms
import guest
import judge
import predict
from asking import Ask
from boot import TOP, Job, Kernel, dumped
from forge import attached, flipped
from oracle import LOADS, REJECTED, UNKNOWN, UNSIGNED
from part_stock import modules_of
from report import Cell, claim_cells

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(TOP, "own/root")
BUILD = os.path.join(ROOT, "build")
MODULE = "probe"
VARIANTS = {"zstd": "ECDSA", "gzip": "RSA", "xz": "ML-DSA-65"}  # the format that each reads, its own key
SUFFIX = {"zstd": ".zst", "gzip": ".gz", "xz": ".xz"}
FOREIGN = ("mldsa-44", "mldsa-65", "mldsa-87")
DIGESTS = {name: bytes.fromhex("6086480165030402") + bytes([number])
           for name, number in (("sha256", 1), ("sha384", 2), ("sha512", 3))}
REVOKED = REJECTED.meaning("revoked")
HAS_ATTRIBUTES = REJECTED.saying("PKCS7: Invalid module sig (has authattrs)")
NO_FILTER = forms.status(forms.XZ_OPTIONS)
# Signed by several at once: one that is trusted is enough, wherever it stands; one that is revoked is too much.
SEVERAL = {"rsa+ec": LOADS, "other+rsa": LOADS, "rsa+other": LOADS, "other+mldsa-65": LOADS, "mldsa-65+other": LOADS,
           "rsa+mldsa-44+mldsa-87": LOADS, "other+mldsa-unknown": UNKNOWN, "rsa+revoked": REVOKED,
           "other+revoked": REVOKED}
# What verify says, and why it is not what the kernel says.
VERDICTS = {LOADS: "good, exit 0", REJECTED: "bad, exit 1", HAS_ATTRIBUTES: "good, exit 0",
            UNKNOWN: "unknown signer, exit 2"}
WHY = {LOADS: "", REJECTED: "", HAS_ATTRIBUTES: "a kernel takes no signed attributes", UNKNOWN: ""}


def inside(*command):
    """(exit status, standard output, standard error) of a program in the root."""
    status, out, err = judge.run([os.path.join(HERE, "inside"), ROOT, *command], stdin=subprocess.DEVNULL)
    return status, out.decode(errors="replace"), err


def must(*command):
    status, out, err = inside(*command)
    if status:
        raise judge.Fault(f"{' '.join(command)}: exit status {status}: {out}{err}")
    return out


def below(path):
    """A path of ours, as the root has it."""
    return "/" + os.path.relpath(path, ROOT)


def build():
    path = os.path.join(TOP, "own-build.log")
    with open(path, "wb") as log:
        done = subprocess.run([os.path.join(HERE, "own-build"), *VARIANTS], stdout=log, stderr=log, check=False)
    if done.returncode:
        raise judge.Fault(f"own-build failed, see {path}: {judge.read(path)[-1500:].decode(errors='replace')}")


@dataclasses.dataclass(frozen=True)
class MlDsa:
    """A key by the file in the root that holds it with its certificate. CMS of OpenSSL 3.5 signs with it only over
    attributes, which a kernel refuses: a message without them is put together from that and a bare signature."""

    name: str
    pem: str

    def with_attributes(self, image, folder):
        return self.openssl(image, folder, "cms", "-sign", "-binary", "-outform", "DER", "-md", "sha512", "-nocerts",
                            "-nosmimecap", "-signer", below(self.pem), "-inkey", below(self.pem))

    def bare(self, image, folder):
        return self.openssl(image, folder, "pkeyutl", "-sign", "-rawin", "-inkey", below(self.pem))

    def message(self, image, folder, digest="sha512"):
        made = forge.Message(self.with_attributes(image, folder))
        signer = made.signers[0]
        signer.content.remove(signer.child(forge.CONTEXT))
        forge.signature_value(signer).content = self.bare(image, folder)
        return forge.with_digest(made.der(), DIGESTS[digest])

    @staticmethod
    def openssl(image, folder, *command):
        paths = [os.path.join(folder, name) for name in ("image", "out")]
        with open(paths[0], "wb") as file:
            file.write(image)
        must("openssl", *command, "-in", below(paths[0]), "-out", below(paths[1]))
        return judge.read(paths[1])


def has_x86_filter(path):
    """What kernel-sign leaves as it is; one that it writes anew has none."""
    status, out, err = judge.run(["xz", "-lvv", path])
    if status:
        raise RuntimeError(f"xz -lvv {path}: {err}")
    return b"--x86" in out


def key_options(name):
    """Of a key that tests/lib/keys made, or of an ML-DSA key of a store."""
    base = below(os.path.join(BUILD, "keys", name))
    if name.startswith("mldsa"):
        return ["--key", f"{base}/current/signing_key.pem", "--cert", f"{base}/current/signing_crt.crt"]
    return ["--key", base + ".key", "--cert", base + ".pem"]


def sign(names, digest, *paths):
    """By kernel-sign, with all of those keys."""
    options = [option for name in names.split("+") for option in key_options(name)]
    must("kernel-sign", "sign", "-q", *options, "--hash", digest, *map(below, paths))


def question(group, name, data, says, way="memory", suffix=".ko", **more):
    return Ask(group, Job(f"{group}: {name}", way, data, MODULE, suffix=suffix), says, **more)


class Subject:
    """One of the kernels."""

    def __init__(self, variant, folder):
        self.variant, self.folder = variant, folder
        self.out = os.path.join(BUILD, "kernels", variant)
        self.release = judge.read(os.path.join(self.out, "version")).decode().strip()
        self.kernel = Kernel(f"own {variant}", self.release, os.path.join(self.out, "bzImage"), "",
                             frozenset({variant}), firmware=False)
        self.image = judge.read(os.path.join(self.out, "probe.ko"))
        self.package = os.path.join(BUILD, "pkg", variant)
        modules = os.path.join(self.package, "usr/lib/modules", self.release)
        self.own_key = os.path.join(modules, "build/certs-local/current/signing_key.pem")
        self.installed = os.path.join(modules, "updates/probe.ko")
        self.faults, self.signed = self.flow()
        self.tree = os.path.join(folder, "tree")
        self.plant()

    def plant(self):
        """The program as it is built in the root, whose OpenSSL knows ML-DSA, and what kernels' packages install."""
        built = "/kernel-sign.build/kernel-sign"
        paths = guest.libraries(must("ldd", built))
        os.makedirs(os.path.join(self.tree, "lib/modules", self.release))
        guest.plant_files(self.tree, [(ROOT + built, "kernel-sign"), *((ROOT + path, path[1:]) for path in paths)])
        guest.plant_files(self.tree, [(os.path.join(self.out, "bzImage"), f"boot/vmlinuz-{self.release}"),
                                      (os.path.join(self.out, "config"), f"boot/config-{self.release}")])

    # The package's way: sign and verify take what they need from that kernel's directory

    def sign_package(self):
        os.makedirs(os.path.dirname(self.installed), exist_ok=True)
        with open(self.installed, "wb") as file:
            file.write(self.image)
        return inside("kernel-sign", "sign", "--root", below(self.package), "-k", self.release)

    def flow(self):
        """(faults, the signed module)"""
        status, out, err = self.sign_package()
        written = judge.read(self.installed)
        status, out, err = (status, out, err) if status else inside(
            "kernel-sign", "verify", "--root", below(self.package), "-k", self.release)
        return [f"exit status {status}: {out}{err}"] if status else [], written

    # Signed by name

    def by(self, name, image=None, digest="sha512"):
        path = os.path.join(self.folder, "module.ko")
        with open(path, "wb") as file:
            file.write(image or self.image)
        sign(name, digest, path)
        return judge.read(path)

    def asks(self):
        tampered = flipped(self.signed, self.signed.index(b"GCC: ("))
        rows = [("its own key, as genkeys wrote it into the config", self.signed, LOADS),
                ("tampered", tampered, REJECTED), ("unsigned", self.image, UNSIGNED),
                ("foreign RSA", self.by("rsa"), LOADS), ("foreign ECDSA", self.by("ec"), LOADS),
                ("unknown key", self.by("other"), UNKNOWN), ("foreign and revoked", self.by("revoked"), REVOKED)]
        rows += [(f"ours, {name}, {digest}", self.by(name, digest=digest), LOADS)
                 for name in FOREIGN for digest in ("sha256", "sha512")]
        rows += [(f"several keys, {names}", self.by(names), says) for names, says in SEVERAL.items()]
        asks = [question("keys", name, data, says) for name, data, says in rows]
        return asks + list(self.ask_containers()) + list(self.ask_ml_dsa())

    def ask_containers(self):
        """Those of the format that it reads, signed by the foreign RSA key, as all kernels trust that; and before by
        another, so that each file was extended, cut, and extended again."""
        suffix = SUFFIX[self.variant]
        made = forms.every_form(self.image) | forms.shipped_forms(self.by("other"))
        made = {name: data for name, data in made.items() if name.endswith(suffix)}
        for name, data in made.items():
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(data)
        for by in ("other", "rsa"):
            sign(by, "sha256", *(os.path.join(self.folder, name) for name in made))
        for name in made:
            path = os.path.join(self.folder, name)
            says = NO_FILTER if suffix == ".xz" and has_x86_filter(path) else LOADS
            yield question("containers", name, judge.read(path), says, "compressed", ".ko" + suffix)
        for name, lost in forms.lost_forms(self.by("rsa"), self.image).items():
            if name.endswith(suffix):
                yield question("containers", f"lost: {name}", lost.data, lost.kernel, "compressed", ".ko" + suffix,
                               is_module=lost.readable, mark=lost.mark())

    def ask_ml_dsa(self):
        """Without signed attributes the digest that a message names plays no part (pkcs7_verify.c)."""
        def key(name):
            return MlDsa(name, os.path.join(BUILD, "keys", name, "current/signing_key.pem"))

        for name in FOREIGN:
            message = key(name).message(self.image, self.folder)
            attributes = key(name).with_attributes(self.image, self.folder)
            rows = [(digest, forge.with_digest(message, oid), LOADS) for digest, oid in DIGESTS.items()]
            rows += [("flipped signature", forge.with_flipped_signature(message, 0), REJECTED),
                     ("signed attributes", attributes, HAS_ATTRIBUTES)]
            for what, made, says in rows:
                yield question("ML-DSA", f"{name}, {what}", attached(self.image, made), says)
            tampered = attached(flipped(self.image, self.image.index(b"GCC: (")), message)
            yield question("ML-DSA", f"{name}, tampered", tampered, REJECTED)
        unknown = key("mldsa-unknown").message(self.image, self.folder)
        yield question("ML-DSA", "unknown key", attached(self.image, unknown), UNKNOWN)

    def verify_cells(self):
        """What verify, with that OpenSSL, says of the same modules."""
        certs = [f"--cert=/build/keys/{name}.pem" for name in FOREIGN]
        path = os.path.join(self.folder, "verified.ko")
        for one in self.ask_ml_dsa():
            with open(path, "wb") as file:
                file.write(one.job.data)
            answer = inside("kernel-sign", "verify", "--json", *certs, below(path))
            found = "; ".join(module["error"] or module["verdict"] for module in modules_of(answer))
            found = f"{found}, exit {answer[0]}"
            yield Cell("own", "verify", one.group, one.job.id, VERDICTS[one.says], found, WHY[one.says])

    def openssl4_cells(self):
        """What OpenSSL 4 says of our ML-DSA signatures; those of 3.5 and 3.6 only know them with attributes."""
        library = "/openssl4/usr/lib/x86_64-linux-gnu"
        openssl = ["env", f"LD_LIBRARY_PATH={library}", "OPENSSL_CONF=/dev/null", "/openssl4/usr/bin/openssl"]
        image, other, message = (os.path.join(self.folder, name) for name in ("image", "other", "message"))
        for path, data in ((image, self.image), (other, flipped(self.image, self.image.index(b"GCC: (")))):
            with open(path, "wb") as file:
                file.write(data)
        for name in FOREIGN:
            _, messages = judge.split(self.by(name))
            with open(message, "wb") as file:
                file.write(messages[0])
            for what, path, says in (("", image, "verifies"), (", tampered", other, "does not")):
                status, _, _ = inside(*openssl, "cms", "-verify", "-binary", "-inform", "DER", "-in", below(message),
                                      "-content", below(path), "-nointern", "-noverify", "-certfile",
                                      below(os.path.join(BUILD, "keys", name + ".pem")), "-out", "/dev/null")
                yield Cell("own", "OpenSSL 4", "ML-DSA", f"ours, {name}{what}", says,
                           "does not" if status else "verifies", "")

    def subjects(self):
        """The names of all certificates that the config names."""
        files = [self.own_key, *(os.path.join(BUILD, "keys", name) for name in ("rsa.pem", "ec.pem", "revoked.pem"))]
        files += [os.path.join(BUILD, "keys", name, "current/signing_key.pem") for name in FOREIGN]
        return sorted(must("openssl", "x509", "-in", below(path), "-noout", "-subject", "-nameopt", "multiline")
                      .rpartition("= ")[2].strip() for path in files)


def judge_keys(subject, answer):
    """The kernel's builtin ring has those certificates, beside the one that its build made for itself."""
    facts, rings, keys = dumped(answer)
    members = rings.get(".builtin_trusted_keys", ())
    found = [keys[serial].split(maxsplit=8)[8].split(": ")[0] for serial in members]
    faults = [] if facts.get("release") == subject.release else [f"release {facts.get('release')!r}"]
    expected = subject.subjects()
    faults += [f"missing: {name}" for name in expected if name not in found]
    return faults + ([] if len(found) == len(expected) + 1 else [f"{len(found)} certificates: {found}"])


def doubt_keys(subject, answer):
    """Each of them has to be there: what goes through with one missing."""
    members = [line for line in answer.output if line.startswith("member .builtin_trusted_keys ")]
    faults = [] if members else ["no members"]
    for member in members:
        fewer = dataclasses.replace(answer, output=tuple(line for line in answer.output if line != member))
        if not judge_keys(subject, fewer):
            faults.append(f"went through without {member}")
    return faults


def check_subject(tap, report, subject):
    label = f"own {subject.variant}, {subject.release}, {VARIANTS[subject.variant]}"
    asks = subject.asks()
    files = guest.Files(subject.tree, [one.job for one in asks])
    found, answers = asking.ask("own", subject.kernel.label, subject.kernel, asks,
                                [Job("dump", "dump"), *files.both(subject.kernel)], trees={".": subject.tree})
    tap.claim(f"{label}: sign and verify take the package's key", subject.faults)
    tap.claim(f"{label}: the builtin keyring is the config's", judge_keys(subject, answers["dump"]))
    claim_cells(tap, label, [cell for _, cell, _ in found])
    tap.claim(f"{label}: doubt: wrong answers are found",
              asking.doubt(found) + doubt_keys(subject, answers["dump"]))
    for _, cell, _ in found:
        report.add(cell)
    predict.claim(tap, report, predict.of_asks(subject.kernel.label, found, files.told(guest.text(answers["status"]))))
    tap.claim(f"{label}: status and verify predict the same", files.judge_both(answers))


def check(tap, report):
    build()
    with tempfile.TemporaryDirectory(prefix="own.", dir=os.path.join(ROOT, "tmp")) as folder:
        for variant in VARIANTS:
            os.mkdir(os.path.join(folder, variant))
            subject = Subject(variant, os.path.join(folder, variant))
            check_subject(tap, report, subject)
        cells = list(subject.verify_cells())
        claim_cells(tap, "own, verify with OpenSSL 3.5", cells)
        if os.path.isdir(os.path.join(ROOT, "openssl4")):
            more = list(subject.openssl4_cells())
            claim_cells(tap, "own, OpenSSL 4's cms -verify", more)
            cells += more
        for cell in cells:
            report.add(cell)
