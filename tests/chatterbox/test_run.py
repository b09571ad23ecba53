"""Chatterbox in the whole product: `+stage=all tts=chatterbox_turbo` on a checkpoint of random weights.

What is said is noise; files, records, retakes and resume are real. `audio.checks=false` airs the noise.
"""

from __future__ import annotations

import json

import pytest
import soundfile

from tests.chatterbox.whisper import write_tiny_whisper
from tests.command import engine, killed
from tests.test_run import shards


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
    killed(*arguments, f"checkpoint.path={tmp_path}", when=lambda: shards(tmp_path, "tokens"))
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


@pytest.fixture(scope="module")
def strict(arguments):
    """A run of one link whose takes all go wrong: random weights never stop by themselves."""
    kept = [a for a in arguments if a not in ("audio.checks=false", "select.limit=2")]
    return [*kept, "select.limit=1", "audio.retakes=1"]


@pytest.fixture(scope="module")
def refused(strict, tmp_path_factory):
    """Such a run, finished."""
    folder = tmp_path_factory.mktemp("refused")
    done = engine(*strict, f"checkpoint.path={folder}", timeout=580)
    assert done.returncode == 1, done.stdout + done.stderr
    return folder, done


def test_a_bad_take_is_spoken_again_with_other_seeds_and_ends_as_an_error_without_a_file(refused):
    folder, done = refused
    takes, tokens = shards(folder, "audio"), shards(folder, "tokens")
    first = next(iter(takes))
    assert set(takes) == {first, f"{first}@2"}
    assert all(r["error"]["kind"] == "bad_take" for r in takes.values())
    assert tokens[f"{first}/0"]["output"]["tokens"] != tokens[f"{first}@2/0"]["output"]["tokens"]
    assert not list((folder / "takes").rglob("*.flac"))
    assert "longest take" in done.stdout


def loads(folder) -> dict[str, list[tuple[int, bool]]]:
    """By stage, of each time it was run: rows, and whether an engine was loaded for them."""
    found = {}
    for record in shards(folder, "timings").values():
        took = record["output"]
        assert (took["engines"] > 0) == (took["engine_load_s"] > 0)
        found.setdefault(took["stage"], []).append((took["rows"], took["engines"] == 1))
    return found


def test_halves_that_stay_loaded_are_loaded_once_and_speak_the_same(strict, refused, tmp_path):
    done = engine(*strict, "tts.keep_loaded=true", f"checkpoint.path={tmp_path}", timeout=580)
    assert done.returncode == 1, done.stdout + done.stderr
    # Two rounds; then both are closed, the last opened first, each with a record of what that took.
    rounds = loads(tmp_path)
    assert rounds["audio"] == [(1, True), (1, False), (0, False)]
    assert [loaded for _, loaded in rounds["tokens"]] == [True, False, False]
    closings = [r["output"] for r in shards(tmp_path, "timings").values() if not r["output"]["rows"]]
    assert [c["stage"] for c in closings] == ["audio", "tokens"]
    assert all(c["memory_returned_mib"] > 0.8 * c["memory_footprint_mib"] > 100 for c in closings)
    # A run that closes each before the other loads both twice, and says the same.
    alone, _ = refused
    for stage in ("tokens", "audio"):
        assert [loaded for _, loaded in loads(alone)[stage]] == [True, True]
    said = shards(alone, "tokens")
    assert {k: r["output"] for k, r in shards(tmp_path, "tokens").items()} == {k: r["output"] for k, r in said.items()}


def test_misheard_takes_are_spoken_again_a_bounded_number_of_times_killed_once_and_resumed(arguments, tmp_path):
    """A Whisper of random weights hears other words in everything."""
    whisper = write_tiny_whisper(tmp_path / "whisper")
    folder = tmp_path / "run"
    listening = [
        *(a for a in arguments if a != "select.limit=2"), "select.limit=1", "audio.retakes=1",
        f"checkpoint.path={folder}", f"audio.asr.model={whisper}", "audio.asr.env.VLLM_ENABLE_V1_MULTIPROCESSING=0",
        "audio.asr.env.VLLM_CPU_KVCACHE_SPACE=1", "audio.asr.sampling.max_tokens=24",
    ]  # fmt: skip
    killed(*listening, when=lambda: shards(folder, "asr"))
    before = {stage: shards(folder, stage) for stage in ("tokens", "audio", "asr")}
    (first,) = before["asr"]
    done = engine(*listening, timeout=580)
    assert done.returncode == 1, done.stdout + done.stderr
    after = {stage: shards(folder, stage) for stage in before}
    for stage, records in before.items():
        assert {key: after[stage][key] for key in records} == records  # nothing done twice
    assert set(after["asr"]) == set(after["audio"]) == {first, f"{first}@2"}
    assert all("output" in record for record in after["audio"].values())
    for record in after["asr"].values():
        assert record["error"]["kind"] == "bad_take" and record["error"]["wer"] > 0.3
    (unsettled,) = json.loads((folder / "report/summary.json").read_text())["unsettled"]
    assert unsettled["link"] == first and "word error rate" in unsettled["reasons"][0]
    # One engine at a time: the Whisper's is loaded once both halves of the synthesizer are closed.
    order = [r["output"]["stage"] for r in shards(folder, "timings").values()]
    assert [s for s in order if s in before][-3:] == ["tokens", "audio", "asr"]
