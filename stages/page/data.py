"""What the page shows, as one JSON-able object: assembled from the desk, never from what a run remembers.

    {"station": {…}, "made": "2026-…", "takes": "../", "djs": [{"id", "name"}],
     "kinds": {"intro": {"criteria": [{"name", "weight", "ask"}], "threshold": 7.5}},
     "links": [{"key", "dj", "kind", "title", "by", "words": [20, 45], "state", "reasons", "why", "pick": 0,
                "drafts": [{"key", "attempt", "script", "words", "score", "scores": […], "passed", …}],
                "take": 2, "takes": [{"number", "file", "duration", "lufs", "peak", "problems", "made"}, …]}]}

`pick` is the place of the chosen candidate among `drafts`, null where there is none; `take` the number of the take
that is aired.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from stages.desk import Desk, Draft, Outcome
from stages.link import WORDS_PER_SECOND, Link
from stages.spoken import Spoken


def page_data(desk: Desk, found: Iterable[Outcome], takes: str = "../") -> dict[str, Any]:
    """The object described above.

    Args:
        found: `stages.summary.outcomes(desk)`.
        takes: what leads from the page to the checkpoint's folder.
    """
    station = desk.station
    spoken = Spoken(desk.job.checkpoint, desk.job.config.audio.retakes)
    return {
        "station": {"name": station.name, "place": station.place, "language": station.language},
        "made": datetime.now().astimezone().isoformat(timespec="seconds"),
        "takes": takes,
        "djs": [{"id": dj.id, "name": dj.name} for dj in station.djs.values()],
        "kinds": {name: _kind(kind.rubric) for name, kind in station.kinds.items()},
        "links": [_link(outcome, spoken) for outcome in found],
    }


def _kind(rubric: Any) -> dict[str, Any]:
    criteria = [{"name": c.name, "weight": c.weight, "ask": c.ask} for c in rubric.criteria]
    return {"criteria": criteria, "threshold": rubric.threshold}


def _link(outcome: Outcome, spoken: Spoken) -> dict[str, Any]:
    link = outcome.link
    title, by = spoken_of(link)
    pick = outcome.choice.key if outcome.choice else None
    drafts = [d for d in outcome.drafts if d.script is not None or d.error]
    places = {d.key: place for place, d in enumerate(drafts)}
    return {
        "key": link.key,
        "dj": link.dj.id,
        "kind": link.kind,
        "title": title,
        "by": by,
        "words": list(link.words),
        "budget": [round(words / WORDS_PER_SECOND, 1) for words in link.words],
        "state": outcome.state,
        "reasons": outcome.reasons,
        "why": outcome.choice.reason if outcome.choice else "",
        "pick": places.get(pick),
        "drafts": [_draft(d) for d in drafts],
        "take": outcome.take["take"] if outcome.take else None,
        "takes": list(_takes(outcome, spoken)),
    }


def spoken_of(link: Link) -> tuple[str, str]:
    """What a link speaks of, and by whom or with what: `("Tin Roof", "Pearl Addison")`, `("7:30 AM", "")`."""
    if link.song:
        return link.song.title, link.song.artist
    if link.time:
        return link.time.spoken, ""
    if link.forecast:
        return link.forecast.period, link.forecast.conditions
    return link.kind, ""


def _draft(draft: Draft) -> dict[str, Any]:
    shown: dict[str, Any] = {"key": draft.key, "attempt": draft.attempt, "script": draft.script}
    if draft.script is not None:
        shown["words"] = len(draft.script.split())
    if draft.verdict:
        v = draft.verdict
        shown |= {name: v[name] for name in ("scores", "score", "weighted", "threshold", "issues", "notes", "reasons")}
        shown["passed"] = v["passed"]
        shown["hits"] = [[h["rule"], h["message"], h["severity"]] for h in v["hits"]]
    if draft.turned_down:
        shown["turned"] = {name: draft.turned_down[name] for name in ("decision", "reason")}
    if draft.error:
        shown["error"] = f"{draft.error['stage']}: {draft.error['message']}"
    return shown


def _takes(outcome: Outcome, spoken: Spoken) -> Iterator[dict[str, Any]]:
    """All takes of the chosen script, or of the last one that was spoken, in the order they were made."""
    scripts = (
        [d.script for d in reversed(outcome.drafts) if d.script] if outcome.pick is None else [outcome.pick.script]
    )
    spoke = (script for script in scripts if spoken.record(outcome.link.key, script, 1) is not None)
    if (script := next(spoke, None)) is None:
        return
    number = 1
    while (record := spoken.record(outcome.link.key, script, number)) is not None:
        if "error" in record:
            yield {"number": number, "error": record["error"]["message"]}
        else:
            output = record["output"]
            yield {
                "number": number,
                "file": quote(output["file"], safe="/:"),
                "duration": output["duration_s"],
                "lufs": output["lufs"],
                "peak": output["true_peak_dbtp"],
                "problems": [p["message"] for p in output["problems"]],
                "made": record["time"],
            }
        number += 1
