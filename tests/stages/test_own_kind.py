"""A kind made by a user, by files alone, through every stage with the embedded models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_run import engine, shards

FILES = {
    "kind.yaml": "subject: station\nwords: {min: 3, max: 60}\n",
    "rubric.yaml": """\
threshold: 1.0
criteria:
  flow: {weight: 0.6, ask: "Would one hum it?"}
  naming: {weight: 0.4, ask: "Is the station named?"}
rules:
  markup: fail
  emoji: {cap: 2.0}
  repetition: note
""",
    "writer_system.j2": '{% include "_writer.j2" %}\nThis link is a jingle: it names {{ station.name }} and ends.\n',
    "writer_user.j2": 'Write the jingle, {{ words.min }} to {{ words.max }} words.\n{% include "_rewrite.j2" %}\n',
    "auditor_system.j2": '{% include "_auditor.j2" %}\nThe script is a jingle for {{ station.name }}.\n',
    "auditor_user.j2": "Judge this jingle of {{ script_words }} words.\n{{ script }}\n",
}


@pytest.fixture(scope="module")
def station(tmp_path_factory) -> Path:
    """The sample station with a kind `jingle` put into it."""
    import shutil

    from tests.stages.conftest import SAMPLE

    folder = Path(shutil.copytree(SAMPLE, tmp_path_factory.mktemp("own") / "station"))
    (folder / "kinds/jingle").mkdir()
    for name, text in FILES.items():
        (folder / "kinds/jingle" / name).write_text(text)
    return folder


def test_a_kind_of_ones_own_passes_the_prompt_check(station, tmp_path):
    done = engine("+stage=lint", f"station.path={station}", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "128 prompts" in done.stdout  # the sample's 124 and two jingles for writer and auditor


def test_a_kind_of_ones_own_goes_through_every_stage(station, tmp_path):
    # The embedded models never learnt this kind: whatever they say is let through, and the auditor gets room to ramble.
    lenient = ("auditor.sampling.max_tokens=600", "audio.checks=false")
    where = (f"station.path={station}", "select.kinds=[jingle]", f"checkpoint.path={tmp_path}")
    done = engine("+stage=all", *where, *lenient, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    keys = {"dot/jingle/station", "marlow/jingle/station"}
    written, audited, spoken = (shards(tmp_path, stage) for stage in ("generate", "audit", "audio"))
    assert {key.partition("#")[0] for key in written} == keys == set(spoken)
    for record in audited.values():
        assert set(record["output"]["answer"]) == {"issues", "notes", "flow", "naming"}
    assert all((tmp_path / record["output"]["file"]).stat().st_size > 4000 for record in spoken.values())
    figures = json.loads((tmp_path / "report/summary.json").read_text())
    assert figures["by_kind"]["jingle"]["passed"] == 2 and "jingle" in (tmp_path / "report/report.html").read_text()
