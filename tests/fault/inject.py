# SPDX-License-Identifier: MIT
"""A program that runs again and again under inject.so, and what that told of its system calls."""
import errno
import fcntl
import os
import re
import signal
import subprocess

# As in inject.c
NONE, FAIL, SHORT, KILL, SHORT_KILL, FAIL_ALL = range(6)
RECORD, NO_TMPFILE, NO_FILE_SYNC, NO_DIR_SYNC, KEEP_TEMP, TORN_RENAME, LIE, MUTE, SWALLOW, CRASH, HANG = (
    1 << bit for bit in range(11))

O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE = 0o1, 0o2, 0o100, 0o1000, 0o20000000


def call_names():
    """{number: name} of this machine's system calls, from the C compiler's header."""
    text = subprocess.run([*os.environ.get("CC", "cc").split(), "-E", "-dM", "-include", "sys/syscall.h",
                           "-x", "c", "/dev/null"], capture_output=True, text=True, check=True).stdout
    return {int(number): name for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}


NAMES = call_names()
NUMBERS = {name: number for number, name in NAMES.items()}


class Call:
    """One line of the log: a system call that was made, the INDEX-th of that name."""

    def __init__(self, line):
        fields, self.path, self.second = line.decode(errors="surrogateescape").split("\t")
        numbers = [int(field) for field in fields.split()]
        self.index, number, self.result, *self.args, self.inode = numbers
        self.name = NAMES.get(number, str(number))
        self.data = b""

    @property
    def flags(self):
        return self.args[2] if self.name == "openat" else self.args[1] if self.name == "open" else 0

    def makes_file(self):
        return bool(self.flags & (O_CREAT | O_TMPFILE))


class Result:
    """How a run ended."""

    def __init__(self, answer, out, err):
        status, self.calls, self.allocations, self.hit = (int(word) for word in answer.split())
        self.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        self.status = None if self.signal else os.WEXITSTATUS(status)
        self.out, self.err = (text.decode(errors="replace") for text in (out, err))

    def killed(self):
        return self.signal == signal.SIGKILL

    def hangs(self):
        return self.signal == signal.SIGALRM

    def __str__(self):
        how = f"signal {self.signal}" if self.signal else f"exit {self.status}"
        return f"{how}, stderr {self.err.strip()!r}"


class Server:
    """ARGV in the directory CWD, as often as asked for."""

    def __init__(self, library, argv, cwd, env=None):
        self.out, self.err, self.log = (os.memfd_create(name) for name in ("out", "err", "log"))
        for fd in (self.out, self.err, self.log):
            os.set_inheritable(fd, True)
            fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
        theirs, self.request = os.pipe()
        self.answer, answer = os.pipe()
        # High numbers, so that the program's own are what they would be without us.
        fds = [self._high(fd) for fd in (theirs, answer, self.out, self.err, self.log)]
        self.process = subprocess.Popen(
            argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=None, pass_fds=fds,
            env={**os.environ, **(env or {}), "LC_ALL": "C", "LD_PRELOAD": library,
                 "KS_FAULT": ",".join(str(fd) for fd in fds)})
        for fd in (*fds, theirs, answer):
            os.close(fd)
        self.answers = os.fdopen(self.answer, "r")

    @staticmethod
    def _high(fd):
        return fcntl.fcntl(fd, fcntl.F_DUPFD, 900)

    @staticmethod
    def _taken(fd):
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        os.ftruncate(fd, 0)
        return data

    def run(self, name="read", call=0, action=NONE, error=0, allocation=0, all_after=0, modes=0):
        os.write(self.request, f"{NUMBERS.get(name, 0)} {call} {action} {error} {allocation} {all_after} {modes}\n".encode())
        answer = self.answers.readline()
        if not answer:
            raise RuntimeError("inject.so: the server is gone")
        return Result(answer, self._taken(self.out), self._taken(self.err))

    def calls(self):
        """The calls of the last run, if it was recorded."""
        data, at, calls = self._taken(self.log), 0, []
        while at < len(data):
            end = data.index(b"\n", at)
            call = Call(data[at:end])
            at = end + 1
            size = call.result if call.name in ("write", "pwrite64") else call.args[3] if (
                call.name == "fsetxattr" and call.result == 0) else 0
            if size > 0:
                call.data = data[at:at + size]
                at += size
            calls.append(call)
        return calls

    def close(self):
        os.close(self.request)
        self.answers.close()
        self.process.wait()
        for fd in (self.out, self.err, self.log):
            os.close(fd)


# What each call can fail with (its manual page), as far as a program could tell the difference.
_PLACE = ("EIO", "ENOMEM", "EACCES")
_ROOM = ("ENOSPC", "EDQUOT", "EROFS")
ERRORS = {
    "read": ("EIO", "EINTR", "ENOMEM"),
    "pread64": ("EIO", "EINTR"),
    "write": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "pwrite64": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "fsync": ("EIO", "ENOSPC", "EDQUOT", "EINTR", "EROFS"),
    "fdatasync": ("EIO", "ENOSPC", "EDQUOT", "EINTR", "EROFS"),
    "close": ("EIO", "EINTR", "ENOSPC", "EDQUOT"),
    "fchmod": ("EIO", "EROFS", "EPERM"),
    "fchown": ("EIO", "EROFS", "EPERM"),
    "fsetxattr": ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EPERM"),
    "fremovexattr": ("EIO", "EROFS", "EPERM"),
    "getrandom": ("EINTR", "ENOSYS"),
    "mmap": ("ENOMEM", "EACCES"),
    "mremap": ("ENOMEM",),
    "mprotect": ("ENOMEM",),
    "brk": ("ENOMEM",),
    "flock": ("EINTR", "ENOLCK", "ENOMEM"),
    "fcntl": ("EMFILE", "EINTR"),
    "dup": ("EMFILE",),
    "memfd_create": ("EMFILE", "ENOMEM"),
    "mlock2": ("ENOMEM", "EPERM"),
    "landlock_create_ruleset": ("ENOSYS", "EOPNOTSUPP", "ENOMEM"),
    "landlock_add_rule": ("ENOMEM",),
    "landlock_restrict_self": ("ENOMEM", "E2BIG"),
    "prlimit64": ("EPERM",),
    "prctl": ("EINVAL", "EPERM"),
    "faccessat2": (*_PLACE, "EROFS"),
    "access": (*_PLACE, "EROFS"),
    **dict.fromkeys(("newfstatat", "stat", "lstat", "fstat", "statx", "statfs", "fstatfs", "getdents64", "readlink",
                     "readlinkat", "getcwd", "chdir", "fgetxattr", "flistxattr", "getxattr"), _PLACE),
    **dict.fromkeys(("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir",
                     "mkdirat"), _PLACE + _ROOM),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), (*_PLACE, "EROFS")),
}
_OPEN = (*_PLACE, "EINTR", "EMFILE")


def errors_of(call):
    if call.name in ("open", "openat"):
        return _OPEN + _ROOM if call.makes_file() else _OPEN
    return ERRORS.get(call.name, ())


def number_of(name):
    return getattr(errno, name)
