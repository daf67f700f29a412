#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads signed modules without any code of kernel-sign: the command line tools of xz, zstd, gzip,
OpenSSL and kmod, and the trailer as linux/module_signature.h describes it.

Every judge_* function returns a list of faults; the empty list is the good verdict.

    judge.py CERT FILE...    does each file carry one signature that verifies against CERT?
"""
import hashlib
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

MARKER = b"~Module signature appended~\n"
BLOCK = struct.Struct(">5B3sI")  # algo hash id_type signer_len key_id_len pad sig_len
PKCS7 = 2
GZIP_FLAGS = 0x01 | 0x08  # that a kernel passes over: FTEXT, FNAME
KINDS = {  # suffix: magic, command that writes the content to stdout
    ".ko": (b"\x7fELF", None),
    ".gz": (b"\x1f\x8b", ["gzip", "-dc"]),
    ".xz": (b"\xfd7zXZ\0", ["xz", "-dc"]),
    ".zst": (b"\x28\xb5\x2f\xfd", ["zstd", "-qdc"]),
}


class Fault(Exception):
    """The file is not what it has to be."""


def run(command, **options):
    done = subprocess.run(command, capture_output=True, check=False, **options)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace").strip()


def suffix(path):
    return os.path.splitext(path)[1]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def content(path):
    """The module's bytes, decompressed as its name says; its magic has to agree."""
    raw = read(path)
    magic, command = KINDS[suffix(path)]
    if not raw.startswith(magic):
        raise Fault(f"{path}: begins with {raw[:6].hex()}, which is no {suffix(path)}")
    if not command:
        return raw
    status, out, err = run(command + ["--", path])
    if status or err:
        raise Fault(f"{path}: {command[0]}: {err or status}")
    return out


def split(data):
    """(image, messages): all signatures cut off, the outermost first."""
    messages = []
    while data.endswith(MARKER):
        end = len(data) - len(MARKER) - BLOCK.size
        if end < 0:
            raise Fault("marker without information block")
        *fields, size = BLOCK.unpack_from(data, end)
        if fields != [0, 0, PKCS7, 0, 0, b"\0\0\0"]:
            raise Fault(f"information block has {fields}")
        if not 0 < size <= end:
            raise Fault(f"signature of {size} bytes in {end}")
        messages.append(data[end - size : end])
        data = data[: end - size]
    return data, messages


def digest(data):
    return hashlib.sha256(data).hexdigest()


def summary(path):
    """(sha256 of the image, number of signatures)"""
    try:
        image, messages = split(content(path))
    except Fault as fault:
        return str(fault), 0
    return digest(image), len(messages)


def judge_cms(image, message, cert):
    """Does the message sign the image, by the key of this certificate and no other?"""
    with tempfile.TemporaryDirectory() as scratch:
        for name, data in (("image", image), ("message", message)):
            with open(os.path.join(scratch, name), "wb") as file:
                file.write(data)
        # -nointern: only our certificate counts, not one that came along in the message.
        # -noverify: no chain; the kernel looks at the key alone, too.
        status, _, err = run(
            ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "message"]
            + ["-content", "image", "-certfile", cert, "-nointern", "-noverify"]
            + ["-out", "/dev/null"],
            cwd=scratch,
        )
    return [f"openssl: {err}"] if status else []


def judge_signed(path, cert, image_digest, beneath=0):
    """One signature, which verifies, over the image that was there before: with those BENEATH it, if it had any."""
    try:
        data = content(path)
        image, messages = split(data)
    except Fault as fault:
        return [str(fault)]
    faults = []
    if len(messages) != 1 + beneath:
        faults.append(f"{len(messages)} signatures")
    else:
        if beneath:
            image = data[: -len(messages[0]) - BLOCK.size - len(MARKER)]
        faults += judge_cms(image, messages[0], cert)
    if digest(image) != image_digest:
        faults.append("the image changed")
    return [f"{path}: {fault}" for fault in faults]


def judge_unsigned(path, image_digest):
    """No signature, and the image that was there before."""
    got, count = summary(path)
    faults = [] if got == image_digest else [f"{path}: the image changed ({got})"]
    return faults + ([f"{path}: {count} signatures"] if count else [])


def judge_gzip(path):
    raw = read(path)
    stream = zlib.decompressobj(31)
    stream.decompress(raw)
    faults = [] if not raw[3] & ~GZIP_FLAGS else [f"gzip header has flags {raw[3]:#x}"]
    return faults + ([] if stream.eof and not stream.unused_data else ["more than one gzip member"])


def xz_list(path):
    """(number of streams, check, padding), or a Fault"""
    _, out, err = run(["xz", "-l", "--robot", "--", path])
    row = re.search(r"^file\t(.*)$", out.decode(), re.M)
    if not row:
        raise Fault(f"xz -l: {err}")
    streams, _, _, _, _, check, padding = row[1].split("\t")[:7]
    return streams, check, padding


def judge_xz(path):
    try:
        streams, check, padding = xz_list(path)
    except Fault as fault:
        return [str(fault)]
    faults = [] if streams == "1" else [f"{streams} xz streams"]
    faults += [] if check in ("CRC32", "None") else [f"xz check {check}"]
    return faults + ([] if padding == "0" else [f"xz stream padding {padding}"])


def judge_zstd(path):
    status, out, err = run(["zstd", "-lv", "--", path])
    if status:
        return [f"zstd -l: {err}"]
    frames = re.search(r"^(?:# Zstandard|Number of) Frames: (\d+)", out.decode(), re.M)
    size = re.search(r"^Decompressed Size:.*\((\d+) B\)", out.decode(), re.M)
    faults = [] if frames and frames[1] == "1" else [f"zstd -l: {out.decode()!r}"]
    if not size or int(size[1]) != len(content(path)):
        faults.append(f"zstd frame tells the content size {size and size[1]}")
    return faults


def judge_container(path):
    """In a form that kernels and kmod can read?"""
    judges = {".gz": judge_gzip, ".xz": judge_xz, ".zst": judge_zstd}
    try:
        content(path)
        faults = judges.get(suffix(path), lambda path: [])(path)
    except (Fault, zlib.error, ValueError) as fault:
        faults = [str(fault)]
    return [f"{path}: {fault}" for fault in faults]


def judge_packed(path):
    """That, and compressed the way the kernel's build does it?"""
    faults = judge_container(path)
    if suffix(path) == ".gz" and read(path)[3:8] != bytes(5):
        faults.append(f"{path}: gzip header has a name or a time")
    if not faults and suffix(path) == ".xz" and xz_list(path)[1] != "CRC32":
        faults.append(f"{path}: xz check {xz_list(path)[1]}")
    return faults


def judge_modinfo(path, signer):
    """What the user sees. Debian's kmod reads no gzip, so that is decompressed first."""
    with tempfile.TemporaryDirectory() as scratch:
        if suffix(path) == ".gz":
            plain = os.path.join(scratch, "module.ko")
            with open(plain, "wb") as file:
                file.write(content(path))
        else:
            plain = path
        _, out, err = run(["modinfo", "-F", "signer", plain])
    shown = out.decode().strip()
    return [] if shown == signer else [f"{path}: modinfo shows the signer {shown!r} {err}"]


def main(cert, *paths):
    faults = [fault for path in paths for fault in judge_signed(path, cert, summary(path)[0])]
    print("\n".join(faults) if faults else f"{len(paths)} good")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
