# SPDX-License-Identifier: MIT
"""The rows in which a kernel is installed: by Debian's run-parts, kernel-install and pacman themselves, with the hooks
that "make install" has laid. DKMS has no drop-in and no hook of kernel-sign's, and no sign-file of the kernel's: what it
installs is unsigned, and who signs it is known."""
import io
import os
import re
import tarfile

from machine import NOTHING, UNSIGNED, file
from step import Step, Want, installed, no_sign_file, one



def says(kernel, done="signed"):
    return (rf"(?m)^kernel-sign: {re.escape(kernel)}: 1 {done}, 0 failed, of 1 modules$",)



def start(m, *packages):
    m.key("rsa")
    for package in packages or ("one",):
        m.register(package, "1.0")
    no_sign_file(m)
    for kernel in (m.kernel, m.other_kernel):
        m.must("cp", f"/usr/src/linux-headers-{kernel}/.config", f"/boot/config-{kernel}")
        m.write(f"/boot/vmlinuz-{kernel}", "an image\n")
    # It is not the root's own disk that this initramfs is for.
    m.write("/etc/initramfs-tools/conf.d/test", "MODULES=list\nBUSYBOX=n\nRESUME=none\nFSTYPE=ext4\n")
    m.write("/etc/initramfs-tools/modules", "one\n")


def postinst(m, kernel, folder="postinst.d"):
    """As the packages of kernels and headers do, configured."""
    return m.run("env", "DEB_MAINT_PARAMS='configure' ''", "run-parts", "--report", "--exit-on-error",
                 f"--arg={kernel}", f"--arg=/boot/vmlinuz-{kernel}", f"/etc/kernel/{folder}")


def in_initramfs(m, kernel):
    """Who signed the copy of the module "one" there."""
    m.remove("/tmp/ram")
    m.must("unmkinitramfs", f"/boot/initrd.img-{kernel}", "/tmp/ram")
    found = [os.path.join(folder, name) for folder, _, names in os.walk(m.path("/tmp/ram")) for name in names
             if name.startswith("one.ko")]
    return m.signed_by(found[0])[0] if len(found) == 1 else f"{len(found)} copies" if found else NOTHING


def ram(m, kernel, signed):
    found = in_initramfs(m, kernel)
    return [] if found == signed else [f"in the initramfs: {found}, not {signed}"]


def stamp(m, kernel):
    status = os.stat(m.path(f"/boot/initrd.img-{kernel}"))
    return status.st_mtime_ns, status.st_ino


def debian(m):
    start(m)
    first, second = m.kernel, m.other_kernel
    outcome = postinst(m, first)
    yield Step("a kernel installed: DKMS builds, the hook signs, the initramfs has it so", outcome, 0,
               one(m, installed("rsa"), first), says=says(first), faults=ram(m, first, "rsa"))
    before = stamp(m, first)
    outcome = postinst(m, first, "header_postinst.d")
    yield Step("headers installed, nothing changed: the initramfs stays", outcome, 0, one(m, installed("rsa"), first),
               says=says(first, "already signed"), faults=["it was made anew"] if stamp(m, first) != before else [])
    # The image came first, and with it an initramfs of a module that nobody had signed.
    m.must("dkms", "install", "one/1.0", "-k", second)
    m.must("update-initramfs", "-c", "-k", second)
    faults = ram(m, second, UNSIGNED)
    outcome = postinst(m, second, "header_postinst.d")
    yield Step("headers installed behind the image: signed, and the initramfs made anew", outcome, 0,
               one(m, installed("rsa"), second), says=says(second),
               faults=faults + ram(m, second, "rsa"))
    m.key("ec")
    m.must("kernel-sign", "sign", "-k", second)
    told = m.run("kernel-sign", "status", "-k", second)
    yield Step("key rotated, then sign: status names the initramfs", told, 0, one(m, installed("ec"), second),
               says=(rf"(?m)^/boot/initrd.img-{re.escape(second)}: has old copies of modules \(one\); "
                     rf'"update-initramfs -u -k {re.escape(second)}" makes it anew$',), faults=ram(m, second, "rsa"))
    outcome = m.run("kernel-sign", "sign", "-k", second, "--update-initramfs")
    yield Step("sign --update-initramfs", outcome, 0, one(m, installed("ec"), second),
               faults=ram(m, second, "ec"))


def debian_without_key(m):
    start(m)
    m.remove("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub")
    m.must("dkms", "install", "one/1.0", "-k", m.kernel)
    m.remove("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub")  # DKMS makes one
    outcome = m.run("/etc/kernel/postinst.d/dkms-kernel-sign", m.kernel)
    yield Step("no key: the kernel's installation goes on", outcome, 0, one(m, installed(UNSIGNED)),
               says=("(?m)^kernel-sign: no signing key found: ",))
    m.write("/etc/kernel-sign.conf", "kernel-hook = fail\n")
    parts = m.run("run-parts", "--exit-on-error", f"--arg={m.kernel}", "--regex=^dkms-kernel-sign$",
                  "/etc/kernel/postinst.d")
    yield Step("no key, kernel-hook = fail: it does not", parts, 1, one(m, installed(UNSIGNED)))
    m.write("/etc/kernel-sign.conf", "kernel-hook = off\n")
    m.key("rsa")
    yield Step("kernel-hook = off", m.run("/etc/kernel/postinst.d/dkms-kernel-sign", m.kernel), 0,
               one(m, installed(UNSIGNED)))


def kernel_install(m):
    start(m)
    m.write("/etc/kernel/cmdline", "root=/dev/vda\n")
    m.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    m.must("mkdir", "-p", "/boot/0123456789abcdef0123456789abcdef")
    if m.old:  # its plugin of DKMS's has no name that kernel-install takes
        m.must("dkms", "install", "one/1.0", "-k", m.kernel)
    image = f"/boot/vmlinuz-{m.kernel}"
    outcome = m.run("kernel-install", "--verbose", "add", m.kernel, image)
    wanted = ["40-dkms.install"] * (not m.old) + ["45-kernel-sign.install", "50-depmod.install"]
    ran = [name for name in wanted if f"{name} add" in outcome.output]
    order = [outcome.output.find(f"{name} add") for name in ran]
    yield Step("kernel-install add: behind DKMS, in front of what makes an initramfs", outcome, 0,
               one(m, installed("rsa")), says=says(m.kernel),
               faults=[] if ran == wanted and order == sorted(order) else [f"plugins: {ran}"])
    m.write(f"/lib/modules/{m.kernel}/updates/broken.ko", "no module\n")
    outcome = m.run("kernel-install", "add", m.kernel, image)
    yield Step("kernel-install add with a broken module: it is named, the kernel is added", outcome, 0,
               one(m, installed("rsa")), says=(r"(?m)^kernel-sign: \S*/updates/broken.ko: ",))
    m.write("/etc/kernel-sign.conf", "kernel-hook = fail\n")
    outcome = m.run("kernel-install", "add", m.kernel, image)
    yield Step("kernel-install add, kernel-hook = fail: the kernel is not added", outcome, 1,
               one(m, installed("rsa")), says=(r"(?m)^kernel-sign: \S*/updates/broken.ko: ",))


def package(m, name, files):
    """A package of pacman's: FILES of the machine, under the names that they get."""
    path = f"/{name}-1-1-any.pkg.tar"
    m.write("/.PKGINFO", f"pkgname = {name}\npkgver = 1-1\npkgdesc = test\nurl = none\nbuilddate = 1\npackager = none\n"
            "size = 1\narch = any\n")
    with tarfile.open(m.path(path), "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(m.path("/.PKGINFO"), ".PKGINFO")
        for inside, data in files.items():
            entry = tarfile.TarInfo(inside)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def pacman(m, path):
    return m.run("pacman", "-U", "--noconfirm", "--config", "/etc/pacman-test.conf", path)


def arch(m):
    start(m)
    m.write("/etc/pacman-test.conf", "[options]\nArchitecture = auto\nSigLevel = Never\nHookDir = /etc/pacman.d/hooks/\n")
    m.must("dkms", "install", "one/1.0", "-k", m.kernel)
    # What makes an initramfs there comes behind.
    m.write("/usr/share/libalpm/hooks/90-order.hook", "[Trigger]\nType = Path\nOperation = Install\n"
            "Target = usr/lib/modules/*/vmlinuz\n[Action]\nWhen = PostTransaction\n"
            f"Exec = /usr/bin/kernel-sign verify -k {m.kernel} one\n")
    path = package(m, "linux-test", {f"usr/lib/modules/{m.kernel}/vmlinuz": b"an image\n"})
    outcome = pacman(m, path)
    yield Step("pacman installs a kernel: the hook signs what DKMS built, in front of mkinitcpio's", outcome, 0,
               one(m, installed("rsa")), says=(*says(m.kernel), "Signing out-of-tree kernel modules",
                                               r"(?m)one\S*: good"))
    module = m.installed("one", m.kernel)[0]
    name = os.path.basename(module)
    m.must("dkms", "remove", "one/1.0", "--all")
    m.must("dkms", "add", "one/1.0")
    m.must("dkms", "build", "one/1.0", "-k", m.kernel)
    built = m.path(f"/var/lib/dkms/one/1.0/{m.kernel}/x86_64/module/{name}")
    path = package(m, "one-modules", {f"usr/lib/modules/{m.kernel}/updates/{name}": file(built)})
    outcome = pacman(m, path)
    yield Step("pacman installs a package with a module", outcome, 0,
               one(m, Want("built", "rsa")), says=says(m.kernel))
    m.must("rm", "-r", f"/usr/lib/modules/{m.kernel}/updates")
    m.must("dkms", "install", "one/1.0", "-k", m.kernel)
    path = package(m, "one-dkms", {"usr/src/one-1.1/dkms.conf": b"PACKAGE_NAME=one\n"})
    yield Step("pacman installs a package for DKMS: every kernel", pacman(m, path), 0, one(m, installed("rsa")),
               says=says(m.kernel))


STORIES = [debian, debian_without_key, kernel_install, arch]
