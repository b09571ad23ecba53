"""Names and ranges of vLLM's engine arguments and sampling parameters, checked before anything heavy is loaded.

The names are read from the source of the installed vLLM (`vllm/engine/arg_utils.py`, `vllm/sampling_params.py`) with
`ast`: importing it would take ten seconds and torch.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from engine.errors import UserError

# Set by the session itself.
_RESERVED = {"model": "set {0}.model", "revision": "set {0}.revision", "seed": "seeds are derived from each row's key"}
_RESERVED_SAMPLING = {
    "seed": "seeds are derived from each row's key and `seed`",
    "n": "use generation.candidates",
    "structured_outputs": "the audit makes its schema from the rubric",
    "output_kind": "outputs are kept when they are finished",
}
# name: (lowest, highest, lowest itself allowed), as vLLM's SamplingParams._verify_args has them
_RANGES: dict[str, tuple[float, float, bool]] = {
    "temperature": (0, float("inf"), True),
    "top_p": (0, 1, False),
    "top_k": (-1, float("inf"), True),
    "min_p": (0, 1, True),
    "repetition_penalty": (0, float("inf"), False),
    "presence_penalty": (-2, 2, True),
    "frequency_penalty": (-2, 2, True),
    "max_tokens": (1, float("inf"), True),
    "min_tokens": (0, float("inf"), True),
}
_WHOLE = ("top_k", "max_tokens", "min_tokens")


@cache
def _fields(module: str, class_name: str) -> frozenset[str]:
    """Annotated fields of a class of the installed vLLM, read without importing it; empty where it can't be found."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("vLLM is not installed", "environment", "install with --extra cpu or --extra cuda")
    path = Path(spec.submodule_search_locations[0]).joinpath(*module.split(".")).with_suffix(".py")
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError:
        return frozenset()  # laid out differently in this version: vLLM itself checks at load
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            fields = (n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name))
            return frozenset(name for name in fields if not name.startswith("_"))
    return frozenset()


def check_engine_args(args: Mapping[str, Any], where: str) -> None:
    """Check names of engine arguments.

    Args:
        args: what goes to `vllm.LLM` beside model and revision.
        where: config path to name in the error, such as `writer`.

    Raises:
        UserError: an argument vLLM does not have, or that the session sets itself.
    """
    _check_names(args, _fields("engine.arg_utils", "EngineArgs"), _RESERVED, f"{where}.engine", where)


def check_sampling(params: Mapping[str, Any], where: str) -> None:
    """Check names and ranges of sampling parameters.

    Raises:
        UserError: a parameter vLLM does not have, that is set elsewhere, or whose value is out of range.
    """
    _check_names(params, _fields("sampling_params", "SamplingParams"), _RESERVED_SAMPLING, f"{where}.sampling", where)
    for name, value in params.items():
        if name not in _RANGES or value is None:
            continue
        low, high, inclusive = _RANGES[name]
        number = isinstance(value, int if name in _WHOLE else (int, float)) and not isinstance(value, bool)
        if not number or not (low <= value <= high) or (value == low and not inclusive):
            interval = f"{'[' if inclusive else '('}{low:g}, {high:g}{']' if high != float('inf') else ')'}"
            what = "a whole number" if name in _WHOLE else "a number"
            raise UserError(f"{value!r} is not {what} in {interval}", f"{where}.sampling.{name}", "correct the value")


def _check_names(
    given: Mapping[str, Any], known: frozenset[str], reserved: Mapping[str, str], path: str, where: str
) -> None:
    for name in given:
        if name in reserved:
            raise UserError("cannot be set here", f"{path}.{name}", reserved[name].format(where))
        if known and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else "see vLLM's documentation for the names"
            raise UserError("vLLM has no such parameter", f"{path}.{name}", hint)
