"""What to try once more, smaller, when an engine has run out of memory.

vLLM says what would have fitted; `smaller` reads it. What a backend learned is remembered for the rest of the process
(`learned`), so that the engine which takes over the unfinished requests, and the same one in a later round, begin with
it. Each kind of engine is made smaller once: the next time is an error with the numbers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

DEFAULT_SEQS = 256  # vLLM's max_num_seqs where none is set

_FITS = (
    re.compile(r"estimated maximum model length is (\d+)"),
    re.compile(r"maximum number of tokens that can be stored in KV cache \((\d+)\)"),
)
_FREE = re.compile(r"\(([\d.]+)/([\d.]+) GiB\) on startup is less than desired \w+ memory utilization")
_OUT = re.compile(r"out of memory|No available memory for the cache blocks|not enough memory|bad_alloc", re.I)

_learned: dict[str, dict[str, Any]] = {}


def learned(group: str) -> Mapping[str, Any]:
    """Engine arguments that take the place of the configured ones for backends of `group`."""
    return _learned.get(group, {})


def learn(group: str, arguments: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    """Remember what to try next after an engine of `group` failed; None if it was no matter of memory, or the second.

    Args:
        arguments: what the failed engine was opened with.
        said: all it said when it failed.
    """
    change = smaller(arguments, said)
    if change is None or group in _learned:
        return None
    _learned[group] = change
    return change


def smaller(arguments: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    """Engine arguments to change so that what failed with `said` may fit; None if memory was not the matter.

    >>> smaller({}, "… the estimated maximum model length is 4112. Try …")
    {'max_model_len': 4096}
    """
    for pattern in _FITS:
        if (found := pattern.search(said)) and (fits := int(found[1])) >= 16:
            return {"max_model_len": fits // 16 * 16}  # whole blocks
    if found := _FREE.search(said):
        share = int(95 * float(found[1]) / float(found[2])) / 100
        return {"gpu_memory_utilization": share} if share >= 0.05 else None
    if _OUT.search(said):
        return {"max_num_seqs": max(1, int(arguments.get("max_num_seqs") or DEFAULT_SEQS) // 2)}
    return None


def is_out_of_memory(said: str) -> bool:
    """Whether `said` speaks of memory at all."""
    return smaller({}, said) is not None


def log_size() -> int:
    """Where stderr stands, if it goes to a file: an engine in its own process says there why it failed."""
    try:
        return os.fstat(2).st_size
    except OSError:
        return 0


def said_since(size: int, most: int = 1 << 18) -> str:
    """What has been written to stderr since `log_size()` gave `size`; empty where it is no regular file."""
    try:
        with open("/proc/self/fd/2", "rb") as log:
            end = os.fstat(log.fileno()).st_size
            log.seek(max(size, end - most))
            return log.read(most).decode(errors="replace")
    except (OSError, ValueError):
        return ""
