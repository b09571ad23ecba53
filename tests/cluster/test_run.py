"""Whole runs on three nodes: the same rows as on one, whoever is killed meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.cluster.conftest import Nodes, ray_processes, until
from tests.reliability.shards import Held, assert_grown, assert_whole, held
from tests.reliability.stable import Run, Stable

LINKS = 10
ALL = ("+stage=all", f"select.limit={LINKS}")


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
    """A run that speaks the links, two workers, a second a take."""
    slow = ("tts._target_=tests.cluster.slow.stages", "tts.row_s=1")
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
