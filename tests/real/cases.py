# SPDX-License-Identifier: MIT
"""Every kind of signature that verify and status have to tell apart, over a real module. What is true of
each comes from how it is made, and from what kernels make of the like; see Case."""
import glob
import os
import re
import shutil
import struct

import forge
import judge
from answers import Case
from common import cert, key, signer
from forge import attached, cms, flipped

# OpenSSL's and the kernel's names for what these keys sign with
ALGORITHMS = {"rsa": "rsaEncryption", "ec": "ecdsa-with-{}"}
BLOCK_BYTES = (  # of the information block: field, what to flip in it, what names it
    ("algo", 0x01, "algo"),
    ("hash", 0x04, "hash"),
    ("id_type", 0x03, "type"),
    ("signer_len", 0x14, "signer"),
    ("key_id_len", 0x10, "key.?id"),
    ("pad[0]", 0x07, "pad"),
    ("pad[1]", 0x40, "pad"),
    ("pad[2]", 0xFF, "pad"),
    ("sig_len[0]", 0x80, "length|size"),
    ("sig_len[1]", 0x2A, "length|size"),
    # What these claim may fit into the file, but no message starts there.
    ("sig_len[2]", 0x06, r"length|size|ASN\.1|PKCS#7"),
    ("sig_len[3]", 0x55, r"length|size|ASN\.1|PKCS#7"),
)
NO_SIZE = "zero|length|size|empty"
NO_MESSAGE = (r"ASN\.1|PKCS#7|length|size",)
MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")  # the attribute's number
UNKNOWN_DIGEST = bytes.fromhex("2b060104018f6501")  # 1.3.6.1.4.1.2021.1, of no digest
UNKNOWN_DIGEST_NAME = r"1\.3\.6\.1\.4\.1\.2021\.1"


def counted(number, what):
    """A pattern for so many of these on one line, whichever comes first."""
    return rf"\b{number}\b.*({what})|({what}).*\b{number}\b"


def pair(name):
    return key(name), cert(name)


def x509(path):
    """What openssl tells of a certificate, under the names of our JSON."""
    _, out, err = judge.run(["openssl", "x509", "-in", path, "-noout", "-subject", "-issuer", "-serial"]
                            + ["-nameopt", "RFC2253", "-ext", "subjectKeyIdentifier"])
    text = out.decode()
    found = dict(re.findall(r"^(subject|issuer|serial)=(.*)$", text, re.M))
    if len(found) != 3:
        raise judge.Fault(f"openssl x509 {path}: {err}")
    key_id = re.search(r"([0-9A-F]{2}:){7,}[0-9A-F]{2}", text)
    return {"subject": found["subject"], "issuer": found["issuer"], "serial": found["serial"].lower(),
            "key_id": key_id and key_id[0].replace(":", "").lower()}


def section_headers(image):
    """Where an ELF file's section headers start, which stand at its end (e_shoff)."""
    return struct.unpack_from("<Q", image, 0x28)[0]


class Cases:
    """Over IMAGE, an unsigned module, by the key NAME, as a rule with DIGEST; OTHER is another module."""

    def __init__(self, image, other, name, digest, folder):
        self.image, self.other, self.name, self.digest, self.folder = image, other, name, digest, folder
        self.kind = "ec" if name in ("ec", "p256", "p521") else "rsa"
        self.message = self.sign()

    # Pieces

    def sign(self, name=None, digest=None, options=forge.PLAIN, image=None):
        return cms(image or self.image, pair(name or self.name), digest or self.digest, *options)

    def algorithm(self, digest=None):
        return ALGORITHMS[self.kind].format((digest or self.digest).upper())

    def signed(self, what, message, verdict, signers, words=(), facts=None, junk=b"", **more):
        """A whole trailer with a message over the image."""
        size = len(message) + len(junk)
        facts = {"image_size": len(self.image), "padding": len(junk), "signatures_beneath": 0,
                 "signature_size": size + judge.BLOCK.size + len(judge.MARKER),
                 "embedded_certificates": 0, "indefinite_length": False} | (facts or {})
        more = {"certs": [cert(self.name)], "holds": verdict != "bad"} | more
        data = attached(self.image, message, junk, size)
        return Case(what, data, verdict, tuple(words), facts, tuple(signers), **more)

    def bad(self, what, message, words=(), of_signer=None, **more):
        return self.signed(what, message, "bad", [{"verdict": "bad"} | (of_signer or {})], words, **more)

    def unknown(self, what, message, words=(), of_signer=None, **more):
        of_signer = {"verdict": "unknown signer", "certificate": None} | (of_signer or {})
        return self.signed(what, message, "unknown signer", [of_signer], words, **more)

    def bad_bytes(self, what, image):
        """A good message behind another image."""
        return Case(what, attached(image, self.message), "bad", (signer(self.name),), {"image_size": len(image)},
                    ({"verdict": "bad"},), [cert(self.name)], False)

    def good(self, what, message, words=(), facts=None, of_signer=None, **more):
        this = {"verdict": "good", "signed_attributes": False} | (of_signer or {})
        return self.signed(what, message, "good", [this], (signer(self.name), *words), facts, **more)

    def malformed(self, what, data, words):
        return Case(what, data, "malformed", tuple(words), certs=[cert(self.name)])

    # Groups, which are the claims: lists of cases

    def as_sign_file(self):
        known = x509(cert(self.name))
        of_signer = {"name": signer(self.name), "issuer": known["issuer"], "serial": known["serial"],
                     "key_id": None, "hash": self.digest, "algorithm": self.algorithm(), "certificate": known}
        return [self.good("", self.message, [self.digest], of_signer=of_signer)]

    def image_flips(self):
        # Not where a flip makes it no ELF file, or none that can be read: see header_flips().
        end = section_headers(self.image)
        inner = [64 + (end - 64) * part // 8 for part in range(8)]
        places = [8, 15, 0x30, *inner, end - 1, len(self.image) - 1]
        return [self.bad_bytes(f"at {where}", flipped(self.image, where, 1 << number % 8))
                for number, where in enumerate(places)]

    def header_flips(self):
        """{place: module} where a flip may make it no module at all."""
        places = [*range(64), *range(section_headers(self.image), len(self.image), 3)]
        return {where: attached(flipped(self.image, where, 0xFF), self.message) for where in places}

    def signature_flips(self):
        # In ECDSA's: the SEQUENCE, the first INTEGER, its value, the end of the second one.
        places = (0, 2, 5, 20, -1) if self.kind == "ec" else (0, 1, 100, 128, -1)
        return [self.bad(f"at {where}", forge.with_flipped_signature(self.message, where), [signer(self.name)])
                for where in places]

    def block_flips(self):
        """[(field, case)]"""
        whole = attached(self.image, self.message)
        start = len(whole) - len(judge.MARKER) - judge.BLOCK.size
        return [(field, self.malformed("", flipped(whole, start + number, bits), [word]))
                for number, (field, bits, word) in enumerate(BLOCK_BYTES)]

    def no_markers(self):
        whole = attached(self.image, self.message)
        start = len(whole) - len(judge.MARKER)
        broken = {f"byte {number} flipped": flipped(whole, start + number) for number in range(len(judge.MARKER))}
        broken |= {"none": self.image, "without its newline": whole[:-1], "a byte behind it": whole + b"\0",
                   "a newline behind it": whole + b"\n", "the message without it": whole[:start]}
        return [Case(what, data, "unsigned", facts={"signature_size": 0, "image_size": len(data)},
                     certs=[cert(self.name)]) for what, data in broken.items()]

    def of_another_module(self):
        return [self.bad("", self.sign(image=self.other), [signer(self.name)])]

    def piled_up(self):
        def case(what, below, outer, verdict, count=1):
            base = Cases(below, self.other, self.name, self.digest, self.folder)
            return base.signed(what, base.sign(outer), verdict, [{"verdict": verdict}],
                               [signer(outer), r"beneath|below|older"], {"signatures_beneath": count})

        by_this = attached(self.image, self.message)
        by_other = attached(self.image, self.sign("other"))
        tampered = attached(flipped(self.image, 100), self.message)
        return [case("good over good", by_this, self.name, "good"),
                case("good over unknown", by_other, self.name, "good"),
                case("good over bad", tampered, self.name, "good"),
                case("unknown over good", by_this, "other", "unknown signer"),
                case("good over two", attached(by_other, self.sign(image=by_other)), self.name, "good", 2)]

    def two_signers(self, first, second, verdict, certs, bad=()):
        """The names of two; whose certificates are given, and whose signatures are another module's."""
        names = (first, second)
        messages = [self.sign(name, image=self.other if name in bad else None) for name in names]
        found = ["unknown signer" if name not in certs else "bad" if name in bad else "good" for name in names]
        signers = [{"verdict": what, "name": signer(name)} for what, name in zip(found, names)]
        words = [signer(names[found.index(verdict)]), counted(2, "signers")]
        return [self.signed("", forge.joined(*messages), verdict, signers, words,
                            certs=[cert(name) for name in certs], holds=not bad)]

    def embedded(self):
        """The attacker's: a key of his own under the name and serial number of the one that is trusted."""
        twin, word = self.name + "_twin", r"certificates?.*embedded|embedded.*certificates?"

        def case(make, what, name, count, *others, **more):
            along = ["-certfile", self.bundle(*others)] if others else []
            return make(what, self.sign(name, options=["-noattr", *along]), [word],
                        facts={"embedded_certificates": count}, **more)

        return [case(self.good, "its own", self.name, 1),
                case(self.good, "its own and others", self.name, 3, "other", twin),
                case(self.unknown, "the attacker's", "other", 1),
                case(self.unknown, "the attacker's and a trusted one", "other", 2, self.name),
                case(self.bad, "the attacker's of the same name and number", twin, 1),
                case(self.unknown, "the same, with nobody to be mistaken for", twin, 1, certs=[cert("other")],
                     holds=False)]

    def signed_attributes(self):
        """A kernel refuses the good ones, too, so that has to be said of them."""
        message = self.sign(options=["-nocerts"])
        told = {"signed_attributes": True, "hash": self.digest}
        of_another = self.sign(options=["-nocerts"], image=self.other)
        altered = forge.Message(message)
        attributes = altered.signers[0].child(forge.CONTEXT).content
        digest = next(attribute[1][0] for attribute in attributes if attribute[0].content == MESSAGE_DIGEST)
        digest.content = flipped(digest.content, 3)
        return [self.good("good", message, ["attribute"], of_signer=told),
                self.bad("of another module", of_another, ["attribute"], told),
                self.bad("flipped digest in them", altered.der(), ["attribute"], told),
                self.bad("flipped signature", forge.with_flipped_signature(message, 50), ["attribute"], told)]

    def by_digest(self, digest):
        told = {"hash": digest, "algorithm": self.algorithm(digest)}
        return [self.good("", self.sign(digest=digest), [digest], of_signer=told)]

    def by_key_id(self):
        options = [*forge.PLAIN, "-keyid"]
        mine, other = ({"key_id": x509(cert(name))["key_id"], "issuer": None, "serial": None}
                       for name in (self.name, "other"))
        of_another = self.sign(options=options, image=self.other)
        return [self.good("known", self.sign(options=options), [self.digest], of_signer=mine),
                self.unknown("unknown", self.sign("other", options=options), [other["key_id"]], other),
                self.bad("of another module", of_another, [signer(self.name)], mine)]

    def by_unknown(self):
        return [self.unknown("", self.sign("other"), [signer("other")], {"name": signer("other")})]

    def rsa_pss(self):
        options = [*forge.PLAIN, "-keyopt", "rsa_padding_mode:pss"]
        told = {"algorithm": "rsassaPss"}
        return [self.good("good", self.sign(options=options), of_signer=told),
                self.bad("of another module", self.sign(options=options, image=self.other), of_signer=told)]

    def no_signed_data(self):
        return [self.malformed(what, attached(self.image, message), [r"signed.?data"])
                for what, message in forge.not_signed_data(self.image, cert("rsa")).items()]

    def attached_content(self):
        kinds = {"": ["-nodetach"], "streamed": ["-nodetach", "-stream"]}
        return [self.malformed(what, attached(self.image, self.sign(options=[*forge.PLAIN, *options])),
                               ["content.*attached|attached.*content"]) for what, options in kinds.items()]

    def indefinite(self):
        # Deeper in lies the issuer's name, which a kernel compares byte by byte.
        message = forge.Message(self.message)
        kinds = {"outermost": lambda depth: depth == 0, "some levels": lambda depth: depth < 4,
                 "all levels": lambda depth: depth < 6, "only within": lambda depth: 0 < depth < 6}
        return [self.good(what, message.ber(kind), [r"\bBER\b|indefinite"], {"indefinite_length": True})
                for what, kind in kinds.items()]

    def junk(self):
        """Between message and block, and not counted. Where it is a message, that one signs another image."""
        again = self.bad_bytes("the message again", self.image + self.message)
        return [self.malformed(f"{len(junk)} bytes", attached(self.image, self.message, junk), NO_MESSAGE)
                for junk in (b"\0", b"junk junk", bytes(4096))] + [again]

    def trailing(self):
        """The same, but counted: a kernel takes it."""
        what = "behind the message|padding|trailing"
        return [self.good(f"{len(junk)} bytes", self.message, [counted(len(junk), what)], junk=junk)
                for junk in (b"\0", b"junk junk", self.message, bytes(4096))]

    def wrong_sizes(self):
        """[(what, case)]"""
        right, room = len(self.message), len(self.image) + len(self.message)
        whole = room + judge.BLOCK.size + len(judge.MARKER)
        beyond = {"0x7fffffff": 0x7FFFFFFF, "0x80000000": 0x80000000, "0xffffffff": 0xFFFFFFFF,
                  "the file's size": whole, "all before the block": room, "one more than that": room + 1}
        within = {"one too many": right + 1, "one too few": right - 1, "all but a byte before the block": room - 1}
        sizes = [("0", 0, [NO_SIZE]), *((what, size, ["length|size"]) for what, size in beyond.items()),
                 *((what, size, NO_MESSAGE) for what, size in within.items())]
        return [(what, self.malformed("", attached(self.image, self.message, size=size), words))
                for what, size, words in sizes]

    def empty_message(self):
        return [self.malformed("", attached(self.image, b""), [NO_SIZE])]

    def truncated(self):
        """With the size that is left."""
        return [self.malformed(f"{size} bytes left", attached(self.image, self.message[:size]), [r"ASN\.1|PKCS#7"])
                for size in (1, 2, 10, len(self.message) // 2, len(self.message) - 1)]

    def by_key(self, name, digest):
        other = Cases(self.image, self.other, name, digest, self.folder)
        told = {"hash": digest, "algorithm": other.algorithm(), "certificate": x509(cert(name))}
        return [other.good("", other.message, [digest], of_signer=told)]

    def twins(self):
        """Two certificates with one name and serial number: good if it is by one of the keys."""
        twin, mine = cert(self.name + "_twin"), cert(self.name)
        ways = {"first": [mine, twin], "last": [twin, mine],
                "in one file": [self.bundle(self.name + "_twin", self.name)]}
        told = {"certificate": x509(mine)}
        return [self.bad("only the other", self.message, certs=[twin], holds=True),
                self.unknown("neither", self.sign("other"), certs=[twin, mine]),
                *(self.good(what, self.message, certs=certs, of_signer=told) for what, certs in ways.items())]

    def cert_forms(self):
        text = judge.run(["openssl", "x509", "-in", cert(self.name), "-text"])[1]
        forms = {
            "PEM": [cert(self.name)],
            "PEM with text": [self.file("text.pem", text)],
            "DER": [cert(self.name, "der")],
            "a bundle": [self.bundle("other", "expired", self.name)],
            "a directory": [self.directory(self.name)],
            "several": [cert("other", "der"), cert(self.name, "der"), cert("ca")],
        }
        strangers = {"another's": [cert("other")], "a directory of others": [self.directory("others")]}
        return ([self.good(what, self.message, certs=certs) for what, certs in forms.items()]
                + [self.unknown(what, self.message, certs=certs) for what, certs in strangers.items()])

    def unjudged(self):
        """Dates and usage are told, not judged: the kernel looks at neither."""
        certificates = {"expired": {"not_before": re.compile("2001"), "not_after": re.compile("2002")},
                        "ca": {"usage": re.compile("cert.*sign", re.I)}}
        cases = []
        for name, told in certificates.items():
            case, = self.by_key(name, "sha256")
            case.name = name
            case.signers[0]["certificate"] |= told
            cases.append(case)
        return cases

    def unknown_digest(self):
        message = forge.with_digest(self.message, UNKNOWN_DIGEST)
        return [self.signed("", message, "unsupported", [{"verdict": "unsupported"}], [UNKNOWN_DIGEST_NAME],
                            holds=None)]

    # Certificates in other forms

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def bundle(self, *names):
        return self.file("+".join(names) + ".pem", b"".join(judge.read(cert(name)) for name in names))

    def directory(self, name):
        """Certificates in PEM and DER and files that are none; that of NAME among them, or others only."""
        path = os.path.join(self.folder, name)
        if not os.path.isdir(path):
            os.mkdir(path)
            for source in glob.glob(os.path.join(os.path.dirname(cert("rsa")), "other.*")):
                shutil.copy(source, path)
            if name != "others":
                shutil.copy(cert(name, "der"), os.path.join(path, "z.x509"))
        self.file(os.path.join(name, "README"), b"no certificate\n")
        return path
