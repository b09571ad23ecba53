"""Ctrl-C, SIGTERM, two at once, and inputs that changed between two runs."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.reliability.shards import assert_grown, assert_whole, held
from tests.reliability.stable import Stable

RUN = (
    "+stage=all",
    "generation.rounds=1",
    "select.limit=8",
    "select.kinds=[time,weather]",
    "writer.engine.max_num_seqs=2",
    "auditor.engine.max_num_seqs=2",
)
INT, TERM = signal.SIGINT, signal.SIGTERM


@pytest.mark.parametrize(
    ("signum", "moment"),
    [(INT, "opening generate"), (INT, "kept generate"), (TERM, "kept audit"), (INT, "kept audio"), (TERM, "finish")],
    ids=["loading", "writing", "auditing", "speaking", "reporting"],
)
def test_stopping_once_ends_in_order_and_names_the_command_that_goes_on(stable: Stable, tmp_path, signum, moment):
    path = tmp_path / "my run"
    stop = {"mark": moment, "do": "signal", "signum": signum}
    ended = stable.run(*RUN, f"checkpoint.path='{path}'", harm=[stop], timeout=400)
    assert ended.code in ((128 + signum,) if moment != "finish" else (128 + signum, 0)), ended.err
    assert "Traceback" not in ended.err + ended.out
    line = next(line for line in ended.out.splitlines() if "python -m engine" in line)
    before = held(path) if path.exists() else None
    arguments = shlex.split(line)[3:]
    again = stable.run(*arguments, timeout=400, cwd=Path(stable.folder / f"run{stable._count}"))
    assert again.code == 0, again.err
    found = assert_whole(path)
    assert_grown(before, found)
    assert len(found.records["generate"]) == 8


def test_stopping_twice_ends_at_once_and_resume_completes(stable: Stable, tmp_path):
    arguments = (
        "+stage=generate", "select.limit=3", "select.kinds=[time]", "writer.sampling.max_tokens=700",
        "++writer.sampling.ignore_eos=true", "writer.engine.max_num_seqs=1", f"checkpoint.path={tmp_path}/c",
    )  # fmt: skip
    run = stable.start(*arguments)
    deadline = time.monotonic() + 200
    while "kept" not in (seen := _progress(tmp_path / "c")):
        assert time.monotonic() < deadline and not seen.startswith("over"), run.err
        time.sleep(0.02)
    run.kill(signal.SIGINT)
    time.sleep(0.1)  # signals sent at once arrive as one
    run.kill(signal.SIGINT)
    began = time.monotonic()
    ended = run.wait(60)
    assert ended.code == 130 and time.monotonic() - began < 10
    before = held(tmp_path / "c")
    ended = stable.run(*arguments, timeout=400)
    assert ended.code == 0, ended.err
    after = held(tmp_path / "c")
    assert_grown(before, after)
    assert len(after.records["generate"]) == 3 and set(after.times.values()) == {1}


def _progress(path: Path) -> str:
    shard = path / "generate" / "00000.jsonl"
    return "kept" if shard.exists() and shard.stat().st_size else ""


def test_a_second_run_on_the_same_checkpoint_is_refused_and_the_first_goes_on(stable: Stable, light: Stable, tmp_path):
    arguments = ("+stage=generate", *RUN[1:], f"checkpoint.path={tmp_path}/c")
    first = stable.start(*arguments)
    deadline = time.monotonic() + 120
    while not (tmp_path / "c" / "run.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = light.run(*arguments, timeout=60)
    assert second.code == 2 and f"pid {first.pid} on " in second.err and second.heavy == []
    first.kill()
    first.wait()
    third = stable.run(*arguments, timeout=400)
    assert third.code == 0, third.err
    assert set(held(tmp_path / "c").times.values()) == {1}


# Changed inputs: what is edited, and which rows run again as a consequence -------------------------------------------


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def surveyed(text: str) -> dict[str, str]:
    """What the dry run says of each stage."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("  ")]
    return {name: rest.split(";")[0].strip() for name, _, rest in (line.partition(":") for line in lines)}


@pytest.fixture(scope="module")
def finished(stable: Stable, tmp_path_factory):
    """A station of its own and its finished run, both to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(Path(__file__).parents[2] / "data" / "sample_station", folder / "station")
    ended = stable.run(*CHANGED, f"station.path={folder}/station", f"checkpoint.path={folder}/c", timeout=400)
    assert ended.code == 0, ended.err
    return folder


CHANGED = ("+stage=[generate,audit]", "generation.rounds=1", "select.songs=[s01,s02]", "select.kinds=[intro,outro]")
SONG, TEMPLATE, RUBRIC = "catalog.json", "kinds/outro/writer_user.j2", "kinds/intro/rubric.yaml"


@pytest.mark.parametrize(
    ("harm", "override", "generate", "audit"),
    [
        (None, None, "8 done, 0 to do", "8 done, 0 to do"),
        ((SONG, '"year": 1967', '"year": 1968'), None, "4 done, 4 stale (prompt), 4 to do", "4 done, 4 stale (prompt)"),
        ((TEMPLATE, None, "Be kind. "), None, "4 done, 4 stale (prompt), 4 to do", "8 done, 0 to do"),
        ((RUBRIC, "weight: 0.30", "weight: 0.31"), None, "8 done, 0 to do", "4 done, 4 stale (rubric), 4 to do"),
        (None, "writer.sampling.temperature=0.7", "0 done, 8 stale (sampling), 8 to do", "8 done, 0 to do"),
        (None, "auditor.sampling.max_tokens=170", "8 done, 0 to do", "0 done, 8 stale (sampling), 8 to do"),
        (None, "seed=5", "0 done, 8 stale (sampling), 8 to do", "0 done, 8 stale (sampling), 8 to do"),
        (None, "writer.model={auditor}", "0 done, 8 stale (model), 8 to do", "8 done, 0 to do"),
        (None, "checkpoint.shard_mib=3", "8 done, 0 to do", "8 done, 0 to do"),
    ],
    ids=[
        "nothing",
        "a song",
        "a template",
        "a rubric",
        "writer sampling",
        "auditor sampling",
        "seed",
        "model",
        "shards",
    ],
)
def test_a_change_makes_exactly_the_rows_it_decides_stale(
    light: Stable, finished, tmp_path, harm, override, generate, audit
):
    station, checkpoint = tmp_path / "station", tmp_path / "c"
    shutil.copytree(finished / "station", station)
    shutil.copytree(finished / "c", checkpoint)
    if harm:
        file, old, new = harm
        text = (station / file).read_text()
        assert old is None or old in text
        (station / file).write_text(new + text if old is None else text.replace(old, new))
    models = Path(__file__).parents[2] / "data" / "demo_models"
    given = [override.replace("{auditor}", str(models / "auditor"))] if override else []
    ended = light.run(*CHANGED, "dry_run=true", f"station.path={station}", f"checkpoint.path={checkpoint}", *given)
    assert ended.code == 0, ended.err
    said = surveyed(ended.out)
    assert said["generate"].startswith(generate) and said["audit"].startswith(audit), ended.out
    assert held(checkpoint).files == held(finished / "c").files


def test_stale_rows_run_again_are_kept_or_refused_as_told(stable: Stable, finished, tmp_path):
    station, checkpoint = finished / "station", tmp_path / "c"
    shutil.copytree(finished / "c", checkpoint)
    before = held(checkpoint)
    arguments = (
        *CHANGED,
        f"station.path={station}",
        f"checkpoint.path={checkpoint}",
        "writer.sampling.temperature=0.5",
    )
    ended = stable.run(*arguments, "checkpoint.on_stale=error")
    assert ended.code == 2 and "8 stale (sampling)" in ended.err and "checkpoint.on_stale=rerun" in ended.err
    assert held(checkpoint).files == before.files
    ended = stable.run(*arguments, "checkpoint.on_stale=keep")
    assert ended.code == 0, ended.err
    assert held(checkpoint).files == before.files
    ended = stable.run(*arguments, timeout=400)
    assert ended.code == 0 and "8 stale (sampling)" in ended.out, ended.err
    after = held(checkpoint)
    assert_grown(before, after)  # the old ones stay where they are
    assert all(after.times["generate", key] == 2 for key in before.records["generate"])
    changed = {
        k for k, r in after.records["generate"].items() if r["output"] != before.records["generate"][k]["output"]
    }
    assert changed
    again = {key for key in after.records["audit"] if after.times["audit", key] == 2}
    assert again == changed  # a verdict runs again exactly where the script came out another
    assert json.dumps(sorted(again))
