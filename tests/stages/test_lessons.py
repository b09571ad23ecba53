"""What went wrong in the system before this one, a test for each: none of it can happen here.

Scripts and verdicts are given by the tests; prompts, records, decisions, takes and figures are the product's own.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import orjson
import pytest
import yaml

from engine.commit import Committer
from engine.errors import UserError
from engine.plan import Task
from engine.records import Output, make_record
from stages.audio import Audio
from stages.lint import lint
from stages.lyrics import parse_lyrics
from stages.station import Station
from stages.tts.espeak import EspeakBackend, EspeakSpec
from tests.stages.studio import compose_job, fill, go, script_for

BOTH = "[generate,audit]"
SOME = ("select.songs=[s01,s02]",)
ONE_OF_EACH = ("select.limit=8",)


def records(folder: Path, stage: str) -> list[dict]:
    """All records ever written, oldest first."""
    lines = [line for path in sorted((folder / stage).glob("[0-9]*.jsonl")) for line in path.read_bytes().splitlines()]
    return [orjson.loads(line) for line in lines]


def summary(folder: Path) -> dict:
    return orjson.loads((folder / "report/summary.json").read_bytes())


def asked(job, stage: str) -> dict[str, tuple[str, str]]:
    """System and user message of every request a stage wants now, by key."""
    task = next(Task(job, s) for s in job.stages if s.name == stage)
    return {p.request.key: tuple(m["content"] for m in p.request.payload["prompt"]) for p in task.pending()}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A checkpoint with a script for every link of the sample station, not audited."""
    folder = tmp_path_factory.mktemp("written")
    fill(compose_job(folder, stages=BOTH), only=("generate",))
    return folder


@pytest.fixture(scope="module")
def prompts(tmp_path_factory, written) -> dict[str, dict[str, tuple[str, str]]]:
    """Every request a fresh run sends the writer, and then the auditor."""
    fresh = tmp_path_factory.mktemp("fresh")
    return {
        "generate": asked(compose_job(fresh, stages=BOTH), "generate"),
        "audit": asked(compose_job(written, stages=BOTH), "audit"),
    }


def test_lyrics_reach_every_prompt_about_a_song_that_has_them(prompts, sample_path, sample):
    files = {p.name.partition(" by ")[0]: parse_lyrics(p.read_text()) for p in (sample_path / "lyrics").iterdir()}
    with_text = {s.id: s for s in sample.songs if s.lyrics}
    assert len(with_text) >= 12 and sum(bool(f and f.text) for f in files.values()) == len(with_text)
    for stage in ("generate", "audit"):
        about = [(k, m) for k, m in prompts[stage].items() if k.split("/")[2].partition("#")[0] in with_text]
        assert len(about) == 4 * len(with_text)
        for key, (_, user) in about:
            first = with_text[key.split("/")[2].partition("#")[0]].lyrics.splitlines()[0]
            assert f"> {first}" in user, key


def test_the_auditor_sees_what_the_script_is_about(prompts, sample):
    about = {link.key: link for link in sample.links()}
    for key, (_, user) in prompts["audit"].items():
        link = about[key.partition("#")[0]]
        if link.song:
            facts = [link.song.title, link.song.artist, str(link.song.year or "")]
        elif link.time:
            facts = [link.time.spoken]
        else:
            facts = [link.forecast.conditions, link.forecast.period, str(link.forecast.high)]
        assert all(fact in user for fact in facts), key
        assert f"@Script: {user.rpartition('@Script: ')[2]}" in user


def test_each_kind_has_a_system_prompt_of_its_own(prompts):
    for stage in ("generate", "audit"):
        seen: dict[str, set[str]] = {}
        for key, (system, _) in prompts[stage].items():
            seen.setdefault(system, set()).add("/".join(key.split("/")[:2]))
        assert len(seen) == 8 and all(len(kinds) == 1 for kinds in seen.values())


def test_examples_that_break_the_rules_are_found_before_a_run(own_station, tmp_path):
    path = own_station / "djs/dot/examples.yaml"
    examples = yaml.safe_load(path.read_text())
    examples["outro"][0]["line"] += " 🎶 Here is your outro!"
    path.write_text(yaml.safe_dump(examples))
    assert not lint(Station.load(own_station)).ok
    with pytest.raises(UserError, match="djs/dot/examples.yaml: outro 1: breaks the station's own rule emoji"):
        go(compose_job(tmp_path, f"station.path={own_station}", stages="lint"))


def test_style_is_shown_by_the_djs_own_example_lines(prompts, sample):
    for key, (system, _) in prompts["generate"].items():
        dj, kind, _ = key.split("/")
        lines = sample.djs[dj].examples[kind]
        assert len(lines) >= 2 and all(f"- {line}" in system for line in lines)


ODD = (
    "\"99 Paper Boats\" - it's from 1984, and it's 10:30, well-known, half-past-ten-ish.",
    "“(Don’t) Mind the Rain”… by Pearl Addison: 3 A.M., 2024; co-written, re-recorded.",
    "Radio Silence, 3 A.M. — Vela Nine & the #1 Söderholm/Ibáñez mix!",
)


def test_a_script_is_spoken_as_it_was_written(own_station, tmp_path):
    for kind in ("intro", "outro"):
        path = own_station / "kinds" / kind / "rubric.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"rules": {}}))  # whatever it says, it airs
    some = (*SOME, f"station.path={own_station}")
    given: dict[str, str] = {}

    def odd(link, dice):
        return given.setdefault(link.key, ODD[len(given) % len(ODD)])

    fill(compose_job(tmp_path, *some, stages=BOTH), script=odd, score=lambda link, dice: 10)
    assert set(given.values()) == set(ODD)
    assert {r["output"]["link"]: r["output"]["script"] for r in records(tmp_path, "generate")} == given
    job = compose_job(tmp_path, *some, stages="audio")
    assert {request.key: request.payload["text"] for request in job.stages[-1].requests()} == given


def test_rewriting_deletes_nothing_and_a_failed_rewrite_still_counts(tmp_path):
    fill(compose_job(tmp_path, *SOME, stages=BOTH), score=lambda link, dice: 2)
    go(compose_job(tmp_path, *SOME, stages="report"))
    kept = [r["key"] for r in records(tmp_path, "generate")]
    links = {key.partition("#")[0] for key in kept}
    assert sorted(kept) == sorted(f"{link}#{attempt}.1" for link in links for attempt in (1, 2, 3)) and len(links) == 8
    figures = summary(tmp_path)
    assert (figures["links"], figures["failed"], figures["pass_rate"]) == (8, 8, 0.0)
    assert {row["link"] for row in figures["unsettled"]} == links and all(r["reasons"] for r in figures["unsettled"])
    again = asked(compose_job(tmp_path, *SOME, "generation.rounds=4", stages=BOTH), "generate")
    for key, (_, user) in again.items():
        before = next(r for r in records(tmp_path, "generate") if r["key"] == key.replace("#4", "#3"))
        assert f"> {before['output']['script']}" in user or "Your last attempt was turned down" in user


def test_an_auditor_that_does_not_answer_is_an_error_and_no_failed_script(tmp_path):
    fill(compose_job(tmp_path, *SOME, stages=BOTH), only=("generate",))
    job = compose_job(tmp_path, *SOME, stages=BOTH)
    job.open()
    with Committer() as committer:
        for n, pending in enumerate(list(Task(job, job.stages[1]).pending())):
            error = {"kind": "engine_died", "message": "no answer within 600 s"}
            if n % 2:
                rubric = job.stages[1].desk.rubric(pending.request.context.link.kind)
                text = orjson.dumps({"issues": [], "notes": ""} | {c.name: 10 for c in rubric.criteria}).decode()
                value = {"text": text, "finish_reason": "stop"}
                made = job.stages[1].output(pending.request, Output(pending.request.key, value))
                record = make_record("audit", pending.request.key, pending.inputs, output=made)
            else:
                record = make_record("audit", pending.request.key, pending.inputs, error=error)
            job.checkpoint.append(committer, "audit", record, lambda: None)
    job.checkpoint.close()
    go(compose_job(tmp_path, *SOME, stages="report"))
    figures = summary(tmp_path)
    assert figures["errors"] == 4 and figures["failed"] + figures["passed"] == 4
    assert figures["pass_rate"] == figures["passed"] / 4  # of those judged
    unsettled = [row for row in figures["unsettled"] if row["state"] == "error"]
    assert len(unsettled) == 4 and all(row["reasons"] == ["audit: no answer within 600 s"] for row in unsettled)
    rewritten = {key.partition("#")[0] for key in asked(compose_job(tmp_path, *SOME, stages=BOTH), "generate")}
    assert len(rewritten) == figures["failed"] and not rewritten & {row["link"] for row in unsettled}
    assert len(asked(compose_job(tmp_path, *SOME, "retry_errors=true", stages=BOTH), "audit")) == 4


class FourMilliseconds(EspeakBackend):
    """What a synthesizer gave that had failed: a file, but no speech."""

    def steps(self, requests):
        for request in requests:
            yield [Output(request.key, {"samples": np.zeros(96, np.float32), "sample_rate": 24000})]


class BrokenSpec(EspeakSpec):
    def open(self):
        return FourMilliseconds(self)


def broken(job, **options):
    """A synthesizer that fails without saying so."""

    class BrokenAudio(Audio):
        def backend(self):
            return BrokenSpec()

        def payload(self, take):
            return {"text": take.script}

    return [BrokenAudio(job)]


def test_speech_that_failed_is_an_error_and_no_silent_file(tmp_path):
    fill(compose_job(tmp_path, *SOME, stages=BOTH), score=lambda link, dice: 10)
    job = go(compose_job(tmp_path, *SOME, f"tts._target_={__name__}.broken", stages="[audio,report]"))
    assert not [p for p in (tmp_path / "takes").rglob("*") if p.is_file()]
    spoken = records(tmp_path, "audio")
    assert len(spoken) == summary(tmp_path)["errors"] == job.figures["errors"] > 0
    assert all(r["status"] == "error" and r["error"]["message"] for r in spoken)
    assert summary(tmp_path)["takes"] == 0


def test_every_kind_reaches_the_audio_stage(tmp_path):
    fill(compose_job(tmp_path, *ONE_OF_EACH, stages=BOTH), score=lambda link, dice: 10)
    go(compose_job(tmp_path, *ONE_OF_EACH, stages="[audio,report]"))
    spoken = {r["output"]["link"].split("/")[1] for r in records(tmp_path, "audio") if "output" in r}
    assert spoken == {"intro", "outro", "time", "weather"}
    assert all((tmp_path / r["output"]["file"]).stat().st_size > 4000 for r in records(tmp_path, "audio"))


def test_the_best_candidate_is_aired_and_not_the_last_one_that_passed(tmp_path):
    scores = (10, 7, 8)  # of the first candidate, the second, the third
    job = compose_job(tmp_path, *ONE_OF_EACH, "select.kinds=[time]", "generation.candidates=3", stages=BOTH)
    left: dict[str, object] = {}
    fill(job, score=lambda link, dice: next(left.setdefault(link.key, iter(scores))))
    go(compose_job(tmp_path, *ONE_OF_EACH, "select.kinds=[time]", "generation.candidates=3", stages="[audio,report]"))
    aired = records(tmp_path, "audio")
    assert aired and all(r["output"]["candidate"].endswith("#1.1") for r in aired)
    assert all("best of 3 that passed" in r["output"]["why"] and "audit" in r["output"]["why"] for r in aired)


def test_the_pass_rate_is_of_all_links_and_not_of_this_runs(tmp_path):
    first = ("select.songs=[s01]", "generation.rounds=1")
    fill(compose_job(tmp_path, *first, stages=BOTH), score=lambda link, dice: 2)
    both = ("select.songs=[s01,s02,s03]", "generation.rounds=1")
    fill(compose_job(tmp_path, *both, stages=BOTH), score=lambda link, dice: 10)
    go(compose_job(tmp_path, *both, stages="report"))
    audited = {r["key"]: r["output"]["verdict"]["passed"] for r in records(tmp_path, "audit")}
    passed = sum(audited.values())
    figures = summary(tmp_path)
    assert (figures["links"], figures["passed"]) == (len(audited), passed) and len(audited) == 12
    assert figures["pass_rate"] == round(passed / 12, 4) < 0.7


def test_openings_that_come_again_are_shown(tmp_path):
    def alike(link, dice: random.Random) -> str:
        return "Hope you enjoyed that one. " + script_for(link, dice)

    fill(compose_job(tmp_path, *SOME, stages=BOTH), script=alike, score=lambda link, dice: 10)
    go(compose_job(tmp_path, *SOME, stages="report"))
    figures = summary(tmp_path)
    passed = figures["passed"]
    assert passed > 2 and figures["diversity"]["repeated_openings"] == 1.0
    assert figures["diversity"]["openings"][0]["opening"] == "hope you enjoyed that"
    assert figures["diversity"]["openings"][0]["count"] == passed
    assert "hope you enjoyed that" in (tmp_path / "report/report.html").read_text().lower()
