# SPDX-License-Identifier: MIT
"""check.py ROOT PROGRAM: tokens here by KERNEL_SIGN, and in ROOT by PROGRAM there; $TMPDIR is in both."""
import os
import sys

import pkcs11
import tpm
from place import Place
from tap import Tap


def main():
    root, program = sys.argv[1:3]
    scratch = os.environ["TMPDIR"]
    tap = Tap(hide=scratch + "/")
    tpm.open_loopback()
    for name, inside, there in ("engine", None, os.environ["KERNEL_SIGN"]), ("provider", root, program):
        place = Place(name, inside, there, scratch)
        pkcs11.check(tap, place, ambiguous=name == "provider")
        tpm.check(tap, place)
    return tap.finish()


sys.exit(main())
