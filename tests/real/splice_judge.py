# SPDX-License-Identifier: MIT
"""Was a compressed module extended or cut in place? What the program told of it, what the file holds, and whether
everything that could stay did, byte for byte. Each judge_* function returns a list of faults."""
import dataclasses

import judge
import splice_forms as forms
import streams
from splice_forms import MENDED, PLAIN, RECOMPRESSED, SPLICED

BLOCK = streams.ZSTD_BLOCK
LZMA2_CHUNK, DEFLATE_STORED = 65536, 65535  # bytes that one holds where they are not compressed


@dataclasses.dataclass(frozen=True)
class Written:
    """One file before and after one step. It was OLD, and has to hold CONTENT, of which the first KEEP bytes were there
    before. TOLD is what the program said of it in JSON, that it was written as EXPECTED among other things; PATH is a
    copy of what it wrote. Before all steps it was ORIGINAL."""

    form: forms.Form
    step: object  # check_splice.Step
    expected: str
    path: str
    module: str
    old: bytes
    keep: int
    content: bytes
    told: dict
    original: bytes
    original_content: bytes

    @property
    def new(self):
        return judge.read(self.path)


# What was told

def judge_told(one):
    growth = len(one.new) - len(one.old)
    faults = [f"{name} is {one.told.get(name, 'missing')!r}, not {value!r}"
              for name, value in (("written", one.expected), ("growth", growth), ("error", None),
                                  ("result", "unsigned" if one.step.by is None else "signed"))
              if name not in one.told or one.told[name] != value]
    why = one.told.get("written_why")
    has_reason = one.expected == MENDED or one.expected == RECOMPRESSED and "--recompress" not in one.step.command
    if "written_why" not in one.told or bool(why) != has_reason:
        faults.append(f"written_why is {why!r}")
    return faults


def judge_summary(outcome, told):
    """The sums are those of the modules."""
    sums = outcome.get("summary", {}).get("written")
    ways = (PLAIN, SPLICED, MENDED, RECOMPRESSED)
    counted = {way: sum(one.get("written") == way for one in told) for way in ways}
    return [] if sums == counted else [f"summary: written is {sums}, not {counted}"]


# What it holds

def stream_of(one):
    return streams.parsed(one.form.suffix, one.new)


def judge_content(one):
    """Exactly this, as one stream that tells its size right."""
    try:
        if judge.content(one.path) != one.content:
            return ["another content"]
        if one.form.written == PLAIN:
            return []
        stream = stream_of(one)
    except judge.Fault as fault:
        return [str(fault).replace(one.path, "")]
    faults = [] if stream.content == len(one.content) else [f"the blocks hold {stream.content} bytes"]
    if stream.size != (len(one.content) if one.form.suffix == ".zst" else None):
        faults.append(f"the header tells the size {stream.size}, not {len(one.content)}")
    return faults + judge.judge_container(one.path)


# What stayed in place

@dataclasses.dataclass(frozen=True)
class Kept:
    """What of an old file stays, to this byte of it (empty blocks at the end may go), and to this of its content; what
    is wrong where it did not."""

    end: int
    content: int
    faults: tuple = ()

    @classmethod
    def blocks(cls, kept, stayed, what, end):
        faults = () if stayed else (f"the first {len(kept)} {what} did not stay",)
        return cls(end, kept[-1].finish, faults)

    @classmethod
    def nothing(cls, stream):
        return cls(stream.head, 0)


def kept_blocks(blocks, keep):
    """Those of which everything stays, without empty ones at the end: these may go."""
    kept = [block for block in blocks if block.finish <= keep]
    while kept and not kept[-1].content:
        kept.pop()
    return kept


def may_stay(stream, keep):
    """Where the last of them ends, with the empty ones"""
    return max(block.end for block in stream.blocks if block.finish <= keep)


def same_but(old, new, at, mask):
    """Alike, but for these bits of the byte AT?"""
    return (len(old) == len(new) and old[:at] == new[:at] and old[at + 1 :] == new[at + 1 :]
            and old[at] | mask == new[at] | mask)


def zstd_kept(old, new, keep):
    """Blocks; the last one may say that it is the last."""
    kept = kept_blocks(old.blocks, keep)
    if not kept:
        return Kept.nothing(old)
    body = old.data[old.head : kept[-1].end]
    stayed = same_but(body, new.data[new.head : new.head + len(body)], kept[-1].at - old.head, 1)
    return Kept.blocks(kept, stayed, "zstd blocks", may_stay(old, keep))


def bits(stream, end):
    """The blocks' bytes up to this bit of the file, the bits behind it zero."""
    whole, rest = divmod(end, 8)
    data = stream.data[stream.head : whole]
    return data + bytes(byte & ((1 << rest) - 1) for byte in stream.data[whole : whole + 1])


def gzip_kept(old, new, keep):
    """Blocks, which begin and end at any bit; the last one may say that it is the last."""
    kept = kept_blocks(old.blocks, keep)
    if not kept:
        return Kept.nothing(old)
    at, bit = divmod(kept[-1].at - old.head * 8, 8)
    moved = (new.head - old.head) * 8
    stayed = same_but(bits(old, kept[-1].end), bits(new, kept[-1].end + moved), at, 1 << bit)
    return Kept.blocks(kept, stayed, "deflate blocks", (may_stay(old, keep) + 7) // 8)


def lzma2_kept(old, new, number, keep):
    """Of the Block that is cut: its chunks, where it has no other filter."""
    block = old.blocks[number]
    chunks = streams.lzma2_chunks(old.data, block) if block.is_plain else []
    kept = [chunk for chunk in chunks if chunk.finish <= keep]
    if not kept:
        return Kept(block.at, block.begin)
    piece = old.data[kept[0].at : kept[-1].end]
    data = new.data[new.blocks[number].at :] if number < len(new.blocks) else bytes(1)
    stayed = data[(data[0] + 1) * 4 :].startswith(piece)
    return Kept.blocks(kept, stayed, f"chunks of xz Block {number + 1}", kept[-1].end)


def xz_kept(old, new, keep):
    """Blocks, and their checks where these are still of that kind."""
    kept = kept_blocks(old.blocks, keep)
    stayed = len(new.blocks) >= len(kept) and all(
        old.data[one.at : one.end] == new.data[other.at : other.end] for one, other in zip(kept, new.blocks))
    is_cut = len(kept) < len(old.blocks)
    end = old.blocks[len(kept)].at if is_cut else old.rest
    if old.check == new.check:
        stayed = stayed and old.data[:end] == new.data[:end]
    here = Kept.blocks(kept, stayed, "xz Blocks", end) if kept else Kept.nothing(old)
    if not is_cut or here.content == keep:
        return here
    there = lzma2_kept(old, new, len(kept), keep)
    return Kept(there.end, there.content, here.faults + there.faults)


def nothing_stays(data, keep):
    """Is an xz stream cut in its first Block's first chunk? Then it is compressed anew."""
    old = streams.parsed(".xz", data)
    first = old.blocks[0]
    units = streams.lzma2_chunks(data, first) if first.is_plain else [first]
    return units[0].finish > keep


KEPT = {".zst": zstd_kept, ".gz": gzip_kept, ".xz": xz_kept}


def overhead(suffix, new, length):
    """What LENGTH bytes cost at most as an end of their own, beside themselves."""
    if suffix == ".zst":  # raw blocks' headers
        return 3 * -(-length // min(new.window, BLOCK))
    if suffix == ".gz":  # of a stored block three bits, in the worst case in a byte of their own, and its length twice
        return 5 * -(-length // DEFLATE_STORED)
    # A Block: header with sizes, uncompressed chunks, end marker, padding and check; the Index, padded, has an entry
    # more, and its count one more byte.
    chunks = -(-length // LZMA2_CHUNK)
    return 20 + 3 * chunks + 1 + 3 + dict(streams.XZ_CHECKS.values())[new.check] + streams.XZ_INDEX_ENTRY + 3 + 1


XZ_CUT = 1 + 3 + 4  # a cut Block gets an end marker, padding and a check anew
HEADER = 4  # bytes in which a zstd frame tells its size, below 4 GiB, where it did not before


def judge_size(one, old, new, kept):
    """The old file, without the blocks that go; what was cut through and the signature, as if both were stored."""
    gone = old.rest - kept.end
    pieces = [size for size in (one.keep - kept.content, len(one.content) - one.keep) if size > 0]
    limit = len(old.data) - gone + sum(size + overhead(one.form.suffix, new, size) for size in pieces)
    limit += HEADER * (one.form.suffix == ".zst") + XZ_CUT * (one.form.suffix == ".xz" and kept.content < one.keep)
    return [] if len(new.data) <= limit else [f"{len(new.data)} bytes, where {limit} would do"]


def whole_stream(one):
    """The old file without what is behind its only stream, which a mend takes off."""
    data, suffix = one.old, one.form.suffix
    if suffix == ".gz":
        head, _ = streams.gzip_head(data)
        return data[: (streams.deflate_blocks(data, head)[-1].end + 7) // 8 + 8]
    filler = {".xz": bytes(4), ".zst": forms.SKIPPABLE}[suffix]
    while data.endswith(filler):
        data = data.removesuffix(filler)
    return data


def judge_back(one, new):
    """Unsigned, it is what it was before it was signed: all of it, or where zstd's or gzip's header could become
    another one, and empty blocks at the end go, everything else."""
    if one.content != one.original_content or one.form.written == RECOMPRESSED:
        return []
    if one.form.suffix == ".xz":
        return [] if one.form.written == MENDED or one.new == one.original else ["not the file that it was"]
    before = streams.parsed(one.form.suffix, whole_stream(dataclasses.replace(one, old=one.original)))
    if not before.blocks[-1].content:
        return []
    same = before.data[before.head :] == new.data[new.head :]
    same = same and (one.form.suffix == ".zst" or one.form.written == MENDED or one.new == one.original)
    return [] if same else ["not the blocks that it had"]


def judge_place(one):
    """Extended or cut in place, and by no more than it needs."""
    if one.form.written == PLAIN:
        return []
    if one.expected == RECOMPRESSED:
        return judge.judge_packed(one.path)
    try:
        old, new = streams.parsed(one.form.suffix, whole_stream(one)), stream_of(one)
    except judge.Fault as fault:
        return [str(fault)]
    kept = KEPT[one.form.suffix](old, new, one.keep)
    return [*kept.faults, *judge_size(one, old, new, kept), *judge_back(one, new)]


JUDGES = {"told": judge_told, "content": judge_content, "place": judge_place}
