"""A run in figures, computed from the checkpoint's records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from engine.runner import TIMINGS
from stages.desk import ERROR, FAILED, PASSED, PENDING, Desk, Outcome
from stages.diversity import Spoken as SpokenWords
from stages.diversity import report as diversity_report
from stages.spoken import Spoken

STATES = (PASSED, FAILED, ERROR, PENDING)
_SUMMED = ("seconds", "work_s", "rows", "errors", "input_tokens", "output_tokens", "cached_tokens", "engine_load_s")
_SUMMED += ("engine_close_s", "engines")
_LAST = ("memory_footprint_mib", "memory_returned_mib")


def outcomes(desk: Desk) -> Iterator[Outcome]:
    """What became of each link: all that were begun, and, in a run that writes, all that are selected.

    A passed link whose audio could not be made is an error; in a run that speaks, one not spoken yet is pending.
    """
    desk.look()
    generated = desk.job.checkpoint.stage("generate")
    selected = {link.key for link in desk.links()} if desk.will_rewrite() else set()
    corpus = desk.corpus()
    spoken = Spoken(desk.job.checkpoint, desk.job.config.audio.retakes)
    speaks = any(stage.name == "audio" for stage in desk.job.stages)
    for link in desk.station.links():
        if link.key not in selected and f"{link.key}#1.1" not in generated:
            continue
        outcome = desk.outcome(link, corpus)
        if (pick := outcome.pick) is not None:
            outcome.take = spoken.aired(link.key, pick.script)
            if (failure := spoken.failure(link.key, pick.script)) is not None:
                outcome.state, outcome.reasons = ERROR, [failure]
            elif speaks and outcome.take is None:
                outcome.state = PENDING
        yield outcome


def script_figures(desk: Desk, found: list[Outcome]) -> dict[str, Any]:
    """Counts of links by state, pass rates and scores: what two runs are compared by."""
    first = [d.verdict["passed"] for o in found for d in o.drafts if d.verdict and d.attempt == 1]
    picked = [(o.link, pick) for o in found if (pick := o.pick) is not None]
    criteria: dict[str, list[float]] = {}
    for _, pick in picked:
        for name, score in pick.verdict["scores"].items():
            criteria.setdefault(name, []).append(score)
    return {
        **_counts(found),
        "first_round_pass_rate": _mean(first),
        "rewritten": sum(any(d.attempt > 1 for d in o.drafts) for o in found),
        "mean_score": _mean([pick.verdict["score"] for _, pick in picked]),
        "criteria": {name: _mean(scores) for name, scores in criteria.items()},
        "diversity": diversity_report(SpokenWords.of(pick.key, pick.script, link) for link, pick in picked),
    }


def _mean(values: list[Any]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


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
    issues: Counter[str] = Counter()
    for outcome in found:
        for draft in outcome.drafts:
            issues.update(draft.verdict["issues"] if draft.verdict else ())
    seconds = [outcome.take["duration_s"] for outcome in found if outcome.take]
    return {
        "station": desk.station.name,
        **script_figures(desk, found),
        "by_dj": _split(found, lambda o: o.link.dj.id),
        "by_kind": _split(found, lambda o: o.link.kind),
        "common_issues": [{"issue": issue, "count": count} for issue, count in issues.most_common(10)],
        "takes": len(seconds),
        "audio_seconds": round(sum(seconds), 2),
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
