# SPDX-License-Identifier: MIT
"""Signing by a service that never sees a module, of all modules of a whole kernel: exported, signed by
`openssl pkeyutl` and `openssl cms`, attached. How long that takes, and that memory does not grow with
the number of modules. Called by check.py."""
import glob
import os
import re
import shutil
import subprocess

import judge
from common import PROGRAM, TOP, WORK, Outcome, all_faults, cert, cost, key
from manifest import judge_touched, manifest
from tap import Tap

FOLDER = os.path.join(WORK, "offline")
SOME = 500  # modules of the smaller tree, the largest among them, which decide how much memory is needed
LARGEST = 100
JUDGED = 300  # modules of the whole tree that openssl looks at one by one
JOBS = "2"
ROOM = 12  # MiB by which the whole tree may need more than the smaller one, whatever is large at once

# Openssl has to be started for each file, as many at once as there are processors.
BARE = ('for f; do openssl pkeyutl -sign -inkey "$KEY" -pkeyopt digest:sha512 '
        '-in "$f" -out "${f%.digest}.sig" || exit 255; done')
WHOLE = ('for f; do openssl cms -sign -signer "$CERT" -inkey "$KEY" -md sha512 -binary -noattr '
         '-nocerts -nosmimecap -in "$f" -outform DER -out "${f%.image}.p7s" || exit 255; done')

# A process counts what it was before it became another program: so it is not started from here.
PEAK = ("import os, sys; pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); "
        "_, status, usage = os.wait4(pid, 0); print(); print(usage.ru_maxrss, flush=True); "
        "sys.exit(os.waitstatus_to_exitcode(status))")


class Modules:
    """A tree with modules of that kernel, and the directory for its requests."""

    def __init__(self, name, kernel, root):
        self.kernel = kernel
        self.root = os.path.join(FOLDER, root)
        self.requests = os.path.join(FOLDER, root + "-requests")
        self.name = f"{name} {kernel}"
        self.all = []

    def look(self):
        pattern = os.path.join(glob.escape(self.root), "**/*.ko*")
        self.all = sorted(glob.glob(pattern, recursive=True))

    def run(self, *options):
        outcome = Outcome("python3", "-c", PEAK, PROGRAM, "sign", "-k", self.kernel, "--root", self.root, "--all",
                          "-q", "-j", JOBS, *options)
        output, _, peak = outcome.output.removesuffix("\n").rpartition("\n")
        outcome.output, outcome.peak = output, int(peak) / 1024
        return outcome

    def inside(self):
        return [os.path.relpath(path, self.root) for path in self.all]


def lay():
    """The whole tree, and one of some of its modules."""
    kernel = judge.read(os.path.join(TOP, "whole/kernel")).decode().strip()
    whole, some = Modules("whole", kernel, "whole"), Modules("some", kernel, "some")
    os.makedirs(whole.root)
    for package in glob.glob(os.path.join(TOP, "whole/*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, whole.root], check=True)
    whole.look()
    by_size = sorted(whole.all, key=os.path.getsize, reverse=True)
    rest = by_size[LARGEST:]
    for path in by_size[:LARGEST] + rest[:: len(rest) // (SOME - LARGEST)][: SOME - LARGEST]:
        copy = os.path.join(some.root, os.path.relpath(path, whole.root))
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copy2(path, copy)
    some.look()
    return whole, some


def serve(tree, kind, pattern, key_name):
    """What the service does: plain openssl, for each file."""
    names = sorted(name for name in os.listdir(tree.requests) if name.endswith(pattern))
    listed = os.path.join(FOLDER, "list")
    with open(listed, "w", encoding="ascii") as file:
        file.write("\n".join(names))
    environment = ["env", f"KEY={key(key_name)}", f"CERT={cert(key_name)}"]
    return Outcome(*environment, "xargs", "-a", listed, "-P", str(os.cpu_count()), "-n", "100", "sh", "-c", kind,
                   "sh", cwd=tree.requests)


def round_trip(tap, tree, key_name, kind, pattern, *options):
    """Export, sign, attach. --stack, as cutting off a signature that was compressed takes long."""
    before = manifest(tree.root)
    images = {path: judge.digest(judge.content(path)) for path in tree.all[:: max(1, len(tree.all) // JUDGED)]}
    exported = tree.run("--export", tree.requests, "--cert", cert(key_name), "--hash", "sha512", "--stack", *options)
    cost(tree, "sign --export", exported)
    count = len(glob.glob(os.path.join(glob.escape(tree.requests), "*.json")))
    tap.claim(f"{tree.name}: sign --export: a request for each of {len(tree.all)} modules, which stay as they are",
              exported.faults() + judge_touched(before, manifest(tree.root), [])
              + ([] if count == len(tree.all) else [f"{count} requests"]))
    served = serve(tree, kind, pattern, key_name)
    cost(tree, f"openssl for each {pattern}", served)
    tap.claim(f"{tree.name}: openssl signs them all", served.faults())
    attached = tree.run("--attach", tree.requests)
    cost(tree, "sign --attach", attached)
    signed = manifest(tree.root)
    tap.claim(f"{tree.name}: sign --attach: replaces all modules, touches nothing else",
              attached.faults() + judge_touched(before, signed, tree.inside()))
    tap.claim(f"{tree.name}: sign --attach: each of {len(images)} verifies over what was there before",
              all_faults(lambda path: judge_over(path, cert(key_name), images[path]), list(images)))
    again = tree.run("--attach", tree.requests)
    cost(tree, "sign --attach again", again)
    tap.claim(f"{tree.name}: sign --attach again: touches no file",
              again.faults() + judge_touched(signed, manifest(tree.root), []))
    wall = exported.wall + served.wall + attached.wall
    Tap.note(f"{tree.name}: the round trip took {wall:.1f} s")
    return exported, attached


def judge_over(path, certificate, image_digest):
    """One more signature than before, over all that was there, with the older one beneath."""
    data = judge.content(path)
    message = judge.split(data)[1][0]
    image = data[: -len(message) - judge.BLOCK.size - len(judge.MARKER)]
    faults = judge.judge_cms(image, message, certificate)
    if judge.digest(image) != image_digest:
        faults.append("the image changed")
    return [f"{path}: {fault}" for fault in faults]


def swap(tree):
    """Mixes up the answers to two requests."""
    names = sorted(glob.glob(os.path.join(glob.escape(tree.requests), "*.sig")))[:2]
    for name, other in zip(names, (judge.read(names[1]), judge.read(names[0]))):
        with open(name, "wb") as file:
            file.write(other)
    return [os.path.basename(name) for name in names]


def check_mixed_up(tap, tree):
    """Of all those answers two are each other's."""
    exported = tree.run("--export", tree.requests, "--cert", cert("rsa"), "--hash", "sha512", "--stack")
    served = serve(tree, BARE, ".digest", "rsa")
    names = swap(tree)
    attached = tree.run("--attach", tree.requests)
    blamed = re.findall(r"/([^/ ]*\.sig): it does not fit this module", attached.output)
    tap.claim(f"{tree.name}: two answers that were mixed up are refused by name, the others attached",
              exported.faults() + served.faults() + attached.faults(1)
              + ([] if sorted(blamed) == names else [f"blamed: {blamed}", f"mixed up: {names}"]))


def check(tap):
    whole, some = lay()
    tap.claim(f"{whole.name}: {len(whole.all)} modules, and {len(some.all)} of them in a tree of their own",
              [] if len(whole.all) > 4000 and len(some.all) == SOME else ["too few"])
    few = round_trip(tap, some, "ec", WHOLE, ".image", "--export-image")
    shutil.rmtree(some.requests)
    many = round_trip(tap, whole, "rsa", BARE, ".digest")
    for command, small, large in zip(("--export", "--attach"), few, many):
        tap.claim(f"{whole.name}: sign {command} needs no more memory for {len(whole.all)} modules than for {SOME}",
                  [] if large.peak < small.peak + ROOM else [f"{large.peak:.0f} MiB, not {small.peak:.0f}"])
    check_mixed_up(tap, some)
