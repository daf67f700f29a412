# SPDX-License-Identifier: MIT
"""The rows in which something fails, and no module may be installed that is not signed as it has to be. Where DKMS
itself makes that impossible, the row's name begins with "DKMS:", and it expects exactly that."""
import os

import judge
from machine import DAMAGED, DROP_IN, HOOK, KEYS, NOTHING, TREE, UNSIGNED, cert, file
from step import ADVICE, ANY, BUILT, REFUSED, Step, Want, garbage_key, installed, no_sign_file, one, ready


# Signing fails

def no_key(m):
    m.write("/etc/dkms/framework.conf.d/zz-key.conf",
            "mok_signing_key=/nowhere/mok.key\nmok_certificate=/nowhere/mok.pub\n")
    m.remove("/var/lib/dkms/mok.*")


def encrypted_key(m):
    pem, path = os.path.join(KEYS, "rsa.key"), m.path("/var/lib/dkms/mok.key")
    judge.run(["openssl", "pkey", "-in", pem, "-aes256", "-passout", "pass:secret", "-out", path])


def wrong_pair(m):
    m.key("rsa", "other")


def failing(what, spoil, says):
    def story(m):
        ready(m, "one")
        spoil(m)
        # DKMS 3.2 stops at the hook after the build already; 3.0 does not look at that one's status.
        yield Step(f"{what}: refused", m.dkms("install", "one/1.0"), REFUSED if m.old else 1, one(m, BUILT),
                   says=(says,))
        yield Step(f"{what}: refused again", m.dkms("install", "one/1.0"), REFUSED, one(m, BUILT), says=(ADVICE,))
        m.remove("/etc/dkms/framework.conf.d/zz-key.conf")
        m.key("rsa")
        mended = m.run("kernel-sign", "sign", "-k", m.kernel, "-d", f"{TREE}/one/1.0/{m.kernel}/x86_64/module")
        yield Step(f"{what}: mended as the gate says", mended & m.dkms("install", "one/1.0"), 0,
                   one(m, installed("rsa")))
    story.__name__ = what
    return story


def gate_says(mode, says):
    def story(m):
        ready(m, "one")
        garbage_key(m)
        m.write("/etc/kernel-sign.conf", f"dkms-gate = {mode}\n")
        outcome = m.dkms("install", "one/1.0")
        yield Step(f"dkms-gate = {mode}: installed unsigned", outcome, 0, one(m, installed(UNSIGNED)), says=says)
    story.__name__ = f"dkms-gate = {mode}"
    return story


def certificate_missing(m):
    ready(m, "one")
    m.remove("/var/lib/dkms/mok.pub")
    before = file(m.path("/var/lib/dkms/mok.key"))
    outcome = m.dkms("install", "one/1.0")
    replaced = before != file(m.path("/var/lib/dkms/mok.key"))
    yield Step("DKMS: certificate missing, it makes a new key over the old one", outcome, 0,
               one(m, installed("DKMS's own")), faults=[] if replaced else ["the key is the old one"])


def full_tree(m):
    """Full from the end of the compiler's work on."""
    m.small_disk(TREE, 8192)
    ready(m, "one", built="dd if=/dev/zero of=/var/lib/dkms/filler bs=4k 2>/dev/null; true")
    yield Step("disk of DKMS's tree full", m.dkms("install", "one/1.0"), REFUSED if m.old else 1, one(m, BUILT),
               says=("No space left on device",))
    m.remove("/var/lib/dkms/filler")
    yield Step("disk of DKMS's tree was full, install again", m.dkms("install", "one/1.0"), REFUSED, one(m, BUILT))
    again = m.run("dkms", "unbuild", "one/1.0", "-k", m.kernel)
    m.must("sed", "-i", "s/ && dd.*true'/'/", "/usr/src/one-1.0/dkms.conf")
    yield Step("disk of DKMS's tree has room again, built anew", again & m.dkms("install", "one/1.0"), 0,
               one(m, installed("rsa")))


def full_modules(m):
    ready(m, "one")
    updates = f"/lib/modules/{m.kernel}/updates"
    m.small_disk(updates, 64)
    m.write(f"{updates}/filler", "x" * (64 << 10))
    outcome = m.dkms("install", "one/1.0")
    if m.old:
        yield Step("DKMS: disk of the modules full, 3.0 does not look whether it could copy", outcome, 0,
                   one(m, installed(DAMAGED, differs=True)), says=("No space left on device",))
    else:
        yield Step("disk of the modules full", outcome, 6, one(m, Want("built", (NOTHING, DAMAGED))),
                   says=("No space left on device",))


def program_gone(m):
    ready(m, "one")
    m.remove("/usr/bin/kernel-sign")
    no_sign_file(m)
    # DKMS 3.2 keeps what the hook after the build says for its log.
    yield Step("kernel-sign removed, links left", m.dkms("install", "one/1.0"), REFUSED if m.old else 1,
               one(m, BUILT), says=("install kernel-sign" if m.old else "Consult .* for more information",))
    yield Step("kernel-sign removed, links left, install again", m.dkms("install", "one/1.0"), REFUSED,
               one(m, BUILT), says=("install kernel-sign",))


def script_gone(m):
    ready(m, "one", "own")
    m.remove(HOOK)
    yield Step("hook script missing, drop-in signs", m.dkms("install", "one/1.0"), 0, one(m, installed("rsa")),
               says=("script is not executable",))
    yield Step("hook script missing: dkms status says so", m.run("kernel-sign", "dkms", "status"), 0, {},
               says=(rf"{HOOK}: not there", r"(?m)^one: not gated"))
    garbage_key(m)
    yield Step("DKMS: hook script missing and key unreadable, nothing can refuse", m.dkms("install", "own/1.0"), 0,
               {("own", "1.0", m.kernel): installed(UNSIGNED)}, says=("mok.key",))


def drop_in_gone(m):
    ready(m, "one")
    m.remove(DROP_IN)
    no_sign_file(m)
    yield Step("drop-in missing, no sign-file of the kernel's: the hook signs", m.dkms("install", "one/1.0"), 0,
               one(m, installed("rsa")))


# What the gate finds in DKMS's tree

def tampered(m):
    with open(m.path(f"{TREE}/one/1.0/{m.kernel}/x86_64/module/one.ko" + m.extension), "r+b") as module:
        module.seek(-60, os.SEEK_END)
        byte = module.read(1)[0]
        module.seek(-60, os.SEEK_END)
        module.write(bytes([byte ^ 1]))


def foreign(m):
    keys = "/root/foreign"
    m.copy(os.path.join(KEYS, "other.key"), keys + ".key")
    m.copy(cert("other"), keys + ".der")
    m.must("kernel-sign", "sign", "-k", m.kernel, "-d", f"{TREE}/one/1.0/{m.kernel}/x86_64/module",
           "--key", keys + ".key", "--cert", keys + ".der")


def unsigned(m):
    m.must("kernel-sign", "unsign", "-k", m.kernel, "-d", f"{TREE}/one/1.0/{m.kernel}/x86_64/module")


def gated(what, spoil, option=(), exit_status=REFUSED, want=BUILT):
    def story(m):
        ready(m, "one")
        m.must("dkms", "build", "one/1.0", "-k", m.kernel)
        spoil(m)
        yield Step(what, m.dkms("install", "one/1.0", *option), exit_status, one(m, want))
    story.__name__ = what
    return story


def forced(m):
    ready(m, "one")
    m.must("dkms", "build", "one/1.0", "-k", m.kernel)
    unsigned(m)
    yield Step("DKMS: unsigned, install --force passes the gate", m.dkms("install", "one/1.0", "--force"), 0,
               one(m, installed(UNSIGNED)), says=(ADVICE,))


def second_module(m):
    """DKMS 3.0 asks for a package's first module only, and not if it passes over that one."""
    ready(m, "trio")
    m.must("dkms", "build", "trio/1.0", "-k", m.kernel)
    folder = f"{TREE}/trio/1.0/{m.kernel}/x86_64/module"
    m.must("kernel-sign", "unsign", "-k", m.kernel, f"{folder}/trio_b.ko{m.extension}")
    key = ("trio", "1.0", m.kernel)
    yield Step("3 modules, the second unsigned", m.dkms("install", "trio/1.0"), REFUSED, {key: BUILT},
               says=("trio_b",))
    newer_in_kernel(m)
    outcome = m.dkms("install", "trio/1.0")
    if m.old:
        yield Step("DKMS: 3 modules, the kernel has a newer first one, 3.0 does not ask", outcome, 0,
                   {key: installed({"trio_a": NOTHING, "trio_b": UNSIGNED, "trio_c": "rsa"}, differs=ANY)})
    else:
        yield Step("3 modules, the second unsigned, the kernel has a newer first one", outcome, REFUSED, {key: BUILT})


def newer_in_kernel(m):
    m.source("newer", "9.0", ["trio_a"])
    m.must("make", "-s", "-C", f"/lib/modules/{m.kernel}/build", "M=/usr/src/newer-9.0", "modules")
    where = f"/lib/modules/{m.kernel}/kernel/lib/"
    m.must("cp", "/usr/src/newer-9.0/trio_a.ko", where)
    if m.extension:
        m.must("xz", "--check=crc32", where + "trio_a.ko")


STORIES = [
    failing("key missing", no_key, "modules won't be signed"),
    failing("key encrypted, no passphrase", encrypted_key, "mok.key"),
    failing("key unreadable", garbage_key, "mok.key"),
    failing("key and certificate no pair", wrong_pair, r"mok\.(key|pub)"),
    gate_says("warn", (ADVICE,)), gate_says("off", ()),
    certificate_missing, full_tree, full_modules, program_gone, script_gone, drop_in_gone,
    gated("signature damaged: refused", tampered),
    gated("signed by a key that nobody named: refused", foreign),
    gated("signature taken off: refused", unsigned),
    forced, second_module,
]
