"""How T3 samples: the parameters of each variant, with upstream's defaults, names and ranges checked. Light to import.

Defaults are those of `generate()` in upstream's `tts.py`, `mtl_tts.py` and `tts_turbo.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from engine.errors import UserError

_GUIDED = {
    "temperature": 0.8,
    "min_p": 0.05,
    "top_p": 1.0,
    "top_k": 0,
    "repetition_penalty": 1.2,
    "cfg_weight": 0.5,
    "exaggeration": 0.5,
    "max_tokens": 1000,
    "seed": None,
}
_TURBO = {"temperature": 0.8, "top_k": 1000, "top_p": 0.95, "repetition_penalty": 1.2, "max_tokens": 1000, "seed": None}
DEFAULTS: dict[str, dict[str, Any]] = {
    "original": _GUIDED,
    "multilingual": _GUIDED | {"repetition_penalty": 2.0},
    "turbo": _TURBO,
}
MAX_TOKENS = 4096
"""Upstream's learned speech positions end soon after (`T3Config.max_speech_tokens`)."""

# name: (lowest, highest, lowest itself allowed)
_RANGES: dict[str, tuple[float, float, bool]] = {
    "temperature": (0, float("inf"), True),
    "min_p": (0, 1, True),
    "top_p": (0, 1, False),
    "top_k": (0, float("inf"), True),
    "repetition_penalty": (0, float("inf"), False),
    "cfg_weight": (0, float("inf"), True),
    "exaggeration": (0, float("inf"), True),
    "max_tokens": (1, MAX_TOKENS, True),
    "seed": (0, 2**63 - 1, True),
}
_WHOLE = ("top_k", "max_tokens", "seed")


def resolve(sampling: Mapping[str, Any], variant: str, where: str = "sampling") -> dict[str, Any]:
    """All sampling parameters of a request: those given over the variant's defaults.

    `temperature: 0` is greedy, `top_k: 0` is no top-k, `seed: None` leaves the engine's own.

    Raises:
        UserError: a name the variant does not have, or a value out of range; `where` is the config path.
    """
    known = DEFAULTS[variant]
    for name, value in sampling.items():
        if name not in known:
            raise UserError(f"Chatterbox {variant} has no such parameter", f"{where}.{name}", _hint(name, known))
        if value is None and known[name] is None:
            continue
        low, high, inclusive = _RANGES[name]
        kinds = (int,) if name in _WHOLE else (int, float)
        number = isinstance(value, kinds) and not isinstance(value, bool)
        if not number or not low <= value <= high or (value == low and not inclusive):
            kind = "whole number" if name in _WHOLE else "number"
            interval = f"{'[' if inclusive else '('}{low:g}, {high:g}]".replace("inf]", "∞)")
            raise UserError(f"{value!r} is not a {kind} in {interval}", f"{where}.{name}", "correct the value")
    return known | dict(sampling)


def _hint(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean '{near[0]}'?" if near else "it has " + ", ".join(known)
