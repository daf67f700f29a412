# SPDX-License-Identifier: MIT
"""swtpm, a TPM 2 in software, through tpm2-openssl."""
import fcntl
import os
import socket
import struct
import subprocess
import time

from pkcs11 import sign, untouched
from place import MARKER, PIN, Run

PORT = 2321  # and the next one, in a network of our own
PROVIDERS = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
NONE = {"NOTHING": "1"}


def open_loopback():
    """What "ip link set lo up" does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


class Tpm:
    def __init__(self, place):
        os.makedirs(place.path("tpm"))
        tcti = f"swtpm:host=127.0.0.1,port={PORT}"
        place.env |= {"TPM2TOOLS_TCTI": tcti, "TPM2OPENSSL_TCTI": tcti}
        # It belongs to this process alone, and is ended by its id.
        self.process = subprocess.Popen(
            [*place.prefix, "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={place.path('tpm')}",
             "--server", f"type=tcp,port={PORT}", "--ctrl", f"type=tcp,port={PORT + 1}",
             "--flags", "not-need-init,startup-clear"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            time.sleep(0.1)
            if place.run("tpm2_getcap", "properties-fixed").returncode == 0:
                return
        raise SystemExit(f"Bail out! {place.name}: swtpm does not answer")

    def close(self):
        self.process.terminate()
        self.process.wait()


def failures(place):
    """How often a TPM was given a wrong password, as it counts."""
    for line in place.must("tpm2_getcap", "properties-variable").splitlines():
        if "TPM2_PT_LOCKOUT_COUNTER" in line:
            return int(line.split()[-1], 0)
    return -1


def certify(place, name, key, *more):
    place.must("openssl", "req", *PROVIDERS, "-x509", "-new", "-sha256", "-days", "3650", "-config", "genkey",
               "-key", key, "-out", f"{name}.pem", *more)


def put(place, name, handle, algorithm, *more):
    place.must("tpm2_createprimary", "-C", "o", "-c", "primary")
    place.must("tpm2_flushcontext", "-t")
    place.must("tpm2_create", "-C", "primary", "-G", algorithm, "-u", "public", "-r", "private", *more)
    place.must("tpm2_flushcontext", "-t")
    place.must("tpm2_load", "-C", "primary", "-u", "public", "-r", "private", "-c", "loaded")
    place.must("tpm2_evictcontrol", "-C", "o", "-c", "loaded", handle)
    place.must("tpm2_flushcontext", "-t")
    query = "?pass" if more else ""
    certify(place, name, f"handle:{handle}{query}", *(["-passin", f"pass:{PIN}"] if more else []))


def prepare(place):
    for name, kind in ("tpm_rsa", ("RSA", "bits:2048")), ("tpm_ec", ("EC", "group:P-256")):
        place.must("openssl", "genpkey", *PROVIDERS, "-algorithm", kind[0], "-pkeyopt", kind[1], "-out", f"{name}.key")
        os.chmod(place.path(f"{name}.key"), 0o600)
        certify(place, name, f"{name}.key")
    place.must("openssl", "genpkey", *PROVIDERS, "-algorithm", "EC", "-pkeyopt", "group:P-256", "-pkeyopt",
               f"user-auth:{PIN}", "-out", "tpm_locked.key")
    os.chmod(place.path("tpm_locked.key"), 0o600)
    certify(place, "tpm_locked", "tpm_locked.key", "-passin", f"pass:{PIN}")
    put(place, "handle", "0x81000001", "rsa2048")
    put(place, "locked", "0x81000002", "ecc256", "-p", PIN)


def keys(tap, place):
    cases = [("an RSA key in a file that only it can use", "tpm_rsa.key", "tpm_rsa", NONE),
             ("an ECDSA key in such a file", "tpm_ec.key", "tpm_ec", NONE),
             ("one in such a file, with a password", "tpm_locked.key", "tpm_locked", {"KBUILD_SIGN_PIN": PIN}),
             ("a key that is in it", "handle:0x81000001", "handle", NONE),
             ("one with a password", "handle:0x81000002?pass", "locked", {"KBUILD_SIGN_PIN": PIN})]
    for what, key, cert, env in cases:
        run = sign(place, "-v", "--key", key, "--cert", f"{cert}.pem", env=env).ended(0)
        run.says("not confined: the key is on a token or in a TPM")
        tap.claim(f"{place.name}: TPM: {what}", run.also(*place.faults_of(f"{cert}.pem", "modules/m000.ko")).faults)
    number = 100
    begin = time.monotonic()
    run = sign(place, "-j", "4", "--key", "tpm_ec.key", "--cert", "tpm_ec.pem", env=NONE, number=number).ended(0)
    took = time.monotonic() - begin
    names = [f"modules/m{i:03}.ko" for i in range(number)]
    run.also(*(f"{name}: not signed" for name in names if not place.read(name).endswith(MARKER)),
             *place.faults_of("tpm_ec.pem", *names[::10]))
    tap.claim(f"{place.name}: TPM: {number} modules with -j4", run.faults)
    tap.note(f"{place.name}: TPM: {number} modules in {took:.2f} s")


def refusals(tap, place):
    cases = [("nothing at that handle", "handle:0x81000009", "handle.pem", NONE, "no private key answers to this URI"),
             ("no certificate", "handle:0x81000001", None, NONE, "no certificate answers to this URI"),
             ("another one's certificate", "handle:0x81000001", "locked.pem", NONE, "does not belong to the private key"),
             ("no password", "handle:0x81000002?pass", "locked.pem", NONE, "wants a PIN; its passphrase or PIN is taken")]
    for what, key, cert, env, text in cases:
        run = sign(place, "--key", key, *(["--cert", cert] if cert else []), env=env).ended(1).lines(1).says(text)
        tap.claim(f"{place.name}: TPM: {what}", run.also(*untouched(place)).faults)
    os.chmod(place.path("tpm_rsa.key"), 0o666)
    run = sign(place, "--key", "tpm_rsa.key", "--cert", "tpm_rsa.pem", env=NONE).ended(1).says("others can write to")
    tap.claim(f"{place.name}: TPM: a file that others can write to is refused like any key's", run.faults)
    os.chmod(place.path("tpm_rsa.key"), 0o600)
    for what, key, cert in (("", "handle:0x81000002?pass", "locked.pem"),
                            (" of a key in a file", place.path("tpm_locked.key"), "tpm_locked.pem")):
        before = failures(place)
        run = Run(place, "sign", "--root", place.path("root"), "-k", "all", "--hash", "sha256",
                  "--key", key, "--cert", place.path(cert), env={"KBUILD_SIGN_PIN": "wr0ng"})
        run.ended(1).lines(3).says("authorization", "not tried: a token has refused a PIN before")
        tries = failures(place) - before
        tap.claim(f"{place.name}: TPM: a wrong password{what}, three kernels: tried once",
                  run.also("" if tries == 1 else f"tried {tries} times").faults)


def check(tap, place):
    """After pkcs11.check(), which lays modules and roots."""
    tpm = Tpm(place)
    try:
        prepare(place)
        keys(tap, place)
        refusals(tap, place)
    finally:
        tpm.close()
    run = sign(place, "--key", "tpm_rsa.key", "--cert", "tpm_rsa.pem", env=NONE).ended(1).lines(1)
    tap.claim(f"{place.name}: TPM: there is none", run.says("tpm_rsa.key: ", "provider tpm2").also(*untouched(place)).faults)
