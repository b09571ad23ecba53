"""Rows that cannot be made end as errors with their cause; their neighbours, the summary and the exit code are true."""

from __future__ import annotations

import json
from pathlib import Path

from tests.reliability.shards import held
from tests.reliability.stable import Stable

ONE_DJ = ("+stage=all", "select.djs=[dot]", "generation.rounds=1")


def outcome(checkpoint: Path) -> tuple[dict[str, str], dict]:
    """The kind of error each error record names, by key, and the run's summary."""
    records = held(checkpoint).records
    kinds = {
        key: record["error"]["kind"]
        for stage in ("generate", "audit", "audio")
        for key, record in records.get(stage, {}).items()
        if record["status"] == "error"
    }
    return kinds, json.loads((checkpoint / "report/summary.json").read_text())


def test_an_over_long_prompt_and_an_empty_script_are_errors_among_spoken_neighbours(
    stable: Stable, own_station, tmp_path
):
    catalog = json.loads((own_station / "catalog.json").read_text())
    songs = {song["id"]: song for song in catalog["songs"]}
    songs["s03"]["title"] = " ".join(f"very long number {i}" for i in range(14))
    (own_station / "catalog.json").write_text(json.dumps(catalog))
    checkpoint = tmp_path / "c"
    # The context leaves the prompt 100 tokens, which the long title alone would fill.
    command = (
        *ONE_DJ, "select.songs=[s01,s02,s03,s04]", f"station.path={own_station}", f"checkpoint.path={checkpoint}",
        "writer.engine.max_model_len=260", "writer.sampling.max_tokens=160",
        "writer.engine.logits_processors=[tests.reliability.poison:Silent]",
    )  # fmt: skip
    env = {"SILENT": songs["s04"]["title"]}
    ended = stable.run(*command, env=env)
    errors, summary = outcome(checkpoint)
    long = ("dot/intro/s03#1.1", "dot/outro/s03#1.1", "dot/outro/s02#1.1")  # the last one names the next song
    empty = ("dot/intro/s04#1.1", "dot/outro/s04#1.1")
    assert errors == {**dict.fromkeys(long, "prompt_too_long"), **dict.fromkeys(empty, "empty_script")}
    assert ended.code == 1 and "5 links ended as errors" in ended.err
    assert summary["links"] == 8 and summary["errors"] == 5
    assert summary["passed"] + summary["failed"] == 3 and summary["takes"] == summary["passed"] > 0

    # They are left alone until told otherwise, then taken up again, and nothing else is.
    assert stable.run(*command, env=env).code == 1
    assert set(held(checkpoint).times.values()) == {1}
    assert stable.run(*command, "retry_errors=true", env=env).code == 1
    again = {key for (stage, key), times in held(checkpoint).times.items() if stage == "generate" and times == 2}
    assert again == set(errors)


def test_a_cut_off_verdict_is_asked_for_once_more_with_more_tokens_and_then_is_an_error(stable: Stable, tmp_path):
    """Verdicts on times take fewer than 40 tokens, those on intros more."""
    ended = stable.run(
        *ONE_DJ, "select.kinds=[intro,time]", "select.limit=8", "auditor.sampling.max_tokens=20",
        f"checkpoint.path={tmp_path}/c",
    )  # fmt: skip
    errors, summary = outcome(tmp_path / "c")
    audited = held(tmp_path / "c").records["audit"]
    assert set(errors.values()) == {"truncated"} and ended.code == 1
    assert {key.split("/")[1] for key in errors} == {"intro"}
    assert all(audited[key]["usage"]["output_tokens"] == 40 for key in errors)
    times = [record for key, record in audited.items() if "/time/" in key]
    assert times and all(r["status"] == "ok" and 20 < r["usage"]["output_tokens"] <= 40 for r in times)
    assert summary["errors"] == len(errors) and summary["by_kind"]["intro"]["failed"] == 0
    assert summary["by_kind"]["time"]["passed"] == summary["takes"] > 0
