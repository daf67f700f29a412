# SPDX-License-Identifier: MIT
"""Breaks good modules and whole trees in each way that the judge is there for: a judge that says
yes to all would prove nothing. Each function returns faults, as the judge does; here a
fault is a broken thing that went through, or a good one that did not."""
import dataclasses
import os
import re
import shutil

import judge
from answers import EXIT, judge_answers
from containers import gzip_with
from manifest import judge_touched, manifest


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def flipped(data, where):
    return data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :]


def doubt_signatures(scratch, sign, certs):
    """sign(image, key name, *options) is the kernel's own tool; certs are by key name."""
    image = b"\x7fELF" + bytes(range(256)) * 16
    good = sign(image, "rsa")
    size = len(good) - len(image)
    cases = {
        "a bit of the image flipped": flipped(good, 100),
        "a bit of the signature flipped": flipped(good, len(good) - 60),
        "another key": sign(image, "other"),
        "another key's signature below": sign(sign(image, "other"), "rsa"),
        "two signatures": sign(good, "rsa"),
        "no signature": image,
        "a marker without its newline": good[:-1],
        "a byte behind the marker": good + b"\0",
        "a block with another id type": flipped(good, len(good) - 28 - 10),
        "a length of one too many": flipped(good, len(good) - 28 - 1),
        "a changed image with a good signature": sign(flipped(image, 100), "rsa"),
        "an image cut short": good[: len(image) - 1] + good[len(image) :],
        "a signature cut short": good[: len(image)] + good[-size + 1 :],
        "nothing": b"",
    }
    path = os.path.join(scratch, "doubt.ko")
    write(path, good)
    faults = judge.judge_signed(path, certs["rsa"], judge.digest(image))
    for name, data in cases.items():
        write(path, data)
        if not judge.judge_signed(path, certs["rsa"], judge.digest(image)):
            faults.append(f"went through as signed: {name}")
        if name != "no signature" and not judge.judge_unsigned(path, judge.digest(image)):
            faults.append(f"went through as unsigned: {name}")
    write(path, image)
    return faults + judge.judge_unsigned(path, judge.digest(image))


def doubt_containers(scratch):
    plain = os.path.join(scratch, "doubt.ko")
    write(plain, b"\x7fELF" + bytes(range(256)) * 16)
    data = judge.read(plain)
    cases = {  # name of the file: command, is it good?
        "good.ko.gz": (["gzip", "-nc", plain], True),
        "named.ko.gz": (["gzip", "-c", plain], True),
        "good.ko.xz": (["xz", "-cC", "crc32", plain], True),
        "no-check.ko.xz": (["xz", "-cC", "none", plain], True),
        "crc64.ko.xz": (["xz", "-c", plain], False),
        "zstd.ko.xz": (["zstd", "-qc", plain], False),
        "good.ko.zst": (["zstd", "-qc", plain], True),
        "sizeless.ko.zst": (["zstd", "-qc"], False),
        "gzip.ko": (["gzip", "-nc", plain], False),
    }
    made = {name: (judge.run(command, input=data)[1], good) for name, (command, good) in cases.items()}
    made["extra.ko.gz"] = (gzip_with(data, 4, b"\x04\x00ABCD"), False)
    faults = []
    for name, (packed, good) in made.items():
        path = os.path.join(scratch, name)
        write(path, packed)
        if good != (not judge.judge_container(path)):
            faults.append(f"{name}: {judge.judge_container(path) or 'went through'}")
        if not good:
            continue
        whole = judge.read(path)
        for what, broken in (("twice", whole * 2), ("cut short", whole[:-3])):
            write(path, broken)
            if not judge.judge_container(path):
                faults.append(f"{name}: went through {what}")
    return faults


def doubt_manifests(scratch):
    root = os.path.join(scratch, "doubt")

    def lay():
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(os.path.join(root, "folder"))
        for name in ("expected", "folder/other"):
            write(os.path.join(root, name), b"old")
        os.symlink("expected", os.path.join(root, "link"))

    def replace(name, mode=0o644):
        path = os.path.join(root, name)
        write(path + ".new", b"new")
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)

    other, expected = os.path.join(root, "folder/other"), os.path.join(root, "expected")
    cases = {
        "another file replaced": lambda: replace("folder/other"),
        "another file's time": lambda: os.utime(other, (0, 0)),
        "another file gone": lambda: os.remove(other),
        "another file's mode": lambda: os.chmod(other, 0o600),
        "another file's owner": lambda: os.chown(other, 1, 1),
        "the expected file's mode": lambda: os.chmod(expected, 0o600),
        "the expected file's owner": lambda: os.chown(expected, 0, 1),
        "a file left over": lambda: write(expected + ".tmp", b""),
        "a link replaced by a file": lambda: replace("link"),
        "a hard link": lambda: os.link(expected, os.path.join(root, "hard")),
        "a folder's time": lambda: os.utime(os.path.dirname(other), (0, 0)),
    }
    lay()
    before = manifest(root)
    replace("expected")
    faults = judge_touched(before, manifest(root), ["expected"])
    if not judge_touched(before, manifest(root), []):
        faults.append("went through: a file replaced")
    for name, touch in cases.items():
        lay()
        before = manifest(root)
        if not judge_touched(before, before, ["expected"]):
            faults.append("went through: the expected file left alone")
        replace("expected")
        touch()
        if not judge_touched(before, manifest(root), ["expected"]):
            faults.append(f"went through: {name}")
    return faults


def wrong_answers(case, answers):
    """(what is wrong with it, the answers with that put in), one after the other; the right ones are given."""

    def replaced(form, index, value):
        answer = list(getattr(answers, form))
        answer[index] = value
        return dataclasses.replace(answers, **{form: tuple(answer)})

    forms = [field.name for field in dataclasses.fields(answers)]
    for form in forms:
        status, out, _ = getattr(answers, form)
        for other in {0, 1, 2, 3, 4, 124} - {status}:
            yield f"{form}: exit status {other}", replaced(form, 0, other)
        yield f"{form}: a complaint", replaced(form, 2, "complaint")
        if form == "quiet":
            yield f"{form}: a line", replaced(form, 1, "good\n")
            continue
        yield f"{form}: nothing", replaced(form, 1, "")
        yield f"{form}: twice", replaced(form, 1, out + out)
        for other in set(EXIT) - {case.verdict}:
            changed = re.sub(rf'(: |"verdict": ?"|  verdict +){case.verdict}', rf"\g<1>{other}", out, count=1)
            yield f"{form}: the verdict {other}", replaced(form, 1, changed)
        for word in case.words if form in ("verify", "status") or case.verdict in ("malformed", "unsupported") else ():
            yield f"{form}: without {word}", replaced(form, 1, re.sub(word, "x", out, flags=re.I))
    for form in ("verify_json", "status_json"):
        out = getattr(answers, form)[1]
        yield f"{form}: cut short", replaced(form, 1, out[:-3])
        for name, value in re.findall(r'"(\w+)": ?(".*?"|\d+|true|false|null)', out):
            other = "7777777" if value[0].isdigit() else '"x"'
            changed = re.sub(rf'"{name}": ?{re.escape(value)}', f'"{name}": {other}', out)
            yield f"{form}: {name} is {other}", replaced(form, 1, changed)


def doubt_answers(case, path, answers):
    """ANSWERS are the right ones for the case."""
    faults = judge_answers(case, path, answers)
    return faults + [f"went through, {case.verdict}: {what}" for what, wrong in wrong_answers(case, answers)
                     if not judge_answers(case, path, wrong)]
