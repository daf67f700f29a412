# SPDX-License-Identifier: MIT
"""The rows in which a module is to be signed and installed, renewed or removed. Where DKMS itself makes impossible what
one would wish for, the row's name begins with "DKMS:", and it expects exactly that. The expectations come from DKMS's
source and from what kernel-sign promises."""
import os
import re

from machine import DROP_IN, KEYS, NOTHING, OWN, TREE, UNSIGNED, cert, file
from step import ADVICE, ANY, BUILT, GONE, REFUSED, Step, Want, garbage_key, installed, no_sign_file, one, ready


def differences(name, before, after):
    return [f"{name}: {path}" for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]


# Without kernel-sign: that the rig sees it when a module is not signed.

def dkms_alone(m):
    m.register("one", "1.0")
    yield Step("DKMS alone: fresh install", m.dkms("install", "one/1.0"), 0, one(m, installed("DKMS's own")))
    m.register("own", "1.0")
    m.write("/var/lib/dkms/mok.key", "no key\n")
    yield Step("DKMS alone: key unreadable", m.dkms("install", "own/1.0"), 0,
               {("own", "1.0", m.kernel): installed(UNSIGNED)})


# What is to go well

def life(m):
    first, second = m.kernel, m.other_kernel
    before = m.entries("/etc/dkms")
    m.register("one", "1.0")
    m.must("kernel-sign", "dkms", "enable", "one")
    yield Step("fresh install", m.dkms("install", "one/1.0"), 0, one(m, installed("DKMS's own")))
    yield Step("a kernel added: DKMS's hook for headers", m.run("/etc/kernel/header_postinst.d/dkms", second), 0,
               {("one", "1.0", first): installed("DKMS's own"), ("one", "1.0", second): installed("DKMS's own")})
    m.register("one", "2.0")
    yield Step("module upgraded", m.dkms("install", "one/2.0"), 0,
               {("one", "2.0", first): installed("DKMS's own")})
    m.keep_certificate()
    m.key("other")
    yield Step("key rotated, then sign -k", m.run("kernel-sign", "sign", "-k", first), 0,
               {("one", "2.0", first): installed("other"),
                ("one", "1.0", second): installed("DKMS's own", certificate=OWN)})
    m.key("ec")
    yield Step("key rotated, then sign -k all", m.run("kernel-sign", "sign", "-k", "all"), 0,
               {("one", "2.0", first): installed("ec"), ("one", "1.0", second): installed("ec")})
    m.key("rsa")
    yield Step("key rotated, then sign -k --no-dkms", m.run("kernel-sign", "sign", "-k", first, "--no-dkms"), 0,
               {("one", "2.0", first): installed("rsa", differs=True)})
    yield Step("sign -k after --no-dkms", m.run("kernel-sign", "sign", "-k", first), 0,
               {("one", "2.0", first): installed("rsa")})
    yield Step("removed", m.run("dkms", "remove", "one/2.0", "--all") & m.run("dkms", "remove", "one/1.0", "--all"), 0,
               {("one", version, kernel): GONE for version in ("1.0", "2.0") for kernel in (first, second)})
    disabled = m.run("kernel-sign", "dkms", "disable")
    yield Step("dkms disable leaves /etc/dkms as it was", disabled, 0, {},
               faults=differences("/etc/dkms", before, m.entries("/etc/dkms")))


def packages(m):
    """Debian's own packages, by its package manager."""
    names = ("acpi-call", "bbswitch", "tp_smapi", "v4l2loopback")
    m.must("kernel-sign", "dkms", "enable", *names)
    # Without its headers it is a kernel that is not there yet.
    headers = m.path(f"/lib/modules/{m.other_kernel}/build")
    link = os.readlink(headers)
    os.remove(headers)
    debs = sorted("/debs/" + name for name in os.listdir(m.path("/debs")))
    done = m.run("dpkg", "-i", *debs)
    version = registered(m)
    yield Step("Debian's packages installed", done, 0,
               {(name, version[name], m.kernel): installed("DKMS's own") for name in names})
    yield Step("dkms status: all gated", m.run("kernel-sign", "dkms", "status"), 0, {},
               says=[rf"(?m)^{name}: signed and gated" for name in names])
    m.must("kernel-sign", "dkms", "disable", "acpi-call", "tp_smapi")
    ungated = m.run("kernel-sign", "dkms", "status") & m.run("kernel-sign", "status", "-k", m.kernel)
    yield Step("dkms status and status tell what is not gated", ungated, 0, {},
               says=("(?m)^acpi-call: not gated", "(?m)^tp_smapi: not gated", "gated.*: acpi-call, tp_smapi"))
    again = m.must("kernel-sign", "dkms", "enable", "--all") & m.run("kernel-sign", "dkms", "status")
    yield Step("dkms enable --all", again, 0, {}, says=[rf"(?m)^{name}: signed and gated" for name in names])

    os.symlink(link, headers)
    # The added kernel has no video4linux: what DKMS is told not to build counts as a failure with 3.0.
    yield Step("Debian's packages, a kernel added", m.run("/etc/kernel/header_postinst.d/dkms", m.other_kernel),
               11 if m.old else 0,
               {(name, version[name], m.other_kernel): installed("DKMS's own") for name in names[:3]})
    old = version["v4l2loopback"]
    deb = newer(m, "v4l2loopback", old)
    yield Step("Debian's package upgraded", m.run("dpkg", "-i", deb), 0,
               {("v4l2loopback", old, m.kernel): Want(None, "DKMS's own"),  # the new one, by the same name
                ("v4l2loopback", old + "+new", m.kernel): installed("DKMS's own")})
    yield Step("Debian's packages removed",
               m.run("dpkg", "-P", *(re.match(r"/debs/(.*?)_", deb)[1] for deb in debs)), 0,
               {(name, version[name], m.kernel): GONE for name in names})


def registered(m):
    lines = m.run("dkms", "status").output.splitlines()
    return dict(re.match(r"(.+?)/(.+?)[,:]", line).groups() for line in lines if re.match(r"(.+?)/(.+?)[,:]", line))


def newer(m, name, version):
    """The same package with another version: what Debian's next one would be."""
    deb = next("/debs/" + deb for deb in os.listdir(m.path("/debs")) if deb.startswith(name))
    m.must("dpkg-deb", "-R", deb, "/new")
    os.rename(m.path(f"/new/usr/src/{name}-{version}"), m.path(f"/new/usr/src/{name}-{version}+new"))
    for inside in ("DEBIAN/control", "DEBIAN/postinst", "DEBIAN/prerm", f"usr/src/{name}-{version}+new/dkms.conf"):
        path = m.path("/new/" + inside)
        text = file(path).decode()
        mode = os.stat(path).st_mode & 0o777
        m.write("/new/" + inside, re.sub(rf"{re.escape(version)}(-\S+)?", rf"{version}+new\1", text), mode)
    m.remove("/new/DEBIAN/md5sums")
    m.must("dpkg-deb", "-b", "/new", f"/{name}.deb")
    return f"/{name}.deb"


def bare(m):
    """What kernel-sign must not need; DKMS itself and the compiler need binutils to build."""
    ready(m, "trio")
    m.remove("/usr/bin/python*", "/usr/bin/perl*", "/usr/share/perl*", "/usr/bin/rsync")
    no_sign_file(m)
    key = ("trio", "1.0", m.kernel)
    yield Step("3 modules; no python, perl, rsync, kernel's sign-file", m.dkms("install", "trio/1.0"), 0,
               {key: installed("rsa")})
    binutils = m.must("dpkg", "-L", "binutils", "binutils-x86-64-linux-gnu").output.split()
    m.remove(*(path for path in binutils if path.startswith("/usr/bin/")))
    m.key("ec")
    yield Step("3 modules; no binutils either; key rotated, then sign -k",
               m.run("kernel-sign", "sign", "-k", m.kernel), 0, {key: installed("ec")})


# The way of kernel-sign 3.0

def links(m):
    """The module has a hook of its own, as zfs has."""
    m.key("rsa")
    conf = ['POST_BUILD="scripts/dkms.postbuild -n ${PACKAGE_NAME} -k ${kernelver} -t ${dkms_tree}"']
    for version in ("1.0", "2.0"):
        m.source("own", version, ["own"], conf=conf)
        status = 0 if version == "1.0" else 3
        m.write(f"/usr/src/own-{version}/scripts/dkms.postbuild",
                f'#!/bin/sh\necho given "$@" >/root/own-{version}\nexit {status}\n', 0o755)
        m.must("dkms", "add", f"own/{version}")
    m.register("one", "1.0")
    m.must("kernel-sign", "dkms", "install-files", "/")
    no_sign_file(m)
    for package in ("one", "own"):
        os.symlink("kernel-sign.conf", m.path(f"/etc/dkms/{package}.conf"))
    yield Step("3.0's links, no drop-in", m.dkms("install", "one/1.0"), 0, one(m, installed("rsa")))
    outcome = m.dkms("install", "own/1.0")
    said = m.run("cat", "/root/own-1.0").output.strip()
    wanted = f"given -n own -k {m.kernel} -t {TREE}"
    yield Step("3.0's links, a POST_BUILD of the module's own is run too", outcome, 0,
               {("own", "1.0", m.kernel): installed("rsa")},
               faults=[] if said == wanted else [f"it was given {said!r}, not {wanted!r}"])
    m.must("dkms", "remove", "own/1.0", "--all")
    outcome = m.dkms("install", "own/2.0")
    if m.old:
        yield Step("DKMS: the module's own POST_BUILD fails, 3.0 does not look", outcome, 0,
                   {("own", "2.0", m.kernel): installed("rsa")})
    else:
        yield Step("the module's own POST_BUILD fails", outcome, 3, {("own", "2.0", m.kernel): BUILT})
    # 3.0's file, which knows no gate.
    m.must("dkms", "remove", "one/1.0", "--all")
    m.must("dkms", "add", "one/1.0")
    m.write("/etc/dkms/kernel-sign.conf", "POST_BUILD=../../../../../../etc/dkms/kernel-sign.sh\n")
    yield Step("3.0's own kernel-sign.conf with the new script", m.dkms("install", "one/1.0"), 0,
               one(m, installed("rsa")))


# Kernels, trees, keys

def at_once(m):
    ready(m, "one", "trio")
    first, second = m.kernel, m.other_kernel
    outcome = m.at_once(["dkms", "install", "one/1.0", "-k", first], ["dkms", "install", "trio/1.0", "-k", second])
    yield Step("two kernels at once, two packages", outcome, 0,
               {("one", "1.0", first): installed("rsa"), ("trio", "1.0", second): installed("rsa")})
    autoinstall = "dkms", "autoinstall", "-j", "2", "-k"
    yield Step("autoinstall -j 2 of the rest", m.run(*autoinstall, first) & m.run(*autoinstall, second), 0,
               {(package, "1.0", kernel): installed("rsa") for package in ("one", "trio")
                for kernel in (first, second)})
    m.must("dkms", "remove", "one/1.0", "--all")
    m.must("dkms", "add", "one/1.0")
    outcome = m.at_once(*(["dkms", "install", "one/1.0", "-k", kernel] for kernel in (first, second)))
    # DKMS builds both in the same directory.
    yield Step("DKMS: two kernels at once, one package: signed or nothing", outcome, ANY,
               {("one", "1.0", kernel): Want(ANY, ("rsa", NOTHING)) for kernel in (first, second)})


def without_signatures(text):
    return re.sub(r"(?m)^.*CONFIG_MODULE_SIG\b.*\n|^.*CONFIG_MODULE_SIG_.*\n", "", text)


def no_module_sig(m):
    kernel = m.kernel_variant("nosig", without_signatures)
    ready(m, "one", "own")
    yield Step("kernel without CONFIG_MODULE_SIG", m.dkms("install", "one/1.0", kernel=kernel), 0,
               one(m, installed("rsa"), kernel))
    m.must("kernel-sign", "dkms", "disable", "own")
    outcome = m.dkms("install", "own/1.0", kernel=kernel)
    # 3.0 signs for any kernel, 3.2 not for this one.
    yield Step("kernel without CONFIG_MODULE_SIG, drop-in alone", outcome, 0,
               {("own", "1.0", kernel): installed("rsa" if m.old else UNSIGNED)})


def no_module_sig_no_key(m):
    kernel = m.kernel_variant("nosig", without_signatures)
    ready(m, "one")
    garbage_key(m)
    yield Step("kernel without CONFIG_MODULE_SIG, key unreadable: it wants none",
               m.dkms("install", "one/1.0", kernel=kernel), 0, one(m, installed(UNSIGNED), kernel))


def compresses(kind):
    """A kernel whose config says that its modules are compressed so, and that it can read that itself."""
    def change(text):
        text = re.sub(r"(?m)^.*CONFIG_MODULE_(DE)?COMPRESS\b.*\n|^.*CONFIG_MODULE_COMPRESS_.*\n", "", text)
        return text + f"CONFIG_MODULE_COMPRESS=y\nCONFIG_MODULE_COMPRESS_{kind}=y\nCONFIG_MODULE_DECOMPRESS=y\n"
    return change


def compressed(kind, extension):
    def story(m):
        if extension == ".gz":
            m.depmod_reads_gzip()
        kernel = m.kernel_variant(kind.lower(), compresses(kind), extension)
        ready(m, "one")
        yield Step(f"modules in {kind.lower()}, which the kernel reads itself",
                   m.dkms("install", "one/1.0", kernel=kernel), 0, one(m, installed("rsa"), kernel))
    story.__name__ = f"modules in {kind.lower()}"
    return story


def xz_by_kmod(m):
    def change(text):
        return compresses("XZ")(text).replace("CONFIG_MODULE_DECOMPRESS=y\n", "")

    kernel = m.kernel_variant("kmodxz", change, ".xz")
    ready(m, "one")
    yield Step("modules in xz, which the kernel leaves to kmod", m.dkms("install", "one/1.0", kernel=kernel), 0,
               one(m, installed("rsa"), kernel))


def other_tree(what, tree):
    def story(m):
        m.write("/etc/dkms/framework.conf.d/tree.conf", f"dkms_tree={tree}\n")
        os.makedirs(m.path(tree))
        ready(m, "one")
        m.remove(DROP_IN)
        no_sign_file(m)
        yield Step(f"dkms_tree {what}: the hook signs", m.dkms("install", "one/1.0"), 0, one(m, installed("rsa")))
        m.key("ec")
        yield Step(f"dkms_tree {what}: key rotated, then sign -k", m.run("kernel-sign", "sign", "-k", m.kernel), 0,
                   one(m, installed("ec")))
        m.must("dkms", "uninstall", "one/1.0", "-k", m.kernel)
        m.must("kernel-sign", "unsign", "-k", m.kernel, "-d", f"{tree}/one/1.0/{m.kernel}/x86_64/module")
        yield Step(f"dkms_tree {what}: unsigned is refused", m.dkms("install", "one/1.0"), REFUSED, one(m, BUILT),
                   says=(ADVICE,))
    story.__name__ = f"dkms_tree {what}"
    return story


def symlinks(m):
    m.write("/etc/dkms/framework.conf.d/link.conf", "symlink_modules=yes\n")
    ready(m, "one")
    yield Step("symlink_modules", m.dkms("install", "one/1.0"), 0, one(m, installed("rsa", links=True)))
    m.key("ec")
    yield Step("symlink_modules: key rotated, then sign -k", m.run("kernel-sign", "sign", "-k", m.kernel), 0,
               one(m, installed("ec", links=True)))


def kernels_key(m):
    """The kernel has a key of its own, beside DKMS's."""
    store = f"/usr/src/linux-headers-{m.kernel}/certs-local/20260101-0000"
    os.makedirs(m.path(store))
    m.copy(os.path.join(KEYS, "ec.key"), store + "/signing_key.pem")
    m.copy(cert("ec"), store + "/signing_crt.crt", 0o644)
    os.symlink("20260101-0000", os.path.join(os.path.dirname(m.path(store)), "current"))
    ready(m, "one", "own", "trio")
    m.must("kernel-sign", "dkms", "disable", "one")

    # DKMS 3.2 shows what sign_file says only if that fails.
    def says(text):
        return (text,) if m.old else ()

    yield Step("dkms-key = dkms, the kernel has its own: drop-in alone", m.dkms("install", "one/1.0"), 0,
               one(m, installed("rsa")), says=says("dkms-key"))
    yield Step("dkms-key = dkms, the kernel has its own: drop-in and hook", m.dkms("install", "own/1.0"), 0,
               {("own", "1.0", m.kernel): installed("ec")}, says=says("the hook signs with"))
    m.write("/etc/kernel-sign.conf", "dkms-key = kernel\n")
    yield Step("dkms-key = kernel", m.dkms("install", "trio/1.0"), 0, {("trio", "1.0", m.kernel): installed("ec")},
               says=says("certs-local"))


WITHOUT = [dkms_alone]  # kernel-sign is not installed
STORIES = [
    life, packages, bare, links, at_once, no_module_sig, no_module_sig_no_key,
    compressed("XZ", ".xz"), compressed("GZIP", ".gz"), compressed("ZSTD", ".zst"), xz_by_kmod,
    other_tree("deeper", "/srv/a/b/c/d/e/f/dkms"), other_tree("shallower", "/dkms"),
    symlinks, kernels_key,
]
