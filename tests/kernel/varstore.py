# SPDX-License-Identifier: MIT
"""Variables of a UEFI firmware, as they stand in OVMF's flash: signature lists (UEFI specification 2.10, 32.4.1)
in authenticated variables (EDK2: MdeModulePkg/Include/Guid/VariableFormat.h)."""
import dataclasses
import os
import struct
import uuid

import judge

EMPTY_STORE = "/usr/share/OVMF/OVMF_VARS_4M.fd"
VOLUME_HEADER_LENGTH_AT = 48
STORE_HEADER = struct.Struct("<16sI")  # signature, size
STORE_HEADER_SIZE = 28
RECORD = struct.Struct("<HBBIQ16sIII16s")
START_ID, ADDED = 0x55AA, 0x3F
ERASED = 0xFF

GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")  # PK, KEK
SECURITY = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")  # db, dbx
SHIM = uuid.UUID("605dab50-e046-4300-abb6-3dd810dd8b23")  # MokListRT and its like
SIGNED_STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792")

X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
SHA256 = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328")
OWNER = uuid.UUID("26b1d6d2-0ea1-4bd4-a3b2-bb1b0e2a3a54")  # whoever enrolled it: any will do

NON_VOLATILE, BOOT, RUNTIME, TIME_AUTHENTICATED = 1, 2, 4, 0x20
PLAIN = NON_VOLATILE | BOOT | RUNTIME
AUTHENTICATED = PLAIN | TIME_AUTHENTICATED


@dataclasses.dataclass(frozen=True)
class Variable:
    name: str
    vendor: uuid.UUID
    data: bytes
    attributes: int = PLAIN

    def record(self):
        name = self.name.encode("utf-16-le") + b"\0\0"
        time = bytes(16)
        head = RECORD.pack(START_ID, ADDED, 0, self.attributes, 0, time, 0, len(name), len(self.data),
                           self.vendor.bytes_le)
        record = head + name + self.data
        return record + bytes([ERASED]) * (-len(record) % 4)


def signature_list(kind, *signatures):
    """An EFI_SIGNATURE_LIST; its signatures have one size."""
    size = 16 + len(signatures[0])
    body = b"".join(OWNER.bytes_le + signature for signature in signatures)
    return kind.bytes_le + struct.pack("<III", 28 + len(body), 0, size) + body


def lists(members):
    """The signature lists for certificates (paths of files in DER) and SHA-256 digests (32 bytes)."""
    return b"".join(signature_list(SHA256, member) if isinstance(member, bytes)
                    else signature_list(X509, judge.read(member)) for member in members)


def trusting(db=(), dbx=(), mok=(), owner=None):
    """The variables of a firmware with these lists. OWNER is the certificate whose key may change them:
    the firmware that has one enforces Secure Boot."""
    found = []
    if owner:
        found += [Variable("PK", GLOBAL, lists([owner]), AUTHENTICATED),
                  Variable("KEK", GLOBAL, lists([owner]), AUTHENTICATED)]
    found += [Variable(name, SECURITY, lists(members), AUTHENTICATED)
              for name, members in (("db", db), ("dbx", dbx)) if members]
    # shim makes it anew in each boot, and so the kernel takes it for shim's.
    return found + [Variable("MokListRT", SHIM, lists(mok))] * bool(mok)


def show(variables, folder, secure=False):
    """Into FOLDER, as efivarfs shows them; the firmware tells whether there is Secure Boot."""
    os.makedirs(folder)
    for variable in [*variables, Variable("SecureBoot", GLOBAL, bytes([secure]))]:
        with open(os.path.join(folder, f"{variable.name}-{variable.vendor}"), "wb") as file:
            file.write(variable.attributes.to_bytes(4, "little") + variable.data)


def flash(variables, empty=None):
    """The content of the flash with these variables, from that of one without any."""
    store = bytearray(empty or judge.read(EMPTY_STORE))
    start = int.from_bytes(store[VOLUME_HEADER_LENGTH_AT:][:2], "little")
    signature, size = STORE_HEADER.unpack_from(store, start)
    if signature != SIGNED_STORE.bytes_le:
        raise judge.Fault("no store of authenticated variables")
    at, end = start + STORE_HEADER_SIZE, start + size
    records = b"".join(variable.record() for variable in variables)
    if at + len(records) > end:
        raise judge.Fault(f"{len(records)} bytes of variables, the store has room for {end - at}")
    if set(store[at : at + len(records)]) - {ERASED}:
        raise judge.Fault("the store is not empty")
    store[at : at + len(records)] = records
    return bytes(store)
