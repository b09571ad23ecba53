"""What is still to be done to an output beside the backend that gave it: mastering a take, writing its file.

A request's `finish` is a picklable call that takes the output's value and returns the value its stage gets. In a run
on one machine it is called in threads of this process, while the backend goes on; on a cluster by the worker, so that
samples need not travel.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Self

from engine.backend import Backend, BackendStats
from engine.errors import RowError
from engine.records import Output, Request

THREADS = max(1, min(8, (os.cpu_count() or 2) // 2))  # for what is done on the CPU beside a backend
WAITING = 8  # outputs a thread may have before it; the backend stops for them beyond, so that memory stays bounded


def finished(finish: Callable[[Any], Any] | None, output: Output) -> Output:
    """`output` with its value as `finish` leaves it; an error one as it is."""
    if finish is None or output.error is not None:
        return output
    try:
        return Output(output.key, finish(output.value), output.usage)
    except RowError as e:
        return Output(output.key, usage=output.usage, error=e.to_dict())


class Finishing:
    """A backend whose outputs are finished in threads of this process while it works on the next.

    Args:
        threads: by default half of the cores, at most 8.
    """

    def __init__(self, backend: Backend, threads: int = THREADS):
        self.backend = backend
        self.threads = threads

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
        """The backend's own steps, each output when it is finished; all of them before an error of the backend's."""
        waiting: dict[str, Callable[[Any], Any]] = {}
        under_way: deque[Future[Output]] = deque()

        def noted() -> Iterator[Request]:
            for request in requests:
                if request.finish is not None:
                    waiting[request.key] = request.finish
                yield request

        def drained() -> Iterator[list[Output]]:
            while under_way:
                yield [under_way.popleft().result()]

        pool = ThreadPoolExecutor(self.threads, "finish")
        try:
            with closing(self.backend.steps(noted())) as steps:
                for outputs in steps:
                    ready = []
                    for output in outputs:
                        if (finish := waiting.pop(output.key, None)) is None:
                            ready.append(output)
                        else:
                            under_way.append(pool.submit(finished, finish, output))
                    while under_way and (under_way[0].done() or len(under_way) > WAITING * self.threads):
                        ready.append(under_way.popleft().result())
                    yield ready
            yield from drained()
        except Exception:
            yield from drained()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
