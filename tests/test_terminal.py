"""What a user sees in a terminal while a run goes on, by a terminal of the kernel's own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from tests.test_run import ROOT

ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])")


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Run `python -m engine` with `arguments` on a terminal of 110 × 40; returns exit code and all it was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm-256color"}
    env.pop("VLLM_LOGGING_LEVEL", None)  # vLLM is to say what it says to a user
    command = [sys.executable, "-m", "engine", *arguments]
    running = subprocess.Popen(command, cwd=ROOT, env=env, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 1 << 16):
            said += chunk
    except OSError:  # how a terminal ends that nobody holds any more
        pass
    finally:
        os.close(ours)
    return running.wait(60), ESCAPES.sub("", said.decode(errors="replace"))


def test_the_display_is_live_and_engines_are_heard_in_the_log_alone(tmp_path):
    code, said = on_a_terminal(
        "+stage=[generate,audit]", "select.limit=4", "generation.rounds=1", f"checkpoint.path={tmp_path}"
    )
    assert code == 0, said
    for state in ("loading", "closing", "done"):
        assert re.search(rf"generate +{state}", said), said
    assert re.search(r"audit +done +\d+/\d+ +[\d.]+ +[\d,]+ +\d+ %", said), said
    assert "Resume or extend this run" in said
    log = (tmp_path / "engine.log").read_text()
    assert "INFO" in log and "Loading safetensors" in log
    for theirs in ("INFO", "WARNING", "Loading safetensors", "torch/"):
        assert theirs not in said, said
