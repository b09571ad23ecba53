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

    def __init__(self, job: Job):
        super().__init__(job)
        self.desk = Desk.of(job)
        self.sampling = OmegaConf.to_container(job.config.writer.sampling, resolve=True)

    def backend(self) -> LlmSpec:
        """The writer."""
        return llm_spec(self.job.config.writer)

    def requests(self) -> Iterator[Request]:
        """Candidates in the order of links; a link's next attempt as soon as all of its last are settled and failed."""
        for link in self.desk.links():
            if self.desk.by_hand(link) is not None:
                continue  # approved, or edited by a reviewer: not to be written again, whatever changes
            yield from self._attempt(link, 1, None)
            for drafts in self.desk.drafts(link):
                feedback = self._feedback(drafts)
                if feedback is None or drafts[0].attempt == self.desk.rounds_of(link):
                    break
                yield from self._attempt(link, drafts[0].attempt + 1, feedback)

    def _attempt(self, link: Link, attempt: int, feedback: Feedback | None) -> Iterator[Request]:
        prompt = self.desk.prompts.writer(link, feedback)
        for n in range(1, self.desk.candidates + 1):
            key = f"{link.key}#{attempt}.{n}"
            sampling = {**self.sampling, "seed": derive_seed(self.job.config.seed, key)}
            yield Request(key, {"prompt": prompt, "sampling": sampling}, context=link)

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
        return {"link": link.key, "script": script, "finish_reason": output.value["finish_reason"]}

    def estimate(self) -> str:
        """For a dry run: how many tokens the prompts have, by the writer's own tokenizer where it is at hand."""
        links = tokens = 0
        count, exact = _token_counter(self.job.config.writer.model)
        for link in self.desk.links():
            links += 1
            tokens += sum(count(m["content"]) for m in self.desk.prompts.writer(link))
        return f"{links} links, prompts of {'' if exact else 'about '}{tokens} tokens in all"


def _token_counter(model: str) -> tuple[Any, bool]:
    from pathlib import Path

    path = Path(model) / "tokenizer.json"
    if path.is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        return (lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)), True
    return (lambda text: round(len(text) / 4)), False  # English runs to about four characters a token


__all__ = ["Feedback", "Generate", "llm_spec", "stages"]
