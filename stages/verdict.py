"""From an auditor's answer and the rules' hits to a verdict; from several verdicts to a choice.

A verdict is a plain dict, as a shard keeps it:

    {"scores": {"flow": 8, …}, "weighted": 7.9, "score": 4.0, "threshold": 7.5, "passed": false,
     "issues": ["…"], "notes": "…", "hits": [{"rule": "emoji", "message": "…", "severity": "cap"}],
     "reasons": ["emoji caps the score at 4.0: has an emoji…", "score 4.0 is below 7.5"]}

`weighted` is what the auditor's scores come to, `score` what is left after caps. `issues` are what a rewrite is told:
the rules' messages first, because they are certain, then the auditor's.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import RowError
from stages.rubric import CAP, FAIL, HIGHEST, LOWEST, NOTE, Rubric
from stages.rules.registry import Hit

MAX_ISSUES, MAX_ISSUE_CHARS, MAX_NOTES_CHARS = 4, 120, 200


def decide(rubric: Rubric, answer: Mapping[str, Any], hits: Iterable[Hit] = ()) -> dict[str, Any]:
    """The verdict (layout in the module's docstring) on one script.

    Args:
        rubric: the kind's rubric.
        answer: the auditor's parsed JSON, or the merged votes of several.
        hits: what the rules found.

    Raises:
        RowError: `bad_verdict`, where the answer is no mapping, lacks a criterion or scores one out of range. Such an
            answer says nothing of the script and must not count as a failed audit.
    """
    if not isinstance(answer, Mapping):
        raise RowError("bad_verdict", f"the verdict is {type(answer).__name__}, not an object")
    weighted = rubric.weighted(answer)
    issues = _texts(answer.get("issues", []), MAX_ISSUES, MAX_ISSUE_CHARS)
    notes = answer.get("notes") or ""
    if not isinstance(notes, str):
        raise RowError("bad_verdict", "the verdict's notes are not a text")

    score, reasons, kept = weighted, [], []
    for hit in hits:
        use = rubric.rules.get(hit.rule)
        severity = use.severity if use else FAIL
        kept.append({**hit.to_dict(), "severity": severity})
        if severity == FAIL:
            reasons.append(f"{hit.rule}: {hit.message}")
        elif severity == CAP and use.cap < weighted:
            score = min(score, use.cap)
            reasons.append(f"{hit.rule} caps the score at {use.cap:g}: {hit.message}")
    failed_by_rule = any(h["severity"] == FAIL for h in kept)
    if score < rubric.threshold:
        reasons.append(f"score {score:.2f} is below {rubric.threshold:g}{_weakest(rubric, answer)}")
    passed = not failed_by_rule and score >= rubric.threshold
    return {
        "scores": {c.name: answer[c.name] for c in rubric.criteria},
        "weighted": weighted,
        "score": score,
        "threshold": rubric.threshold,
        "passed": passed,
        "issues": list(dict.fromkeys([h["message"] for h in kept] + issues)),
        "notes": notes.strip()[:MAX_NOTES_CHARS],
        "hits": kept,
        "reasons": [] if passed else reasons,
    }


def _weakest(rubric: Rubric, answer: Mapping[str, Any]) -> str:
    """The criterion that cost most, in words."""
    worst = max(rubric.criteria, key=lambda c: c.weight * (HIGHEST - answer[c.name]))
    return f" (most lost on {worst.name}: {answer[worst.name]:g})" if answer[worst.name] < HIGHEST else ""


def _texts(value: Any, most: int, chars: int) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise RowError("bad_verdict", "the verdict's issues are not a list of texts")
    return [" ".join(v.split())[:chars] for v in value if v.strip()][:most]


def merge_votes(rubric: Rubric, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One answer from several of the same script: each criterion's median, the issues most votes share, the notes of
    the vote nearest to the medians.

    Args:
        answers: at least one; all must be whole (drop those that are errors before).

    Raises:
        RowError: `bad_verdict`, where there is none or one is malformed.
    """
    if not answers:
        raise RowError("bad_verdict", "no vote came back whole")
    for answer in answers:
        rubric.weighted(answer)
    names = [c.name for c in rubric.criteria]
    medians = {n: statistics.median(a[n] for a in answers) for n in names}
    said = Counter(i for a in answers for i in dict.fromkeys(_texts(a.get("issues", []), MAX_ISSUES, MAX_ISSUE_CHARS)))
    nearest = min(answers, key=lambda a: sum(abs(a[n] - medians[n]) for n in names))
    return {"issues": [i for i, _ in said.most_common(MAX_ISSUES)], "notes": nearest.get("notes") or "", **medians}


# ------------------------------------------------------------------------------------------------------------- choice


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of one candidate when the best is chosen.

    Attributes:
        key: the candidate's key.
        passed: whether its verdict passed.
        score: the verdict's score, 1 to 10.
        words: words of the script.
        budget: least and most words of the link.
        novelty: 1 for a script unlike all others of the station, 0 for one that is there already.
    """

    key: str
    passed: bool
    score: float
    words: int
    budget: tuple[int, int]
    novelty: float = 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The pick among a link's candidates: its key, whether it passed, its score from 0 to 1, why, and all scores."""

    key: str
    passed: bool
    score: float
    reason: str
    ranking: tuple[tuple[str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "key": self.key,
            "passed": self.passed,
            "score": self.score,
            "reason": self.reason,
            "ranking": [list(r) for r in self.ranking],
        }


WEIGHTS = {"audit": 0.7, "novelty": 0.2, "length": 0.1}


def length_fit(words: int, budget: tuple[int, int]) -> float:
    """1 in the middle half of the word budget, 0.5 at its bounds, 0 at half the least and at 1.5 times the most."""
    least, most = budget
    if words < least:
        return max(0.0, 0.5 * (words - least / 2) / max(least / 2, 1e-9))
    if words > most:
        return max(0.0, 0.5 * (1.5 * most - words) / max(most / 2, 1e-9))
    edge = (most - least) / 4
    return min(1.0, 0.5 + 0.5 * min(words - least, most - words) / edge) if edge else 1.0


def choose(
    candidates: Sequence[Candidate], weights: Mapping[str, float] | None = None, forced: str | None = None
) -> Choice:
    """Pick a link's best candidate.

    A passing candidate always beats a failing one. Among equals the score decides: `audit` × (score − 1)/9 +
    `novelty` × novelty + `length` × `length_fit`, weights normalised; on a tie the earlier candidate stands.

    Args:
        candidates: at least one, in the order they were written.
        weights: of `audit`, `novelty`, `length`; `WEIGHTS` where omitted.
        forced: key of the candidate the user has picked by hand; overrides everything, passing or not.

    Raises:
        ValueError: if there are no candidates, a weight is unknown or negative, or all are zero.
        KeyError: if `forced` is none of the candidates.
    """
    weights = dict(WEIGHTS if weights is None else weights)
    if not candidates:
        raise ValueError("nothing to choose from")
    if set(weights) - set(WEIGHTS) or min(weights.values(), default=0) < 0 or not sum(weights.values()):
        raise ValueError(f"weights must be of {', '.join(WEIGHTS)}, not negative and not all zero, got {weights}")
    total = sum(weights.values())

    def parts(c: Candidate) -> dict[str, float]:
        return {
            "audit": (c.score - LOWEST) / (HIGHEST - LOWEST),
            "novelty": c.novelty,
            "length": length_fit(c.words, c.budget),
        }

    def value(c: Candidate) -> float:
        p = parts(c)
        return round(sum(weights.get(k, 0) / total * p[k] for k in WEIGHTS), 6)

    ranked = sorted(candidates, key=lambda c: (not c.passed, -value(c)))
    ranking = tuple((c.key, value(c)) for c in ranked)
    if forced is not None:
        pick = next((c for c in candidates if c.key == forced), None)
        if pick is None:
            raise KeyError(forced)
        state = "passed" if pick.passed else "did not pass"
        return Choice(pick.key, pick.passed, value(pick), f"picked by hand; it {state}", ranking)
    pick = ranked[0]
    p, n_passed = parts(pick), sum(c.passed for c in candidates)
    facts = f"audit {pick.score:.2f}, novelty {p['novelty']:.2f}, length fit {p['length']:.2f}"
    if len(candidates) == 1:
        reason = f"the only candidate: {facts}"
    elif n_passed == 0:
        reason = f"best of {len(candidates)}, none of which passed: {facts}"
    elif n_passed == 1:
        reason = f"the only one of {len(candidates)} that passed: {facts}"
    else:
        runner = ranked[1]
        reason = f"best of {n_passed} that passed ({value(pick):.3f} to {value(runner):.3f}): {facts}"
    return Choice(pick.key, pick.passed, value(pick), reason, ranking)


__all__ = ["CAP", "FAIL", "NOTE", "WEIGHTS", "Candidate", "Choice", "choose", "decide", "length_fit", "merge_votes"]
