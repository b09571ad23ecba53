"""Openings the station has worn out: those a rewrite is told to avoid, and those the rule `repeated_opening` refuses.

Both depend on scripts of other links, so both are made such that a run which was killed and resumed decides as one
that was not: an attempt is told of the attempts before it alone, which `Rounds` lets be complete first, and an opening
belongs to the links that passed with it in the earliest attempt, in the station's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count, islice
from typing import TYPE_CHECKING

from stages.diversity import Openings, Spoken, opening
from stages.link import Link
from stages.rules import RULES, Hit

if TYPE_CHECKING:
    from stages.desk import Desk, Draft

RULE = "repeated_opening"
WORN_AT = 3  # links of one DJ that begin alike before a rewrite is told to avoid it
AVOIDED = 5  # openings named in a prompt


class Rounds:
    """How far the selected links have come, as of now.

    Attributes:
        open: the attempt that may be written now: every link has been judged on, or is past, the one before it.
    """

    def __init__(self, desk: Desk):
        self.open = 1
        self._used: dict[tuple[int, str], Counter[str]] = {}  # (attempt, DJ) -> links by opening
        self._spelt: dict[str, str] = {}
        self._worn: dict[tuple[int, str], list[str]] = {}
        if len(desk.job.checkpoint.stage("audit")):  # else all are in their first attempt
            self.open = min((self._next(desk, link) for link in desk.links()), default=1)

    def _next(self, desk: Desk, link: Link) -> float:
        """The attempt the link is in or wants next; infinite where it is done."""
        attempts = list(desk.drafts(link))
        for drafts in attempts:
            found = {}
            for draft in drafts:
                if draft.script is not None:
                    start = opening(draft.script)
                    found[start.casefold()] = start
            for folded, start in found.items():
                self._spelt.setdefault(folded, start)
                self._used.setdefault((drafts[0].attempt, link.dj.id), Counter())[folded] += 1
        if desk.by_hand(link) is not None:
            return float("inf")
        if not attempts:
            return 1
        last = attempts[-1]
        if not all(d.settled for d in last):
            return last[0].attempt
        failed = any(d.verdict for d in last) and not any(d.passed for drafts in attempts for d in drafts)
        return last[0].attempt + 1 if failed and last[0].attempt < desk.rounds_of(link) else float("inf")

    def worn(self, link: Link, attempt: int) -> list[str]:
        """The openings most used by the link's DJ in the attempts before `attempt`, the most used first."""
        key = attempt, link.dj.id
        if key not in self._worn:
            used: Counter[str] = Counter()
            for before in range(1, attempt):
                used.update(self._used.get((before, link.dj.id), {}))
            often = sorted((-n, start) for start, n in used.items() if n >= WORN_AT)
            self._worn[key] = [self._spelt[start] for _, start in often[:AVOIDED]]
        return self._worn[key]


def repeats(desk: Desk) -> dict[str, Hit]:
    """What the rule finds, by candidate key; nothing where no kind's rubric names the rule.

    Attempt by attempt and in the station's order, the pick of each link takes its opening; a candidate whose opening
    is taken often enough by then is hit.
    """
    rules = {name: kind.rubric.rules[RULE] for name, kind in desk.station.kinds.items() if RULE in kind.rubric.rules}
    if not rules:
        return {}
    sizes = {{**RULES[RULE].options, **use.options}["words"] for use in rules.values()}
    openings, hits = Openings(), {}
    corpus = desk.corpus()

    def take(draft: Draft, link: Link) -> None:
        spoken = Spoken.of(draft.key, draft.script, link)
        for words in sizes:
            openings.take(spoken, words)

    left = []
    for link in desk.begun():
        if (draft := desk.by_hand(link)) is not None:
            take(draft, link)
        else:
            left.append(link)
    for attempt in count(1):
        later = []
        for link in left:
            drafts = next(islice(desk.drafts(link), attempt - 1, None), None)
            if drafts is None:
                continue
            if link.kind in rules:
                for draft, hit in _hit(drafts, link, openings, rules[link.kind].options):
                    hits[draft.key] = hit
                    desk.hit(link, draft, hit)
            passing = [draft for draft in drafts if draft.passed]
            if passing:
                chosen = desk.choose(link, passing, corpus).key
                take(next(draft for draft in passing if draft.key == chosen), link)
            else:
                later.append(link)
        if not (left := later):
            return hits


def _hit(drafts: list[Draft], link: Link, openings: Openings, options: dict) -> Iterator[tuple[Draft, Hit]]:
    for draft in drafts:
        if draft.passed:
            for hit in openings.check(Spoken.of(draft.key, draft.script, link), options):
                yield draft, hit
