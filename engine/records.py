"""Requests, outputs and records: what goes into a backend, what comes out, what a shard keeps.

A `Request` is planned by a stage. Everything in its `payload` goes to the backend and decides the output; `extra`
decides the record without being sent (a rubric's weights, say). Both are hashed, part by part, with the backend's
identity (model, revision) into the request's fingerprint. A kept record counts on resume only while its fingerprint
equals that of the request planned now.

A record is one JSON line:

    {"key": "ada/intro/s01#1.1", "stage": "generate", "status": "ok", "fingerprint": "9f…",
     "inputs": {"prompt": "77ab…", "sampling": "…", "model": "…"},
     "output": {…}, "usage": {"input_tokens": 812, "output_tokens": 55}, "time": 1771234567.12}

with `"error": {"kind", "message", …}` in place of `output` when `status` is `error`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

OK, ERROR = "ok", "error"


def digest(value: Any, size: int = 8) -> str:
    """Hex BLAKE2b of `value`'s canonical JSON (sorted keys); `size` in bytes."""
    blob = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    return hashlib.blake2b(blob, digest_size=size).hexdigest()


def derive_seed(*parts: Any) -> int:
    """A seed in [0, 2**31) that depends on nothing but `parts`: the same request asks the same question anywhere."""
    blob = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(blob, digest_size=4).digest(), "big") >> 1


@dataclass(slots=True)
class Request:
    """One row for a backend.

    Attributes:
        key: unique within its stage, stable between runs.
        payload: named JSON-able parts the backend reads. An LLM session reads `prompt` (chat messages), `sampling`
            and, optionally, `schema`; synthesizers state their own.
        extra: named JSON-able parts that decide the record but are not sent.
        context: whatever the stage wants back when the output arrives; neither hashed nor sent.
        finish: a picklable call made with the output's value beside the backend, on a cluster by the worker; what it
            returns is the value the stage gets. It may raise `RowError`. Not hashed.
    """

    key: str
    payload: Mapping[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict)
    context: Any = None
    finish: Callable[[Any], Any] | None = None

    def inputs(self, identity: Mapping[str, Any]) -> dict[str, str]:
        """Hash of each named part of payload, extra and the backend's `identity`, by name."""
        return {k: digest(v, 4) for part in (identity, self.extra, self.payload) for k, v in part.items()}


@dataclass(slots=True)
class Output:
    """What a backend answered to one request: a `value`, or the `error` that stands in for it.

    Attributes:
        key: the request's key.
        value: backend-specific; an LLM session gives `{"text": str, "finish_reason": str}`.
        usage: counts such as `input_tokens`, `output_tokens`; summed per stage.
        error: `{"kind", "message", …}`, see `errors.RowError.to_dict`.
    """

    key: str
    value: Any = None
    usage: dict[str, float] = field(default_factory=dict)
    error: dict[str, Any] | None = None


def make_record(
    stage: str,
    key: str,
    inputs: Mapping[str, str],
    *,
    output: Any = None,
    error: Mapping[str, Any] | None = None,
    usage: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The JSON-able record of one finished request (layout in the module's docstring)."""
    record = {
        "key": key,
        "stage": stage,
        "status": ERROR if error else OK,
        "fingerprint": digest(dict(inputs)),
        "inputs": dict(inputs),
    }
    if error:
        record["error"] = dict(error)
    else:
        record["output"] = output
    record["usage"] = dict(usage or {})
    record["time"] = round(time.time(), 3)
    return record
