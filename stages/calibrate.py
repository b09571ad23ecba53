"""calibrate: audit scripts that people have labelled, and say how far the auditor agrees with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from engine.errors import UserError
from engine.job import Job
from engine.records import Request, digest
from engine.stage import Stage
from stages.audit import Audit
from stages.calibration import Judged, Label, as_text, calibration, read_labels
from stages.desk import Draft
from stages.link import Link
from stages.rules import Hit
from stages.verdict import decide, merge_votes


def stages(job: Job) -> list[Stage]:
    """The stage, as `conf/stage/calibrate.yaml` names it.

    Raises:
        UserError: no labels are named, they cannot be read, or they are on links the station does not have.
    """
    if not job.config.calibrate.labels:
        raise UserError("is not set", "calibrate.labels", "name a CSV or JSONL file with link, script and label")
    return [Calibrate(job)]


class Calibrate(Audit):
    """Requests: `audit.votes` verdicts on every labelled script, as `audit` would ask for them."""

    name = "calibrate"
    reads = ()
    needs = ()

    def __init__(self, job: Job):
        super().__init__(job)
        labels = read_labels(job.config.calibrate.labels)
        wanted = {label.link for label in labels}
        self._links: dict[str, Link] = {k.key: k for k in self.desk.station.links() if k.key in wanted}
        if unknown := [label for label in labels if label.link not in self._links]:
            hint = "write dj/kind/subject, as the shards name links"
            raise UserError.of_many([UserError(f"no link {u.link!r}", u.where, hint) for u in unknown])
        # The same script may be labelled twice; it is asked about once.
        self._labels = {f"{label.link}#{digest(label.script, 6)}": label for label in labels}

    def requests(self) -> Iterator[Request]:
        """Every labelled script's votes, in the order of the station's links."""
        for key, label in sorted(self._labels.items()):
            yield from self._votes(self._links[label.link], Draft(key, 1, label.script))

    def finish(self) -> dict[str, Any]:
        """Write `report/calibration.json` and show it; returns its figures as `calibration`, and the pass rate."""
        figures = calibration([self._judged(key, label) for key, label in self._labels.items()])
        content = orjson.dumps(figures, option=orjson.OPT_INDENT_2)
        self.job.checkpoint.write_file("report/calibration.json", content)
        from rich.text import Text

        self.job.shared.setdefault("screens", []).append(Text(as_text(figures)))
        judged = figures["scripts"] - figures["errors"]
        return {"calibration": figures, "pass_rate": figures["passed_by_audit"] / judged if judged else None}

    def _judged(self, key: str, label: Label) -> Judged:
        kind = self._links[label.link].kind
        records = [self.job.checkpoint.stage(self.name).get(k) for k in self.desk.vote_keys(key)]
        outputs = [r["output"] for r in records if r and "output" in r]
        if len(outputs) < len(records):
            return Judged(label, kind, None)
        if len(outputs) == 1:
            return Judged(label, kind, outputs[0]["verdict"])
        rubric = self.desk.rubric(kind)
        hits = [Hit(h["rule"], h["message"]) for h in outputs[0]["verdict"]["hits"]]
        return Judged(label, kind, decide(rubric, merge_votes(rubric, [o["answer"] for o in outputs]), hits))
