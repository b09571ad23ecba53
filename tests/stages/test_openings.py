"""Worn-out openings: what rewrites are told to avoid, and the rule that refuses the k-th repeat."""

from __future__ import annotations

import random
import re
from pathlib import Path

import orjson
import pytest
import yaml

from engine.commit import Committer
from engine.plan import Task
from engine.records import Output, make_record
from stages.desk import FAILED, PASSED, Desk
from stages.openings import Rounds
from stages.summary import outcomes
from tests.stages.studio import compose_job, fill, script_for

SELECT = ("select.kinds=[intro,outro]", "select.songs=[s01,s02,s03]")
BOTH = "[generate,audit]"


def records(folder: Path, stage: str) -> dict[str, dict]:
    """Newest record of each key."""
    found = {}
    for path in sorted((folder / stage).glob("[0-9]*.jsonl")):
        for line in path.read_bytes().splitlines():
            record = orjson.loads(line)
            found[record["key"]] = record
    return found


def brief(request, label: str) -> list[str]:
    """The values of a label in a request's prompt."""
    return re.findall(rf"^@{label}: (.*)$", request.payload["prompt"][-1]["content"], re.MULTILINE)


def same_start(link, dice: random.Random) -> str:
    return "Well now, my friends, " + script_for(link, dice).partition(" ")[2]


def planned(job) -> dict[str, object]:
    """What the writer is asked for now, by key."""
    return {p.request.key: p.request for p in Task(job, job.stages[0]).pending()}


def answer(path: Path, keep: int, score: int, *overrides: str, stage: str) -> None:
    """Answer at most `keep` of the requests of one stage, as a run killed then would leave them."""
    job = compose_job(path, *SELECT, *overrides, stages=BOTH)
    task = next(Task(job, s) for s in job.stages if s.name == stage)
    job.open()
    with Committer() as committer:
        for pending in list(task.pending())[:keep]:
            request = pending.request
            dice = random.Random(request.key)
            if stage == "generate":
                text = same_start(request.context, dice)
            else:
                rubric = task.stage.desk.rubric(request.context.link.kind)
                text = orjson.dumps(
                    {"issues": ["flat"], "notes": ""} | {c.name: score for c in rubric.criteria}
                ).decode()
            value = {"text": text, "finish_reason": "stop"}
            made = task.stage.output(request, Output(request.key, value, {}))
            record = make_record(stage, request.key, pending.inputs, output=made)
            job.checkpoint.append(committer, stage, record, lambda: None)
    job.checkpoint.close()


def test_a_rewrite_is_told_the_openings_its_dj_has_worn_out(tmp_path):
    answer(tmp_path, 99, 3, stage="generate")
    answer(tmp_path, 99, 3, stage="audit")
    asked = planned(compose_job(tmp_path, *SELECT, stages=BOTH))
    assert len(asked) == 12 and all("#2." in key for key in asked)
    for request in asked.values():
        assert brief(request, "Avoid")[0].startswith("Well now, my friends | ")
        assert "- Well now, my friends" in request.payload["prompt"][-1]["content"]


def test_a_first_writing_is_told_nothing_and_two_alike_are_no_habit(tmp_path):
    asked = planned(compose_job(tmp_path, *SELECT, stages=BOTH))
    assert asked and not any(brief(request, "Avoid") for request in asked.values())
    few = ("select.songs=[s01]",)
    answer(tmp_path, 99, 3, *few, stage="generate")
    answer(tmp_path, 99, 3, *few, stage="audit")
    for request in planned(compose_job(tmp_path, *SELECT, *few, stages=BOTH)).values():
        (avoided,) = brief(request, "Avoid")
        assert avoided.count(" | ") == 0  # its own failed opening alone


def test_rewrites_wait_until_every_link_is_judged(tmp_path):
    answer(tmp_path, 99, 3, stage="generate")
    answer(tmp_path, 5, 3, stage="audit")
    assert planned(compose_job(tmp_path, *SELECT, stages=BOTH)) == {}
    answer(tmp_path, 99, 3, stage="audit")
    assert len(planned(compose_job(tmp_path, *SELECT, stages=BOTH))) == 12


@pytest.mark.parametrize("kill", [1, 7])
def test_a_resumed_round_asks_what_an_uninterrupted_one_asks(tmp_path, kill):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for path, keeps in ((whole, [99]), (killed, [kill, 99])):
        for stage in ("generate", "audit", "generate", "audit", "generate"):
            for keep in keeps:
                answer(path, keep, 3, stage=stage)
    ours, theirs = records(whole, "generate"), records(killed, "generate")
    assert ours.keys() == theirs.keys() and len(ours) == 36
    assert {k: r["fingerprint"] for k, r in ours.items()} == {k: r["fingerprint"] for k, r in theirs.items()}
    assert any("avoid" in r["output"] for r in ours.values())


def test_more_links_later_leave_what_was_asked_as_it_was(tmp_path):
    few = ("select.songs=[s01,s02]",)
    for stage in ("generate", "audit", "generate"):
        answer(tmp_path, 99, 3, *few, stage=stage)
    before = records(tmp_path, "generate")
    fill(compose_job(tmp_path, *SELECT, stages=BOTH), script=same_start, score=lambda link, dice: 9)
    after = records(tmp_path, "generate")
    assert {key: after[key]["fingerprint"] for key in before} == {k: r["fingerprint"] for k, r in before.items()}
    assert {key: after[key]["time"] for key in before} == {key: r["time"] for key, r in before.items()}
    assert len(after) > len(before)


@pytest.fixture
def strict(own_station: Path):
    """A station whose intros and outros may open alike twice; with the severity asked for."""

    def make(rule: dict) -> str:
        for kind in ("intro", "outro"):
            path = own_station / "kinds" / kind / "rubric.yaml"
            rubric = yaml.safe_load(path.read_text())
            path.write_text(yaml.safe_dump(rubric | {"rules": {"length": "off", "repeated_opening": rule}}))
        return f"station.path={own_station}"

    return make


def found(path: Path, *overrides: str) -> list:
    return list(outcomes(Desk(compose_job(path, *SELECT, *overrides, stages="report"))))


def test_the_third_link_that_opens_alike_is_refused_and_written_again(tmp_path, strict):
    station = strict({"times": 2})
    fill(compose_job(tmp_path, *SELECT, station, stages=BOTH), script=same_start, score=lambda link, dice: 9)
    seen = found(tmp_path, station)
    passed = [o for o in seen if o.state == PASSED]
    failed = [o for o in seen if o.state == FAILED]
    assert (len(passed), len(failed)) == (2, 10)
    assert [o.link.key for o in passed] == [o.link.key for o in seen][:2]  # the first come keep it
    assert all(any("opens like 2 other links" in r for r in o.reasons) for o in failed)
    generated = records(tmp_path, "generate")
    assert all(f"{o.link.key}#3.1" in generated for o in failed)
    assert not any(f"{o.link.key}#2.1" in generated for o in passed)


def test_a_rewrite_with_another_opening_passes_and_is_told_why(tmp_path, strict):
    station = strict({"times": 2})
    told = []

    def mends(link, dice):
        told.append(link.key)
        own = " ".join("abcdefghijklmnop"[int(digit)] * 3 for digit in f"{len(told):04}")
        return f"{own}, my friends." if told.count(link.key) > 1 else same_start(link, dice)

    fill(compose_job(tmp_path, *SELECT, station, stages=BOTH), script=mends, score=lambda link, dice: 9)
    seen = found(tmp_path, station)
    assert {o.state for o in seen} == {PASSED} and sum(len(o.drafts) == 2 for o in seen) == 10
    job = compose_job(tmp_path, *SELECT, station, stages=BOTH)
    rewrites = [r for r in job.stages[0].requests() if "#2." in r.key]
    assert rewrites and all("opens like 2 other links" in brief(r, "Fix")[0] for r in rewrites)


def test_a_note_is_noted_and_refuses_nothing(tmp_path, strict):
    station = strict({"times": 2, "severity": "note"})
    fill(compose_job(tmp_path, *SELECT, station, stages=BOTH), script=same_start, score=lambda link, dice: 9)
    seen = found(tmp_path, station)
    assert {o.state for o in seen} == {PASSED}
    assert sum(any(h["rule"] == "repeated_opening" for h in o.pick.verdict["hits"]) for o in seen) == 10


def test_defaults_can_be_kept_beside_a_rule_of_ones_own(own_station, sample):
    path = own_station / "kinds/intro/rubric.yaml"
    rules = {"defaults": True, "repeated_opening": {"times": 1}, "emoji": "off"}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"rules": rules}))
    made = Desk(compose_job(own_station / "c", f"station.path={own_station}", stages="report")).rubric("intro").rules
    assert set(made) == set(sample.kinds["intro"].rubric.rules) - {"emoji"} | {"repeated_opening"}


def test_how_far_a_station_is_starts_at_one_and_ends_nowhere(tmp_path):
    desk = Desk(compose_job(tmp_path, *SELECT, stages=BOTH))
    assert Rounds(desk).open == 1
    fill(compose_job(tmp_path, *SELECT, stages=BOTH), score=lambda link, dice: 10)
    assert Rounds(Desk(compose_job(tmp_path, *SELECT, stages=BOTH))).open > 3
