"""The runner, with stages and a backend small enough to see through: an adder of numbers that can be told to die."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from omegaconf import OmegaConf

from engine.backend import BackendStats
from engine.config import Config
from engine.errors import EngineDied, EngineError, RowError, UserError
from engine.job import Job
from engine.progress import Display
from engine.records import Output, Request
from engine.runner import TIMINGS, run
from engine.stage import Stage
from engine.stop import StopFlag, Stopped

OPENED: list[str] = []
RAN: list[tuple[str, str]] = []


@dataclass
class Adder:
    """A backend that answers `a + b`; dies on requests whose payload says so, as often as it says."""

    name: str
    stats: BackendStats = field(default_factory=BackendStats)
    deaths: dict[int, int] = field(default_factory=dict)

    def __enter__(self):
        OPENED.append(self.name)
        return self

    def __exit__(self, *exc):
        OPENED.append(f"closed {self.name}")

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        source = iter(requests)
        while batch := [r for _, r in zip(range(4), source)]:
            for r in batch:
                left = POISON.get(r.payload["a"], 0)
                if left:
                    POISON[r.payload["a"]] = left - 1
                    raise EngineDied("killed", [r.key for r in batch])
            RAN.extend((self.name, str(r.payload["a"])) for r in batch)
            yield [Output(r.key, r.payload["a"] + r.payload["b"], {"output_tokens": 1}) for r in reversed(batch)]


POISON: dict[int, int] = {}


@dataclass(frozen=True)
class AdderSpec:
    name: str

    def identity(self):
        return {"model": self.name}

    def group(self):
        return self.name

    def open(self):
        return Adder(self.name)


class Sums(Stage):
    """Asks for `n` sums of i and `job.config.seed`; odd results are errors where told so."""

    name = "sums"
    reads = ("checks",)

    def backend(self):
        return AdderSpec(self.job.shared.get("model", "one"))

    def requests(self):
        checks = self.job.checkpoint.stage("checks")
        for i in range(self.job.shared.get("n", 10)):
            yield Request(f"k{i}", {"a": i, "b": self.job.config.seed})
            verdict = checks.get(f"k{i}")
            if verdict and verdict["output"] % 5 == 0:
                yield Request(f"k{i}-again", {"a": i + 1000, "b": self.job.config.seed})

    def output(self, request, output):
        if output.value in self.job.shared.get("bad", ()):
            raise RowError("bad_sum", f"{output.value} is bad")
        return output.value


class Checks(Stage):
    """Doubles each sum of `Sums`."""

    name = "checks"
    reads = ("sums",)
    needs = ("sums",)

    def backend(self):
        return AdderSpec("checker")

    def requests(self):
        sums = self.job.checkpoint.stage("sums")
        for record in sums.records():
            if "output" in record:
                yield Request(record["key"], {"a": record["output"], "b": record["output"]})

    def finish(self):
        return {"count": len(self.job.checkpoint.stage("checks"))}


def both(job):
    return [Sums(job), Checks(job)]


def sums_only(job):
    return [Sums(job)]


def checks_only(job):
    return [Checks(job)]


@pytest.fixture(autouse=True)
def fresh():
    OPENED.clear()
    RAN.clear()
    POISON.clear()


def make(path, *overrides: str, stages: str = "both", **shared) -> Job:
    config = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.from_dotlist(list(overrides)))
    config.stages = {"x": {"_target_": f"{__name__}.{stages}"}}
    job = Job(config, str(path))
    job.shared.update(shared)
    return job


def go(*jobs: Job, stop: StopFlag | None = None) -> str:
    out = io.StringIO()
    try:
        with Display(out, live=False) as display:
            run(list(jobs), display, stop or StopFlag())
    finally:
        for job in jobs:
            job.checkpoint.close()
    return out.getvalue()


def outputs(job: Job, stage: str = "sums") -> dict:
    return {r["key"]: r.get("output", r.get("error")) for r in job.checkpoint.stage(stage).records()}


def test_stages_run_in_order_with_one_engine_alive_at_a_time(tmp_path):
    job = make(tmp_path, "seed=1")
    go(job)
    assert OPENED == ["one", "closed one", "checker", "closed checker"] * 2  # k4 and k9 ask to be written again
    assert outputs(job)["k3"] == 4
    assert outputs(job, "checks")["k3"] == 8
    assert job.figures == {"count": 12}


def test_a_second_run_finds_everything_done_and_opens_nothing(tmp_path):
    go(make(tmp_path))
    OPENED.clear()
    said = go(make(tmp_path))
    assert OPENED == []
    assert "sums: 12 done, 0 to do" in said


def test_resume_runs_only_what_is_missing(tmp_path):
    go(make(tmp_path, n=6))
    RAN.clear()
    go(make(tmp_path, n=8))
    assert {a for name, a in RAN if name == "one"} == {"6", "7"}


def test_changed_inputs_are_stale_and_say_which(tmp_path):
    go(make(tmp_path, stages="sums_only"))
    said = go(make(tmp_path, "seed=3", stages="sums_only"))
    assert "sums: 0 done, 10 stale (b), 10 to do" in said
    job = make(tmp_path, "seed=3")
    assert outputs(job)["k1"] == 4
    shard = (tmp_path / "sums/00000.jsonl").read_text()
    assert shard.count('"k1"') == 2  # the old record stays


def test_stale_records_are_kept_or_refused_as_told(tmp_path):
    go(make(tmp_path, stages="sums_only"))
    said = go(make(tmp_path, "seed=3", "checkpoint.on_stale=keep", stages="sums_only"))
    assert "sums: 10 done, 0 to do" in said
    with pytest.raises(UserError, match="10 stale"):
        go(make(tmp_path, "seed=3", "checkpoint.on_stale=error", stages="sums_only"))


def test_a_stage_without_input_names_the_one_to_run_first(tmp_path):
    with pytest.raises(UserError, match=r"\+stage=sums first"):
        go(make(tmp_path, stages="checks_only"))


def test_a_bad_row_is_an_error_record_and_its_neighbours_go_on(tmp_path):
    job = make(tmp_path, n=5, bad={2})
    go(job)
    assert outputs(job)["k2"] == {"kind": "bad_sum", "message": "2 is bad"}
    assert "k2" not in outputs(job, "checks")
    assert len(outputs(job, "checks")) >= 4
    said = go(make(tmp_path, n=5))
    assert "1 errors, 0 to do" in said
    again = make(tmp_path, "retry_errors=true", n=5)
    go(again)
    assert outputs(again)["k2"] == 2


def test_retried_errors_are_taken_up_once_in_a_run(tmp_path):
    go(make(tmp_path, n=3, bad={2}))
    RAN.clear()
    go(make(tmp_path, "retry_errors=true", n=3, bad={2}))
    assert [a for name, a in RAN if name == "one"] == ["2"]


def test_sweep_points_share_one_engine_and_equal_requests_run_once(tmp_path):
    jobs = [make(tmp_path / str(i), f"seed={i % 2}", n=20) for i in range(4)]
    go(*jobs)
    assert OPENED.count("one") == 2  # the second for what is written again
    assert len([1 for name, a in RAN if name == "one" and int(a) < 1000]) == 2 * 20
    assert outputs(jobs[0]) == outputs(jobs[2]) != outputs(jobs[1]) == outputs(jobs[3])


def test_sweep_points_take_over_what_another_point_already_keeps(tmp_path):
    go(make(tmp_path / "a", n=8, stages="sums_only"))
    RAN.clear()
    jobs = [make(tmp_path / "a", n=8, stages="sums_only"), make(tmp_path / "b", n=9, stages="sums_only")]
    go(*jobs)
    assert [a for _, a in RAN] == ["8"]
    assert len(outputs(jobs[1])) == 9


def test_points_with_other_engines_form_groups_one_after_the_other(tmp_path):
    jobs = [make(tmp_path / str(i), model=f"m{i % 2}", stages="sums_only") for i in range(4)]
    go(*jobs)
    assert OPENED == ["m0", "closed m0", "m1", "closed m1"]


def test_one_failing_point_does_not_stop_the_others(tmp_path):
    (tmp_path / "b").write_text("in the way")
    good, other = make(tmp_path / "a"), make(tmp_path / "c")
    bad = make(tmp_path / "d", stages="checks_only")
    go(good, bad, other)
    assert isinstance(bad.error, UserError)
    assert good.error is None and len(outputs(good)) == len(outputs(other)) == 12


def test_after_an_engine_death_a_fresh_engine_takes_the_unfinished(tmp_path):
    POISON[5] = 1
    job = make(tmp_path, stages="sums_only")
    go(job)
    assert OPENED == ["one", "closed one", "one", "closed one"]
    assert {k: v for k, v in outputs(job).items() if isinstance(v, int)} == {f"k{i}": i for i in range(10)}


def test_a_request_that_kills_every_engine_is_found_and_becomes_an_error(tmp_path):
    POISON[5] = 10**6
    job = make(tmp_path, n=40, stages="sums_only")
    go(job)
    found = outputs(job)
    assert found["k5"]["kind"] == "engine_died"
    assert len(found) == 40 and sum(isinstance(v, int) for v in found.values()) == 39
    assert len(OPENED) / 2 <= 8


def test_an_engine_that_dies_on_everything_ends_the_run_with_one_line(tmp_path):
    POISON.update({i: 10**6 for i in range(64)})
    with pytest.raises(EngineError, match="engines in a row died"):
        go(make(tmp_path, n=64, stages="sums_only"))


class StopAfter(StopFlag):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    def check(self):
        self.looks -= 1
        if self.looks == 0:
            raise Stopped(2)


@pytest.mark.parametrize("looks", range(1, 7))
def test_stopping_anywhere_closes_the_engine_and_resume_completes_without_redoing(tmp_path, looks):
    job = make(tmp_path, n=20, stages="sums_only")
    with pytest.raises(Stopped):
        go(job, stop=StopAfter(looks))
    assert OPENED[-1].startswith("closed")
    first = list(RAN)
    again = make(tmp_path, n=20, stages="sums_only")
    go(again)
    assert outputs(again) == {f"k{i}": i for i in range(20)}
    assert len(RAN) == 20 and set(first).isdisjoint(RAN[len(first) :])


def test_what_each_stage_took_is_kept(tmp_path):
    job = make(tmp_path, n=5, stages="sums_only")
    go(job)
    (timing,) = (r["output"] for r in job.checkpoint.stage(TIMINGS).records())
    assert timing["stage"] == "sums" and timing["rows"] == 5 and timing["output_tokens"] == 5
    assert timing["seconds"] > 0 and timing["engines"] == 1


class Endless(Sums):
    """Never content with what it gets."""

    reads = ("sums",)

    def requests(self):
        yield Request(f"k{len(self.job.checkpoint.stage('sums'))}", {"a": 1, "b": 2})


def endless(job):
    return [Endless(job)]


def test_a_stage_that_never_ends_is_found_out(tmp_path):
    with pytest.raises(EngineError, match="bound its rounds"):
        go(make(tmp_path, stages="endless"))
