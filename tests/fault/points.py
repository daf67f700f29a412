# SPDX-License-Identifier: MIT
"""Points of failure: which there are in a scene, and what is wrong after one of them."""
import collections
import concurrent.futures
import multiprocessing
import os
import re
import signal

import inject
import power
import scenes

CHUNK = 250  # points that one server is asked for
HANGS = 3  # after so many runs that hang it is asked for no more

# What fails: the CALL-th of that name, or an allocation by its number. The order of calls of different
# names is not the same in each run, for memory is asked for as it comes.
Point = collections.namedtuple("Point", "kind name call action error allocation all_after")
Verdict = collections.namedtuple("Verdict", "point faults signal status")

SPEAKER = re.compile(r"(kernel-sign|sign-file)( [a-z-]+)?: ")  # whose message a line is
LIBRARY = "no memory, a library crashes"
STARVING = "no memory on"
ERRORS_THAT_STAY = ("ENOSPC", "EDQUOT", "EROFS", "EIO")
CHANGING = ("write", "pwrite64", "fsync", "fdatasync", "mkdir", "mkdirat", "link", "linkat", "symlink",
            "symlinkat", "rename", "renameat", "renameat2")


def call_points(calls):
    """Each call failing in each way, being cut short, and being the last before SIGKILL."""
    for call in calls:
        for error in inject.errors_of(call):
            yield Point(error, call.name, call.index, inject.FAIL, inject.number_of(error), 0, 0)
        if call.name in ("read", "write") and call.result > 1:
            yield Point("short", call.name, call.index, inject.SHORT, 0, 0, 0)
        if call.name == "write" and call.result > 1 and call.args[0] > 2:
            yield Point("SIGKILL", call.name, call.index, inject.SHORT_KILL, 0, 0, 0)
        yield Point("SIGKILL", call.name, call.index, inject.KILL, 0, 0, 0)
        if call.name in CHANGING or call.makes_file():
            for error in ERRORS_THAT_STAY:
                yield Point(f"{error} on", call.name, call.index, inject.FAIL_ALL,
                            inject.number_of(error), 0, 0)


def allocation_points(total, stride, first=1):
    for number in range(first, total + 1, stride):
        yield Point("no memory", "malloc", 0, inject.NONE, 0, number, 0)


def starving_points(total, stride, first=1):
    """From one allocation on there is no memory at all."""
    for number in range(first, total + 1, stride):
        yield Point(STARVING, "malloc", 0, inject.NONE, 0, number, 1)


def message_faults(scene, point, result):
    lines = [line for line in result.err.splitlines() if SPEAKER.match(line)]
    if not lines:
        return ["failed without a word"]
    if any("/" in line or "standard output" in line or any(f" {word}: " in line for word in scene.argv)
           for line in lines):
        return []
    # Without memory there may not even be a name.
    return [] if point.allocation else [f"the message names no file: {lines}"]


def may_leave(scene, point, result):
    """Where a failure may leave something for the next run to remove: without any memory nobody finds out
    what is in a directory, and an old key that was to be removed anyway may be so in part."""
    return result.status == 1 and (point.kind == STARVING or bool(getattr(scene, "prunes", ())))


def outcome_faults(scene, point, result, state):
    """After a run that ended by itself."""
    if result.signal:
        return ["hangs"] if result.hangs() else [f"ended by signal {result.signal}"]
    faults = scene.faults(state, result.status == 0)
    if result.status not in (0, scene.failure):
        faults.append(f"exit status {result.status}")
    if result.status:
        faults += message_faults(scene, point, result)
    # What cannot be removed stays.
    if not may_leave(scene, point, result) and point.name not in ("unlink", "unlinkat", "rmdir") and not point.kind.startswith("EROFS"):
        faults += scenes.left_overs(state)
        if result.status:
            faults += getattr(scene, "orphans", lambda state: [])(state)
    return faults


def is_librarys(scene, result):
    """A crash of libcrypto, json-c's parser or getpwuid(), or an abort() of theirs: they do not survive every missing
    allocation, and inject.so says where that was; not so in the confined threads that parse requests."""
    if result.signal == signal.SIGABRT:
        return any(words in result.err for words in ("OpenSSL internal error: ", ": nss_database_"))
    frames = [line for line in result.err.splitlines() if line.startswith("/") and "(" in line]
    outer = [line for line in frames if not any(own in line for own in ("/inject.so(", "/libc.so"))]
    return result.signal == signal.SIGSEGV and (
        any("(getpwuid+" in line for line in frames) or
        ("/libcrypto.so" in outer[0] or "/libjson-c.so" in outer[0] if outer else getattr(scene, "reads_json", False)))


def again_faults(scene, server, top):
    """After SIGKILL: an ordinary run does what is left, and cleans up."""
    result = server.run(modes=scene.modes)
    state = scenes.snapshot(top)
    faults = [] if result.status == 0 else [f"{result}"]
    return [f"in the next run: {fault}" for fault in
            faults + scene.faults(state, True) + scenes.left_overs(state)], state


def tried(scene, server, top, point, modes=0):
    """(verdict, the tree afterwards), or (None, tree) if the run did not come so far."""
    result = server.run(point.name, point.call, point.action, point.error, point.allocation, point.all_after,
                        modes | scene.modes)
    state = scenes.snapshot(top)
    if not result.hit:
        return None, state
    if point.allocation and is_librarys(scene, result):
        point = point._replace(kind=LIBRARY)
    if (point.kind == "SIGKILL" and result.killed()) or point.kind == LIBRARY:
        faults = scene.faults(state, False)
        if not faults:
            faults, state = again_faults(scene, server, top)
    else:
        faults = outcome_faults(scene, point, result, state)
        if may_leave(scene, point, result) and not faults and scenes.left_overs(state):
            faults, state = again_faults(scene, server, top)
    if faults:
        faults.append(str(result))
    return Verdict(point, faults, result.signal, result.status), state


class Worker:
    """One process with a directory of its own; scenes and their fixtures are those of its parent."""

    def __init__(self, library, all_scenes, scratch):
        self.library, self.scenes, self.scratch = library, all_scenes, scratch

    def chunk(self, job):
        name, points, modes = job
        scene, verdicts = self.scenes[name], []
        top = scenes.cleared(os.path.join(self.scratch, f"worker-{os.getpid()}"))
        scenes.place(scene, top)
        server = inject.Server(self.library, scene.argv, top)
        for point in points:
            verdict, state = tried(scene, server, top, point, modes)
            scenes.restore(top, scene.tree, state)
            if verdict:
                verdicts.append(verdict)
            if sum(verdict.signal == signal.SIGALRM for verdict in verdicts) == HANGS:
                break
        server.close()
        return name, verdicts


WORKER = None


def _chunk(job):
    return WORKER.chunk(job)


def run_all(worker, jobs, processes):
    """Yields (scene's name, verdicts) for jobs (scene's name, points, modes)."""
    global WORKER
    WORKER = worker
    pieces = [(name, points[at:at + CHUNK], modes) for name, points, modes in jobs
              for at in range(0, len(points), CHUNK)]
    # This kind of pool says so when a process of its own is killed, where others wait for ever.
    pool = concurrent.futures.ProcessPoolExecutor(
        processes, multiprocessing.get_context("fork"), signal.signal, (signal.SIGTERM, signal.SIG_DFL))
    try:
        for piece in concurrent.futures.as_completed([pool.submit(_chunk, piece) for piece in pieces]):
            yield piece.result()
    finally:
        pool.shutdown(cancel_futures=True)


def rehearse(scene, library, top):
    """(faults, calls, allocations) of a run without faults; twice, for it has to be the same."""
    scenes.cleared(top)
    scenes.place(scene, top)
    server = inject.Server(library, scene.argv, top)
    result = server.run(modes=inject.RECORD | scene.modes)
    calls, state = server.calls(), scenes.snapshot(top)
    faults = [] if result.status == 0 else [str(result)]
    faults += scene.rehearse(top, state) + scene.proof(top, state) + scene.faults(state, True)
    faults += scenes.left_overs(state)
    server.close()
    return faults, calls, result.allocations


def power_faults(scene, library, top, modes, reorder=lambda calls: calls):
    """(number of trees, faults) of what a power loss may leave of one run."""
    scenes.cleared(top)
    scenes.place(scene, top)
    server = inject.Server(library, scene.argv, top)
    disk = power.Disk(top, scene.tree)
    result = server.run(modes=modes | inject.RECORD | scene.modes)
    calls = reorder(server.calls())
    server.close()
    count, faults = power.lost(scene, disk, calls)
    if result.status != 0:
        faults.append(str(result))
    if disk.cut_off and not modes:
        faults.append(f"{disk.cut_off} moments have more trees than were looked at")
    return count, faults
