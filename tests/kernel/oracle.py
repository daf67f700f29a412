# SPDX-License-Identifier: MIT
"""What a kernel does with a module, said before it is asked. The reasons are those of kernel/module/signing.c,
certs/system_keyring.c and crypto/asymmetric_keys/pkcs7_*.c."""
import dataclasses
import re

from report import Cell

EXIT = {"good": 0, "bad": 1, "malformed": 1, "unknown signer": 2, "unsigned": 3, "unsupported": 4,
        "no module": 4}
# Of all that a kernel says, what is about signatures. Not: "module verification failed", which comes once in a boot,
# and numbers that have no name in its list (PKCS7: Unknown OID).
ANSWER = re.compile(r"^(PKCS7: (?!Unknown OID)|PKCS#7 |X\.509|PKEY|ASN\.1|module: |Module hash |Loading of|"
                    "Unsupported )")
NUMBER = re.compile("(?<=Unsupported digest algo: )[0-9]+|(?<=Unsupported pkey algo: )[0-9]+|"
                    "(?<=Module hash )[0-9a-f]{64}")
TAINT = "E"  # TAINT_UNSIGNED_MODULE


@dataclasses.dataclass(frozen=True)
class Says:
    """LACK is what stops a module from loading only in a kernel that enforces signatures, ERRNO stops it in any.
    WHY is the reason where verify, by its nature, says something else. CAUSE is the one that neither errno nor
    messages tell."""

    lack: str = ""
    errno: str = ""
    messages: tuple = ()
    why: str = ""
    cause: str = ""

    def saying(self, *messages):
        return dataclasses.replace(self, messages=messages)

    def because(self, why):
        return dataclasses.replace(self, why=why)

    def meaning(self, cause):
        return dataclasses.replace(self, cause=cause)

    def kind(self):
        return self.lack, self.errno

    def text(self, enforce):
        if self.lack and enforce:
            return described("EKEYREJECTED", [*self.messages, f"Loading of {self.lack} is rejected"], "")
        return described(self.errno, self.messages, TAINT if self.lack and not self.errno else "")


def described(errno, messages, taint):
    """The answer in a line."""
    answer = errno or ("loads, tainted " + taint if taint else "loads")
    return "; ".join([answer, *messages])


def answered(answer):
    messages = [NUMBER.sub("N", message) for message in answer.messages if ANSWER.search(message)]
    return described(answer.errno, messages, answer.taint)


LOADS = Says()
UNSIGNED = Says(lack="unsigned module")
UNKNOWN = Says(lack="module with unavailable key")
UNSUPPORTED = Says(lack="module with unsupported crypto")
REJECTED = Says(errno="EKEYREJECTED")
MALFORMED = Says(errno="EBADMSG")
INVALID = Says(errno="EINVAL")
TOO_LONG = Says(errno="EMSGSIZE")
# The signature comes first, then the question whether this is a module at all.
NO_MODULE = Says(errno="ENOEXEC")
UNSIGNED_NO_MODULE = Says(lack="unsigned module", errno="ENOEXEC")

# What a kernel says where verify says this, unless there is a reason.
ALIKE = {"good": [LOADS], "bad": [REJECTED], "malformed": [MALFORMED, INVALID, TOO_LONG],
         "unknown signer": [UNKNOWN], "unsigned": [UNSIGNED], "unsupported": [UNSUPPORTED],
         "no module": [INVALID, NO_MODULE, UNSIGNED_NO_MODULE]}


def checked(row, says):
    """SAYS, if it needs no reason or has one."""
    if (says.kind() in [alike.kind() for alike in ALIKE[row.verdict]]) == bool(says.why):
        raise ValueError(f"{row.group}, {row.name}: verify says {row.verdict}, kernel {says}")
    return says


def beside(verify, verify_exit, status, kernel):
    return f"verify: {verify}, exit {verify_exit}; status: {status}; kernel: {kernel}"


def compared(part, kernel, row, says, enforce, verdicts, answer):
    """The cell: VERDICTS are what verify said, its exit status, and what status said."""
    expected = beside(row.verdict, EXIT[row.verdict], row.verdict, says.text(enforce))
    return Cell(part, kernel, row.group, row.name, expected, beside(*verdicts, answered(answer)), says.why)


def can_check(abilities, key, digest):
    """What a kernel with these abilities says to a good signature by KEY, whose certificate it was given."""
    if digest not in abilities.named:
        return UNSUPPORTED.saying("Unsupported digest algo: N").because(f"{digest} has no number in its parser")
    if digest not in abilities.digests:
        return UNSUPPORTED.because(f"it has no {digest}, or not loaded it")
    if key.curve and key.curve not in abilities.curves:
        # A certificate signs itself: what cannot be checked is left out of the keyring ...
        if key.digest in abilities.digests:
            return UNKNOWN.because("it has no ECDSA, and so did not take the certificate")
        # ... unless its digest is missing, too. Then that is not even tried.
        return REJECTED.because("it has no ECDSA, and took the certificate unseen")
    return LOADS
