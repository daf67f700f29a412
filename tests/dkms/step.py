# SPDX-License-Identifier: MIT
"""What rows are made of. A story is what happens to one machine, a generator; each Step of it is a row of the table:
what was done, and what has to be seen then."""
from dataclasses import dataclass, field

import judge
from machine import NOTHING, Outcome

ANY = None
MODULES = {
    "one": ["one"], "own": ["own"], "trio": ["trio_a", "trio_b", "trio_c"],
    "v4l2loopback": ["v4l2loopback"], "acpi-call": ["acpi_call"], "bbswitch": ["bbswitch"],
    "tp_smapi": ["thinkpad_ec", "tp_smapi", "hdaps"],
}
REFUSED = 101  # dkms install: "pre_install failed, aborting install."
# One line says which module it is, and what to do.
ADVICE = r"(?m)^.*one\.ko\S*: .*kernel-sign sign"


@dataclass
class Want:
    """Of one package, version and kernel."""
    state: str | None  # dkms status's word, or None: it does not name it
    signed: str | tuple | dict = NOTHING  # who signed what is installed; or several that will do; or by module
    differs: bool | None = False  # does dkms status complain?
    container: str = ""
    certificate: str | None = None  # for verify
    links: bool = False  # installed are links into DKMS's tree


@dataclass
class Step:
    name: str
    outcome: Outcome
    exit: int | tuple | None
    want: dict  # by (package, version, kernel)
    says: tuple = ()  # patterns; what does it say to who sits there?
    faults: list = field(default_factory=list)  # found by the story itself


def installed(signed, **more):
    return Want("installed", signed, **more)


BUILT = Want("built")
GONE = Want(None)


def ready(m, *packages, key="rsa", **source):
    """The packages are registered, signed and gated."""
    m.key(key)
    for package in packages:
        m.register(package, "1.0", MODULES[package], **source)
    m.must("kernel-sign", "dkms", "enable", *packages)


def one(m, want, kernel=None):
    return {("one", "1.0", kernel or m.kernel): want}


def garbage_key(m):
    m.write("/var/lib/dkms/mok.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600)


def no_sign_file(m):
    """Takes away the kernel's, of which DKMS would make use."""
    if not m.remove("/usr/lib/linux-kbuild-*/scripts/sign-file", "/usr/src/linux-headers-*/scripts/sign-file"):
        raise judge.Fault("there is no sign-file of the kernel's anyway")
