"""Rows on their way between driver and workers: several in a pack, a pack in one binary cell of a Ray Data block."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.records import Output, Request

COLUMN = "pack"


@dataclass(slots=True)
class Pack:
    """Requests that travel, and come back, together.

    Attributes:
        number: unique within a backend's life.
        solo: its rows may kill an engine: a worker runs it with nothing beside it.
    """

    number: int
    requests: list[Request]
    solo: bool = False

    def __reduce__(self) -> tuple[Callable[..., Pack], tuple[Any, ...]]:
        # What only the driver needs (`extra`, `context`: a link with its lyrics) stays there.
        return _pack, (self.number, self.solo, [(r.key, r.payload, r.finish) for r in self.requests])


@dataclass(slots=True)
class Answer:
    """What became of a pack.

    Attributes:
        died: why its rows have no outputs: workers died of them too often.
    """

    number: int
    outputs: list[Output] = field(default_factory=list)
    died: str | None = None


def _pack(number: int, solo: bool, rows: list[tuple[str, Any, Any]]) -> Pack:
    return Pack(number, [Request(key, payload, finish=finish) for key, payload, finish in rows], solo)


def packed(thing: Pack | Answer) -> bytes:
    """The thing as bytes."""
    return pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)


def table(thing: bytes) -> Any:
    """A `pyarrow.Table` of one row."""
    import pyarrow as pa

    return pa.table({COLUMN: pa.array([thing], pa.large_binary())})


def things(table: Any) -> list[Any]:
    """What is in a table made by `table`."""
    return [pickle.loads(cell.as_buffer()) for cell in table[COLUMN]]
