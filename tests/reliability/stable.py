"""Runs of the real command line in processes of their own, a few seconds each, to be killed at will.

A `Stable` is a server process that imports what a run imports (vLLM and Chatterbox too, where told so) and opens
nothing. For every run it forks: the child is `python -m engine ARGUMENTS` in all but its start-up, in a session of its
own, with its output in files. What is to befall it (`tests.reliability.harm`) is armed in the child before it begins.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Ended:
    """How a run ended.

    Attributes:
        code: exit code; minus the signal's number where one ended it.
        cpu_s: user and system seconds of it and the children it waited for.
        heavy: which of torch, vllm, transformers and numpy it had imported at its end.
    """

    pid: int
    code: int
    cpu_s: float
    wall_s: float
    out: str
    err: str
    heavy: list[str] = field(default_factory=list)


class Run:
    """A run under way."""

    def __init__(self, stable: Stable, pid: int, folder: Path):
        self._stable, self.pid, self._folder = stable, pid, folder

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Send the process (not its children) a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def children(self) -> dict[int, str]:
        """Pids of its direct and indirect children, with their command lines."""
        return {pid: _read(f"/proc/{pid}/cmdline").replace("\0", " ") for pid in _descendants(self.pid)}

    @property
    def alive(self) -> bool:
        """Whether it is still going."""
        return os.path.exists(f"/proc/{self.pid}")

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return _read(self._folder / "err")

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return _read(self._folder / "out")

    def wait(self, timeout: float = 180.0) -> Ended:
        """Wait for its end.

        Raises:
            TimeoutError: it was still going after `timeout` seconds; it is killed.
        """
        reply = self._stable.ended(self.pid, timeout)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # engine processes that outlived it
        heavy = json.loads(_read(self._folder / "heavy") or "[]")
        return Ended(self.pid, reply["code"], reply["cpu"], reply["wall"], self.out, self.err, heavy)


class Stable:
    """The server; a context manager.

    Args:
        folder: for the runs' output files.
        vllm: import vLLM, torch and Chatterbox beforehand, as runs that get as far as an engine need them.
    """

    def __init__(self, folder: Path, vllm: bool = True):
        self.folder, self._vllm = folder, vllm
        self._count = 0
        self._ended: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        env |= {"VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
        self._log = open(self.folder / "stable.log", "wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.stable", *(["vllm"] if self._vllm else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=env, cwd=ROOT,
        )  # fmt: skip
        assert self._reply(600) == {"ready": True}
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def start(
        self,
        *arguments: str,
        harm: Sequence[dict[str, Any]] = (),
        env: dict[str, str] | None = None,
        file_limit: int | None = None,
        cwd: Path | None = None,
    ) -> Run:
        """Begin `python -m engine ARGUMENTS`.

        Args:
            harm: what is to befall it, see `tests.reliability.harm.arm`.
            file_limit: bytes no file of it may exceed.
        """
        self._count += 1
        folder = self.folder / f"run{self._count}"
        folder.mkdir()
        order = {
            "argv": list(arguments),
            "harm": list(harm),
            "env": env or {},
            "file_limit": file_limit,
            "cwd": str(cwd or folder),
            "folder": str(folder),
        }
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        while "started" not in (reply := self._reply(30)):
            self._ended[reply["pid"]] = reply
        return Run(self, reply["started"], folder)

    def run(self, *arguments: str, timeout: float = 180.0, **options: Any) -> Ended:
        """`start` and wait."""
        return self.start(*arguments, **options).wait(timeout)

    def ended(self, pid: int, timeout: float) -> dict[str, Any]:
        """The server's word on the end of `pid`."""
        deadline = time.monotonic() + timeout
        while pid not in self._ended:
            left = deadline - time.monotonic()
            try:
                reply = self._reply(left)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                raise
            self._ended[reply["pid"]] = reply
        return self._ended[pid]

    def _reply(self, timeout: float) -> dict[str, Any]:
        if not select.select([self._process.stdout], [], [], max(timeout, 0))[0]:
            raise TimeoutError("no word from the stable in time")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stable is gone: {_read(self.folder / 'stable.log')[-2000:]}")
        return json.loads(line)


def _read(path: str | Path) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _descendants(pid: int) -> Iterator[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return
    for task in tasks:
        for child in map(int, _read(f"/proc/{pid}/task/{task}/children").split()):
            yield child
            yield from _descendants(child)


# The server's own half ------------------------------------------------------------------------------------------------


def _serve(vllm: bool) -> None:
    from hydra.core.plugins import Plugins

    import engine.__main__
    import engine.app
    import engine.runner
    import stages.audio
    import stages.audit
    import stages.generate
    import stages.report
    import stages.tts.espeak  # noqa: F401

    Plugins.instance()  # looks for plugins and imports them

    if vllm:
        import engine.session
        import engine.vllm_code

        engine.vllm_code.load_vllm()
        import chatterbox  # noqa: F401
    gc.freeze()
    replies = os.dup(1)
    os.dup2(2, 1)
    _say(replies, {"ready": True})
    began: dict[int, float] = {}
    orders = b""
    while True:
        ready = select.select([0], [], [], 0.02 if began else None)[0]
        if ready:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                for pid in began:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                return
            orders += chunk
            while b"\n" in orders:
                line, orders = orders.split(b"\n", 1)
                pid = os.fork()
                if pid == 0:
                    _child(json.loads(line))
                began[pid] = time.monotonic()
                _say(replies, {"started": pid})
        for pid in list(began):
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                wall = time.monotonic() - began.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                _say(replies, {"pid": pid, "code": code, "cpu": usage.ru_utime + usage.ru_stime, "wall": wall})


def _say(fd: int, reply: dict[str, Any]) -> None:
    os.write(fd, json.dumps(reply).encode() + b"\n")


def _child(order: dict[str, Any]) -> None:
    code = 70
    try:
        os.setsid()
        folder = Path(order["folder"])
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        for fd, name in ((1, "out"), (2, "err")):
            file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, fd)
        os.closerange(3, 256)  # the server's pipes among them: its end must be seen
        os.chdir(order["cwd"])
        os.environ.update(order["env"])
        if order["file_limit"]:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"],) * 2)
        if order["harm"]:
            from tests.reliability import harm

            harm.arm(order["harm"])
        sys.argv = ["engine", *order["argv"]]
        import engine.__main__ as command

        try:
            command.main()
            code = 0
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
        heavy = [m for m in ("torch", "vllm", "transformers", "numpy") if m in sys.modules]
        (folder / "heavy").write_text(json.dumps(heavy))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve("vllm" in sys.argv[1:])
