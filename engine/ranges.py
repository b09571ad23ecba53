"""Keys and values of the config that the schema's types let through and no run can use."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from omegaconf import DictConfig, OmegaConf

from engine.config import OPEN, Config
from engine.errors import UserError

# key: (least, most, least itself allowed)
_RANGES: dict[str, tuple[float, float, bool]] = {
    "select.limit": (1, math.inf, True),
    "generation.candidates": (1, 1000, True),
    "generation.rounds": (1, 1000, True),
    "generation.pick.audit": (0, math.inf, True),
    "generation.pick.novelty": (0, math.inf, True),
    "generation.pick.length": (0, math.inf, True),
    "audit.votes": (1, 1000, True),
    "audio.retakes": (0, 1000, True),
    "audio.asr.max_wer": (0, math.inf, True),
    "playlist.hours": (0, 168, False),
    "checkpoint.shard_mib": (0, 1 << 19, False),  # an index entry has 40 bits for a place in a shard
    "seed": (-(2**63), 2**63 - 1, True),
}


def check_ranges(config: DictConfig) -> None:
    """Check what types alone cannot.

    Raises:
        UserError: all keys that are unknown or out of range, together.
    """
    errors = [*_unknown(config, OmegaConf.structured(Config))]
    for key, (least, most, inclusive) in _RANGES.items():
        value = OmegaConf.select(config, key)
        if value is None:
            continue
        if not least <= value <= most or (value == least and not inclusive):
            interval = f"{'[' if inclusive else '('}{least:g}, {most:g}{']' if math.isfinite(most) else ')'}"
            errors.append(UserError(f"must be in {interval}, is {value:g}", key, "correct the value"))
    weights = config.generation.pick
    if not any(weights.values()):
        errors.append(UserError("all weights are zero", "generation.pick", "give one of them a weight"))
    pace = list(config.audio.seconds_per_word)
    if len(pace) != 2 or not 0 <= pace[0] < pace[1]:
        errors.append(
            UserError(f"must be the least and the most, is {pace}", "audio.seconds_per_word", "as in [0.2, 1.2]")
        )
    if (start := config.playlist.start) is not None and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", start):
        errors.append(UserError(f"must be a time of day, is {start!r}", "playlist.start", "as in 06:00"))
    for key in ("writer.model", "auditor.model", "station.path"):
        if (
            not OmegaConf.is_missing(config[key.split(".")[0]], key.split(".")[1])
            and OmegaConf.select(config, key) == ""
        ):
            errors.append(UserError("is empty", key, "name one"))
    if errors:
        raise UserError.of_many(errors)


def _unknown(config: DictConfig, schema: DictConfig, path: str = "") -> Iterator[UserError]:
    """Keys added with a plus sign where the schema has no such key: they would be read by nobody."""
    from engine.explain import nearest_key

    for name in config:
        key = f"{path}{name}"
        if name not in schema.keys():  # plain `in` denies keys that are still missing
            yield UserError("no such key", key, nearest_key(key))
        elif key not in (*OPEN, "stages") and isinstance(schema._get_node(name), DictConfig):
            if isinstance(child := config._get_node(name), Mapping | DictConfig) and not child._is_none():
                yield from _unknown(child, schema._get_node(name), f"{key}.")


__all__ = ["check_ranges"]
