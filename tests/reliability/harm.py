"""What can befall a run, armed inside its process before it begins.

Each harm is a dict with a trigger, `when`, and a deed, `do`.

Triggers:
    {"after": s}                                seconds from the start
    {"mark": "running generate", "nth": 1, "delay": s}
                                                the run says where it is: opening, running, closing, ends, kept STAGE
                                                or finish; `delay` seconds after the nth time
    {"call": "fsync", "under": "audio", "nth": 3, "moment": "before"|"after"|"torn"}
                                                the nth such system call on a file whose path has `under` in it; `torn`
                                                writes half of what was to be written

Deeds:
    {"do": "kill"}                              SIGKILL, as `kill -9` would; the default
    {"do": "signal", "signum": 2, "times": 1, "apart": s}
    {"do": "power"}                             what was not fsynced is cut at a random byte, then SIGKILL
    {"do": "fill", "path": p, "leave": bytes}   fill the file system `p` is on
    {"do": "freeze", "path": p}                 make folder `p` immutable (chattr +i)

Nothing of the product is replaced: its calls go through, the harm comes in between.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

_counts: Counter[tuple[int, str]] = Counter()
_synced: dict[str, int] = {}  # path -> size at its last fsync
_wrote: set[str] = set()
_real = {name: getattr(os, name) for name in ("write", "fsync", "replace", "open", "unlink", "ftruncate")}


def arm(harms: list[dict[str, Any]]) -> None:
    """Prepare all `harms` in this process."""
    if any(h.get("do") == "power" or "call" in h for h in harms):
        _watch_calls([h for h in harms if "call" in h])
    if marked := [h for h in harms if "mark" in h]:
        _watch_marks(marked)
    for harm in harms:
        if "after" in harm:
            _later(harm["after"], harm)


def _later(seconds: float, harm: dict[str, Any]) -> None:
    def wait() -> None:
        time.sleep(seconds)
        _do(harm)

    threading.Thread(target=wait, daemon=True).start()


def _do(harm: dict[str, Any]) -> None:
    deed = harm.get("do", "kill")
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "power":
        _cut_unsynced()
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "signal":
        for i in range(harm.get("times", 1)):
            if i:
                time.sleep(harm.get("apart", 0.2))
            os.kill(os.getpid(), harm["signum"])
    elif deed == "fill":
        _fill(harm["path"], harm.get("leave", 0))
    elif deed == "freeze":
        subprocess.run(["chattr", "+i", harm["path"]], check=True)
    else:
        raise ValueError(f"no such harm: {deed}")


def _watch_marks(harms: list[dict[str, Any]]) -> None:
    from engine.job import Job
    from engine.progress import Display

    def said(mark: str) -> None:
        for i, harm in enumerate(harms):
            if harm["mark"] == mark:
                _counts[i, mark] += 1
                if _counts[i, mark] == harm.get("nth", 1):
                    if delay := harm.get("delay", 0):
                        _later(delay, harm)
                    else:
                        _do(harm)

    def watched(owner: type, method: str, word: str) -> None:
        real = getattr(owner, method)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            said(f"{word} {args[0]}" if args and isinstance(args[0], str) else word)
            return real(self, *args, **kwargs)

        setattr(owner, method, call)

    for method, word in (("opening",) * 2, ("running",) * 2, ("closing",) * 2, ("stage_ends", "ends"), ("kept",) * 2):
        watched(Display, method, word)
    watched(Job, "finish", "finish")


def _watch_calls(harms: list[dict[str, Any]]) -> None:
    def around(name: str, path: str, act: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        for i, harm in enumerate(harms):
            if harm["call"] != name or harm.get("under", "") not in path:
                continue
            _counts[i, name] += 1
            if _counts[i, name] == harm.get("nth", 1):
                moment = harm.get("moment", "before")
                if moment == "after":
                    act()
                elif moment == "torn" and half is not None:
                    half()
                _do(harm)
        return act()

    def write(fd: int, data: Any) -> int:
        path = _path(fd)
        _wrote.add(path)
        cut = max(1, len(data) // 2)
        return around("write", path, lambda: _real["write"](fd, data), lambda: _real["write"](fd, data[:cut]))

    def fsync(fd: int) -> None:
        fd = fd if isinstance(fd, int) else fd.fileno()
        path = _path(fd)

        def act() -> None:
            size = os.fstat(fd).st_size
            _real["fsync"](fd)
            _synced[path] = size

        return around("fsync", path, act)

    def replace(src: Any, dst: Any, **kwargs: Any) -> None:
        return around("replace", str(dst), lambda: _real["replace"](src, dst, **kwargs))

    os.write, os.fsync, os.replace = write, fsync, replace


def _path(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def _cut_unsynced() -> None:
    """Leave of every shard what was synced and a random part of the rest, as a power cut may."""
    for path in list(_wrote):
        if path.endswith(".jsonl") and os.path.exists(path):
            size, synced = os.path.getsize(path), _synced.get(path, 0)
            if size > synced:
                os.truncate(path, random.randint(synced, size))


def _fill(path: str, leave: int) -> None:
    fd = _real["open"](os.path.join(path, "ballast"), os.O_WRONLY | os.O_CREAT)
    size, block = 0, b"\0" * 65536
    while block:
        try:
            size += _real["write"](fd, block)
        except OSError:
            block = block[: len(block) // 2]
    os.ftruncate(fd, max(0, size - leave))
    os.close(fd)
