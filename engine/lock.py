"""One writer per checkpoint.

A POSIX record lock (`fcntl.lockf`) on `<checkpoint>/lock`, which also names its holder. The kernel gives it back when
the holder dies, kill -9 included. A record lock rather than `flock`, because an engine process forked by the holder
would share a `flock` and keep it after the holder's death.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

import orjson

from engine.errors import UserError

_held: set[Path] = set()  # record locks do not exclude the process that holds them


class Lock:
    """The lock file at `path`.

    Raises (from `acquire`):
        UserError: held by another process or by another job of this one; says by whom.
    """

    def __init__(self, path: Path):
        self.path = path.resolve()
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock and write pid, host and time into it."""
        if self.path in _held:
            raise UserError("two jobs of this run write to it", self.path.parent, "give each its own checkpoint.path")
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder(fd)
            os.close(fd)
            raise UserError(
                f"another run writes to it ({holder})", self.path.parent, "wait for it, stop it, or use another path"
            ) from None
        holder = orjson.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()})
        os.ftruncate(fd, 0)
        os.pwrite(fd, holder, 0)
        self._fd = fd
        _held.add(self.path)

    @staticmethod
    def _holder(fd: int) -> str:
        try:
            holder = orjson.loads(os.pread(fd, 4096, 0))
            return f"pid {holder['pid']} on {holder['host']}"
        except (ValueError, KeyError, TypeError):
            return "holder unknown"

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            _held.discard(self.path)
