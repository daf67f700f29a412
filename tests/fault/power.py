# SPDX-License-Identifier: MIT
"""Power loss: which trees a disk may hold after the calls of a log, if it keeps no more than what
fsync promises (POSIX, strictly). A file's bytes and mode are on disk when it was synced; a name in a
directory is when that directory was, and until then it is what it was at any time since, each name
for itself; what was written and not synced may be there, cut, or not at all."""
import itertools
import os

MOST_STATES = 4096  # of one moment; that is never reached where directories are synced in time
DIRECTORY, FILE, LINK = "d", "f", "l"
MASK = os.umask(0o22)  # of what is made with a mode, here and in the programs that are started
os.umask(MASK)


class Node:
    """A file, a directory or a link: what it has been since it was last synced."""

    def __init__(self, kind, value=None):
        self.kind = kind
        # of a file (mode, bytes, attributes), of a link its target; of a directory its mode
        self.versions = [value]
        self.names = {}  # of a directory: name -> [Node or None, ...] since the last sync

    def now(self, name):
        return self.names.get(name, [None])[-1]

    def name(self, name, node):
        self.names.setdefault(name, [None]).append(node)

    def change(self, value):
        self.versions.append(value)

    def sync(self):
        if self.kind == DIRECTORY:
            self.names = {name: [nodes[-1]] for name, nodes in self.names.items()}
        self.versions = self.versions[-1:]

    def candidates(self):
        """What may be on disk of it."""
        if self.kind != FILE or len(self.versions) == 1:
            return self.versions
        first, last = self.versions[0], self.versions[-1]
        # What is written behind synced bytes takes none of them along.
        kept = len(first[1]) if last[1].startswith(first[1]) else 0
        cut = [(last[0], last[1][:length], last[2]) for length in ((kept + len(last[1])) // 2, kept)]
        return list(dict.fromkeys([first, *cut, last]))


class Disk:
    def __init__(self, top, tree):
        self.top, self.root, self.by_inode = os.path.realpath(top), Node(DIRECTORY, 0o755), {}
        self.cut_off = 0  # moments with more trees than were looked at
        for path in sorted(tree):
            kind, *rest = tree[path]
            node = Node(kind, tuple(rest) if kind == FILE else rest[0])
            above, name = self.find_above(path)
            above.names[name] = [node]
            self.by_inode[os.lstat(os.path.join(top, path)).st_ino] = node
        self.by_inode[os.stat(top).st_ino] = self.root

    def parts(self, path):
        """The components of an absolute path below the top; None outside of it."""
        path = os.path.normpath(path)
        if path == self.top:
            return []
        return path[len(self.top) + 1:].split("/") if path.startswith(self.top + "/") else None

    def find_above(self, path):
        """(directory, last name); a path relative to the top. Links on the way are followed."""
        *above, name = path.split("/")
        return self.walk(above), name

    def walk(self, parts):
        node, done = self.root, []
        for part in parts:
            node = node.now(part)
            if node and node.kind == LINK:
                parts = os.path.normpath("/".join([*done, node.versions[-1]])).split("/")
                return self.walk([*parts])
            if not node:
                return None
            done.append(part)
        return node

    def place(self, path):
        """(directory, name) for a path of the log, or None where it is not ours."""
        parts = self.parts(path)
        if not parts:
            return None
        above = self.walk(parts[:-1])
        return (above, parts[-1]) if above else None

    def apply(self, call):
        """Whether the call changed something, or made it last."""
        if call.result < 0:
            return False
        handler = getattr(self, "on_" + call.name, None)
        return bool(handler and handler(call))

    def on_openat(self, call):
        from inject import O_CREAT, O_TMPFILE, O_TRUNC
        if call.flags & O_TMPFILE == O_TMPFILE:
            self.by_inode[call.inode] = Node(FILE, (call.args[3] & 0o7777, b"", ()))
            return False
        parts = self.parts(call.path)
        node = self.walk(parts) if parts is not None else None
        if node is None and call.flags & O_CREAT:
            place = self.place(call.path)
            if place:
                node = Node(FILE, (call.args[3] & 0o7777, b"", ()))
                place[0].name(place[1], node)
        elif node and call.flags & O_TRUNC:
            node.change((node.versions[-1][0], b"", node.versions[-1][2]))
        if node:
            self.by_inode[call.inode] = node
        return bool(node and call.flags & (O_CREAT | O_TRUNC))

    on_open = on_openat

    def on_write(self, call):
        node = self.by_inode.get(call.inode)
        if not node or node.kind != FILE:
            return False
        mode, data, attrs = node.versions[-1]
        node.change((mode, data + call.data, attrs))
        return True

    def on_fchmod(self, call):
        node = self.by_inode.get(call.inode)
        if not node:
            return False
        if node.kind == FILE:
            node.change((call.args[1] & 0o7777, *node.versions[-1][1:]))
        else:
            node.versions = [call.args[1] & 0o7777]
        return True

    def on_fsetxattr(self, call):
        node = self.by_inode.get(call.inode)
        if node and node.kind == FILE:
            mode, data, attrs = node.versions[-1]
            node.change((mode, data, tuple(sorted({**dict(attrs), call.path: call.data}.items()))))
        return bool(node)

    def on_fsync(self, call):
        node = self.by_inode.get(call.inode)
        if node:
            node.sync()
        return bool(node)

    on_fdatasync = on_fsync

    def on_linkat(self, call):
        place, node = self.place(call.second), self.by_inode.get(call.inode)
        if place and node:
            place[0].name(place[1], node)
        return bool(place and node)

    def on_symlinkat(self, call):
        place = self.place(call.second)
        if place:
            place[0].name(place[1], Node(LINK, call.path))
        return bool(place)

    on_symlink = on_symlinkat

    def on_mkdirat(self, call):
        place = self.place(call.path)
        if place:
            mode = call.args[2] if call.name == "mkdirat" else call.args[1]
            place[0].name(place[1], Node(DIRECTORY, mode & 0o777 & ~MASK))
        return bool(place)

    on_mkdir = on_mkdirat

    def on_unlinkat(self, call):
        place = self.place(call.path)
        if place:
            place[0].name(place[1], None)
        return bool(place)

    on_unlink = on_rmdir = on_unlinkat

    def on_renameat(self, call):
        source, target = self.place(call.path), self.place(call.second)
        if not source or not target:
            return False
        node = source[0].now(source[1])
        target[0].name(target[1], node)
        source[0].name(source[1], None)
        return True

    on_rename = on_renameat2 = on_renameat

    def trees(self):
        """Every tree that may be on the disk: {path: entry}, as scenes.snapshot() has it."""
        for number, tree in enumerate(self._below(self.root, "")):
            if number >= MOST_STATES:
                self.cut_off += 1
                return
            yield tree

    def _below(self, node, path):
        choices = []
        for name, nodes in sorted(node.names.items()):
            below = f"{path}/{name}" if path else name
            found = (tree for entry in dict.fromkeys(nodes) for tree in self._entry(entry, below))
            choices.append(list(itertools.islice(found, MOST_STATES + 1)))
        for chosen in itertools.product(*choices):
            tree = {}
            for part in chosen:
                tree.update(part)
            yield tree

    def _entry(self, node, path):
        if node is None:
            return [{}]
        if node.kind == DIRECTORY:
            own = {path: (DIRECTORY, node.versions[-1])}
            return ({**own, **tree} for tree in self._below(node, path))
        if node.kind == LINK:
            return [{path: (LINK, node.versions[-1])}]
        return [{path: (FILE, *version)} for version in node.candidates()]


def states(disk, calls):
    """Yields (whether the run is over, tree) for each moment of the log and each tree that it allows."""
    seen = set()

    def fresh(over):
        for tree in disk.trees():
            key = (over, hash(frozenset(tree.items())))
            if key not in seen:
                seen.add(key)
                yield over, tree

    yield from fresh(False)
    for call in calls:
        if disk.apply(call):
            yield from fresh(False)
    yield from fresh(True)


def lost(scene, disk, calls):
    """(number of trees that power loss may leave, faults); DISK as it was before the calls."""
    count, faults = 0, []
    for over, tree in states(disk, calls):
        count += 1
        faults += [f"{fault} ({'after the run' if over else 'during the run'})"
                   for fault in scene.faults(tree, over)]
    return count, list(dict.fromkeys(faults))
