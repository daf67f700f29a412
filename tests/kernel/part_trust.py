# SPDX-License-Identifier: MIT
"""What `trust` says of kernels, from their files and from inside, beside what they have in their keyrings, enforce,
and load."""
import copy
import dataclasses
import glob
import json
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor

import asking
import guest
import judge
import kernels
import oracle
import predict
import varstore
from asking import Ask
from boot import TOP, Job, dumped
from part_secureboot import sign_kernel
from report import Cell, claim_cells
from signing import make_keys, program, signed

MODULE = "nls_utf8"
OWNER, REVOKED, IN_MOK, IN_MOK_NEW, STRANGER = "rsa", "revoked", "pair", "ec_sha512", "other"
# 6.1 has no ECDSA, and does not take such a certificate.
IN_DB = (OWNER, "rsa3072", "ec", REVOKED)
SIGNERS = (*IN_DB, IN_MOK, IN_MOK_NEW, STRANGER)
LISTS = {"db": IN_DB, "dbx": (REVOKED,), "MOK": (IN_MOK,), "MokNew": (IN_MOK_NEW,)}
ASKED = (".builtin_trusted_keys", ".secondary_trusted_keys", ".machine", ".platform")  # in this order
DIGEST = bytes(range(32))  # in dbx: no file's that is loaded here
HOST, INSIDE = "from its files", "from inside"
# crypto/asymmetric_keys/x509_public_key.c: "SUBJECT: KEY ID: X509.rsa LAST8 []"
KEY = re.compile(r".*: ([0-9a-f]+): X509\.")
NEVER = "never"  # in the place of whatever was said


@dataclasses.dataclass(frozen=True)
class State:
    """How a kernel is started. Secure Boot locks it down, and makes IMA enforce signatures, too."""

    suite: str
    name: str
    enforce: bool = False
    lockdown: bool = False
    secure: bool = False

    def refuses(self):
        return self.enforce or self.lockdown or self.secure

    def locked(self):
        return self.lockdown or self.secure

    def settings(self):
        """As the kernel shows them."""
        return {"sig_enforce": "NY"[self.enforce or self.secure],
                "lockdown": "none [integrity] confidentiality" if self.locked() else "[none] integrity confidentiality"}

    def log(self):
        """What the kernel has said of the last of several modules that a stranger signed."""
        if self.enforce or self.secure:
            return "Loading of module with unavailable key is rejected"
        if self.lockdown:
            return asking.RESTRICTED
        return f"{MODULE}: module verification failed: signature and/or required key missing - tainting kernel"

    def options(self):
        return {"enforce": self.enforce, "words": ["lockdown=integrity"] * self.lockdown}


# Each kernel has its keyrings looked into, and each way to enforce has its turn.
STATES = (State("bookworm", "sig_enforce", enforce=True), State("trixie", "lockdown", lockdown=True),
          State("trixie", "Secure Boot, 6.12", secure=True), State("sid", "Secure Boot", secure=True),
          State("sid", "enforcing nothing"))


def yes_no(answer):
    return "yes" if answer else "no"


def key_id(key):
    """The certificate's, by OpenSSL."""
    status, out, err = judge.run(["openssl", "x509", "-in", key.pem, "-noout", "-ext", "subjectKeyIdentifier"])
    if status:
        raise judge.Fault(f"{key.pem}: {err}")
    return out.decode().splitlines()[-1].strip().replace(":", "").lower()


def no_revocation_list(root):
    """By its config: so what it has in dbx of certificates is for the firmware only."""
    configs = glob.glob(f"{root}/boot/config-*") + glob.glob(f"{root}/lib/modules/*/config")
    return [judge.read(path).count(b"\n# CONFIG_SYSTEM_REVOCATION_LIST is not set\n") for path in configs] == [1]


def kernel_in(text):
    """The one that the JSON is about."""
    found = json.loads(text)["kernels"]
    if len(found) != 1:
        raise judge.Fault(f"{len(found)} kernels, not one")
    return found[0]


def told(status, text, err=""):
    """What `trust --json` says; it has no reason for any warning."""
    if status or err or not text.startswith("{"):
        raise judge.Fault(f"trust: exit status {status}: {err}{text}")
    return kernel_in(text)


def accepted(said, origins):
    return {cert["key_id"] for cert in said["certificates"] if cert["from"] in origins and cert["accepted"] == "yes"}


def members(dump, *names):
    """The key ids in these keyrings; some link others."""
    _, rings, keys = dumped(dump)
    lines = [keys[serial] for name in names for serial in rings.get(name, ())]
    lines = [line for line in lines if line.split()[7] != "keyring"]
    return {KEY.search(line)[1] if KEY.search(line) else line for line in lines}


class Subject:
    def __init__(self, state, keys, ids, folder):
        self.state, self.keys, self.ids = state, keys, ids
        self.folder = os.path.join(folder, state.name)
        self.kernel, self.root = kernels.stock(state.suite), os.path.join(TOP, state.suite, "root")
        self.label = f"trust, {self.kernel.label}, {state.name}"
        self.names = {key: name for name, key in ids.items()}
        self.efivars, self.tree = os.path.join(self.folder, "efivars"), os.path.join(self.folder, "tree")
        varstore.show([*varstore.trusting(**self.trusting()), self.pending()], self.efivars, state.secure)
        self.plain = self.trust()
        self.host = self.trust("--efivars", self.efivars)
        guest.plant(self.kernel, self.root, self.tree)

    def pending(self):
        return varstore.Variable("MokNew", varstore.SHIM, varstore.lists([self.keys[IN_MOK_NEW].der]))

    def trusting(self):
        """db, dbx, MOK, as boot() takes them."""
        listed = {name: [self.keys[key].der for key in keys] for name, keys in LISTS.items()}
        return {"db": listed["db"], "dbx": [*listed["dbx"], DIGEST], "mok": listed["MOK"]}

    def trust(self, *options):
        return told(*program("trust", "--root", self.root, "-k", self.kernel.release, "--json", *options))

    def asks(self):
        """Each module loads if trust accepts its signer, and otherwise has an unknown one."""
        yes = accepted(self.host, set(LISTS))
        image = self.kernel.image(MODULE)
        return [Ask("modules", Job(f"by {name}", "file", signed(image, self.keys[name], "sha256"), MODULE),
                    oracle.LOADS if self.ids[name] in yes else oracle.UNKNOWN,
                    self.state.lockdown, self.state.refuses()) for name in SIGNERS]

    def boot(self):
        asks = self.asks()
        files = guest.Files(self.tree, [one.job for one in asks])
        others = [Job("dump", "dump"), Job("trust", "exec", root="tree", argv=("/kernel-sign", "trust", "--json")),
                  Job("doctor", "exec", root="tree",
                      argv=("/kernel-sign", "doctor", "--json", files.names[f"by {STRANGER}"])),
                  *files.both(self.kernel, "tree")]
        kernel, options = self.kernel, self.trusting() | self.state.options()
        if self.state.secure:
            owner = self.keys[OWNER]
            kernel = sign_kernel(kernel, owner, self.folder)
            # boot() puts the owner into db itself
            options |= {"secure": owner.der, "db": [path for path in options["db"] if path != owner.der]}
        found, answers = asking.ask("trust", self.label, kernel, asks, others, preload=[guest.EFIVARFS],
                                    trees={"tree": self.tree}, variables=[self.pending()], **options)
        answer = answers["trust"]
        inside = told(answer.status, guest.text(answer), "\n".join(answer.errors))
        return found, Evidence(self.plain, self.host, inside, answers["dump"]), files, answers

    def predictions(self, files, answers):
        """{who looks: {job's id: what is told}}"""
        return {INSIDE: files.told(guest.text(answers["status"])), HOST: files.on_host(self.kernel, self.efivars)}

    def guesses(self, found, told):
        for who, these in told.items():
            not_running = predict.NOT_RUNNING if who == HOST and not self.state.secure else ""
            yield predict.of_asks(f"{self.kernel.label}, {self.state.name}, {who}", found, these,
                                  conditional=not_running)

    def deciding_cells(self, told, dump):
        """The certificate by which a module is said to load is its signer's, from a list where that was put, in a
        keyring where it is."""
        for who, these in told.items():
            for name in SIGNERS:
                load = these[f"by {name}"]["load"]
                rings = [ring for ring in ASKED if self.ids[name] in members(dump, ring)]
                origins = [origin for origin in ("db", "MOK") if name in LISTS[origin]]
                expected = (name, origins, rings) if rings else (None, [None], [None])
                cert = load["certificate"]
                found = self.names.get(cert["key_id"], cert) if cert else None, [load["from"]], [load["keyring"]]
                yield Cell(predict.PART, f"{self.kernel.label}, {self.state.name}, {who}", "certificate that decides",
                           f"by {name}", str(expected), str(found))

    def text(self, key_ids):
        return ", ".join(sorted(self.names.get(key, key) for key in key_ids)) or "none"

    def cells(self, evidence):
        for who, said in (("its files alone", evidence.plain), (HOST, evidence.host), (INSIDE, evidence.inside)):
            yield self.cell("compiled in", who, self.text(members(evidence.dump, ".builtin_trusted_keys")),
                            self.text(accepted(said, {"builtin"})))
            yield self.cell("compiled in", f"how many, {who}", len(members(evidence.dump, ".builtin_trusted_keys")),
                            sum(cert["from"] == "builtin" for cert in said["certificates"]))
        for who, said in ((HOST, evidence.host), (INSIDE, evidence.inside)):
            yield from self.list_cells(who, said)
            yield from self.ring_cells(who, said, evidence.dump)
        yield from self.shown_cells(evidence.inside, evidence.dump)
        yield from self.state_cells(evidence)

    def cell(self, group, case, expected, found):
        return Cell("trust", self.label, group, case, str(expected), str(found))

    def list_cells(self, who, said):
        """What was put into each of the lists is told of it; of dbx that this kernel does not look for certificates."""
        expected = [(origin, key, "no" if origin in ("dbx", "MokNew") else None)
                    for origin, keys in LISTS.items() for key in keys]
        found = [(cert["from"], self.text({cert["key_id"]}), cert["refused"]) for cert in said["certificates"]
                 if cert["from"] != "builtin"]
        yield self.cell("lists", who, sorted(expected, key=str), sorted(found, key=str))

    def ring_cells(self, who, said, dump):
        """What is accepted is in a keyring that the kernel asks, and nothing else is there."""
        rings = {"db": members(dump, ".platform"), "MOK": members(dump, ".platform", ".machine")}
        for origin, names in LISTS.items():
            for name in names:
                found = [cert["accepted"] for cert in said["certificates"]
                         if (cert["from"], cert["key_id"]) == (origin, self.ids[name])]
                yield self.cell("keyrings", f"{name} in {origin}, {who}",
                                [yes_no(self.ids[name] in rings.get(origin, ()))], found)
        yield self.cell("keyrings", f"others, {who}", "none", self.text(rings["MOK"] - accepted(said, rings)))
        yield self.cell("keyrings", f"in db and in dbx, {who}", yes_no(no_revocation_list(self.root)),
                        yes_no(self.ids[REVOKED] in accepted(said, {"db"})))

    def shown_cells(self, said, dump):
        """Who asks the kernel itself shows what is in its keyrings: no more, no less, and as expected."""
        for ring in ASKED:
            shown = {key["key_id"] for key in said["certificates"] + said["ring_keys"] if key["keyring"] == ring}
            yield self.cell("keyrings shown", ring, self.text(members(dump, ring)), self.text(shown))
        yield self.cell("keyrings shown", "of the image", "yes", said["keyrings_agree"])
        yield self.cell("keyrings shown", "against the rule, or of unknown origin", [],
                        said["differences"] + said["ring_keys"])

    def state_cells(self, evidence):
        state, facts = self.state, dumped(evidence.dump)[0]
        both = {"kernel": self.kernel.release, "module_sig": "yes", "refused_hashes": 1, "unseen": [],
                "secure_boot": yes_no(state.secure)}
        inside = both | {"running": True, "enforced": yes_no(state.refuses()),
                         "lockdown": "integrity" if state.locked() else "none"}
        # A kernel that is not running could be started with sig_enforce.
        host = both | {"running": False, "enforced": "yes" if state.secure else "unknown", "lockdown": None}
        for who, said, wanted in (("the kernel", facts, state.settings()), (INSIDE, evidence.inside, inside),
                                  (HOST, evidence.host, host)):
            for name, value in wanted.items():
                yield self.cell("state", f"{name} {who}", value, said.get(name))


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What trust says of the kernel's files (PLAIN), of them and variables (HOST), in the guest (INSIDE); what that
    has in its keyrings, and enforces (DUMP)."""

    plain: dict
    host: dict
    inside: dict
    dump: object


def wrong_certificates(certs):
    for number, cert in enumerate(certs):
        rest = certs[:number] + certs[number + 1 :]
        yield f"without {cert['subject']}", rest
        yield f"another key id of {cert['subject']}", [*rest, cert | {"key_id": "00"}]
        yield f"{cert['subject']} from elsewhere", [*rest, cert | {"from": NEVER}]
        other = "no" if cert["accepted"] == "yes" else "yes"
        yield f"{cert['subject']} accepted: {other}", [*rest, cert | {"accepted": other}]
        yield f"{cert['subject']} unknown", [*rest, cert | {"accepted": "unknown", "refused": "unknown"}]


def wrong_evidence(evidence):
    for who in ("plain", "host", "inside"):
        said = getattr(evidence, who)
        yield from ((f"{who}: {what}", dataclasses.replace(evidence, **{who: said | {"certificates": certs}}))
                    for what, certs in wrong_certificates(copy.deepcopy(said["certificates"])))
        if who != "plain":
            yield from ((f"{who}: {name}", dataclasses.replace(evidence, **{who: said | {name: NEVER}}))
                        for name in ("kernel", "running", "module_sig", "enforced", "secure_boot", "lockdown",
                                     "refused_hashes", "unseen"))
    inside = evidence.inside
    for name, wrong in (("keyrings_agree", "no"), ("differences", [NEVER]),
                        ("ring_keys", [{"key_id": NEVER, "keyring": ASKED[0]}])):
        yield f"inside: {name}", dataclasses.replace(evidence, inside=inside | {name: wrong})
    for number, cert in enumerate(inside["certificates"]):
        certs = [*inside["certificates"][:number], cert | {"keyring": NEVER}, *inside["certificates"][number + 1 :]]
        if cert["keyring"] in ASKED:
            yield f"inside: {cert['subject']} in another keyring", dataclasses.replace(
                evidence, inside=inside | {"certificates": certs})
    for line in evidence.dump.output:
        if line.startswith(("member .builtin_trusted_keys", "member .platform", "member .machine", "sig_enforce ",
                            "lockdown ")):
            rest = tuple(other for other in evidence.dump.output if other != line)
            yield f"dump without {line}", dataclasses.replace(
                evidence, dump=dataclasses.replace(evidence.dump, output=rest))


def doubt(subject, evidence):
    """What goes through of wrong evidence: some cell has to disagree, or to disagree in another way."""
    def disagreeing(given):
        return [cell for cell in subject.cells(given) if not cell.agrees]

    right, tries = disagreeing(evidence), list(wrong_evidence(evidence))
    faults = [f"went through: {what}" for what, wrong in tries if disagreeing(wrong) == right]
    return faults + ([] if len(tries) > 100 else [f"no more than {len(tries)} to doubt"])


def judge_doctor(subject, status, said):
    """Faults in what doctor made of the stranger's module: the kernel's words, the prediction, the way out. Where
    nothing is enforced there is nothing to be done."""
    refuses = subject.state.refuses()
    load = said["modules"][0]["load"]
    found = {"exit status": status, "log": subject.state.log() in [line["text"] for line in said["log"]],
             "unread": said["log_unread"], "cause": load["cause"], "verdict": load["verdict"],
             "key": said["key"]["key"], "enforced": said["enforced"], "steps": [step_of(step) for step in said["steps"]]}
    steps = ["openssl", f"kernel-sign sign {said['modules'][0]['path']}",
             "kernel-sign enroll" if subject.state.secure else None]
    wanted = {"exit status": 0, "log": True, "unread": None, "cause": oracle.UNKNOWN.lack, "key": None,
              "verdict": "refused when enforced" if refuses else "taints", "enforced": yes_no(refuses),
              "steps": steps if refuses else []}
    return [f"{name} is {found[name]!r}, not {value!r}" for name, value in wanted.items() if found[name] != value]


def step_of(step):
    """What a step is about; None for words only."""
    command = step["command"]
    return command and ("openssl" if "openssl" in command else command)


def doubt_doctor(subject, status, said):
    """What goes through of a doctor who is wrong."""
    module, other = said["modules"][0], {"command": NEVER, "why": NEVER}
    tries = {"no log": said | {"log": []}, "unread log": said | {"log_unread": "why"},
             "another enforcement": said | {"enforced": NEVER}, "another key": said | {"key": {"key": "key"}},
             "a step more": said | {"steps": [*said["steps"], other]},
             "other steps": said | {"steps": [other, *said["steps"][1:]]},
             "another cause": said | {"modules": [module | {"load": module["load"] | {"cause": None}}]},
             "another verdict": said | {"modules": [module | {"load": module["load"] | {"verdict": "loads"}}]}}
    right = judge_doctor(subject, status, said)
    return [f"went through: {what}" for what, wrong in tries.items() if judge_doctor(subject, status, wrong) == right]


def claim_doctor(tap, subject, answer):
    said = json.loads(guest.text(answer))
    tap.claim(f"{subject.label}: doctor finds the cause, and the way out", judge_doctor(subject, answer.status, said))
    tap.claim(f"{subject.label}: doctor: doubt: wrong answers are found", doubt_doctor(subject, answer.status, said))


def doubt_deciding(subject, told, dump):
    """What goes through of certificates that are others'."""
    wrong = {"certificate": {"key_id": "00"}, "from": NEVER, "keyring": NEVER}
    for who in told:
        for name in SIGNERS:
            for field, value in wrong.items():
                changed = copy.deepcopy(told)
                changed[who][f"by {name}"]["load"][field] = value
                if all(cell.agrees for cell in subject.deciding_cells(changed, dump)):
                    yield f"went through: {who}, by {name}: another {field}"


def claim_deciding(tap, report, subject, told, dump):
    cells = list(subject.deciding_cells(told, dump))
    for cell in cells:
        report.add(cell)
    claim_cells(tap, f"predict, {subject.label}", cells)
    tap.claim(f"predict, {subject.label}: doubt: other certificates are found",
              list(doubt_deciding(subject, told, dump)))


def check(tap, report):
    with tempfile.TemporaryDirectory(prefix="trust.") as folder:
        keys = make_keys(os.path.join(folder, "keys"), ((), ("more",)))
        ids = {name: key_id(keys[name]) for name in SIGNERS}
        subjects = [Subject(state, keys, ids, folder) for state in STATES]
        with ThreadPoolExecutor(2) as pool:
            boots = list(pool.map(Subject.boot, subjects))
        for subject, (found, evidence, files, answers) in zip(subjects, boots):
            cells = [*subject.cells(evidence), *(cell for _, cell, _ in found)]
            for cell in cells:
                report.add(cell)
            claim_cells(tap, subject.label, cells)
            tap.claim(f"{subject.label}: doubt: wrong answers are found",
                      asking.doubt(found) + doubt(subject, evidence))
            told = subject.predictions(files, answers)
            for guesses in subject.guesses(found, told):
                predict.claim(tap, report, guesses)
            claim_deciding(tap, report, subject, told, evidence.dump)
            claim_doctor(tap, subject, answers["doctor"])
            tap.claim(f"{subject.label}: status and verify predict the same", files.judge_both(answers))
