"""A run in figures, computed from the checkpoint's records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from engine.runner import TIMINGS
from stages.desk import ERROR, FAILED, PASSED, PENDING, Desk, Outcome
from stages.diversity import Spoken
from stages.diversity import report as diversity_report

STATES = (PASSED, FAILED, ERROR, PENDING)
_SUMMED = ("seconds", "work_s", "rows", "errors", "input_tokens", "output_tokens", "cached_tokens", "engine_load_s")
_SUMMED += ("engine_close_s", "engines")
_LAST = ("memory_footprint_mib", "memory_returned_mib")


def outcomes(desk: Desk) -> Iterator[Outcome]:
    """What became of each link: all that were begun, and, in a run that writes, all that are selected.

    A passed link whose audio could not be made is an error; in a run that speaks, one not spoken yet is pending.
    """
    generated = desk.job.checkpoint.stage("generate")
    selected = {link.key for link in desk.links()} if desk.will_rewrite() else set()
    corpus = desk.corpus()
    spoken = desk.job.checkpoint.stage("audio")
    speaks = any(stage.name == "audio" for stage in desk.job.stages)
    for link in desk.station.links():
        if link.key not in selected and f"{link.key}#1.1" not in generated:
            continue
        outcome = desk.outcome(link, corpus)
        if outcome.state == PASSED:
            if (record := spoken.get(link.key)) and "error" in record:
                outcome.state, outcome.reasons = ERROR, [f"audio: {record['error']['message']}"]
            if outcome.state == PASSED and speaks and link.key not in spoken:
                outcome.state = PENDING
        yield outcome


def script_counts(desk: Desk) -> dict[str, Any]:
    """Counts of links by state, and the pass rate among those that were judged."""
    return _counts(outcomes(desk))


def _counts(found: Iterable[Outcome]) -> dict[str, Any]:
    states = Counter(outcome.state for outcome in found)
    judged = states[PASSED] + states[FAILED]
    return {
        "links": states.total(),
        "passed": states[PASSED],
        "failed": states[FAILED],
        "errors": states[ERROR],
        "pending": states[PENDING],
        "pass_rate": round(states[PASSED] / judged, 4) if judged else None,
    }


def summary(desk: Desk, found: list[Outcome]) -> dict[str, Any]:
    """The whole of `report/summary.json`.

    Args:
        found: `outcomes(desk)`, listed.
    """
    audio = desk.job.checkpoint.stage("audio")
    issues: Counter[str] = Counter()
    rewritten = 0
    first_round = [0, 0]
    scores = []
    spoken_scripts = []
    for outcome in found:
        for draft in outcome.drafts:
            if draft.verdict:
                issues.update(draft.verdict["issues"])
                if draft.attempt == 1:
                    first_round[0] += draft.verdict["passed"]
                    first_round[1] += 1
        rewritten += any(draft.attempt > 1 for draft in outcome.drafts)
        if (pick := outcome.pick) is not None:
            scores.append(pick.verdict["score"])
            spoken_scripts.append(Spoken.of(pick.key, pick.script, outcome.link))
    seconds = [r["output"]["duration_s"] for r in audio.records() if "output" in r]
    return {
        "station": desk.station.name,
        **_counts(found),
        "first_round_pass_rate": round(first_round[0] / first_round[1], 4) if first_round[1] else None,
        "rewritten": rewritten,
        "mean_score": round(sum(scores) / len(scores), 3) if scores else None,
        "by_dj": _split(found, lambda o: o.link.dj.id),
        "by_kind": _split(found, lambda o: o.link.kind),
        "common_issues": [{"issue": issue, "count": count} for issue, count in issues.most_common(10)],
        "takes": len(seconds),
        "audio_seconds": round(sum(seconds), 2),
        "diversity": diversity_report(spoken_scripts),
        "stages": stage_figures(desk),
        "unsettled": [
            {"link": o.link.key, "state": o.state, "reasons": o.reasons} for o in found if o.state != PASSED
        ],
    }  # fmt: skip


def _split(found: list[Outcome], by: Any) -> dict[str, Any]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in found:
        groups.setdefault(by(outcome), []).append(outcome)
    return {name: _counts(group) for name, group in groups.items()}


def stage_figures(desk: Desk) -> dict[str, dict[str, Any]]:
    """What the runner measured, by stage: sums over all runs on this checkpoint, memory of the last."""
    figures: dict[str, dict[str, Any]] = {}
    for record in desk.job.checkpoint.stage(TIMINGS).records():
        measured = record["output"]
        into = figures.setdefault(measured["stage"], dict.fromkeys(_SUMMED, 0))
        for name in _SUMMED:
            into[name] = round(into[name] + measured.get(name, 0), 3)
        into.update({name: measured[name] for name in _LAST})
    for into in figures.values():
        into["tokens_per_s"] = round(into["output_tokens"] / into["work_s"], 1) if into["work_s"] else None
        into["rows_per_s"] = round(into["rows"] / into["work_s"], 2) if into["work_s"] else None
    return figures
