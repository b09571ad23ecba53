"""Keeps the engines' own output (vLLM, torch, child processes, C libraries) out of the terminal, in a log file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def diverted(path: Path) -> Iterator[None]:
    """Send file descriptors 1 and 2 of this process, and of its children, to the end of `path`.

    What should still reach the terminal must have been duplicated before (`progress.Display` does).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, fd in zip((1, 2), saved, strict=True):
            os.dup2(fd, number)
            os.close(fd)
        os.close(log)
