"""`+stage=lint` and `+stage=import` as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).parents[2]
SONGS = """Track Name,Artist Name(s),Year,Lyrics
Low Tide - Remastered 2011,The Buoys,1971,"Low tide, low tide"
Nothing,,1980,
"""


def engine(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess:
    """Run `python -m engine` with its run folder in `folder`."""
    command = [sys.executable, "-m", "engine", *arguments, f"hydra.run.dir={folder / 'run'}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_lint_says_what_it_looked_at_and_needs_no_engine(tmp_path):
    done = engine(tmp_path, "+stage=lint")
    assert done.returncode == 0, done.stderr
    assert "124 prompts, 24 examples, lyrics in 48: 0 errors, 0 warnings" in done.stdout
    assert "tokens of 1,888" in done.stdout  # the demo models' context of 2,048 less the answer's 160
    assert "Resume" not in done.stdout and not (tmp_path / "run/generate").exists()


def test_lint_ends_with_all_findings_and_exit_code_2(tmp_path, own_station):
    (own_station / "lyrics/Slow Ferry Home by Birch Street Choir.txt").unlink()
    user = own_station / "kinds/intro/writer_user.j2"
    user.write_text("Write it.\n")
    done = engine(tmp_path, "+stage=lint", f"station.path={own_station}")
    assert done.returncode == 2
    for says in (
        "dot/intro/s01 (writer): the template leaves out the title",
        "the template leaves out the lyrics",
        "s10: no lyrics found",
        "errors, 1 warnings",
    ):
        assert says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_lint_measures_prompts_with_each_models_own_tokenizer_and_context(tmp_path):
    done = engine(tmp_path, "+stage=lint", "writer.engine.max_model_len=240", "auditor.engine.max_model_len=2000")
    assert done.returncode == 2
    assert "(writer, " in done.stderr and "longer than the 80 tokens that fit" in done.stderr
    assert "(auditor, " not in done.stderr


def test_import_makes_a_station_that_lints(tmp_path):
    (tmp_path / "songs.csv").write_text(SONGS)
    station = tmp_path / "my_station"
    arguments = ("+stage=import", "station.music=~/songs.csv", f"station.path={station}")
    done = engine(tmp_path, *arguments, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "1 songs, 1 left out; lyrics: 1 found" in done.stdout and "names no artist" in done.stdout
    assert f"+stage=lint station.path={station}" in done.stdout
    catalog = orjson.loads((station / "catalog.json").read_bytes())["songs"]
    assert [song["title"] for song in catalog] == ["Low Tide - Remastered 2011"]
    checked = engine(tmp_path, "+stage=lint", f"station.path={station}", "select.kinds=[intro]")
    assert checked.returncode == 0 and "lyrics in 2" in checked.stdout
    again = engine(tmp_path, *arguments, HOME=str(tmp_path))
    assert again.returncode == 2 and "an import overwrites nothing" in again.stderr and again.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["+stage=import"], "station.music: is not set"),
        (["+stage=import", "station.music=x.csv"], "station.path: is not set"),
        (["+stage=import", "station.music=nowhere.csv", "station.path=TMP/new"], "nowhere.csv: no such file"),
        (["+stage=[import,lint]", "station.music=x.csv", "station.path=TMP/new"], "run +stage=import by itself"),
        (["+stage=lint", "station.path=TMP/none"], "none: no such folder"),
        (["+stage=calibrate"], "calibrate.labels: is not set"),
        (["+stage=audit", "audit.scripts=TMP/none"], "none: no such file or folder"),
        (["+stage=generate", "station.weather=rain"], "station.weather"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, arguments, says):
    done = engine(tmp_path, *(a.replace("TMP", str(tmp_path)) for a in arguments))
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr and done.stderr.count("\n") == 1
