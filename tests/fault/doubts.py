# SPDX-License-Identifier: MIT
"""Faults that are planted, by modes of inject.so or in a tree: the judges have to find each of them."""
import inject
import points
import scenes


def finds(scene, library, top, modes, wanted, choose):
    """Tries the points that CHOOSE takes; whether a fault says WANTED."""
    points.rehearse(scene, library, top)
    _, calls, allocations = points.rehearse(scene, library, top)
    found = [point for point in [*points.call_points(calls), *points.allocation_points(allocations, 97)]
             if choose(point)]
    scenes.cleared(top)
    scenes.place(scene, top)
    server = inject.Server(library, scene.argv, top)
    seen = []
    for point in found:
        verdict, state = points.tried(scene, server, top, point, modes)
        scenes.restore(top, scene.tree, state)
        seen += verdict.faults if verdict else []
        if any(wanted in fault for fault in seen):
            break
    server.close()
    return [] if any(wanted in fault for fault in seen) else [
        f"no '{wanted}' in {len(found)} points: {seen[:3]}"]


def one_of(name, kind):
    return lambda point: point.name in name and point.kind == kind


def power_finds(scene, library, top, modes, wanted):
    points.rehearse(scene, library, top)
    faults = points.power_faults(scene, library, top, modes)[1]
    return [] if any(wanted in fault for fault in faults) else [f"no '{wanted}': {faults[:3]}"]


def doubts(fixtures, library, top):
    """Yields (what is planted, [] if it was found)."""
    def sign():
        return scenes.sign_scene(fixtures, "sign", "")

    genkeys, *_ = scenes.genkeys_scenes(fixtures)
    install, *_ = scenes.install_scenes(fixtures)
    where = (library, top)
    yield "files that are not synced", power_finds(sign(), *where, inject.NO_FILE_SYNC, "neither old nor new")
    yield "directories that are not synced", power_finds(sign(), *where, inject.NO_DIR_SYNC, "still old")
    yield "keys that are not synced", power_finds(genkeys, *where, inject.NO_FILE_SYNC, "current")
    yield "key directories that are not synced", power_finds(install, *where, inject.NO_DIR_SYNC, "lost")
    yield "a module that is gone while it is replaced", finds(
        sign(), *where, inject.TORN_RENAME, "neither old nor new", one_of(("renameat",), "SIGKILL"))
    yield "half a module, and nobody told", finds(
        sign(), *where, inject.SWALLOW, "neither old nor new", one_of(("fchmod",), "EIO"))
    yield "a temporary file that stays", finds(
        sign(), *where, inject.KEEP_TEMP, "left over", one_of(("renameat",), "EIO"))
    yield "what SIGKILL left, and the next run does not remove", stale(sign(), *where)
    yield "an exit status that lies", finds(
        sign(), *where, inject.LIE, "still old", one_of(("renameat",), "EIO"))
    yield "a failure without a word", finds(
        sign(), *where, inject.MUTE, "without a word", one_of(("renameat",), "EIO"))
    yield "a crash", finds(sign(), *where, inject.CRASH, "signal 6", one_of(("malloc",), "no memory"))
    yield "a run that never ends", finds(sign(), *where, inject.HANG, "hangs", one_of(("malloc",), "no memory"))
    yield "a key without its last file", half_a_key(genkeys, *where)
    yield "an order of renames that loses a module", renamed_too_early(sign(), *where)


def stale(scene, library, top):
    """A left-over that no run of ours would remove, for its name is not one of ours."""
    points.rehearse(scene, library, top)
    name = f"{scenes.KERNEL}/extra/{scenes.TEMPORARY}of-somebody"
    scene.tree = {**scene.tree, name: scenes.file(b"")}
    scene.final = {**scene.final, name: scenes.file(b"")}
    scenes.cleared(top)
    scenes.place(scene, top)
    server = inject.Server(library, scene.argv, top)
    faults, _ = points.again_faults(scene, server, top)
    server.close()
    return [] if any("left over" in fault for fault in faults) else [str(faults)]


def half_a_key(scene, library, top):
    points.rehearse(scene, library, top)
    state = dict(scene.final)
    directory, = scene.new_keys(state)
    missed = []
    for name in scenes.PAIR:
        without = {path: what for path, what in state.items() if path != f"{directory}/{name}"}
        missed += [] if scene.faults(without, False) else [f"{name} is gone, and that passes"]
    without = {path: what for path, what in state.items() if not path.startswith(directory)}
    return missed + ([] if scene.faults(without, False) else ["current leads nowhere, and that passes"])


def renamed_too_early(scene, library, top):
    """The log as it would be if the new file got its name before it was written."""
    points.rehearse(scene, library, top)
    faults = points.power_faults(scene, library, top, 0, early)[1]
    return [] if any("neither old nor new" in fault for fault in faults) else [str(faults[:3])]


def early(calls):
    """Each rename, with the link before it, moved in front of the first write to that file."""
    calls = list(calls)
    for call in [call for call in calls if call.name == "linkat"]:
        rename = next(other for other in calls if other.name == "renameat" and other.path == call.second)
        write = next(other for other in calls if other.name == "write" and other.inode == call.inode)
        for moved in (call, rename):
            calls.remove(moved)
        at = calls.index(write)
        calls[at:at] = [call, rename]
    return calls
