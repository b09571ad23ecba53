"""The command line's overrides, before Hydra sees them and when a command is printed for the user to run again."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

from engine.config import OPEN

_OPEN_KEY = re.compile(rf"^({'|'.join(map(re.escape, OPEN))})\.[^=]+=")
_HOME = re.compile(r"^([^=]+=)(~(?:/.*)?)$")
_STAGES = re.compile(r"^(\+stage=)([\w-]+(?:,[\w-]+)+)$")


def prepared(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra is to have it.

    * Keys may be added to the schema's open dictionaries as if they were there: `writer.engine.max_num_seqs=8`.
    * Paths may begin with `~`, which no shell expands after a dotted key and Hydra cannot parse.
    * `+stage=a,b` is a list of stages, with `-m` too, where Hydra would sweep over them.
    """
    out = []
    for argument in arguments:
        argument = _HOME.sub(lambda m: m[1] + os.path.expanduser(m[2]), argument)
        argument = _STAGES.sub(r"\1[\2]", argument)
        out.append(f"++{argument}" if _OPEN_KEY.match(argument) else argument)
    return out


def command(overrides: Sequence[str], checkpoint: str) -> str:
    """The command that runs `overrides` again on the checkpoint at `checkpoint`, quoted for a shell."""
    kept = [o.removeprefix("++") if _OPEN_KEY.match(o.removeprefix("++")) else o for o in overrides]
    kept = [o for o in kept if not o.startswith("checkpoint.path=")]
    return shlex.join(["python", "-m", "engine", *kept, f"checkpoint.path={checkpoint}"])
