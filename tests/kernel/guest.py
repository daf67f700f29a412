# SPDX-License-Identifier: MIT
"""The program under test inside a guest, where it sees the running kernel: its tree, its commands, its answers."""
import json
import os
import re
import shutil

import judge
from boot import Job
from oracle import EXIT
from signing import PROGRAM, program

EFIVARFS = "efivarfs"  # Debian's kernels have it as a module; boot()'s PRELOAD
ROWS = "rows"  # the folder with the files that are asked about
COMMANDS = ("status", "verify")  # and the names of the jobs that ask them
APART = "kernel-sign.apart"
WORST_FIRST = (1, 4, 2, 3, 0)  # of verify's exit status


def files_of(kernel, root):
    """Image and config, below ROOT."""
    names = (f"{folder}/{name}" for folder, suffix in (("boot", f"-{kernel.release}"),
                                                       (f"lib/modules/{kernel.release}", ""))
             for name in (f"vmlinuz{suffix}", f"config{suffix}"))
    return [name for name in names if os.path.exists(os.path.join(root, name))]


def libraries(listing):
    """The paths in what ldd printed."""
    return re.findall(r"(/\S+) \(0x", listing)


def copy(source, target):
    """A link with what it leads to: a library's version is in its name."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    whole = os.path.realpath(source)
    if os.path.basename(whole) != os.path.basename(source):
        shutil.copy(whole, os.path.dirname(target))
        os.symlink(os.path.basename(whole), target)
    else:
        shutil.copy(whole, target)


def plant_files(folder, pairs):
    for source, name in pairs:
        copy(source, os.path.join(folder, name))


def program_files():
    status, out, err = judge.run(["ldd", PROGRAM])
    if status:
        raise judge.Fault(f"ldd {PROGRAM}: {err}")
    return [PROGRAM, *libraries(out.decode())]


def a_module_of(kernel, root):
    """The list of its package's modules, and the first of them: that shows what its vermagic is."""
    folder = f"lib/modules/{kernel.release}"
    with open(os.path.join(root, folder, "modules.order"), encoding="utf-8") as file:
        first = f"{folder}/{file.readline().strip()}"
    return [f"{folder}/modules.order", *(name for name in (first, f"{first}.xz")
                                         if os.path.exists(os.path.join(root, name)))]


def plant_kernel(kernel, root, folder):
    """What its package brings, which is unpacked in ROOT, but for most of its modules."""
    os.makedirs(os.path.join(folder, "lib/modules", kernel.release), exist_ok=True)
    plant_files(folder, [(os.path.join(root, name), name)
                         for name in (*files_of(kernel, root), *a_module_of(kernel, root))])


def plant(kernel, root, folder):
    """A tree in which the program runs, and finds the kernel."""
    program_file, *libs = program_files()
    plant_kernel(kernel, root, folder)
    plant_files(folder, [(program_file, "kernel-sign"), *((path, path[1:]) for path in libs)])


def plant_apart(folder):
    """The program with its own libraries in a tree that has others; the command that runs it."""
    program_file, *libs = program_files()
    plant_files(folder, [(program_file, f"{APART}/kernel-sign"),
                         *((path, f"{APART}/{os.path.basename(path)}") for path in libs)])
    loader = next(os.path.basename(path) for path in libs if os.path.basename(path).startswith("ld-"))
    return f"/{APART}/{loader}", "--library-path", f"/{APART}", f"/{APART}/kernel-sign"


class Files:
    """The modules of JOBS as files in a TREE that the program runs in, or that is its --root."""

    def __init__(self, tree, jobs):
        self.tree = tree
        self.names = {job.id: f"/{ROWS}/{number}{job.suffix}" for number, job in enumerate(jobs)}
        os.makedirs(os.path.join(tree, ROWS))
        for job in jobs:
            with open(tree + self.names[job.id], "wb") as file:
                file.write(job.data)

    def told(self, said):
        """{job's id: what the program told of it}; SAID is its output."""
        found = predictions(said)
        return {name: found.get(path) for name, path in self.names.items()}

    def on_host(self, kernel, efivars):
        found = on_host(self.tree, kernel, efivars, self.names.values())
        return {name: found.get(path) for name, path in self.names.items()}

    def both(self, kernel, root="."):
        """The jobs that ask status and verify, in the guest."""
        return [asking(command, kernel, self.names.values(), command, root) for command in COMMANDS]

    def judge_both(self, answers):
        """Faults of what these jobs answered: both predict the same, and verify's exit status is its own matter."""
        by_status, by_verify = (self.told(text(answers[command])) for command in COMMANDS)
        faults = [f"{name}: verify predicts {loads(by_verify, name)}" for name in self.names
                  if loads(by_verify, name) != loads(by_status, name)]
        verdicts = {module["verdict"] or "no module" for module in by_verify.values() if module}
        wanted = [int("no module" in verdicts), min((EXIT[verdict] for verdict in verdicts), key=WORST_FIRST.index)]
        found = [answers[command].status for command in COMMANDS]
        return faults + ([] if found == wanted else [f"status and verify end with {found}, not {wanted}"])


def loads(told, name):
    return told[name] and told[name].get("load")


def asking(name, kernel, files, command="status", root=".", program=("/kernel-sign",)):
    """The job that asks for predictions; FILES as the guest has them."""
    return Job(name, "exec", root=root, argv=(*program, command, "--json", "-k", kernel.release, *files))


def text(answer):
    """Long lines come in pieces."""
    return "".join(answer.output)


def predictions(said):
    """{path: what was told of it}; SAID is the program's output."""
    try:
        return {module["path"]: module for module in json.loads(said)["modules"]}
    except (ValueError, KeyError, TypeError):
        raise judge.Fault(f"no predictions: {said[-500:]}") from None


def on_host(tree, kernel, efivars, files):
    """{path: what was told of it} by a look at the files of a kernel that does not run, and at variables; FILES are
    below TREE."""
    status, out, err = program("status", "--json", "--root", tree, "--efivars", efivars, "-k", kernel.release, *files)
    found = predictions(out)
    if status != any(module["error"] for module in found.values()):
        raise judge.Fault(f"status: exit status {status}: {err}")
    return found
