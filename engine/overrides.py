"""The command line's overrides, before Hydra sees them and when a command is printed for the user to run again."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

from engine.config import OPEN

_OPEN_KEY = re.compile(rf"^({'|'.join(map(re.escape, OPEN))})\.[^=]+=")


_HOME = re.compile(r"^([^=]+=)(~(?:/.*)?)$")


def open_keys(arguments: Sequence[str]) -> list[str]:
    """Let keys be added to the schema's open dictionaries as if they were there (`writer.engine.max_num_seqs=8`), and
    paths begin with `~`, which no shell expands after a dotted key and Hydra cannot parse."""
    expanded = [_HOME.sub(lambda m: m[1] + os.path.expanduser(m[2]), a) for a in arguments]
    return [f"++{a}" if _OPEN_KEY.match(a) else a for a in expanded]


def command(overrides: Sequence[str], checkpoint: str) -> str:
    """The command that runs `overrides` again on the checkpoint at `checkpoint`, quoted for a shell."""
    kept = [o.removeprefix("++") if _OPEN_KEY.match(o.removeprefix("++")) else o for o in overrides]
    kept = [o for o in kept if not o.startswith("checkpoint.path=")]
    return shlex.join(["python", "-m", "engine", *kept, f"checkpoint.path={checkpoint}"])
