"""Choosing among candidates: several votes on each, picks by hand, and scripts that were written elsewhere."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import yaml

from engine.commit import Committer
from engine.errors import UserError
from engine.plan import Task
from engine.records import Output, make_record
from stages.desk import ERROR, FAILED, PASSED, Desk
from stages.summary import outcomes
from tests.stages.studio import compose_job, fill, go
from tests.stages.test_lessons import asked, records, summary

BOTH = "[generate,audit]"
TIMES = ("select.kinds=[time]", "select.djs=[dot]", "generation.rounds=2")
GOOD = {
    "07-30": "It's 7:30 AM, early birds. The kettle has made its first demand and the 12 bus its first excuse.",
    "08-00": "Port Amity, it's 8:00 AM. Toast down, coat on, and the tram is only pretending to be on time.",
    "08-30": "It's 8:30 AM, early birds. If the bus has gone, walk briskly and look as if you meant to.",
}


def said(link, dice) -> str:
    return GOOD[link.subject.id]


def found(path: Path, *overrides: str) -> dict[str, object]:
    """What became of each link, by key."""
    return {o.link.key: o for o in outcomes(Desk(compose_job(path, *TIMES, *overrides, stages="report")))}


# ---------------------------------------------------------------------------------------------------------------- votes


def vote(path: Path, answers: list[object]) -> None:
    """Answer the three votes on every script with scores, or an error for None."""
    fill(compose_job(path, *TIMES, stages=BOTH), script=said, only=("generate",))
    job = compose_job(path, *TIMES, "audit.votes=3", stages=BOTH)
    job.open()
    with Committer() as committer:
        task = Task(job, job.stages[1])
        for pending in list(task.pending()):
            key = pending.request.key
            level = answers[int(key.partition("~")[2] or 1) - 1]
            if level is None:
                record = make_record("audit", key, pending.inputs, error={"kind": "truncated", "message": "cut off"})
            else:
                rubric = task.stage.desk.rubric("time")
                scores = {c.name: level for c in rubric.criteria}
                text = orjson.dumps({"issues": [f"vote {level}"], "notes": ""} | scores)
                value = {"text": text.decode(), "finish_reason": "stop"}
                made = task.stage.output(pending.request, Output(key, value))
                record = make_record("audit", key, pending.inputs, output=made)
            job.checkpoint.append(committer, "audit", record, lambda: None)
    job.checkpoint.close()


@pytest.mark.parametrize(
    ("answers", "state", "score"),
    [([9, 8, 1], PASSED, 8.0), ([9, 2, 1], FAILED, 2.0), ([9, None, 7], PASSED, 8.0), ([9, None, None], ERROR, None)],
    ids=["one wild no", "one wild yes", "one lost", "two lost"],
)
def test_a_script_is_judged_by_the_median_of_its_votes(tmp_path, answers, state, score):
    vote(tmp_path, answers)
    seen = found(tmp_path, "audit.votes=3", "generation.rounds=1")
    assert len(records(tmp_path, "audit")) == 9 and len(seen) == 3
    for outcome in seen.values():
        assert outcome.state == state
        assert (outcome.drafts[0].verdict or {}).get("score") == score
    go(compose_job(tmp_path, *TIMES, "audit.votes=3", "generation.rounds=1", stages="report"))
    assert summary(tmp_path)["passed"] == (3 if state == PASSED else 0)


def test_a_script_is_not_judged_while_votes_are_missing(tmp_path):
    fill(compose_job(tmp_path, *TIMES, stages=BOTH), script=said, score=lambda link, dice: 10)
    more = compose_job(tmp_path, *TIMES, "audit.votes=3", stages=BOTH)
    assert {key.partition("~")[2] for key in asked(more, "audit")} == {"2", "3"}
    assert asked(more, "generate") == {}
    assert {o.state for o in found(tmp_path, "audit.votes=3").values()} == {"pending"}


# ---------------------------------------------------------------------------------------------------------------- picks


@pytest.fixture(scope="module")
def candidates(tmp_path_factory) -> Path:
    """Two candidates a link: the first better than the second, and for 08:30 neither good."""
    folder = tmp_path_factory.mktemp("candidates")
    turn: dict[str, int] = {}

    def score(link, dice):
        turn[link.key] = turn.get(link.key, 0) + 1
        return 2 if link.subject.id == "08-30" else 11 - turn[link.key] * 2

    job = compose_job(folder, *TIMES, "generation.candidates=2", stages=BOTH)
    fill(job, script=said, score=score)
    return folder


def picked(tmp_path: Path, entries: object) -> str:
    path = tmp_path / "picks.yaml"
    path.write_text(entries if isinstance(entries, str) else yaml.safe_dump(entries))
    return f"generation.picks={path}"


def test_a_pick_by_hand_stands_against_score_and_verdict_and_says_so(candidates, tmp_path):
    free = found(candidates, "generation.candidates=2")
    assert free["dot/time/07-30"].pick.key.endswith("#1.1") and free["dot/time/08-30"].state == FAILED
    picks = picked(
        tmp_path,
        {
            "dot/time/07-30": "dot/time/07-30#1.2",
            "dot/time/08-30": {"candidate": "2.1", "why": "the walk"},
        },
    )
    forced = found(candidates, "generation.candidates=2", picks)
    assert {o.state for o in forced.values()} == {PASSED}
    assert forced["dot/time/07-30"].pick.key == "dot/time/07-30#1.2"
    assert forced["dot/time/07-30"].choice.reason == "picked by hand; it passed"
    assert forced["dot/time/08-30"].pick.key == "dot/time/08-30#2.1"
    assert forced["dot/time/08-30"].choice.reason == "picked by hand (the walk); it did not pass"
    again = compose_job(candidates, *TIMES, "generation.candidates=2", "generation.rounds=5", picks, stages=BOTH)
    assert not any("08-30" in key for key in asked(again, "generate"))


def test_what_was_picked_is_spoken_and_kept_with_the_take(candidates, tmp_path):
    picks = picked(tmp_path, 'dot/time/08-30: "1.2"\n')
    go(compose_job(candidates, *TIMES, "generation.candidates=2", picks, stages="[audio,report]"))
    takes = {r["key"]: r["output"] for r in records(candidates, "audio")}
    assert takes["dot/time/08-30"]["candidate"] == "dot/time/08-30#1.2"
    assert takes["dot/time/08-30"]["why"] == "picked by hand; it did not pass"
    assert "best of 2 that passed" in takes["dot/time/07-30"]["why"]


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"dot/time/07-31": "1.1"}, "the station has no such link (did you mean 'dot/time/07-30'?)"),
        ({"dot/time/07-30": "9.9"}, "the checkpoint has no script dot/time/07-30#9.9 (it has 1.1, 1.2)"),
        ({"dot/time/07-30": 1.1}, "write the candidate in quotes"),
        ({"dot/time/07-30": "dot/time/08-00#1.1"}, "is no candidate of this link"),
        ({"dot/time/07-30": {"pick": "1.1"}}, "a pick has a candidate"),
        ("[1, 2]", "must hold 'key: value' lines"),
    ],
)
def test_picks_that_make_no_sense_are_refused_before_anything_runs(candidates, tmp_path, entries, says):
    with pytest.raises(UserError) as caught:
        compose_job(candidates, *TIMES, picked(tmp_path, entries), stages="audio")
    assert says in str(caught.value) and "picks.yaml" in str(caught.value)


# ------------------------------------------------------------------------------------------------------ from elsewhere


def take_in(path: Path, scripts: Path, *overrides: str) -> None:
    """Run the stage that takes scripts in, without the auditor that follows it."""
    job = compose_job(path, *overrides, f"audit.scripts={scripts}", stages="audit")
    del job.stages[1:]
    go(job)


def test_a_folder_of_text_files_is_audited_without_a_writer(tmp_path):
    source = tmp_path / "scripts"
    (source / "dot/time").mkdir(parents=True)
    (source / "dot/time/07-30.txt").write_text(GOOD["07-30"] + "\n")
    (source / "dot/time/07-30.2.txt").write_text("It's 7:45, [NAME]!")
    (source / "Dot_Time_08-00.txt").write_text(GOOD["08-00"])
    (source / "notes.md").write_text("not a script")
    checkpoint = tmp_path / "c"
    take_in(checkpoint, source)
    kept = {r["key"]: r["output"] for r in records(checkpoint, "generate")}
    assert {key: (r["script"], Path(r["source"]).name) for key, r in kept.items()} == {
        "dot/time/07-30#1.1": (GOOD["07-30"], "07-30.txt"),
        "dot/time/07-30#1.2": ("It's 7:45, [NAME]!", "07-30.2.txt"),
        "dot/time/08-00#1.1": (GOOD["08-00"], "Dot_Time_08-00.txt"),
    }
    fill(
        compose_job(checkpoint, f"audit.scripts={source}", stages="audit"),
        only=("audit",),
        score=lambda link, dice: 10,
    )
    go(compose_job(checkpoint, stages="[audio,report]"))
    figures = summary(checkpoint)
    assert (figures["links"], figures["passed"], figures["takes"]) == (2, 2, 2)
    verdicts = {r["key"]: r["output"]["verdict"]["passed"] for r in records(checkpoint, "audit")}
    assert verdicts == {"dot/time/07-30#1.1": True, "dot/time/07-30#1.2": False, "dot/time/08-00#1.1": True}


def test_scripts_from_elsewhere_that_fail_can_be_written_again(tmp_path):
    source, checkpoint = tmp_path / "scripts.jsonl", tmp_path / "c"
    scripts = {"dot/time/07-30": "It's 7:45, [NAME]!", "dot/time/08-00": GOOD["08-00"]}
    source.write_bytes(b"\n".join(orjson.dumps({"link": link, "script": s}) for link, s in scripts.items()))
    take_in(checkpoint, source)
    auditing = compose_job(checkpoint, f"audit.scripts={source}", stages="audit")
    fill(auditing, only=("audit",), score=lambda link, dice: 10)
    assert found(checkpoint)["dot/time/07-30"].state == FAILED
    asks = asked(compose_job(checkpoint, *TIMES, stages=BOTH), "generate")
    assert set(asks) == {"dot/time/08-30#1.1"}  # the others wait for it: rewrites of a round are one batch
    fill(compose_job(checkpoint, *TIMES, stages=BOTH), script=said, score=lambda link, dice: 10)
    seen = found(checkpoint)
    assert {o.state for o in seen.values()} == {PASSED}
    assert seen["dot/time/07-30"].pick.key == "dot/time/07-30#2.1"
    assert seen["dot/time/08-00"].pick.script == GOOD["08-00"]


def test_the_scripts_of_another_run_can_be_audited(candidates, tmp_path):
    take_in(tmp_path, candidates / "generate/00000.jsonl")
    ours, theirs = records(tmp_path, "generate"), records(candidates, "generate")
    assert sorted(r["output"]["script"] for r in ours) == sorted(r["output"]["script"] for r in theirs)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", '{"link": "dot/time/7-30", "script": "x"}', "(did you mean 'dot/time/07-30'?)"),
        ("a.jsonl", '{"link": "dot/time/07-30"}\n{"script": "x"}\nnope', "a.jsonl:1: has no script"),
        ("a.jsonl", "[1]", "a.jsonl:1: is no row"),
        ("a.csv", "name,text\na,b\n", "has no columns 'link' and 'script'"),
        ("a.pdf", "x", "cannot read scripts from '.pdf'"),
        ("a/dot/time/07-30.txt", "  \n", "07-30.txt: has no script"),
        ("a/readme.md", "x", "there are no scripts in it"),
        ("b", "", "no such file or folder"),
    ],
)
def test_scripts_that_cannot_be_taken_in_are_named(tmp_path, name, content, says):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    source = tmp_path / name.partition("/")[0] if name != "b" else tmp_path / "nowhere"
    with pytest.raises(UserError) as caught:
        compose_job(tmp_path / "c", f"audit.scripts={source}", stages="audit")
    assert says in str(caught.value)
    if "nope" in content:
        assert len(str(caught.value).splitlines()) == 3  # all bad rows at once


def test_writing_and_taking_in_at_once_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing is written first"):
        compose_job(tmp_path / "c", f"audit.scripts={tmp_path}", stages=BOTH)
