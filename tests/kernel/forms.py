# SPDX-License-Identifier: MIT
"""Containers of modules in every form that tools write, and those in which a good module is lost; and who reads what.
The reasons are in kernel/module/decompress.c, lib/xz, and kmod's libkmod-file*.c and libkmod-module.c."""
import dataclasses
import zlib

from containers import (SKIPPABLE, containers, deflated, flushed, gzip, gzip_with, packed, xz, zstd, zstd_raw,
                        zstd_rle)
from oracle import INVALID, LOADS, REJECTED, UNSIGNED, Says

CRC32 = "--check=crc32"
FORMATS = {".ko": "none", ".xz": "xz", ".zst": "zstd", ".gz": "gzip"}
NOT_DECODED = "decompression failed with status {}"
UNREADABLE = INVALID.meaning("container")
XZ_OPTIONS, XZ_DATA = 6, 7  # enum xz_ret of linux/xz.h
Z_DATA, Z_BUF = -3, -5  # of linux/zlib.h


def format_of(name):
    return FORMATS[name[name.rindex(".") :]]


def xz_forms(data):
    found = {f"level{level}.ko.xz": xz(data, f"-{level}", CRC32) for level in (*range(10), "0e", "6e", "9e")}
    options = {
        "dictionary-4k": [CRC32, "--lzma2=dict=4KiB"],
        "dictionary-64k": [CRC32, "--lzma2=dict=64KiB"],
        "literals": [CRC32, "--lzma2=lc=0,lp=2,pb=0"],
        "blocks-64k": [CRC32, "--block-size=65536"],
        "threads": [CRC32, "-T2", "--block-size=16384"],
        "x86-blocks-crc64": ["--check=crc64", "--block-size=16384", "--x86", "--lzma2"],
        "no-check-blocks": ["--check=none", "--block-size=16384"],
    }
    found |= {f"{name}.ko.xz": xz(data, *words) for name, words in options.items()}
    return found | {"padding.ko.xz": xz(data, CRC32) + bytes(4)}


def zstd_forms(data):
    options = {
        "level1": ["-1"], "level9": ["-9"], "level19": ["-19"], "level22": ["--ultra", "-22"], "fast": ["--fast=5"],
        "check": ["--check"], "long": ["--long=27"], "window-1k": ["--zstd=wlog=10"], "threads": ["-T2", "-B16384"],
        "fastest": ["--no-check", "--fast=100"],
    }
    found = {f"{name}.ko.zst": zstd(data, *words) for name, words in options.items()}
    return found | {"raw.ko.zst": zstd_raw(data), "raw-empty.ko.zst": zstd_raw(data, 1024, True),
                    "rle.ko.zst": zstd_rle(data), "no-size-19.ko.zst": packed(data, "zstd", "-qc", "-19"),
                    "no-size-no-check.ko.zst": packed(data, "zstd", "-qc", "--no-check"),
                    "skippable-behind.ko.zst": zstd(data) + SKIPPABLE}


def gzip_forms(data):
    found = {f"level{level}.ko.gz": gzip(data, f"-{level}") for level in range(1, 10)}
    return found | {"stored.ko.gz": deflated(data, 0), "fixed.ko.gz": deflated(data, 9, zlib.Z_FIXED),
                    "time.ko.gz": gzip_with(data, 0, b""), "flushed.ko.gz": flushed(data),
                    "zeros-behind.ko.gz": gzip(data) + bytes(16)}


def every_form(data):
    """{file name: a container of the module}"""
    return ({name: packed for name, (packed, _) in containers(data).items()}
            | xz_forms(data) | zstd_forms(data) | gzip_forms(data))


def shipped_forms(data):
    """{file name: a container of a module that is signed already}, as distributions ship them"""
    return {"shipped.ko.xz": xz(data, CRC32, "--lzma2=dict=1MiB"),
            "shipped-threads.ko.xz": xz(data, CRC32, "-T2", "--block-size=16384"),
            "shipped.ko.zst": zstd(data), "shipped-19.ko.zst": zstd(data, "-19"),
            "shipped.ko.gz": gzip(data), "shipped-flushed.ko.gz": flushed(data)}


@dataclasses.dataclass(frozen=True)
class Lost:
    """What becomes of a good module in a bad container: in a KERNEL that reads the format; in a STREAM decoder that
    goes on to the file's end, with its errors; in one CALL that fills a buffer of the first frame's content size."""

    data: bytes
    kernel: Says
    stream: Says = LOADS
    call: Says = LOADS
    readable: bool = True  # by anybody who looks at all of it
    is_parted: bool = False  # the kernel reads the first part only

    def mark(self):
        """Why nothing can be predicted of it where the kernel reads it."""
        return "the kernel reads the first part only, which is not looked at on its own" if self.is_parted else ""


def flipped(data, where):
    return data[:where] + bytes([data[where] ^ 0x55]) + data[where + 1 :]


def status(number):
    return UNREADABLE.saying(NOT_DECODED.format(number))


def not_a(format_name):
    return UNREADABLE.saying(f"not a{'n' * (format_name == 'xz')} {format_name} compressed module")


def lost_forms(module, image):
    """{file name: Lost}; MODULE is IMAGE with a good signature."""
    signature = module[len(image) :]
    tampered = flipped(image, image.index(b"GCC: (")) + signature
    half = len(module) // 2
    crc64, sha256 = xz(module, "--check=crc64"), xz(module, "--check=sha256")
    whole = {"xz": xz(module, CRC32), "zstd": zstd(module), "gzip": gzip(module)}
    return {
        "tampered.ko": Lost(tampered, REJECTED, REJECTED),
        "unsigned.ko": Lost(image, UNSIGNED, UNSIGNED),
        "unsigned.ko.xz": Lost(xz(image, CRC32), UNSIGNED, UNSIGNED),
        "tampered.ko.xz": Lost(xz(tampered, CRC32), REJECTED, REJECTED),
        "crc64.ko.xz": Lost(crc64, status(XZ_OPTIONS)),
        "sha256.ko.xz": Lost(sha256, status(XZ_OPTIONS)),
        "delta.ko.xz": Lost(xz(module, CRC32, "--delta", "--lzma2"), status(XZ_OPTIONS)),
        "second-stream.ko.xz": Lost(xz(image, CRC32) + xz(signature, CRC32), UNSIGNED, is_parted=True),
        "two-streams.ko.xz": Lost(xz(module[:half], CRC32) + xz(module[half:], CRC32), UNSIGNED, is_parted=True),
        # The kernel's loop ends when a page is not filled, with what the decoder said last: that all was well.
        "cut-short.ko.xz": Lost(whole["xz"][:half // 4], status(0), UNREADABLE, readable=False),
        "damaged.ko.xz": Lost(flipped(whole["xz"], len(whole["xz"]) // 2), status(XZ_DATA), UNREADABLE,
                               readable=False),
        "unsigned.ko.zst": Lost(zstd(image), UNSIGNED, UNSIGNED, UNSIGNED),
        "tampered.ko.zst": Lost(zstd(tampered), REJECTED, REJECTED, REJECTED),
        "no-size.ko.zst": Lost(packed(module, "zstd", "-qc"), LOADS, LOADS, UNREADABLE),
        "second-frame.ko.zst": Lost(zstd(image) + zstd(signature), UNSIGNED, LOADS, UNREADABLE, is_parted=True),
        # kmod sees no magic in it, and gives it to the kernel for a plain one.
        "skippable-first.ko.zst": Lost(SKIPPABLE + zstd(module), not_a("zstd"), UNSIGNED, UNSIGNED, False),
        "second-member.ko.gz": Lost(gzip(image) + gzip(signature), UNSIGNED, is_parted=True),
        # Taken for deflate, the field begins a block whose codes make no sense.
        "extra.ko.gz": Lost(gzip_with(module, 4, b"\x04\x00ABCD"), status(Z_DATA)),
        "cut-short.ko.gz": Lost(whole["gzip"][:half // 4], status(Z_BUF), readable=False),
    }
