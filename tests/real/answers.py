# SPDX-License-Identifier: MIT
"""What verify and status say of one module, in each of their forms, against what they have to say."""
import dataclasses
import json
import re

import judge
from common import PROGRAM

EXIT = {"good": 0, "bad": 1, "malformed": 1, "unknown signer": 2, "unsigned": 3, "unsupported": 4}
NOT_CHECKED = 4
FIELDS = ("verdict", "fault", "error", "path", "container", "kernel_reads_container", "file_size", "content_size",
          "image_size", "signature_size", "vermagic", "intree", "signers", "libkmod")
SIGNER_FIELDS = ("verdict", "name", "issuer", "serial", "key_id", "hash", "algorithm", "signed_attributes",
                 "certificate")


def call(*arguments):
    """(exit status, standard output, standard error) of the program; one that hangs does not end well."""
    status, out, err = judge.run(["timeout", "120", PROGRAM, *arguments])
    return status, out.decode(errors="replace"), err


@dataclasses.dataclass
class Case:
    """A module and what is true of it."""

    name: str
    data: bytes
    verdict: str
    words: tuple = ()  # patterns for what has to be told in words, beside the verdict
    facts: dict = dataclasses.field(default_factory=dict)  # fields of the JSON
    signers: tuple = ()  # the same of each signer
    certs: tuple = ()
    # Do all its signatures hold by OpenSSL's command line? None where that cannot be asked.
    holds: bool | None = None


@dataclasses.dataclass
class Answers:
    """(exit status, standard output, standard error) of each form"""

    verify: tuple
    quiet: tuple
    verify_json: tuple
    status_json: tuple
    status: tuple

    @classmethod
    def about(cls, path, certs):
        options = [option for cert in certs for option in ("--cert", cert)]
        return cls(
            call("verify", *options, path),
            call("verify", "--quiet", *options, path),
            call("verify", "--json", *options, path),
            call("status", "--json", *options, path),
            call("status", *options, path),
        )


def modules_of(answer):
    """The modules in an answer in JSON, or None."""
    try:
        return json.loads(answer[1])["modules"]
    except (ValueError, KeyError, TypeError):
        return None


def only_module(what, answer, faults):
    modules = modules_of(answer)
    if modules is None or len(modules) != 1:
        faults.append(f"{what}: not JSON of one module: {answer[1]!r}")
        return {}
    lacking = [f"{what}: lacks {name}" for name in FIELDS if name not in modules[0]]
    lacking += [f"{what}: a signer lacks {name}" for signer in modules[0].get("signers", [])
                for name in SIGNER_FIELDS if name not in signer]
    faults += lacking
    return {} if lacking else modules[0]


def missing_words(what, words, text):
    return [f"{what}: {text!r} lacks {word!r}" for word in words if not re.search(word, text, re.I)]


def same(expected, found):
    """A pattern stands for what it matches, a dictionary for those that have at least the same in them."""
    if isinstance(expected, re.Pattern):
        return isinstance(found, str) and bool(expected.search(found))
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(name in found and same(value, found[name]) for name, value in expected.items())
    return expected == found


def differences(what, expected, found):
    return [f"{what}: {name} is {found.get(name, 'missing')!r}, not {value!r}"
            for name, value in expected.items() if name not in found or not same(value, found[name])]


def judge_libkmod(module):
    """What libkmod reports is what we say of one of the signers, where it can tell: it knows none by key
    id, and one of several."""
    shown = module["libkmod"]
    named = [signer for signer in module["signers"] if signer["serial"]]
    if not named or not shown["signer"]:
        return []
    for signer in named:
        serial = signer["serial"].zfill(len(signer["serial"]) + len(signer["serial"]) % 2)
        serial = ":".join(re.findall("..", serial)).upper()
        ours = {"signer": signer["name"], "sig_key": serial, "sig_hashalgo": signer["hash"]}
        faults = differences("libkmod", ours | {"sig_id": "PKCS#7"}, shown)
        if not faults:
            return []
    return faults


def judge_json(case, module):
    faults = differences("verify --json", {"verdict": case.verdict, "error": None} | case.facts, module)
    fault = module.get("fault")
    if case.verdict in ("malformed", "unsupported"):
        faults += missing_words("verify --json: fault", case.words, str(fault))
    elif fault is not None:
        faults.append(f"verify --json: {case.verdict}, yet the fault {fault!r}")
    signers = module.get("signers", [])
    if len(signers) != len(case.signers):
        faults.append(f"verify --json: {len(signers)} signers, not {len(case.signers)}")
    for number, (expected, found) in enumerate(zip(case.signers, signers), 1):
        faults += differences(f"verify --json: signer {number}", expected, found)
    return faults


def told_values(module):
    """Everything in the JSON that the long form has to tell as well."""
    names = ("verdict", "fault", "container", "kernel_reads_container", "file_size", "content_size", "image_size",
             "signature_size", "vermagic")
    yield from (module[name] for name in names)
    for signer in module["signers"]:
        yield from (signer[name] for name in ("verdict", "issuer", "serial", "key_id", "hash", "algorithm"))
        cert = signer["certificate"] or {}
        yield from (cert.get(name) for name in ("subject", "key_id", "not_before", "not_after", "usage"))
    yield from module["libkmod"].values()


def judge_long(case, module, text):
    """The long form of status, beside the JSON."""
    faults = missing_words("status", case.words, text)
    verdicts = re.findall(r"^  verdict +([^:\n]*)", text, re.M)
    if verdicts != [case.verdict]:
        faults.append(f"status: not the verdict {case.verdict!r}: {text!r}")
    return faults + [f"status: does not tell {value!r}, as the JSON does" for value in told_values(module)
                     if value is not None and not re.search(rf"(?<!\w){re.escape(str(value))}(?!\w)", text)]


def judge_verify(case, path, text):
    lines = text.splitlines()
    if len(lines) != 1:
        return [f"verify: {len(lines)} lines: {text!r}"]
    faults = missing_words("verify", case.words, text)
    if not re.match(rf"{re.escape(path)}: {case.verdict}([:;,]|$)", lines[0]):
        faults.append(f"verify: not the verdict {case.verdict!r}: {text!r}")
    return faults


def is_warning(case, path, text):
    """What cannot be checked may be warned of: in one line that says what is the matter."""
    return (case.verdict in ("malformed", "unsupported") and len(text.splitlines()) == 1 and path in text
            and not missing_words("", case.words, text))


def judge_answers(case, path, answers):
    """Does every form say of this case, at PATH, what has to be said?"""
    faults = []
    for name in ("verify", "quiet", "verify_json"):
        if getattr(answers, name)[0] != EXIT[case.verdict]:
            faults.append(f"{name}: exit status {getattr(answers, name)[0]}, not {EXIT[case.verdict]}")
    for name in ("status", "status_json"):
        if getattr(answers, name)[0]:
            faults.append(f"{name}: exit status {getattr(answers, name)[0]}")
    faults += [f"{name}: complains: {answer[2]}" for name, answer in vars(answers).items()
               if answer[2] and not is_warning(case, path, answer[2])]
    if answers.quiet[1]:
        faults.append(f"verify --quiet: {answers.quiet[1]!r}")
    faults += judge_verify(case, path, answers.verify[1])
    verified = only_module("verify --json", answers.verify_json, faults)
    seen = only_module("status --json", answers.status_json, faults)
    if not verified or not seen:
        return faults
    faults += judge_json(case, verified) + differences("status --json beside verify's", verified, seen)
    if seen["path"] != path:
        faults.append(f"status --json: path {seen['path']!r}")
    try:
        return faults + judge_long(case, verified, answers.status[1]) + judge_libkmod(verified)
    except (AttributeError, KeyError, TypeError) as error:  # a field that is not what it should be
        return [*faults, f"JSON of another shape: {error}"]
