# SPDX-License-Identifier: MIT
"""Rows that could not go red would prove nothing: breaks what good rows have seen, and takes away what makes
them good. Each function returns faults; here a fault is a broken thing that went through."""
import os

import hooks
import judge
from machine import HOOK, NOTHING, TREE, Module, Outcome
from refusals import foreign, gated, unsigned
from step import Step, installed, one, ready
from verdict import Seen, judge_step, look


def faults_of(machine, step):
    return judge_step(step, look(machine, step))


def installed_path(m):
    return m.installed("one", m.kernel)[0]


def rewrite(m, change):
    """The installed module's bytes, as CHANGE makes them, in DKMS's tree too."""
    path = installed_path(m)
    data = change(judge.content(path))
    if path.endswith(".xz"):
        _, data, _ = judge.run(["xz", "-c", "--check=crc32"], input=data)
    for place in (path, m.path(f"{TREE}/one/1.0/{m.kernel}/x86_64/module/{os.path.basename(path)}")):
        with open(place, "wb") as stream:
            stream.write(data)


def flipped(data, where):
    return data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :]


def sign_by_other(m):
    foreign(m)
    m.must("kernel-sign", "sign", "-k", m.kernel, "-d", f"/lib/modules/{m.kernel}/updates/dkms",
           "--key", "/root/foreign.key", "--cert", "/root/foreign.der")


def doubt_observation(m):
    """Of an installed module, which is then broken in each way that there is a judge for."""
    ready(m, "one")
    outcome = m.dkms("install", "one/1.0")
    step = Step("", outcome, 0, one(m, installed("rsa")), says=("Installing|Installation",))
    faults = faults_of(m, step)
    good, tree = judge.content(installed_path(m)), f"{TREE}/one/1.0/{m.kernel}/x86_64/module/one.ko{m.extension}"
    breaks = {
        "the signature taken off": lambda: rewrite(m, lambda data: judge.split(data)[0]),
        "a bit of the signature flipped": lambda: rewrite(m, lambda data: flipped(data, len(data) - 60)),
        "a bit of the image flipped": lambda: rewrite(m, lambda data: flipped(data, 100)),
        "cut short": lambda: rewrite(m, lambda data: data[: len(data) // 2]),
        "signed by another key": lambda: sign_by_other(m),
        "DKMS's copy is another": lambda: m.write(tree, "another"),
        "not installed": lambda: os.remove(installed_path(m)),
    }
    for what, spoil in breaks.items():
        rewrite(m, lambda data: good)
        spoil()
        if not faults_of(m, step):
            faults.append(f"went through: {what}")
    return faults


def doubt_order(m):
    """A hook that runs in front of DKMS signs nothing: its name is what makes the row good."""
    hooks.start(m)
    scripts = m.path("/etc/kernel/postinst.d")
    os.rename(f"{scripts}/dkms-kernel-sign", f"{scripts}/a-kernel-sign")
    outcome = hooks.postinst(m, m.kernel)
    seen = faults_of(m, Step("", outcome, 0, one(m, installed("rsa")), faults=hooks.ram(m, m.kernel, "rsa")))
    return [] if any("unsigned" in fault for fault in seen) else [f"went through: {seen}"]


def doubt_outcome(m):
    step = Step("", Outcome(0, "said"), 0, {}, says=("said",))
    faults = judge_step(step, {})
    for what, broken in {
        "another exit status": Step("", Outcome(1, "said"), 0, {}, says=("said",)),
        "nothing said": Step("", Outcome(0, ""), 0, {}, says=("said",)),
        "a fault of the story's own": Step("", Outcome(0, "said"), 0, {}, faults=["fault"]),
    }.items():
        if not judge_step(broken, {}):
            faults.append(f"went through: {what}")
    return faults


def doubt_seen(m):
    """Each thing that is looked at, seen otherwise."""
    words = {"signer": "somebody", "sig_key": "01"}
    step = Step("", Outcome(0, ""), 0, one(m, installed("rsa")))

    def seen(state="installed", differs=False, links=False, **module):
        looked = {"signed": "rsa", "shown": words, "wanted": words, "verify": 0} | module
        return dict.fromkeys(step.want, Seen(state, differs, {"one": Module(**looked)}, links))

    faults = judge_step(step, seen())
    for what in ({"state": "built"}, {"differs": True}, {"links": True}, {"signed": "other"}, {"signed": NOTHING},
                 {"shown": words | {"sig_key": "02"}}, {"verify": 2}, {"container": "xz check CRC64"}):
        if not judge_step(step, seen(**what)):
            faults.append(f"went through: {what}")
    return faults


def doubt_gate(m):
    """A gate that lets all pass."""
    def spoil(machine):
        unsigned(machine)
        machine.write(HOOK, "#!/bin/sh\n", 0o755)

    return [f"went through: {step.name}" for step in gated("an unsigned module and no gate", spoil)(m)
            if not faults_of(m, step)]


def doubt_signer(m):
    """A sign_file that does nothing, and no hook."""
    m.key("rsa")
    m.register("one", "1.0")
    m.write("/etc/dkms/framework.conf.d/kernel-sign.conf", "sign_file=/bin/true\n")
    step = Step("", m.dkms("install", "one/1.0"), 0, one(m, installed("rsa")))
    return [] if faults_of(m, step) else ["went through: a sign_file that does nothing"]


DOUBTS = {
    "rows go red: a module broken after it was installed": doubt_observation,
    "rows go red: exit status and words": doubt_outcome,
    "rows go red: each thing that is looked at": doubt_seen,
    "rows go red: the gate's script does nothing": doubt_gate,
    "rows go red: sign_file does nothing": doubt_signer,
    "rows go red: a hook in front of DKMS": doubt_order,
}
