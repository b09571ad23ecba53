"""What the checkpoint knows of each link: its candidates, their verdicts, what became of it.

Every stage plans from here, and the summary is computed from here, so that all of them see the same truth: a verdict
counts only while it is on the candidate's present script and by the present rubric.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.job import Job
from engine.records import digest
from stages.diversity import Corpus, Spoken
from stages.link import Link
from stages.prompts import Prompts
from stages.rubric import Rubric
from stages.rules import Names
from stages.station import Station
from stages.verdict import Candidate, Choice, choose, decide, merge_votes

PASSED, FAILED, ERROR, PENDING = "passed", "failed", "error", "pending"


@dataclass
class Draft:
    """One candidate as far as it is known.

    Attributes:
        key: `dj/kind/subject#attempt.n`.
        script: None while it is not written, or its writing is an error.
        verdict: see `stages.verdict`; None while it is not audited, or its audit is an error.
        error: of writing or auditing, where one of them is an error record.
    """

    key: str
    attempt: int
    script: str | None = None
    verdict: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come for it."""
        return self.verdict is not None or self.error is not None

    @property
    def passed(self) -> bool:
        """Whether it has a verdict that passes it."""
        return bool(self.verdict and self.verdict["passed"])


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
        self.station = Station.load(job.config.station.path)
        self.candidates = job.config.generation.candidates
        self.rounds = job.config.generation.rounds
        self.votes = job.config.audit.votes
        self._rubric_digests: dict[str, str] = {}
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

    def drafts(self, link: Link) -> Iterator[list[Draft]]:
        """The link's candidates, an attempt at a time, as far as any of an attempt has been begun."""
        generated = self.job.checkpoint.stage("generate")
        for attempt in range(1, self.rounds + 1):
            keys = [f"{link.key}#{attempt}.{n}" for n in range(1, self.candidates + 1)]
            if not any(key in generated for key in keys):
                return
            yield [self._draft(link, attempt, key) for key in keys]

    def _draft(self, link: Link, attempt: int, key: str) -> Draft:
        record = self.job.checkpoint.stage("generate").get(key)
        if record is None:
            return Draft(key, attempt)
        if "error" in record:
            return Draft(key, attempt, error={"stage": "generate", **record["error"]})
        draft = Draft(key, attempt, record["output"]["script"])
        self._add_verdict(link, draft)
        return draft

    def _add_verdict(self, link: Link, draft: Draft) -> None:
        audited = self.job.checkpoint.stage("audit")
        answers, hits = [], []
        for key in self.vote_keys(draft.key):
            record = audited.get(key)
            if record is None:
                return
            inputs = record["inputs"]
            if inputs["script"] != digest(draft.script, 4) or inputs["rubric"] != self.rubric_digest(link.kind):
                return  # on an earlier script or by an earlier rubric: it will be audited again
            if "error" in record:
                draft.error = {"stage": "audit", **record["error"]}
                return
            answers.append(record["output"]["answer"])
            hits = record["output"]["verdict"]["hits"]
            draft.verdict = record["output"]["verdict"]
        if len(answers) > 1:
            rubric = self.rubric(link.kind)
            draft.verdict = decide(rubric, merge_votes(rubric, answers), _hits(hits))

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
        passed = [d for d in drafts if d.passed]
        if passed:
            return Outcome(link, PASSED, drafts, self._choose(link, passed, corpus))
        if not drafts or not all(d.settled for d in drafts):
            return Outcome(link, PENDING, drafts)
        last = [d for d in drafts if d.attempt == drafts[-1].attempt]
        judged = [d for d in drafts if d.verdict]
        errors = [d.error for d in last if d.error]
        if len(errors) == len(last):
            return Outcome(link, ERROR, drafts, reasons=[f"{e['stage']}: {e['message']}" for e in errors])
        best = max(judged, key=lambda d: d.verdict["score"])
        if drafts[-1].attempt < self.rounds and self.will_rewrite():
            return Outcome(link, PENDING, drafts, reasons=best.verdict["reasons"])
        return Outcome(link, FAILED, drafts, reasons=best.verdict["reasons"])

    def will_rewrite(self) -> bool:
        """Whether this run writes failed links again."""
        return any(stage.name == "generate" for stage in self.job.stages)

    def _choose(self, link: Link, passed: list[Draft], corpus: Corpus | None) -> Choice:
        options = []
        for draft in passed:
            novelty = 1.0
            if corpus is not None and len(passed) > 1:
                novelty = corpus.novelty(Spoken.of(draft.key, draft.script, link))
            words = len(draft.script.split())
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


def _hits(kept: list[dict[str, Any]]) -> list[Any]:
    from stages.rules import Hit

    return [Hit(hit["rule"], hit["message"]) for hit in kept]
