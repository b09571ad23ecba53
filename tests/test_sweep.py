"""Sweeps as a user runs them: Hydra multirun on the demo models, with our launcher and with others'."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from engine.sweep import point_name
from tests.command import cold, engine, killed
from tests.test_run import shards

SELECTION = ("+stage=generate", "select.limit=4")
TWO = "writer.sampling.temperature=0.6,0.8"


def scripts(folder: Path) -> dict[str, str]:
    return {key: record["output"]["script"] for key, record in shards(folder, "generate").items()}


def point(folder: Path, *settings: str) -> Path:
    """The one point folder whose name holds all of `settings`."""
    (found,) = [p for p in folder.iterdir() if p.is_dir() and all(s in p.name.split(",") for s in settings)]
    return found


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Four points, two of them equal in effect."""
    folder = tmp_path_factory.mktemp("sweep")
    done = engine("-m", *SELECTION, TWO, "writer.sampling.top_p=0.9,1.0", f"hydra.sweep.dir={folder}")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done


def test_every_point_has_its_folder_config_and_rows_from_one_engine(sweep):
    folder, _ = sweep
    assert yaml.safe_load((folder / "multirun.yaml").read_text())
    for temperature in (0.6, 0.8):
        for top_p in (0.9, 1.0):
            place = point(folder, f"writer.sampling.temperature={temperature}", f"writer.sampling.top_p={top_p}")
            config = yaml.safe_load((place / ".hydra/config.yaml").read_text())
            assert config["writer"]["sampling"]["temperature"] == temperature
            assert len(shards(place, "generate")) == 4
            (timing,) = shards(place, "timings").values()
            assert timing["output"]["shared_by"] == 4 and timing["output"]["engines"] == 1


def test_points_differ_and_equal_a_plain_run_with_the_same_parameters(sweep, tmp_path):
    folder, _ = sweep
    hot = point(folder, "writer.sampling.temperature=0.8", "writer.sampling.top_p=0.9")
    cold = point(folder, "writer.sampling.temperature=0.6", "writer.sampling.top_p=0.9")
    assert scripts(hot) != scripts(cold)
    done = engine(
        *SELECTION,
        "writer.sampling.temperature=0.8",
        "writer.sampling.top_p=0.9",
        f"checkpoint.path={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    assert scripts(tmp_path) == scripts(hot)


def test_the_sweep_ends_in_a_table_of_all_points(sweep):
    folder, done = sweep
    rows = list(csv.DictReader((folder / "sweep.csv").open()))
    assert len(rows) == 4
    assert {row["writer.sampling.temperature"] for row in rows} == {"0.6", "0.8"}
    assert all(float(row["output_tokens"]) > 0 for row in rows)
    page = (folder / "sweep.html").read_text()
    assert page.count("<polyline") == 4 and "http" not in page
    assert "temperature" in done.stdout


def test_issued_again_with_more_points_it_runs_only_those(sweep):
    folder, _ = sweep
    before = {p: p.read_bytes() for p in folder.glob("*/generate/*.jsonl")}
    done = engine("-m", *SELECTION, "writer.sampling.top_p=1.0,0.9", "writer.sampling.temperature=0.8,0.6,0.7",
                  f"hydra.sweep.dir={folder}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "generate (6 points): 16 done, 8 to do" in done.stdout
    assert {p: p.read_bytes() for p in before} == before
    assert len(list(folder.glob("*/generate/00000.jsonl"))) == 6


def test_one_failing_point_is_in_the_table_and_the_others_finish(tmp_path):
    done = engine("-m", *SELECTION, "writer.sampling.top_p=0.9,7", f"hydra.sweep.dir={tmp_path}")
    assert done.returncode == 2
    assert "7 is not a number in (0, 1]" in done.stderr
    rows = {row["writer.sampling.top_p"]: row for row in csv.DictReader((tmp_path / "sweep.csv").open())}
    assert "not a number" in rows["7"]["error"] and rows["0.9"]["error"] == ""
    assert len(shards(point(tmp_path, "writer.sampling.top_p=0.9"), "generate")) == 4


def test_the_auditors_parameters_are_swept_on_scripts_written_once(tmp_path):
    # Scripts that went wrong half-way are what the demo auditor is in two minds about.
    done = engine("-m", "+stage=[generate,audit]", "select.limit=12", "generation.rounds=1",
                  "writer.sampling.temperature=1.9", "writer.sampling.min_p=0.0",
                  "auditor.sampling.temperature=0.0,2.0", f"hydra.sweep.dir={tmp_path}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    cold, hot = (point(tmp_path, f"auditor.sampling.temperature={t}") for t in ("0.0", "2.0"))
    assert scripts(cold) == scripts(hot)
    timings = [r["output"] for p in (cold, hot) for r in shards(p, "timings").values()]
    written = [t["output_tokens"] for t in timings if t["stage"] == "generate" and "output_tokens" in t]
    assert written == [sum(r["usage"]["output_tokens"] for r in shards(cold, "generate").values())]
    verdicts = [{k: r["output"]["answer"] for k, r in shards(p, "audit").items()} for p in (cold, hot)]
    assert verdicts[0].keys() == verdicts[1].keys() and verdicts[0] != verdicts[1]


def test_every_point_has_the_files_of_takes_it_shares(tmp_path):
    whole = ("-m", "+stage=[generate,audit,audio]", "select.limit=3", "generation.rounds=1")
    done = engine(*whole, "generation.pick.length=0.1,0.2", f"hydra.sweep.dir={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    done = engine(*whole, "generation.pick.length=0.1,0.2,0.3", f"hydra.sweep.dir={tmp_path}")  # from what is kept
    assert done.returncode == 0, done.stdout + done.stderr
    points = [point(tmp_path, f"generation.pick.length={length}") for length in (0.1, 0.2, 0.3)]
    for folder in points:
        takes = shards(folder, "audio").values()
        assert takes and all((folder / take["output"]["file"]).stat().st_size > 1000 for take in takes)
    assert all("shared" in record for record in shards(points[2], "audio").values())


def test_killed_in_the_middle_and_issued_again_no_finished_row_is_redone(tmp_path):
    arguments = ["-m", "+stage=generate", "select.limit=30", "writer.sampling.temperature=0.5,0.6,0.7,0.8",
                 "++writer.engine.max_num_seqs=4", f"hydra.sweep.dir={tmp_path}"]  # fmt: skip
    killed(*arguments, when=lambda: _lines(tmp_path) >= 25)
    kept = {p: [line for line in p.read_bytes().split(b"\n")[:-1]] for p in tmp_path.glob("*/generate/*.jsonl")}
    assert 25 <= sum(map(len, kept.values())) < 120
    done = engine(*arguments)
    assert done.returncode == 0, done.stderr
    for path, lines in kept.items():
        after = path.read_bytes().split(b"\n")[:-1]
        assert after[: len(lines)] == lines
        assert len(after) == 30
    assert len(list(tmp_path.glob("*/generate/00000.jsonl"))) == 4


def _lines(folder: Path) -> int:
    return sum(p.read_bytes().count(b"\n") for p in folder.glob("*/generate/*.jsonl"))


@pytest.mark.parametrize(
    "launcher",
    [
        ["hydra/launcher=basic"],
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"],
        ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=10"],
    ],
    ids=["basic", "joblib", "submitit"],
)
def test_other_launchers_give_the_same_rows(sweep, tmp_path, launcher):
    folder, _ = sweep
    done = cold("-m", *SELECTION, "writer.sampling.temperature=0.6", "writer.sampling.top_p=0.9", *launcher,
                f"hydra.sweep.dir={tmp_path}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    settings = ("writer.sampling.temperature=0.6", "writer.sampling.top_p=0.9")
    assert scripts(point(tmp_path, *settings)) == scripts(point(folder, *settings))


def test_optuna_optimises_what_main_returns(tmp_path):
    done = engine(
        "-m", "+stage=[generate,audit]", "select.limit=3", "generation.rounds=1", "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2", "hydra.sweeper.direction=maximize",
        "writer.sampling.temperature=interval(0.3,1.2)", f"hydra.sweep.dir={tmp_path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    best = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert 0.0 <= best["best_value"] <= 1.0
    (chosen,) = best["best_params"].items()
    assert chosen[0].lstrip("+") == "writer.sampling.temperature" and 0.3 <= chosen[1] <= 1.2
    assert len(list(tmp_path.glob("*/audit/00000.jsonl"))) == 4


@pytest.mark.parametrize(
    "first, second, same",
    [
        ("b=2,a=1", "a=1,b=2", True),
        ("++a=1", "a=1", True),
        ("a=/x/y", "a=/x_y", False),
        ("a=/x/y", "a=_x_y", False),
        ("a=" + "x" * 300, "a=" + "x" * 301, False),
        ("a=1", "a=2", False),
        ("a=" + "x" * 300 + ",b=1", "a=" + "x" * 300 + ",b=2", False),
    ],
)
def test_point_folders_are_named_by_overrides_safely(first, second, same):
    one, two = point_name(first), point_name(second)
    assert (one == two) is same
    for name in (one, two):
        assert len(name) <= 140 and "/" not in name and not name.startswith(".")
        assert ("b=" in first) is ("b=" in one)
