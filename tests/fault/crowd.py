# SPDX-License-Identifier: MIT
"""Many at one tree: eight processes that sign, unsign and look, depmod and cp -a, all at once and again
and again. Every file must be whole, in the tree and in the copy."""
import os
import re
import shutil
import subprocess

import containers
import inject
import judge
import scenes

PATIENCE = 120  # seconds for one round; more is a deadlock
FILES = 20
DEPMODS_TEMPORARY = re.compile(r"/modules\.[a-z.]+\.\d+\.\d+\.\d+': No such file or directory$")
CHANGED = "changed by another program meanwhile"


class Crowd:
    def __init__(self, fixtures, library, top):
        self.top, self.cert = scenes.cleared(top), fixtures.key["rsa"][1]
        self.library, self.rounds = library, 0
        self.wanted = {}  # path: the two contents that are whole
        tree = {f"{scenes.KERNEL}/modules.order": scenes.file(b"")}
        for number in range(FILES):
            suffix = list(containers.PACKERS)[number % len(containers.PACKERS)]
            image = fixtures.image[number % len(fixtures.image)]
            path = f"{scenes.KERNEL}/{'extra' if number % 3 else 'updates'}/m{number}.ko{suffix}"
            tree[path] = scenes.file(scenes.packed(image, suffix))
            self.wanted[path] = (image, fixtures.signed(image, "rsa"))
        for path, what in sorted(scenes.with_directories(tree).items()):
            scenes.put(top, path, what)
        common = ["--root", "root", "-k", scenes.V, "-j2"]
        key = ["--key", fixtures.key["rsa"][0], "--cert", self.cert, "--hash", "sha256"]
        sign, unsign, look = (["sign", *common, *key], ["unsign", *common], ["status", *common])
        self.commands = [[scenes.PROGRAM, *args] for args in (sign, sign, sign, unsign, unsign, unsign, look, look)]
        self.commands.append(["depmod", "-b", "root", scenes.V])
        self.commands.append(["cp", "-a", "root", "copy"])
        self.results = {}  # what processes said, and how often

    def faults_of(self, path, data):
        content = scenes.content_of(path, data)
        return [] if content in self.wanted[path] else [f"{path}: neither old nor new, lost"]

    def tree_faults(self, tree="root", excused=()):
        """Of the tree, or of its copy, where what was replaced while it was copied may be missing."""
        faults = []
        for path in self.wanted:
            where = path.replace("root", tree, 1)
            try:
                faults += self.faults_of(path, judge.read(os.path.join(self.top, where)))
            except FileNotFoundError:
                if path not in excused:
                    faults.append(f"{where}: is gone, lost")
        return [f"{tree}: {fault}" for fault in faults]

    def count(self, what):
        self.results[what] = self.results.get(what, 0) + 1

    def process_faults(self, command, process, err):
        """(faults, files that cp could not copy for a reason that holds)"""
        ours, status = command[0] == scenes.PROGRAM, process.returncode
        name = f"kernel-sign {command[1]}" if ours else command[0]
        lines = [line for line in err.splitlines() if line]
        if name == "cp":
            return self.copy_faults(status, lines)
        unexplained = [line for line in lines if CHANGED not in line and "warning" not in line.lower()]
        if name in ("kernel-sign sign", "kernel-sign unsign") and status == 1 and lines and not unexplained:
            self.count(f"{name}: 1, {CHANGED}")
            return [], ()
        self.count(f"{name}: {status}")
        return ([f"{name}: exit {status}: {err.strip()[:300]}"] if status or unexplained else []), ()

    def copy_faults(self, status, lines):
        """A temporary file, ours or depmod's, may go and a module be replaced between cp's look and its open()."""
        excused, faults = [], []
        for line in lines:
            replaced = re.search(r"skipping file '([^']*)', as it was replaced", line)
            if replaced:
                excused.append(replaced[1])
            elif scenes.TEMPORARY not in line and not DEPMODS_TEMPORARY.search(line):
                faults.append(f"cp: {line}")
        self.count(f"cp: {status}{', of files that were replaced' if lines else ''}")
        return faults + ([f"cp: exit {status}"] if status and not lines else []), excused

    def environment(self, command):
        """Every other round on a file system without O_TMPFILE, where new files have a name at once."""
        env = {**os.environ, "LC_ALL": "C"}
        if command[0] == scenes.PROGRAM and self.rounds % 2:
            env.update({"LD_PRELOAD": self.library, "KS_FAULT_MODES": str(inject.NO_TMPFILE)})
        return env

    def round(self):
        self.rounds += 1
        shutil.rmtree(os.path.join(self.top, "copy"), ignore_errors=True)
        faults, excused = [], ()
        running = [(command, subprocess.Popen(command, cwd=self.top, stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                              env=self.environment(command)))
                   for command in self.commands]
        for command, process in running:
            try:
                err = process.communicate(timeout=PATIENCE)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                faults.append(f"{command[:2]}: hangs")
                continue
            more, of_copy = self.process_faults(command, process, err)
            faults += more
            excused = of_copy or excused
        left = [path for path in scenes.snapshot(os.path.join(self.top, "root")) if scenes.TEMPORARY in path]
        return faults + self.tree_faults() + self.tree_faults("copy", excused) + [
            f"{path}: left over" for path in left]

    def last(self):
        """All is as if nobody else had ever been there."""
        status, _, err = judge.run(self.commands[0], cwd=self.top)
        faults = [f"the last run: {err}"] if status else []
        for path, (image, _) in self.wanted.items():
            faults += judge.judge_signed(os.path.join(self.top, path), self.cert, judge.digest(image))
        return faults

    def doubt(self):
        """The judge sees a file that was cut, and one that is gone."""
        path = next(iter(self.wanted))
        where, missed = os.path.join(self.top, path), []
        whole = judge.read(where)
        with open(where, "wb") as file:
            file.write(whole[:len(whole) // 2])
        missed += [] if self.tree_faults() else ["a file cut in half passes"]
        os.unlink(where)
        missed += [] if self.tree_faults() else ["a file that is gone passes"]
        with open(where, "wb") as file:
            file.write(whole)
        return missed + self.tree_faults()
