"""The whole product as a user runs it: `python -m engine …` on the sample station with the embedded models."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.command import ROOT, cold, engine


def shards(folder: Path, stage: str) -> dict[str, dict]:
    """Newest record of each key, read without the code under test."""
    found = {}
    for path in sorted((folder / stage).glob("[0-9]*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            found[record["key"]] = record
    return found


SELECTION = ("select.songs=[s01,s02]", "generation.candidates=2", "generation.rounds=3")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of all stages on part of the sample station."""
    folder = tmp_path_factory.mktemp("run")
    done = cold("+stage=all", *SELECTION, f"checkpoint.path={folder}")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done


def summary(folder: Path) -> dict:
    return json.loads((folder / "report/summary.json").read_text())


def test_summary_accounts_for_every_link_and_agrees_with_the_shards(run):
    folder, _ = run
    figures = summary(folder)
    generated, audited, spoken = (shards(folder, stage) for stage in ("generate", "audit", "audio"))
    links = {key.partition("#")[0] for key in generated}
    passed = {k.partition("#")[0] for k, r in audited.items() if r["output"]["verdict"]["passed"]}
    assert figures["links"] == len(links) == 8
    assert figures["passed"] == len(passed) == len(spoken) == figures["takes"]
    assert figures["passed"] + figures["failed"] + figures["errors"] + figures["pending"] == figures["links"]
    assert figures["pass_rate"] == round(len(passed) / len(links), 4)
    assert figures["audio_seconds"] == pytest.approx(sum(r["output"]["duration_s"] for r in spoken.values()), abs=0.05)
    for split in ("by_dj", "by_kind"):
        assert sum(counts["links"] for counts in figures[split].values()) == len(links)
    for stage in ("generate", "audit"):
        taken = figures["stages"][stage]
        kept = {"generate": generated, "audit": audited}[stage]
        assert taken["rows"] == len(kept)
        assert taken["output_tokens"] == sum(r["usage"]["output_tokens"] for r in kept.values())
        assert taken["input_tokens"] == sum(r["usage"]["input_tokens"] for r in kept.values())
        assert taken["tokens_per_s"] > 0 and taken["engine_load_s"] > 0 and taken["engine_close_s"] > 0
        assert taken["memory_returned_mib"] >= 0.9 * taken["memory_footprint_mib"] > 0


def test_every_passed_link_has_an_audible_take_of_plausible_length_at_the_target_loudness(run):
    import pyloudnorm

    folder, _ = run
    spoken = shards(folder, "audio")
    assert spoken
    scripts = {k: r["output"]["script"] for k, r in shards(folder, "generate").items()}
    for key, record in spoken.items():
        samples, rate = soundfile.read(folder / record["output"]["file"])
        seconds = len(samples) / rate
        words = min(len(s.split()) for k, s in scripts.items() if k.startswith(key + "#"))
        most = max(len(s.split()) for k, s in scripts.items() if k.startswith(key + "#"))
        assert 0.2 * words <= seconds <= 1.2 * most + 0.5
        assert abs(samples).max() > 0.05
        assert pyloudnorm.Meter(rate).integrated_loudness(samples) == pytest.approx(-18, abs=1)


def test_no_sound_file_is_without_a_record(run):
    folder, _ = run
    files = {p.relative_to(folder).as_posix() for p in (folder / "takes").rglob("*") if p.is_file()}
    assert files == {r["output"]["file"] for r in shards(folder, "audio").values()}


def test_the_printed_command_resumes_and_finds_nothing_to_do(run):
    folder, done = run
    command = shlex.split(done.stdout.strip().splitlines()[-1])
    assert command[:3] == ["python", "-m", "engine"] and f"checkpoint.path={folder}" in command[-1]
    before = {p: p.read_bytes() for p in folder.rglob("*.jsonl")}
    again = engine(*command[3:])
    assert again.returncode == 0
    assert again.stdout.count("done, 0 to do") == 3
    assert {p: p.read_bytes() for p in folder.rglob("*.jsonl")} == before


def test_dry_run_tells_what_the_checkpoint_holds_without_torch(run):
    folder, _ = run
    program = (
        "import sys; sys.argv[1:] = sys.argv[1:]\n"
        "from engine.__main__ import job\njob()\n"
        "assert 'torch' not in sys.modules and 'vllm' not in sys.modules, 'heavy import'"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "+stage=all", "dry_run=true", *SELECTION, f"checkpoint.path={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "0 to do" in done.stdout and "8 links" in done.stdout


def test_rows_are_the_same_in_another_run(run, tmp_path):
    folder, _ = run
    other = engine("+stage=generate", *SELECTION, f"checkpoint.path={tmp_path}")
    assert other.returncode == 0, other.stderr
    ours, theirs = shards(folder, "generate"), shards(tmp_path, "generate")
    assert {k: ours[k]["output"]["script"] for k in theirs} == {k: r["output"]["script"] for k, r in theirs.items()}


def test_help_answers_without_torch_and_lists_the_groups():
    program = (
        "import sys; from engine.__main__ import job\n"
        "try: job()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for group in ("stage: all", "profile: demo", "writer: demo", "tts: chatterbox"):
        assert group in done.stdout


def test_without_a_stage_it_says_what_it_can_do(tmp_path):
    done = engine(f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0 and "+stage=all" in done.stdout


def test_a_stage_without_its_input_names_the_one_to_run_first(tmp_path):
    done = engine("+stage=audit", f"checkpoint.path={tmp_path}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "run +stage=generate first" in done.stderr


@pytest.mark.parametrize(
    "override, where, hint",
    [
        ("writer.modle=x", "writer.modle", "did you mean 'writer.model'?"),
        ("generation.rounds=many", "generation.rounds", "converted to Integer"),
        ("writer.sampling.top_p=1.5", "writer.sampling.top_p", "(0, 1]"),
        ("writer.sampling.temprature=1", "writer.sampling.temprature", "did you mean 'temperature'?"),
        ("writer.engine.max_num_seq=1", "writer.engine.max_num_seq", "did you mean 'max_num_seqs'?"),
        ("writer.sampling.seed=1", "writer.sampling.seed", "derived from each row's key"),
        ("writer.model=/nowhere", "writer.model=/nowhere", "no such model folder"),
        ("select.djs=[dott]", "select.djs", "did you mean"),
        ("station.path=/nowhere", "/nowhere", "no such"),
        ("+stage=everything", "config", "all"),
        ("writer=nobody", "config", "stheno_8b"),
    ],
)
def test_a_mistake_is_one_line_with_where_and_what_to_do(override, where, hint, tmp_path):
    stage = [] if override.startswith("+stage") else ["+stage=all"]
    done = engine(*stage, override, f"checkpoint.path={tmp_path / 'c'}")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert where in done.stderr and hint in done.stderr
    assert "Traceback" not in done.stderr


def test_it_runs_from_any_folder(tmp_path):
    done = engine("+stage=all", "dry_run=true", "select.limit=4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 links" in done.stdout
