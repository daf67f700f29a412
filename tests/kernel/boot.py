# SPDX-License-Identifier: MIT
"""Boots a kernel under qemu and has it load modules: boot(kernel, jobs) is {job's id: Answer}. Whatever else
happens (the kernel does not come up or does not finish, a job has no answer) is a BootError."""
import dataclasses
import errno
import functools
import os
import re
import stat
import subprocess
import tempfile

import judge
import varstore

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.environ["KS_KERNEL_DIR"]
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
SECURE_FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
LOADING = ("file", "compressed", "memory", "keep")
# A boot takes 10 to 25 s; a machine with others at work is slower, and one that hangs must end.
PATIENCE = 300


def loaded_name(path):
    """The name that the module in this file has in the kernel."""
    return os.path.basename(path).partition(".ko")[0].replace("-", "_")


class BootError(Exception):
    """A boot that tells nothing."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """VMLINUZ and the modules below the directory MODULES; READS are the containers that its own reader knows.
    A kernel of no more than the needful starts without the FIRMWARE, and so without db and the like."""

    label: str
    release: str
    vmlinuz: str
    modules: str
    reads: frozenset = frozenset()
    firmware: bool = True

    def paths(self, name):
        """The file of this module, behind those of the modules that it needs."""
        lines = judge.read(os.path.join(self.modules, "modules.dep")).decode().splitlines()
        for line in lines:
            path, _, needed = line.partition(":")
            if loaded_name(path) == loaded_name(name):
                return [os.path.join(self.modules, part) for part in (*reversed(needed.split()), path)]
        raise judge.Fault(f"{self.label} has no module {name}")

    def image(self, name):
        """This module, without its signature."""
        return judge.split(judge.content(self.paths(name)[-1]))[0]


@dataclasses.dataclass(frozen=True)
class Job:
    """WAY is one of those in init.c. DATA is the module's file, NAME the loaded module's, by which it is unloaded.
    ROOT is one of boot's trees and ARGV the command in it, for "exec"; @ in ARGV stands for the module's file."""

    id: str
    way: str
    data: bytes = b""
    name: str = ""
    root: str = ""
    argv: tuple = ()
    suffix: str = ".ko"


@dataclasses.dataclass(frozen=True)
class Answer:
    """ERRNO has its name, "" if the module was loaded; TAINT are its flags in /sys/module, "E" stands for a signature
    that was not good. STATUS, OUTPUT and ERRORS are a command's; the OUTPUT may be a dump's."""

    errno: str
    messages: tuple = ()
    taint: str = ""
    status: int = 0
    output: tuple = ()
    errors: tuple = ()


@functools.cache
def init():
    """The first process, compiled."""
    with tempfile.TemporaryDirectory() as scratch:
        program = os.path.join(scratch, "init")
        subprocess.run(["gcc", "-static", "-Os", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
                        "-o", program, os.path.join(HERE, "init.c")], check=True)
        return judge.read(program)


class Archive:
    """An initrd: cpio in the form "newc" (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).
    Files of one content are links to the first of them, which alone has it: the guest's memory is small."""

    def __init__(self):
        self.parts, self.names, self.inodes = [], {""}, {}

    def add(self, name, data=b"", mode=stat.S_IFREG | 0o755):
        parent = os.path.dirname(name)
        if parent not in self.names:
            self.add(parent, mode=stat.S_IFDIR | 0o755)
        self.names.add(name)
        inode, links = len(self.names), 1
        if stat.S_ISREG(mode) and data:
            first = self.inodes.setdefault((data, mode), inode)
            inode, links, data = first, 2, data if first == inode else b""
        fields = [inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]

    def add_tree(self, name, folder):
        for parent, folders, files in os.walk(folder):
            for entry in sorted(folders + files):
                source = os.path.join(parent, entry)
                self.add_copy(os.path.normpath(os.path.join(name, os.path.relpath(source, folder))), source)

    def add_copy(self, name, source):
        mode = os.lstat(source).st_mode
        if stat.S_ISLNK(mode):
            self.add(name, os.readlink(source).encode(), mode)
        elif stat.S_ISREG(mode):
            self.add(name, judge.read(source), mode)
        elif stat.S_ISDIR(mode) and name not in self.names:
            self.add(name, mode=mode)

    def finished(self):
        self.add("TRAILER!!!", mode=0)
        return b"".join(self.parts)


def keeping(kernel, name):
    """The jobs that load a module of the kernel's own, with what it needs."""
    for path in kernel.paths(name):
        yield Job(f"preload {loaded_name(path)}", "keep", judge.content(path), loaded_name(path))


def initrd(jobs, trees):
    archive = Archive()
    archive.add("init", init())
    for name, folder in trees.items():
        archive.add_tree(name, folder)
    lines, files = [], {}
    for job in jobs:
        root = job.root or "."
        path = files.setdefault((root, job.data, job.suffix), f"modules/{len(files)}{job.suffix}")
        full = os.path.normpath(os.path.join(root, path))
        if (job.data or job.way in LOADING) and full not in archive.names:
            archive.add(full, job.data)
        argv = ["/" + path if word == "@" else word for word in job.argv]
        words = [job.way, job.id, job.name, "/" + (job.root if job.way == "exec" else full), *argv]
        if any(re.search(r"[\t\n]", word) for word in words):
            raise ValueError(f"a tab or a newline in {words}")
        lines.append("\t".join(words))
    archive.add("jobs", "".join(line + "\n" for line in lines).encode())
    return archive.finished()


def command(kernel, folder, enforce, secure, words=()):
    """qemu's command line. Both serial ports go into files in FOLDER."""
    # On a busy machine the emulated timer may be late, and a kernel that tests it panics.
    append = ["console=ttyS0", "quiet", "panic=-1", "no_timer_check", *["module.sig_enforce=1"] * enforce, *words]
    line = ["qemu-system-x86_64", "-M", "q35" + ",smm=on" * bool(secure), "-accel", "tcg,thread=multi", "-cpu", "max",
            "-m", "512", "-nodefaults", "-display", "none", "-no-reboot",
            "-serial", f"file:{folder}/console", "-serial", f"file:{folder}/answers",
            "-kernel", kernel.vmlinuz, "-initrd", f"{folder}/initrd", "-append", " ".join(append)]
    if secure:
        line += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
    if kernel.firmware:
        line += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={SECURE_FIRMWARE if secure else FIRMWARE}",
                 "-drive", f"if=pflash,unit=1,format=raw,file={folder}/flash"]
    return line


def said(folder, port):
    path = os.path.join(folder, port)
    return judge.read(path).decode(errors="replace") if os.path.exists(path) else ""


def run(kernel, folder, enforce, secure, timeout, words=()):
    """What the kernel's first process answered."""
    try:
        done = subprocess.run(command(kernel, folder, enforce, secure, words), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=timeout, check=False)
        end = f"qemu ended with status {done.returncode}: {done.stderr.decode(errors='replace')}"
    except subprocess.TimeoutExpired:
        end = f"no end after {timeout} s"
    lines = said(folder, "answers").rpartition("\nbegin\n")[2].splitlines()
    if not lines or lines[-1] != "end":
        console = said(folder, "console")
        raise BootError("\n".join([f"{kernel.label}: {end}; last answers {lines[-2:]}", *console.splitlines()[-12:]]))
    return lines[:-1]


def read_answers(jobs, lines):
    """{id: Answer} out of the lines that init.c describes."""
    told = {job.id: {kind: [] for kind in ("answer", "kernel", "output", "error", "fault")} for job in jobs}
    if len(told) != len(jobs):
        raise ValueError("two jobs with one id")
    for line in lines:
        kind, name, text = line.split("\t", 2)
        told[name][kind].append(text)
    answers = {}
    for name, found in told.items():
        if found["fault"] or len(found["answer"]) != 1:
            raise BootError(f"{name}: {found['fault'] or found['answer'] or 'no answer'}")
        number, status, taint = found["answer"][0].split("\t")
        answers[name] = Answer(errno.errorcode[int(number)] if int(number) else "", tuple(found["kernel"]), taint,
                               int(status), tuple(found["output"]), tuple(found["error"]))
    return answers


def boot(kernel, jobs, *, db=(), dbx=(), mok=(), enforce=True, secure=False, preload=(), trees=None, variables=(),
         words=(), timeout=PATIENCE):
    """{job's id: Answer}. DB, DBX and MOK are certificates (paths, in DER) or SHA-256 digests (bytes). SECURE is the
    certificate that owns the firmware and that signed the kernel: so there is Secure Boot. PRELOAD names modules of
    the kernel's that are loaded first. TREES are folders {name in the initrd: folder}, VARIABLES more of the
    firmware's, WORDS more of the kernel's command line. The tree "." is the first process' own root."""
    first = list({job.id: job for name in preload for job in keeping(kernel, name)}.values())
    everything = [*first, *jobs]
    owner = secure or None
    variables = varstore.trusting([*db, *([owner] if owner else [])], dbx, mok, owner) + list(variables)
    with tempfile.TemporaryDirectory(prefix="boot.") as folder:
        for name, data in (("initrd", initrd(everything, trees or {})), ("flash", varstore.flash(variables))):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
        answers = read_answers(everything, run(kernel, folder, enforce, secure, timeout, words))
    for job in first:
        if answers[job.id].errno:
            raise BootError(f"{kernel.label}: {job.id}: {answers[job.id]}")
    return {job.id: answers[job.id] for job in jobs}


def dumped(answer):
    """What a "dump" tells: (facts, {keyring: serials of its members}, {serial: line of /proc/keys})."""
    facts, rings, keys = {}, {}, {}
    for line in answer.output:
        kind, _, text = line.partition(" ")
        if kind == "member":
            ring, serial = text.split()
            rings.setdefault(ring, []).append(serial)
        elif kind == "key":
            keys[text.split()[0]] = text
        else:
            facts[kind] = text
    return facts, rings, keys
