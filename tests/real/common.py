# SPDX-License-Identifier: MIT
"""What the checks share: where things are, programs that are run, trees of modules."""
import glob
import itertools
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import judge
from tap import Tap

HERE = os.path.dirname(os.path.abspath(__file__))
MAKE_KEYS = os.path.join(HERE, "..", "lib", "keys")
TOP = os.environ["KS_REAL_DIR"]
WORK = os.path.join(TOP, "work")
PROGRAM = os.environ["KERNEL_SIGN"]
KEYS = os.path.join(WORK, "keys")
KERNELS_TOOL = os.path.join(WORK, "kbuild/usr/lib/linux-kbuild-6.1/scripts/sign-file")
OUR_TOOL = os.path.join(WORK, "sign-file")  # kernel-sign by this name


class Outcome:
    """What one run of a program did and cost."""

    def __init__(self, *command, cwd=WORK):
        begin = time.monotonic()
        with open(os.path.join(WORK, "output"), "w+b") as out:
            # A program that hangs must not eat the whole budget.
            with subprocess.Popen(
                ["timeout", "300", *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd
            ) as process:
                _, status, usage = os.wait4(process.pid, 0)
                self.status = process.returncode = os.waitstatus_to_exitcode(status)
            self.wall = time.monotonic() - begin
            out.seek(0)
            self.output = out.read().decode(errors="replace")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss / 1024

    def faults(self, expected=0):
        if self.status == expected:
            return []
        return [f"exit status {self.status}, not {expected}", *self.output.splitlines()[-5:]]


def key(name):
    return os.path.join(KEYS, name + ".key")


def cert(name, encoding="pem"):
    return os.path.join(KEYS, f"{name}.{encoding}")


def signer(name):
    return f"kernel-sign real test {name}"


def all_faults(function, paths):
    """The faults of all paths together; the work is done by as many programs as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(itertools.chain.from_iterable(pool.map(function, paths)))


class Tree:
    """One kernel's modules below a root of their own."""

    def __init__(self, suite):
        self.folder = os.path.join(WORK, suite)
        self.kernel = judge.read(os.path.join(TOP, suite, "kernel")).decode().strip()
        self.name = f"{suite} {self.kernel}"
        self.built = os.path.join(TOP, suite, "built")
        self.root = os.path.join(self.folder, "root")
        subprocess.run([os.path.join(HERE, "lay"), suite, self.folder], check=True, stderr=subprocess.DEVNULL)
        self.modules = os.path.realpath(os.path.join(self.root, "lib/modules", self.kernel))
        self.inside = os.path.relpath(self.modules, self.root)
        self.out_of_tree = self.find("updates") + self.find("extra")
        self.in_tree = self.find("kernel")
        self.all = self.out_of_tree + self.in_tree
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            summaries = pool.map(judge.summary, map(self.path, self.all))
            self.original = dict(zip(self.all, summaries))

    def find(self, below):
        """Module files, relative to the root."""
        pattern = os.path.join(glob.escape(self.modules), below, "**/*.ko*")
        return sorted(os.path.relpath(path, self.root) for path in glob.glob(pattern, recursive=True))

    def path(self, module):
        return os.path.join(self.root, module)

    def image(self, module):
        return self.original[module][0]

    def lay_out_of_tree_anew(self):
        for name in ("updates", "extra"):
            shutil.rmtree(os.path.join(self.modules, name))
            pristine = os.path.join(self.folder, "pristine", name)
            subprocess.run(["cp", "-a", pristine, self.modules], check=True)

    def run(self, command, *options):
        return Outcome(PROGRAM, command, "-k", self.kernel, "--root", self.root, *options)

    def sign(self, key_name, hash_name, *options, encoding="pem"):
        return self.run(
            "sign", "--key", key(key_name), "--cert", cert(key_name, encoding), "--hash", hash_name, *options
        )


def cost(tree, command, outcome):
    line = (f"{tree.name}: {command}: {len(tree.all)} modules, {outcome.wall:.2f} s wall, "
            f"{outcome.cpu:.2f} s CPU, peak {outcome.peak:.0f} MiB, {os.cpu_count()} processors")
    Tap.note(line)
    with open(os.path.join(TOP, "results"), "a", encoding="utf-8") as results:
        print(line, file=results)


def prepare():
    """For all checks, once."""
    os.umask(0o022)
    subprocess.run([MAKE_KEYS, KEYS], check=True, capture_output=True)
    with open(os.path.join(TOP, "results"), "w", encoding="utf-8"):
        pass


def prepare_tools():
    """The kernel's sign-file, and ours by that name."""
    kbuild = os.path.join(TOP, "bookworm/linux-kbuild-6.1.deb")
    subprocess.run(["dpkg-deb", "-x", kbuild, os.path.join(WORK, "kbuild")], check=True)
    os.symlink(PROGRAM, OUR_TOOL)
