# SPDX-License-Identifier: MIT
"""A system that kernel-sign runs in: this one, or a root; with the scratch directory of both."""
import os
import shutil
import subprocess

MARKER = b"~Module signature appended~\n"
PIN = "oh-5ecret"


class Place:
    def __init__(self, name, root, program, scratch):
        self.name, self.program = name, program
        self.dir = os.path.join(scratch, name)
        self.prefix = ["chroot", root] if root else []
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"}
        os.makedirs(self.dir)

    def run(self, *command, env=None, **more):
        """In the scratch directory, without a terminal; whoever hangs is ended."""
        line = ["setsid", "-w", *self.prefix, "env", "-i", "-C", self.dir]
        line += [f"{name}={value}" for name, value in {**self.env, **(env or {})}.items()]
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(["timeout", "-k", "5", "100", *line, *command], text=True,
                              capture_output=True, check=False, **more)

    def must(self, *command, **more):
        done = self.run(*command, **more)
        if done.returncode:
            raise SystemExit(f"Bail out! {self.name}: {' '.join(command)}: "
                             f"{(done.stderr or done.stdout).strip()[-400:]}")
        return done.stdout

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), 0o600)

    def read(self, name):
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def pair(self, name, *kind):
        """A key in a file, and its certificate as the kernel's build makes them."""
        self.write("genkey", "[req]\ndistinguished_name=n\nprompt=no\nx509_extensions=e\n"
                             f"[n]\nCN={name}\n[e]\nbasicConstraints=critical,CA:FALSE\n"
                             "keyUsage=digitalSignature\nsubjectKeyIdentifier=hash\n")
        self.must("openssl", "req", "-new", "-x509", "-nodes", "-batch", "-sha256", "-days", "3650",
                  "-config", "genkey", "-keyout", f"{name}.key", "-out", f"{name}.pem", *kind)

    def modules(self, count, where="modules"):
        """So many fresh ones, and nothing else, in a directory."""
        shutil.rmtree(self.path(where), ignore_errors=True)
        os.makedirs(self.path(where))
        for i in range(count):
            with open(self.path(f"{where}/m{i:03}.ko"), "wb") as file:
                file.write(self.read("plain.ko"))

    def faults_of(self, cert, *names):
        """What openssl has against the signatures of these modules."""
        faults, plain = [], self.read("plain.ko")
        for name in names:
            signed = self.read(name)
            length = int.from_bytes(signed[-len(MARKER) - 4:-len(MARKER)], "big")
            if not signed.endswith(MARKER) or signed[:len(plain)] != plain:
                faults.append(f"{name}: not signed")
                continue
            with open(self.path("message"), "wb") as file:
                file.write(signed[len(plain):len(plain) + length])
            done = self.run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "message",
                            "-content", "plain.ko", "-nointern", "-noverify", "-certfile", cert,
                            "-out", "/dev/null")
            if done.returncode:
                faults.append(f"{name}: {done.stderr.strip()[:200]}")
        return faults


class Run:
    """One run of kernel-sign and what it should have been."""

    def __init__(self, place, *arguments, **more):
        self.done = place.run(place.program, *arguments, **more)
        self.faults = []

    def ended(self, status):
        if self.done.returncode != status:
            self.faults.append(f"exit status {self.done.returncode}, not {status}: "
                               f"{self.done.stderr.strip()[:500]}")
        if PIN in self.done.stdout + self.done.stderr:
            self.faults.append("the PIN is in what it says")
        return self

    def says(self, *texts):
        self.faults += [f"does not say '{text}': {self.done.stderr.strip()[:500]}"
                        for text in texts if text not in self.done.stderr + self.done.stdout]
        return self

    def lines(self, count):
        got = len(self.done.stderr.splitlines())
        if got != count:
            self.faults.append(f"{got} lines on standard error, not {count}: {self.done.stderr[:800]}")
        return self

    def also(self, *faults):
        self.faults += [fault for fault in faults if fault]
        return self
