# SPDX-License-Identifier: MIT
"""Real modules in every container that tools make: signed, signed anew with another key, with the first one again,
and unsigned. What could be extended was extended: each of its bytes is where it was. Called by check.py."""
import dataclasses
import glob
import json
import os
import shutil
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

import judge
import splice_forms as forms
from common import KEYS, MAKE_KEYS, PROGRAM, TOP, WORK, cert, key, signer
from containers import write
from doubt_splice import doubt_told, doubt_written
from manifest import entry
from splice_forms import PLAIN, RECOMPRESSED, SPLICED
from splice_judge import BLOCK, JUDGES, Written, judge_summary, judge_told, nothing_stays

FOLDER = os.path.join(WORK, "splice")
SUITE = "trixie"
DIGEST = "sha256"
FIRST, SECOND = "rsa", "rsa4096"  # signatures of two lengths; RSA makes the same one each time
KIB, MIB = 1 << 10, 1 << 20
# The largest content that a zstd frame tells in one byte and in two
SIZE_STEPS = (255, 65791)
# Of large modules a few forms will do: one of each kind.
LARGE = {"plain.ko", "as-built.ko.xz", "threads.ko.xz", "default.ko.xz", "x86.ko.xz", "delta.ko.xz", "as-built.ko.zst",
         "level19.ko.zst", "no-size.ko.zst", "window-64k.ko.zst", "as-built.ko.gz", "pigz.ko.gz", "stored.ko.gz",
         "extra.ko.gz"}
LARGEST = {"plain.ko", "as-built.ko.xz", "as-built.ko.zst", "as-built.ko.gz"}
# At the boundaries of sizes: what has blocks and size fields that they are boundaries of.
BOUNDARY = {"plain.ko", "as-built.ko.xz", "blocks-64k.ko.xz", "threads.ko.xz", "no-check.ko.xz", "as-built.ko.zst",
            "no-check.ko.zst", "no-size.ko.zst", "raw.ko.zst", "raw-empty.ko.zst", "window-1k.ko.zst", "as-built.ko.gz",
            "stored.ko.gz", "flushed.ko.gz", "pigz.ko.gz"}
ONLY_SMALL = {"pigz-best.ko.gz"}  # minutes for a large one
# What --recompress and a second run are shown with
FEW = {"plain.ko", "as-built.ko.xz", "threads.ko.xz", "default.ko.xz", "as-built.ko.zst", "no-size.ko.zst",
       "name.ko.gz", "extra.ko.gz"}
DOUBTED = ("plain.ko", "as-built.ko.xz", "threads.ko.xz", "default.ko.xz", "two-streams.ko.xz", "as-built.ko.zst",
           "no-size.ko.zst", "two-frames.ko.zst", "as-built.ko.gz", "name.ko.gz", "extra.ko.gz")
BUSYBOX = {".xz": "unxz", ".gz": "gunzip"}
TESTERS = {".xz": ["xz", "-qt"], ".zst": ["zstd", "-qt"], ".gz": ["gzip", "-t"]}


# The modules

@dataclasses.dataclass(frozen=True)
class Module:
    """A real one, or one of a length that is wanted; a SKELETON is an ELF file without content. FORMS are the names of
    those that it is packed in, None for all."""

    name: str
    image: bytes
    forms: frozenset | None = None
    is_skeleton: bool = False
    shipped: bytes | None = None  # with Debian's signature

    @property
    def content(self):
        """What is packed"""
        return self.shipped or self.image

    def takes(self, form, is_all):
        if form.name in ONLY_SMALL:
            return is_all and len(self.image) < MIB and self.forms is None
        return self.forms is None or form.name in self.forms


class Kernel:
    """Modules of a Debian kernel, without Debian's signatures."""

    def __init__(self):
        self.release = judge.read(os.path.join(TOP, SUITE, "kernel")).decode().strip()
        root = os.path.join(FOLDER, "root")
        os.makedirs(root)
        package = os.path.join(TOP, SUITE, f"linux-image-{self.release}.deb")
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        paths = sorted(glob.glob(os.path.join(glob.escape(root), "**/*.ko.xz"), recursive=True))
        _, out, _ = judge.run(["xz", "--robot", "--list", "--", *paths])
        rows = [line.split("\t") for line in out.decode().splitlines()]
        names = [row[1] for row in rows if row[0] == "name"]
        sizes = [int(row[4]) for row in rows if row[0] == "file"]
        self.modules = sorted(zip(sizes, names))
        self.trailer = len(judge.content(names[0])) - len(self.image(names[0]))

    @staticmethod
    def image(path):
        return judge.split(judge.content(path))[0]

    def shipped(self, name):
        return next(judge.content(path) for _, path in self.modules if os.path.basename(path) == name + ".ko.xz")

    def module(self, size, only=None, is_above=True):
        """The first that is not smaller, or the last that is smaller."""
        wanted = [path for length, path in self.modules if (length - self.trailer >= size) == is_above]
        path = wanted[0 if is_above else -1]
        return Module(os.path.basename(path).split(".")[0], self.image(path), only)


def skeleton(size):
    """An ELF object that has nothing but a table of one empty section, made longer with zeros."""
    head = struct.pack("<4s5B7x2HI3QI6H", b"\x7fELF", 2, 1, 1, 0, 0, 1, 62, 1, 0, 0, 64, 0, 64, 0, 0, 64, 1, 0)
    return Module(f"elf-{size}", (head + bytes(64)).ljust(size, b"\0"), frozenset(BOUNDARY), True)


def longer(module, size):
    """With zeros behind, as nobody forbids."""
    return Module(f"{module.name}-{size}", module.image.ljust(size, b"\0"), frozenset(BOUNDARY))


def signature_length(module):
    """Of the first key's, and what belongs to it"""
    path = write(os.path.join(FOLDER, "module.ko"), module.image)
    status, _, err = judge.run([PROGRAM, *SIGN.command, path])
    if status:
        raise judge.Fault(err)
    return len(judge.read(path)) - len(module.image)


def modules_of(kernel, is_all, trailer):
    """TRAILER is how long the first signature is with what belongs to it."""
    tiny, large = kernel.module(0), frozenset(LARGE)
    found = [tiny, kernel.module(BLOCK, is_above=False), kernel.module(BLOCK),
             kernel.module(MIB, None if is_all else large),
             kernel.module(3 * MIB, large if is_all else frozenset(LARGEST)),
             Module("incompressible", forms.incompressible(tiny.image), frozenset(BOUNDARY | LARGE))]
    # Before the signature or behind it: on the boundary, and a byte to either side.
    sizes = [edge + by - back for edge in (SIZE_STEPS[1], BLOCK) for by in (-1, 0, 1) for back in (0, trailer)]
    sizes += [64 * KIB, 4 * BLOCK] + [64 * KIB + by for by in (-1, 1)] * is_all
    found += [longer(tiny, size) for size in sizes]
    return found + [skeleton(size) for size in (128, SIZE_STEPS[0], SIZE_STEPS[0] + 1)]


# What is done with them

@dataclasses.dataclass(frozen=True)
class Step:
    """What the program is told to do; BY is the key of the signature then in place, None for none. What it says of the
    files is WRITTEN, or else what their forms have of the kind TELLS."""

    name: str
    command: tuple
    by: str | None
    tells: str = "again"
    written: str | None = None
    is_stacking: bool = False

    def expected(self, form):
        return PLAIN if form.written == PLAIN else self.written or getattr(form, self.tells)

    def keeps(self, module, form):
        """What of the module's content is there before the step and after it"""
        return module.content if self.is_stacking and form.is_stacked else module.image


def signing(name, by, *options, **more):
    return Step(name, ("sign", "--key", key(by), "--cert", cert(by), "--hash", DIGEST, *options), by, **more)


SIGN, RESIGN, BACK = signing("sign", FIRST, tells="written"), signing("re-sign", SECOND), signing("back", FIRST)
UNSIGN = Step("unsign", ("unsign",), None)
STEPS = (SIGN, RESIGN, BACK, UNSIGN)
STACKED = (signing("stack", FIRST, "--stack", tells="written", is_stacking=True),
           signing("re-stack", SECOND, "--stack", is_stacking=True),
           signing("back", FIRST, "--stack", is_stacking=True), UNSIGN)
RECOMPRESSING = (signing("recompress", SECOND, "--recompress", written=RECOMPRESSED),
                 Step("unsign", ("unsign", "--recompress"), None, written=RECOMPRESSED))


# What others say, of many files at once

def refused_by(command, paths):
    """{path: what this program has against it}"""
    if not paths or not judge.run([*command, *paths])[0]:
        return {}
    answers = {path: judge.run([*command, path]) for path in paths}
    return {path: f"{' '.join(command)}: {err or status}" for path, (status, _, err) in answers.items() if status}


def busybox_reads(form, path):
    """Does it read the file as it was before? Then it has to read what becomes of it."""
    return form.suffix in BUSYBOX and not judge.run(["busybox", BUSYBOX[form.suffix], "-t", path])[0]


def modinfo_faults(paths, by):
    """libkmod reads each of them, and tells the signer."""
    expected = signer(by) if by else ""
    answers = [judge.run(["modinfo", "-F", field, *paths])[1].decode().splitlines() for field in ("vermagic", "signer")]
    if len(answers[0]) == len(paths) and answers[1] == [expected] * len(paths) * bool(by):
        return {}
    faults = {path: judge.judge_modinfo(path, expected) for path in paths}
    return {path: found[0] for path, found in faults.items() if found}


# The way of all files

def judge_plain(step, kept, content):
    """The part that is kept, and behind it what the step says."""
    if not step.by:
        return [] if content == kept else ["not the module as it was built"]
    _, messages = judge.split(content)
    length = len(messages[0]) + judge.BLOCK.size + len(judge.MARKER) if messages else 0
    if not messages or not content.startswith(kept) or len(content) != len(kept) + length:
        return ["not one signature behind the module"]
    return judge.judge_cms(kept, messages[0], cert(step.by))


class Scenario:
    """Files of many modules in many forms that go the same way, each module as a plain file too."""

    def __init__(self, name, packings, doubted_module=None):
        """PACKINGS: [(Module, Form)]"""
        self.folder = os.path.join(FOLDER, name)
        self.name, self.faults = name, {}
        self.doubted, self.doubted_module = [], doubted_module  # right ones of that module, to be made wrong
        self.files = {self.path("now", *one): one for one in packings}
        for module, form in packings:
            os.makedirs(os.path.join(self.folder, "now", module.name), exist_ok=True)
            self.faults[form.name] = {what: [] for what in JUDGES}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.make, self.files))
        self.original = {path: judge.read(path) for path in self.files}
        self.for_busybox = {path for path, (_, form) in self.files.items() if busybox_reads(form, path)}

    def path(self, step, module, form):
        return os.path.join(self.folder, step, module.name, form.name)

    def make(self, path):
        module, form = self.files[path]
        write(path, form.make(module.content))

    def call(self, *command):
        """(exit status, JSON)"""
        status, out, err = judge.run(["timeout", "900", PROGRAM, *command, "--json", *self.files])
        try:
            answer = json.loads(out)
        except ValueError:
            raise judge.Fault(f"{command[0]}: not JSON: {out[:200]!r} {err[:200]}") from None
        return status, {one["path"]: one for one in answer["modules"]}, answer

    def run(self, tap, step):
        old = {path: judge.read(path) for path in self.files}
        status, told, answer = self.call(*step.command)
        what = f"{self.name}: {step.name}"
        tap.claim(f"{what}: exits 0 and tells of all {len(self.files)} files",
                  ([] if status == 0 else [f"exit status {status}"]) + sorted(self.files.keys() ^ told.keys())
                  + [one["error"] for one in told.values() if one["error"]])
        tap.claim(f"{what}: the sums are those of the files", judge_summary(answer, told.values()))
        contents = self.contents(step)
        tap.claim(f"{what}: what all have to be is right, says OpenSSL",
                  [f"{name}: {fault}" for (name, kept), content in contents.items()
                   for fault in judge_plain(step, kept, content)])
        done = [self.written(step, path, old[path], contents, told) for path in self.files]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.judge, done))
        self.ask_others(step)

    def contents(self, step):
        """{(module, what is kept of it): the content after the step}, that of the first file: a plain one, but where a
        signature is to be signed over, which is no plain file's lot."""
        found = {}
        for path, (module, form) in self.files.items():
            kept = step.keeps(module, form)
            if (module.name, kept) not in found and (kept != module.image or form.written == PLAIN):
                found[module.name, kept] = judge.content(path)
        return found

    def written(self, step, path, old, contents, told):
        module, form = self.files[path]
        copy = self.path(step.name, module, form)
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copyfile(path, copy)
        kept = step.keeps(module, form)
        expected = step.expected(form)
        if expected == SPLICED and form.suffix == ".xz" and nothing_stays(old, len(kept)):
            expected = RECOMPRESSED
        return Written(form, step, expected, copy, module.name, old, len(kept), contents[module.name, kept],
                       told.get(path, {}), self.original[path], module.content)

    def judge(self, one):
        found = {what: judge_it(one) for what, judge_it in JUDGES.items()}
        for what, faults in found.items():
            self.faults[one.form.name][what] += [f"{one.module}, {one.step.name}: {fault}" for fault in faults]
        if not any(found.values()) and one.form.name in DOUBTED and one.module == self.doubted_module:
            self.doubted.append(one)

    def ask_others(self, step):
        groups = [(command, [path for path in self.files if judge.suffix(path) == suffix])
                  for suffix, command in TESTERS.items()]
        groups += [(["busybox", name, "-t"], [path for path in self.for_busybox if judge.suffix(path) == suffix])
                   for suffix, name in BUSYBOX.items()]
        asked = [path for path, (module, form) in self.files.items() if not module.is_skeleton and form.suffix != ".gz"]
        found = [refused_by(*group) for group in groups] + [modinfo_faults(asked, step.by)]
        for path, fault in ((path, fault) for faults in found for path, fault in faults.items()):
            module, form = self.files[path]
            self.faults[form.name]["content"].append(f"{module.name}, {step.name}: {fault}")

    def claims(self, tap, steps):
        way = ", ".join(step.name for step in steps)
        for form_name, found in self.faults.items():
            form = next(form for _, form in self.files.values() if form.name == form_name)
            what = f"{self.name}: {form.name}: {way}"
            expected = [step.expected(form) for step in steps]
            tap.claim(f"{what}: told as {' '.join(expected)}, and how it grew", found["told"])
            tap.claim(f"{what}: the module and its signature in one stream, for all readers", found["content"])
            if form.written != PLAIN:
                tap.claim(f"{what}: in place, and no larger than it has to be", found["place"])

    def go(self, tap, steps):
        for step in steps:
            self.run(tap, step)
        self.claims(tap, steps)


def packings_of(modules, all_forms, is_all):
    return [(module, form) for module in modules for form in all_forms
            if (is_all or form.is_sample) and module.takes(form, is_all)]


# What is not written

def unwritten(told):
    return [f"{name} is {told.get(name, 'missing')!r}" for name in ("written", "growth", "written_why")
            if name not in told or told[name] is not None]


def check_unwritten(tap, scenario, what, command, result):
    """Nothing is to be done: no file is touched, and none told of as written."""
    before = {path: entry(path) for path in scenario.files}
    _, told, answer = scenario.call(*command)
    faults = [f"{path}: touched" for path in scenario.files if entry(path) != before[path]]
    faults += [f"{path}: {one['result']}, not {result}" for path, one in told.items() if one["result"] != result]
    tap.claim(f"{scenario.name}: {what}: {result}, no file is touched",
              faults + sorted(scenario.files.keys() ^ told.keys()))
    tap.claim(f"{scenario.name}: {what}: none is said to be written",
              [f"{path}: {fault}" for path, one in told.items() for fault in unwritten(one)]
              + judge_summary(answer, told.values()))


def check_refused(tap, modules):
    """What cannot be trusted to be whole, or cannot be read by a kernel: an error, and the file as it was."""
    packings = [(module, form) for module in modules for form in forms.refused_forms()]
    scenario = Scenario("refused", packings)
    before = {path: entry(path) for path in scenario.files}
    answers = {step.name: scenario.call(*step.command) for step in (SIGN, UNSIGN)}
    for name in scenario.faults:
        paths = [path for path, (_, form) in scenario.files.items() if form.name == name]
        faults = [f"{path}: touched" for path in paths if entry(path) != before[path]]
        told = [(f"{path}: {step}", told.get(path, {})) for step, (_, told, _) in answers.items() for path in paths]
        faults += [f"{what}: {one.get('result')}: {one.get('error')}" for what, one in told
                   if one.get("result") != "failed" or not one.get("error")]
        tap.claim(f"refused: {name}: an error, and the file is as it was", faults)
        tap.claim(f"refused: {name}: not said to be written",
                  [f"{what}: {fault}" for what, one in told for fault in unwritten(one)])
    for step, (status, _, _) in answers.items():
        tap.claim(f"refused: {step}: exits 1", [] if status == 1 else [f"exit status {status}"])


# All together

def check_doubt(tap, right):
    """Right ones, each made wrong in turn."""
    wanted = {(name, step.name) for name in DOUBTED for step in STEPS}
    lacking = sorted(wanted - {(one.form.name, one.step.name) for one in right})
    tap.claim("splice: doubt: there is something of each kind to doubt", [f"{name}: {step}" for name, step in lacking])
    tap.claim("splice: doubt: what is told wrong is found",
              [fault for one in right for fault in doubt_told(one, judge_told)])
    tap.claim("splice: doubt: what is written wrong is found",
              [fault for one in right for fault in doubt_written(one, JUDGES, FOLDER)])


def check_stack(tap, kernel, modules):
    """As distributions ship modules: the signature in them is compressed along. It is taken off, or signed over."""
    shipped = [dataclasses.replace(module, shipped=kernel.shipped(module.name)) for module in modules]
    packings = [(module, form) for module in shipped for form in (forms.PLAIN_FORM, *forms.distributed_forms())]
    Scenario("shipped", packings).go(tap, STEPS)
    Scenario("stack", packings).go(tap, STACKED)


def check_few(tap, modules):
    packings = [(module, form) for module in modules for form in forms.every_form() if form.name in FEW]
    scenario = Scenario("few", packings)
    scenario.run(tap, SIGN)
    check_unwritten(tap, scenario, "sign again", SIGN.command, "already-signed")
    check_unwritten(tap, scenario, "sign --dry-run", (*RESIGN.command, "--dry-run"), "signed")
    for step in RECOMPRESSING:
        scenario.run(tap, step)
    scenario.claims(tap, (SIGN, *RECOMPRESSING))


def check(tap, is_all):
    os.makedirs(FOLDER)
    if not os.path.exists(key(SECOND)):
        subprocess.run([MAKE_KEYS, KEYS, "odd"], check=True, capture_output=True)
    kernel = Kernel()
    modules = modules_of(kernel, is_all, signature_length(kernel.module(0)))
    tap.note(f"splice: {kernel.release}: " + ", ".join(f"{one.name} {len(one.image)}" for one in modules))
    small = [modules[0], modules[2]]
    scenario = Scenario("splice", packings_of(modules, forms.every_form(), is_all), small[1].name)
    scenario.go(tap, STEPS)
    check_doubt(tap, scenario.doubted)
    check_few(tap, small)
    check_stack(tap, kernel, [*small, modules[3]])
    check_refused(tap, small)
