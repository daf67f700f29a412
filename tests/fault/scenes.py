# SPDX-License-Identifier: MIT
"""What is tried: for each scene a tree of files, a command line, and a judge who tells from the tree
afterwards whether anything was lost. Fixtures come from the compiler and openssl, never from
kernel-sign."""
import base64
import functools
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import stat
import subprocess

import containers
import forge
import judge

PROGRAM = os.environ["KERNEL_SIGN"]
V = "6.1.0-test"
TEMPORARY = ".kernel-sign-"
SIGNER = {"subject", "key_id", "serial"}  # fields in a log, and those of each kind of line
FIELDS = {"begin": {"time", "event", "pid", "user", "command"}}
FIELDS["end"] = FIELDS["begin"] | {"result", "status", "error"}
FIELDS["module"] = FIELDS["begin"] | {"kernel", "root", "path", "result", "error", "digest", "hash", "signers"}
PATH_DIGITS = 32  # of a request's name
KERNEL = f"root/lib/modules/{V}"
SYMBOL = "CONFIG_SYSTEM_TRUSTED_KEYS"
PAIR = ("signing_key.pem", "signing_prv.pem", "signing_crt.crt", "khash", "ktype")
MODULE_SOURCE = """
#define ENTRY __attribute__((used, section(".modinfo"), aligned(1)))
static const char ENTRY license[] = "license=GPL";
static const char ENTRY vermagic[] = "vermagic=%s SMP preempt mod_unload ";
int answer(void) { return %d; }
"""


# Trees of files: {path: ("f", mode, bytes, attributes) or ("d", mode) or ("l", target)}

def attributes(path):
    try:
        return tuple((name, os.getxattr(path, name)) for name in sorted(os.listxattr(path)))
    except OSError:
        return ()


def snapshot(top):
    """Everything below TOP."""
    state, todo = {}, [""]
    while todo:
        above = todo.pop()
        with os.scandir(os.path.join(top, above)) as entries:
            for entry in entries:
                path = os.path.join(above, entry.name)
                info = entry.stat(follow_symlinks=False)
                if entry.is_symlink():
                    state[path] = ("l", os.readlink(entry.path))
                elif entry.is_dir():
                    state[path] = ("d", stat.S_IMODE(info.st_mode))
                    todo.append(path)
                else:
                    state[path] = ("f", stat.S_IMODE(info.st_mode), judge.read(entry.path),
                                   attributes(entry.path))
    return state


def put(top, path, what):
    where = os.path.join(top, path)
    if what[0] == "l":
        os.symlink(what[1], where)
    elif what[0] == "d":
        os.mkdir(where)
        os.chmod(where, what[1])
    else:
        with open(where, "wb") as file:
            file.write(what[2])
        os.chmod(where, what[1])
        for name, value in what[3]:
            os.setxattr(where, name, value)


def restore(top, wanted, found):
    """Makes TOP, in which FOUND is, what WANTED says."""
    differing = {path for path in {*wanted, *found} if wanted.get(path) != found.get(path)}
    for path in sorted(differing & set(found), reverse=True):
        if found[path][0] == "d" and wanted.get(path, "?")[0] != "d":
            os.rmdir(os.path.join(top, path))
        elif found[path][0] != "d":
            os.unlink(os.path.join(top, path))
    for path in sorted(differing & set(wanted)):
        if wanted[path][0] == "d" and path in found:
            os.chmod(os.path.join(top, path), wanted[path][1])
        else:
            put(top, path, wanted[path])


def file(data, mode=0o644, attrs=()):
    return ("f", mode, data, attrs)


def with_directories(files):
    state = dict(files)
    for path in files:
        while "/" in path:
            path = path.rpartition("/")[0]
            state.setdefault(path, ("d", 0o755))
    return state


@functools.lru_cache(maxsize=4096)
def content_of(path, data):
    """A module's bytes without its compression; None where it is broken."""
    try:
        if path.endswith(".xz"):
            return lzma.decompress(data)
        if path.endswith(".gz"):
            return gzip.decompress(data)
        if path.endswith(".zst"):
            return containers.packed(data, "zstd", "-qdc")
    except (judge.Fault, lzma.LZMAError, OSError, EOFError):
        return None
    return data


def same(path, found, wanted):
    """Whether an entry is the other; a module may be compressed otherwise."""
    if found == wanted:
        return True
    if not found or not wanted or found[0] != "f" or wanted[0] != "f" or ".ko" not in path:
        return False
    content = content_of(path, found[2])
    return (found[1], found[3]) == (wanted[1], wanted[3]) and content is not None and content == content_of(
        path, wanted[2])


def left_overs(state):
    return [f"{path}: left over" for path in state if TEMPORARY in path]


# Fixtures, once a run

class Fixtures:
    def __init__(self, directory):
        self.dir = directory
        subprocess.run(["bash", os.path.join(os.path.dirname(judge.__file__), "keys"), self.path("keys")],
                       check=True, capture_output=True)
        self.key = {name: (self.path(f"keys/{name}.key"), self.path(f"keys/{name}.pem"))
                    for name in ("rsa", "ec", "other")}
        self.image = [self.compiled(number) for number in range(3)]

    def path(self, name):
        return os.path.join(self.dir, name)

    def compiled(self, number):
        source, out = self.path("module.c"), self.path("module.o")
        with open(source, "w", encoding="ascii") as text:
            text.write(MODULE_SOURCE % (V, number))
        subprocess.run([*os.environ.get("CC", "cc").split(), "-O2", "-c", "-o", out, source], check=True)
        return judge.read(out)

    def signed(self, image, key_name):
        """As the kernel's tool would have signed it."""
        return forge.attached(image, forge.cms(image, self.key[key_name], "sha256", *forge.PLAIN))

    def pair(self, name, hash_name="sha512", kind="rsa"):
        """The files of a key directory."""
        key, cert = (judge.read(path) for path in self.key[name])
        der = forge.openssl(cert, "x509", "-outform", "DER")
        return {"signing_key.pem": file(key + cert, 0o600), "signing_prv.pem": file(key, 0o600),
                "signing_crt.crt": file(der), "khash": file(f"{hash_name}\n".encode()),
                "ktype": file(f"{kind}\n".encode())}


def below(directory, files):
    return {f"{directory}/{name}": what for name, what in files.items()}


def packed(data, suffix):
    command = containers.PACKERS[suffix][1]
    return containers.packed(data, *command) if command else data


# Scenes

class Scene:
    """NAME, the COMMAND that it counts for, ARGV (without the program), the tree at first."""

    failure = 1  # the exit status that says so

    def __init__(self, name, command, argv, tree, modes=0, program=PROGRAM):
        self.name, self.command, self.argv, self.modes = name, command, [program, *argv], modes
        self.tree = with_directories(tree)
        self.final = None  # the tree after a run without faults; set by rehearse()
        self.proof = lambda top, state: []  # independent of kernel-sign: is that the right outcome?

    def faults(self, state, done):
        """What is wrong with a tree: each file old or new; if DONE, all of it new."""
        faults = []
        for path in {*self.tree, *self.final, *state}:
            if TEMPORARY in path:
                continue
            found = state.get(path)
            if same(path, found, self.final.get(path)):
                continue
            if not same(path, found, self.tree.get(path)):
                faults.append(f"{path}: neither old nor new, lost")
            elif done:
                faults.append(f"{path}: still old")
        return faults

    def rehearse(self, top, state):
        self.final = state
        return [] if state != self.tree else ["nothing was done"]


def sign_scene(fixtures, name, suffix, options=(), modes=0, count=3):
    """A module without a signature, one with somebody else's, one in a link's target, or the first COUNT of
    these; all out of tree."""
    first, second, third = fixtures.image
    label = (("user.test", b"kept"),) if attributes_work(fixtures.dir) else ()
    modules = {
        "extra/one": first,
        "extra/two": fixtures.signed(second, "other"),
        "updates/three": fixtures.signed(third, "ec"),
    }
    modules = dict(list(modules.items())[:count])
    tree = {f"{KERNEL}/{path}.ko{suffix}": file(packed(data, suffix), 0o640 if "one" in path else 0o644, label)
            for path, data in modules.items()}
    tree[f"{KERNEL}/modules.order"] = file(b"")
    key, cert = fixtures.key["rsa"]
    scene = Scene(name, "sign", ["sign", "--root", "root", "-k", V, "-j1", "--key", key, "--cert", cert,
                                 "--hash", "sha256", *options], tree, modes)

    def proof(top, state):
        faults = []
        for (path, data), image in zip(modules.items(), fixtures.image):
            where = os.path.join(top, f"{KERNEL}/{path}.ko{suffix}")
            if "--stack" not in options:
                faults += judge.judge_signed(where, cert, judge.digest(image))
        return faults

    scene.proof = proof
    return scene


def two_keys_scene(fixtures):
    """One message by two keys."""
    scene = sign_scene(fixtures, "sign-two-keys", ".xz", count=1)
    key, cert = fixtures.key["other"]
    scene.argv += ["--key", key, "--cert", cert]
    both = fixtures.path("both.pem")
    with open(both, "wb") as out:
        out.write(judge.read(fixtures.key["rsa"][1]) + judge.read(cert))

    def proof(top, state):
        faults = []
        for path in (path for path in scene.tree if path.endswith(".ko.xz")):
            data = judge.content(os.path.join(top, path))
            image, (message, *_) = judge.split(data)
            faults += judge.judge_cms(image, message, both)
            faults += [f"{path}: not two signers"] * (len(forge.Message(message).signers) != 2)
        return faults

    scene.proof = proof
    return scene


def request_name(path):
    return f"{os.path.basename(path).partition('.')[0]}-{hashlib.sha256(path.encode()).hexdigest()[:PATH_DIGITS]}"


def exported(fixtures, path, image):
    """The request for the module at PATH, as a service gets it."""
    der = forge.openssl(judge.read(fixtures.key["rsa"][1]), "x509", "-outform", "DER")
    request = {"format": "kernel-sign request", "version": 1, "kernel": V, "path": path,
               "path_hex": path.encode().hex(), "hash": "sha256", "digest": judge.digest(image),
               "image_size": len(image), "stack": False, "certificate": base64.b64encode(der).decode()}
    return file(json.dumps(request).encode())


def export_scene(fixtures):
    """Requests in a directory that is made for them; the modules stay as they are."""
    # A power loss may leave more trees of three modules than can be looked at.
    scene = sign_scene(fixtures, "sign-export", ".xz", count=2)
    at = scene.argv.index("--key")
    del scene.argv[at:at + 2]
    scene.argv += ["--export", "out"]
    images = dict(zip(sorted(path for path in scene.tree if path.endswith(".ko.xz")), fixtures.image))
    plain = scene.faults

    def faults(state, done):
        return plain(state, done) + [f"{path}: changed, lost" for path in images
                                     if state.get(path) != scene.tree[path]]

    def proof(top, state):
        wrong = [] if state.get("out") == ("d", 0o700) else ["out: not made as it has to be"]
        for path, image in images.items():
            name = f"out/{request_name(path.removeprefix('root'))}"
            request = json.loads(state.get(f"{name}.json", ("f", 0, b"{}"))[2])
            digest = state.get(f"{name}.digest", ("f", 0, b""))[2].hex()
            if digest != judge.digest(image) or digest != request.get("digest"):
                wrong.append(f"{path}: not the digest of its image")
        return wrong

    scene.faults, scene.proof = faults, proof
    return scene


def attach_scene(fixtures):
    """Requests that came back, with bare signatures and, where both are there, with messages that go before."""
    scene = sign_scene(fixtures, "sign-attach", ".xz", count=2)
    scene.reads_json = True
    for option in ("--key", "--cert", "--hash"):
        at = scene.argv.index(option)
        del scene.argv[at:at + 2]
    cert = fixtures.key["rsa"][1]
    scene.argv += ["--cert", cert, "--attach", "back"]
    paths = sorted(path for path in scene.tree if path.endswith(".ko.xz"))
    for number, (path, image) in enumerate(zip(paths, fixtures.image)):
        inside = path.removeprefix("root")
        name = f"back/{request_name(inside)}"
        scene.tree[f"{name}.json"] = exported(fixtures, inside, image)
        scene.tree[f"{name}.sig"] = file(forge.openssl(image, "pkeyutl", "-sign", "-rawin", "-digest", "sha256",
                                                       "-inkey", fixtures.key["rsa"][0]))
        if number:
            scene.tree[f"{name}.p7s"] = file(forge.cms(image, fixtures.key["rsa"], "sha256", *forge.PLAIN))
    scene.tree = with_directories(scene.tree)
    return scene


def log_lines(data):
    """(the runs of a log, each a list of its lines as objects; what is wrong with it)"""
    runs, faults = [], []
    for number, line in enumerate(data.split(b"\n")[:-1]):
        try:
            entry = json.loads(line)
        except ValueError:
            runs.append([])  # half of a line, behind which only another run may write
            continue
        if not FIELDS.get(entry.get("event"), {"event"}) <= set(entry) or not all(set(s) == SIGNER for s in entry.get("signers", [])):
            faults.append(f"log/LOG: line {number} is not whole, lost")
        if entry.get("event") == "begin":
            runs.append([])
        elif not runs or not runs[-1]:
            faults.append(f"log/LOG: line {number} is behind half a line, lost")
            runs.append([])
        runs[-1].append(entry)
    return [run for run in runs if run], faults


def log_scene(fixtures):
    """A log that is made. It is never twice the same, so it is judged by what is said in it."""
    scene = sign_scene(fixtures, "sign-log", ".xz", count=2)
    scene.argv += ["--log", "log/LOG"]
    scene.tree = with_directories({**scene.tree, "log/other": file(b"")})
    plain, log = scene.faults, "log/LOG"

    def without(state):
        return {path: what for path, what in state.items() if path != log}

    def faults(state, done):
        runs, found = log_lines(state.get(log, ("f", 0o600, b""))[2])
        if log in state and state[log][1] != 0o600:
            found.append("log/LOG: others may read it")
        changed = {path.removeprefix("root") for path in scene.tree if path.endswith(".ko.xz")
                   and state.get(path) != scene.tree[path]}
        said = {entry.get("path") for run in runs for entry in run if entry.get("result") == "signed"}
        whole = [run for run in runs if run[-1].get("event") == "end"]
        if changed and not runs:
            found.append("log/LOG: a module is signed, and the log does not say that a run has begun, lost")
        # A run without its end was killed: it may have signed what it says nothing of.
        if len(whole) == len(runs):
            found += [f"log/LOG: nothing of {path}, lost" for path in changed - said]
        if done and not (runs and runs[-1][-1].get("status") == 0):
            found.append("log/LOG: its end is not there, lost")
        return plain(without(state), done) + found

    def rehearse(top, state):
        scene.final = without(state)
        return [] if log in state and scene.final != scene.tree else ["nothing was done"]

    scene.faults, scene.rehearse = faults, rehearse
    return scene


def attributes_work(directory):
    probe = os.path.join(directory, "probe")
    try:
        with open(probe, "wb"):
            os.setxattr(probe, "user.test", b"1")
        return True
    except OSError:
        return False


def dkms_copy_scene(fixtures):
    """A module that DKMS installed: its own copy is signed along."""
    scene = sign_scene(fixtures, "sign-dkms", ".xz")
    module = file(packed(fixtures.image[0], ".xz"))
    copies = f"root/var/lib/dkms/thing/1/{V}/x86_64/module"
    scene.tree = with_directories({
        f"{KERNEL}/updates/dkms/thing.ko.xz": module, f"{KERNEL}/modules.order": file(b""),
        f"{copies}/thing.ko.xz": module, "root/usr/src/thing-1/dkms.conf": file(b""),
        "root/var/lib/dkms/thing/1/source": ("l", "../../../../../usr/src/thing-1"),
        f"root/var/lib/dkms/thing/kernel-{V}-x86_64": ("l", f"1/{V}/x86_64")})
    cert = fixtures.key["rsa"][1]
    scene.proof = lambda top, state: [
        fault for path in (f"{KERNEL}/updates/dkms", copies)
        for fault in judge.judge_signed(os.path.join(top, path, "thing.ko.xz"), cert,
                                        judge.digest(fixtures.image[0]))]
    return scene


def initramfs_of(files):
    """A cpio archive in newc, as the kernel's buffer-format.rst has it."""
    out = b""
    for path, data in [*files.items(), ("TRAILER!!!", b"")]:
        name = path.encode() + b"\0"
        numbers = [1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        for part in (b"070701" + b"".join(b"%08X" % number for number in numbers) + name, data):
            out += part + bytes(-len(part) % 4)
    return gzip.compress(out, mtime=0)


def initramfs_scene(fixtures):
    """Old copies in the initramfs are looked for once the modules are signed."""
    scene = sign_scene(fixtures, "sign-initramfs", ".gz")
    copies = {path.removeprefix("root/"): what[2] for path, what in scene.tree.items() if path.endswith(".ko.gz")}
    scene.tree = with_directories({**scene.tree, f"root/boot/initrd.img-{V}": file(initramfs_of(copies), 0o600)})
    return scene


def unsign_scene(fixtures, name, suffix, modes=0):
    first, second, third = fixtures.image
    tree = {
        f"{KERNEL}/extra/one.ko{suffix}": file(packed(fixtures.signed(first, "rsa"), suffix)),
        f"{KERNEL}/extra/two.ko{suffix}": file(
            packed(fixtures.signed(fixtures.signed(second, "other"), "rsa"), suffix)),
        f"{KERNEL}/updates/three.ko{suffix}": file(packed(third, suffix)),
        f"{KERNEL}/modules.order": file(b"")}
    scene = Scene(name, "unsign", ["unsign", "--root", "root", "-k", V, "-j1"], tree, modes)
    scene.proof = lambda top, state: [
        fault for path, image in zip(("extra/one", "extra/two", "updates/three"), fixtures.image)
        for fault in judge.judge_unsigned(os.path.join(top, f"{KERNEL}/{path}.ko{suffix}"), judge.digest(image))]
    return scene


class VerifyScene(Scene):
    """Good signatures: what fails is said, and never that they were anything else."""

    failure = 4

    def __init__(self, fixtures):
        first, second, _ = fixtures.image
        certs = [word for name in ("other", "rsa", "ec") for word in ("--cert", fixtures.key[name][1])]
        super().__init__("verify", "verify", ["verify", "-j1", *certs, "one.ko", "two.ko.zst"], {
            "one.ko": file(fixtures.signed(first, "rsa")),
            "two.ko.zst": file(packed(fixtures.signed(second, "ec"), ".zst"))})

    def rehearse(self, top, state):
        self.final = state
        return [] if state == self.tree else ["something was changed"]


def sign_file_scene(fixtures, name, dest, old=False, modes=0):
    key, cert = fixtures.key["rsa"]
    link = fixtures.path("sign-file")
    if not os.path.lexists(link):
        os.symlink(PROGRAM, link)
    tree = {"d/module.ko": file(fixtures.signed(fixtures.image[0], "other"))}
    if old:
        tree["e/dest.ko"] = file(fixtures.image[1], 0o600)
    elif dest:
        tree["e/other"] = file(b"")
    scene = Scene(name, "sign-file", ["sha256", key, cert, "d/module.ko", *(["e/dest.ko"] if dest else [])],
                  tree, modes, link)
    scene.proof = lambda top, state: judge.judge_signed(
        os.path.join(top, "e/dest.ko" if dest else "d/module.ko"), cert, judge.digest(fixtures.image[0]))
    return scene


def dkms_scene(modes=0):
    tree = {"root/etc/dkms/framework.conf": file(b"")}
    for package in ("one", "two"):
        tree[f"root/usr/src/{package}-1/dkms.conf"] = file(b"")
        tree[f"root/var/lib/dkms/{package}/1/source"] = ("l", f"../../../../../usr/src/{package}-1")
    scene = Scene("dkms-enable", "dkms enable", ["dkms", "enable", "--root", "root", "--all"], tree, modes)
    plain = scene.faults

    def faults(state, done):
        found = plain(state, done)
        hooks = ("kernel-sign.conf", "kernel-sign.sh")
        if any(what[0] == "l" and what[1] == hooks[0] for what in state.values()):
            found += [f"{hook}: a link is there, this is not" for hook in hooks
                      if f"root/etc/dkms/{hook}" not in state]
        return found

    scene.faults = faults
    return scene


def pair_faults(state, directory, what):
    """A key directory is whole: private key and certificate belong together, in all its files."""
    files = {name: state.get(f"{directory}/{name}") for name in PAIR}
    missing = [name for name, entry in files.items() if not entry or entry[0] != "f"]
    if missing:
        return [f"{directory}: {what} without {', '.join(missing)}"]
    both, private, der = (files[name][2] for name in PAIR[:3])
    faults = []
    if not both.startswith(private) or not private.rstrip().endswith(b"-----END PRIVATE KEY-----"):
        faults.append("the private keys differ")
    if pem_bytes(both[len(private):], b"CERTIFICATE") != der:
        faults.append("the certificates differ")
    # A public point of P-384 stands at the end of an EC key and in the certificate.
    elif files["ktype"][2] == b"ecdsa\n" and pem_bytes(private, b"PRIVATE KEY")[-96:] not in der:
        faults.append("key and certificate are no pair")
    if not files["khash"][2].endswith(b"\n"):
        faults.append("khash is cut")
    if files["signing_key.pem"][1] != 0o600 or files["signing_prv.pem"][1] != 0o600:
        faults.append("others may read the private key")
    return [f"{directory}: {what}: {fault}" for fault in faults]


def pem_bytes(text, kind):
    found = re.fullmatch(rb"-----BEGIN %s-----\n([A-Za-z0-9+/=\n]+)-----END %s-----\n" % (kind, kind), text)
    return base64.b64decode(found[1]) if found else b""


class GenkeysScene(Scene):
    """STORE's keys and the config that names them. The names of new keys are those of the minute."""

    def __init__(self, name, tree, argv, modes=0, keeps=False, prunes=(), grace=""):
        super().__init__(name, "genkeys", ["genkeys", "--config", "k/config", "--keys", "k/certs-local",
                                           *argv], tree, modes)
        self.keeps = keeps  # certificates of others that the config named before, or of a key that signs on
        self.grace = grace  # the name of that key
        self.prunes = prunes  # old keys that go in the end

    def rehearse(self, top, state):
        self.final = state
        return [] if self.new_keys(state) else ["no key was made"]

    def new_keys(self, state):
        return [path for path in state if re.fullmatch(r"k/certs-local/\d{8}-\d{4}(-\d+)?", path)
                and path not in self.tree]

    def config_faults(self, state, current):
        """(faults, whether the config names a new key)"""
        found = state.get("k/config")
        if found == self.tree["k/config"]:
            return [], False
        named = re.search(rb'^%s="(.*)"$' % SYMBOL.encode(), found[2] if found else b"", re.M)
        if not named:
            return ["k/config: neither old nor new, lost"], False
        old = re.sub(rb'^%s=.*$' % SYMBOL.encode(), b"", self.tree["k/config"][2], flags=re.M)
        if re.sub(rb'^%s=.*$' % SYMBOL.encode(), b"", found[2], flags=re.M) != old:
            return ["k/config: another line changed, lost"], False
        directory, _, name = named[1].decode().rpartition("/")
        directory = directory[directory.index("k/certs-local"):]
        bundle = state.get(f"{directory}/{name}")
        wanted = "trusted_keys.pem" if self.keeps else "signing_key.pem"
        if name != wanted or not bundle or not bundle[2].endswith(b"-----END CERTIFICATE-----\n"):
            return [f"k/config: names {directory}/{name}, which is not there or not whole, lost"], False
        return pair_faults(state, directory, "named by the config"), directory == current

    def old_faults(self, state, done):
        """Old keys are whole; those that are to go may be gone, but not in part."""
        gone = [path for path in self.prunes if path not in state]
        faults = [f"{path}: lost" for path, what in self.tree.items()
                  if path not in ("k/config", "k/certs-local/current") and state.get(path) != what
                  and not any((path + "/").startswith(key + "/") for key in gone)]
        return faults + [f"{path}: still there" for path in self.prunes if done and path in state]

    def grace_faults(self, state, directory):
        """What is complete says which key signs on: nobody may find the one without the other."""
        found = state.get(f"{directory}/previous", ("f", 0, b""))[2]
        wanted = rb"%s \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n" % self.grace.encode() if self.grace else b""
        return [] if re.fullmatch(wanted, found) else [f"{directory}/previous: {found}, lost"]

    def faults(self, state, done):
        faults = self.old_faults(state, done)
        new, current = self.new_keys(state), None
        for directory in new:
            faults += pair_faults(state, directory, "a new key") + self.grace_faults(state, directory)
        link = state.get("k/certs-local/current")
        if link and link[0] == "l":
            current = f"k/certs-local/{link[1]}"
            faults += pair_faults(state, current, "current")
        elif "k/certs-local/current" in self.tree:
            faults.append("current: lost")
        more, renewed = self.config_faults(state, current)
        faults += more
        if done and not (len(new) == 1 and current == new[0] and renewed):
            faults.append(f"not all is new: current {current}, new keys {new}")
        return faults

    def orphans(self, state):
        link = state.get("k/certs-local/current", ("l", ""))
        return [f"{path}: a new key that nothing leads to, left over" for path in self.new_keys(state)
                if path != f"k/certs-local/{link[1]}"]


def genkeys_scenes(fixtures, modes=0):
    config = (b"CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_KEY_TYPE_ECDSA=y\n"
              b'CONFIG_MODULE_SIG_HASH="sha512"\nCONFIG_SYSTEM_TRUSTED_KEYRING=y\n' + SYMBOL.encode() +
              b'=""\n# CONFIG_END is not set\n')
    old = below("k/certs-local/20200101-0000", fixtures.pair("rsa"))
    yield GenkeysScene("genkeys-first", {"k/config": file(config)}, [], modes)
    rotated = {"k/config": file(config), **old, "k/certs-local/current": ("l", "20200101-0000")}
    yield GenkeysScene("genkeys-rotate", rotated, [], modes)
    older = [f"k/certs-local/{year}0101-0000" for year in (2018, 2019)]
    files = {path: what for key in older for path, what in below(key, fixtures.pair("rsa")).items()}
    yield GenkeysScene("genkeys-prune", {**rotated, **files}, ["--prune", "2"], modes, prunes=older)
    yield GenkeysScene("genkeys-grace", rotated, ["--keep-previous", "30d"], modes, keeps=True,
                       grace="20200101-0000")
    others = config.replace(b'""', b'"others.pem"')
    yield GenkeysScene("genkeys-keep", {**rotated, "k/config": file(others),
                                        "k/others.pem": file(judge.read(fixtures.key["other"][1]))}, [],
                       modes, keeps=True)


class InstallScene(Scene):
    def __init__(self, name, tree, argv, modes=0):
        super().__init__(name, "install-certs", ["install-certs", "--keys", "store", *argv, "pkg/certs-local"],
                         tree, modes)

    def faults(self, state, done):
        faults = super().faults(state, done)
        link = state.get("pkg/certs-local/current")
        if link and link[0] == "l":
            wanted = [path for path in {*self.final, *self.tree} if
                      path.startswith(f"pkg/certs-local/{link[1]}/") and path in self.final]
            faults += [f"{path}: current leads to a directory without it, lost" for path in wanted
                       if path not in state]
            if f"pkg/certs-local/{link[1]}" not in state:
                faults.append("current leads nowhere, lost")
        return faults


def install_scenes(fixtures, modes=0):
    name = "20200101-0000"
    store = {**below(f"store/{name}", fixtures.pair("rsa")), "store/current": ("l", name),
             "pkg/other": file(b"")}
    yield InstallScene("install-certs", store, [], modes)
    # Over an older key of the same name, whose files differ.
    older = below(f"pkg/certs-local/{name}", {
        key: (what[0], what[1], what[2].replace(b"sha512", b"sha256") + b"\n", what[3])
        for key, what in fixtures.pair("rsa").items()})
    yield InstallScene("install-again", {**store, **older, "pkg/certs-local/current": ("l", name)}, [], modes)
    # Beside a key that an earlier run has laid whole.
    whole = below("pkg/certs-local/20190101-0000", fixtures.pair("other"))
    yield InstallScene("install-public", {**store, **whole, "pkg/certs-local/current": ("l", "20190101-0000")},
                       ["--public-only"], modes)


def scenes(fixtures):
    """All of them, by name."""
    from inject import NO_TMPFILE
    found = []
    for suffix in containers.PACKERS:
        name = containers.PACKERS[suffix][0]
        found.append(sign_scene(fixtures, f"sign-{name}", suffix))
        found.append(unsign_scene(fixtures, f"unsign-{name}", suffix))
    found.append(sign_scene(fixtures, "sign-recompress", ".xz", ["--recompress"]))
    found.append(sign_scene(fixtures, "sign-named", ".zst", (), NO_TMPFILE))
    found.append(dkms_copy_scene(fixtures))
    found.append(initramfs_scene(fixtures))
    found += [two_keys_scene(fixtures), export_scene(fixtures), attach_scene(fixtures), log_scene(fixtures)]
    found.append(VerifyScene(fixtures))
    found.append(sign_file_scene(fixtures, "sign-file", False))
    found.append(sign_file_scene(fixtures, "sign-file-dest", True))
    found.append(sign_file_scene(fixtures, "sign-file-over", True, True))
    found.append(sign_file_scene(fixtures, "sign-file-named", True, False, NO_TMPFILE))
    found.append(dkms_scene())
    found += genkeys_scenes(fixtures)
    found += install_scenes(fixtures)
    return {scene.name: scene for scene in found}


def place(scene, top):
    """The tree of a scene in the empty directory TOP."""
    for path in sorted(scene.tree):
        put(top, path, scene.tree[path])


def cleared(top):
    shutil.rmtree(top, ignore_errors=True)
    os.makedirs(top)
    return top
