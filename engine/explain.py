"""Turns what Hydra and OmegaConf raise into one line with the nearest right name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from engine.errors import NO_ROOM, EngineError, UserError, VoicetrackError, disk_error


def explain(error: BaseException) -> VoicetrackError:
    """`error` as an error fit to show: itself if it is ours, otherwise a `UserError` for config mistakes and an
    `EngineError` for what we did not foresee."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    chain = list(_chain(error))
    for e in chain:
        if isinstance(e, VoicetrackError):
            return e
    for e in chain:
        if isinstance(e, OmegaConfBaseException) and e.full_key:
            return _config_error(e)
    for e in chain:
        if isinstance(e, (HydraException, OmegaConfBaseException)):
            return UserError(_one_line(e), "config", "python -m engine --help lists groups and choices")
    for e in chain:
        if isinstance(e, OSError) and (e.filename or e.errno in NO_ROOM):  # Hydra makes the run folder itself
            return disk_error(e, e.filename or "the run's folder")
    return EngineError(f"{type(error).__name__}: {_one_line(error)} (HYDRA_FULL_ERROR=1 shows where)")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _config_error(error: Any) -> UserError:
    key = str(error.full_key)
    text = _one_line(error)
    if "not in struct" in text or "not in '" in text:
        return UserError("no such key", key, nearest_key(key))
    return UserError(text, key, "see docs/configuration.md for types and choices")


def nearest_key(key: str) -> str:
    """A hint for an unknown config key."""
    names = list(_keys(_schema()))
    near = difflib.get_close_matches(key, names, 1) or difflib.get_close_matches(
        key.rpartition(".")[2], [n.rpartition(".")[2] for n in names], 1
    )
    return f"did you mean '{near[0]}'?" if near else "--cfg job shows all keys"


def _one_line(error: BaseException) -> str:
    """The first informative line; OmegaConf appends its own key dump below it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not re.match(r"(full_key|object_type|reference_type):?", line)]
    text = " ".join(kept) if kept else type(error).__name__
    return text if len(text) <= 400 else text[:400] + "…"


def _schema() -> Any:
    from omegaconf import OmegaConf

    from engine.config import Config

    return OmegaConf.structured(Config)


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    from omegaconf import DictConfig

    for name in node:
        path = f"{prefix}{name}"
        yield path
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            yield from _keys(child, f"{path}.")


__all__ = ["explain", "nearest_key"]
