"""What the checkpoint knows of each link: its candidates, their verdicts, what became of it.

Every stage plans from here, and the summary is computed from here, so that all of them see the same truth: a verdict
counts only while it is on the candidate's present script and by the present rubric.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, takewhile
from typing import Any

from engine.job import Job
from engine.records import digest
from stages.decisions import Decisions, Standing
from stages.diversity import Corpus, Spoken
from stages.link import Link
from stages.openings import repeats
from stages.picks import read_picks
from stages.prompts import Prompts
from stages.rubric import Rubric
from stages.rules import Hit, Names, Script
from stages.sources import load_station
from stages.verdict import Candidate, Choice, choose, decide, merge_votes

PASSED, FAILED, ERROR, PENDING = "passed", "failed", "error", "pending"


@dataclass
class Draft:
    """One candidate as far as it is known.

    Attributes:
        key: `dj/kind/subject#attempt.n`, or `…#edit.n` for one written by hand, whose `attempt` is 0.
        script: None while it is not written, or its writing is an error.
        verdict: see `stages.verdict`; None while it is not audited, or its audit is an error.
        error: of writing or auditing, where one of them is an error record.
        turned_down: the reviewer's decision against it, see `stages.decisions`.
    """

    key: str
    attempt: int
    script: str | None = None
    verdict: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    turned_down: dict[str, Any] | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come for it."""
        return self.verdict is not None or self.error is not None

    @property
    def passed(self) -> bool:
        """Whether it has a verdict that passes it, and no reviewer turned it down."""
        return bool(self.verdict and self.verdict["passed"]) and not self.turned_down


@dataclass
class Outcome:
    """What became of a link: `state` with the pick (`passed`) or the reasons (`failed`, `error`).

    Attributes:
        take: what is kept of the take to air, where there is one.
    """

    link: Link
    state: str
    drafts: list[Draft] = field(default_factory=list)
    choice: Choice | None = None
    reasons: list[str] = field(default_factory=list)
    take: dict[str, Any] | None = None

    @property
    def pick(self) -> Draft | None:
        """The chosen candidate of a passed link."""
        return next((d for d in self.drafts if self.choice and d.key == self.choice.key), None)


class Desk:
    """One job's station, prompts and rubrics, and what its checkpoint knows of every link.

    Raises:
        UserError: what is wrong with the station or the selection.
    """

    def __init__(self, job: Job):
        self.job = job
        self.station = load_station(job)
        self.picks = read_picks(job, self.station)
        self.candidates = job.config.generation.candidates
        self.rounds = job.config.generation.rounds
        self.votes = job.config.audit.votes
        self._rubric_digests: dict[str, str] = {}
        self._repeats: dict[str, Hit] = {}
        self.station.links(job.config.select)  # a wrong name in `select` is an error now, not in mid-run

    @classmethod
    def of(cls, job: Job) -> Desk:
        """The job's one desk."""
        return job.once("desk", lambda: cls(job))

    @cached_property
    def prompts(self) -> Prompts:
        """Renders the station's prompts."""
        return Prompts(self.station)

    @cached_property
    def names(self) -> Names:
        """All names a script might mention by mistake."""
        if not self.job.config.audit.names_from_catalog:
            return Names()
        return Names.of(self.station.songs, self.station.djs.values(), (self.station.name, self.station.place))

    def rubric(self, kind: str) -> Rubric:
        """The rubric of a kind."""
        return self.station.kinds[kind].rubric

    def links(self) -> Iterator[Link]:
        """The selected links, in the station's order."""
        return self.station.links(self.job.config.select)

    def begun(self) -> Iterator[Link]:
        """The links that have a script, selected or not, in the station's order."""
        generated = self.job.checkpoint.stage("generate")
        return (link for link in self.station.links() if f"{link.key}#1.1" in generated)

    def look(self) -> None:
        """Take in what hangs on all links together: which openings are used too often by now."""
        self._repeats = {}
        self._repeats = repeats(self)

    @cached_property
    def decisions(self) -> Decisions:
        """What reviewers decided."""
        return Decisions(self.job.checkpoint)

    def standing(self, link: Link) -> Standing:
        """Where reviewers' decisions leave the link."""
        return self.decisions.of(link.key)

    def rounds_of(self, link: Link) -> int:
        """How many attempts the link may have: a reviewer's rejection grants one more."""
        return self.rounds + self.standing(link).rounds

    def by_hand(self, link: Link) -> Draft | None:
        """What settles the link whatever is written: the candidate picked by `generation.picks`, the one approved in
        review, or the newest text edited there."""
        if (pick := self.picks.get(link.key)) is not None:
            return self._draft(link, _attempt_of(pick.candidate), pick.candidate, as_it_was=True)
        standing = self.standing(link)
        if standing.approved:
            key = standing.approved["on"]
            draft = self._draft(link, _attempt_of(key), key, as_it_was=True)
            return draft if draft.script == standing.approved["script"] else None
        if not standing.edits:
            return None
        draft = self._draft(link, 0, list(standing.edits)[-1])
        return None if draft.turned_down else draft

    def drafts(self, link: Link) -> Iterator[list[Draft]]:
        """The link's candidates, an attempt at a time, as far as any of an attempt has been begun."""
        generated = self.job.checkpoint.stage("generate")
        for attempt in range(1, self.rounds_of(link) + 1):
            keys = [f"{link.key}#{attempt}.{n}" for n in range(1, self.candidates + 1)]
            if not any(key in generated for key in keys):
                return
            # Of scripts from elsewhere there may be fewer or more; looked up only where that is so.
            whole = keys[-1] in generated and f"{link.key}#1.{self.candidates + 1}" not in generated
            if attempt == 1 and not whole and self.was_given(link):
                keys = list(takewhile(generated.__contains__, (f"{link.key}#1.{n}" for n in count(1))))
            yield [self._draft(link, attempt, key) for key in keys]

    def was_given(self, link: Link) -> bool:
        """Whether the link's first scripts were written elsewhere."""
        record = self.job.checkpoint.stage("generate").get(f"{link.key}#1.1")
        return bool(record and "output" in record and "source" in record["output"])

    def _draft(self, link: Link, attempt: int, key: str, as_it_was: bool = False) -> Draft:
        standing = self.standing(link)
        if (script := standing.edits.get(key)) is None:
            record = self.job.checkpoint.stage("generate").get(key)
            if record is None:
                return Draft(key, attempt)
            if "error" in record:
                return Draft(key, attempt, error={"stage": "generate", **record["error"]})
            script = record["output"]["script"]
        draft = Draft(key, attempt, script, turned_down=standing.turned_down(key, script))
        draft.verdict, draft.error = self._verdict(link, draft, as_it_was)
        if (hit := self._repeats.get(key)) is not None and draft.verdict:
            self.hit(link, draft, hit)
        return draft

    def hit(self, link: Link, draft: Draft, hit: Hit) -> None:
        """Let a rule over the whole station count against an audited candidate."""
        rubric, verdict = self.rubric(link.kind), draft.verdict
        answer = {**verdict["scores"], "issues": [], "notes": verdict["notes"]}
        decided = decide(rubric, answer, [*_hits(verdict["hits"]), hit])
        draft.verdict = {**decided, "issues": list(dict.fromkeys([hit.message, *verdict["issues"]]))}

    def _verdict(
        self, link: Link, draft: Draft, as_it_was: bool
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The verdict of all votes on the draft's script, or the error in its place; neither while a vote is out.

        More than half of the votes must be whole; the others are left out.
        """
        audited = self.job.checkpoint.stage("audit")
        votes = self.vote_keys(draft.key)
        whole, errors = [], []
        for key in votes:
            record = audited.get(key)
            if record is None or not self._is_on(record, link, draft.script, as_it_was):
                return None, None
            if "error" in record:
                errors.append({"stage": "audit", **record["error"]})
            else:
                whole.append(record["output"])
        if 2 * len(whole) <= len(votes):
            return None, errors[0]
        if len(whole) == 1:
            return whole[0]["verdict"], None
        rubric = self.rubric(link.kind)
        merged = merge_votes(rubric, [vote["answer"] for vote in whole])
        return decide(rubric, merged, _hits(whole[0]["verdict"]["hits"])), None

    def _is_on(self, record: dict[str, Any], link: Link, script: str, as_it_was: bool) -> bool:
        """Whether an audit record is on `script` and by the present rubric (any, where `as_it_was`); else it will be
        audited again."""
        kept = as_it_was or self.job.config.checkpoint.on_stale.value == "keep"
        inputs = record["inputs"]
        return inputs["script"] == digest(script, 4) and (kept or inputs["rubric"] == self.rubric_digest(link.kind))

    def vote_keys(self, key: str) -> list[str]:
        """Keys of the audit records of candidate `key`, one a vote."""
        return [key] + [f"{key}~{vote}" for vote in range(2, self.votes + 1)]

    def rubric_digest(self, kind: str) -> str:
        """Hash of a kind's rubric, as audit records have it among their inputs."""
        if kind not in self._rubric_digests:
            self._rubric_digests[kind] = digest(self.rubric(kind).to_dict(), 4)
        return self._rubric_digests[kind]

    def outcome(self, link: Link, corpus: Corpus | None = None) -> Outcome:
        """What became of `link`, as far as scripts go.

        Args:
            corpus: scripts of the other links, for the novelty of candidates; needed where there is a choice.
        """
        drafts = [draft for attempt in self.drafts(link) for draft in attempt]
        if (settles := self.by_hand(link)) is not None:
            return self._by_hand_outcome(link, drafts, settles)
        passed = [d for d in drafts if d.passed]
        if passed:
            return Outcome(link, PASSED, drafts, self.choose(link, passed, corpus))
        if not drafts or not all(d.settled for d in drafts):
            return Outcome(link, PENDING, drafts)
        last = [d for d in drafts if d.attempt == drafts[-1].attempt]
        judged = [d for d in drafts if d.verdict]
        errors = [d.error for d in last if d.error]
        if len(errors) == len(last):
            return Outcome(link, ERROR, drafts, reasons=[f"{e['stage']}: {e['message']}" for e in errors])
        best = max(judged, key=lambda d: d.verdict["score"])
        reasons = _rejection(last) or best.verdict["reasons"]
        rewrites = drafts[-1].attempt < self.rounds_of(link) and self.will_rewrite()
        return Outcome(link, PENDING if rewrites else FAILED, drafts, reasons=reasons)

    def _by_hand_outcome(self, link: Link, drafts: list[Draft], settles: Draft) -> Outcome:
        """Approved: passed, whatever else is there. Edited: as its audit says."""
        drafts = [d for d in drafts if d.key != settles.key]
        others = (self._draft(link, 0, key) for key in self.standing(link).edits if key != settles.key)
        drafts += [*others, settles]
        pick = self.picks.get(link.key)
        if settles.passed or (settles.verdict and (pick or self.standing(link).approved)):
            word = "approved in review" if self.standing(link).approved else "edited in review"
            if pick:
                word = f"{pick.why}; {'it passed' if settles.verdict['passed'] else 'it did not pass'}"
            return Outcome(link, PASSED, drafts, Choice(settles.key, True, 1.0, word, ((settles.key, 1.0),)))
        if settles.error:
            return Outcome(link, ERROR, drafts, reasons=[f"{settles.error['stage']}: {settles.error['message']}"])
        if settles.verdict is None:
            return Outcome(link, PENDING, drafts, reasons=["chosen by hand, to be audited"])
        return Outcome(link, FAILED, drafts, reasons=settles.verdict["reasons"])

    def will_rewrite(self) -> bool:
        """Whether this run writes failed links again."""
        return any(getattr(stage, "rewrites", False) for stage in self.job.stages)

    def choose(self, link: Link, passed: list[Draft], corpus: Corpus | None) -> Choice:
        """The best of the candidates that passed."""
        options = []
        for draft in passed:
            novelty = 1.0
            if corpus is not None and len(passed) > 1:
                novelty = corpus.novelty(Spoken.of(draft.key, draft.script, link))
            words = Script(draft.script, link).words
            options.append(Candidate(draft.key, True, draft.verdict["score"], words, link.words, novelty))
        return choose(options, dict(self.job.config.generation.pick))

    def corpus(self) -> Corpus | None:
        """Every link's first script, to measure novelty against; None where no link has a choice to make."""
        if self.candidates == 1:
            return None
        corpus = Corpus()
        for link in self.links():
            first = next(self.drafts(link), None)
            if first and first[0].script:
                corpus.add(Spoken.of(first[0].key, first[0].script, link))
        return corpus


def _attempt_of(key: str) -> int:
    """The attempt in a candidate's key, 0 for one written by hand."""
    number = key.rpartition("#")[2].partition(".")[0]
    return int(number) if number.isdecimal() else 0


def _rejection(last: list[Draft]) -> list[str]:
    """The reviewer's reason, where the newest attempt was turned down."""
    for draft in last:
        if draft.turned_down:
            return [f"turned down in review: {draft.turned_down['reason'] or 'write it again'}"]
    return []


def _hits(kept: list[dict[str, Any]]) -> list[Hit]:
    return [Hit(hit["rule"], hit["message"]) for hit in kept]
