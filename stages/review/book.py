"""The reviewers' book: what may be decided on a link as it is now, and the record that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.commit import Committer
from engine.records import digest, make_record
from stages.decisions import APPROVE, DECISIONS, EDIT, REJECT, RESPEAK, REWRITE, SHARDS, UNDO
from stages.desk import Desk, Outcome
from stages.link import Link
from stages.spoken import Spoken
from stages.summary import outcomes

MOST_REASON, MOST_TEXT = 500, 4000  # characters


class Refused(Exception):
    """A decision that cannot be taken; the message is for the reviewer."""


class Book:
    """Takes decisions on the links of a checkpoint.

    Args:
        desk: of the checkpoint, whose lock is held.
        committer: keeps the records.
        against: the desk of another checkpoint, for blind comparison.

    Attributes:
        found: outcomes as the page shows them, by link key.
        made: decisions taken so far.
    """

    def __init__(self, desk: Desk, committer: Committer, against: Desk | None = None):
        self.desk, self.committer, self.against = desk, committer, against
        self.found: dict[str, Outcome] = {o.link.key: o for o in outcomes(desk)}
        self.spoken = Spoken(desk.job.checkpoint, desk.job.config.audio.retakes)
        self.made = 0

    def decide(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """Keep one decision; on return it is on disk.

        Args:
            asked: `link`, `decision`, `on` (the candidate that was shown), and `reason`, `text` or `take` as it needs.

        Returns:
            What now marks the link, see `mark`.

        Raises:
            Refused: not possible, or not on what is there now.
            VoicetrackError: it could not be kept.
        """
        link_key, decision = asked.get("link"), asked.get("decision")
        outcome = self.found.get(link_key) if isinstance(link_key, str) else None
        if outcome is None:
            raise Refused("there is no such link")
        if decision not in DECISIONS:
            raise Refused("there is no such decision")
        standing = self.desk.standing(outcome.link)
        output = {"link": link_key, "decision": decision}
        if decision == UNDO:
            if standing.last is None:
                raise Refused("nothing was decided on this link")
        else:
            output |= self._particulars(outcome, asked)
        self._keep(f"{link_key}!{standing.recorded + 1}", output)
        self.desk.decisions.add(output)
        return self.mark(outcome.link)

    def _particulars(self, outcome: Outcome, asked: Mapping[str, Any]) -> dict[str, Any]:
        decision = asked["decision"]
        drafts = [d for d in outcome.drafts if d.script is not None]
        draft = next((d for d in drafts if d.key == asked.get("on")), None)
        if draft is None:
            raise Refused("nothing is written for this link yet")
        reason, text, take = _line(asked, "reason", MOST_REASON), None, None
        if decision == REJECT and not reason:
            raise Refused("say why: the writer is told")
        if decision == APPROVE and draft.verdict is None:
            raise Refused("it is not audited yet")
        if decision == RESPEAK:
            take = asked.get("take")
            if not outcome.take or type(take) is not int or take not in self._numbers(outcome):
                raise Refused("there is no such take")
        if decision == EDIT:
            text = _text(asked)
            if text == draft.script:
                raise Refused("the text is unchanged")
        attempts = max((d.attempt for d in drafts), default=0)
        covers = {
            d.key: digest(d.script, 4)
            for d in drafts
            if d is draft or d.attempt in (0, attempts) or (d.verdict and d.verdict["passed"])
        }
        return {
            "on": draft.key,
            "script": draft.script,
            "covers": covers if decision in (REJECT, REWRITE, EDIT) else {},
            "attempts": attempts,
            "reason": reason or None,
            "text": text,
            "take": take,
        }

    def _numbers(self, outcome: Outcome) -> list[int]:
        numbers = []
        while self.spoken.record(outcome.link.key, outcome.pick.script, len(numbers) + 1) is not None:
            numbers.append(len(numbers) + 1)
        return numbers

    def _keep(self, key: str, output: dict[str, Any]) -> None:
        record = make_record(SHARDS, key, {"decision": digest(output, 4)}, output=output)
        self.desk.job.checkpoint.append(self.committer, SHARDS, record, lambda: None)
        self.committer.flush()
        self.made += 1

    def mark(self, link: Link) -> dict[str, Any] | None:
        """What the page shows of a link's decisions: the last one in force, None where there is none.

        A decision that a run has since applied (the link is written again, its new text audited, its new take spoken)
        is history and not shown; an approval always is.
        """
        last = self.desk.standing(link).last
        if last is None or (last["decision"] != APPROVE and self._applied(link, last)):
            return None
        return {name: last[name] for name in ("decision", "reason", "text", "on")}

    def _applied(self, link: Link, decision: Mapping[str, Any]) -> bool:
        checkpoint = self.desk.job.checkpoint
        if decision["decision"] in (REJECT, REWRITE):
            return f"{link.key}#{decision['attempts'] + 1}.1" in checkpoint.stage("generate")
        if decision["decision"] == EDIT:
            key = list(self.desk.standing(link).edits)[-1]
            record = checkpoint.stage("audit").get(key)
            return bool(record) and record["inputs"]["script"] == digest(decision["text"], 4)
        return self.spoken.record(link.key, decision["script"], decision["take"] + 1) is not None

    def marks(self) -> dict[str, dict[str, Any]]:
        """All marks by link key."""
        found = ((key, self.mark(outcome.link)) for key, outcome in self.found.items())
        return {key: mark for key, mark in found if mark}


def _line(asked: Mapping[str, Any], name: str, most: int) -> str:
    value = asked.get(name) or ""
    if not isinstance(value, str):
        raise Refused(f"the {name} is no text")
    value = " ".join(value.split())
    if len(value) > most:
        raise Refused(f"the {name} is longer than {most} characters")
    return value


def _text(asked: Mapping[str, Any]) -> str:
    value = asked.get("text")
    if not isinstance(value, str) or not any(c.isalnum() for c in value):
        raise Refused("there is no text")
    value = "\n".join(" ".join(line.split()) for line in value.strip().splitlines())
    if len(value) > MOST_TEXT:
        raise Refused(f"the text is longer than {MOST_TEXT} characters")
    return value
