"""What is still to be done to an output beside the backend that gave it: mastering a take, writing its file.

A request's `finish` is a picklable call that takes the output's value and returns the value its stage gets. In a run
on one machine it is called in this process; on a cluster by the worker, so that samples need not travel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, Self

from engine.backend import Backend, BackendStats
from engine.errors import RowError
from engine.records import Output, Request


def finished(finish: Callable[[Any], Any] | None, output: Output) -> Output:
    """`output` with its value as `finish` leaves it; an error one as it is."""
    if finish is None or output.error is not None:
        return output
    try:
        return Output(output.key, finish(output.value), output.usage)
    except RowError as e:
        return Output(output.key, usage=output.usage, error=e.to_dict())


class Finishing:
    """A backend whose outputs are finished in this process as they come."""

    def __init__(self, backend: Backend):
        self.backend = backend

    @property
    def stats(self) -> BackendStats:
        """Those of the backend."""
        return self.backend.stats

    def __enter__(self) -> Self:
        self.backend.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.backend.__exit__(*exc)

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        """The backend's own steps, each output finished."""
        waiting: dict[str, Callable[[Any], Any]] = {}

        def noted() -> Iterator[Request]:
            for request in requests:
                if request.finish is not None:
                    waiting[request.key] = request.finish
                yield request

        with closing(self.backend.steps(noted())) as steps:
            for outputs in steps:
                yield [finished(waiting.pop(output.key, None), output) for output in outputs]
