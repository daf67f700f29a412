# SPDX-License-Identifier: MIT
"""The modules that a kernel is asked about: signed by the program under test, then broken by the forger. Each is a
Row, with what verify and status have to say of it and what kernels do, by what they can. Nothing here is made from
what a kernel or the program was seen to answer."""
import collections.abc
import dataclasses
import struct

import forge
import judge
from forge import attached, flipped
from oracle import (INVALID, LOADS, MALFORMED, NO_MODULE, REJECTED, TOO_LONG, UNKNOWN, UNSIGNED, UNSIGNED_NO_MODULE,
                    UNSUPPORTED, Says, can_check)
from signing import message, signed

DIGESTS = ("sha1", "sha224", "sha256", "sha384", "sha512")
SHA3 = ("sha3-224", "sha3-256", "sha3-384", "sha3-512")
SIGNING_KEYS = ("rsa", "rsa3072", "rsa4096", "p256", "ec", "p521")
# Enrolled in the kernels, and given to verify and status.
KNOWN = (*SIGNING_KEYS, "ec_sha512", "expired", "ca", "revoked")
UNKNOWN_DIGEST = bytes.fromhex("2b060104018f6501")  # 1.3.6.1.4.1.2021.1, of no digest
RSA_EXPONENT = 65537
LONGEST = 0xFFFF  # that the kernel's ASN.1 decoder takes
BLOCK_MESSAGE = "module: PKCS#7 signature info has unexpected non-zero params"
OTHER_ID = "module: not signed with expected PKCS#7 message"
ONE_OF_EACH = "a kernel refuses a message if a key that it knows did not make the signature; verify says that aside"


@dataclasses.dataclass(frozen=True)
class Row:
    """KERNEL gives, for a kernel's Abilities, what it says. WAY is how the MODULE gets to it. WORDS is a pattern for
    what verify says beside its verdict."""

    group: str
    name: str
    data: bytes
    verdict: str
    kernel: collections.abc.Callable
    way: str = "file"
    module: str = ""
    signer: dict = dataclasses.field(default_factory=dict)  # what --json has to tell of the first
    words: str = ""
    is_revoked: bool = False  # the file, in dbx
    mark: collections.abc.Callable = lambda abilities: ""  # why a prediction has to be "unknown"

    @property
    def id(self):
        return f"{self.group}, {self.name}"


def section_headers(image):
    """Where an ELF file's section headers start, which stand at its end (e_shoff)."""
    return struct.unpack_from("<Q", image, 0x28)[0]


def text_in(image):
    """A place that can be changed and leaves a module that loads: in the name of the compiler."""
    return image.index(b"GCC: (")


class Cases:
    """IMAGES are unsigned modules of one kernel, by name; KEYS those of tests/lib/keys; SHA3_OF_ECDSA tells whether
    the OpenSSL at hand can sign so."""

    def __init__(self, images, keys, sha3_of_ecdsa):
        self.images, self.keys, self.sha3_of_ecdsa = images, keys, sha3_of_ecdsa
        self.module = next(iter(images))
        self.image = images[self.module]
        self.other = images[list(images)[1]]
        self.key = keys["rsa"]
        self.message = message(self.image, self.key, "sha256")

    # Pieces

    def row(self, group, name, data, verdict, says, **more):
        """SAYS is the same for all kernels, or is asked for each."""
        return Row(group, name, data, verdict, says if callable(says) else lambda abilities: says,
                   **{"module": self.module} | more)

    def of(self, name, image=None, digest="sha256", **options):
        return message(image or self.image, self.keys[name], digest, **options)

    def by_openssl(self, name, *options, image=None, digest="sha256"):
        return forge.cms(image or self.image, self.keys[name].pair, digest, *options)

    def with_(self, group, name, what, verdict, says, image=None, junk=b"", **more):
        """A whole trailer with this message."""
        data = attached(image or self.image, what, junk, len(what) + len(junk))
        return self.row(group, name, data, verdict, says, **more)

    def unless_unable(self, name, digest, says):
        """SAYS, of a kernel that can check this key's signatures."""

        def kernel(abilities):
            able = can_check(abilities, self.keys[name], digest)
            return says if able == LOADS else able

        return kernel

    # Groups

    def rows(self):
        groups = [self.by_key, self.by_certificate, self.several_signers, self.embedded, self.padding, self.piled_up,
                  self.attributes, self.other_algorithms, self.ways, self.block, self.sizes, self.structure,
                  self.other_content, self.indefinite, self.image_changed, self.value_changed, self.markers,
                  self.no_modules, self.vermagic, self.revoked]
        return [row for group in groups for row in group()]

    def by_key(self):
        """Key type x digest x signer id, over all modules in turn."""
        modules = list(self.images)
        for key in SIGNING_KEYS:
            for digest in (*DIGESTS, *(SHA3 if not self.keys[key].curve or self.sha3_of_ecdsa else ())):
                for key_id in (False, True):
                    modules.append(modules.pop(0))
                    name = f"{key} {digest} {'key id' if key_id else 'issuer and serial number'}"
                    data = signed(self.images[modules[0]], self.keys[key], digest, key_id=key_id)
                    says = self.unless_unable(key, digest, LOADS)
                    yield self.row("key, digest, signer id", name, data, "good", says, module=modules[0],
                                   signer={"hash": digest, "key_id": key_id, "serial": not key_id})
        data = signed(self.image, self.key, "sha512", tool=True)
        yield self.row("key, digest, signer id", "rsa sha512 by sign-file", data, "good",
                       self.unless_unable("rsa", "sha512", LOADS),
                       signer={"hash": "sha512", "key_id": False, "serial": True})

    def by_certificate(self):
        for name, what in (("expired", "expired in 2002"), ("ca", "for signing certificates only"),
                           ("ec_sha512", "P-384, itself signed with sha512")):
            yield self.with_("certificates", what, self.of(name), "good", self.unless_unable(name, "sha256", LOADS))

    def several_signers(self):
        group = "several signers"
        known, unknown = self.message, self.of("other")
        bad = self.of("rsa4096", image=self.other)
        also = self.of("rsa3072")
        for name, parts in (("known, unknown", [known, unknown]), ("unknown, known", [unknown, known]),
                            ("two known", [known, also]), ("unknown, unknown, known", [unknown, unknown, known])):
            yield self.with_(group, name, forge.joined(*parts), "good", LOADS)
        for names in (("rsa", "other"), ("other", "rsa"), ("rsa3072", "rsa", "rsa4096")):
            what = self.of(names[0], others=[self.keys[name] for name in names[1:]])
            yield self.with_(group, f"ours, by {', '.join(names)} at once", what, "good", LOADS)
        for name, parts in (("good, bad", [known, bad]), ("bad, good", [bad, known]),
                            ("good, bad, good", [known, bad, also])):
            yield self.with_(group, name, forge.joined(*parts), "good", REJECTED.because(ONE_OF_EACH), words=r"\bbad\b")
        for name, parts in (("unknown, bad", [unknown, bad]), ("bad, unknown", [bad, unknown])):
            yield self.with_(group, name, forge.joined(*parts), "bad", REJECTED)
        yield self.with_(group, "two unknown", forge.joined(unknown, unknown), "unknown signer", UNKNOWN)
        # A digest that only the crypto lacks would be passed over for a built-in key. But Debian asks the keyring of
        # db only where the answer was ENOKEY, and not ENOPKG.
        for digest in ("sha512", "sha3-256"):
            parts = [self.of("rsa4096", digest=digest), known]
            for name, parts in ((f"{digest}, sha256", parts), (f"sha256, {digest}", parts[::-1])):
                yield self.with_(group, name, forge.joined(*parts), "good",
                                 lambda abilities, digest=digest: can_check(abilities, self.key, digest))
        odd = forge.with_digest(also, UNKNOWN_DIGEST)
        says = UNSUPPORTED.saying("Unsupported digest algo: N").because("its parser gives up where a digest has no "
                                                                        "number, whoever else signed")
        for name, parts in (("unknown digest, good", [odd, known]), ("good, unknown digest", [known, odd])):
            yield self.with_(group, name, forge.joined(*parts), "good", says)
        both = forge.joined(known, self.of("rsa3072", key_id=True))
        says = MALFORMED.saying("PKCS7: SignedData-SignerInfo version mismatch")
        yield self.with_(group, "serial number, key id", both, "malformed", says)

    def embedded(self):
        group = "embedded certificates"

        def along(signer, *certificates, image=None):
            made = self.by_openssl(signer, "-noattr", image=image)
            return forge.with_certificates(made, *(self.keys[name].der for name in certificates or [signer]))

        yield self.with_(group, "its own", along("rsa"), "good", LOADS)
        yield self.with_(group, "its own and others", along("rsa", "rsa", "other", "rsa_twin"), "good", LOADS)
        image = self.image_without_padding("rsa", "rsa_twin")
        behind = along("rsa", "rsa_twin", "rsa", image=image)
        yield self.with_(group, "its own behind one with its name and number", behind, "good",
                         INVALID.because("it takes the first for the signer's, whose RSA finds no padding")
                         .meaning("bad signature"), image=image)
        yield self.with_(group, "an unknown signer's", along("other"), "unknown signer", UNKNOWN)
        yield self.with_(group, "an unknown signer's and a known one", along("other", "other", "rsa"), "unknown signer", UNKNOWN)
        yield self.with_(group, "an unknown signer's with the name and number of a known one", along("rsa_twin"), "bad",
                         UNKNOWN.because("it takes the embedded certificate for the signer's, which is not enrolled"))
        yield self.with_(group, "of another module", along("rsa", image=self.other), "bad", REJECTED)
        yield self.with_(group, "signature flipped", self.flipped_without_padding(along("rsa")), "bad",
                         INVALID.because("it says here that there is no RSA padding").meaning("bad signature"))

    def finds_padding(self, name, message):
        """Does what this key's RSA makes of the signature value begin with the zero byte of PKCS#1?"""
        modulus = judge.run(["openssl", "x509", "-in", self.keys[name].pem, "-noout", "-modulus"])[1].decode()
        modulus = int(modulus.strip().split("=")[1], 16)
        value = int.from_bytes(forge.signature_value(forge.Message(message).signers[0]).content, "big")
        return pow(value, RSA_EXPONENT, modulus).bit_length() <= modulus.bit_length() - 8

    def flipped_without_padding(self, message):
        flips = (forge.with_flipped_signature(message, -where) for where in range(1, 256))
        return next(forged for forged in flips if not self.finds_padding("rsa", forged))

    def image_without_padding(self, key, other):
        """An image of whose signature by KEY the OTHER's RSA makes nothing."""
        images = (self.image + bytes(length) for length in range(256))
        return next(image for image in images
                    if not self.finds_padding(other, self.by_openssl(key, *forge.PLAIN, image=image)))

    def padding(self):
        for junk in (b"\0", b"junk junk", self.message, bytes(4096), bytes(LONGEST - len(self.message))):
            yield self.with_("padding behind the message", f"{len(junk)} bytes", self.message, "good", LOADS, junk=junk,
                             words=rf"\b{len(junk)}\b")
        junk = bytes(LONGEST - len(self.message) + 1)
        yield self.with_("padding behind the message", "one byte too many", self.message, "malformed", TOO_LONG,
                         junk=junk)

    def piled_up(self):
        """By OpenSSL: our `sign` takes the old signature off."""
        group = "signatures piled up"

        def outer(name, image):
            return self.by_openssl(name, *forge.PLAIN, image=image)

        good, unknown = attached(self.image, self.message), attached(self.image, self.of("other"))
        tampered = attached(flipped(self.image, text_in(self.image)), self.message)
        for name, below in (("good over good", good), ("good over unknown", unknown), ("good over bad", tampered),
                            ("good over two", attached(good, outer("rsa", good)))):
            yield self.with_(group, name, outer("rsa3072", below), "good", LOADS, image=below,
                             words="beneath|below|older")
        yield self.with_(group, "unknown over good", outer("other", good), "unknown signer", UNKNOWN, image=good)
        yield self.with_(group, "bad over good", outer("rsa3072", unknown), "bad", REJECTED, image=good)

    def attributes(self):
        group = "signed attributes"
        why = "a kernel takes no signed attributes in modules; verify says that aside"
        capable = REJECTED.saying("PKCS7: S/MIME Caps only allowed with Authenticode")
        plain = REJECTED.saying("PKCS7: Invalid module sig (has authattrs)")
        yield self.with_(group, "all that OpenSSL makes", self.by_openssl("rsa", "-nocerts"), "good",
                         capable.because(why), words="attribute")
        yield self.with_(group, "without capabilities", self.by_openssl("rsa", "-nocerts", "-nosmimecap"), "good",
                         plain.because(why), words="attribute")
        message_of_other = self.by_openssl("rsa", "-nocerts", "-nosmimecap", image=self.other)
        yield self.with_(group, "of another module", message_of_other, "bad", plain)
        yield self.with_(group, "of an unknown signer", self.by_openssl("other", "-nocerts", "-nosmimecap"),
                         "unknown signer", plain.because("it refuses them before it looks for the key"))

    def other_algorithms(self):
        group = "other algorithms"
        digest = UNSUPPORTED.saying("Unsupported digest algo: N")
        odd = forge.with_digest(self.message, UNKNOWN_DIGEST)
        yield self.with_(group, "unknown digest", odd, "unsupported", digest)
        yield self.with_(group, "unknown digest, unknown signer", forge.with_digest(self.of("other"), UNKNOWN_DIGEST),
                         "unknown signer", digest.because("it asks for the digest first"))
        pss = UNSUPPORTED.saying("Unsupported pkey algo: N").because("it has no RSA-PSS")
        options = [*forge.PLAIN, "-keyopt", "rsa_padding_mode:pss"]
        yield self.with_(group, "RSA-PSS", self.by_openssl("rsa", *options), "good", pss)
        yield self.with_(group, "RSA-PSS of another module", self.by_openssl("rsa", *options, image=self.other), "bad",
                         pss)

    def ways(self):
        """init_module(), which gets bytes and no file."""
        good = attached(self.image, self.message)
        for name, data, verdict, says in (
                ("good", good, "good", LOADS), ("unsigned", self.image, "unsigned", UNSIGNED),
                ("unknown", attached(self.image, self.of("other")), "unknown signer", UNKNOWN),
                ("tampered", flipped(good, text_in(good)), "bad", REJECTED)):
            yield self.row("from memory", name, data, verdict, says, way="memory")

    def block(self):
        group, fault = "information block", MALFORMED.saying(BLOCK_MESSAGE)
        zeros = [("algo", 1), ("hash", 4), ("signer_len", 20), ("key_id_len", 16), ("pad", b"\7\0\0"),
                 ("pad", b"\0\x40\0"), ("pad", b"\0\0\xff")]
        for field, value in zeros:
            data = attached(self.image, self.message, **{field: value})
            yield self.row(group, f"{field} {value}", data, "malformed", fault)
        other = UNSUPPORTED.saying(OTHER_ID).because("another kind of signature is one that it does not know")
        for value in (0, 1, 3, 255):
            data = attached(self.image, self.message, id_type=value)
            yield self.row(group, f"id_type {value}", data, "malformed", other)
        data = attached(self.image, self.message, id_type=1, algo=1)
        yield self.row(group, "id_type 1 and algo 1", data, "malformed", other)

    def sizes(self):
        right, room = len(self.message), len(self.image) + len(self.message)
        whole = room + judge.BLOCK.size + len(judge.MARKER)
        wrong = {"0": 0, "one too many": right + 1, "one too few": right - 1,
                 "all but a byte before the block": room - 1, "all before the block": room,
                 "one more than that": room + 1, "the file's size": whole,
                 "0x7fffffff": 0x7FFFFFFF, "0x80000000": 0x80000000, "0xffffffff": 0xFFFFFFFF}
        for name, size in wrong.items():
            yield self.row("sig_len", name, attached(self.image, self.message, size=size), "malformed", MALFORMED)
        for junk in (b"\0", b"junk junk"):
            yield self.row("sig_len", f"{len(junk)} bytes behind the message not counted",
                           attached(self.image, self.message, junk), "malformed", MALFORMED)
        yield self.row("sig_len", "no message", attached(self.image, b""), "malformed", MALFORMED)

    def structure(self):
        group = "structure of the message"
        for size in (1, 2, 10, len(self.message) // 2, len(self.message) - 1):
            yield self.with_(group, f"cut to {size} bytes" if size < 20 else f"cut by {len(self.message) - size}",
                             self.message[:size], "malformed", MALFORMED)
        yield self.with_(group, "another tag in front", b"\x31" + self.message[1:], "malformed", MALFORMED)

        def version(of, number):
            forged = forge.Message(self.message)
            of(forged)[0].content = bytes([number])
            return forged.der()

        said = INVALID.saying("PKCS7: Unsupported SignedData version")
        yield self.with_(group, "SignedData version 2", version(lambda it: it.signed_data, 2), "malformed", said)
        said = INVALID.saying("PKCS7: Unsupported SignerInfo version")
        yield self.with_(group, "SignerInfo version 2", version(lambda it: it.signers[0], 2), "malformed", said)
        said = MALFORMED.saying("PKCS7: SignedData-SignerInfo version mismatch")
        yield self.with_(group, "SignerInfo version 3", version(lambda it: it.signers[0], 3), "malformed", said)
        forged = forge.Message(self.message)
        forged.signers.clear()
        yield self.with_(group, "no signer", forged.der(), "malformed", MALFORMED)

    def other_content(self):
        group = "content"
        said = INVALID.saying("PKCS7: Only support pkcs7_signedData type")
        for kind, what in forge.not_signed_data(self.image, self.key.pem).items():
            yield self.with_(group, f"not signed data: {kind}", what, "malformed", said)
        said = MALFORMED.saying("PKCS7: Data already supplied", "PKCS#7 signature with non-detached data")
        yield self.with_(group, "attached", self.by_openssl("rsa", *forge.PLAIN, "-nodetach"), "malformed", said)

    def indefinite(self):
        """BER. The kernel's parser takes the end of an AlgorithmIdentifier without parameters for the parameters; they
        are four levels down."""
        parsed = forge.Message(self.message)
        algorithm = MALFORMED.because("it takes the end of an AlgorithmIdentifier of indefinite length for its "
                                      "parameters; verify tells that it is BER")
        for name, which, says in (("outermost", lambda depth: depth == 0, LOADS),
                                  ("three levels", lambda depth: depth < 3, LOADS),
                                  ("four levels", lambda depth: depth < 4, LOADS),
                                  ("six levels", lambda depth: depth < 6, algorithm),
                                  ("only within", lambda depth: 0 < depth < 6, algorithm)):
            yield self.with_("indefinite length", name, parsed.ber(which), "good", says, words=r"\bBER\b|indefinite")

    def image_changed(self):
        group = "image"
        end = section_headers(self.image)
        places = [8, 0x30, *(64 + (end - 64) * part // 6 for part in range(6)), end - 1, len(self.image) - 1]
        for number, where in enumerate(places):
            data = attached(flipped(self.image, where, 1 << number % 8), self.message)
            yield self.row(group, f"bit flipped, place {number}", data, "bad", REJECTED)
        for name, image in (("byte added", self.image + b"\0"), ("byte removed", self.image[:-1])):
            yield self.row(group, name, attached(image, self.message), "bad", REJECTED)
        for key in ("rsa4096", "ec"):
            yield self.with_(group, f"another module's message, {key}", self.of(key, image=self.other), "bad",
                             self.unless_unable(key, "sha256", REJECTED))
        changed = flipped(self.image, text_in(self.image))
        yield self.row(group, "bit flipped, unknown signer", attached(changed, self.of("other")), "unknown signer",
                       UNKNOWN)

    def value_changed(self):
        """In ECDSA's: the SEQUENCE, the first INTEGER, its value, the end of the second one."""
        for key, places in (("rsa", (1, 100, 128, -1)), ("ec", (0, 2, 5, 20, -1))):
            whole = self.of(key)
            for where in places:
                yield self.with_("signature value", f"{key}, bit flipped at {where}",
                                 forge.with_flipped_signature(whole, where), "bad",
                                 self.unless_unable(key, "sha256", REJECTED))

    def markers(self):
        whole = attached(self.image, self.message)
        start = len(whole) - len(judge.MARKER)
        broken = {f"byte {number} flipped": flipped(whole, start + number) for number in (0, 13, 26, 27)}
        broken |= {"never signed": self.image, "without its newline": whole[:-1], "a byte behind it": whole + b"\0",
                   "a newline behind it": whole + b"\n", "missing": whole[:start],
                   "cut off within the message": whole[:start - len(self.message) // 2]}
        for name, data in broken.items():
            yield self.row("marker", name, data, "unsigned", UNSIGNED)

    def no_modules(self):
        group = "no module"
        yield self.row(group, "empty", b"", "no module", INVALID)
        yield self.row(group, "cut off within the image", self.image[: len(self.image) // 2], "no module",
                       UNSIGNED_NO_MODULE)
        yield self.row(group, "a signed text", signed(b"text\n" * 1000, self.key, "sha256", tool=True), "no module",
                       NO_MODULE)

    def vermagic(self):
        """What a module says of the kernel that it was built for: same_magic() of kernel/module/version.c."""
        group, at = "vermagic", self.image.index(b"\0vermagic=") + len(b"\0vermagic=")
        wrong = Says(errno="ENOEXEC").because("it is built for another kernel, which verify does not ask")

        def release(abilities):
            return LOADS if abilities.modversions else wrong

        def mark(abilities):
            return "its symbols' versions decide, and those of the kernel are not in its files" * abilities.modversions

        for name, where, says, more in (("of other options", self.image.index(b" SMP ", at) + 1, wrong, {}),
                                        ("of another release", at, release, {"mark": mark})):
            image = flipped(self.image, where)
            yield self.with_(group, name, self.of("rsa", image=image), "good", says, image=image, **more)

    def revoked(self):
        group = "revoked in dbx"
        says = REJECTED.saying("Module hash N is blacklisted").because("the file is revoked, which verify does not ask")
        yield self.with_(group, "the file", self.of("revoked", digest="sha224"), "good",
                         lambda abilities: says if abilities.files_revoked else LOADS, is_revoked=True)
        by_signer = REJECTED.because("the signer is revoked, which verify does not ask").meaning("revoked")
        yield self.with_(group, "the signer", self.of("revoked"), "good",
                         lambda abilities: by_signer if abilities.signers_revoked else LOADS)
