"""Group commit: records are written and fsynced in a thread of their own while the engine goes on.

While one fsync is under way the next group gathers, so durability costs the engine next to nothing however slow
the disk is. The queue is bounded: a disk slower than the engine slows the engine, memory stays constant.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, Self

from engine.errors import disk_error


class Appendable(Protocol):
    """A stage's shards, as far as the committer needs them."""

    folder: Path

    def write(self, record: dict[str, Any]) -> Any:
        """Append without syncing; returns the open file."""
        ...


class Committer:
    """Writes records of any number of shards, in order, synced in groups.

    Args:
        depth: how many records may wait; `put` blocks beyond.

    Use as a context manager: leaving it waits until all is synced.
    """

    def __init__(self, depth: int = 10_000):
        self._queue: queue.Queue[tuple[Appendable, dict[str, Any], Callable[[], None]] | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self.groups = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if exc[0] is None:
            self._check()

    def put(self, shards: Appendable, record: dict[str, Any], kept: Callable[[], None]) -> None:
        """Queue a record; raises what an earlier one failed with."""
        self._check()
        self._queue.put((shards, record, kept))

    def flush(self) -> None:
        """Wait until all that was put is kept; raises what it failed with."""
        self._queue.join()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        closing = False
        while not closing:
            group = [self._queue.get()]
            while True:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            closing = None in group
            try:
                if self._error is None:
                    self._commit([entry for entry in group if entry is not None])
            except BaseException as e:  # handed to the thread that puts; this one only drains from here on
                self._error = e
            finally:
                for _ in group:
                    self._queue.task_done()

    def _commit(self, group: list[tuple[Appendable, dict[str, Any], Callable[[], None]]]) -> None:
        written: list[Callable[[], None]] = []
        files: dict[int, Any] = {}
        failed: Exception | None = None
        for shards, record, kept in group:
            try:
                file = shards.write(record)
            except OSError as e:  # a full disk: what came before it in the group is kept all the same
                failed = disk_error(e, shards.folder)
                break
            files[id(file)] = file
            written.append(kept)
        try:
            for file in files.values():
                if not file.closed:  # rotated within this group: synced when it was closed
                    os.fsync(file.fileno())
        except OSError as e:
            raise disk_error(e, Path(file.name)) from e
        self.groups += bool(written)
        for kept in written:
            kept()
        if failed is not None:
            raise failed


def fsync_dir(folder: Path) -> None:
    """Make the folder's own entries (new or renamed files) durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader, or a crash, sees the old file or the new one, never a part.

    Raises:
        OSError: as the operating system says; the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)
