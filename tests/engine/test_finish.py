"""Outputs finished in threads beside the backend: all of them come, in bounded numbers, whatever becomes of it."""

from __future__ import annotations

import threading
import time

import pytest

from engine.backend import BackendStats
from engine.errors import EngineDied, RowError
from engine.finish import WAITING, Finishing
from engine.records import Output, Request


class Counter:
    """Answers each request with its number, one a step; dies after `dies` of them."""

    def __init__(self, dies: int | None = None):
        self.stats, self.dies, self.answered, self.closed = BackendStats(), dies, 0, False

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def steps(self, requests):
        try:
            for request in requests:
                if self.answered == self.dies:
                    raise EngineDied("gone", [request.key])
                self.answered += 1
                yield [Output(request.key, request.payload["n"])]
        finally:
            self.closed = True


def rows(count, finish):
    return [Request(str(i), {"n": i}, finish=finish) for i in range(count)]


def collect(backend, requests, threads=2):
    return {o.key: o for step in Finishing(backend, threads).steps(requests) for o in step}


def test_every_output_is_finished_once():
    found = collect(Counter(), rows(50, lambda n: n * 2))
    assert {key: output.value for key, output in found.items()} == {str(i): 2 * i for i in range(50)}


def test_an_output_with_nothing_to_finish_passes_at_once():
    assert collect(Counter(), [Request("a", {"n": 1})])["a"].value == 1


def test_what_cannot_be_finished_is_an_error_of_its_row():
    def odd_is_bad(n):
        if n % 2:
            raise RowError("odd", "is odd")
        return n

    found = collect(Counter(), rows(10, odd_is_bad))
    assert [key for key, output in found.items() if output.error] == ["1", "3", "5", "7", "9"]


def test_the_backend_works_while_outputs_are_finished_and_waits_when_they_pile_up():
    backend, gate = Counter(), threading.Event()
    steps = Finishing(backend, 1).steps(rows(100, lambda n: gate.wait(20)))
    begun = [next(steps) for _ in range(WAITING)]
    assert backend.answered == WAITING and not any(begun)
    threading.Thread(target=lambda: (time.sleep(0.2), gate.set())).start()
    for _ in range(2):
        next(steps)
    assert gate.is_set() and backend.answered <= WAITING + 2
    steps.close()


def test_what_was_answered_before_an_engine_died_is_finished_and_kept():
    found = []
    with pytest.raises(EngineDied) as death:
        for step in Finishing(Counter(dies=5), 2).steps(rows(9, lambda n: time.sleep(0.01) or n)):
            found += [output.key for output in step]
    assert sorted(found) == list("01234") and list(death.value.in_flight) == ["5"]


def test_stopping_early_closes_the_backend_and_begins_nothing_more():
    backend, done = Counter(), []
    steps = Finishing(backend, 1).steps(rows(20, lambda n: (time.sleep(0.02), done.append(n))))
    for _ in range(6):
        next(steps)
    steps.close()
    assert backend.closed
    settled = len(done)
    time.sleep(0.1)
    assert len(done) == settled < 6


def test_a_defect_in_finishing_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        collect(Counter(), rows(3, lambda n: 1 / 0))
