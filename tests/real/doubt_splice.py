# SPDX-License-Identifier: MIT
"""Makes wrong what was told and written of a spliced file: a judge that says yes to all would prove nothing. Each
function returns faults; here a fault is a wrong one that went through."""
import dataclasses
import os

import streams
from containers import gzip, write, xz, zstd

WAYS = ("plain", "spliced", "mended", "recompressed", None)


def doubt_told(one, judge_told):
    """ONE is a right one."""
    wrong = [{"written": way} for way in WAYS if way != one.told["written"]]
    wrong += [{"growth": growth} for growth in (None, one.told["growth"] - 1, one.told["growth"] + 1)]
    wrong += [{"error": "x"}, {"result": "x"}, {"written_why": None if one.told["written_why"] else "x"}]
    cases = [(str(change), one.told | change) for change in wrong]
    cases += [(f"without {name}", {key: value for key, value in one.told.items() if key != name})
              for name in ("written", "growth", "written_why", "error", "result")]
    return [f"went through: {one.form.name}, {one.step.name}: {what}" for what, told in cases
            if not judge_told(dataclasses.replace(one, told=told))]


def flipped(data, where):
    return data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :]


def anew(suffix, content):
    """Packed in another way than it was"""
    if suffix == ".xz":
        return xz(content, "--check=crc32", "--lzma2=dict=1MiB,lc=2")
    return zstd(content, "-7") if suffix == ".zst" else gzip(content, "-4")


def appended(suffix, data):
    """The signature where a kernel does not see it: in a stream of its own"""
    return {".xz": lambda: xz(data, "--check=crc32"), ".zst": lambda: zstd(data), ".gz": lambda: gzip(data)}[suffix]()


def swollen(suffix, data):
    """The same, but for a hundred empty blocks in front of the last one; nothing where that is not easy."""
    if suffix == ".xz":
        return b""
    at = streams.parsed(suffix, data).blocks[-1].at
    if suffix == ".zst":
        return data[:at] + bytes(3) * 100 + data[at:]
    byte, bit = divmod(at, 8)
    end = (at + 3 + 7) // 8  # of the header's three bits, in whole bytes
    if int.from_bytes(data[byte : byte + 2], "little") >> bit & 6:
        return b""  # not stored
    first = data[:byte] + bytes([data[byte] & ~(1 << bit)]) + data[byte + 1 : end]
    return first + b"\0\0\xff\xff" + b"\0\0\0\xff\xff" * 99 + b"\1" + data[end:]


def wrong_files(one):
    suffix, new = one.form.suffix, one.new
    yield "a byte more", new + b"\0"
    yield "a byte less", new[:-1]
    yield "nothing", b""
    yield "twice", new * 2
    yield "as it was before", one.old
    if suffix == ".ko":
        yield "a bit flipped", flipped(new, len(new) // 2)
        return
    yield "four zeros behind it", new + bytes(4)
    yield "another content", anew(suffix, flipped(one.content, 1000))
    yield "another end", anew(suffix, flipped(one.content, len(one.content) - 100))
    if one.expected != "recompressed":
        yield "compressed anew", anew(suffix, one.content)
    if len(one.content) > one.keep:
        yield "the signature apart", anew(suffix, one.content[: one.keep]) + appended(suffix, one.content[one.keep :])
    swelled = swollen(suffix, new)
    if swelled and one.form.written != "recompressed":
        yield "empty blocks", swelled
    if one.form.written == "mended":
        yield "not mended", one.form.make(one.content)


def doubt_written(one, judges, folder):
    """ONE is a right one; each of JUDGES takes what is like it."""
    faults = []
    path = os.path.join(folder, "doubt" + one.form.suffix)
    for what, data in wrong_files(one):
        write(path, data)
        wrong = dataclasses.replace(one, path=path)
        if not any(judges[name](wrong) for name in ("content", "place")):
            faults.append(f"went through: {one.form.name}, {one.step.name}: {what}")
    return faults
