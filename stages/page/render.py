"""From data to the page's HTML.

Everything a station, a model or a user wrote reaches the page as escaped text or as JSON that a script puts into text
nodes; nothing of it is ever parsed as markup. Should that fail one day, the page's content security policy names its
own script and style by hash and allows no other, and no connection anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from markupsafe import Markup

from stages.desk import Desk, Outcome
from stages.page import plots
from stages.page.data import page_data

HERE = Path(__file__).parent
MOST_PANELS = 48  # score plots, a DJ and kind each


def page_html(
    desk: Desk,
    found: Sequence[Outcome],
    figures: Mapping[str, Any],
    *,
    takes: str = "../",
    scripts: Sequence[str] = (),
    connect: str = "",
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """The whole page.

    Args:
        found: `stages.summary.outcomes(desk)`, listed.
        figures: `stages.summary.summary(desk, found)`.
        takes: what leads from the page to the checkpoint's folder.
        scripts: sources of further scripts, run after the page's own.
        connect: what the page may send requests to, as a content security policy has it; nothing where empty.
        extra: further members of the page's data.
    """
    data = {**page_data(desk, found, takes), **(extra or {})}
    script = "\n".join([_source("page.js"), *scripts])
    style = _source("page.css")
    timings = [r for r in desk.job.checkpoint.stage("timings").records() if "output" in r]
    return (
        _template()
        .render(
            data=Markup(json_for_script(data)),
            script=Markup(script),
            style=Markup(style),
            policy=policy(script, style, connect),
            station=data["station"],
            made=data["made"],
            figures=figures,
            panels=_score_panels(desk, found),
            rounds=Markup(plots.rounds(_rounds(found))),
            durations=Markup(plots.durations(_durations(found))),
            timeline=Markup(plots.timeline(timings)),
            live=bool(connect),
            compare=bool(extra and extra.get("compare")),
        )
        .encode()
    )


def json_for_script(value: Any) -> str:
    """JSON that can stand in a `<script>` element: no `<`, `>` or `&`, so nothing in it ends the element."""
    text = orjson.dumps(value).decode()
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def policy(script: str, style: str, connect: str = "") -> str:
    """The page's content security policy: its own script and style, its own sounds, and nothing else."""
    rules = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "media-src": "'self' file:",
        "img-src": "data:",
        "connect-src": connect or "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


@cache
def _source(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda share: "–" if share is None else f"{100 * share:.1f} %"
    environment.filters["clock"] = _clock
    return environment.from_string((HERE / "page.html.j2").read_text(encoding="utf-8"))


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h" if minutes >= 60 else f"{minutes}:{rest:02d} min"


def _score_panels(desk: Desk, found: Sequence[Outcome]) -> list[dict[str, Any]]:
    """A score plot for each DJ and kind; by kind alone where that would be too many."""
    split = len(desk.station.djs) * len(desk.station.kinds) <= MOST_PANELS
    groups: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for outcome in found:
        group = (outcome.link.dj.name if split else "all DJs", outcome.link.kind)
        for draft in outcome.drafts:
            if draft.verdict:
                groups.setdefault(group, []).append((draft.verdict["score"], draft.verdict["passed"]))
    panels = []
    for (who, kind), scored in groups.items():
        svg = plots.scores(scored, desk.rubric(kind).threshold, f"{who}, {kind}")
        panels.append({"who": who, "kind": kind, "svg": Markup(svg), "passed": sum(p for _, p in scored),
                       "of": len(scored)})  # fmt: skip
    return panels


def _rounds(found: Sequence[Outcome]) -> list[tuple[int, int, int]]:
    """For each round: links judged in it, passed in it, and links judged at all."""
    judged: dict[int, int] = {}
    passed: dict[int, int] = {}
    begun = 0
    for outcome in found:
        begun += any(d.verdict for d in outcome.drafts)
        for attempt in sorted({d.attempt for d in outcome.drafts if d.verdict} - {0}):  # 0: written by hand
            judged[attempt] = judged.get(attempt, 0) + 1
            if any(d.verdict and d.verdict["passed"] for d in outcome.drafts if d.attempt == attempt):
                passed[attempt] = passed.get(attempt, 0) + 1
    return [(judged[a], passed.get(a, 0), begun) for a in sorted(judged)]


def _durations(found: Sequence[Outcome]) -> dict[str, list[tuple[float, float, float]]]:
    from stages.link import WORDS_PER_SECOND

    by_kind: dict[str, list[tuple[float, float, float]]] = {}
    for outcome in found:
        if outcome.take:
            least, most = (words / WORDS_PER_SECOND for words in outcome.link.words)
            by_kind.setdefault(outcome.link.kind, []).append((outcome.take["duration_s"], least, most))
    return by_kind
