# SPDX-License-Identifier: MIT
"""Compressed modules in every shape that tools make and that a kernel's own reader may stumble over (Linux
kernel/module/decompress.c), by the tools' command lines or, where they cannot, byte by byte."""
import os
import tempfile
import zlib

import judge
import streams

PACKERS = {  # suffix of a container: its name, and a command that packs what it is given in a pipe
    "": ("none", None),
    ".xz": ("xz", ["xz", "-c", "--check=crc32", "--lzma2=dict=1MiB"]),
    ".zst": ("zstd", ["zstd", "-qc"]),
    ".gz": ("gzip", ["gzip", "-nc"]),
}
# Objections that are not a kernel's: it reads these, and only kmod does not.
KERNELS_TAKE_IT = {"no-size.ko.zst"}
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"  # a zstd frame that decoders pass over (RFC 8878, 3.1.2)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def packed(data, *command):
    status, out, err = judge.run(command, input=data)
    if status:
        raise judge.Fault(f"{command}: {err}")
    return out


def xz(data, *options):
    return packed(data, "xz", "-c", *options)


def zstd(data, *options):
    # The size is known of a file, and not of a pipe.
    with tempfile.TemporaryDirectory() as scratch:
        return packed(b"", "zstd", "-qc", *options, write(os.path.join(scratch, "module.ko"), data))


def gzip(data, *options):
    return packed(data, "gzip", "-nc", *options)


def gzip_with(data, flags, field):
    """A gzip file whose header has more in it than a kernel's reader knows (RFC 1952)."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(data) + deflate.flush()
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(4) + b"\x00\x03" + field
    if flags & 2:  # FHCRC
        head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    return head + body + zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")


def zstd_header(size):
    """Of a single segment, without checksum, with the size in four bytes"""
    return streams.ZSTD_MAGIC + b"\xa0" + size.to_bytes(4, "little")


def zstd_block(kind, size, data, is_last=False):
    return (size << 3 | kind << 1 | is_last).to_bytes(3, "little") + data


def zstd_raw(data, step=streams.ZSTD_BLOCK, with_empty=False):
    """Stored, and if wanted with an empty block at the end, as encoders end a stream that was flushed."""
    pieces = [data[at : at + step] for at in range(0, len(data), step)] + [b""] * with_empty
    blocks = [zstd_block(streams.RAW, len(piece), piece, number == len(pieces))
              for number, piece in enumerate(pieces, 1)]
    return zstd_header(len(data)) + b"".join(blocks)


def zstd_rle(data):
    """Ends in a block that says so many zeros."""
    body = data.rstrip(b"\0")
    zeros = min(len(data) - len(body), streams.ZSTD_BLOCK) or 1
    begin = zstd_raw(data[: len(data) - zeros])
    start = streams.zstd(begin).blocks[-1].at
    begin = begin[:start] + bytes([begin[start] & 0xFE]) + begin[start + 1 :]
    return zstd_header(len(data)) + begin[9:] + zstd_block(streams.RLE, zeros, data[-1:], True)


def deflated(data, level=6, strategy=zlib.Z_DEFAULT_STRATEGY):
    deflate = zlib.compressobj(level, zlib.DEFLATED, 31, 8, strategy)
    return deflate.compress(data) + deflate.flush()


def flushed(data):
    """gzip as pigz and rsyncable ones write it: many deflate blocks, empty ones between them."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    pages = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    return b"".join(deflate.compress(page) + deflate.flush(zlib.Z_FULL_FLUSH) for page in pages) + deflate.flush()


def containers(data):
    """{name: (bytes, what a kernel's reader of that format has against it or None)}"""
    half = len(data) // 2
    halves = (data[:half], data[half:])
    crc32 = "--check=crc32"
    return {
        "plain.ko": (data, None),
        "as-built.ko.xz": (xz(data, crc32, "--lzma2=dict=1MiB"), None),
        "no-check.ko.xz": (xz(data, "--check=none"), None),
        "large-dictionary.ko.xz": (xz(data, crc32, "--lzma2=dict=64MiB"), None),
        "several-blocks.ko.xz": (xz(data, crc32, "--block-size=1024"), None),
        "x86.ko.xz": (xz(data, crc32, "--x86", "--lzma2"), None),
        "crc64.ko.xz": (xz(data, "--check=crc64"), "CRC-?64"),
        "default.ko.xz": (xz(data), "CRC-?64"),
        "sha256.ko.xz": (xz(data, "--check=sha256"), "SHA-?256"),
        "two-streams.ko.xz": (b"".join(xz(part, crc32) for part in halves), "stream"),
        "delta.ko.xz": (xz(data, crc32, "--delta", "--lzma2"), "delta|filter"),
        "as-built.ko.gz": (gzip(data), None),
        "name.ko.gz": (gzip_with(data, 8, b"module.ko\0"), None),
        "extra.ko.gz": (gzip_with(data, 4, b"\x04\x00ABCD"), "extra"),
        "comment.ko.gz": (gzip_with(data, 16, b"comment\0"), "comment"),
        "header-crc.ko.gz": (gzip_with(data, 2, b""), "CRC|checksum"),
        "two-members.ko.gz": (b"".join(gzip(part) for part in halves), "member"),
        "as-built.ko.zst": (zstd(data), None),
        "no-check.ko.zst": (zstd(data, "--no-check"), None),
        "two-frames.ko.zst": (b"".join(zstd(part) for part in halves), "frame"),
        # A kernel takes it, kmod 34 does not: so there is something to be said, but not "no".
        "no-size.ko.zst": (packed(data, "zstd", "-qc"), "size"),
    }
