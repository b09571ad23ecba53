"""A backend small enough to see through: answers with what it was asked, after a while; some rows kill it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Self

from engine.backend import BackendStats
from engine.errors import EngineDied
from engine.records import Output, Request


@dataclass(frozen=True)
class EchoSpec:
    """How to open one.

    Attributes:
        batch: rows answered together.
        row_s: seconds a row takes.
        fails: what it says in place of opening.
    """

    batch: int = 4
    row_s: float = 0.0
    fails: str | None = None

    def identity(self) -> Mapping[str, Any]:
        return {"model": "echo"}

    def group(self) -> str:
        return "echo"

    def open(self) -> Echo:
        return Echo(self)


@dataclass
class Echo:
    """Answers `{"said": what, "pid": where}`; a payload's `do` may be `kill` (this process) or `die` (the engine)."""

    spec: EchoSpec
    stats: BackendStats = field(default_factory=BackendStats)

    def __enter__(self) -> Self:
        if self.spec.fails:
            from engine.errors import UserError

            raise UserError(self.spec.fails, "echo.fails", "leave it out")
        self.stats.extra = {"opened": 1, "rows": 0}
        return self

    def __exit__(self, *exc: object) -> None:
        self.stats.footprint_mib = self.stats.returned_mib = 1.0

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        source = iter(requests)
        while batch := list(islice(source, self.spec.batch)):
            for request in batch:
                time.sleep(self.spec.row_s)
                if request.payload.get("do") == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                if request.payload.get("do") == "die":
                    raise EngineDied("it was told to", [r.key for r in batch])
            self.stats.extra["rows"] += len(batch)
            yield [Output(r.key, {"said": r.payload["say"], "pid": os.getpid()}, {"output_tokens": 1}) for r in batch]


@dataclass(frozen=True)
class Where:
    """Notes beside the backend in which process it was finished; not in that of `driver`."""

    driver: int

    def __call__(self, value: dict[str, Any]) -> dict[str, Any]:
        assert os.getpid() != self.driver
        return {**value, "finished_in": os.getpid()}
