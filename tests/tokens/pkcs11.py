# SPDX-License-Identifier: MIT
"""SoftHSM 2, through whatever the system has for PKCS#11."""
import glob
import os
import time

from place import MARKER, PIN, Run

KS = "pkcs11:token=ks;object="
WITH_PIN = {"KBUILD_SIGN_PIN": PIN}


def prepare(place):
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "shim.c"), encoding="utf-8") as file:
        place.write("shim.c", file.read())
    place.write("plain.c", 'static const char l[] __attribute__((used, section(".modinfo"))) = "license=GPL";\n')
    place.must("cc", "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl")
    place.must("cc", "-c", "-o", "plain.ko", "plain.c")
    place.write("softhsm.conf", f"directories.tokendir = {place.path('tokens')}\n"
                                "objectstore.backend = file\nlog.level = ERROR\n")
    os.makedirs(place.path("tokens"))
    place.env |= {"SOFTHSM2_CONF": place.path("softhsm.conf"),
                  "SHIM_MODULE": "/usr/lib/softhsm/libsofthsm2.so", "SHIM_LOG": place.path("log"),
                  "PKCS11_MODULE_PATH": place.path("shim.so"), "PKCS11_PROVIDER_MODULE": place.path("shim.so")}
    place.must("softhsm2-util", "--init-token", "--free", "--label", "ks", "--so-pin", "12345678", "--pin", PIN)
    rsa, p384 = ("-newkey", "rsa:2048"), ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1")
    for name, kind in ("rsa", rsa), ("ec", p384), ("one", rsa), ("two", rsa), ("lone", p384):
        place.pair(name, *kind)
    # Label, id, key and certificate of each object.
    for label, number, key, cert in (("rsa", "01", "rsa", "rsa"), ("ec", "02", "ec", "ec"),
                                     ("twin", "03", "one", "one"), ("twin", "04", "two", "two"),
                                     ("stray", "05", "lone", "ec"), ("bare", "06", "lone", None)):
        put(place, label, number, "privkey", "pkey", key + ".key")
        if cert:
            put(place, label, number, "cert", "x509", cert + ".pem")


def put(place, label, number, kind, tool, file):
    place.must("openssl", tool, "-in", file, "-outform", "DER", "-out", "object.der")
    place.must("pkcs11-tool", "--module", "/usr/lib/softhsm/libsofthsm2.so", "--token-label", "ks", "--login",
               "--pin", PIN, "--write-object", "object.der", "--type", kind, "--label", label, "--id", number)


def count(place, word):
    return place.read("log").decode().split().count(word)


def sign(place, *arguments, env=None, number=1, **more):
    """Signs that many fresh modules in a directory."""
    place.modules(number)
    place.write("log", "")
    return Run(place, "sign", "-d", "modules", "--hash", "sha256", *arguments, env=env or WITH_PIN, **more)


def logins(place, wanted):
    got = count(place, "login")
    return "" if got == wanted else f"{got} logins, not {wanted}"


def untouched(place, *names):
    return [f"{name} was touched" for name in names or ["modules/m000.ko"]
            if place.read(name) != place.read("plain.ko")]


def names_of_keys(tap, place):
    cases = [("RSA by its label", KS + "rsa", None, "rsa"), ("ECDSA by its label", KS + "ec", None, "ec"),
             ("by its id", "pkcs11:token=ks;id=%02", None, "ec"),
             ("as p11tool lists it", KS + "rsa;id=%01;type=private", None, "rsa"),
             ("its certificate in a file", KS + "rsa", "rsa.pem", "rsa"),
             ("its certificate by a URI", KS + "ec", KS + "ec;type=cert", "ec"),
             ("key in a file, certificate on the token", "rsa.key", KS + "rsa", "rsa"),
             ("one of two with the same label, by its id", KS + "twin;id=%04", None, "two"),
             ("the other one", KS + "twin;id=%03", None, "one")]
    for what, key, cert, pem in cases:
        run = sign(place, "--key", key, *(["--cert", cert] if cert else [])).ended(0).lines(0)
        tap.claim(f"{place.name}: {what}", run.also(*place.faults_of(pem + ".pem", "modules/m000.ko")).faults)


def sources_of_pins(tap, place):
    place.write("pin", PIN + "\n")
    os.makedirs(place.path("credentials"), exist_ok=True)
    place.write("credentials/kernel-sign.pin", PIN + "\n")
    none = {"NOTHING": "1"}
    cases = [("--pin-file", ["--pin-file", "pin"], none, KS + "rsa"),
             ("KBUILD_SIGN_PIN", [], WITH_PIN, KS + "rsa"),
             ("a credential", [], {"CREDENTIALS_DIRECTORY": place.path("credentials")}, KS + "rsa"),
             ("pin-value in the URI", [], none, KS + f"rsa?pin-value={PIN}"),
             ("pin-value with escapes", [], none, KS + f"rsa?pin-value={PIN.replace('-', '%2d')}"),
             ("pin-source in the URI", [], none, KS + f"rsa?pin-source=file:{place.path('pin')}")]
    for what, arguments, env, key in cases:
        run = sign(place, "--key", key, *arguments, env=env).ended(0).also(logins(place, 1))
        tap.claim(f"{place.name}: the PIN by {what}, one login",
                  run.also(*place.faults_of("rsa.pem", "modules/m000.ko")).faults)
    with open(place.path("pin"), encoding="utf-8") as file:
        run = sign(place, "--key", KS + "rsa", "--pin-fd", "0", env=none, stdin=file).ended(0)
    tap.claim(f"{place.name}: the PIN by --pin-fd, one login", run.also(logins(place, 1)).faults)
    run = sign(place, "--key", KS + "rsa", env=none).ended(1).lines(1).says(
        "the token wants a PIN; its passphrase or PIN is taken from --pin-file,")
    tap.claim(f"{place.name}: no PIN: no login, one line, nothing touched",
              run.also(logins(place, 0), *untouched(place)).faults)


def wrong_pins(tap, place):
    wrong = "wr0ng"
    cases = [("KBUILD_SIGN_PIN", KS + "rsa", {"KBUILD_SIGN_PIN": wrong}, "the PIN from KBUILD_SIGN_PIN"),
             ("the URI", KS + f"rsa?pin-value={wrong}", {"NOTHING": "1"}, "the PIN from the URI")]
    for number in range(3):
        where = f"root/lib/modules/6.1.{number}"
        place.modules(2, where + "/extra")
        place.write(where + "/modules.order", "")
    for what, key, env, text in cases:
        place.write("log", "")
        run = Run(place, "sign", "--root", place.path("root"), "-k", "all", "--key", key, env=env)
        run.ended(1).lines(3).says(f"the token refuses {text}; it is not tried again, for tokens lock",
                                   "not tried: a token has refused a PIN before").also(logins(place, 1))
        if wrong in run.done.stderr:
            run.also("the wrong PIN is in what it says")
        run.also(*untouched(place, *(f"root/lib/modules/6.1.{n}/extra/m00{m}.ko" for n in range(3) for m in range(2))))
        tap.claim(f"{place.name}: a wrong PIN from {what}, three kernels: said once, tried once", run.faults)
    run = sign(place, "--key", KS + "rsa").ended(0)
    tap.claim(f"{place.name}: and the token is not locked", run.faults)


def refusals(tap, place, ambiguous):
    cases = [("a certificate on the token that is not the key's", KS + "stray", None, "the certificate does not verify"),
             ("another one's certificate", KS + "rsa", KS + "ec", "does not belong to the private key"),
             ("no certificate on the token", KS + "bare", None, "no certificate answers to this URI"),
             ("no such key", KS + "nothing", None, "no private key answers to this URI"),
             ("no such token", "pkcs11:token=nothing;object=rsa", None, "no private key answers to this URI")]
    if ambiguous:
        cases.append(("two keys of the same label", KS + "twin", None,
                      "several private keys answer to this URI: add the id of one"))
    for what, key, cert, text in cases:
        run = sign(place, "--key", key, *(["--cert", cert] if cert else [])).ended(1).lines(1).says(f"{key}: ", text)
        tap.claim(f"{place.name}: {what}", run.also(*untouched(place)).faults)
    if not ambiguous:
        run = sign(place, "--key", KS + "twin", "--cert", "one.pem")
        if run.done.returncode:
            run.says("does not belong to the private key").also(*untouched(place))
        else:
            run.also(*place.faults_of("one.pem", "modules/m000.ko"))
        tap.claim(f"{place.name}: two keys of the same label: the right one, or none", run.faults)


def many(tap, place):
    begin, number = time.monotonic(), 400
    run = sign(place, "-j", "4", "-v", "--key", KS + "ec", number=number).ended(0)
    took = time.monotonic() - begin
    run.says("not confined: the key is on a token or in a TPM").also(logins(place, 1))
    names = [f"modules/m{i:03}.ko" for i in range(number)]
    run.also(*(f"{name}: not signed" for name in names if not place.read(name).endswith(MARKER)),
             *place.faults_of("ec.pem", *names[::20]))
    tap.claim(f"{place.name}: {number} modules with -j4 over one session", run.faults)
    tap.note(f"{place.name}: {number} modules in {took:.2f} s, {count(place, 'sign')} signatures")
    run = sign(place, "-v", "--key", "rsa.key", "--cert", "rsa.pem").ended(0)
    confined = "on a token or in a TPM" not in run.done.stderr
    tap.claim(f"{place.name}: threads are confined as ever for a key in a file",
              run.also("" if confined else run.done.stderr).faults)
    place.modules(1)
    run = sign(place, "--key", KS + "rsa", "--key", KS + "ec").ended(0).also(logins(place, 1))
    tap.claim(f"{place.name}: two keys of one token: one login", run.faults)


def pulled(tap, place):
    number, last = 40, 12
    run = sign(place, "-j", "4", "--key", KS + "rsa", env=WITH_PIN | {"SHIM_PULL": str(last)}, number=number)
    run.ended(1)
    names = [f"modules/m{i:03}.ko" for i in range(number)]
    signed = [name for name in names if place.read(name).endswith(MARKER)]
    run.also(*place.faults_of("rsa.pem", *signed), *untouched(place, *(set(names) - set(signed))))
    # One signature was made before there was any module.
    if len(signed) != last - 1:
        run.also(f"{len(signed)} signed of {last - 1} that could be")
    run.lines(number - len(signed)).says(f"{len(signed)} signed, {number - len(signed)} failed, of {number} modules")
    run.also(*(f"does not name {name}" for name in set(names) - set(signed)
               if f"/{name}: " not in run.done.stderr))
    run.also(logins(place, 1))
    tap.claim(f"{place.name}: a token pulled in the middle: what could be is signed, what not is named", run.faults)
    tap.note(run.done.stderr.splitlines()[-1] if run.done.stderr else "nothing said")


def personalities(tap, place):
    place.modules(1)
    run = Run(place, "sign-file", "sha256", KS + "rsa", KS + "rsa", "modules/m000.ko", env=WITH_PIN).ended(0).lines(0)
    tap.claim(f"{place.name}: sign-file", run.also(*place.faults_of("rsa.pem", "modules/m000.ko")).faults)
    run = Run(place, "verify", "--cert", KS + "rsa", "modules/m000.ko", env={"NOTHING": "1"}).ended(0)
    tap.claim(f"{place.name}: verify against a certificate on the token, without a PIN", run.faults)
    proxy = {name: value for name, value in place.env.items() if name != "SHIM_LOG"}
    for name in "PKCS11_MODULE_PATH", "PKCS11_PROVIDER_MODULE":
        proxy.pop(name)
    kept, place.env = place.env, proxy
    run = sign(place, "--key", KS + "rsa").ended(0).also(*place.faults_of("rsa.pem", "modules/m000.ko"))
    place.env = kept
    tap.claim(f"{place.name}: through p11-kit, as without any setting", run.faults)


def check(tap, place, ambiguous):
    """AMBIGUOUS: it is seen when several keys answer."""
    prepare(place)
    names_of_keys(tap, place)
    sources_of_pins(tap, place)
    wrong_pins(tap, place)
    refusals(tap, place, ambiguous)
    many(tap, place)
    pulled(tap, place)
    personalities(tap, place)
    for left in glob.glob(place.path("modules/.*")):
        tap.note(f"left behind: {left}")
