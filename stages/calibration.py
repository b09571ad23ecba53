"""How far the auditor agrees with people: from labelled scripts and their verdicts to figures and a better threshold.

    link,script,label
    marlow/intro/s01,"Come closer, friends. …",pass
    dot/time/07-30,"It's 7:45, Port Amity.",fail

`label` is what people decided on hearing it. The figures say how often the audit decided alike, beyond what chance
would give (Cohen 1960), which way it errs, and which threshold would have agreed best with the same scores.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from engine.errors import UserError
from stages.files import decode, read_bytes
from stages.rubric import HIGHEST

LABELS_LIMIT = 64 * 1024 * 1024
PASS = frozenset("pass passed yes y true 1 good ok keep air".split())
FAIL = frozenset("fail failed no n false 0 bad reject rejected".split())
COLUMNS = ("link", "script", "label")


@dataclass(frozen=True, slots=True)
class Label:
    """What people say of a script: whether it may go to air. `where` is its place in the user's file."""

    link: str
    script: str
    passed: bool
    where: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled script with the audit's verdict on it (`stages.verdict`); None where the audit ended in an error."""

    label: Label
    kind: str
    verdict: Mapping[str, Any] | None


def read_labels(path: str | Path) -> list[Label]:
    """Labelled scripts from a CSV or JSONL file with the columns `link`, `script` and `label`.

    Raises:
        UserError: the file cannot be read or has no such columns; or what is wrong with its rows, all at once.
    """
    path = Path(path).expanduser()
    text = decode(read_bytes(path, LABELS_LIMIT), path)
    rows = _jsonl(text, path) if path.suffix.lower() in (".jsonl", ".ndjson", ".json") else _csv(text, path)
    labels, errors = [], []
    for where, row in rows:
        if isinstance(row, UserError):
            errors.append(row)
            continue
        link, script = str(row.get("link") or "").strip(), str(row.get("script") or "").strip()
        label = str(row.get("label") if row.get("label") is not None else "").strip().lower()
        if not link or not script:
            errors.append(UserError(f"has no {'link' if not link else 'script'}", where, "give link, script and label"))
        elif label not in PASS | FAIL:
            errors.append(UserError(f"label {label!r} is neither pass nor fail", where, "write pass or fail"))
        else:
            labels.append(Label(link, script, label in PASS, where))
    if errors:
        raise UserError.of_many(errors)
    if not labels:
        raise UserError("has no labelled scripts", path, "write link, script and label, one row a script")
    return labels


def _csv(text: str, path: Path) -> Iterable[tuple[str, Any]]:
    head = text.partition("\n")[0]
    csv.field_size_limit(4 * 1024 * 1024)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    names = {str(n).strip().lower(): n for n in reader.fieldnames or ()}
    if missing := [c for c in COLUMNS if c not in names]:
        raise UserError(
            f"has no column {' and '.join(map(repr, missing))}", f"{path}:1", f"needed: {', '.join(COLUMNS)}"
        )
    for row in reader:
        yield f"{path}:{reader.line_num}", {c: row[names[c]] for c in COLUMNS}


def _jsonl(text: str, path: Path) -> Iterable[tuple[str, Any]]:
    for n, line in enumerate(text.splitlines(), 1):
        where = f"{path}:{n}"
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except ValueError:
            row = None
        yield where, row if isinstance(row, dict) else UserError("is not a JSON object", where, "one object a line")


def calibration(judged: Sequence[Judged]) -> dict[str, Any]:
    """The figures, for all and `by_kind`.

    Returns:
        `scripts`, `errors` (no verdict; counted nowhere else), `agreement` (share), `kappa` (None where chance alone
        explains all), `false_passes` and `false_fails` (counts), `threshold`, and `best`: the `threshold` that agrees
        most, with its `agreement`, `false_passes` and `false_fails`; `rules`: for each rule that fired, how often on
        scripts people passed and failed; `disagreements`: the scripts judged otherwise, worst first. Figures that need
        one threshold are given by kind only.
    """
    kinds: dict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        kinds[j.kind].append(j)
    return {
        **_figures(judged),
        "by_kind": {kind: {**_figures(rows), **_thresholds(rows)} for kind, rows in sorted(kinds.items())},
        "rules": _rules(judged),
        "disagreements": _disagreements(judged),
    }


def _figures(rows: Sequence[Judged]) -> dict[str, Any]:
    whole = [j for j in rows if j.verdict is not None]
    table = Counter((j.label.passed, bool(j.verdict["passed"])) for j in whole)
    return {
        "scripts": len(rows),
        "errors": len(rows) - len(whole),
        "passed_by_people": table[True, True] + table[True, False],
        "passed_by_audit": table[True, True] + table[False, True],
        **_agreement(table),
        "kappa": _kappa(table),
    }


def _agreement(table: Counter) -> dict[str, Any]:
    n = table.total()
    return {
        "agreement": round((table[True, True] + table[False, False]) / n, 4) if n else None,
        "false_passes": table[False, True],
        "false_fails": table[True, False],
    }


def _kappa(table: Counter) -> float | None:
    """Cohen's kappa: 1 for full agreement, 0 for what chance would give."""
    n = table.total()
    if not n:
        return None
    people = (table[True, True] + table[True, False]) / n
    audit = (table[True, True] + table[False, True]) / n
    chance = people * audit + (1 - people) * (1 - audit)
    seen = (table[True, True] + table[False, False]) / n
    return round((seen - chance) / (1 - chance), 4) if chance < 1 else None


def _thresholds(rows: Sequence[Judged]) -> dict[str, Any]:
    """The threshold in use and the one that would agree best; of equally good ones the nearest to the one in use."""
    whole = [j for j in rows if j.verdict is not None]
    if not whole:
        return {"threshold": None, "best": None}
    now = float(whole[-1].verdict["threshold"])
    scored = sorted((float(j.verdict["score"]), not _barred(j.verdict), j.label.passed) for j in whole)
    # Walk the threshold upwards past one score after another; what is below it fails.
    table = Counter((people, free) for _, free, people in scored)
    cuts, at = [(1.0, Counter(table))], 0
    while at < len(scored):
        score = scored[at][0]
        while at < len(scored) and scored[at][0] == score:
            _, free, people = scored[at]
            if free:
                table[people, True] -= 1
                table[people, False] += 1
            at += 1
        above = scored[at][0] if at < len(scored) else min(score + 0.2, float(HIGHEST))
        if above > score:  # no threshold lies above the highest score there is
            cuts.append((round((score + above) / 2, 4), Counter(table)))
    cuts.append((now, _at(scored, now)))
    right = max(t[True, True] + t[False, False] for _, t in cuts)
    threshold, table = min(
        ((c, t) for c, t in cuts if t[True, True] + t[False, False] == right), key=lambda x: (abs(x[0] - now), x[0])
    )
    return {"threshold": now, "best": {"threshold": threshold, **_agreement(table)}}


def _barred(verdict: Mapping[str, Any]) -> bool:
    """Whether a rule fails the script, so that no threshold could pass it."""
    return any(h["severity"] == "fail" for h in verdict["hits"])


def _at(scored: Iterable[tuple[float, bool, bool]], threshold: float) -> Counter:
    return Counter((people, free and score >= threshold) for score, free, people in scored)


def _rules(judged: Sequence[Judged]) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for j in judged:
        for name in dict.fromkeys(h["rule"] for h in j.verdict["hits"]) if j.verdict else ():
            counts = out.setdefault(name, {"on_passed": 0, "on_failed": 0})
            counts["on_passed" if j.label.passed else "on_failed"] += 1
    return dict(sorted(out.items(), key=lambda x: (-x[1]["on_passed"], x[0])))


def _disagreements(judged: Sequence[Judged], most: int = 20) -> list[dict[str, Any]]:
    wrong = [j for j in judged if j.verdict and bool(j.verdict["passed"]) != j.label.passed]
    wrong.sort(key=lambda j: -abs(j.verdict["score"] - j.verdict["threshold"]))
    return [
        {
            "link": j.label.link,
            "where": j.label.where,
            "people": "pass" if j.label.passed else "fail",
            "score": j.verdict["score"],
            "reasons": list(j.verdict["reasons"]),
            "script": j.label.script,
        }
        for j in wrong[:most]
    ]


def as_text(figures: Mapping[str, Any]) -> str:
    """The figures for a terminal, a line a kind."""
    lines = [
        f"{figures['scripts']} labelled scripts, {figures['errors']} without a verdict; people passed "
        f"{figures['passed_by_people']}, the audit {figures['passed_by_audit']}; "
        f"agreement {_share(figures['agreement'])}, kappa {figures['kappa'] if figures['kappa'] is not None else '–'}"
    ]
    for kind, f in figures["by_kind"].items():
        line = (
            f"  {kind}: {f['scripts']} scripts, agreement {_share(f['agreement'])}, "
            f"{f['false_passes']} wrongly passed, {f['false_fails']} wrongly failed at threshold {f['threshold']}"
        )
        if (best := f["best"]) and best["threshold"] != f["threshold"]:
            line += f"; {best['threshold']} would agree on {_share(best['agreement'])}"
        lines.append(line)
    for name, counts in figures["rules"].items():
        if counts["on_passed"]:
            lines.append(f"  rule {name} fired on {counts['on_passed']} scripts that people passed")
    for d in figures["disagreements"][:5]:
        start = d["script"] if len(d["script"]) <= 60 else d["script"][:59] + "…"
        lines.append(f'  people say {d["people"]}, score {d["score"]:.2f}: {d["link"]} "{start}"')
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
