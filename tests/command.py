"""`python -m engine` as tests run it: from nothing, or in a fork of a process that has imported vLLM already."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.reliability.stable import Run, Stable

ROOT = Path(__file__).parents[1]


def cold(*arguments: str, cwd: Path = ROOT, timeout: float = 900) -> subprocess.CompletedProcess:
    """Run `python -m engine` with `arguments`, as a user does."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "engine", *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout
    )


def engine(*arguments: str, cwd: Path = ROOT, timeout: float = 900) -> subprocess.CompletedProcess:
    """The same without the ten seconds of importing vLLM: they are spent once, in a process that is then forked."""
    ended = _stable().run(*arguments, cwd=cwd, timeout=timeout)
    return subprocess.CompletedProcess(list(arguments), ended.code, ended.out, ended.err)


def begun(*arguments: str) -> Run:
    """The same, under way."""
    return _stable().start(*arguments, cwd=ROOT)


@cache
def _stable() -> Stable:
    folder = Path(tempfile.mkdtemp(prefix="stable-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stable = Stable(folder)
    stable.__enter__()
    atexit.register(stable.__exit__)
    return stable
