"""Ray on three nodes: a backend small enough to see through, then whole runs, the same rows as on one machine.

One file, so that tests in several processes start one Ray.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.cluster.ray_backend import RayBackend
from engine.cluster.shape import PoolShape
from engine.errors import EngineError, UserError
from engine.records import Output, Request
from tests.cluster.conftest import Nodes, ray_processes, until
from tests.cluster.echo import EchoSpec, Where
from tests.reliability.shards import Held, assert_grown, assert_whole, held
from tests.reliability.stable import Run, Stable

SHAPE = PoolShape(workers=2, cpus_per_worker=0.5, rows_per_task=4, rows_per_worker=16)
LINKS = 10
ALL = ("+stage=all", f"select.limit={LINKS}")


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


# Whole runs ---------------------------------------------------------------------------------------------------------


def on_ray(nodes: Nodes, *more: str) -> tuple[str, ...]:
    small = ("cluster.rows_per_task=2", "cluster.rows_per_worker=4")
    return ("cluster=ray", f"cluster.address={nodes.address}", *small, *more)


@pytest.fixture(scope="module")
def local(stable: Stable, tmp_path_factory) -> Path:
    """The checkpoint of an uninterrupted run without Ray."""
    folder = tmp_path_factory.mktemp("local") / "c"
    ended = stable.run(*ALL, f"checkpoint.path={folder}", timeout=300)
    assert ended.code == 0, ended.err
    return folder


@pytest.fixture
def unspoken(local: Path, tmp_path) -> Path:
    """A copy of it that has its scripts and verdicts, but no takes."""
    folder = Path(shutil.copytree(local, tmp_path / "c"))
    for made in ("audio", "takes", "report", "playlists"):
        shutil.rmtree(folder / made)
    return folder


def assert_same(checkpoint: Path, local: Path) -> None:
    """Row for row, and sample for sample, what the local run gave."""
    here, there = assert_whole(checkpoint, held(local)), held(local)
    for key, record in there.records["audio"].items():
        assert here.records["audio"][key]["output"] == record["output"]
        file = record["output"]["file"]
        assert (checkpoint / file).read_bytes() == (local / file).read_bytes()


def test_the_demo_station_comes_out_as_without_ray(nodes, stable, local, tmp_path):
    # One engine at a time: two cores load two no faster than one after the other.
    arguments = (*ALL, *on_ray(nodes), "cluster.per_stage.audio.workers=3", f"checkpoint.path={tmp_path}/c")
    ended = stable.run(*arguments, timeout=500)
    assert ended.code == 0, ended.err
    assert_same(tmp_path / "c", local)
    assert f"audio: {LINKS}/{LINKS} done" in ended.out
    timings = {r["output"]["stage"]: r["output"] for r in held(tmp_path / "c").records["timings"].values()}
    assert timings["generate"]["engine_load_s"] > 1 and timings["generate"]["memory_footprint_mib"] > 100
    until(lambda: not ray_processes("MapWorker"), 10)


@pytest.mark.slow  # six engines loaded on two cores
def test_three_engines_at_a_time_write_and_audit_what_one_does(nodes, stable, local, tmp_path):
    arguments = (*ALL, *on_ray(nodes, "cluster.workers=3"), f"checkpoint.path={tmp_path}/c")
    ended = stable.run(*arguments, timeout=500)
    assert ended.code == 0, ended.err
    assert_same(tmp_path / "c", local)


def speak(nodes: Nodes, checkpoint: Path, *more: str) -> tuple[str, ...]:
    """A run that speaks the links, two workers, half a second a take."""
    slow = ("tts._target_=tests.cluster.slow.stages", "tts.row_s=0.5")
    workers = "cluster.workers=2"
    return ("+stage=audio,report", *ALL[1:], *slow, *on_ray(nodes, workers), f"checkpoint.path={checkpoint}", *more)


def in_mid_stage(run: Run, checkpoint: Path) -> Held:
    """Wait until some takes are kept, not all; what is held then."""
    until(lambda: len(held(checkpoint).records.get("audio", ())) >= 2 or run.err, 120)
    now = held(checkpoint)
    assert 2 <= len(now.records["audio"]) < LINKS, run.err
    return now


def test_the_driver_is_killed_and_the_run_resumed(nodes, stable, local, unspoken):
    run = stable.start(*speak(nodes, unspoken))
    in_mid_stage(run, unspoken)
    run.kill()
    assert run.wait().code == -signal.SIGKILL
    before = held(unspoken)
    until(lambda: not ray_processes("MapWorker"), 30)  # nobody is left to hold a device
    ended = stable.run(*speak(nodes, unspoken))
    assert ended.code == 0, ended.err
    assert_grown(before, held(unspoken))
    assert_same(unspoken, local)


def test_a_worker_is_killed_and_the_run_completes(nodes, stable, local, unspoken):
    run = stable.start(*speak(nodes, unspoken))
    in_mid_stage(run, unspoken)
    os.kill(ray_processes("MapWorker")[0].pid, signal.SIGKILL)
    ended = run.wait()
    assert ended.code == 0, ended.err
    assert_same(unspoken, local)
    assert audio_timing(unspoken)["worker_restarts"] == 1


def test_a_node_is_killed_and_the_run_completes(nodes, stable, local, unspoken):
    run = stable.start(*speak(nodes, unspoken, "cluster.cpus_per_worker=0.5"))
    try:
        in_mid_stage(run, unspoken)
        nodes.kill_a_node()
        ended = run.wait()
        assert ended.code == 0, ended.err
        assert_same(unspoken, local)
    finally:
        nodes.heal()


def audio_timing(checkpoint: Path) -> dict:
    """What was measured the last time takes were made."""
    return [r["output"] for r in held(checkpoint).records["timings"].values() if r["output"]["stage"] == "audio"][-1]


def test_ctrl_c_ends_the_run_in_order_and_leaves_no_worker(nodes, stable, unspoken):
    run = stable.start(*speak(nodes, unspoken))
    in_mid_stage(run, unspoken)
    run.kill(signal.SIGTERM)
    ended = run.wait()
    assert ended.code == 128 + signal.SIGTERM
    assert "Stopped." in ended.out
    until(lambda: not ray_processes("MapWorker"), 10)


def test_workers_write_to_the_store_that_is_named(nodes, stable, local, unspoken, tmp_path):
    shared = tmp_path / "shared"
    ended = stable.run(*speak(nodes, unspoken, f"output.url=file://{shared}", "tts.row_s=0"))
    assert ended.code == 0, ended.err
    records = held(unspoken).records["audio"]
    for key, record in held(local).records["audio"].items():
        file = Path(records[key]["output"]["file"])
        assert file.is_relative_to(shared)
        assert file.read_bytes() == (local / record["output"]["file"]).read_bytes()
    assert not (unspoken / "takes").exists()
    assert not list(shared.rglob(".*"))
    playlist = (unspoken / "playlists").rglob("*.m3u8")
    assert any(str(shared) in p.read_text() for p in playlist)


def test_a_sweep_is_one_pool_for_all_its_points(nodes, stable, tmp_path):
    arguments = ("+stage=generate", "select.limit=2", "generation.rounds=1", *on_ray(nodes))
    points = "writer.sampling.temperature=0.6,0.8"
    ended = stable.run("-m", *arguments, points, f"hydra.sweep.dir={tmp_path}/sweep", timeout=400)
    assert ended.code == 0, ended.err
    made = [held(path.parent.parent) for path in (tmp_path / "sweep").glob("*/generate/00000.jsonl")]
    assert [len(point.records["generate"]) for point in made] == [2, 2]
    for point in made:
        (timing,) = point.records["timings"].values()
        assert (timing["output"]["shared_by"], timing["output"]["engines_opened"]) == (2, 1)
