# SPDX-License-Identifier: MIT
"""What verify and status say of every kind of signature: of all modules that Debian signed, by the
certificate in their own kernel; and of those in cases.py. Called by check.py."""
import glob
import itertools
import json
import os
import random
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import forge
import judge
import vmlinuz
from answers import EXIT, NOT_CHECKED, Answers, call, judge_answers, judge_libkmod, modules_of
from cases import Cases, x509
from common import KEYS, MAKE_KEYS, PROGRAM, TOP, WORK, Outcome, all_faults, cert, cost
from containers import KERNELS_TAKE_IT, PACKERS, containers, packed, write
from doubt import doubt_answers

FOLDER = os.path.join(WORK, "verify")
KEY_OF_SUITE = {"bookworm": ("rsa", "sha256"), "trixie": ("ec", "sha384")}
DIGESTS = {"rsa": ("sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512"),
           "ec": ("sha1", "sha224", "sha256", "sha384", "sha512")}  # with sha3 from OpenSSL 3.2 on
OTHER_KEYS = (("p256", "sha256"), ("ec", "sha384"), ("p521", "sha512"), ("rsa", "sha256"), ("rsa4096", "sha512"))
READERS = {"bookworm": "", "trixie": ".xz"}  # the container that their kernels read themselves, if any
WORST_FIRST = (1, 4, 2, 3, 0)  # verify's exit status
UNREADABLE = {"no-module.ko", "cut.ko.xz", "missing.ko"}
SAMPLE = 50  # modules that are shown to programs of others, which take their time


def make_keys(*arguments):
    subprocess.run([MAKE_KEYS, KEYS, *arguments], check=True, capture_output=True)


class Stock:
    """A kernel's package, as it comes, below a root of its own."""

    def __init__(self, suite):
        self.suite = suite
        self.kernel = judge.read(os.path.join(TOP, suite, "kernel")).decode().strip()
        self.name = f"{suite} {self.kernel}"
        self.root = os.path.join(FOLDER, suite, "root")
        package = os.path.join(TOP, suite, f"linux-image-{self.kernel}.deb")
        os.makedirs(self.root)
        subprocess.run(["dpkg-deb", "-x", package, self.root], check=True)
        self.all = sorted(glob.glob(os.path.join(glob.escape(self.root), "**/*.ko*"), recursive=True))
        rng = random.Random(self.kernel)
        self.sample = rng.sample(self.all, min(SAMPLE, len(self.all)))
        self.certs = self.certificates()

    def certificates(self):
        """Of the kernel's image, each in a file; and all of them in one."""
        image = judge.read(os.path.join(self.root, "boot/vmlinuz-" + self.kernel))
        found = vmlinuz.certificates(image)
        self.bundle = write(os.path.join(FOLDER, self.suite, "all.pem"), b"".join(found))
        return [write(os.path.join(FOLDER, self.suite, f"{number}.pem"), pem) for number, pem in enumerate(found)]

    def inside(self, path):
        return path.removeprefix(self.root)

    def options(self, *certs):
        return ["-k", self.kernel, "--root", self.root, *(option for path in certs for option in ("--cert", path))]

    def smallest(self, count):
        """The images of the smallest modules, without Debian's signatures."""
        return [judge.split(judge.content(path))[0] for path in sorted(self.all, key=os.path.getsize)[:count]]


# Debian's own modules

def the_certificate(stock):
    """The one that all of the sample are signed by, says OpenSSL; or None."""

    def holds(arguments):
        path, certificate = arguments
        image, messages = judge.split(judge.content(path))
        return len(messages) == 1 and not judge.judge_cms(image, messages[0], certificate)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for certificate in stock.certs:
            if all(pool.map(holds, [(path, certificate) for path in stock.sample])):
                return certificate
    return None


def judge_all_modules(stock, answer, verdict, of_signer):
    """One answer in JSON over the whole tree: every module, with this verdict and signer."""
    status, _, err = answer
    modules = modules_of(answer) or []
    expected = {stock.inside(path) for path in stock.all}
    faults = [] if status == EXIT[verdict] else [f"exit status {status}: {err}"]
    faults += [] if len(modules) == len(expected) else [f"{len(modules)} modules of {len(expected)}"]
    faults += [f"{path}: only on one side" for path in sorted(expected ^ {module["path"] for module in modules})]
    for module in modules:
        signer = module["signers"][0] if len(module["signers"]) == 1 else {}
        certificate = signer.get("certificate") or {}
        told = {name: certificate.get(name) for name in of_signer}
        if module["verdict"] != verdict or module["error"] or told != of_signer:
            faults.append(f"{module['path']}: {module['verdict']} {told} {module['error']}")
    return faults


def judge_all_lines(stock, outcome, verdict):
    """The same as text: a line for each, and the sum."""
    found = set(re.findall(rf"^(/.*?): {verdict}\b", outcome.output, re.M))
    expected = {stock.inside(path) for path in stock.all}
    last = (outcome.output.splitlines() or [""])[-1]
    good = len(expected) if verdict == "good" else 0
    return (outcome.faults(EXIT[verdict])
            + [f"{path}: only on one side" for path in sorted(found ^ expected)]
            + ([] if re.search(rf"\b{good} of {len(expected)}\b", last) else [f"the last line is {last!r}"]))


def judge_modinfo_fields(stock, modules):
    """What modinfo itself shows, of a sample; unpacked, for a kmod that lacks the container."""
    by_path = {module["path"]: module for module in modules}

    def faults(path):
        with tempfile.TemporaryDirectory() as scratch:
            plain = write(os.path.join(scratch, "module.ko"), judge.content(path))
            _, out, err = judge.run(["modinfo", plain])
        shown = dict(re.findall(r"^(\w+): +(.*)$", out.decode(), re.M))
        ours = by_path[stock.inside(path)]
        theirs = {name: shown.get(name) for name in ("sig_id", "signer", "sig_key", "sig_hashalgo")}
        same = (ours["libkmod"] == theirs and (ours["vermagic"] or "").strip() == shown["vermagic"].strip()
                and ours["intree"] == (shown.get("intree") == "Y"))
        return [] if same else [f"{path}: {theirs}, not {ours['libkmod']} {err}"]

    return all_faults(faults, stock.sample)


def check_stock(tap, stock, strangers):
    """STRANGERS: certificates that are no kernel's, or another one's."""
    name, verify = stock.name, ["verify", "--all"]
    certificate = the_certificate(stock)
    tap.claim(f"{name}: one certificate in its vmlinuz is that of {len(stock.sample)} modules, says OpenSSL",
              [] if certificate else [f"{len(stock.certs)} certificates, none that fits"])
    if not certificate:
        return
    known = x509(certificate)
    outcome = Outcome(PROGRAM, *verify, *stock.options(stock.bundle))
    cost(stock, "verify --all", outcome)
    tap.claim(f"{name}: verify --all: each of {len(stock.all)} modules is good by it",
              judge_all_lines(stock, outcome, "good") + ([] if len(stock.all) > 500 else ["too few"]))
    json_options = [*verify, "--json"]
    verified = call(*json_options, *stock.options(certificate))
    tap.claim(f"{name}: verify --all --json: all good, by {known['subject']}",
              judge_all_modules(stock, verified, "good", known))
    for what, stranger in strangers.items():
        tap.claim(f"{name}: verify --all with {what}: all unknown signer",
                  judge_all_modules(stock, call(*json_options, *stock.options(stranger)), "unknown signer",
                                    {"subject": None}))
    twin = "twin_" + stock.suite
    make_keys("twin", certificate, twin)
    tap.claim(f"{name}: verify --all with another key's certificate of the same name and number: all bad",
              judge_all_modules(stock, call(*json_options, *stock.options(cert(twin))), "bad", x509(cert(twin))))
    status = call("status", "--all", "--json", *stock.options(certificate))
    modules = modules_of(status) or []
    tap.claim(f"{name}: status --all --json: the same as verify's",
              [] if status[0] == 0 and modules and modules == modules_of(verified)
              else [f"exit status {status[0]}, {len(modules)} modules"])
    tap.claim(f"{name}: status --all --json: libkmod's signer, key and digest of each are ours",
              [f"{module['path']}: {fault}" for module in modules
               for fault in judge_libkmod(module) or ([] if module["libkmod"]["signer"] else ["libkmod shows none"])]
              + ([] if len(modules) == len(stock.all) else [f"{len(modules)} modules"]))
    tap.claim(f"{name}: status --all --json: modinfo shows the same of {len(stock.sample)}",
              judge_modinfo_fields(stock, modules))


# Every kind of signature

def groups(cases):
    """{claim: its cases}"""
    rsa = cases.kind == "rsa"
    name = cases.name
    found = {
        "as sign-file signs": cases.as_sign_file(),
        "a byte of the image flipped": cases.image_flips(),
        "a byte of the signature flipped": cases.signature_flips(),
        "no marker, or not quite": cases.no_markers(),
        "the signature of another module": cases.of_another_module(),
        "unknown signer": cases.by_unknown(),
        "signatures piled up": cases.piled_up(),
        "two signers, the first unknown": cases.two_signers("other", name, "good", [name]),
        "two signers, the second unknown": cases.two_signers(name, "other", "good", [name]),
        "two signers, both good": cases.two_signers("other", name, "good", [name, "other"]),
        "two signers, both bad": cases.two_signers(name, "other", "bad", [name, "other"], bad=(name, "other")),
        "two signers, one bad, one unknown": cases.two_signers(name, "other", "bad", [name], bad=(name,)),
        "two signers, one unknown, one bad": cases.two_signers("other", name, "bad", [name], bad=(name,)),
        "two signers, both unknown": cases.two_signers("other", name, "unknown signer", ["ca"]),
        "certificates embedded": cases.embedded(),
        "signed attributes": cases.signed_attributes(),
        "signer by key id": cases.by_key_id(),
        "PKCS#7 that is no SignedData": cases.no_signed_data(),
        "content attached": cases.attached_content(),
        "BER of indefinite length": cases.indefinite(),
        "junk between message and block": cases.junk(),
        "trailing bytes behind the message": cases.trailing(),
        "empty message": cases.empty_message(),
        "message cut short": cases.truncated(),
        "two certificates of one name and number": cases.twins(),
        "certificates in each form": cases.cert_forms(),
        "certificates out of date or for other use": cases.unjudged(),
        "a digest that nobody knows": cases.unknown_digest(),
    }
    found |= {f"byte {number} of the information block, {field}": [case]
              for number, (field, case) in enumerate(cases.block_flips())}
    found |= {f"sig_len {what}": [case] for what, case in cases.wrong_sizes()}
    found |= {f"digest {digest}": cases.by_digest(digest) for digest in DIGESTS[cases.kind]}
    found |= {f"key {other}": cases.by_key(other, digest) for other, digest in OTHER_KEYS}
    return found | ({"RSA-PSS": cases.rsa_pss()} if rsa else {})


def outermost(data):
    """(image, message) of the outermost signature"""
    end = len(data) - len(judge.MARKER) - judge.BLOCK.size
    size = judge.BLOCK.unpack_from(data, end)[-1]
    return data[: end - size], data[end - size : end]


def judge_fixture(case, everyone):
    """Is the case what it is said to be? OpenSSL, with everybody's certificate, has to find the same."""
    if case.holds is None:
        return []
    holds = not judge.judge_cms(*outermost(case.data), everyone)
    return [] if holds == case.holds else [f"the fixture is wrong: it {'holds' if holds else 'does not hold'}"]


def ask_in_container(case, path, suffix):
    kind, command = PACKERS[suffix]
    write(path, packed(case.data, *command) if command else case.data)
    case.facts |= {"container": kind, "content_size": len(case.data), "file_size": os.path.getsize(path)}
    answers = Answers.about(path, case.certs)
    return [f"{case.name or case.verdict}{suffix}: {fault}" for fault in judge_answers(case, path, answers)], answers


def numbered(claims):
    cases = [(claim, case) for claim, group in claims.items() for case in group]
    return [(claim, number, case) for number, (claim, case) in enumerate(cases)]


def check_cases(tap, suite, cases, everyone):
    """Each plain and in one of the containers, which take turns."""
    folder = os.path.join(FOLDER, suite, "cases")
    os.mkdir(folder)
    claims = groups(cases)
    suffixes = itertools.cycle([suffix for suffix in PACKERS if suffix])
    work = [(claim, case, number, next(suffixes)) for claim, number, case in numbered(claims)]

    def faults(item):
        _, case, number, suffix = item
        path = os.path.join(folder, f"{number:03}.ko")
        plain, _ = ask_in_container(case, path, "")
        container, _ = ask_in_container(case, path + suffix, suffix)
        return judge_fixture(case, everyone) + plain + container

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(faults, work))
    for claim, group in claims.items():
        verdicts = ", ".join(dict.fromkeys(case.verdict for case in group))
        tap.claim(f"{suite} {cases.name}: {claim}: {verdicts}",
                  [fault for (name, *_), faults_of in zip(work, found) if name == claim for fault in faults_of])


def check_header_flips(tap, suite, cases):
    """Where it may have become no module at all, it must at least not be good."""
    folder = os.path.join(FOLDER, suite, "headers")
    os.mkdir(folder)
    modules = cases.header_flips()
    for where, data in modules.items():
        write(os.path.join(folder, f"{where}.ko"), data)
    answer = call("verify", "--json", "--cert", cert(cases.name), "--dir", folder)
    found = modules_of(answer) or []
    faults = [f"{module['path']}: {module['verdict']}" for module in found if module["verdict"] not in ("bad", None)]
    faults += [] if len(found) == len(modules) else [f"{len(found)} of {len(modules)}"]
    faults += [] if any(module["verdict"] == "bad" for module in found) else ["none is bad"]
    tap.claim(f"{suite} {cases.name}: a byte of the ELF headers flipped: bad, or not a module",
              faults + ([] if answer[0] == EXIT["bad"] else [f"exit status {answer[0]}"]))


def check_doubt(tap, cases):
    """Before the answers are believed: wrong ones are seen."""
    folder = os.path.join(FOLDER, "doubt")
    os.makedirs(folder)
    faults = []
    for case, *_ in (cases.as_sign_file(), cases.by_unknown(), cases.trailing(), cases.truncated(),
                     cases.unknown_digest(), cases.signed_attributes(),
                     cases.two_signers("other", cases.name, "good", [cases.name])):
        path = os.path.join(folder, "module.ko")
        found, answers = ask_in_container(case, path, "")
        faults += found + doubt_answers(case, path, answers)
    wrong = cases.as_sign_file()[0]
    wrong.data = forge.flipped(wrong.data, 100)
    if not judge_fixture(wrong, cert(cases.name)):
        faults.append("went through: a fixture that is not what it is said to be")
    tap.claim("the judge sees wrong answers of verify and status", faults)


# Exit status

def kinds_of_files(cases):
    """{name: (what it contains, verify's exit status for it)}"""
    whole = forge.attached(cases.image, cases.message)
    return {
        "good.ko": (whole, 0),
        "bad.ko": (forge.flipped(whole, 100), 1),
        "malformed.ko": (forge.attached(cases.image, cases.message, size=0), 1),
        "unknown.ko": (cases.by_unknown()[0].data, 2),
        "unsigned.ko": (cases.image, 3),
        "unsupported.ko": (cases.unknown_digest()[0].data, NOT_CHECKED),
        "no-module.ko": (b"#!/bin/sh\n" + whole, NOT_CHECKED),
        "cut.ko.xz": (packed(whole, *PACKERS[".xz"][1])[:-9], NOT_CHECKED),
        "missing.ko": (None, NOT_CHECKED),
    }


def combinations(kinds, is_other):
    """Few of them in both orders, and nearly all; in two lists, the second of those that are other."""
    every = [names for size in range(1, len(kinds) + 1) for names in itertools.combinations(kinds, size)]
    few = [names for names in every if len(names) <= 3]
    chosen = few + [names[::-1] for names in few if len(names) > 1]
    chosen += [names for names in every if len(names) > 6]
    return [names for names in chosen if not is_other(names)], [names for names in chosen if is_other(names)]


def check_exit_status(tap, cases):
    folder = os.path.join(FOLDER, "exit")
    os.mkdir(folder)
    kinds = kinds_of_files(cases)
    for name, (data, _) in kinds.items():
        if data is not None:
            write(os.path.join(folder, name), data)

    def faults(names):
        found = {kinds[name][1] for name in names}
        expected = next(status for status in WORST_FIRST if status in found)
        paths = [os.path.join(folder, name) for name in names]
        told = call("verify", "--cert", cert(cases.name), *paths)
        quiet = call("verify", "-q", "--cert", cert(cases.name), *paths)
        faults = [f"exit status {answer[0]}, not {expected}: {answer[2]}" for answer in (told, quiet)
                  if answer[0] != expected]
        faults += [f"-q prints {quiet[1]!r}"] if quiet[1] else []
        faults += [f"-q complains of {quiet[2]!r}"] if quiet[2] and not UNREADABLE & set(names) else []
        faults += [f"no word of {name}" for name in names if name not in told[1] + told[2]]
        return [f"{' '.join(names)}: {fault}" for fault in faults]

    there, missing = combinations(kinds, lambda names: "missing.ko" in names)
    tap.claim(f"verify: the exit status of several files is the worst, by 1 4 2 3 0, in {len(there)} combinations",
              all_faults(faults, there))
    tap.claim(f"verify: the same where one of the files is not there, in {len(missing)} combinations",
              all_faults(faults, missing))
    check_unreadable(tap, cases, folder, sorted(kinds))
    check_usage(tap, os.path.join(folder, "good.ko"))


def check_unreadable(tap, cases, folder, names):
    """What could not be read stands in the JSON, too, and spoils nothing."""
    paths = [os.path.join(folder, name) for name in names if name != "missing.ko"]
    answer = call("verify", "--json", "--cert", cert(cases.name), *paths)
    modules = modules_of(answer) or []
    verdicts = {os.path.basename(module["path"]): (module["verdict"], bool(module["error"])) for module in modules}
    expected = {"good.ko": ("good", False), "bad.ko": ("bad", False), "malformed.ko": ("malformed", False),
                "unknown.ko": ("unknown signer", False), "unsigned.ko": ("unsigned", False),
                "unsupported.ko": ("unsupported", False), "no-module.ko": (None, True), "cut.ko.xz": (None, True)}
    tap.claim("verify --json: all kinds at once, those that cannot be read with their error",
              ([] if verdicts == expected else [f"{verdicts}"])
              + ([] if answer[0] == 1 else [f"exit status {answer[0]}"]))


def check_usage(tap, good):
    """Not 1: that means bad. Standard output is empty, or JSON where that is asked for."""
    folder = os.path.join(FOLDER, "none")
    os.mkdir(folder)
    no_cert = write(os.path.join(FOLDER, "none.pem"), b"no certificate\n")
    common = ["--cert", cert("rsa")]
    nowhere = os.path.join(folder, "none")
    lines = {
        "an unknown option": ["--nonsense", good],
        "an argument missing": [good, "--cert"],
        "no number": ["--jobs", "some", good],
        "a directory and a module": ["--dir", folder, good],
        "all and a module": ["--all", good],
        "no such certificate": ["--cert", nowhere, good],
        "no certificate in the file": ["--cert", no_cert, good],
        "no certificate in the directory": ["--cert", folder, good],
        "no such kernel": [*common, "-k", "0.0.0-none"],
        "no such kernel for a file": [*common, "-k", "0.0.0-none", good],
        "no such file": [*common, nowhere + ".ko"],
        "no such directory": [*common, "--dir", nowhere],
        "a directory without modules": [*common, "--dir", folder],
        "a directory for a module": [*common, folder + "/"],
    }
    faults = []
    for what, arguments in lines.items():
        for option in ([], ["--json"], ["-q"]):
            status, out, err = call("verify", *option, *arguments)
            if status != NOT_CHECKED:
                faults.append(f"{what} {option}: exit status {status}: {err}")
            if not err:
                faults.append(f"{what} {option}: no word of why")
            if out and not is_json(out, option):
                faults.append(f"{what} {option}: prints {out!r}")
    tap.claim(f"verify: exits 4 for each of {len(lines)} wrong usages and things that are not there", faults)


def is_json(text, option):
    try:
        json.loads(text)
    except ValueError:
        return False
    return option == ["--json"]


# Containers

def reader_kernel(root, version, config):
    """A kernel by its config alone, in a root that has the containers."""
    folder = os.path.join(root, "lib/modules", version)
    os.makedirs(folder, exist_ok=True)
    if config is not None:
        write(os.path.join(folder, "config"), "".join(f"{line}\n" for line in config).encode())
    return version


def judge_reader(name, found, objection, format_read):
    """FORMAT_READ is the suffix of the one format that this kernel reads, '' for none, None if unknown."""
    faults = []
    told, answer = found.get("container_objection"), str(found.get("kernel_reads_container"))
    if found.get("verdict") != "good":
        faults.append(f"{name}: {found.get('verdict')} {found.get('error')}")
    if not told if objection else told:
        faults.append(f"{name}: container_objection is {told!r}")
    if objection and told and not re.search(objection, told, re.I):
        faults.append(f"{name}: container_objection {told!r} lacks {objection!r}")
    suffix = os.path.splitext(name)[1]
    refused = objection and name not in KERNELS_TAKE_IT
    expected = ("yes" if suffix == ".ko" else "no" if refused else "unknown" if format_read is None
                else "no" if suffix != format_read else "yes")
    if not re.match(rf"{expected}\b", answer):
        faults.append(f"{name}: kernel_reads_container is {answer!r}, not {expected!r}")
    if expected == "no" and refused and suffix == format_read and not re.search(objection, answer, re.I):
        faults.append(f"{name}: kernel_reads_container {answer!r} does not say why")
    return faults


def check_containers(tap, stocks, cases):
    """Which kernel's own reader can read them: Debian's two, and those of other configs."""
    root = os.path.join(FOLDER, "containers")
    data = forge.attached(cases.image, cases.message)
    files = containers(data)
    os.mkdir(root)
    modules = ["CONFIG_MODULES=y"]
    reads = [*modules, "CONFIG_MODULE_DECOMPRESS=y"]
    leaves = [*modules, "CONFIG_MODULE_COMPRESS_ZSTD=y", "# CONFIG_MODULE_DECOMPRESS is not set"]
    kernels = [(stock.name, stock.root, stock.kernel, READERS[stock.suite]) for stock in stocks]
    kernels += [(what, root, reader_kernel(root, version, config), suffix) for what, version, config, suffix in (
        ("a kernel that reads zstd", "9.1-zstd", [*reads, "CONFIG_MODULE_COMPRESS_ZSTD=y"], ".zst"),
        ("a kernel that reads gzip", "9.2-gzip", [*reads, "CONFIG_MODULE_COMPRESS_GZIP=y"], ".gz"),
        ("a kernel that reads xz", "9.3-xz", [*reads, "CONFIG_MODULE_COMPRESS_XZ=y", "CONFIG_XZ_DEC_X86=y"], ".xz"),
        ("a kernel that leaves it to kmod", "9.4-none", leaves, ""),
        ("a kernel without config", "9.5-unknown", None, None))]
    for folder in {kernel_root for _, kernel_root, _, _ in kernels}:
        os.mkdir(os.path.join(folder, "containers"))
        for name, (content, _) in files.items():
            write(os.path.join(folder, "containers", name), content)
    for what, kernel_root, version, suffix in kernels:
        check_reader(tap, what, ["-k", version, "--root", kernel_root, "--cert", cert(cases.name)], files, suffix)


def check_reader(tap, what, options, files, suffix):
    answer = call("status", "--json", *options, "--dir", "/containers")
    found = {os.path.basename(module["path"]): module for module in modules_of(answer) or []}

    def long_form(name):
        _, text, _ = call("status", *options, "/containers/" + name)
        said = f"read by the kernel itself: {found.get(name, {}).get('kernel_reads_container')}"
        return [] if said in text else [f"{name}: status does not say {said!r}: {text!r}"]

    faults = [fault for name, (_, objection) in files.items()
              for fault in judge_reader(name, found.get(name, {}), objection, suffix)]
    tap.claim(f"{what}: which of {len(files)} containers its own reader can read",
              faults + all_faults(long_form, list(files))
              + ([] if answer[0] == 0 else [f"exit status {answer[0]}: {answer[2]}"]))


def check(tap, suites):
    os.mkdir(FOLDER)
    make_keys("odd")
    everyone = write(os.path.join(FOLDER, "everyone.pem"), b"".join(
        judge.read(cert(name)) for name in ("rsa", "ec", "other", "rsa4096", "p256", "p521", "ca", "expired")))
    stocks = [Stock(suite) for suite in suites]
    by_suite = {}
    for stock in stocks:
        image, other = stock.smallest(2)
        by_suite[stock.suite] = Cases(image, other, *KEY_OF_SUITE[stock.suite], os.path.join(FOLDER, stock.suite))
    first = by_suite[suites[0]]
    check_doubt(tap, first)
    for stock in stocks:
        others = [other for other in stocks if other is not stock]
        check_stock(tap, stock, {"a stranger's certificate": cert("other")}
                    | {f"the certificate of {other.name}": other.bundle for other in others})
        check_cases(tap, stock.suite, by_suite[stock.suite], everyone)
        check_header_flips(tap, stock.suite, by_suite[stock.suite])
    check_exit_status(tap, first)
    check_containers(tap, stocks, first)
