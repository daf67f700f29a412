#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes the certificates out of a kernel image: of an x86 bzImage, as the kernel's
Documentation/arch/x86/boot.rst describes it. They stand in the kernel as one DER certificate after
another (system_certificate_list in certs/system_certificates.S).

    vmlinuz.py IMAGE    the certificates, in PEM
"""
import re
import struct
import sys

import judge

SETUP_SECTS = 0x1F1
HEADER = 0x202  # "HdrS"
PAYLOAD = struct.Struct("<II")  # payload_offset, from the end of the setup code, and payload_length
PAYLOAD_AT = 0x248
SECTOR = 512
PACKERS = {  # magic: command that unpacks; all but gzip's are followed by the unpacked size
    b"\x1f\x8b": ["gzip", "-dc"],
    b"\xfd7zXZ\0": ["xz", "-dc"],
    b"\x28\xb5\x2f\xfd": ["zstd", "-qdc"],
    b"\x02\x21\x4c\x18": ["lz4", "-dc"],
}
# SEQUENCE { SEQUENCE { [0] { INTEGER 2 }, the start of every certificate with extensions; its length in
# two bytes. One may start inside what looks like one.
CERTIFICATE = re.compile(rb"(?=\x30\x82(..)\x30\x82..\xa0\x03\x02\x01\x02)", re.S)


def unpacked(image):
    """The kernel proper, an ELF file."""
    if image[HEADER : HEADER + 4] != b"HdrS":
        raise judge.Fault("no bzImage")
    setup_end = ((image[SETUP_SECTS] or 4) + 1) * SECTOR
    offset, length = PAYLOAD.unpack_from(image, PAYLOAD_AT)
    payload = image[setup_end + offset :][:length]
    for magic, command in PACKERS.items():
        if payload.startswith(magic):
            break
    else:
        raise judge.Fault(f"payload begins with {payload[:6].hex()}")
    size = None
    if command[0] != "gzip":
        size = int.from_bytes(payload[-4:], "little")
        payload = payload[:-4]
    status, kernel, err = judge.run(command, input=payload)
    if status or not kernel.startswith(b"\x7fELF") or size not in (None, len(kernel)):
        raise judge.Fault(f"{command[0]}: {err or status}, {len(kernel)} bytes of {size}")
    return kernel


def certificates(image):
    """Those in the image, in PEM, each as OpenSSL reads it."""
    kernel = unpacked(image)
    found = []
    for match in CERTIFICATE.finditer(kernel):
        size = 4 + int.from_bytes(match[1], "big")
        candidate = kernel[match.start() :][:size]
        status, pem, _ = judge.run(["openssl", "x509", "-inform", "DER"], input=candidate)
        # OpenSSL overlooks what follows: the DER of what it read has to be all of it.
        if not status and judge.run(["openssl", "x509", "-outform", "DER"], input=pem)[1] == candidate:
            found.append(pem)
    return found


def main(path):
    sys.stdout.buffer.write(b"".join(certificates(judge.read(path))))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
