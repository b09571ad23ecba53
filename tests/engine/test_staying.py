"""Backends that stay open side by side: the runner with stages that take turns, and what is noted of each turn."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from engine.records import Request
from engine.runner import TIMINGS
from engine.stage import Stage
from engine.staying import since
from engine.stop import StopFlag, Stopped
from tests.engine import test_runner
from tests.engine.test_runner import OPENED, POISON, Adder, AdderSpec, Checks, Sums, fresh, go, make, outputs  # noqa: F401


class Counting(Adder):
    """An adder that says what it did, and what its engine warns of when it is closed."""

    def __enter__(self):
        self.stats.load_s, self.stats.extra = 0.5, {"calls": 0, "device": "abacus"}
        return super().__enter__()

    def __exit__(self, *exc):
        self.stats.close_s, self.stats.footprint_mib = 0.25, 7.0
        super().__exit__(*exc)

    def steps(self, requests):
        for step in super().steps(requests):
            self.stats.extra["calls"] += len(step)
            yield step


@dataclass(frozen=True)
class StayingSpec(AdderSpec):
    stays: str | None = "pair"

    def open(self):
        return Counting(self.name)


class StayingSums(Sums):
    def backend(self):
        return StayingSpec("one", self.job.shared.get("stays", "pair"))


class StayingChecks(Checks):
    def backend(self):
        return StayingSpec("checker")


class Last(Stage):
    """Wants one more sum once the checks are through."""

    name = "last"
    reads = ("checks",)

    def backend(self):
        return AdderSpec("last")

    def requests(self):
        if len(self.job.checkpoint.stage("checks")) >= 10:
            yield Request("end", {"a": 1, "b": 1})


def pair(job):
    return [StayingSums(job), StayingChecks(job)]


def pair_and_last(job):
    return [StayingSums(job), StayingChecks(job), Last(job)]


@pytest.fixture
def make_here(tmp_path, monkeypatch):
    """`make` with the stages above."""
    monkeypatch.setattr(test_runner, "__name__", __name__)
    return lambda *overrides, **shared: make(tmp_path, *overrides, **shared)


def timings(job) -> list[dict]:
    return [r["output"] for r in job.checkpoint.stage(TIMINGS).records()]


def test_each_is_opened_once_and_closed_in_the_end_the_last_opened_first(make_here):
    job = make_here("seed=1", stages="pair")
    go(job)
    assert OPENED == ["one", "checker", "closed checker", "closed one"]
    assert job.figures == {"count": 12} and outputs(job)["k3"] == 4  # all that is said without staying, too
    took = [(t["stage"], t["rows"], t["engines"], t["engine_load_s"], t["engine_close_s"]) for t in timings(job)]
    assert took == [
        ("sums", 10, 1, 0.5, 0), ("checks", 10, 1, 0.5, 0), ("sums", 2, 0, 0, 0), ("checks", 2, 0, 0, 0),
        ("checks", 0, 0, 0, 0.25), ("sums", 0, 0, 0, 0.25),
    ]  # fmt: skip
    assert [t.get("calls") for t in timings(job)] == [10, 10, 2, 2, None, None]
    assert timings(job)[-1]["memory_footprint_mib"] == 7


def test_a_stage_that_does_not_stay_with_them_has_the_machine_to_itself(make_here):
    job = make_here("seed=1", stages="pair_and_last")
    go(job)
    assert OPENED == ["one", "checker", "closed checker", "closed one", "last", "closed last"]
    assert outputs(job, "last") == {"end": 2}


def test_those_of_another_name_are_closed_first(make_here):
    go(make_here("seed=1", stages="pair", stays="other"))
    assert OPENED == ["one", "closed one", "checker", "closed checker"] * 2


def test_one_that_dies_is_closed_and_opened_anew(make_here):
    POISON[1004] = 1  # in the second round, when it is open since the first
    job = make_here("seed=1", stages="pair")
    go(job)
    assert OPENED == ["one", "checker", "closed one", "one", "closed one", "closed checker"]
    assert outputs(job)["k4-again"] == 1005
    assert [t["engines"] for t in timings(job) if t["stage"] == "sums"] == [1, 1, 0]


def test_a_stopped_run_leaves_none_open(make_here):
    class Once(StopFlag):
        def check(self):
            if "checker" in OPENED:
                raise Stopped(2)

    with pytest.raises(Stopped):
        go(make_here(stages="pair"), stop=Once())
    assert OPENED == ["one", "checker", "closed checker", "closed one"]


def test_figures_are_those_of_the_turn():
    assert since({"batches": 3, "device": "cpu"}, {"batches": 5, "device": "cpu", "halved": 1, "on": True}) == {
        "batches": 2,
        "device": "cpu",
        "halved": 1,
        "on": True,
    }
