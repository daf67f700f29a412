# SPDX-License-Identifier: MIT
"""check.py PART SUITE...: signs the trees of these suites in every way that users do (PART sign), has
signatures of every kind looked at (verify: check_verify.py), has modules in every container extended
(splice: check_splice.py, a sample of it; splice-all), has a service sign a whole kernel's (offline:
check_offline.py), or all of that (all), and says in TAP whether independent readers
agree with the outcome. Called by `run`, which prepares it all."""
import itertools
import os
import shutil
import subprocess
import sys
import tempfile

import check_offline
import check_splice
import check_verify
import judge
from common import (KERNELS_TOOL, OUR_TOOL, PROGRAM, WORK, Outcome, Tree, all_faults, cert, cost,
                    key, prepare, prepare_tools, signer)
from doubt import doubt_containers, doubt_manifests, doubt_signatures
from manifest import judge_touched, manifest
from tap import Tap

HASHES = ("sha256", "sha384", "sha512")
ENCODINGS = ("pem", "der")


def kernels_signature(hash_name, key_name, image, *options, encoding="pem"):
    """What the kernel's own tool makes of these bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        module = os.path.join(scratch, "module.ko")
        with open(module, "wb") as file:
            file.write(image)
        command = [KERNELS_TOOL, *options, hash_name, key(key_name), cert(key_name, encoding), module]
        subprocess.run(command, check=True, capture_output=True)
        return judge.read(module)


def identical_to_kernels(tree, modules, hash_name, encoding="pem"):
    """The kernel's tool makes the very same bytes of the image (RSA only: ECDSA signatures differ)."""

    def faults(module):
        try:
            data = judge.content(tree.path(module))
            theirs = kernels_signature(hash_name, "rsa", judge.split(data)[0], encoding=encoding)
        except judge.Fault as fault:
            return [str(fault)]
        return [] if data == theirs else [f"{module}: not what the kernel's sign-file makes"]

    return all_faults(faults, modules)


def check_judge(tap):
    """Before it is believed: the judge tells the broken from the good."""

    def sign(image, key_name, *options):
        return kernels_signature("sha256", key_name, image, *options)

    with tempfile.TemporaryDirectory() as scratch:
        certs = {name: cert(name) for name in ("rsa", "other")}
        tap.claim("the judge sees broken signatures", doubt_signatures(scratch, sign, certs))
        tap.claim("the judge sees containers that a kernel cannot read", doubt_containers(scratch))
        tap.claim("the judge sees what was touched", doubt_manifests(scratch))


def check_tree(tap, tree):
    """What the rest relies on."""
    with open(os.path.join(tree.modules, "modules.order"), encoding="ascii") as order:
        expected = {line.strip() for line in order}
    found = {os.path.relpath(path, tree.inside).removesuffix(".xz") for path in tree.in_tree}
    tap.claim(
        f"{tree.name}: {len(tree.in_tree)} modules in the tree, those of modules.order",
        sorted(found ^ expected) or ([] if len(found) > 500 else ["too few"]),
    )
    counts = {module: tree.original[module][1] for module in tree.all}
    tap.claim(
        f"{tree.name}: Debian signed each of them, and none of the {len(tree.out_of_tree)} out of it",
        [f"{module}: {counts[module]} signatures" for module in tree.in_tree if counts[module] != 1]
        + [f"{module}: signed" for module in tree.out_of_tree if counts[module]]
        + ([] if len(tree.out_of_tree) == 8 else [f"{tree.out_of_tree}"]),
    )


def check_sign(tap, tree, key_name, hash_name, encoding="pem"):
    """sign, as a user without arguments does it: the out-of-tree modules."""
    what = f"{tree.name}: sign, {key_name} {hash_name} {encoding}"
    tree.lay_out_of_tree_anew()
    before = manifest(tree.root)
    outcome = tree.sign(key_name, hash_name, encoding=encoding)
    tap.claim(f"{what}: exits 0", outcome.faults())
    tap.claim(
        f"{what}: replaces the out-of-tree modules, touches nothing else",
        judge_touched(before, manifest(tree.root), tree.out_of_tree),
    )
    tap.claim(
        f"{what}: each verifies over the image that it had",
        all_faults(
            lambda module: judge.judge_signed(tree.path(module), cert(key_name), tree.image(module)),
            tree.out_of_tree,
        ),
    )
    paths = [tree.path(module) for module in tree.out_of_tree]
    tap.claim(f"{what}: each is compressed as before, readable for the kernel", all_faults(judge.judge_container, paths))
    tap.claim(
        f"{what}: modinfo shows the signer",
        all_faults(lambda path: judge.judge_modinfo(path, signer(key_name)), paths),
    )
    if key_name == "rsa":
        tap.claim(
            f"{what}: byte for byte what the kernel's sign-file makes",
            identical_to_kernels(tree, tree.out_of_tree, hash_name, encoding),
        )
    return outcome


def check_warnings(tap, tree, outcome):
    """v4l2loopback was built for another kernel (see build), dm-writeboost for this one."""
    warned = [line for line in outcome.output.splitlines() if "vermagic" in line]
    tap.claim(
        f"{tree.name}: sign warns of the modules with another kernel's vermagic only",
        [f"no warning for {module}" for module in tree.out_of_tree
         if "v4l2loopback" in module and not any(os.path.basename(module) in line for line in warned)]
        + [line for line in warned if "dm-writeboost" in line],
    )


def check_named(tap, tree):
    """sign MODULE: that one; and a dry run: none."""
    tree.lay_out_of_tree_anew()
    before = manifest(tree.root)
    outcome = tree.sign("rsa", "sha256", "--dry-run")
    tap.claim(
        f"{tree.name}: sign --dry-run touches nothing",
        outcome.faults() + judge_touched(before, manifest(tree.root), []),
    )
    outcome = tree.sign("rsa", "sha256", "dm_writeboost")
    named = [module for module in tree.out_of_tree if module.endswith("/dm-writeboost.ko")]
    tap.claim(
        f"{tree.name}: sign dm_writeboost replaces dm-writeboost.ko, touches nothing else",
        outcome.faults() + judge_touched(before, manifest(tree.root), named),
    )


def folder_content(folder):
    return {name: judge.digest(judge.read(os.path.join(folder, name))) for name in os.listdir(folder)}


def twins(module, ours, *arguments, keep=()):
    """Runs the kernel's tool and ours alike, each in a folder with a copy of the module as m.ko: the
    exit status and every file there must come out the same."""
    results = []
    for number, tool in enumerate(([KERNELS_TOOL], ours)):
        folder = os.path.join(WORK, f"twin{number}")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        shutil.copyfile(module, os.path.join(folder, "m.ko"))
        for path in keep:
            shutil.copy(path, folder)
        results.append((Outcome(*tool, *arguments, cwd=folder), folder_content(folder)))
    (theirs, their_files), (mine, my_files) = results
    what = " ".join(os.path.basename(argument) for argument in [*ours, *arguments])
    faults = mine.faults(theirs.status)
    faults += [f"{name}: differs" for name in sorted(their_files.keys() | my_files.keys())
               if their_files.get(name) != my_files.get(name)]
    return [f"{what}: {fault}" for fault in faults]


def check_sign_file(tap, tree):
    """The sign-file personality, by its name and as a command, beside the kernel's tool."""
    tools = ([PROGRAM, "sign-file"], [OUR_TOOL])
    module = os.path.join(tree.built, "v4l2loopback.ko")
    for hash_name, encoding, options in itertools.product(HASHES, ENCODINGS, ([], ["-k"])):
        arguments = [*options, hash_name, key("rsa"), cert("rsa", encoding), "m.ko"]
        tap.claim(
            f"{tree.name}: {' '.join(['sign-file', *options, hash_name, encoding])}, in place and to DEST, as the kernel's",
            [fault for tool in tools for dest in ([], ["dest.ko"])
             for fault in twins(module, tool, *arguments, *dest)],
        )
    common = ["sha256", key("rsa"), cert("rsa"), "m.ko"]
    for option in ("-p", "-d", "-pk", "-dk"):
        tap.claim(
            f"{tree.name}: sign-file {option}, with its m.ko.p7s, as the kernel's",
            [fault for tool in tools for dest in ([], ["dest.ko"])
             for fault in twins(module, tool, option, *common, *dest)],
        )
    # -s takes a message made elsewhere: the one that -d has left just now.
    shutil.copy(os.path.join(WORK, "twin0/m.ko.p7s"), os.path.join(WORK, "raw.p7s"))
    tap.claim(
        f"{tree.name}: sign-file -s, as the kernel's",
        [fault for tool in tools for dest in ([], ["dest.ko"])
         for fault in twins(module, tool, "-s", "raw.p7s", "sha256", cert("rsa"), "m.ko", *dest,
                            keep=[os.path.join(WORK, "raw.p7s")])],
    )
    tap.claim(
        f"{tree.name}: sign-file exits as the kernel's: without arguments, module, key, or a known hash",
        [fault for tool in tools
         for arguments in ([], [*common[:3], "none.ko"], ["sha256", "none.key", *common[2:]], ["sha257", *common[1:]])
         for fault in twins(module, tool, *arguments)],
    )
    for options in ([], ["-k"]):
        copy = os.path.join(WORK, "ec.ko")
        shutil.copyfile(module, copy)
        outcome = Outcome(PROGRAM, "sign-file", *options, "sha384", key("ec"), cert("ec"), copy)
        tap.claim(
            f"{tree.name}: {' '.join(['sign-file', *options, 'sha384'])} with a P-384 key verifies",
            outcome.faults() + judge.judge_signed(copy, cert("ec"), judge.digest(judge.read(module))),
        )


def already_signed(output, count):
    """Does the output say so of that many modules, one by one or in a sum?"""
    lines = [line for line in output.splitlines() if "already signed" in line]
    said = len(lines) == count or any(str(count) in line.split() for line in lines)
    return [] if said else [f"no word of {count} modules already signed", *output.splitlines()[-3:]]


def check_all(tap, tree):
    """sign --all over the whole tree, twice, and unsign --all."""
    tree.lay_out_of_tree_anew()
    laid = manifest(tree.root)
    outcome = tree.sign("rsa", "sha256", "--all")
    cost(tree, "sign --all", outcome)
    signed = manifest(tree.root)
    tap.claim(f"{tree.name}: sign --all: exits 0", outcome.faults())
    tap.claim(f"{tree.name}: sign --all: replaces all modules, touches nothing else", judge_touched(laid, signed, tree.all))
    tap.claim(
        f"{tree.name}: sign --all: each verifies over the image that Debian built",
        all_faults(lambda module: judge.judge_signed(tree.path(module), cert("rsa"), tree.image(module)), tree.all),
    )
    tap.claim(
        f"{tree.name}: sign --all: each is compressed as before, readable for the kernel",
        all_faults(lambda module: judge.judge_container(tree.path(module)), tree.all),
    )
    tap.claim(
        f"{tree.name}: sign --all: each is byte for byte what the kernel's sign-file makes",
        identical_to_kernels(tree, tree.all, "sha256"),
    )
    outcome = tree.sign("rsa", "sha256", "--all")
    cost(tree, "sign --all again", outcome)
    tap.claim(
        f"{tree.name}: sign --all again: touches no file",
        outcome.faults() + judge_touched(signed, manifest(tree.root), []),
    )
    tap.claim(f"{tree.name}: sign --all again: says that all are already signed", already_signed(outcome.output, len(tree.all)))
    outcome = tree.run("unsign", "--all")
    cost(tree, "unsign --all", outcome)
    tap.claim(f"{tree.name}: unsign --all: exits 0", outcome.faults())
    tap.claim(
        f"{tree.name}: unsign --all: replaces all modules, touches nothing else",
        judge_touched(signed, manifest(tree.root), tree.all),
    )
    tap.claim(
        f"{tree.name}: unsign --all: each is the image that Debian built, unsigned",
        all_faults(lambda module: judge.judge_unsigned(tree.path(module), tree.image(module)), tree.all),
    )
    tap.claim(
        f"{tree.name}: unsign --all: each is compressed as before, readable for the kernel",
        all_faults(lambda module: judge.judge_container(tree.path(module)), tree.all),
    )


def check_suite(tap, suite):
    tree = Tree(suite)
    check_tree(tap, tree)
    for hash_name, encoding in itertools.product(HASHES, ENCODINGS):
        outcome = check_sign(tap, tree, "rsa", hash_name, encoding)
    check_warnings(tap, tree, outcome)
    check_sign(tap, tree, "ec", "sha384")
    check_named(tap, tree)
    check_sign_file(tap, tree)
    check_all(tap, tree)


def main(part, *suites):
    prepare()
    tap = Tap(hide=WORK + "/")
    if part in ("all", "sign"):
        prepare_tools()
        check_judge(tap)
        for suite in suites:
            check_suite(tap, suite)
    if part in ("all", "verify"):
        check_verify.check(tap, suites)
    if part in ("all", "splice", "splice-all"):
        check_splice.check(tap, part == "splice-all")
    if part in ("all", "offline"):
        check_offline.check(tap)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
