"""What people decided on links, and where that leaves each: the checkpoint's `review` shards.

Every decision is a record of its own, `dj/kind/subject!n`, so that none is ever lost; what counts is all of a link's
decisions in order. Its output:

    {"link": key, "decision": "reject", "on": "…#1.1", "script": "as it was heard", "covers": {"…#1.1": digest},
     "attempts": 1, "reason": "too gloomy", "text": null, "take": 1}

* `approve` settles the link on a candidate; nothing of it is planned any more.
* `reject` and `rewrite` turn down the candidates they cover and grant a further round of writing.
* `edit` turns them down too and adds `text` as a candidate of its own, `…#edit.n`: audited, and never rewritten.
* `respeak` turns down a take of a script.
* `undo` takes the decision before it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.checkpoint import Checkpoint
from engine.records import digest

SHARDS = "review"
APPROVE, REJECT, REWRITE, EDIT, RESPEAK, UNDO = "approve", "reject", "rewrite", "edit", "respeak", "undo"
DECISIONS = (APPROVE, REJECT, REWRITE, EDIT, RESPEAK, UNDO)
AGAIN = "the reviewer wants another version, said in another way"


@dataclass
class Standing:
    """Where a link's decisions leave it.

    Attributes:
        decisions: those that count, in order.
        recorded: how many were ever recorded.
    """

    decisions: list[dict[str, Any]] = field(default_factory=list)
    recorded: int = 0

    @property
    def last(self) -> dict[str, Any] | None:
        """The newest decision."""
        return self.decisions[-1] if self.decisions else None

    @property
    def approved(self) -> dict[str, Any] | None:
        """The approval, unless something was decided after it."""
        return self.last if self.last and self.last["decision"] == APPROVE else None

    @property
    def edits(self) -> dict[str, str]:
        """Texts written by hand, by candidate key, oldest first."""
        texts = [d["text"] for d in self.decisions if d["decision"] == EDIT]
        return {f"{self.last['link']}#edit.{n}": text for n, text in enumerate(texts, 1)} if texts else {}

    @property
    def rounds(self) -> int:
        """Rounds of writing granted beyond those configured."""
        return sum(d["decision"] in (REJECT, REWRITE) for d in self.decisions)

    def turned_down(self, key: str, script: str) -> dict[str, Any] | None:
        """The first rejection of candidate `key` while it is still `script`, else the edit that replaced it."""
        for kinds in ((REJECT, REWRITE), (EDIT,)):
            for decision in self.decisions:
                if decision["decision"] in kinds and decision["covers"].get(key) == digest(script, 4):
                    return decision
        return None

    def refused_takes(self, script: str) -> set[int]:
        """Numbers of the takes of `script` that were turned down."""
        return {d["take"] for d in self.decisions if d["decision"] == RESPEAK and d["script"] == script}


class Decisions:
    """All decisions of a checkpoint by link.

    Args:
        checkpoint: read once, now; `add` keeps up with what is recorded later.
    """

    def __init__(self, checkpoint: Checkpoint):
        self._by_link: dict[str, Standing] = {}
        shards = checkpoint.stage(SHARDS)
        for record in shards.records():
            if "output" in record and record["output"].get("decision") in DECISIONS:
                self.add(record["output"])

    def add(self, decision: Mapping[str, Any]) -> None:
        """Take in one more decision."""
        standing = self._by_link.setdefault(decision["link"], Standing())
        standing.recorded += 1
        if decision["decision"] == UNDO:
            del standing.decisions[-1:]
        else:
            standing.decisions.append(dict(decision))

    def of(self, link_key: str) -> Standing:
        """Where a link stands; an empty standing where nothing was decided."""
        return self._by_link.get(link_key) or Standing()


def feedback_of(decision: Mapping[str, Any]) -> tuple[str, list[str]]:
    """What a rewrite is told after `decision`: the script turned down, and why."""
    return decision["script"], [decision["reason"] or AGAIN]
