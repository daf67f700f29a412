# SPDX-License-Identifier: MIT
"""The stock kernels that are asked, and what they can do."""
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
