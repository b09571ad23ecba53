"""Chatterbox in the whole product: `+stage=all tts=chatterbox_turbo` on a checkpoint of random weights.

What is said is noise; files, records, retakes and resume are real. `audio.checks=false` airs the noise.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
import soundfile

from tests.test_run import ROOT, engine, shards


@pytest.fixture(scope="module")
def arguments(turbo_folder, tmp_path_factory):
    """A run of two time checks with Turbo from `turbo_folder`."""
    cache = tmp_path_factory.mktemp("cache")
    return [
        "+stage=all", "select.kinds=[time]", "select.limit=2", "tts=chatterbox_turbo", f"tts.checkpoint={turbo_folder}",
        f"tts.cache={cache}", "tts.engine={}", "tts.sampling.max_tokens=24", "tts.env.VLLM_ENABLE_V1_MULTIPROCESSING=0",
        "tts.env.VLLM_CPU_KVCACHE_SPACE=1", "audio.checks=false",
    ]  # fmt: skip


def test_turbo_speaks_killed_once_and_resumed(arguments, tmp_path):
    command = [sys.executable, "-m", "engine", *arguments, f"checkpoint.path={tmp_path}"]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 400
    try:
        while not (shards(tmp_path, "tokens") or running.poll() is not None or time.monotonic() > deadline):
            time.sleep(0.1)
        running.send_signal(signal.SIGKILL)
    finally:
        running.kill()
        running.wait()
    kept = shards(tmp_path, "tokens")
    assert kept, "killed before T3 had kept a chunk"
    done = engine(*arguments, f"checkpoint.path={tmp_path}", timeout=580)
    assert done.returncode == 0, done.stdout + done.stderr
    tokens, takes = shards(tmp_path, "tokens"), shards(tmp_path, "audio")
    assert {key: tokens[key]["time"] for key in kept} == {key: record["time"] for key, record in kept.items()}
    assert len(takes) == 2
    for key, record in takes.items():
        spoken = [r["output"] for k, r in tokens.items() if k.startswith(f"{key}/")]
        assert spoken and all(0 < len(r["tokens"]) <= 24 for r in spoken)
        samples, rate = soundfile.read(tmp_path / record["output"]["file"])
        assert rate == 24000 and len(samples) > 0.2 * rate and abs(samples).max() > 0.01
    again = engine(*arguments, f"checkpoint.path={tmp_path}")
    assert again.returncode == 0 and "audio: 2 done, 0 to do" in again.stdout


def test_a_missing_checkpoint_is_one_clear_line(arguments, tmp_path):
    changed = [a for a in arguments if not a.startswith("tts.checkpoint")]
    (tmp_path / "weights").mkdir()
    done = engine(*changed, f"tts.checkpoint={tmp_path / 'weights'}", f"checkpoint.path={tmp_path / 'run'}")
    assert done.returncode == 2
    assert "t3_turbo_v1.safetensors" in done.stderr and "Traceback" not in done.stderr


def loads(folder) -> dict[str, list[tuple[int, bool]]]:
    """By stage, of each time it was run: rows, and whether an engine was loaded for them."""
    found = {}
    for record in shards(folder, "timings").values():
        took = record["output"]
        assert (took["engines"] > 0) == (took["engine_load_s"] > 0)
        found.setdefault(took["stage"], []).append((took["rows"], took["engines"] == 1))
    return found


def test_halves_that_stay_loaded_are_loaded_once_and_speak_the_same(arguments, tmp_path):
    strict = [a for a in arguments if a not in ("audio.checks=false", "select.limit=2")]
    strict += ["select.limit=1", "audio.retakes=2", f"checkpoint.path={tmp_path}"]
    kept = engine(*strict, "tts.keep_loaded=true", timeout=580)
    assert kept.returncode == 1, kept.stdout + kept.stderr  # random weights never stop by themselves
    assert len(shards(tmp_path, "audio")) == 3
    # Three rounds; then both are closed, the last opened first, each with a record of what that took.
    rounds = loads(tmp_path)
    assert (
        [loaded for _, loaded in rounds["tokens"]] == [loaded for _, loaded in rounds["audio"]] == [True] + [False] * 3
    )
    assert rounds["audio"] == [(1, True), (1, False), (1, False), (0, False)]
    closings = [r["output"] for r in shards(tmp_path, "timings").values() if not r["output"]["rows"]]
    assert [c["stage"] for c in closings] == ["audio", "tokens"]
    assert all(c["memory_returned_mib"] > 0.8 * c["memory_footprint_mib"] > 100 for c in closings)
    # What a run that closes each before the other would have said.
    tokens = shards(tmp_path, "tokens")
    alone = tmp_path / "alone"
    again = engine(*strict[:-1], f"checkpoint.path={alone}", timeout=580)
    assert again.returncode == 1
    assert (
        [loaded for _, loaded in loads(alone)["tokens"]]
        == [loaded for _, loaded in loads(alone)["audio"]]
        == [True] * 3
    )
    said = shards(alone, "tokens")
    assert {k: r["output"] for k, r in said.items()} == {k: r["output"] for k, r in tokens.items()}


def test_a_bad_take_is_spoken_again_with_other_seeds_and_ends_as_an_error_without_a_file(arguments, tmp_path):
    strict = [a for a in arguments if a not in ("audio.checks=false", "select.limit=2")]
    done = engine(*strict, "select.limit=1", "audio.retakes=1", f"checkpoint.path={tmp_path}", timeout=580)
    assert done.returncode == 1, done.stdout + done.stderr  # random weights never stop by themselves
    takes, tokens = shards(tmp_path, "audio"), shards(tmp_path, "tokens")
    first = next(iter(takes))
    assert set(takes) == {first, f"{first}@2"}
    assert all(r["error"]["kind"] == "bad_take" for r in takes.values())
    assert tokens[f"{first}/0"]["output"]["tokens"] != tokens[f"{first}@2/0"]["output"]["tokens"]
    assert not list((tmp_path / "takes").rglob("*.flac"))
    assert "longest take" in done.stdout
