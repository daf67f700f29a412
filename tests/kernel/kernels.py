# SPDX-License-Identifier: MIT
"""The stock kernels that are asked, and what they can do."""
import dataclasses
import os

import judge
from boot import TOP, Kernel

SUITES = ("bookworm", "trixie", "sid")


def stock(suite):
    """The kernel that `fetch SUITE` left."""
    root = os.path.join(TOP, suite, "root")
    release = judge.read(os.path.join(TOP, suite, "kernel")).decode().strip()
    modules = os.path.join(root, "lib/modules", release)
    images = [path for path in (os.path.join(modules, "vmlinuz"), os.path.join(root, "boot", f"vmlinuz-{release}"))
              if os.path.exists(path)]
    series = ".".join(release.split(".")[:2])
    # Their reader (CONFIG_MODULE_COMPRESS_XZ) came to Debian with 6.12.
    reads = frozenset() if suite == "bookworm" else frozenset({"xz"})
    return Kernel(series, release, images[0], modules, reads)


@dataclasses.dataclass(frozen=True)
class Abilities:
    """What a kernel's crypto can do, and so whose signatures it can check (crypto/asymmetric_keys/): DIGESTS are those
    it has, NAMED those whose numbers its PKCS#7 parser knows; CURVES those of ECDSA. LATER are modules of the kernel's
    that bring more digests. FILES_REVOKED: it refuses files whose digest stands in dbx (Debian's patch, up to 6.12);
    SIGNERS_REVOKED: signers whose certificate stands there (SYSTEM_REVOCATION_LIST). MODVERSIONS: a module may be
    built for another release, if the versions of its symbols are this kernel's."""

    digests: frozenset
    named: frozenset
    curves: frozenset
    later: dict
    files_revoked: bool
    signers_revoked: bool = False
    modversions: bool = True

    def with_module(self, name):
        return dataclasses.replace(self, digests=self.digests | self.later[name])


SHA1_AND_224 = frozenset({"sha1", "sha224"})
SHA2 = frozenset({"sha256", "sha384", "sha512"})
SHA3 = frozenset({"sha3-256", "sha3-384", "sha3-512"})
NIST = frozenset({"p256", "p384", "p521"})
SHA512 = frozenset({"sha384", "sha512"})

ABILITIES = {
    # CRYPTO_SHA512=m, no CRYPTO_ECDSA; the parser knows SHA-3 from 6.7 on.
    "bookworm": Abilities(SHA1_AND_224 | SHA2 - SHA512, SHA1_AND_224 | SHA2, frozenset(), {"sha512_generic": SHA512},
                          True),
    # CRYPTO_SHA3=y
    "trixie": Abilities(SHA1_AND_224 | SHA2 | SHA3, SHA1_AND_224 | SHA2 | SHA3, NIST, {}, True),
    # CRYPTO_SHA3=m
    "sid": Abilities(SHA1_AND_224 | SHA2, SHA1_AND_224 | SHA2 | SHA3, NIST, {"sha3": SHA3}, False, modversions=False),
}
