# SPDX-License-Identifier: MIT
"""Takes containers apart: where the blocks of a zstd frame (RFC 8878), an xz stream (its format's version 1.2) or a
gzip member (RFC 1951, 1952) lie in the file and in the content. A file that is not one such thing and nothing
else is a Fault. What headers do not tell is asked of libzstd and zlib, which decode block by block."""
import ctypes
import dataclasses
import zlib

from judge import Fault

XZ_CHECKS = {0: ("none", 0), 1: ("CRC32", 4), 4: ("CRC64", 8), 10: ("SHA-256", 32)}
XZ_INDEX_ENTRY = 8  # bytes of two numbers below 256 MiB
ZSTD_MAGIC, XZ_MAGIC, XZ_END = b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"YZ"
ZSTD_BLOCK = 128 * 1024
RAW, RLE = 0, 1
Z_BLOCK, Z_OK, Z_STREAM_END = 5, 0, 1
LZMA2 = 0x21
ROOM = 1 << 20  # for what a decoder puts out at once


@dataclasses.dataclass(frozen=True)
class Block:
    """AT and END are of the file, in bytes, or bits where it is gzip; BEGIN and CONTENT of the content."""

    at: int
    end: int
    begin: int
    content: int
    is_plain: bool = True  # xz: LZMA2 and no other filter

    @property
    def finish(self):
        return self.begin + self.content


@dataclasses.dataclass(frozen=True)
class Stream:
    """HEAD bytes, then the blocks, to the byte REST. CHECK is the name of the checksum; SIZE what the header tells of
    the content, None if nothing; WINDOW how long a zstd block may be; FLAGS those of gzip's header."""

    data: bytes
    head: int
    blocks: tuple
    rest: int
    check: str = ""
    size: int | None = None
    window: int = 0
    flags: int = 0

    @property
    def content(self):
        return self.blocks[-1].finish if self.blocks else 0


def little(data, at, size):
    if at + size > len(data):
        raise Fault("cut short")
    return int.from_bytes(data[at : at + size], "little")


# zstd

class Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer"""

    _fields_ = [("bytes", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t)]


class ZstdDecoder:
    """libzstd, given a frame piece by piece."""

    library = None

    def __init__(self):
        if not self.library:
            library = ctypes.CDLL("libzstd.so.1")
            library.ZSTD_createDCtx.restype = ctypes.c_void_p
            library.ZSTD_freeDCtx.argtypes = [ctypes.c_void_p]
            library.ZSTD_decompressStream.restype = ctypes.c_size_t
            library.ZSTD_decompressStream.argtypes = [ctypes.c_void_p, *[ctypes.POINTER(Buffer)] * 2]
            ZstdDecoder.library = library
        self.context = self.library.ZSTD_createDCtx()
        self.room = ctypes.create_string_buffer(ROOM)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.ZSTD_freeDCtx(self.context)

    def content(self, piece):
        """How many bytes of content these bytes of the frame bring."""
        source = Buffer(ctypes.cast(ctypes.c_char_p(piece), ctypes.c_void_p), len(piece), 0)
        total = 0
        while True:
            out = Buffer(ctypes.cast(self.room, ctypes.c_void_p), ROOM, 0)
            code = self.library.ZSTD_decompressStream(self.context, ctypes.byref(out), ctypes.byref(source))
            if self.library.ZSTD_isError(ctypes.c_size_t(code)):
                raise Fault("libzstd does not decode it")
            total += out.at
            if source.at == source.size and out.at < ROOM:
                return total


def zstd_header(data):
    """(bytes of the header, content size or None, window, has a checksum)"""
    if not data.startswith(ZSTD_MAGIC):
        raise Fault("no zstd frame")
    flags, at = little(data, 4, 1), 5
    single = bool(flags & 0x20)
    if flags & 0x0B:
        raise Fault(f"zstd frame header {flags:#x}: a dictionary, or a reserved bit")
    window = 0
    if not single:
        exponent, mantissa = data[at] >> 3, data[at] & 7
        window = (1 << (10 + exponent)) * (8 + mantissa) // 8
        at += 1
    width = (1 if single else 0, 2, 4, 8)[flags >> 6]
    size = little(data, at, width) + (256 if width == 2 else 0) if width else None
    return at + width, size, size if single else window, bool(flags & 4)


def zstd(data):
    head, size, window, is_checked = zstd_header(data)
    blocks, at, begin, is_last = [], head, 0, False
    with ZstdDecoder() as decoder:
        decoder.content(data[:head])
        while not is_last:
            word = little(data, at, 3)
            is_last, kind, length = bool(word & 1), word >> 1 & 3, word >> 3
            end = at + 3 + (1 if kind == RLE else length)
            content = decoder.content(data[at:end])
            if content > min(window, ZSTD_BLOCK):
                raise Fault(f"zstd block of {content} bytes, window of {window}")
            blocks.append(Block(at, end, begin, content))
            at, begin = end, begin + content
    if at + 4 * is_checked != len(data):
        raise Fault(f"the zstd frame ends at {at + 4 * is_checked} of {len(data)}")
    return Stream(data, head, tuple(blocks), at, "XXH64" if is_checked else "none", size, window)


# xz

def multibyte(data, at):
    """(an integer of xz's kind, where it ends)"""
    value = shift = 0
    while True:
        byte = little(data, at, 1)
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def xz_is_plain(data, at):
    """Has the Block there LZMA2 for its only filter?"""
    flags, field = data[at + 1], at + 2
    for bit in (0x40, 0x80):
        if flags & bit:
            field = multibyte(data, field)[1]
    return flags & 3 == 0 and data[field] == LZMA2


def xz_index(data, at, end):
    """[(unpadded size, content)] of the Index there"""
    if zlib.crc32(data[at : end - 4]) != little(data, end - 4, 4):
        raise Fault("wrong checksum of the xz Index")
    count, field = multibyte(data, at + 1)
    records = []
    for _ in range(count):
        unpadded, field = multibyte(data, field)
        content, field = multibyte(data, field)
        records.append((unpadded, content))
    if any(data[field : end - 4]) or end - 4 - field > 3:
        raise Fault("no padding behind the xz Index")
    return records


def xz(data):
    if not data.startswith(XZ_MAGIC) or not data.endswith(XZ_END) or len(data) % 4:
        raise Fault("no xz stream from the first byte to the last")
    index = len(data) - 12 - (little(data, len(data) - 8, 4) + 1) * 4
    if index < 12 or data[index] or data[6:8] != data[-4:-2]:
        raise Fault("xz footer and file do not fit")
    check, check_size = XZ_CHECKS[data[7]]
    blocks, at, begin = [], 12, 0
    for unpadded, content in xz_index(data, index, len(data) - 12):
        end = at + unpadded - check_size
        blocks.append(Block(at, end, begin, content, xz_is_plain(data, at)))
        at, begin = (at + unpadded + 3) // 4 * 4, begin + content
        if any(data[end : at - check_size]):
            raise Fault("no padding behind an xz Block")
    if at != index:
        raise Fault(f"the xz Blocks end at {at}, the Index begins at {index}")
    return Stream(data, 12, tuple(blocks), index, check)


def lzma2_chunks(data, block):
    """The chunks of a plain xz Block, as Blocks; the end marker is none."""
    at, begin, chunks = block.at + (data[block.at] + 1) * 4, block.begin, []
    while at < block.end and data[at]:
        control = data[at]
        if control < 0x80:
            content = int.from_bytes(data[at + 1 : at + 3], "big") + 1
            end = at + 3 + content
        else:
            content = ((control & 0x1F) << 16) + int.from_bytes(data[at + 1 : at + 3], "big") + 1
            end = at + 5 + (control >= 0xC0) + int.from_bytes(data[at + 3 : at + 5], "big") + 1
        chunks.append(Block(at, end, begin, content))
        at, begin = end, begin + content
    if begin != block.finish or at + 1 != block.end:
        raise Fault("the LZMA2 chunks are not what the xz Index tells")
    return chunks


# gzip

class ZStream(ctypes.Structure):
    """z_stream"""

    _fields_ = [("next_in", ctypes.c_void_p), ("avail_in", ctypes.c_uint), ("total_in", ctypes.c_ulong),
                ("next_out", ctypes.c_void_p), ("avail_out", ctypes.c_uint), ("total_out", ctypes.c_ulong),
                ("msg", ctypes.c_char_p), ("state", ctypes.c_void_p), ("zalloc", ctypes.c_void_p),
                ("zfree", ctypes.c_void_p), ("opaque", ctypes.c_void_p), ("data_type", ctypes.c_int),
                ("adler", ctypes.c_ulong), ("reserved", ctypes.c_ulong)]


def deflate_blocks(data, head):
    """The blocks from the byte HEAD on; zlib stops behind each of them."""
    library = ctypes.CDLL("libz.so.1")
    library.zlibVersion.restype = ctypes.c_char_p
    stream, room = ZStream(), ctypes.create_string_buffer(ROOM)
    source = ctypes.create_string_buffer(data[head:], len(data) - head)
    library.inflateInit2_(ctypes.byref(stream), -15, library.zlibVersion(), ctypes.sizeof(stream))
    stream.next_in, stream.avail_in = ctypes.addressof(source), len(source)
    blocks, at, begin = [], head * 8, 0
    try:
        while True:
            stream.next_out, stream.avail_out = ctypes.addressof(room), ROOM
            code = library.inflate(ctypes.byref(stream), Z_BLOCK)
            if code not in (Z_OK, Z_STREAM_END):
                raise Fault(f"zlib does not decode it: {code}")
            here = (head + stream.total_in) * 8 - (stream.data_type & 7)
            if code == Z_OK and not stream.data_type & 128:
                continue
            # Before the first block it stops, too, and once more at the end, without the bits.
            if code == Z_OK and here > at:
                blocks.append(Block(at, here, begin, stream.total_out - begin))
                at, begin = here, stream.total_out
            if code == Z_STREAM_END or stream.data_type & 64 and stream.data_type & 128 and here == at:
                return tuple(blocks)
    finally:
        library.inflateEnd(ctypes.byref(stream))


def gzip_head(data):
    """(bytes of the header, flags)"""
    if data[:3] != b"\x1f\x8b\x08":
        raise Fault("no gzip member")
    flags, at = little(data, 3, 1), 10
    if flags & 4:
        at += 2 + little(data, at, 2)
    for flag in (8, 16):
        if flags & flag:
            at = data.index(b"\0", at) + 1
    return at + (2 if flags & 2 else 0), flags


def gzip(data):
    head, flags = gzip_head(data)
    blocks = deflate_blocks(data, head)
    end = (blocks[-1].end + 7) // 8
    if end + 8 != len(data):
        raise Fault(f"the gzip member ends at {end + 8} of {len(data)}")
    if little(data, end + 4, 4) != blocks[-1].finish:
        raise Fault("the gzip member tells another size")
    return Stream(data, head, blocks, end, "CRC32", flags=flags)


PARSERS = {".zst": zstd, ".xz": xz, ".gz": gzip}


def parsed(suffix, data):
    """The one stream that these bytes are."""
    try:
        return PARSERS[suffix](data)
    except (IndexError, KeyError, ValueError) as fault:
        raise Fault(f"not to be parsed: {fault!r}") from fault
