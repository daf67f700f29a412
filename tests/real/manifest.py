# SPDX-License-Identifier: MIT
"""Everything that can be seen of the files below a directory, to tell what a program touched."""
import hashlib
import os
import stat


def xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:  # a file system without
        return {}
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def entry(path):
    info = os.lstat(path)
    seen = {
        "type": stat.S_IFMT(info.st_mode),
        "mode": stat.S_IMODE(info.st_mode),
        "owner": (info.st_uid, info.st_gid),
        "links": info.st_nlink,
        "xattrs": xattrs(path),
        "inode": (info.st_dev, info.st_ino),
        "mtime": info.st_mtime_ns,
    }
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            seen["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    elif stat.S_ISLNK(info.st_mode):
        seen["target"] = os.readlink(path)
    return seen


def manifest(root):
    """{path relative to root: what is seen of it}, root itself as '.'"""
    paths = [root]
    for folder, folders, files in os.walk(root):
        paths += [os.path.join(folder, name) for name in folders + files]
    return {os.path.relpath(path, root): entry(path) for path in paths}


def differing(before, after):
    """{path: the set of what differs}; 'gone' and 'new' for one that is in one manifest only."""
    changes = {}
    for path in before.keys() | after.keys():
        old, new = before.get(path), after.get(path)
        if old is None or new is None:
            changes[path] = {"new" if old is None else "gone"}
        elif old != new:
            changes[path] = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    return changes


def judge_touched(before, after, expected):
    """Exactly the expected files got new content; all else, and their mode and owner, stayed."""
    changes = differing(before, after)
    replaced = {path for path, what in changes.items() if "sha256" in what}
    allowed = {path: {"sha256", "inode", "mtime"} for path in expected}
    # Replacing a file leaves its mark on the directory.
    allowed |= {os.path.dirname(path) or ".": {"mtime"} for path in expected}
    faults = [f"{path}: not changed" for path in sorted(set(expected) - replaced)]
    for path, what in sorted(changes.items()):
        unwanted = sorted(what - allowed.get(path, set()))
        if unwanted:
            faults.append(f"{path}: {' '.join(unwanted)} changed")
    return faults
