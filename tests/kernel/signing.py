# SPDX-License-Identifier: MIT
"""Keys, and the program under test that signs with them."""
import dataclasses
import os
import subprocess
import tempfile

import judge

PROGRAM = os.environ["KERNEL_SIGN"]
MAKE_KEYS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "keys")


@dataclasses.dataclass(frozen=True)
class Key:
    """CURVE for ECDSA; DIGEST is that of the certificate's own signature."""

    name: str
    folder: str
    curve: str = ""
    digest: str = "sha256"

    @property
    def private(self):
        return os.path.join(self.folder, self.name + ".key")

    @property
    def pem(self):
        return os.path.join(self.folder, self.name + ".pem")

    @property
    def der(self):
        return os.path.join(self.folder, self.name + ".der")

    @property
    def pair(self):
        return self.private, self.pem

    @property
    def subject(self):
        """As tests/lib/keys names it."""
        return f"kernel-sign real test {self.name}"


def make_keys(folder, kinds=((), ("odd",), ("more",))):
    """{name: Key} of all that tests/lib/keys makes, or of these KINDS alone."""
    for kind in kinds:
        subprocess.run([MAKE_KEYS, folder, *kind], check=True, capture_output=True)
    odd = {"ec": {"curve": "p384"}, "p256": {"curve": "p256"}, "p521": {"curve": "p521"},
           "ec_sha512": {"curve": "p384", "digest": "sha512"}}
    names = sorted(name[:-4] for name in os.listdir(folder) if name.endswith(".key"))
    return {name: Key(name, folder, **odd.get(name, {})) for name in names}


def program(*arguments):
    """(exit status, standard output, standard error) of the program under test; one that hangs does not end well."""
    status, out, err = judge.run(["timeout", "60", PROGRAM, *arguments], stdin=subprocess.DEVNULL)
    return status, out.decode(errors="replace"), err


def signed(image, key, digest, key_id=False, tool=False, others=()):
    """The module that our `sign` makes of it, by OTHERS, too; or the sign-file personality (TOOL), which alone can name
    a signer by KEY_ID."""
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "module.ko")
        with open(path, "wb") as file:
            file.write(image)
        if tool or key_id:
            command = ["sign-file", *(["-k"] if key_id else []), digest, *key.pair, path]
        else:
            keys = [option for one in (key, *others) for option in ("--key", one.private, "--cert", one.pem)]
            command = ["sign", "--quiet", *keys, "--hash", digest, path]
        status, out, err = program(*command)
        if status:
            raise judge.Fault(f"{' '.join(command)}: exit status {status}: {out}{err}")
        return judge.read(path)


def message(image, key, digest, **options):
    """The PKCS#7 message alone."""
    module = signed(image, key, digest, **options)
    found, messages = judge.split(module)
    if found != image or len(messages) != 1:
        raise judge.Fault(f"signed by {key.name} with {digest}: {len(messages)} signatures, "
                          f"{'the same' if found == image else 'another'} image")
    return messages[0]
