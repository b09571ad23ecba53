"""`python -m engine` as tests run it: from nothing, or in a fork of a process that has imported vLLM already."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tests.reliability.stable import Stable

ROOT = Path(__file__).parents[1]


def cold(*arguments: str, cwd: Path = ROOT, timeout: float = 900) -> subprocess.CompletedProcess:
    """Run `python -m engine` with `arguments`, as a user does."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "engine", *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout
    )


def engine(*arguments: str, cwd: Path = ROOT, timeout: float = 900) -> subprocess.CompletedProcess:
    """The same without the ten seconds of importing vLLM: they are spent once, in a process that is then forked."""
    ended = warm().run(*arguments, cwd=cwd, timeout=timeout)
    return subprocess.CompletedProcess(list(arguments), ended.code, ended.out, ended.err)


def killed(*arguments: str, when: Callable[[], Any], seconds: float = 400) -> None:
    """The same until `when()` is true, and then `kill -9`; a run that ends by itself fails the test at once."""
    running = warm().start(*arguments, cwd=ROOT)
    deadline = time.monotonic() + seconds
    while not when() and running.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    running.kill()
    ended = running.wait()
    assert ended.code == -signal.SIGKILL, ended.err


@cache
def warm() -> Stable:
    """The process that runs are forked from, one for all tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="stable-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stable = Stable(folder)
    stable.__enter__()
    atexit.register(stable.__exit__)
    return stable
