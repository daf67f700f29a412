# SPDX-License-Identifier: MIT
"""Makes signatures that sign-file never would: messages by OpenSSL's command line, taken to pieces
and put together again, and trailers byte by byte. No code of kernel-sign is in it."""
import os
import tempfile

import judge

# Tags of ASN.1 (X.690)
INTEGER, OCTETS, OID, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x30, 0x31
CONTEXT = 0xA0  # [0], constructed
CONSTRUCTED = 0x20
INDEFINITE = 0x80
PLAIN = ("-nocerts", "-noattr")  # as sign-file signs


class Node:
    """One ASN.1 element: a tag with bytes, or with elements where it is a constructed one."""

    def __init__(self, tag, content):
        self.tag, self.content = tag, content

    def __getitem__(self, index):
        return self.content[index]

    def child(self, tag):
        """The only child with this tag, or None."""
        found = [node for node in self.content if node.tag == tag]
        return found[0] if found else None

    def encoded(self, is_indefinite=lambda depth: False, depth=0):
        if not self.tag & CONSTRUCTED:
            return bytes([self.tag]) + length_octets(len(self.content)) + self.content
        body = b"".join(node.encoded(is_indefinite, depth + 1) for node in self.content)
        if is_indefinite(depth):
            return bytes([self.tag, INDEFINITE]) + body + b"\0\0"
        return bytes([self.tag]) + length_octets(len(body)) + body


def length_octets(length):
    if length < 0x80:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def parsed(data):
    """(the element that these bytes of DER start with, the rest)"""
    tag, length, at = data[0], data[1], 2
    if length & 0x80:
        at += length & 0x7F
        length = int.from_bytes(data[2:at], "big")
    body, rest = data[at : at + length], data[at + length :]
    if len(body) != length:
        raise judge.Fault("DER cut short")
    if not tag & CONSTRUCTED:
        return Node(tag, body), rest
    children = []
    while body:
        child, body = parsed(body)
        children.append(child)
    return Node(tag, children), rest


class Message:
    """A CMS message taken to pieces: ContentInfo { OID, [0] { SignedData } } (RFC 5652)."""

    def __init__(self, der):
        self.root, rest = parsed(der)
        if rest or self.root.encoded() != der:
            raise judge.Fault("not the DER that it should be")
        self.signed_data = self.root[1][0]
        self.signers = self.signed_data[-1].content  # SignerInfos
        self.digests = self.signed_data[1].content  # DigestAlgorithmIdentifiers

    def der(self):
        return self.root.encoded()

    def ber(self, is_indefinite):
        return self.root.encoded(is_indefinite)


def joined(*messages):
    """One message with all their signers, in this order: a SET's order that OpenSSL would not keep."""
    first, *others = map(Message, messages)
    for other in others:
        first.signers += other.signers
        first.digests += [node for node in other.digests
                          if node.encoded() not in [mine.encoded() for mine in first.digests]]
    return first.der()


def signature_value(signer):
    return signer.child(OCTETS)


def with_flipped_signature(message, where):
    """WHERE in its first signer's signature value; negative from its end."""
    forged = Message(message)
    value = signature_value(forged.signers[0])
    value.content = flipped(value.content, where % len(value.content))
    return forged.der()


def with_certificates(message, *paths):
    """With these certificates (DER) in this order: OpenSSL writes the SET sorted, as DER wants it."""
    forged = Message(message)
    forged.signed_data.child(CONTEXT).content = [parsed(judge.read(path))[0] for path in paths]
    return forged.der()


def with_digest(message, oid):
    """With another digest's number, of which the signature knows nothing."""
    forged = Message(message)
    for algorithm in forged.digests + [signer[2] for signer in forged.signers]:
        algorithm[0].content = oid
    return forged.der()


def flipped(data, where, bits=1):
    return data[:where] + bytes([data[where] ^ bits]) + data[where + 1 :]


def block(size, **fields):
    """The information block; size is what it claims of the message."""
    fields = {"algo": 0, "hash": 0, "id_type": judge.PKCS7, "signer_len": 0, "key_id_len": 0,
              "pad": bytes(3)} | fields
    return judge.BLOCK.pack(*fields.values(), size)


def attached(image, message, junk=b"", size=None, **fields):
    """The signed module; JUNK stands behind the message, SIZE says what the block claims."""
    return image + message + junk + block(len(message) if size is None else size, **fields) + judge.MARKER


def openssl(data, *command):
    """What openssl writes to the file `out`, given the data in the file `in`."""
    with tempfile.TemporaryDirectory() as scratch:
        with open(os.path.join(scratch, "in"), "wb") as file:
            file.write(data)
        status, _, err = judge.run(["openssl", *command, "-in", "in", "-out", "out"], cwd=scratch)
        if status:
            raise judge.Fault(f"openssl {' '.join(command)}: {err}")
        return judge.read(os.path.join(scratch, "out"))


def cms(image, signer, digest, *options):
    """A message by openssl's command line; SIGNER is (key, certificate)."""
    key, cert = signer
    return openssl(image, "cms", "-sign", "-binary", "-outform", "DER", "-md", digest,
                   "-signer", cert, "-inkey", key, *options)


def not_signed_data(image, cert):
    """{kind: message} of the kinds that PKCS#7 has beside SignedData."""
    form = ("-binary", "-outform", "DER")
    return {
        "data": openssl(image, "cms", "-data_create", *form),
        "digested": openssl(image, "cms", "-digest_create", *form),
        "encrypted": openssl(image, "cms", "-EncryptedData_encrypt", "-secretkey", "00" * 16, "-aes-128-cbc", *form),
        "enveloped": openssl(image, "cms", "-encrypt", "-recip", cert, "-aes-128-cbc", *form),
    }
