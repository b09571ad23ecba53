"""Ray's workers by the contract of a backend, with one small enough to see through."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from engine.cluster.ray_backend import RayBackend
from engine.cluster.shape import PoolShape
from engine.errors import EngineError, UserError
from engine.records import Output, Request
from tests.cluster.conftest import ray_processes, until
from tests.cluster.echo import EchoSpec, Where

SHAPE = PoolShape(workers=2, cpus_per_worker=0.5, rows_per_task=4, rows_per_worker=16)


def rows(n: int, start: int = 0, **do: int) -> Iterator[Request]:
    """Requests that say their number; `kill=7` makes the seventh kill its worker, `die=7` its engine."""
    for i in range(start, start + n):
        deed = next((name for name, which in do.items() if which == i), None)
        yield Request(str(i), {"say": i, "do": deed}, finish=Where(os.getpid()))


def answers(backend: RayBackend, requests: Iterable[Request], then=lambda got: None) -> dict[str, Output]:
    got: dict[str, Output] = {}
    for outputs in backend.steps(requests):
        for output in outputs:
            assert output.key not in got
            got[output.key] = output
        then(got)
    return got


def said(got: dict[str, Output]) -> dict[str, Any]:
    return {key: output.value["said"] for key, output in got.items() if output.error is None}


def pids(got: dict[str, Output]) -> set[int]:
    return {output.value["pid"] for output in got.values() if output.error is None}


def test_every_row_is_answered_once_by_workers_that_stay_until_closing(connected):
    taken = []

    def watched() -> Iterator[Request]:
        for request in rows(300):
            taken.append(request.key)
            yield request

    with RayBackend(EchoSpec(), SHAPE, "echo") as backend:
        first = answers(backend, watched(), lambda got: taken and _bounded(len(taken) - len(got)))
        second = answers(backend, rows(10, 300))
        working = {p.pid for p in ray_processes("MapWorker")}
        assert pids(first) | pids(second) <= working
    assert said(first) == {str(i): i for i in range(300)}
    assert said(second) == {str(i): i for i in range(300, 310)}
    assert all(o.value["finished_in"] == o.value["pid"] for o in first.values())  # not in this process
    until(lambda: {p.pid for p in ray_processes("MapWorker")}.isdisjoint(working), 10)
    assert backend.stats.extra["worker_restarts"] == 0
    assert backend.stats.extra["rows"] == 310
    assert backend.stats.load_s > 0 and backend.stats.footprint_mib == 1.0


def _bounded(out: int) -> None:
    assert out <= SHAPE.window + SHAPE.rows_per_task  # the source is drawn from as room appears


@pytest.mark.parametrize("deed", ["kill", "die"])
def test_a_row_that_kills_workers_or_their_engines_is_found_and_the_others_complete(connected, deed):
    with RayBackend(EchoSpec(), SHAPE, "echo") as backend:
        got = answers(backend, rows(40, **{deed: 17}))
    assert {key: o.error["kind"] for key, o in got.items() if o.error} == {"17": "engine_died"}
    assert said(got) == {str(i): i for i in range(40) if i != 17}
    assert backend.stats.extra["engines_opened"] >= 2 + 3  # twice among others, then alone: once more, and once again
    assert (backend.stats.extra["worker_restarts"] > 0) == (deed == "kill")


def test_what_a_backend_does_not_open_for_is_told_as_it_is(connected):
    with pytest.raises(UserError, match="no such model"):
        with RayBackend(EchoSpec(fails="no such model"), SHAPE, "echo"):
            pass


def test_leaving_early_leaves_no_worker(connected):
    with pytest.raises(KeyError):
        with RayBackend(EchoSpec(row_s=0.05), SHAPE, "echo") as backend:
            for outputs in backend.steps(rows(200)):
                if outputs:
                    raise KeyError("enough")
    until(lambda: not ray_processes("MapWorker"), 20)


def test_an_engine_that_dies_of_every_row_is_given_up(connected):
    with pytest.raises(EngineError, match="packs in a row gave nothing but dead workers"):
        with RayBackend(EchoSpec(), replace(SHAPE, workers=1), "echo") as backend:
            answers(backend, (replace(r, payload={"say": 0, "do": "die"}) for r in rows(400)))
