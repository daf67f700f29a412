# SPDX-License-Identifier: MIT
"""A machine with DKMS: the root of a suite with a layer of its own over it, so that what happens to it is gone
with it. And what can be seen of it afterwards, by tools that are not kernel-sign's."""
import functools
import glob
import hashlib
import os
import re
import shutil
import struct
import subprocess
import tempfile

import judge

TOP = os.environ["KS_DKMS_DIR"]
WORK = os.path.join(TOP, "work")
KEYS = os.path.join(WORK, "keys")
ARCH = "x86_64"
TREE = "/var/lib/dkms"
OWN = "/root/own.pub"
HOOK = "/etc/dkms/kernel-sign.sh"
DROP_IN = "/etc/dkms/framework.conf.d/kernel-sign.conf"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root",
               "DEBIAN_FRONTEND": "noninteractive"}
NOTHING, UNSIGNED, DAMAGED, STRANGE = "nothing", "unsigned", "damaged", "signed by nobody we know"


class Outcome:
    """What one command came to."""

    def __init__(self, status, output):
        self.status = status
        self.output = output

    def __and__(self, other):
        """Both; the worse status."""
        return Outcome(self.status or other.status, self.output + other.output)


class Module:
    """One installed module, as it was found."""

    def __init__(self, signed, shown=None, wanted=None, verify=None, container=""):
        self.signed = signed  # a key's name, or one of the words above
        self.shown = shown  # by modinfo
        self.wanted = wanted  # what modinfo has to show
        self.verify = verify  # exit status of kernel-sign verify
        self.container = container  # what a kernel's own reader has against it


def cert(name):
    return os.path.join(KEYS, name + ".der")


def file(path):
    with open(path, "rb") as stream:
        return stream.read()


@functools.cache
def names_of(certificate):
    """{modinfo's field: what the certificate, in DER, has to make it show}"""
    status, out, err = judge.run(["openssl", "x509", "-noout", "-subject", "-nameopt", "multiline", "-serial"],
                                 input=certificate)
    words = re.fullmatch(r"subject=\s*commonName *= (.*)\nserial=(.*)\n", out.decode())
    if status or not words:
        raise judge.Fault(f"openssl x509: {err} {out}")
    return {"signer": words[1], "sig_key": words[2].lower()}


def is_whole(data):
    """Do the section headers, which stand at the end of a module, lie inside the file?"""
    if len(data) < 64 or data[:4] != b"\x7fELF":
        return False
    table, = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    return table + size * count <= len(data)


class Machine:
    def __init__(self, suite, name, product=True):
        self.suite = suite
        self.folder = os.path.join(WORK, f"{suite}-{name}")
        self.root = os.path.join(self.folder, "root")
        self.upper = os.path.join(self.folder, "upper")
        self.mounts = []
        self.product = product
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.root, self.upper, self.upper + ".work"):
            os.makedirs(folder)
        home = os.path.join(TOP, suite)
        with open(os.path.join(home, "kernels"), encoding="ascii") as stream:
            self.kernel, self.other_kernel = stream.read().split()
        lower = ([os.path.join(home, "product")] if product else []) + [os.path.join(home, "base")]
        self.mount("overlay", self.root, "-o",
                   f"lowerdir={':'.join(lower)},upperdir={self.upper},workdir={self.upper}.work")
        self.mount("proc", os.path.join(self.root, "proc"))
        self.dkms_version = self.run("dkms", "--version").output.strip().rpartition("-")[2]

    @property
    def old(self):
        """DKMS 3.0"""
        return self.dkms_version.startswith("3.0")

    @property
    def extension(self):
        """Of the kernels' modules, and so of those that DKMS installs."""
        return ".xz" if os.path.exists(self.path(f"/lib/modules/{self.kernel}/kernel/lib/intree.ko.xz")) else ""

    def mount(self, kind, where, *options):
        subprocess.run(["mount", "-t", kind, *options, kind, where], check=True)
        self.mounts.append(where)

    def close(self):
        while self.mounts:
            # A kernel that is still busy with a process that has just ended would refuse.
            subprocess.run(["umount", "-l", self.mounts.pop()], check=True)
        shutil.rmtree(self.upper)
        shutil.rmtree(self.upper + ".work")

    # What is done to it

    def path(self, inside):
        """That of the host, which no symbolic link of the machine's may take elsewhere."""
        path = os.path.join(self.root, inside.lstrip("/"))
        if not (os.path.realpath(os.path.dirname(path)) + "/").startswith(self.root + "/"):
            raise judge.Fault(f"{inside} leads out of the machine")
        return path

    def start(self, *command):
        """(process, file of its output): no pipe, which DKMS 3.2 leaves to a "sleep 3" that we would wait for."""
        output = tempfile.TemporaryFile()
        # A program that hangs must not eat the whole budget.
        return subprocess.Popen(["timeout", "300", "chroot", self.root, *command], env=ENVIRONMENT,
                                stdin=subprocess.DEVNULL, stdout=output, stderr=output), output

    def finish(self, process, stream):
        process.wait()
        with stream:
            stream.seek(0)
            output = stream.read().decode(errors="replace")
        with open(os.path.join(self.folder, "log"), "a", encoding="utf-8") as log:
            print("$", " ".join(process.args[4:]), f"\n{output}[{process.returncode}]", file=log)
        return Outcome(process.returncode, output)

    def run(self, *command):
        return self.finish(*self.start(*command))

    def must(self, *command):
        outcome = self.run(*command)
        if outcome.status:
            raise judge.Fault(f"{' '.join(command)}: {outcome.status}: {outcome.output.strip()[-300:]}")
        return outcome

    def dkms(self, action, package, *options, kernel=None):
        return self.run("dkms", action, package, "-k", kernel or self.kernel, *options)

    def at_once(self, *commands):
        """All started before one is waited for."""
        outcomes = [self.finish(*started) for started in [self.start(*command) for command in commands]]
        return Outcome(max(outcome.status for outcome in outcomes), "".join(outcome.output for outcome in outcomes))

    def write(self, inside, text, mode=0o644):
        path = self.path(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(path, mode)

    def remove(self, *patterns):
        """How many there were."""
        found = {path for pattern in patterns for path in glob.glob(self.path(pattern))}
        # One file may be found by two ways.
        paths = {os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in found}
        for path in paths:
            self.path(path[len(self.root):])
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)
        return len(paths)

    def copy(self, source, inside, mode=0o600):
        shutil.copyfile(source, self.path(inside))
        os.chmod(self.path(inside), mode)

    def key(self, name, certificate=None):
        """DKMS's key and certificate, as if it had made them."""
        os.makedirs(self.path("/var/lib/dkms"), exist_ok=True)
        self.copy(os.path.join(KEYS, name + ".key"), "/var/lib/dkms/mok.key")
        self.copy(cert(certificate or name), "/var/lib/dkms/mok.pub", 0o644)

    def source(self, package, version, modules, conf=(), built="true"):
        """The package's source, registered with DKMS. BUILT is a command that follows the build."""
        folder = f"/usr/src/{package}-{version}"
        lines = [f"PACKAGE_NAME={package}", f"PACKAGE_VERSION={version}", "AUTOINSTALL=yes", "CLEAN=true",
                 f"MAKE[0]='make -C $kernel_source_dir M=$dkms_tree/{package}/{version}/build modules && {built}'"]
        for number, module in enumerate(modules):
            lines += [f"BUILT_MODULE_NAME[{number}]={module}", f"DEST_MODULE_LOCATION[{number}]=/updates/dkms"]
            self.write(f"{folder}/{module}.c", "#include <linux/module.h>\n"
                       f'MODULE_LICENSE("GPL");\nMODULE_VERSION("{version}");\n')
        self.write(f"{folder}/dkms.conf", "\n".join([*lines, *conf]) + "\n")
        self.write(f"{folder}/Kbuild", f"obj-m := {' '.join(module + '.o' for module in modules)}\n")

    def register(self, package, version, modules=None, **source):
        self.source(package, version, modules or [package], **source)
        self.must("dkms", "add", f"{package}/{version}")

    def kernel_variant(self, name, change, suffix=None):
        """A copy of the kernel whose config CHANGE, a function of its text, has changed, and whose own modules come
        with SUFFIX."""
        version = self.kernel.replace("-amd64", f"-{name}")
        old, new = (f"/lib/modules/{kernel}" for kernel in (self.kernel, version))
        build = f"/usr/src/linux-headers-{version}"
        self.must("cp", "-a", f"/usr/src/linux-headers-{self.kernel}", build)
        self.must("cp", "-a", old, new)
        self.remove(new + "/build", new + "/modules.dep*")
        os.symlink(build, self.path(new + "/build"))
        for config in (".config", "include/config/auto.conf"):
            self.write(f"{build}/{config}", change(file(self.path(f"{build}/{config}")).decode()))
        if suffix is not None:
            self.own_modules(version, suffix)
        self.must("depmod", version)
        return version

    def depmod_reads_gzip(self):
        """Debian's is built without zlib: one with it would list these modules, too."""
        os.makedirs(self.path("/usr/lib/depmod"))
        os.symlink("/bin/kmod", self.path("/usr/lib/depmod/depmod"))
        self.remove("/usr/sbin/depmod")
        self.write("/usr/sbin/depmod", "#!/bin/sh\n/usr/lib/depmod/depmod \"$@\" 2>/dev/null\nfor kernel; do :; done\n"
                   "cd /lib/modules/$kernel && find * -name '*.ko.gz' | sed 's/$/:/' >>modules.dep\n", 0o755)

    def own_modules(self, kernel, suffix):
        plain = self.path(f"/lib/modules/{kernel}/kernel/lib/intree.ko")
        pack = {"": None, ".xz": ["xz", "--check=crc32"], ".gz": ["gzip", "-n"], ".zst": ["zstd", "-q", "--rm"]}[suffix]
        if os.path.exists(plain + ".xz"):
            subprocess.run(["xz", "-d", plain + ".xz"], check=True)
        if pack:
            subprocess.run([*pack, plain], check=True)

    def small_disk(self, inside, kilobytes):
        os.makedirs(self.path(inside), exist_ok=True)
        self.mount("tmpfs", self.path(inside), "-o", f"size={kilobytes}k")

    # What is seen of it

    def entries(self, inside):
        """{path below it: what it is}, of a folder."""
        found = {}
        for folder, folders, files in os.walk(self.path(inside)):
            for name in folders + files:
                path = os.path.join(folder, name)
                content = os.readlink(path) if os.path.islink(path) else hashlib.sha256(
                    file(path)).hexdigest() if os.path.isfile(path) else "folder"
                found[os.path.relpath(path, self.path(inside))] = content
        return found

    def certificates(self):
        """By the names of their keys; DKMS's own is the one that it made."""
        known = {name: cert(name) for name in ("rsa", "ec", "other")}
        for own in (self.path(OWN), self.path("/var/lib/dkms/mok.pub")):
            if os.path.exists(own) and file(own) not in [file(path) for path in known.values()]:
                known["DKMS's own"] = own
        return known

    def keep_certificate(self):
        """The one that DKMS made, which is going to be replaced."""
        self.copy(self.path("/var/lib/dkms/mok.pub"), OWN, 0o644)

    def status(self):
        """{(package, version, kernel): (DKMS's word for it, does it complain of differences?)}"""
        found = {}
        for line in self.run("dkms", "status").output.splitlines():
            words = re.fullmatch(r"(.+?)/(.+?), (.+?), (\S+): (\w+)(.*)", line)
            if words:
                found[words.groups()[:3]] = words[5], "iff" in words[6]
        return found

    def installed(self, name, kernel):
        pattern = os.path.join(glob.escape(self.path(f"/lib/modules/{kernel}")), "updates/**", name + ".ko*")
        return glob.glob(pattern, recursive=True)

    def look(self, name, kernel, certificate=None):
        """At an installed module. CERTIFICATE: what verify is told, where it would not know by itself."""
        paths = self.installed(name, kernel)
        if not paths:
            return Module(NOTHING)
        if len(paths) > 1:
            raise judge.Fault(f"several: {paths}")
        # A link of DKMS's is absolute, and the machine's.
        path = self.path(os.readlink(paths[0])) if os.path.islink(paths[0]) else paths[0]
        signed, data = self.signed_by(path)
        shown = self.modinfo(data)
        anything = signed in (DAMAGED, STRANGE)
        return Module(signed, shown, shown if anything else self.to_be_shown(signed),
                      self.verify(paths[0], kernel, certificate), self.judge_container(path))

    def signed_by(self, path):
        """(who, the module's bytes)"""
        try:
            data = judge.content(path)
            image, messages = judge.split(data)
        except judge.Fault:
            return DAMAGED, b""
        if not is_whole(image):
            return DAMAGED, data
        if not messages:
            return UNSIGNED, data
        names = [name for name, path in self.certificates().items() if not judge.judge_cms(image, messages[0], path)]
        return (names[0] if names and len(messages) == 1 else STRANGE), data

    def modinfo(self, data):
        """Signer and serial number of the certificate; of decompressed bytes, since Debian's reads no gzip."""
        with tempfile.NamedTemporaryFile(suffix=".ko", dir=self.path("/tmp")) as plain:
            plain.write(data)
            plain.flush()
            said = self.run("modinfo", f"/tmp/{os.path.basename(plain.name)}").output
        found = {field: "".join(re.findall(rf"(?m)^{field}: *(.*)$", said)) for field in ("signer", "sig_key")}
        return found | {"sig_key": found["sig_key"].replace(":", "").lower()}

    def to_be_shown(self, signed):
        known = self.certificates()
        return names_of(file(known[signed])) if signed in known else {"signer": "", "sig_key": ""}

    def verify(self, path, kernel, certificate):
        if not self.product:
            return None
        options = ["--cert", certificate] if certificate else []
        return self.run("kernel-sign", "verify", "-k", kernel, *options, path[len(self.root):]).status

    @staticmethod
    def judge_container(path):
        return "; ".join(judge.judge_xz(path)) if path.endswith(".xz") else ""
