"""generate: the writer LLM writes every link's candidates; what failed its audit is written again with the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from engine.errors import RowError
from engine.job import Job
from engine.records import Output, Request, derive_seed
from engine.session import LlmSpec
from engine.stage import Stage
from stages.decisions import feedback_of
from stages.desk import Desk, Draft
from stages.link import Link
from stages.openings import Rounds
from stages.tokens import context_of


def stages(job: Job) -> list[Stage]:
    """The stage, as `conf/stage/generate.yaml` names it."""
    return [Generate(job)]


def llm_spec(config: Any) -> LlmSpec:
    """How to open the LLM of a `writer` or `auditor` config."""
    plain = OmegaConf.to_container(config, resolve=True)
    return LlmSpec(plain["model"], plain["revision"], plain["engine"], plain["env"])


@dataclass(frozen=True)
class Feedback:
    """What a rewrite is told: the best of the scripts turned down, and what is wrong with it."""

    script: str
    issues: list[str]


class Generate(Stage):
    """Requests: `generation.candidates` scripts for every link, and as many again for each round it has failed."""

    name = "generate"
    reads = ("audit",)
    rewrites = True

    def __init__(self, job: Job):
        super().__init__(job)
        self.desk = Desk.of(job)
        self.sampling = OmegaConf.to_container(job.config.writer.sampling, resolve=True)

    def backend(self) -> LlmSpec:
        """The writer."""
        return llm_spec(self.job.config.writer)

    def requests(self) -> Iterator[Request]:
        """Candidates in the order of links; what failed is written again once every link has been judged that far, so
        that a round's rewrites are one batch and know the same openings, however often the run was resumed."""
        self.desk.look()
        rounds = Rounds(self.desk)
        for link in self.desk.links():
            if self.desk.by_hand(link) is not None:
                continue  # approved, or edited by a reviewer: not to be written again, whatever changes
            if not self.desk.was_given(link):
                yield from self._attempt(link, 1, None, [])
            for drafts in self.desk.drafts(link):
                feedback, then = self._feedback(drafts), drafts[0].attempt + 1
                if feedback is None or then > self.desk.rounds_of(link):
                    break
                kept = self._kept(link, then)
                if kept is None and then > rounds.open:
                    break
                avoid = rounds.worn(link, then) if kept is None else kept
                yield from self._attempt(link, then, feedback, avoid)

    def _attempt(self, link: Link, attempt: int, feedback: Feedback | None, avoid: list[str]) -> Iterator[Request]:
        prompt = self.desk.prompts.writer(link, feedback, avoid)
        extra = {"avoid": avoid} if avoid else {}
        for n in range(1, self.desk.candidates + 1):
            key = f"{link.key}#{attempt}.{n}"
            sampling = {**self.sampling, "seed": derive_seed(self.job.config.seed, key)}
            yield Request(key, {"prompt": prompt, "sampling": sampling}, extra, link)

    def _kept(self, link: Link, attempt: int) -> list[str] | None:
        """The openings an attempt was told to avoid when it was written, None where it was not: a station that has
        grown since does not change the question."""
        generated = self.job.checkpoint.stage("generate")
        for n in range(1, self.desk.candidates + 1):
            record = generated.get(f"{link.key}#{attempt}.{n}")
            if record and "output" in record:
                return record["output"].get("avoid", [])
        return None

    @staticmethod
    def _feedback(drafts: list[Draft]) -> Feedback | None:
        """What to tell the next attempt; None where this one passed, is not settled, or has errors alone."""
        if any(d.passed or not d.settled for d in drafts):
            return None
        if decision := next((d.turned_down for d in drafts if d.turned_down), None):
            return Feedback(*feedback_of(decision))
        judged = [d for d in drafts if d.verdict]
        if not judged:
            return None
        best = max(judged, key=lambda d: d.verdict["score"])
        return Feedback(best.script, best.verdict["issues"] or best.verdict["reasons"])

    def output(self, request: Request, output: Output) -> dict[str, Any]:
        """Keeps the script as it was written, its outer white space aside.

        Raises:
            RowError: `empty_script`.
        """
        script = output.value["text"].strip()
        if not script:
            raise RowError("empty_script", "the writer answered with nothing")
        link: Link = request.context
        made = {"link": link.key, "script": script, "finish_reason": output.value["finish_reason"]}
        return {**made, **request.extra}

    def estimate(self) -> str:
        """For a dry run: how many tokens the prompts have, by the writer's own tokenizer where it is at hand."""
        links = tokens = 0
        context = context_of(self.job.config.writer)
        for link in self.desk.links():
            links += 1
            tokens += context.count(self.desk.prompts.writer(link))
        return f"{links} links, prompts of {'' if context.exact else 'about '}{tokens} tokens in all"


__all__ = ["Feedback", "Generate", "llm_spec", "stages"]
