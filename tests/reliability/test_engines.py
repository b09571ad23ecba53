"""Engines that die and engines that do not fit: the run goes on, or says with numbers why it cannot."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.reliability.shards import held
from tests.reliability.stable import Run, Stable

WRITE = ("+stage=generate", "generation.rounds=1", "select.kinds=[intro,outro]")
OWN_PROCESS = "writer.env.VLLM_ENABLE_V1_MULTIPROCESSING='1'"


def engine_of(run: Run) -> int | None:
    """Pid of the run's engine process."""
    names = ("EngineCore", "spawn_main")  # the second where vLLM cannot set a process's title
    return next((pid for pid, line in run.children().items() if any(n in line for n in names)), None)


def test_the_engine_is_killed_in_mid_batch_and_another_takes_what_was_unfinished(stable: Stable, tmp_path):
    run = stable.start(
        *WRITE, OWN_PROCESS, "select.limit=24", "writer.engine.max_num_seqs=2", f"checkpoint.path={tmp_path}/c"
    )
    shard, deadline = tmp_path / "c/generate/00000.jsonl", time.monotonic() + 120
    while not (shard.exists() and shard.stat().st_size):
        assert time.monotonic() < deadline, run.err
        time.sleep(0.01)
    assert (first := engine_of(run)) is not None, run.children()
    os.kill(first, signal.SIGKILL)
    before = held(tmp_path / "c")
    ended = run.wait(240)
    assert ended.code == 0, ended.err
    after = held(tmp_path / "c")
    assert len(after.records["generate"]) == 24 > len(before.records["generate"])
    assert all(r["status"] == "ok" for r in after.records["generate"].values())
    assert set(after.times.values()) == {1}
    (timing,) = after.records["timings"].values()
    assert timing["output"]["engines"] == 2


@pytest.mark.slow  # five engines in processes of their own
def test_a_request_that_kills_every_engine_is_found_and_its_neighbours_complete(stable: Stable, tmp_path):
    only = ("select.kinds=[intro]", "select.djs=[dot]", "select.limit=4")
    arguments = ("+stage=generate", "generation.rounds=1", *only, OWN_PROCESS, f"checkpoint.path={tmp_path}/c")
    poisoned = "writer.engine.logits_processors=[tests.reliability.poison:Poison]"
    env = {"POISON": "Lamplighter's Waltz"}
    ended = stable.run(*arguments, poisoned, env=env, timeout=400)
    records = held(tmp_path / "c").records["generate"]
    bad = [key for key, record in records.items() if record["status"] == "error"]
    assert bad == ["dot/intro/s01#1.1"], ended.err + ended.out
    assert records[bad[0]]["error"]["kind"] == "engine_died"
    assert len(records) == 4
    # Cured, the same command takes it up again when told to.
    ended = stable.run(*arguments, "retry_errors=true")
    assert ended.code == 0, ended.err
    records = held(tmp_path / "c").records["generate"]
    assert len(records) == 4 and all(r["status"] == "ok" for r in records.values())


def test_a_context_that_does_not_fit_is_tried_once_more_with_what_does(stable: Stable, tmp_path):
    """320 heads of 128 take 1.25 GiB of cache for the context of 2,048 tokens; there is 1 GiB."""
    large = "writer.engine.hf_overrides={num_attention_heads:320,num_key_value_heads:320,head_dim:128}"
    ended = stable.run(
        *WRITE, large, "writer.engine.load_format=dummy", "writer.engine.max_num_seqs=1", "select.limit=2",
        "writer.sampling.max_tokens=4", f"checkpoint.path={tmp_path}/c", timeout=300,
    )  # fmt: skip
    assert "warning: generate: " in ended.out and "going on with max_model_len=1" in ended.out, ended.err + ended.out
    assert len(held(tmp_path / "c").records["generate"]) == 2  # what random weights say may be an error


def test_out_of_memory_in_mid_batch_goes_on_with_half_as_many_at_a_time(stable: Stable, tmp_path):
    hungry = (*WRITE, "select.limit=8", "writer.engine.logits_processors=[tests.reliability.poison:Hungry]")
    ended = stable.run(*hungry, "writer.engine.max_num_seqs=4", f"checkpoint.path={tmp_path}/c", env={"HUNGRY": "2"})
    assert ended.code == 0, ended.err
    assert "going on with max_num_seqs=2" in ended.out
    found = held(tmp_path / "c")
    assert len(found.records["generate"]) == 8 and set(found.times.values()) == {1}
    ended = stable.run(*hungry, "writer.engine.max_num_seqs=4", f"checkpoint.path={tmp_path}/d", env={"HUNGRY": "1"})
    assert ended.code == 1 and "max_num_seqs=2" in ended.err and "2.00 GiB" in ended.err
