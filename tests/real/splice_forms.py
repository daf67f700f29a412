# SPDX-License-Identifier: MIT
"""The containers that signing has to extend and not to compress anew, those that it mends on the way, those that it
does compress anew, and those that it refuses: by the tools' command lines, and byte by byte where these cannot."""
import dataclasses
import os
import random
import struct
import tempfile
import zlib
from collections.abc import Callable

import judge
import streams
from containers import (SKIPPABLE, deflated, flushed, gzip, gzip_with, packed, write, xz, zstd, zstd_header, zstd_raw,
                        zstd_rle)

CRC32 = "--check=crc32"
AS_BUILT = (CRC32, "--lzma2=dict=1MiB")  # scripts/Makefile.modinst
PLAIN, SPLICED, MENDED, RECOMPRESSED, REFUSED = "plain", "spliced", "mended", "recompressed", None
TOO_LARGE = 31  # a dictionary of 192 MiB, in a byte (the xz format's 5.3.1)


@dataclasses.dataclass(frozen=True)
class Form:
    """MAKE packs a module so. WRITTEN is what signing it says of the file, AGAIN what it says the next time. A SAMPLE
    of the forms is enough for every day."""

    name: str
    make: Callable
    written: str | None = SPLICED
    again: str = SPLICED
    is_sample: bool = False
    is_stacked: bool = False  # by --stack: where a signature that is there cannot be cut off without compressing

    @property
    def suffix(self):
        return judge.suffix(self.name)


def zstd_dictionary(data):
    """Packed with one that is trained from it."""
    with tempfile.TemporaryDirectory() as scratch:
        path, dictionary = (os.path.join(scratch, name) for name in ("module.ko", "dictionary"))
        pieces = (data * (1 + 65536 // len(data)))[:262144]
        write(path, pieces)
        packed(b"", "zstd", "-q", "--train", "-B1024", "--maxdict=4096", "-o", dictionary, path)
        return zstd(data, "-D", dictionary)


def named(data):
    with tempfile.TemporaryDirectory() as scratch:
        return packed(b"", "gzip", "-c", write(os.path.join(scratch, "module.ko"), data))


def every_field(data):
    """FTEXT, FHCRC, FEXTRA, FNAME and FCOMMENT"""
    return gzip_with(data, 31, b"\x04\x00ABCDname\0comment\0")


# xz, byte by byte

def xz_dictionary(data, size):
    """The Block's header asks for a dictionary of this size."""
    whole = bytearray(xz(data, *AS_BUILT))
    end = 12 + (whole[12] + 1) * 4
    if whole[13] or whole[14:16] != b"\x21\x01":
        raise judge.Fault("the Block of xz has another header")
    whole[16] = size
    whole[end - 4 : end] = struct.pack("<I", zlib.crc32(whole[12 : end - 4]))
    return bytes(whole)


def halves(make):
    def both(data):
        half = len(data) // 2
        return make(data[:half]) + make(data[half:])
    return both


def by(make, *options):
    return lambda data: make(data, *options)


def behind(make, *rest):
    """With these bytes behind it"""
    return lambda data: make(data) + b"".join(rest)


def before(first, make):
    return lambda data: first + make(data)


def command(*words):
    return lambda data: packed(data, *words)


def flipped(make, where):
    """With a bit changed so far from the end"""
    def broken(data):
        whole = make(data)
        return whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :]
    return broken


def cut(make, where):
    def part(data):
        whole = make(data)
        return whole[: where(len(whole))]
    return part


as_built_xz, as_built_zst, as_built_gz = by(xz, *AS_BUILT), zstd, gzip


def forms_of(suffix, sample, rows):
    """ROWS: {name: (make, written...)}; those in SAMPLE are of the sample."""
    return [Form(name + suffix, *row if isinstance(row, tuple) else (row,), is_sample=name in sample.split())
            for name, row in rows.items()]


def xz_forms():
    levels = {f"level{level}": by(xz, f"-{level}", CRC32) for level in (*range(10), *(f"{n}e" for n in range(10)))}
    rows = levels | {
        "as-built": as_built_xz,
        "no-check": by(xz, "--check=none"),
        "no-check-blocks": by(xz, "--check=none", "--block-size=16384"),
        "blocks-1k": by(xz, CRC32, "--block-size=1024"),
        "blocks-64k": by(xz, CRC32, "--block-size=65536"),
        # Headers with sizes in them
        "threads": by(xz, CRC32, "-T2", "--block-size=65536"),
        "dictionary-4k": by(xz, CRC32, "--lzma2=dict=4KiB"),
        "dictionary-64m": by(xz, CRC32, "--lzma2=dict=64MiB"),
        "literals": by(xz, CRC32, "--lzma2=lc=0,lp=2,pb=0"),
        "x86": by(xz, CRC32, "--x86", "--lzma2"),
        "x86-blocks": by(xz, CRC32, "--block-size=65536", "--x86", "--lzma2"),
        "x86-no-check": by(xz, "--check=none", "--x86", "--lzma2"),
        "default": (by(xz), MENDED),
        "crc64-blocks": (by(xz, "--check=crc64", "--block-size=65536"), MENDED),
        "crc64-threads": (by(xz, "--check=crc64", "-T2", "--block-size=65536"), MENDED),
        "sha256": (by(xz, "--check=sha256"), MENDED),
        "x86-crc64": (by(xz, "--check=crc64", "--x86", "--lzma2"), MENDED),
        "x86-sha256-blocks": (by(xz, "--check=sha256", "--block-size=65536", "--x86", "--lzma2"), MENDED),
        "padding": (behind(as_built_xz, bytes(4)), MENDED),
        "much-padding": (behind(by(xz), bytes(512)), MENDED),
        "two-streams": (halves(as_built_xz), RECOMPRESSED),
        "streams-padding": (halves(behind(as_built_xz, bytes(8))), RECOMPRESSED),
        "empty-stream": (behind(as_built_xz, xz(b"", CRC32)), RECOMPRESSED),
        "delta": (by(xz, CRC32, "--delta", "--lzma2"), RECOMPRESSED),
        "arm": (by(xz, CRC32, "--arm", "--lzma2"), RECOMPRESSED),
        "x86-delta": (by(xz, CRC32, "--delta=dist=4", "--x86", "--lzma2"), RECOMPRESSED),
    }
    sample = ("level0 level6 level9 level6e as-built no-check no-check-blocks blocks-64k threads x86 x86-blocks default "
              "sha256 crc64-threads x86-crc64 padding two-streams empty-stream delta arm")
    return forms_of(".ko.xz", sample, rows)


def zstd_forms():
    rows = {f"level{level}": by(zstd, f"-{level}") for level in range(1, 20)}
    rows |= {f"level{level}": by(zstd, "--ultra", f"-{level}") for level in (20, 21, 22)}
    rows |= {
        "as-built": as_built_zst,
        "fast": by(zstd, "--fast=5"),
        "fastest": by(zstd, "--no-check", "--fast=100"),
        "long": by(zstd, "--long=27"),
        "no-check": by(zstd, "--no-check"),
        "window-1k": by(zstd, "--zstd=wlog=10"),
        "window-64k": by(zstd, "--zstd=wlog=16", "-9"),
        "threads": by(zstd, "-T2", "-B65536"),
        "rsyncable": by(zstd, "-T2", "--rsyncable"),
        "raw": zstd_raw,
        "raw-1k": by(zstd_raw, 1024),
        "raw-empty": by(zstd_raw, streams.ZSTD_BLOCK, True),
        "rle": zstd_rle,
        "no-size": (command("zstd", "-qc"), MENDED),
        "no-size-19": (command("zstd", "-qc", "-19"), MENDED),
        "no-size-long": (command("zstd", "-qc", "--long=27"), MENDED),
        "no-size-no-check": (command("zstd", "-qc", "--no-check"), MENDED),
        "no-size-1k": (command("zstd", "-qc", "--zstd=wlog=10"), MENDED),
        "skippable-behind": (behind(as_built_zst, SKIPPABLE, SKIPPABLE), MENDED),
        "no-size-skippable": (behind(command("zstd", "-qc"), SKIPPABLE), MENDED),
        "two-frames": (halves(zstd), RECOMPRESSED),
        "empty-frame": (behind(as_built_zst, packed(b"", "zstd", "-qc")), RECOMPRESSED),
        "skippable-between": (behind(halves(behind(zstd, SKIPPABLE))), RECOMPRESSED),
    }
    sample = ("level1 level19 level22 as-built fastest long no-check window-1k raw raw-empty rle no-size "
              "no-size-no-check skippable-behind two-frames empty-frame")
    return forms_of(".ko.zst", sample, rows)


def gzip_forms():
    rows = {f"level{level}": by(gzip, f"-{level}") for level in range(1, 10)}
    rows |= {
        "as-built": as_built_gz,
        "name": named,
        "text": by(gzip_with, 1, b""),
        "time": by(gzip_with, 0, b""),
        "stored": by(deflated, 0),
        "fixed": by(deflated, 9, zlib.Z_FIXED),
        "huffman": by(deflated, 9, zlib.Z_HUFFMAN_ONLY),
        "flushed": flushed,
        "busybox": command("busybox", "gzip", "-c"),
        "pigz": command("pigz", "-c", "-p2"),
        "pigz-blocks": command("pigz", "-c", "-p2", "-b", "32"),
        "pigz-independent": command("pigz", "-c", "-i", "-9"),
        "pigz-best": command("pigz", "-c", "-11"),
        "extra": (by(gzip_with, 4, b"\x04\x00ABCD"), MENDED),
        "comment": (by(gzip_with, 16, b"comment\0"), MENDED),
        "header-crc": (by(gzip_with, 2, b""), MENDED),
        "every-field": (every_field, MENDED),
        "zeros-behind": (behind(as_built_gz, bytes(16)), MENDED),
        "two-members": (halves(gzip), RECOMPRESSED),
        "empty-member": (behind(as_built_gz, gzip(b"")), RECOMPRESSED),
    }
    sample = ("level1 level6 level9 as-built name stored fixed flushed busybox pigz extra header-crc every-field "
              "zeros-behind two-members empty-member")
    return forms_of(".ko.gz", sample, rows)


def refused_forms():
    """{file name: make}"""
    makers = {".ko.xz": as_built_xz, ".ko.zst": as_built_zst, ".ko.gz": as_built_gz}
    rows = {}
    for suffix, make in makers.items():
        rows |= {
            "byte-missing" + suffix: cut(make, lambda size: size - 1),
            "checksum-missing" + suffix: cut(make, lambda size: size - 12),
            "half" + suffix: cut(make, lambda size: size // 2),
            "header-only" + suffix: cut(make, lambda size: 9),
            "empty" + suffix: lambda data: b"",
            "garbage-behind" + suffix: behind(make, b"garbage!"),
            "garbage-behind-zeros" + suffix: behind(make, bytes(8), b"garbage!"),
            "data" + suffix: flipped(make, -200),
            "plain" + suffix: bytes,
        }
    rows |= {
        # In the order of the file's end: Block's check, Index, its checksum, Footer
        "check-of-block.ko.xz": flipped(as_built_xz, -28 - 1),
        "check-of-index.ko.xz": flipped(as_built_xz, -13),
        "footer.ko.xz": flipped(as_built_xz, -5),
        "check64.ko.xz": flipped(by(xz), -28 - 1),
        "check-sha256.ko.xz": flipped(by(xz, "--check=sha256"), -28 - 1),
        "padding-of-3.ko.xz": behind(as_built_xz, bytes(3)),
        "dictionary-192m.ko.xz": by(xz_dictionary, TOO_LARGE),
        "lzma.ko.xz": by(xz, "--format=lzma"),
        "checksum.ko.zst": flipped(as_built_zst, -1),
        "size.ko.zst": lambda data: zstd_header(len(data) + 1) + zstd_raw(data)[9:],
        "dictionary.ko.zst": zstd_dictionary,
        "window-256m.ko.zst": command("zstd", "-qc", "--long=28"),
        "checksum.ko.gz": flipped(as_built_gz, -5),
        "size.ko.gz": flipped(as_built_gz, -4),
        "flags.ko.gz": by(gzip_with, 0x20, b""),
        # The first bytes are not those of the format, for a kernel and kmod too.
        "skippable-first.ko.zst": before(SKIPPABLE, as_built_zst),
        "zstd.ko.xz": as_built_zst,
        "gzip.ko.zst": as_built_gz,
        "xz.ko.gz": as_built_xz,
        "xz.ko": as_built_xz,
        "zstd.ko": as_built_zst,
        "gzip.ko": as_built_gz,
    }
    return [Form(name, make, REFUSED, is_sample=True) for name, make in rows.items()]


def distributed_forms():
    """As distributions ship them: of a module that is signed already, that signature is compressed along with it."""
    rows = {
        "shipped.ko.xz": as_built_xz,
        "shipped-blocks.ko.xz": by(xz, CRC32, "-T2", "--block-size=65536"),
        "shipped-x86.ko.xz": by(xz, CRC32, "--x86", "--lzma2"),
        "shipped.ko.zst": as_built_zst,
        "shipped-19.ko.zst": by(zstd, "-19"),
        "shipped-raw.ko.zst": zstd_raw,
        "shipped.ko.gz": as_built_gz,
        "shipped-9.ko.gz": by(gzip, "-9"),
        "shipped-stored.ko.gz": by(deflated, 0),
        "shipped-flushed.ko.gz": flushed,
    }
    return [Form(name, make, is_sample=True, is_stacked=name != "shipped-raw.ko.zst") for name, make in rows.items()]


def incompressible(data):
    """The same module with what no encoder makes smaller behind it: zstd's raw blocks, LZMA2's uncompressed chunks,
    deflate's stored blocks."""
    return data + random.Random(1).randbytes(200000)


PLAIN_FORM = Form("plain.ko", bytes, PLAIN, PLAIN, is_sample=True)


def every_form():
    return [PLAIN_FORM, *xz_forms(), *zstd_forms(), *gzip_forms()]
